"""The answer of a comparison: who is best where that can be told, and that it cannot elsewhere."""

from dataclasses import replace

import numpy as np
import pytest

from agents.impala.config import TrainConfig
from comparison.agent_runs import AGENTS
from comparison.answer import answer, verdicts
from comparison.evaluation_record import Evaluation
from comparison.grouping import Task
from comparison.report_table import Cell
from comparison.run_record import Metrics, RunRecord
from comparison.score_tables import by_memory, heat_map
from envs import family_of

LOW, HIGH = [0.58, 0.59, 0.6, 0.61, 0.62], [0.88, 0.89, 0.9, 0.91, 0.92]  # half a t interval: 0.02
WIDE = [0.6, 0.7, 0.8, 0.9, 1.0]  # 0.8 +- 0.196
CHANCE = [0.49, 0.495, 0.5, 0.505, 0.52]


NONE = np.zeros(0)
RUN = RunRecord(
    name="run",
    kind=AGENTS,
    task="",
    config=TrainConfig(),
    status="",
    origin={},
    metrics=Metrics(done=NONE, seconds=NONE, scores=NONE, is_cut=False, end={}),
    score=None,
    others=(),
)
SCORE = Evaluation(
    settings={},
    measures={"mean_return": 0.0},
    standard_error=None,
    num_examples=500,
    done=0,
    updates=0,
    date="",
    size={},
)


def compared(**tasks):
    """Tasks with a run for every return, by game and core."""
    return [
        Task(
            name=game,
            task=game,
            kind=AGENTS,
            scale=family_of(game).scores(game, RUN.config.env),
            runs={
                core: tuple(
                    replace(RUN, score=replace(SCORE, measures={"mean_return": x})) for x in returns
                )
                for core, returns in cores.items()
            },
        )
        for game, cores in sorted(tasks.items())
    ]


def marks(tasks, *cores):
    """The rows of the heat map, its bold numbers behind an asterisk."""
    rows = heat_map(tasks, cores).rows
    return [
        [cell if isinstance(cell, str) else "*" * cell.is_best + cell.text for cell in row]
        for row in rows
    ]


@pytest.mark.parametrize(
    ("lstm", "rdn", "said", "row"),
    [
        (
            LOW,
            HIGH,
            "On tmaze, rdn is clearly best, at 0.900; next is lstm, at 0.600.",
            ["rdn", "0.600", "*0.900"],
        ),
        (
            LOW[:3],
            HIGH[:4],
            "On tmaze, it cannot be told which core is best: with 3 to 4 seeds the order of the "
            "means may be chance, and 5 are the least that could tell.",
            ["cannot tell: 3 to 4 seeds", "≈ 0.590", "*0.895"],
        ),
        (
            WIDE,
            HIGH,
            "On tmaze, it cannot be told which core is best: rdn and lstm are too close.",
            ["cannot tell: intervals overlap", "≈ 0.800", "*0.900"],
        ),
        (
            [1.0] * 5,
            [1.0] * 5,
            "On tmaze, lstm and rdn tie at 1.000: this task does not tell them apart.",
            ["a tie: lstm and rdn", "*1.000", "*1.000"],
        ),
        (
            CHANCE,
            [0.51, 0.515, 0.52, 0.515, 0.51],
            "On tmaze, no core is clearly above chance: none can be called the better one.",
            ["none above chance", "≈ 0.502", "0.514"],
        ),
        (
            [0.5] * 2,
            [0.51] * 2,
            "On tmaze, no core is clearly above chance: none can be called the better one.",
            ["none above chance", "≈ 0.500", "0.510"],
        ),
    ],
    ids=["clear", "few seeds", "overlap", "tie", "chance", "chance, few seeds"],
)
def test_one_task_is_answered_in_one_sentence(lstm, rdn, said, row):
    tasks = compared(tmaze={"lstm": lstm, "rdn": rdn})
    assert answer(tasks) == said
    assert marks(tasks, "lstm", "rdn") == [["tmaze", *row]]


def test_a_mean_above_chance_whose_interval_reaches_it_is_not_called_the_best():
    """Two runs in five have learnt: the mean is 0.7, half the interval 0.34."""
    tasks = compared(tmaze={"lstm": CHANCE, "rdn": [0.5, 0.5, 0.5, 1.0, 1.0]})
    assert answer(tasks).startswith("On tmaze, no core is clearly above chance")


def test_a_core_that_is_clearly_above_chance_is_seen_behind_a_higher_mean():
    told = answer(compared(tmaze={"lstm": [1.0, 1.0, 1.0, 0.5, 0.5], "rdn": [0.75] * 5}))
    assert "too close" in str(told)


