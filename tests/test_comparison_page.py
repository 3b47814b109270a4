"""The report: its files, its numbers, and that it changes nothing else."""

import csv
import html
import json
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from agents.impala.shown import RETURN_TAG
from comparison.compare import compare_and_write
from comparison.curves import mean_curve
from comparison.detail_tables import speed
from comparison.figure_frontier import undominated
from comparison.figure_style import looks
from comparison.numbers import compare
from comparison.page import _markdown, _templates
from comparison.read_runs import read_runs
from comparison.report_table import Cell, Table
from comparison.score_tables import other_evaluations
from comparison.sections import Section
from tests.run_folders import (
    ORIGIN,
    SIZE,
    evaluation,
    metrics,
    write_evaluation,
    write_run,
    write_seeds,
)

GAMES = ("parity", "tmaze")
PANELS = {
    "aggregates": ("IQM", "mean", "median", "optimality-gap"),
    "curves_frames": ("legend", *GAMES),
    "curves_time": ("legend", *GAMES),
    "frontier": ("legend", "microseconds-a-step", "state-bytes"),
    "profiles": ("all-runs", "legend"),
    "scores": GAMES,
    "sizes": ("legend", "parity-length"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for game in ("tmaze", "parity"):
        write_seeds(folder, "lstm", [0.6, 0.7, 0.8, 0.9, 1.0], game=game)
        write_seeds(folder, "rdn", [0.8, 0.9, 0.9, 1.0, 1.0], game=game)
    longer = evaluation([0.55] * 500, game="parity", length=40)
    write_evaluation(folder / "parity/lstm/seed1", longer, "longer")
    return folder


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "report"
    compare_and_write([runs], out)
    return out


def snapshot(folder):
    return {
        p: (p.stat().st_mtime_ns, p.read_bytes()) for p in sorted(folder.rglob("*")) if p.is_file()
    }


def shown(report, name):
    """The text of a file of the report, without the marks that say where a line may break."""
    return html.unescape((report / name).read_text().replace("<wbr>", ""))


def test_the_report_has_every_figure_with_its_data(report):
    names = [f"{name}.csv" for name in PANELS]
    names += [f"{name}-{panel}.svg" for name, panels in PANELS.items() for panel in panels]
    assert sorted(p.name for p in (report / "figures").iterdir()) == sorted(names)
    for path in (report / "figures").glob("*.svg"):
        ElementTree.parse(path)
    for name in PANELS:
        rows = list(csv.DictReader((report / f"figures/{name}.csv").open()))
        assert rows, name


def test_the_data_of_a_figure_holds_its_means_and_intervals_too(report):
    scores = list(csv.DictReader((report / "figures/scores.csv").open()))
    (rdn,) = [r for r in scores if (r["task"], r["core"], r["seed"]) == ("tmaze", "rdn", "mean")]
    half = 2.7764451 * 0.1673320 / 5**0.5  # scores 0.6, 0.8, 0.8, 1, 1 between 0.5 and 1
    assert [float(rdn[name]) for name in ("measured", "score", "low", "high")] == pytest.approx(
        [0.92, 0.84, 0.84 - half, 0.84 + half], abs=1e-5
    )
    seeds = [r for r in scores if (r["task"], r["core"]) == ("tmaze", "rdn")][:5]
    assert [(r["seed"], r["score"], r["low"]) for r in seeds][3:] == [
        ("4", "1.0", ""),
        ("5", "1.0", ""),
    ]
    curves = list(csv.DictReader((report / "figures/curves_frames.csv").open()))
    ends = [r for r in curves if (r["core"], r["seed"]) == ("rdn", "mean")]
    assert float(ends[-1]["score"]) == pytest.approx(0.92)
    assert float(ends[-1]["high"]) == pytest.approx(0.92 + half / 2, abs=1e-5)


def test_page_and_markdown_say_the_same(report):
    page, text = shown(report, "index.html"), shown(report, "report.md")
    for needle in (
        "lstm and rdn on parity and tmaze",
        "On none of the 2 tasks can it be told which core is best: they are too close.",
        "cannot tell: intervals overlap",
        "0.816 to 1.024",  # rdn: half a t interval is 2.776 * 0.0837 / 5**0.5
        "length=40",
        "a processor",
        "feedbeef",
    ):
        assert needle in text, needle
        assert needle in page, needle
    for name, panels in PANELS.items():
        assert f'id="{name}"' in page
        for panel in panels:
            assert f"figures/{name}-{panel}.svg" in text


def test_a_figure_has_the_dark_partners_of_its_own_colours_alone(report):
    """So that a core that is new changes no published figure."""
    for path in (report / "figures").glob("*.svg"):
        style, body = path.read_text().split("</style>", 1)
        rules = re.findall(r'\[style\*="((?:fill|stroke): #\w{6})"\]', style)
        assert rules
        assert all(rule in body for rule in rules), path.name


def test_the_answer_comes_first_then_scores_curves_and_what_to_doubt(report):
    for name in ("index.html", "report.md"):
        text = shown(report, name)
        order = ["they are too close", "cannot tell: intervals", "A seed's return", "Return over"]
        order += ["What to doubt", "Speed and memory", "Every run"]
        places = [text.rindex(part) for part in order]
        assert places == sorted(places), name


def test_what_shows_nothing_is_left_out_with_a_word(tmp_path):
    for game, returns in (("tmaze", [0.998, 1.0, 0.999]), ("parity", [0.6, 0.8, 0.9])):
        for core in ("lstm", "rdn"):
            write_seeds(tmp_path / "runs", core, returns, game=game)
    compare_and_write([tmp_path / "runs"], tmp_path / "report")
    figures = {p.name for p in (tmp_path / "report/figures").glob("scores*.svg")}
    assert figures == {"scores-parity.svg"}
    text = (tmp_path / "report/report.md").read_text()
    assert "Not drawn, as all of it is alike: tmaze (0.998 to 1.000)." in text
    assert "tmaze,rdn,2,1.0,1.0" in (tmp_path / "report/figures/scores.csv").read_text()


def test_curves_that_never_leave_the_ceiling_are_left_out_with_a_word(tmp_path):
    for core in ("lstm", "rdn"):
        for game, first in (("tmaze", 0.999), ("parity", 0.5)):
            path = write_run(tmp_path / "runs" / game / core, 1.0, core=core, game=game)
            rows = [row | {RETURN_TAG: 1.0} for row in metrics(1.0)]
            rows[0][RETURN_TAG] = first
            (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    compare_and_write([tmp_path / "runs"], tmp_path / "report")
    figures = {p.name for p in (tmp_path / "report/figures").glob("curves_frames*.svg")}
    assert figures == {"curves_frames-legend.svg", "curves_frames-parity.svg"}
    assert "alike: tmaze (0.999 to 1.000)." in (tmp_path / "report/report.md").read_text()


def test_other_evaluations_stand_beside_the_scores_of_the_same_runs(tmp_path):
    """Of three seeds one was played greedily: it is not held against the mean of all three."""
    write_seeds(tmp_path, "rdn", [0.5, 0.9, 0.7])
    greedy = evaluation([0.6] * 500, greedy=True)
    write_evaluation(tmp_path / "tmaze/rdn/seed1", greedy, "greedy")
    table = other_evaluations(compare(read_runs([tmp_path])))
    assert table.rows == [["tmaze", "rdn", "greedy=True", "1", "0.600", "0.500"]]


def test_a_sum_of_float32_rewards_is_no_more_than_perfect(tmp_path):
    for game in ("tmaze", "parity"):
        write_seeds(tmp_path, "rdn", [1.0] * 5, game=game)
        write_seeds(tmp_path, "lstm", [float(np.float32(0.05)) * 20] * 5, game=game)
    comparison = compare(read_runs([tmp_path]))
    assert comparison.improvement["lstm", "rdn"].value == 0.5


def speeds(runs):
    table = speed(compare(read_runs(runs)))
    return [dict(zip(table.header, row, strict=True)) for row in table.rows]


def test_the_speed_table_tells_the_cores_share_and_how_far_seeds_differ(tmp_path):
    write_seeds(tmp_path, "rdn", [0.5, 0.6, 0.7])
    for seed, seconds in ((1, 10.0), (2, 5.0), (3, 8.0)):
        path = tmp_path / f"tmaze/rdn/seed{seed}/metrics.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text(json.dumps(rows[-1] | {"wall_seconds": seconds}) + "\n")
    (row,) = speeds([tmp_path])
    assert (row["inference"], row["in the core"]) == ("30%", "40%")
    assert "in core and heads, acting" not in row
    assert row["frames/s"] == "125 (100 to 200)"


@pytest.mark.parametrize(("slowest", "is_told"), [(14.0, False), (16.0, True)])
def test_seeds_of_very_different_speed_are_told(tmp_path, slowest, is_told):
    write_seeds(tmp_path, "rdn", [0.5, 0.6])
    path = tmp_path / "tmaze/rdn/seed1/metrics.jsonl"
    path.write_text(path.read_text().replace('"wall_seconds": 10.0', f'"wall_seconds": {slowest}'))
    warned = compare(read_runs([tmp_path])).warnings
    assert any("between the seeds of rdn on tmaze (other work" in w for w in warned) == is_told


def test_of_a_run_that_did_not_measure_its_core_the_acting_is_shown(tmp_path):
    path = write_run(tmp_path / "run") / "metrics.jsonl"
    path.write_text(path.read_text().replace("share/core", "share/acting_core"))
    (row,) = speeds([tmp_path])
    assert row["in core and heads, acting"] == "40%"
    assert "in the core" not in row


def test_of_one_task_nothing_is_said_across_tasks(tmp_path):
    for core in ("lstm", "rdn"):
        write_seeds(tmp_path / "runs", core, [0.5, 0.6, 0.7])
    compare_and_write([tmp_path / "runs"], tmp_path / "report")
    text = (tmp_path / "report/report.md").read_text()
    assert "## All runs on tmaze" in text
    assert "above a run of the core of the column on tmaze;" in text
    for absent in ("Across tasks", "IQM is", "bootstrap resamples", "of the 1 task"):
        assert absent not in text


def test_the_page_needs_no_network_and_runs_nothing(report):
    page = (report / "index.html").read_text()
    assert "default-src 'none'" in page
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)


def test_nothing_in_the_run_folders_changes(runs, tmp_path):
    before = snapshot(runs)
    compare_and_write([runs], tmp_path / "report")
    assert snapshot(runs) == before


def test_the_same_runs_give_the_same_report(runs, report, tmp_path):
    compare_and_write([runs], tmp_path / "again")
    again = {p.relative_to(tmp_path / "again"): c for p, (_, c) in snapshot(tmp_path).items()}
    assert again == {p.relative_to(report): content for p, (_, content) in snapshot(report).items()}


def test_a_report_replaces_a_report_and_nothing_else(runs, tmp_path):
    compare_and_write([runs], tmp_path / "report")
    compare_and_write([runs / "tmaze"], tmp_path / "report")
    assert "parity" not in (tmp_path / "report/report.md").read_text()
    assert not (tmp_path / "report/figures/aggregates-IQM.svg").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/index.html").write_text("mine")
    with pytest.raises(ValueError, match="mine holds something else than a report"):
        compare_and_write([runs], tmp_path / "mine")
    assert (tmp_path / "mine/index.html").read_text() == "mine"
    with pytest.raises(ValueError, match="lies in the run"):
        compare_and_write([runs], runs / "tmaze/rdn/seed1/report")
    assert not (runs / "tmaze/rdn/seed1/report").exists()


def test_what_runs_computed_with_is_shown_and_where_it_is_unknown_said_so(tmp_path):
    used = {"device": "cpu", "encoder_precision": "bfloat16", "core_kernel": "reference"}
    write_run(tmp_path / "runs/known", origin=ORIGIN | {"arithmetic": used})
    write_run(tmp_path / "runs/unknown", origin=ORIGIN, seed=2)
    compare_and_write([tmp_path / "runs"], tmp_path / "report")
    text = (tmp_path / "report/report.md").read_text()
    assert "| cpu, encoder bfloat16, kernel reference, not recorded |" in text
    assert "differ in their" not in text


def test_runs_that_computed_with_different_arithmetic_are_named(tmp_path):
    used = {"device": "cpu", "encoder_precision": "bfloat16", "core_kernel": None}
    others = {"device": "cpu", "encoder_precision": "float32", "core_kernel": "cpu"}
    write_run(tmp_path / "runs/one", origin=ORIGIN | {"arithmetic": used})
    write_run(tmp_path / "runs/two", origin=ORIGIN | {"arithmetic": others}, seed=2)
    compare_and_write([tmp_path / "runs"], tmp_path / "report")
    report = json.loads((tmp_path / "report/comparison.json").read_text())
    said = [line for line in report["warnings"] if "differ in their" in line]
    assert said == ["tmaze: runs differ in their encoder_precision: bfloat16, float32."]
    assert {run["arithmetic"] for run in report["runs"]} == {
        "cpu, encoder bfloat16",
        "cpu, encoder float32, kernel cpu",
    }


def test_what_a_folder_says_is_shown_and_never_run(tmp_path):
    evil = "<script>alert(1)</script>|`x`"
    used = {"arithmetic": {"device": evil, "core_kernel": evil}}
    origin = {"commit": evil, "source_hash": evil, "hardware": {"cpu": evil, "cores": evil}} | used
    run = write_run(tmp_path / "runs" / "<img src=x onerror=alert(1)>", origin=origin)
    write_evaluation(run, evaluation([0.5] * 500, note=evil), "noted")
    compare_and_write([tmp_path / "runs"], tmp_path / "report")
    page = (tmp_path / "report/index.html").read_text()
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "<img src=x" not in page
    text = (tmp_path / "report/report.md").read_text()
    assert not re.search(r"(?<!\\)<(?:script|img)", text)


class Elements(HTMLParser):
    """The names of all elements of a page, and their attributes."""

    def __init__(self, page):
        super().__init__()
        self.names, self.attributes = set(), []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.names.add(tag)
        self.attributes += attributes


EVIL = (
    "</td></table><script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "</style><svg onload=alert(1)>",
    "&lt;script&gt; \u202e\u0000 \N{GRINNING FACE} \ud800 \u00fc",
)


@pytest.mark.parametrize("evil", EVIL, ids=range(len(EVIL)))
def test_markup_in_a_folder_adds_nothing_to_the_page(report, tmp_path, evil):
    name = "".join(c for c in evil if c.isprintable()).replace("/", "|")
    origin = {"commit": evil, "source_hash": evil, "hardware": {"cpu": evil, "gpu": evil}}
    for seed, core in enumerate(("lstm", "rdn"), 1):
        where = tmp_path / "runs" / f"{name} {core}"
        run = write_run(where, origin=origin, core=core, seed=seed, status=evil, run_dir=name)
        noted = evaluation([0.5] * 500, **{"note": evil, name: evil})
        write_evaluation(run, noted, "noted")
    compare_and_write([tmp_path / "runs"], tmp_path / "report")
    page = Elements((tmp_path / "report/index.html").read_text())
    usual = Elements((report / "index.html").read_text()).names
    assert page.names <= usual
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    links = [value for name, value in page.attributes if name in ("src", "href")]
    assert all(link.startswith(("data:image/svg+xml;base64,", "#", "figures/")) for link in links)
    for figure in (tmp_path / "report/figures").glob("*.svg"):
        for element in ElementTree.parse(figure).iter():
            assert not element.tag.endswith("script")
            assert not [name for name in element.attrib if name.startswith("on")]


def test_a_table_row_stays_one_row_in_markdown():
    assert _markdown("a|b\n<c> `d` [e](f)") == r"a\|b \<c\> \`d\` \[e\](f)"
    section = Section(title="T", table=Table(header=["a|b", "c"], rows=[["x\ny", "|"]]))
    heat_map = Table(header=["c"], rows=[[Cell("1|", is_best=True, detail="0 to 2")]], note="n")
    values = {"title": "t", "answer": "a", "heat_map": heat_map, "sections": [section]}
    text = _templates(autoescape=False).get_template("report.md").render(values | {"figures": "f"})
    assert "| c |\n|---|\n| **1\\| (0 to 2)** |\n\nn\n\n## T" in text
    assert "| a\\|b | c |\n|---|---:|\n| x y | \\| |\n" in text


def test_curves_have_a_mean_only_where_all_of_them_have_data():
    a = np.array([0.0, 2.0]), np.array([0.0, 2.0])
    b = np.array([1.0, 3.0]), np.array([3.0, 5.0])
    mean = mean_curve([a, b])
    assert (mean.x[0], mean.x[-1]) == (1.0, 2.0)
    np.testing.assert_allclose(mean.mean, mean.x + 1.0)
    assert mean.half_width is None
    five = mean_curve([a, b, a, b, a])
    half = 2.7764451 * np.std([0.0, 2.0, 0.0, 2.0, 0.0], ddof=1) / 5**0.5
    np.testing.assert_allclose(five.half_width, half)
    assert mean_curve([a, (np.array([2.0, 3.0]), np.array([0.0, 0.0]))]) is None


def test_cores_are_told_apart_without_colour():
    cores = ["feedforward", "lstm", "linear_transformer", "delta_net", "delta_rnn", "rdn"]
    drawn = looks([*cores, "rdn-bptt1", "rdn-bptt1 entropy_cost=0.1"])
    assert len({(look.marker, str(look.dashes)) for look in drawn.values()}) == 8
    assert len({look.color for look in drawn.values()}) == 6


def test_the_frontier_joins_the_cores_that_none_beats_at_their_cost_or_less():
    points = {
        "costly": (8.0, 0.9),
        "beaten": (4.0, 0.5),
        "cheap": (1.0, 0.6),
        "as cheap": (1.0, 0.2),
        "good": (4.0, 0.9),
    }
    assert undominated(points) == ["cheap", "good"]


def test_the_frontier_has_scores_bytes_and_microseconds(report):
    rows = list(csv.DictReader((report / "figures/frontier.csv").open()))
    assert [row["core"] for row in rows] == ["lstm", "rdn"]
    assert [float(row["score"]) for row in rows] == pytest.approx([0.6, 0.84])
    assert {row["state, bytes"] for row in rows} == {str(float(SIZE["state_bytes"]))}
    assert {row["microseconds a step"] for row in rows} == {"10000.0"}  # 1,000 frames in 10 s
