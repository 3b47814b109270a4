"""Which runs are compared with which, what is refused, and what the reader is warned of."""

import json

import pytest

from comparison.numbers import as_values, compare
from comparison.origins import arithmetic_names, machines
from comparison.read_runs import read_runs
from comparison.run_folder import read_run_folder
from tests.run_folders import ORIGIN, evaluation, write_evaluation, write_run, write_seeds


def compared(folder):
    return compare(read_runs([folder]))


def warned(folder, text):
    return [line for line in compared(folder).warnings if text in line]


def test_scores_go_from_chance_to_perfect(tmp_path):
    write_seeds(tmp_path, "rdn", [0.5, 0.75, 1.0])
    (task,) = compared(tmp_path).tasks
    assert task.normalised("rdn").tolist() == [0.0, 0.5, 1.0]


def test_seeds_of_one_core_belong_together_and_variants_are_named_by_what_differs(tmp_path):
    write_run(tmp_path / "a", seed=1)
    write_run(tmp_path / "b", seed=2, num_threads=7, milestone_interval_frames=500)
    write_run(tmp_path / "c", core="rdn", bptt=1)
    write_run(tmp_path / "d", core="lstm", learner={"entropy_cost": 0.01})
    write_run(tmp_path / "e", core="lstm", learner={"entropy_cost": 0.03})
    (task,) = compared(tmp_path).tasks
    seeds = {core: [run.config.seed for run in runs] for core, runs in task.runs.items()}
    assert seeds == {
        "lstm entropy_cost=0.01": [1],
        "lstm entropy_cost=0.03": [1],
        "rdn": [1, 2],
        "rdn-bptt1": [1],
    }


def test_a_game_of_another_size_is_another_task(tmp_path):
    for length in (10, 20):
        for core in ("lstm", "rdn"):
            write_run(tmp_path / f"{core}{length}", core=core, env={"length": length})
    comparison = compared(tmp_path)
    assert [task.name for task in comparison.tasks] == ["tmaze length=10", "tmaze length=20"]
    assert comparison.cores == ["lstm", "rdn"]


def test_across_tasks_the_largest_complete_table_counts_and_the_rest_is_named(tmp_path):
    for game in ("tmaze", "parity", "control"):
        for core in ("lstm", "rdn"):
            write_seeds(tmp_path, core, [0.6, 0.7], game=game)
    write_seeds(tmp_path, "feedforward", [0.5], game="tmaze")
    comparison = compared(tmp_path)
    assert comparison.shared_cores == ["lstm", "rdn"]
    assert [task.name for task in comparison.shared_tasks] == ["control", "parity", "tmaze"]
    assert set(comparison.aggregates) == {"lstm", "rdn"}
    assert any("left out: feedforward" in line for line in comparison.warnings)


def test_a_table_may_be_of_tasks_that_no_core_ran_alone(tmp_path):
    for core, games in (
        ("lstm", ("tmaze", "parity", "control")),
        ("rdn", ("parity", "control", "key_value")),
    ):
        for game in games:
            write_run(tmp_path / core / game, core=core, game=game)
    comparison = compared(tmp_path)
    assert comparison.shared_cores == ["lstm", "rdn"]
    assert [task.name for task in comparison.shared_tasks] == ["control", "parity"]
    assert set(comparison.aggregates) == {"lstm", "rdn"}
    assert warned(tmp_path, "left out: key_value, tmaze")


def test_across_tasks_numbers_are_those_of_the_definitions(tmp_path):
    write_seeds(tmp_path, "lstm", [0.5, 0.6, 0.7, 0.8, 0.9])
    write_seeds(tmp_path, "rdn", [1.0] * 5)
    write_seeds(tmp_path, "lstm", [0.5] * 5, game="parity")
    write_seeds(tmp_path, "rdn", [0.5] * 5, game="parity")
    values = as_values(compared(tmp_path))
    across = values["across_tasks"]
    assert across["aggregates"]["lstm"]["mean"]["value"] == pytest.approx(0.2)
    assert across["aggregates"]["rdn"]["mean"] == {"value": 0.5, "interval": (0.5, 0.5)}
    (pair,) = across["probability_of_improvement"]
    assert (pair["of"], pair["over"], pair["value"]) == ("lstm", "rdn", 0.25)
    json.dumps(values, allow_nan=False)


def test_a_copy_of_a_run_is_no_second_seed(tmp_path):
    write_run(tmp_path / "a")
    write_run(tmp_path / "b")
    with pytest.raises(ValueError, match=r"a and .*b are the same run \(seed 1"):
        compared(tmp_path)


def test_cores_without_a_common_task_are_refused(tmp_path):
    write_run(tmp_path / "a", core="lstm", game="tmaze")
    write_run(tmp_path / "b", core="rdn", game="parity")
    with pytest.raises(ValueError, match=r"no two cores ran the same task \(parity: rdn; tmaze"):
        compared(tmp_path)


