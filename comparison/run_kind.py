"""What a report must know of a sort of run: how to read it, its numbers, and its words for them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from comparison.evaluation_record import Evaluation
from envs import Scores
from experiment.setting_roles import setting_roles


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a report says of one kind of run.

    Args:
        measure: the number that makes a score, as the head of a column.
        mean: the same of several seeds, as a sentence begins.
        scores: how a score comes about, and what its scale is.
        curve: what a learning curve shows, in a word.
        curves: the same as a sentence begins.
        others_title, others: evaluations by other settings than those of the score.
        speed: what is measured of training.
        usual: what an evaluation must be to make the score of a task, by its name.
        evaluate: how a run is evaluated so.
    """

    measure: str
    mean: str
    scores: str
    curve: str
    curves: str
    others_title: str
    others: str
    speed: str
    usual: Callable[[str], str]
    evaluate: str


@dataclass(frozen=True, kw_only=True)
class RunKind:
    """One kind of run. A `task` here is a task's canonical name, `config` the settings of a run.

    Args:
        name: of such runs, in the plural.
        unit: what their length is counted in, and its tag in rows of metrics.
        units_per_step: task -> how many of them one step of a core is.
        Config: dataclass of their settings.
        task_setting: full name of the setting that names the task.
        task_part: the part of the settings that says more of the task.
        read_config: plain values -> settings; raises ValueError.
        task: config -> its task; raises ValueError.
        short_name: task -> what a report calls it.
        scale: config -> floor and ceiling of its scores, or None where none are known. The ceiling
            is below the floor where less is better.
        ends: task -> what floor and ceiling are.
        memory: task -> the kind of memory that it asks for, "" where none is known.
        published: task -> scores that others published, by who did.
        measures: config -> names of the numbers that an evaluation has, that of the score first.
        read_evaluation: (result, where, config) -> what a result file says; raises ValueError.
        num_examples: what a file of runs calls the number of examples behind an evaluation.
        curve: what a file of runs calls the columns of a learning curve.
        curve_tags: of rows of metrics: a curve is of the first that they have.
        best_tag: of the highest value of a curve, of full means alone where the games are
            known; None keeps none.
        end_tags: of the last row, what is kept.
        sizes: settings of an evaluation that make a task larger, by the full name of the setting
            that was trained with.
        words: for the reader.
    """

    name: str
    unit: str
    units_per_step: Callable[[str], int] = lambda task: 1
    Config: type
    task_setting: str
    task_part: str
    read_config: Callable[[Mapping[str, Any]], Any]
    task: Callable[[Any], str]
    short_name: Callable[[str], str] = lambda task: task
    scale: Callable[[Any], Scores | None]
    ends: Callable[[str], tuple[str, str]]
    memory: Callable[[str], str] = lambda task: ""
    published: Callable[[str], Mapping[str, float]] = lambda task: {}
    measures: Callable[[Any], Sequence[str]]
    read_evaluation: Callable[[Mapping[str, Any], str, Any], Evaluation]
    num_examples: str
    curve: tuple[str, str, str]
    curve_tags: Sequence[str]
    best_tag: str | None = None
    end_tags: Sequence[str]
    sizes: Mapping[str, str]
    words: Words

    @cached_property
    def roles(self) -> dict[str, str]:
        """The role of every setting, by full name."""
        return setting_roles(self.Config)

    @property
    def sign(self) -> str:
        """The part of a file of settings that tells that it is of this kind."""
        return self.task_setting.split(".")[0]
