"""Films a model that reads sequences: each token, its answer beside the right one, its memory."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from envs.canvas import Floats
from experiment.files import folder_within, unused_path
from experiment.result_folder import owner_folder
from models.cores import core_spec
from sequences.saved_model import SavedModel, load_model
from sequences.tasks import NO_ANSWER, Example, examples
from watch.config import FilmConfig
from watch.dashboard import HEIGHT, WIDTH, Dashboard, Moment, refuse_nonfinite
from watch.display import FilmDisplay
from watch.memory_view import Memory, MemoryView
from watch.sequence_picture import SequencePicture
from watch.timelines import Names
from watch.video import FrameSink, check_new_file, png_writer, video_writer

FPS = 3.0  # slow enough to read along
NUM_SEQUENCES = 4
NUM_STEPS = 60  # tokens that the timelines show
NAMES = Names(
    choices="Answers",
    lanes="Probability, a lane per answer",
    value="-log p of the right answer, nats; 0 where none counts",
    reward="Up: right, down: wrong",
)


class Said(NamedTuple):
    """What a model makes of one token."""

    memory: Memory
    probabilities: Floats  # [A]


def watch_sequences(source: Path, config: FilmConfig) -> Path:
    """Films sequences of the test split and returns the film's path.

    Args:
        source: run folder or checkpoint.
        config: how.

    Raises:
        ValueError: no model is there, or no place for the film.
    """
    if config.out is not None:
        check_new_file(config.out)
    saved = load_model(source)
    path = config.out or _default_path(source, saved, config)
    kind, core = saved.config.task.kind, saved.config.core.kind
    subtitle = f"{core} after {saved.tokens:,} tokens"
    dashboard = Dashboard(kind, subtitle, list(saved.task.answers), NUM_STEPS, NAMES)
    sinks: list[FrameSink] = [] if config.frames is None else [png_writer(config.frames)]
    fps = config.fps or FPS
    with (
        video_writer(path, (WIDTH, HEIGHT), fps, gives_way=config.out is None) as film,
        FilmDisplay(f"{kind} with {subtitle}, into {path}") as shown,
    ):
        for moment in islice(moments(saved, config), config.max_steps):
            frame = dashboard.draw(moment)
            shown.tell(moment.caption)
            for sink in (*sinks, film):
                sink(frame)
    return film.path


def moments(saved: SavedModel, config: FilmConfig) -> Iterator[Moment]:
    """Yields every token of the sequences that are filmed.

    Raises:
        ValueError: a probability is not finite, and cannot be drawn.
    """
    drawn = examples(saved.task, "test", config.seed)
    view = MemoryView(saved.model.core, core_spec(saved.config.core.kind).state_names)
    for number, example in enumerate(islice(drawn, config.episodes or NUM_SEQUENCES), 1):
        picture = SequencePicture(saved.task)
        right, asked = 0, 0
        for step, said in enumerate(read(saved, example, view)):
            token, wanted = int(example.tokens[step]), int(example.answers[step])
            given, counts = int(said.probabilities.argmax()), wanted != NO_ANSWER
            right, asked = right + (counts and given == wanted), asked + counts
            caption = f"sequence {number}   token {step + 1}   {right} of {asked} right"
            refuse_nonfinite(caption, probabilities=said.probabilities)
            yield Moment(
                picture=picture.draw(token, given, wanted),
                memory=said.memory,
                probabilities=said.probabilities,
                action=given,
                value=-log_of(said.probabilities[wanted]) if counts else 0.0,
                reward=(1.0 if given == wanted else -1.0) if counts else 0.0,
                start=step == 0,
                caption=caption,
            )


def log_of(probability: np.float32) -> float:
    """Returns a logarithm in nats, of 0 that of the smallest number: a curve has no infinity."""
    return float(np.log(max(probability, np.finfo(np.float32).tiny)))


@torch.inference_mode()
def read(saved: SavedModel, example: Example, view: MemoryView) -> Iterator[Said]:
    """Yields what a model makes of each token, its memory empty before the first.

    Args:
        saved: the model.
        example: what it reads.
        view: into the model's core; one for all examples, as the core keeps each that it gets.
    """
    model = saved.model
    every = torch.arange(len(saved.task.answers))
    state = model.initial_state(1)
    for step, token in enumerate(torch.from_numpy(example.tokens)):
        y, state = model(token.view(1, 1), state, torch.tensor([[step == 0]]))
        memory = view.read(state)
        log_prob = model.output(y[0].expand(len(every), -1), every).log_prob
        yield Said(memory, log_prob.exp().numpy())


def _default_path(source: Path, saved: SavedModel, config: FilmConfig) -> Path:
    """Returns an unused path in the folder of films beside the model."""
    folder = folder_within(owner_folder(source), "videos")
    return unused_path(folder / f"{saved.updates:012d}-{config.seed}.mp4")
