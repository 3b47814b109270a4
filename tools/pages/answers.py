"""How cores do on tasks with known answers, from results/sequences, for docs/sequences.md."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from comparison.evaluation_record import Evaluation
from comparison.grouping import core_name, core_rank
from comparison.run_record import RunRecord
from comparison.task_file import read_task_file
from experiment.provenance import ROOT
from tools.pages.files import table

RESULTS = ROOT / "results" / "sequences"
FORMAL = "formal-"
TEXT = "text"
LONGER = {"args.min_length": 51, "args.max_length": 100}
RESET = {"context": "reset"}


def formal_block() -> str:
    """Returns a row for each language, and a column for each core."""
    files = {file: read_task_file(file) for file in sorted(RESULTS.glob(f"{FORMAL}*.json"))}
    cores = sorted({core_name(r.config) for runs in files.values() for r in runs}, key=core_rank)
    rows = [
        [_link(file, file.stem.removeprefix(FORMAL)), *(_scores(runs, core) for core in cores)]
        for file, runs in files.items()
    ]
    return table(["language", *(f"`{core}`" for core in cores)], rows)


def _scores(runs: Sequence[RunRecord], core: str) -> str:
    """Returns the mean score of a core's seeds, and that of longer strings."""
    own = [run for run in runs if core_name(run.config) == core and run.score is not None]
    usual = [run.score.value for run in own if run.score]
    longer = [e.value for run in own for e in run.others if e.settings == LONGER]
    means = ", ".join(f"{mean(values):.3f}" if values else "-" for values in (usual, longer))
    return f"{means} ({len(own)} seeds)" if len(own) > 1 else means


def answers_block() -> str:
    """Returns a row for each other task and core: its score, and those at other sizes."""
    apart = (FORMAL, TEXT)
    files = [file for file in sorted(RESULTS.glob("*.json")) if not file.name.startswith(apart)]
    rows = [row for file in files for row in _rows(file)]
    header = ["task", "core", "seeds", "M tokens", "as trained", "other sizes, same weights"]
    return table(header, rows)


def text_block() -> str:
    """Returns a row for each core that read the text, the best one first."""
    runs = [run for run in read_task_file(RESULTS / f"{TEXT}.json") if run.score is not None]
    header = ["core", "core parameters", "state bytes", "M tokens", "seeds", "carried", "reset"]
    return table(header, [_text_row(own) for own in sorted(_by_core(runs), key=_bits)])


def _by_core(runs: Sequence[RunRecord]) -> list[list[RunRecord]]:
    cores = dict.fromkeys(core_name(run.config) for run in runs)
    return [[run for run in runs if core_name(run.config) == core] for core in cores]


def _text_row(runs: Sequence[RunRecord]) -> list[str]:
    scores = [run.score for run in runs if run.score]
    reset = [e.value for run in runs for e in run.others if e.settings == RESET]
    return [
        f"`{core_name(runs[0].config)}`",
        f"{scores[0].size['core_parameters']:,}",
        f"{scores[0].size['state_bytes']:,}",
        f"{mean(score.done for score in scores) / 1e6:.0f}",
        _seeds(runs),
        _first(scores),
        _span(reset) if reset else "-",
    ]


def _bits(runs: Sequence[RunRecord]) -> float:
    return mean(run.score.value for run in runs if run.score)


def _rows(file: Path) -> list[list[str]]:
    runs = read_task_file(file)
    rows = []
    for core in sorted({core_name(run.config) for run in runs}, key=core_rank):
        own = [run for run in runs if core_name(run.config) == core and run.score is not None]
        tokens = mean(run.score.done for run in own if run.score) / 1e6
        scores = _measures([run.score for run in own if run.score])
        rows.append(
            [
                _link(file, file.stem),
                f"`{core}`",
                _seeds(own),
                f"{tokens:.0f}",
                scores,
                _others(own),
            ]
        )
    return rows


def _others(runs: Sequence[RunRecord]) -> str:
    """Returns what the runs came to under other settings than those of their score."""
    found: dict[str, list[Evaluation]] = {}
    for evaluation in (e for run in runs for e in run.others):
        found.setdefault(evaluation.variation, []).append(evaluation)
    return "; ".join(f"{name}: {_first(found[name])}" for name in sorted(found, key=_by_size))


def _by_size(variation: str) -> tuple[int, str]:
    return len(variation), variation


def _measures(evaluations: Sequence[Evaluation]) -> str:
    names = evaluations[0].measures
    return ", ".join(
        f"{name.replace('_', ' ')} {_span([e.measures[name] for e in evaluations])}"
        for name in names
    )


def _first(evaluations: Sequence[Evaluation]) -> str:
    return _span([e.value for e in evaluations])


def _span(values: Sequence[float]) -> str:
    """Returns the mean, and of several the least and the most."""
    several = f" ({min(values):.3f} to {max(values):.3f})" if len(values) > 1 else ""
    return f"{mean(values):.3f}{several}"


def _seeds(runs: Sequence[RunRecord]) -> str:
    return ", ".join(str(seed) for seed in sorted(run.config.seed for run in runs))


def _link(file: Path, text: str) -> str:
    return f"[{text}](/{file.relative_to(ROOT)})"
