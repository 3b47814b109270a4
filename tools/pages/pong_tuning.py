"""The tuning runs of Pong as a table, from `results/pong_tuning`."""

from typing import Any

from agents.impala.config import config_from_values
from experiment.settings import flat_values, plain_values
from tools.pages.files import ROOT, read_json, table

RESULTS = ROOT / "results" / "pong_tuning"
FIRST = "a01-drnn101-shipped"
"""The run whose settings the others changed: `configs/pong.yaml` as it was."""
COMPARED = ("learner", "policy", "mode", "exact_lag", "scatter_steps")
NUM_RETURNS = 5  # stretches of a run with games in them that the last return is the mean of


def tuning_block() -> str:
    """Returns the table: how each run differs from the first, and how it went."""
    runs = {path.stem: read_json(path) for path in sorted(RESULTS.glob("*.json"))}
    defaults = plain_values(config_from_values({"game": "Pong"}))  # of settings that came later
    first = _compared(defaults) | _compared(runs[FIRST]["settings"])
    return table(
        ["run", "core, seed", "other than the first", "frames", "return", "entropy"],
        [_row(name, run, first) for name, run in runs.items()],
    )


def _compared(settings: dict[str, Any]) -> dict[str, Any]:
    return flat_values({name: settings[name] for name in COMPARED if name in settings})


def _row(name: str, run: dict[str, Any], first: dict[str, Any]) -> list[str]:
    settings, curves = run["settings"], run["curves"]
    others = _compared(settings)
    differing = [
        f"`{key.removeprefix('learner.')}: {value}`"
        for key, value in others.items()
        if first.get(key) != value
    ]
    core = settings["core"]
    args = "".join(f", `{key}: {value}`" for key, value in core.get("args", {}).items())
    returns = [points for points in curves["return"] if points is not None][-NUM_RETURNS:]
    return [
        f"[{name}](/results/pong_tuning/{name}.json)",
        f"`{core['kind']}` {settings['seed']}{args}",
        ", ".join(differing) or "nothing",
        f"{curves['frames'][-1] / 1e6:.2f} M",
        f"{sum(returns) / len(returns):.1f}" if returns else "no game",
        f"{curves['entropy'][-1]:.2f}",
    ]
