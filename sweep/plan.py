"""Which runs a sweep consists of: games x cores x variations x seeds.

A run lies in `<out>/<game>/<core>[-bptt1][-<field>=<value> ...]/seed<k>/`. It is the command that
a user would type: settings are resolved, and refused, by the parser of `train`.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from jsonargparse import ArgumentParser

from agents.evaluation.evaluate import EvaluationConfig, played_env
from agents.impala.config import TrainConfig
from agents.impala.crews import refuse_uneven
from agents.plugins import BPTT_1
from envs import canonical_game
from experiment.bounds import refuse_below
from experiment.files import file_name
from experiment.plugins import LOADED
from experiment.run_dir import TRIALS
from experiment.settings import (
    flat_values,
    plain_values,
    settings_from_arguments,
    settings_parser,
)
from models.cores import refuse_unused, resolved
from sweep.other_settings import refuse_other_settings

Settings = Mapping[str, str]
"""Values as typed, by the full name of their field."""
NO_SETTINGS: Settings = {}
Choice = tuple[str | None, str]
"""Game and core as typed; no game is the config's."""

SET_ELSEWHERE = {
    "game": "--games",
    "core.kind": "--cores",
    "seed": "--seeds",
    "run_dir": "--out",
}


@dataclass(frozen=True, kw_only=True)
class SweepConfig:
    """A matrix of runs and how it is worked off.

    Args:
        config: YAML file of the settings that all runs share.
        cores: kinds of core, comma-separated; `rdn-bptt1` is rdn with core.bptt 1, and a kind
            alone takes the config's core.bptt.
        out: folder of the run folders.
        seeds: runs of each kind, with seeds 1 to this.
        games: comma-separated; null is the config's game.
        vary: settings and their values, such as learner.entropy_cost=0.01,0.003; every
            combination is run.
        set: settings of all runs, such as total_frames=100000.
        tune: settings of step size and entropy cost that are tried for each game and core, on a
            seed of their own; the best trains the runs. 0 takes the config's.
        lengths: memory tasks: each run is evaluated at these lengths too, comma-separated.
        jobs: runs at a time; Ray decides by itself, and takes this for the estimate alone.
        processes: of each run, on one machine; they share its batch.
        launcher: processes of this machine, or tasks of a Ray cluster that shares its files.
        print: write what is left to do as shell commands, one run a line, and run nothing.
    """

    config: Path
    cores: str
    out: Path
    seeds: int = 5
    games: str | None = None
    vary: Sequence[str] = ()
    set: Sequence[str] = ()
    tune: int = 0
    lengths: str | None = None
    jobs: int = 1
    processes: int = 1
    launcher: Literal["local", "ray"] = "local"
    print: bool = False

    def __post_init__(self) -> None:
        refuse_below(self, 1, "seeds", "jobs", "processes")
        refuse_below(self, 0, "tune")
        if self.out.exists() and not self.out.is_dir():
            raise ValueError(f"out must be a folder, {self.out} is a file")


@dataclass(frozen=True, kw_only=True, slots=True)
class RunPlan:
    """One run: where it lies, what `train` is told, and how it is evaluated.

    Args:
        path: the run folder.
        arguments: of `train`, as typed.
        config: what they resolve to.
        evaluations: of the last checkpoint; the first is the run's score.
        working_dir: folder that relative paths in `arguments` start from.
        plugins: code from outside that it needs, and that the sweep's command line named.
        processes: that train it together.
    """

    path: Path
    arguments: tuple[str, ...]
    config: TrainConfig
    evaluations: tuple[EvaluationConfig, ...]
    working_dir: Path
    plugins: tuple[str, ...]
    processes: int = 1

    @property
    def group(self) -> str:
        """Name of the runs that differ from this one in their seed alone."""
        return "/".join(self.path.parts[-3:-1])

    @property
    def log(self) -> Path:
        """File of what its processes print."""
        return self.path.with_name(f"{self.path.name}.log")

    @property
    def name(self) -> str:
        """Name of the run within its sweep."""
        return "/".join(self.path.parts[-3:])


def choices(sweep: SweepConfig) -> list[Choice]:
    """Returns every game with every core."""
    games = sweep.games.split(",") if sweep.games else [None]
    return list(itertools.product(games, sweep.cores.split(",")))


def plan_runs(
    sweep: SweepConfig, tuned: Mapping[Choice, Settings] = MappingProxyType({})
) -> list[RunPlan]:
    """Returns all runs of a sweep, seed by seed, so that every core is seen early.

    Args:
        sweep: the matrix.
        tuned: settings that a choice has beside its own.

    Raises:
        ValueError: as `matrix`, or a run folder holds a run of other settings.
        ArgumentError: a value that `train` would refuse.
    """
    plans = matrix(sweep, tuned)
    for plan in plans:
        refuse_other_settings(plan.path, plan.config)
    return plans