def test_of_several_tasks_the_core_that_is_never_beaten_is_named():
    tasks = compared(
        tmaze={"lstm": LOW, "rdn": HIGH},
        parity={"lstm": HIGH, "rdn": HIGH, "delta_net": LOW},
        control={"lstm": [0.9], "rdn": [0.8]},
    )
    assert answer(tasks) == (
        "rdn is the only core that is never clearly beaten on the 3 tasks; on control seeds are "
        "too few to tell."
    )
    assert marks(tasks, "lstm", "delta_net", "rdn") == [
        ["control", "cannot tell: 1 seed", "*0.900", "-", "≈ 0.800"],
        ["parity", "a tie: lstm and rdn", "*0.900", "0.600", "*0.900"],
        ["tmaze", "rdn", "0.600", "-", "*0.900"],
        # scores: control (0.9 - 0.125) / 0.875, the others 2 r - 1
        ["mean score of the 3 tasks", "", "0.629", "-", "0.790"],
        ["clearly beaten on", "", "1 of 3", "1 of 1", "0 of 3"],
    ]


def test_the_core_that_is_never_beaten_may_have_run_fewer_tasks():
    tasks = compared(tmaze={"lstm": LOW, "rdn": HIGH}, parity={"lstm": HIGH, "delta_net": LOW})
    said = answer(tasks)
    assert said == "rdn is the only core that is never clearly beaten on the 1 task that it ran."


def test_several_that_are_never_beaten_cannot_be_told_apart():
    tasks = {game: {"lstm": HIGH, "rdn": WIDE, "delta_net": LOW} for game in ("tmaze", "parity")}
    assert answer(compared(**tasks)) == (
        "It cannot be told which core is best: lstm and rdn are never clearly beaten on the 2 "
        "tasks."
    )


def test_where_each_is_beaten_somewhere_the_clear_wins_are_named():
    tasks = compared(tmaze={"lstm": LOW, "rdn": HIGH}, parity={"lstm": HIGH, "rdn": LOW})
    assert answer(tasks) == (
        "No core is best on all of the 2 tasks: each is clearly beaten somewhere; clearly best "
        "are lstm on parity and rdn on tmaze."
    )


@pytest.mark.parametrize(
    ("lstm", "rdn", "said"),
    [
        (CHANCE, CHANCE[::-1], "On none of the 2 tasks is any core clearly above chance"),
        (LOW[:2], HIGH[:2], "On none of the 2 tasks can it be told which core is best: seeds are"),
        (WIDE, HIGH, "On none of the 2 tasks can it be told which core is best: they are too"),
    ],
    ids=["chance", "few seeds", "overlap"],
)
def test_tasks_that_tell_nothing_name_nobody(lstm, rdn, said):
    tasks = {game: {"lstm": lstm, "rdn": rdn} for game in ("tmaze", "parity")}
    assert answer(compared(**tasks)).startswith(said)


def test_a_core_alone_is_held_against_nothing():
    tasks = compared(tmaze={"rdn": HIGH}, parity={"rdn": LOW})
    assert answer(tasks) == "Only rdn was scored: there is nothing to compare it with."
    assert marks(tasks, "rdn") == [
        ["parity", "one core only", "0.600"],
        ["tmaze", "one core only", "0.900"],
    ]


def test_a_core_may_be_beaten_by_another_than_the_best():
    """The best has too few seeds to be above anyone; the second is clearly above the third."""
    (task,) = verdicts(compared(tmaze={"lstm": [0.95], "rdn": HIGH, "delta_net": LOW}))
    assert (task.best, task.unclear, task.beaten) == (["lstm"], ["rdn"], ["delta_net"])


def test_a_game_without_a_scale_has_an_answer_too():
    tasks = compared(**{"Adventure-v5": {"lstm": [9.1, 9.2, 9.3, 9.4, 9.5], "rdn": LOW}})
    said = "On Adventure-v5, lstm is clearly best, at 9.300; next is rdn, at 0.600."
    assert answer(tasks) == said
    ((*_, lstm, rdn),) = heat_map(tasks, ["lstm", "rdn"]).rows
    assert (lstm, rdn) == (Cell("9.300", None, True), Cell("0.600", None))


def test_a_number_is_the_darker_the_nearer_it_is_to_the_ceiling():
    tasks = compared(tmaze={"lstm": [0.4] * 5, "rdn": [0.75] * 5})
    ((_, _, lstm, rdn),) = heat_map(tasks, ["lstm", "rdn"]).rows
    assert (lstm.heat, rdn.heat) == (0.0, 0.5)


def test_scores_are_summarised_by_the_kind_of_memory():
    """Chance is 0.5 on parity and tmaze, 1 in 6 on S3; perfection is 1."""
    tasks = compared(
        parity={"lstm": [0.5, 0.5], "rdn": [1.0, 1.0]},
        word_problem_s3={"lstm": [1.0, 1.0], "rdn": [1 / 6, 1 / 6]},
        tmaze={"lstm": [0.75, 1.0]},
        control={"lstm": [0.9], "rdn": [0.9]},
    )
    table = by_memory(tasks, ["lstm", "rdn"])
    assert [row[:2] for row in table.rows] == [
        ["track", "parity, word_problem_s3"],
        ["keep", "tmaze"],
    ]
    texts = [[cell.text for cell in row[2:]] for row in table.rows]
    assert texts == [["0.500", "0.500"], ["0.750", "-"]]


def test_one_task_of_each_kind_is_no_summary():
    assert by_memory(compared(parity={"lstm": [0.5]}, tmaze={"lstm": [0.5]}), ["lstm"]) is None
    assert by_memory([], ["lstm"]) is None
