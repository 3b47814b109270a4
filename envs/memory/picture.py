"""The picture of a memory task: what is in view, what was answered, and what would be if asked.

A tile is what an observation shows. Keys are letters; values are digits with a colour each.
"""

import colorsys
from typing import NamedTuple

import numpy as np

from envs import canvas
from envs.canvas import PICTURE_SIZE, Colour, Floats, Frame
from envs.memory.tasks import NO_QUESTION, Task, Tile
from envs.scene import Ask

LARGE, SMALL = 104, 40  # sides of the tile in view, and of one on the tape
PITCH, LINE = 53, 96  # from tile to tile and from line to line of the tape
TAPE, TALL = 210, 70  # top of its first tiles; a tile with its answer
COLUMNS = PICTURE_SIZE[0] // PITCH
ANSWERS = 200  # pixels for all that could be asked
WORDS = 46  # pixels above them, for what they are
MIN_LABEL = 8  # pixels of a question's answers, or its label does not fit
WRONG: Colour = (255, 92, 92)


class Answer(NamedTuple):
    """What was answered to a question, and what is right."""

    given: int
    right: int


class TaskPicture:
    """Draws the rows of one environment in order.

    Args:
        task: at the size that is played.
    """

    def __init__(self, task: Task) -> None:
        self._task = task
        self._height = min(ANSWERS // max(len(task.asks), 1), 44)  # of a question's answers
        self._top = PICTURE_SIZE[1] - self._height * len(task.asks)  # of all answers
        self._tape: list[tuple[Tile, Answer | None]] = []

    def draw(
        self, observation: Floats, start: bool, given: int | None, right: int, ask: Ask
    ) -> Frame:
        """Returns the picture [630, 480, 3] of a row.

        Args:
            observation: [size].
            start: an episode begins here.
            given: the action taken, None where none follows.
            right: the right one, or `NO_QUESTION`.
            ask: what the policy would answer to other observations.
        """
        tile = self._task.tile(observation)
        answer = None if given is None or right == NO_QUESTION else Answer(given, right)
        self._tape = [*([] if start else self._tape), (tile, answer)]
        picture = canvas.blank(*PICTURE_SIZE)
        self._draw_now(picture, tile, answer)
        self._draw_tape(picture)
        if self._task.asks:
            probabilities = ask(np.stack(list(self._task.asks.values())))
            self._draw_answers(picture, probabilities)
        return picture

    def _draw_now(self, picture: Frame, tile: Tile, answer: Answer | None) -> None:
        """Draws the row in view, large."""
        canvas.text(picture, (0, 14), "In view", 13, canvas.MUTED)
        canvas.text(picture, (LARGE + 18, 26 + LARGE // 2 + 10), tile.label, 28, bold=True)
        self._draw_tile(picture, (0, 26), tile.symbol, tile.value, LARGE)
        if answer is not None:
            x = PICTURE_SIZE[0] - LARGE
            canvas.text(picture, (x, 14), "Answer", 13, canvas.MUTED)
            self._draw_tile(picture, (x, 26), str(answer.given), answer.given, LARGE)
            _verdict(picture, (x - 28, 26 + LARGE // 2 + 14), answer, 38)

    def _draw_tape(self, picture: Frame) -> None:
        """Draws the last lines of the episode: as many as fit above what could be asked."""
        canvas.text(picture, (0, TAPE - 32), "This episode, answers below", 13, canvas.MUTED)
        bottom = self._top - WORDS if self._task.asks else PICTURE_SIZE[1]
        room = max((bottom - TAPE - TALL) // LINE + 1, 1)  # lines
        num_lines = -(-len(self._tape) // COLUMNS)
        first = max(num_lines - room, 0) * COLUMNS
        for i, (tile, answer) in enumerate(self._tape[first:]):
            line, column = divmod(i, COLUMNS)
            x, y = column * PITCH, TAPE + line * LINE
            middle = x + SMALL // 2
            canvas.text(picture, (middle, y - 6), tile.label, 12, canvas.MUTED, align="centre")
            self._draw_tile(picture, (x, y), tile.symbol, tile.value, SMALL)
            if answer is not None:
                self._draw_tile(picture, (x, y + SMALL + 4), str(answer.given), answer.given, 26)
                _verdict(picture, (x + 36, y + SMALL + 22), answer, 14)

    def _draw_answers(self, picture: Frame, probabilities: Floats) -> None:
        """Draws what the memory gives to each question now; a frame marks the right answer."""
        height, top = self._height, self._top
        width = min((PICTURE_SIZE[0] - 48) // self._task.num_actions, 100)
        words = "If it were asked now: probability of each answer"
        canvas.text(picture, (0, top - 34), words, 13, canvas.MUTED)
        for value in range(self._task.num_actions):
            middle = (48 + value * width + width // 2 - 2, top - 10)
            canvas.text(picture, middle, str(value), 12, self._colour(value), align="centre")
        shown = {tile.label: tile.value for tile, _ in self._tape if tile.value is not None}
        for i, (label, row) in enumerate(zip(self._task.asks, probabilities, strict=True)):
            y = top + height * i
            if height >= MIN_LABEL:
                canvas.text(picture, (0, y + height // 2 + 4), label, min(height, 14), bold=True)
            for value, probability in enumerate(row):
                at, size = (48 + value * width, y), (max(width - 6, 1), max(height - 6, 1))
                if shown.get(label) == value:
                    around = (at[0] - 2, at[1] - 2)
                    canvas.box(picture, around, (size[0] + 4, size[1] + 4), canvas.INK, 7)
                colour = _mixed(canvas.SURFACE, self._colour(value), float(probability))
                canvas.box(picture, at, size, colour, 6)

    def _draw_tile(
        self, picture: Frame, at: tuple[int, int], symbol: str, value: int | None, side: int
    ) -> None:
        """Draws a square with a symbol, in the colour of its value."""
        colour = canvas.SURFACE if value is None else self._colour(value)
        ink = canvas.INK if value is None else canvas.BACKGROUND
        canvas.box(picture, at, (side, side), colour, max(side // 7, 4))
        size = side // 2
        middle = (at[0] + side // 2, at[1] + (side + round(0.72 * size)) // 2)
        canvas.text(picture, middle, symbol, size, ink, bold=True, align="centre")

    def _colour(self, value: int) -> Colour:
        """Returns the colour of a value: hues around the circle, bright enough for dark ink."""
        red, green, blue = colorsys.hsv_to_rgb(value / self._task.num_actions + 0.09, 0.55, 0.98)
        return round(255 * red), round(255 * green), round(255 * blue)


def _verdict(picture: Frame, at: tuple[int, int], answer: Answer, size: int) -> None:
    """Draws a tick or a cross."""
    symbol, colour = ("✓", canvas.READ) if answer.given == answer.right else ("✗", WRONG)
    canvas.text(picture, at, symbol, size, colour, bold=True, align="centre")


def _mixed(ground: Colour, colour: Colour, share: float) -> Colour:
    """Returns the colour `share` of the way from ground to colour."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(ground, colour, strict=True))
    return red, green, blue
