"""One frame of the film: what is read at the left, what is made of it at the right."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from envs import canvas
from envs.canvas import PICTURE_SIZE, Floats, Frame
from experiment.nonfinite import first_nonfinite
from watch.memory_panel import MemoryPanel
from watch.memory_view import Memory
from watch.timelines import AGENT, Names, Timelines

WIDTH, HEIGHT = 1280, 720
EDGE = 24
TOP = 66
RIGHT = EDGE + PICTURE_SIZE[0] + EDGE
RIGHT_WIDTH = WIDTH - EDGE - RIGHT
MEMORY_HEIGHT = 364
BARS_WIDTH = 216


class Moment(NamedTuple):
    """What one frame shows: a row of the game, and what the policy made of it."""

    picture: Frame
    memory: Memory
    probabilities: Floats  # [A]
    action: int | None  # None where no action follows: the game is over
    value: float
    reward: float  # arrived with the picture
    start: bool  # the memory was wiped before this row
    caption: str


def refuse_nonfinite(caption: str, **numbers: NDArray[np.generic]) -> None:
    """Raises ValueError where a NaN or an infinity is in what a moment would show.

    Args:
        caption: of the moment.
        **numbers: by name, what is the cause of others first.
    """
    sums = {name: float(values.sum(dtype=np.float64)) for name, values in numbers.items()}
    wrong = first_nonfinite(sums)
    if wrong is not None:
        raise ValueError(f"{caption}: {wrong}, which no film can show")


class Dashboard:
    """Draws moments in order.

    Args:
        title: of the film.
        subtitle: after it, smaller.
        action_names: one per action.
        num_steps: steps that the timelines show.
        names: of what is drawn.
    """

    def __init__(
        self,
        title: str,
        subtitle: str,
        action_names: list[str],
        num_steps: int,
        names: Names = AGENT,
    ) -> None:
        self._action_names = action_names
        self._choices = names.choices
        self._memory = MemoryPanel(RIGHT_WIDTH, MEMORY_HEIGHT)
        self._timelines = Timelines(RIGHT_WIDTH - BARS_WIDTH - EDGE, num_steps, names)
        self._base = canvas.blank(WIDTH, HEIGHT)
        after = EDGE + canvas.text(self._base, (EDGE, 44), title, 24, bold=True) + 14
        canvas.text(self._base, (after, 44), subtitle, 15, canvas.MUTED)

    def draw(self, moment: Moment) -> Frame:
        """Returns the frame [HEIGHT, WIDTH, 3] of the next moment."""
        frame = self._base.copy()
        corner = (WIDTH - EDGE, 44)
        canvas.text(frame, corner, moment.caption, 15, canvas.INK, align="right")
        _draw_picture(frame, moment.picture)
        below = TOP + self._memory.draw(frame, (RIGHT, TOP), moment.memory) + EDGE
        height = TOP + PICTURE_SIZE[1] - below
        self._timelines.add(
            moment.memory, moment.probabilities, moment.value, moment.reward, moment.start
        )
        self._timelines.draw(frame, (RIGHT, below), height)
        self._draw_policy(frame, (WIDTH - EDGE - BARS_WIDTH, below), height, moment)
        return frame

    def _draw_policy(self, frame: Frame, at: tuple[int, int], height: int, moment: Moment) -> None:
        """Draws the probability of each action as a bar, the one taken in another colour."""
        canvas.text(frame, (at[0], at[1] + 15), self._choices, 13)
        room = (height - 22) / len(self._action_names)
        pitch = min(room, 24)
        for action, probability in enumerate(moment.probabilities):
            x, y = at[0], round(at[1] + 22 + action * pitch)
            tall = max(round(pitch) - 4, 1)
            taken = action == moment.action
            width = BARS_WIDTH - 90 - 42
            canvas.fill(frame, (x + 90, y), (width, tall), canvas.SURFACE)
            colour = canvas.ACCENT if taken else canvas.MUTED
            canvas.fill(frame, (x + 90, y), (round(width * float(probability)), tall), colour)
            if tall >= 8:  # or a word does not fit
                ink = canvas.INK if taken else canvas.MUTED
                name, size = self._action_names[action], min(12, tall)
                canvas.text(frame, (x, y + tall // 2 + 4), name, size, ink, bold=taken)
                share = f"{probability:.0%}"
                end = (x + BARS_WIDTH, y + tall // 2 + 4)
                canvas.text(frame, end, share, size, ink, align="right")


def _draw_picture(frame: Frame, picture: Frame) -> None:
    """Draws the game as large as whole pixels allow, in the middle of its place."""
    tall, wide = picture.shape[:2]
    scale = max(min(PICTURE_SIZE[0] // wide, PICTURE_SIZE[1] // tall), 1)
    at = (EDGE + (PICTURE_SIZE[0] - wide * scale) // 2, TOP + (PICTURE_SIZE[1] - tall * scale) // 2)
    canvas.paste(frame, at, picture, (scale, scale))
