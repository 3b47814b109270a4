"""Which runs are seeds of one thing: runs sorted into tasks, and within a task into cores.

A task is a game with its environment's settings, or a task with answers at one size. A core is
every other setting that can change a result, under a name that says what sets it apart: `rdn`,
`rdn-bptt1`, `rdn entropy_cost=0.003`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.plugins import BPTT_1
from comparison.run_kind import RunKind
from comparison.run_record import Config, RunRecord
from envs import Scores
from experiment.setting_roles import role_of
from experiment.settings import flat_values
from models.cores import CORES, resolved

Key = frozenset[tuple[str, object]]


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task under one setting of its own, and who ran it.

    Args:
        name: the task, and what sets it apart from others of the same canonical name.
        task: canonical name.
        kind: of its runs.
        scale: floor and ceiling of its scores, or None where none are known.
        runs: by core, in order of seeds.
    """

    name: str
    task: str
    kind: RunKind
    scale: Scores | None
    runs: dict[str, tuple[RunRecord, ...]]

    @property
    def scored(self) -> dict[str, tuple[RunRecord, ...]]:
        """Runs that have a score, by core; cores without any are left out."""
        kept = {c: tuple(r for r in runs if r.score) for c, runs in self.runs.items()}
        return {core: runs for core, runs in kept.items() if runs}

    @property
    def less_is_better(self) -> bool:
        """Whether its scores go down as a model learns."""
        return self.scale is not None and self.scale.ceiling < self.scale.floor

    @property
    def measures(self) -> Sequence[str]:
        """Names of what its evaluations measure, that of the score first."""
        first = next(iter(self.runs.values()))[0]
        return self.kind.measures(first.config)

    @property
    def measure(self) -> str:
        """What makes the score, as the label of an axis."""
        return self.measures[0].replace("_", " ") + ", less is better" * self.less_is_better

    def measured(self, core: str) -> NDArray[np.float64]:
        """Returns what makes the score, of every scored run of a core."""
        scores = [run.score for run in self.scored.get(core, ())]
        return np.array([s.value for s in scores if s], dtype=np.float64)

    def normalised(self, core: str) -> NDArray[np.float64]:
        """Returns the same on the task's scale, or as they are where there is none.

        To six decimals: rewards are float32, and a sum of them that is 1 reads 1.0000000149.
        """
        if self.scale is None:
            return self.measured(core)
        scores = [self.scale.normalise(x) for x in self.measured(core)]
        return np.array(scores, dtype=np.float64).round(6)


def settings(run: RunRecord) -> dict[str, Any]:
    """Returns the settings of a run that can change its result, by dotted name."""
    config = replace(run.config, core=resolved(run.config.core))  # as older runs meant it
    values = flat_values(asdict(config)) | {run.kind.task_setting: run.task}
    roles = run.kind.roles
    return {k: v for k, v in values.items() if role_of(k, roles) not in ("name", "incidental")}


def _key(run: RunRecord, prefix: str = "") -> Key:
    """Returns what is equal for runs of equal settings; what is null may also be left out."""
    of_run = settings(run).items()
    return frozenset((k, v) for k, v in of_run if k.startswith(prefix) and v is not None)


def core_name(config: Config) -> str:
    """Returns what a core is called where nothing else sets it apart."""
    return config.core.kind + (BPTT_1 if config.core.bptt == 1 else "")


def core_kind(core: str) -> str:
    """Returns the kind in a core's name."""
    return core.split(" ")[0].removesuffix(BPTT_1)


def core_rank(core: str) -> int:
    """Returns the place of a core among the built-in ones; guests come last."""
    kinds = list(CORES)
    return kinds.index(core_kind(core)) if core_kind(core) in CORES else len(kinds)


def group(runs: Iterable[RunRecord]) -> list[Task]:
    """Sorts runs into tasks and cores.

    Raises:
        ValueError: they are of several kinds, or two of them are the same run: a copy is no second
            seed.
    """
    runs = list(runs)
    kinds = {run.kind.name: run.name for run in runs}
    if len(kinds) > 1:
        found = "; ".join(f"{kind}, such as {name}" for kind, name in kinds.items())
        raise ValueError(f"runs of one kind are compared, and these are of several: {found}")
    by_task: dict[str, dict[Key, list[RunRecord]]] = {}
    for run in runs:
        key = _key(run, run.kind.task_part)
        by_task.setdefault(run.task, {}).setdefault(key, []).append(run)
    return [
        _task(suffix, members)
        for _, groups in sorted(by_task.items())
        for suffix, members in _named(list(groups.values()), of_task=True)
    ]


def differing(runs: Sequence[RunRecord], prefix: str = "") -> dict[str, list[Any]]:
    """Returns the settings that are not the same in all runs, with one value per run."""
    rows = [settings(run) for run in runs]
    names = dict.fromkeys(name for row in rows for name in row if name.startswith(prefix))
    columns = {name: [row.get(name) for row in rows] for name in names}
    return {name: values for name, values in columns.items() if len(set(values)) > 1}


def _named(
    groups: list[list[RunRecord]], *, of_task: bool = False
) -> list[tuple[str, list[RunRecord]]]:
    """Returns every group with what sets its settings, or the task's, apart from the others'."""
    first = [members[0] for members in groups]
    columns = differing(first, first[0].kind.task_part if of_task else "")
    suffixes = [
        "".join(f" {name.split('.')[-1]}={values[i]}" for name, values in columns.items())
        for i in range(len(groups))
    ]
    return list(zip(suffixes, groups, strict=True))


def _task(suffix: str, runs: list[RunRecord]) -> Task:
    first, kind = runs[0], runs[0].kind
    by_core: dict[str, dict[Key, list[RunRecord]]] = {}
    for run in runs:
        of_core = by_core.setdefault(core_name(run.config), {})
        of_core.setdefault(_key(run), []).append(run)
    cores: dict[str, tuple[RunRecord, ...]] = {}
    for core in sorted(by_core, key=lambda name: (core_rank(name), name)):
        for difference, members in _named(list(by_core[core].values())):
            if other := cores.get(name := core + difference):
                raise ValueError(
                    f"{other[0].name} and {members[0].name} differ in settings that read the same: "
                    f"both would be {name!r}; leave one out"
                )
            cores[name] = _distinct(members)
    return Task(
        name=kind.short_name(first.task) + suffix,
        task=first.task,
        kind=kind,
        scale=kind.scale(first.config),
        runs=cores,
    )


def _distinct(runs: list[RunRecord]) -> tuple[RunRecord, ...]:
    by_seed: dict[int, RunRecord] = {}
    for run in runs:
        other = by_seed.setdefault(run.config.seed, run)
        if other is not run:
            raise ValueError(
                f"{other.name} and {run.name} are the same run (seed {run.config.seed}, same "
                "settings): a copy is no second seed; leave one out"
            )
    return tuple(by_seed[seed] for seed in sorted(by_seed))
