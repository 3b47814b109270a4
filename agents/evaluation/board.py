"""Scores and films of a run on its TensorBoard, in a run of their own beside that of training.

TensorBoard follows the newest file of a folder only: what came into that of training would hide
what training still writes there.
"""

from pathlib import Path
from typing import Any

from agents.evaluation.evaluate import EvaluationConfig
from experiment.files import folder_within
from experiment.result_folder import owner_folder

BOARD, NAME = "tensorboard", "evaluation"


def show_score(source: Path, result: dict[str, Any], config: EvaluationConfig) -> None:
    """Adds the result of an evaluation over the frames of its policy.

    Args:
        source: run folder, checkpoint or policy.safetensors; where training left no TensorBoard,
            nothing is done.
        result: of `evaluate`.
        config: how it was evaluated.
    """
    how = "greedy" if config.greedy else "sampled"
    tag = "_".join([f"evaluation/{how}", *config.limits, "mean_return_points"])
    _add(source, result["frames"], tag=tag, simple_value=result["mean_return"])


def show_film(source: Path, film: Path, frames: int) -> None:
    """Adds a film of a policy of so many frames.

    Args:
        source: of the policy; a run folder that has a TensorBoard, or something in it.
        film: .gif file.
        frames: of training behind the policy.
    """
    image = {"colorspace": 3, "encoded_image_string": film.read_bytes()}
    _add(source, frames, tag="film", image=image)


def has_board(source: Path) -> bool:
    """Returns whether training left a TensorBoard with the policy."""
    return (owner_folder(source) / BOARD).is_dir()


def _add(source: Path, frames: int, **value: Any) -> None:
    if not has_board(source):
        return
    from tensorboard.compat.proto.summary_pb2 import Summary  # which takes a second
    from torch.utils.tensorboard import SummaryWriter

    folder = folder_within(folder_within(owner_folder(source), BOARD), NAME)
    with SummaryWriter(str(folder)) as writer:
        summary = Summary(value=[Summary.Value(**value)])
        writer.file_writer.add_summary(summary, frames)
