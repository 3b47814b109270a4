"""The table of cores and tasks: means over seeds, a row for each size, and what is not run yet."""

import pytest

from comparison.run_folder import read_run_folder
from tests.run_folders import evaluation, write_evaluation, write_run
from tools.pages.core_table import RESULTS, core_table_block
from tools.publish import publish_into_table


@pytest.fixture
def rows(tmp_path):
    """Publishes tmaze of three cores, and longer ones of two; returns the table's cells by task."""
    runs = []
    for core, returns in (("rdn", [0.9, 1.0]), ("lstm", [0.951, 0.951]), ("gru", [0.5, 0.6])):
        for seed, value in enumerate(returns, 1):
            run = write_run(tmp_path / f"runs/{core}/{seed}", value, core=core, seed=seed)
            if core != "gru":
                write_evaluation(run, evaluation([value - 0.6] * 500, length=100), "longer")
            runs.append(read_run_folder(run))
    file = tmp_path / RESULTS / "tmaze.json"
    file.parent.mkdir(parents=True)
    publish_into_table(runs, file)
    text = core_table_block(tmp_path)
    lines = [line.split(" | ") for line in text.splitlines() if line.startswith("|")]
    return {line[0].strip("|` "): [cell.strip("|` ") for cell in line] for line in lines}, text


def test_a_cell_is_the_mean_and_bold_are_all_that_read_the_best(rows):
    (by_task, _) = rows
    scores = dict(
        zip(by_task["task"], by_task["[`tmaze`](/results/table/tmaze.json)"], strict=True)
    )
    assert (scores["lstm"], scores["rdn"], scores["gru"]) == ("**0.95**", "**0.95**", "0.55")
    assert (scores["srwm"], scores["guessing"]) == ("-", "0.5")


def test_another_size_is_a_row_of_its_own_and_what_is_missing_is_named(rows):
    by_task, text = rows
    longer = dict(zip(by_task["task"], by_task["at length=100"], strict=True))
    assert (longer["lstm"], longer["rdn"], longer["gru"]) == ("**0.35**", "**0.35**", "-")
    state = dict(zip(by_task["task"], by_task["state, bytes"], strict=True))
    assert (state["rdn"], state["lru"]) == ("512", "-")
    missing = text.rpartition("Not run yet: ")[2]
    assert "`parity`" in missing
    assert "`tmaze`" not in missing