def test_runs_without_any_score_are_refused(tmp_path):
    run = write_run(tmp_path / "a")
    write_evaluation(run, evaluation([1.0] * 3))
    with pytest.raises(ValueError, match=r"no run has a score: evaluate them first"):
        compared(tmp_path)


def test_one_run_alone_is_reported_with_a_warning(tmp_path):
    write_run(tmp_path / "a")
    comparison = compared(tmp_path)
    assert not comparison.improvement
    assert comparison.warnings == [
        "tmaze: fewer than 5 seeds (rdn 1). No interval is drawn for these, and their order may "
        "be chance."
    ]


def test_five_equal_finished_seeds_need_no_warning(tmp_path):
    write_seeds(tmp_path, "rdn", [0.9] * 5)
    assert compared(tmp_path).warnings == []


def test_different_budgets_are_named(tmp_path):
    write_run(tmp_path / "a", core="lstm")
    run = write_run(tmp_path / "b", core="rdn")
    write_evaluation(run, evaluation([0.9] * 500, frames=2_000_000))
    assert warned(tmp_path, "different budgets, in million frames: lstm 0.00, rdn 2.00")


def test_different_code_and_machines_are_named(tmp_path):
    write_run(tmp_path / "a", seed=1)
    other = ORIGIN | {"source_hash": "cafe00000000", "dirty": True, "hardware": {"cpu": "other"}}
    write_run(tmp_path / "b", seed=2, origin=other)
    assert warned(tmp_path, "2 versions of the code (source hash): feedbeef (1 runs), cafe0000")
    assert warned(tmp_path, "1 runs were made from a work tree with uncommitted changes")
    assert warned(tmp_path, "2 kinds of machine")


def test_where_a_run_was_resumed_counts_as_much_as_where_it_began(tmp_path):
    write_run(tmp_path / "a", seed=1)
    used = {"device": "cuda", "encoder_precision": "bfloat16", "core_kernel": "triton"}
    other = {"source_hash": "cafe00000000", "dirty": True, "hardware": {"cpu": "other"}}
    origin = ORIGIN | {"resumed": [other | {"arithmetic": used}]}
    write_run(tmp_path / "b", seed=2, origin=origin)
    assert warned(tmp_path, "2 versions of the code (source hash): feedbeef (2 runs), cafe0000")
    assert warned(tmp_path, "1 runs were made from a work tree with uncommitted changes")
    assert warned(tmp_path, "2 kinds of machine")
    resumed = read_run_folder(tmp_path / "b")
    assert machines(resumed) == ["2 cores of a processor", "None cores of other"]
    assert arithmetic_names(resumed) == ["not recorded", "cuda, encoder bfloat16, kernel triton"]
    write_run(tmp_path / "c", seed=3, origin=ORIGIN | other)
    assert warned(tmp_path, "Made on 2 kinds of machine")


def test_a_run_that_was_resumed_with_other_settings_is_named(tmp_path):
    change = {"from": 1, "to": 2}
    changed = {"learner.batch_size": change, "num_threads": change, "<b>": change}
    origin = ORIGIN | {"resumed": [ORIGIN | {"changed": changed}, ORIGIN | {"changed": [1]}]}
    path = write_run(tmp_path / "a", origin=origin)
    message = f"{path}: it was resumed with other settings than before: learner.batch_size."
    assert warned(tmp_path, message)


def test_runs_that_were_all_resumed_elsewhere_are_warned_of(tmp_path):
    origin = ORIGIN | {"resumed": [ORIGIN | {"hardware": {"cpu": "other", "cores": 2}}]}
    for seed in (1, 2):
        write_run(tmp_path / f"seed{seed}", seed=seed, origin=origin)
    assert warned(tmp_path, "Made on 2 kinds of machine")


@pytest.mark.parametrize(
    ("status", "text"),
    [("running", "still being written, or killed"), ("stopped", "has stopped before its end")],
)
def test_an_unfinished_run_is_named(tmp_path, status, text):
    write_run(tmp_path / "a", status=status)
    assert warned(tmp_path, text)


def test_what_a_run_lacks_is_named(tmp_path):
    whole, bare, cut = (write_run(tmp_path / str(seed), seed=seed) for seed in (1, 2, 3))
    (bare / "evaluation/first.json").unlink()
    (bare / "metrics.jsonl").unlink()
    (bare / "provenance.json").unlink()
    (cut / "metrics.jsonl").write_text((cut / "metrics.jsonl").read_text()[:-9])
    write_evaluation(whole, evaluation([0.9] * 500, updates=5))
    for text in (
        f"{bare}: no score, because it has no evaluation of 500 games",
        f"{bare}: no metrics",
        "1 runs have no provenance",
        f"{cut}: the last line of metrics.jsonl is cut short; the whole lines count",
        f"{whole}: its newest evaluation is of update 5, training went on to 10",
    ):
        assert warned(tmp_path, text), text
