"""Small runs on tasks with answers, trained in no time."""

from dataclasses import replace

from experiment.checkpoint import load_newest
from models.cores import CoreConfig
from models.sequence_model import SequenceModelConfig
from sequences.config import BatchConfig, SequenceConfig, TaskConfig

TINY = CoreConfig(
    kind="rdn", num_layers=1, hidden_size=8, num_heads=2, feedforward_size=8, kernel="reference"
)
WHOLE = BatchConfig(sequences=8, lanes=4)
CARRIED = BatchConfig(lanes=4, segment_length=7)
LISTOPS = TaskConfig(kind="listops", args={"depth": 2})


def text_in(folder):
    """Returns the task of a new folder of files, with text in every split."""
    folder.mkdir()
    for number in range(80):
        (folder / f"{number}.py").write_text(f"x = {number}\n" * (number % 5 + 1))
    return TaskConfig(kind="text", args={"source": str(folder)})


def settings(task=LISTOPS, batch=WHOLE, total_tokens=2000, dropout=0.2, **others):
    values = {"task": task, "core": TINY, "batch": batch, "num_threads": 1} | others
    config = SequenceConfig(total_tokens=total_tokens, **values)
    model = SequenceModelConfig(embedding_size=8, dropout=dropout, precision="float32")
    return replace(config, model=model)


def saved(run):
    return load_newest(run / "checkpoints")
