"""What the documentation says that can be checked: tags, files, commands, configs."""

import dataclasses
import re
from pathlib import Path

import pytest

from agents.impala.config import config_from_values
from agents.impala.trainer import Trainer
from comparison import page_text
from comparison.read_runs import read_runs
from experiment.report import RunningReport
from tests.run_folders import write_run
from tools import pages
from tools.pages import throughput
from tools.pages.files import reports

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def metric_tags(mode):
    values = {
        "game": "control",
        "encoder": {"kind": "mlp"},
        "mode": mode,
        "core": {"kind": "feedforward"},
        "learner": {"unroll_length": 30, "batch_size": 2, "num_passes": 2},
        "total_frames": 120,
    }
    trainer = Trainer(config_from_values(values))
    report = RunningReport(trainer)
    for row in trainer.rows():
        report.add(row)
    return set(report.take_row())


def test_every_metric_is_documented_and_every_documented_metric_exists():
    table = (ROOT / "docs/metrics.md").read_text()
    documented = {
        tag
        for line in table.splitlines()
        if line.startswith("| `")
        for tag in re.findall(r"`([^`]+)`", line.split("|")[1])
    }
    assert documented == metric_tags("serial") | metric_tags("async")


def test_metrics_are_read_into_pandas_as_the_page_says(tmp_path, monkeypatch):
    """Where pandas is missing, which no lock has, the block is parsed alone."""
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/metrics.md").read_text(), re.S)
    code = compile(block, "docs/metrics.md", "exec")
    pytest.importorskip("pandas")
    for core, value in (("lstm", 0.5), ("rdn", 1.0)):
        write_run(tmp_path / "runs" / core, value, core=core)
    monkeypatch.chdir(tmp_path)
    found = {}
    exec(code, found)
    curves = found["curves"]
    assert curves.index.tolist() == [250, 500, 750, 1000]
    assert curves.iloc[-1].tolist() == [0.5, 1.0]


def test_every_relative_link_leads_to_a_file():
    for page in PAGES:
        text = page.read_text()
        for link in re.findall(r"\]\(([^)#]+)\)", text) + re.findall(r'src="([^"]+)"', text):
            folder = ROOT if link.startswith("/") else page.parent
            found = (folder / link.lstrip("/")).exists()
            assert link.startswith("https://") or found, (page.name, link)


def test_every_file_named_in_the_pages_exists():
    named = re.compile(
        r"`((?:agents|comparison|models|envs|experiment|configs|tests|tools|docs|benchmarks|watch|sweep|sequences|results)/[\w./]+\.\w+)`"
    )
    found = [(page.name, name) for page in PAGES for name in named.findall(page.read_text())]
    assert len(found) > 100
    for page, name in found:
        assert (ROOT / name).exists(), (page, name)


def test_every_setting_has_a_line_of_help():
    config = config_from_values({})
    for part in (config, config.learner, config.core, config.env, config.encoder, config.policy):
        of_itself_and_bases = "".join(kind.__doc__ or "" for kind in type(part).__mro__)
        for field in dataclasses.fields(part):
            found = re.search(rf"^\s+{field.name}: \S", of_itself_and_bases, re.M)
            assert found, (type(part).__name__, field.name)


def test_every_function_that_the_page_on_the_algorithm_names_is_there():
    named = re.findall(
        r"\]\(\.\./([\w/]+\.py)\):\s+`(\w+)`", (ROOT / "docs/algorithm.md").read_text()
    )
    assert len(named) >= 20
    for path, name in named:
        assert re.search(rf"^(def|class) {name}\b", (ROOT / path).read_text(), re.M), (path, name)


def test_the_readme_has_the_lines_of_which_memory_and_no_other_table():
    readme = (ROOT / "README.md").read_text()
    assert re.findall(r"<!-- results: (\w+) -->", readme) == ["which"]
    assert "results/report" not in readme


@pytest.mark.parametrize("page", pages.PAGES)
def test_a_page_shows_the_published_results(page):
    assert (ROOT / page).read_text() == pages.render(page)


def test_every_config_named_in_a_command_exists():
    for page in PAGES:
        for name in re.findall(r"--config (\S+\.yaml)", page.read_text()):
            assert (ROOT / name).exists(), (page.name, name)


def report_like(report, **others):
    return report | {"date": "2999-01-01T00:00:00+00:00"} | others


def test_only_reports_of_the_work_that_the_table_names_are_shown(monkeypatch):
    shown = throughput.newest()
    report = next(r for of in shown.values() for _, r in of if r["core"] == "rdn")
    smaller = report["settings"]["learner"] | {"batch_size": 16}
    smoke = {"settings": {"game": "tmaze", "encoder": {"kind": "mlp"}}, "speeds": {}}
    others = [
        ("smaller.json", report_like(report, settings=report["settings"] | {"learner": smaller})),
        ("smoke.json", report_like(report, **smoke)),
    ]
    real = throughput.reports
    monkeypatch.setattr(throughput, "reports", lambda pattern: [*real(pattern), *others])
    assert throughput.newest() == shown


def test_a_machine_on_which_no_loops_took_turns_has_no_ratio_to_the_lstm(monkeypatch):
    report = next(r for of in throughput.newest().values() for _, r in of if r["core"] == "rdn")
    hardware = report["hardware"] | {"cpu": "another"}
    named = [("alone.json", report_like(report, hardware=hardware))]
    monkeypatch.setattr(throughput, "reports", lambda pattern: named)
    assert throughput.speed_block().rstrip().endswith("|  |")


def test_the_report_says_what_its_intervals_were_measured_to_be_worth():
    _, report = reports("coverage_*.json")[-1]
    rows = {row["seeds"]: row for row in report["rows"]}

    def shares(tasks, name):
        return [f"{rows[seeds]['percentile'][tasks][name] * 100:.0f} %" for seeds in (3, 5, 10)]

    five, ten = (f"{rows[seeds]['t']['groups'] * 100:.0f} %" for seeds in (5, 10))
    assert f"{five} of cases at 5 seeds and {ten} at 10" in page_text.T_INTERVALS
    means, iqms = shares("1", "mean"), shares("4", "IQM")
    for said in (
        f"{means[0]} of cases at 3 seeds, {means[1]} at 5 and {means[2]} at 10",
        f"four tasks, {iqms[0]}, {iqms[1]} and {iqms[2]}.",
    ):
        assert said in page_text.INTERVALS


REPORTS = [
    ("report", "memory"),
    ("report_pong", "pong"),
    ("report_atari", "atari"),
    ("report_table", "table"),
    ("report_sequences", "sequences"),
]


@pytest.mark.parametrize(("report", "of"), REPORTS)
def test_a_published_report_is_of_every_published_run(report, of):
    text = (ROOT / "results" / report / "report.md").read_text()
    rows = re.findall(rf"^\| (results/{of}/\S+)( runs\\\[\d+\\\])? ", text, re.M)
    listed = [name + place.replace("\\", "") for name, place in rows]
    published = read_runs([ROOT / "results" / of])
    assert sorted(listed) == sorted(run.name.removeprefix(f"{ROOT}/") for run in published)
