"""What is kept and said of an evaluation: files that are never written over, and a summary."""

from pathlib import Path
from typing import Any

from agents.evaluation.evaluate import EvaluationConfig, num_games
from experiment.checkpoint import newest_number, numbered
from experiment.live import duration
from experiment.result_folder import RESULTS, write_result


def save_result(folder: Path, result: dict[str, Any], config: EvaluationConfig) -> Path:
    """Writes a result, never over an earlier one; returns where."""
    return write_result(folder, result_name(result["game"], result["updates"], config), result)


def kept_checkpoints(run: Path) -> list[Path]:
    """Returns the checkpoints of a run folder, oldest first.

    Raises:
        ValueError: there is none.
    """
    newest_number(run / "checkpoints")  # refuses a folder without any
    return numbered(run / "checkpoints")


def result_path(run: Path, game: str, updates: int, config: EvaluationConfig) -> Path:
    """Returns where the first result of a checkpoint's evaluation is written."""
    return run / RESULTS / result_name(game, updates, config)


def result_name(game: str, updates: int, config: EvaluationConfig) -> str:
    """Returns the name of the first result of a checkpoint's evaluation."""
    how = "greedy" if config.greedy else "sampled"
    name = f"{updates:012d}-{config.backend}-{how}-{num_games(game, config)}-{config.seed}"
    return "-".join([name, *config.limits]) + ".json"


def summary(result: dict[str, Any]) -> str:
    """Returns what a person wants to read of a result."""
    num, error, scale = len(result["episodes"]["return"]), result["standard_error"], result["scale"]
    lines = [
        f"{result['game']}, {result['core']} after {result['frames']:,} frames, {num} games",
        f"mean return       {result['mean_return']:.2f}"
        + (f" +- {error:.2f} (standard error)" if error is not None else "")
        + ("" if scale is None else f"  {_ends(scale)}"),
        f"min, max          {result['min_return']:.2f}, {result['max_return']:.2f}",
    ]
    if result["per_life_mean_return"] is not None:
        lines.append(f"mean per life     {result['per_life_mean_return']:.2f}")
    if scale is not None:
        lines.append(
            f"normalised        {result['normalised']:.3f}  (0 is {', 1 is '.join(scale)})"
        )
    if result["cut_games"]:
        limit = result["settings"]["max_steps"]
        lines.append(f"cut               {result['cut_games']} of {num} games at {limit:,} steps")
    steps, seconds = sum(result["episodes"]["steps"]), result["seconds"]
    lines.append(
        f"speed             {steps / seconds:,.0f} steps/s: {steps:,} steps in {duration(seconds)}"
    )
    return "\n".join(lines)


def points(score: float) -> str:
    """Returns a score in four digits, or in more where more stand before its point."""
    return f"{score:.4g}" if abs(score) < 1000 else f"{score:.1f}".removesuffix(".0")


def _ends(scale: dict[str, float]) -> str:
    return ", ".join(f"{name} {points(score)}" for name, score in scale.items())
