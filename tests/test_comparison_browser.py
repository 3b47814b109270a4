"""A browser shows all of a report at the width of a desk, of a tablet and of a phone.

The page may run nothing, so that a script can only be put into a copy that allows it.
"""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from comparison.compare import compare_and_write
from tests.run_folders import evaluation, write_evaluation, write_run, write_seeds

pytestmark = pytest.mark.slow

PUBLISHED = Path(__file__).parents[1] / "results"
WIDTHS = (1400, 1000, 500)
HEIGHT = 900
MEASURE = """
const seen = e => e.getClientRects().length > 0, name = e => e.tagName + " " + e.className;
const all = [...document.querySelectorAll("main, main *")].filter(seen);
const cells = [...document.querySelectorAll("td")];
const rows = grid => Object.values(Object.groupBy(grid.children, e => e.offsetTop));
return {
  width: innerWidth,
  outside: all.filter(e => e.getBoundingClientRect().right > innerWidth + 0.5
    || e.getBoundingClientRect().left < -0.5).map(name),
  cut: all.filter(e => e.clientWidth && e.scrollWidth > e.clientWidth + 1).map(name),
  hidden: cells.filter(e => e.textContent && !seen(e)).length,
  nameless: cells.filter(e => seen(e) && !seen(e.closest("table").tHead) && e.cellIndex
    && !getComputedStyle(e, "::before").content.includes(e.dataset.name.slice(0, 5))).length,
  rows: [...document.querySelectorAll("table")].map(t => t.rows.length),
  images: [...document.images].map(e => [e.naturalWidth, e.getBoundingClientRect().width]),
  beside: Math.max(...[...document.querySelectorAll(".panels")].flatMap(rows).map(r => r.length)),
  answerEnds: document.querySelector("table").getBoundingClientRect().bottom,
}"""
CLIPPED = """
const within = (a, b) => a.left >= b.left - 1 && a.right <= b.right + 1
  && a.top >= b.top - 1 && a.bottom <= b.bottom + 1;
return [...document.querySelectorAll("svg")].map(svg => [...svg.querySelectorAll("text")]
  .filter(e => !within(e.getBoundingClientRect(), svg.getBoundingClientRect()))
  .map(e => e.textContent))"""


@pytest.fixture(scope="module")
def chromium():
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no chromium here: apt-get install chromium")
    return found


@pytest.fixture(scope="module", params=["memory", "pong", "names"])
def report(request, tmp_path_factory):
    """What is published, and a small report with names that are long."""
    folder = tmp_path_factory.mktemp(request.param)
    runs = PUBLISHED / request.param
    if request.param == "names":
        runs = folder / "runs" / ("a_folder_whose_name_is_long" * 4)
        for core in ("linear_transformer", "rdn"):
            write_seeds(runs, core, [0.6, 0.7, 0.8, 0.9, 1.0], game="repeat_previous")
            write_seeds(runs, core, [0.8, 0.9, 0.9, 1.0, 1.0])
        for cost in (0.01, 0.0123456789):
            learner = {"entropy_cost": cost, "learning_rate": cost / 7, "discount": 0.987654321}
            run = write_run(runs / str(cost), core="delta_net", learner=learner)
            write_evaluation(run, evaluation([0.55] * 500, **{"w" * 90: "v" * 90}), "noted")
    compare_and_write([runs], folder / "report")
    return folder / "report"


def measured(chromium, folder, page, script, width):
    """Returns what a script says of a page in a window."""
    probe = (
        f"<script>onload = () => document.title = JSON.stringify((() => {{{script}}})())</script>"
    )
    copy = folder / "page.html"
    copy.write_text(page.replace("default-src 'none'", "script-src 'unsafe-inline'") + probe)
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
    flags += [f"--window-size={width},{HEIGHT}", f"--user-data-dir={folder}/profile"]
    shown = subprocess.run(
        [chromium, *flags, "--virtual-time-budget=10000", "--dump-dom", copy.as_uri()],
        capture_output=True,
        text=True,
        timeout=600,
        check=True,
    ).stdout
    return json.loads(html.unescape(re.search(r"<title>(.*?)</title>", shown, re.S)[1]))


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_cut_and_figures_stack(chromium, report, tmp_path, width):
    page = (report / "index.html").read_text()
    found = measured(chromium, tmp_path, page, MEASURE, width)
    assert found["width"] == width
    assert (found["outside"], found["cut"], found["hidden"], found["nameless"]) == ([], [], 0, 0)
    assert len(found["rows"]) >= 6
    assert all(rows > 1 for rows in found["rows"])
    assert len(found["images"]) == len([*(report / "figures").glob("*.svg")])
    assert all(natural > 200 and shown > 250 for natural, shown in found["images"])
    assert (found["beside"] > 1) == (width > 500)


def test_the_first_screen_is_the_answer(chromium, report, tmp_path):
    page = (report / "index.html").read_text()
    assert measured(chromium, tmp_path, page, MEASURE, 1400)["answerEnds"] < HEIGHT


def test_no_text_of_a_figure_is_clipped(chromium, report, tmp_path):
    figures = "".join(path.read_text() for path in sorted((report / "figures").glob("*.svg")))
    clipped = measured(chromium, tmp_path, f"<title></title>{figures}", CLIPPED, 1400)
    assert len(clipped) >= 5
    assert not any(clipped), clipped