def matrix(
    sweep: SweepConfig, tuned: Mapping[Choice, Settings] = MappingProxyType({})
) -> list[RunPlan]:
    """Returns the runs of `plan_runs`, whatever their folders hold.

    Raises:
        ValueError: an unknown game, core, field or value, a setting that a core has no use for, two
            runs of one folder or of the same settings.
        ArgumentError: a value that `train` would refuse.
    """
    if sweep.out.name.endswith(TRIALS):
        raise ValueError(f"out must not end in {TRIALS}, as folders of trials do: {sweep.out}")
    variations = _variations(sweep.vary)
    if both := _shared(sweep).keys() & variations[0].keys():
        raise ValueError(f"--set and --vary both give {', '.join(sorted(both))}")
    runs = itertools.product(range(1, sweep.seeds + 1), choices(sweep), variations)
    plans: dict[Path, RunPlan] = {}
    folders: dict[str, Path] = {}
    for seed, choice, variation in runs:
        own = tuned.get(choice, {})
        plan = plan_run(sweep, choice, seed, variation=variation, tuned=own)
        if plan.path in plans:
            raise ValueError(f"two runs of the sweep are {plan.path}; leave one out")
        other = folders.setdefault(
            repr(plain_values(replace(plan.config, run_dir=None))), plan.path
        )
        if other != plan.path:
            raise ValueError(f"{other} and {plan.path} would be the same run; leave one out")
        plans[plan.path] = plan
    return list(plans.values())


def plan_run(
    sweep: SweepConfig,
    choice: Choice,
    seed: int,
    *,
    variation: Settings = NO_SETTINGS,
    tuned: Settings = NO_SETTINGS,
) -> RunPlan:
    """Returns one run, whose folder is named after its variation; see `matrix`."""
    game, core = choice
    given = {**tuned, **_shared(sweep), **variation}
    if both := _core(core).keys() & given.keys():
        raise ValueError(
            f"--cores {core} gives {', '.join(both)}: leave it out of --set and --vary"
        )
    settings = {**_game(game), **_core(core), **given}
    arguments = [f"--{n}={v}" for n, v in ({"config": str(sweep.config)} | settings).items()]
    config = settings_from_arguments(TrainConfig, _parser(), arguments)
    refuse_unused(config.core.kind, settings)
    refuse_uneven(config, sweep.processes)
    folder = config.core.kind + (BPTT_1 if config.core.bptt == 1 else "")
    for name, value in variation.items():
        folder += "" if name == "core.bptt" else f"-{name.rpartition('.')[2]}={value}"
    path = sweep.out / file_name(canonical_game(config.game)) / file_name(folder) / f"seed{seed}"
    evaluations = tuple(EvaluationConfig(length=length) for length in _lengths(sweep.lengths))
    for evaluation in evaluations:
        played_env(canonical_game(config.game), config.env, evaluation)
    return RunPlan(
        path=path,
        arguments=(*arguments, f"--seed={seed}", f"--run_dir={path}"),
        config=replace(config, core=resolved(config.core), seed=seed, run_dir=str(path)),
        evaluations=evaluations,
        working_dir=Path.cwd(),
        plugins=tuple(name for name in (config.game, config.core.kind) if name in LOADED),
        processes=sweep.processes,
    )


@cache
def _parser() -> ArgumentParser:
    return settings_parser(TrainConfig, "Train an agent.")


def _game(game: str | None) -> Settings:
    return {} if game is None else {"game": game}


def _core(core: str) -> Settings:
    kind = core.removesuffix(BPTT_1)
    return {"core.kind": kind} | ({"core.bptt": "1"} if kind != core else {})


def _shared(sweep: SweepConfig) -> Settings:
    return {name: value for name, (value,) in _fields(sweep.set, "set", 1)}


def _lengths(lengths: str | None) -> list[int | None]:
    """Returns the lengths of a run's evaluations; None is the length trained at."""
    given = lengths.split(",") if lengths else []
    if not all(length.isdecimal() for length in given):
        raise ValueError(f"lengths must be whole numbers such as 40,100, got {lengths!r}")
    return [None, *map(int, given)]


def _variations(vary: Sequence[str]) -> list[Settings]:
    """Returns every combination of values."""
    fields = list(_fields(vary, "vary"))
    values = itertools.product(*(values for _, values in fields))
    names = [name for name, _ in fields]
    return [dict(zip(names, chosen, strict=True)) for chosen in values]


def _fields(
    given: Sequence[str], option: str, num_values: int | None = None
) -> Iterator[tuple[str, list[str]]]:
    """Yields field and values of each `field=value,...`."""
    known = flat_values(plain_values(TrainConfig()))
    seen = set()
    for text in given:
        name, _, values = text.partition("=")
        if not values:
            raise ValueError(f"--{option} takes field=value, got {text!r}")
        if name in SET_ELSEWHERE:
            raise ValueError(f"--{option} {name}: use {SET_ELSEWHERE[name]}")
        if name not in known and not name.startswith("core.args."):  # `train` knows these
            close = get_close_matches(name, known, n=3, cutoff=0.4)
            hint = f"; close: {', '.join(close)}" if close else ""
            raise ValueError(f"--{option}: unknown setting {name!r}{hint}")
        if name in seen:
            raise ValueError(f"--{option} {name} is given twice")
        seen.add(name)
        chosen = values.split(",")
        if num_values not in (None, len(chosen)):
            raise ValueError(f"--{option} {name} takes one value, got {values!r}; see --vary")
        yield name, chosen
