"""What stands between runs and a conclusion: what is refused, and what the reader is told."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from agents.evaluation.grouping import Task
from agents.evaluation.run_record import RunRecord, default_episodes
from agents.evaluation.statistics import MIN_RUNS

BUDGET_TOLERANCE = 1.05  # runs end on a whole rollout, some frames apart


def refuse_incomparable(tasks: Sequence[Task]) -> None:
    """Raises ValueError, with the reason, where the runs support no comparison at all."""
    if not any(task.scored for task in tasks):
        raise ValueError(
            "no run has a score: evaluate them first (run_atari.py evaluate RUN, with its "
            "default number of games and sampled actions)"
        )
    cores = {core for task in tasks for core in task.scored}
    if len(cores) > 1 and all(len(task.scored) < 2 for task in tasks):
        have = "; ".join(f"{task.name}: {', '.join(task.scored)}" for task in tasks if task.scored)
        raise ValueError(f"nothing to compare: no two cores ran the same task ({have})")


def warnings(tasks: Sequence[Task]) -> list[str]:
    """Returns what a reader must know before believing the numbers, one sentence or two each."""
    runs = [run for task in tasks for members in task.runs.values() for run in members]
    found = [line for task in tasks for line in _of_task(task)]
    found += [line for run in runs for line in _of_run(run)]
    return [*found, *_of_origins(runs)]


def _of_task(task: Task) -> Iterator[str]:
    few = [f"{core} {len(runs)}" for core, runs in task.scored.items() if len(runs) < MIN_RUNS]
    if few:
        yield (
            f"{task.name}: fewer than {MIN_RUNS} seeds ({', '.join(few)}). No interval is drawn "
            "for these, and their order may be chance."
        )
    frames = {c: [r.score.frames for r in rs if r.score] for c, rs in task.scored.items()}
    every = [number for numbers in frames.values() for number in numbers]
    if every and max(every) > BUDGET_TOLERANCE * min(every):
        budgets = ", ".join(f"{core} {_millions(numbers)}" for core, numbers in frames.items())
        yield f"{task.name}: different budgets, in million frames: {budgets}."
    if task.scored and task.scale is None:
        yield f"{task.name}: no floor and ceiling are known; it is left out of the aggregates."
    used = [used for runs in task.runs.values() for used in _used(runs)]
    for setting in ("device", "encoder_precision", "core_kernel"):
        values = sorted({str(of[setting])[:100] for of in used if of.get(setting)})
        if len(values) > 1:
            yield f"{task.name}: runs differ in their {setting}: {', '.join(values)}."


def _of_run(run: RunRecord) -> Iterator[str]:
    if run.status == "running":
        yield f"{run.path}: still being written, or killed; what is there so far counts."
    elif run.status in ("stopped", "failed"):
        yield f"{run.path}: the run has {run.status} before its end."
    if run.metrics.is_cut:
        yield f"{run.path}: the last line of metrics.jsonl is cut short; the whole lines count."
    if not run.metrics.end:
        yield f"{run.path}: no metrics; it has no learning curve and no speed."
    if run.score is None:
        yield (
            f"{run.path}: no score, because it has no evaluation of {default_episodes(run.game)} "
            "games with sampled actions and the other default settings."
        )
    elif run.metrics.end.get("updates", 0) > run.score.updates:
        yield (
            f"{run.path}: its newest evaluation is of update {run.score.updates:,}, training went "
            f"on to {run.metrics.end['updates']:,.0f}."
        )


def _of_origins(runs: Sequence[RunRecord]) -> Iterator[str]:
    """Yields what differs between the origins of the runs."""
    unknown = [run for run in runs if "source_hash" not in run.origin]
    if unknown:
        yield f"{len(unknown)} runs have no provenance.json: their code and machine are unknown."
    versions = Counter(code for run in runs if run not in unknown for code in source_hashes(run))
    if len(versions) > 1:
        counts = ", ".join(f"{name} ({count} runs)" for name, count in versions.most_common())
        yield f"Made by {len(versions)} versions of the code (source hash): {counts}."
    dirty = sum(any(of.get("dirty") is True for of in sessions(run)) for run in runs)
    if dirty:
        yield f"{dirty} runs were made from a work tree with uncommitted changes."
    machines = {machine(run) for run in runs if run not in unknown}
    if len(machines) > 1:
        yield f"Made on {len(machines)} kinds of machine: speeds and wall times do not compare."


def _used(runs: Sequence[RunRecord]) -> Iterator[dict[str, object]]:
    """Yields what each session computed with, where known; feedforward has no core_kernel."""
    for run in runs:
        for session in sessions(run):
            used = session.get("arithmetic")
            if isinstance(used, dict):
                yield used


def sessions(run: RunRecord) -> list[dict[str, object]]:
    """Returns what a run says of where it began, and of where it was resumed each time."""
    resumed = run.origin.get("resumed")
    later = resumed if isinstance(resumed, list) else []
    return [run.origin, *(session for session in later if isinstance(session, dict))]


def source_hashes(run: RunRecord) -> list[str]:
    """Returns the versions of the code that a run was made by, shortened."""
    named = [str(of["source_hash"])[:8] for of in sessions(run) if "source_hash" in of]
    return list(dict.fromkeys(named))


def machine(run: RunRecord) -> str:
    """Returns the processors and GPUs that a run names, or "unknown"."""
    return _then(_machine(session) for session in sessions(run))


def arithmetic(run: RunRecord) -> str:
    """Returns the devices, encoder precisions and kernels of a run, or "not recorded"."""
    return _then(_arithmetic(session) for session in sessions(run))


def _then(of_sessions: Iterable[str]) -> str:
    return ", then ".join(dict.fromkeys(of_sessions))


def _machine(session: dict[str, object]) -> str:
    hardware = session.get("hardware")
    if not isinstance(hardware, dict):
        return "unknown"
    parts = [f"{hardware.get('cores')} cores of {hardware.get('cpu')}", hardware.get("gpu")]
    return ", ".join(str(part)[:100] for part in parts if part)


def _arithmetic(session: dict[str, object]) -> str:
    used = session.get("arithmetic")
    if not isinstance(used, dict):
        return "not recorded"
    precision, kernel = used.get("encoder_precision"), used.get("core_kernel")
    parts = [used.get("device"), f"encoder {precision}", f"kernel {kernel}" if kernel else None]
    return ", ".join(str(part)[:100] for part in parts if part)


def _millions(frames: Sequence[int]) -> str:
    low, high = min(frames) / 1e6, max(frames) / 1e6
    return f"{low:.2f}" if high <= BUDGET_TOLERANCE * low else f"{low:.2f} to {high:.2f}"
