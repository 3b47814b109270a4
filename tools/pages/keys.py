"""How keys and write strengths decide parity: a table of docs/cores.md."""

from agents.impala.config import TrainConfig
from comparison.run_record import RunRecord
from comparison.task_file import read_task_file
from experiment.provenance import ROOT
from tools.pages.files import table

RESULTS = "results/keys/parity.json"


def keys_block() -> str:
    """Returns the section."""
    runs = sorted(read_task_file(ROOT / RESULTS), key=_settings)
    header = ["core", "`key_norm`", "`beta_range`", "seed", "share of right answers"]
    text = (
        f"Parity of 20 bits by `configs/memory/parity.yaml` with {_frames(runs[0]):,} "
        f"frames, single runs: the mean return over 500 episodes ([runs](/{RESULTS})). Chance is "
        "0.5."
    )
    return f"{text}\n\n{table(header, map(_row, runs))}"


def _frames(run: RunRecord) -> int:
    assert isinstance(run.config, TrainConfig)
    return run.config.total_frames


def _settings(run: RunRecord) -> tuple[str, str, str, int]:
    args = run.config.core.args
    return run.config.core.kind, str(args["key_norm"]), str(args["beta_range"]), run.config.seed


def _row(run: RunRecord) -> list[str]:
    kind, norm, strongest, seed = _settings(run)
    score = f"{run.score.value:.3f}" if run.score else ""
    return [f"`{kind}`", norm, strongest, str(seed), score]
