"""The picture of a guest: its own, else the image that the policy sees, else a bar per number."""

from collections.abc import Callable
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from envs import canvas
from envs.canvas import PICTURE_SIZE, Frame
from envs.guest.env import GuestRows
from envs.scene import Ask
from envs.spec import EnvStep

TITLE = 64
EDGE = 24
MAX_PITCH = 40  # pixels from bar to bar
MIN_WORDS = 12  # of a bar, or its number does not fit


def picture_of(env: GuestRows) -> Callable[[EnvStep, int | None, Ask], Frame]:
    """Returns what draws the present row of a guest."""
    bars = Bars()

    def draw(step: EnvStep, action: int | None, ask: Ask) -> Frame:
        picture = env.render()
        if picture is not None:
            return _fitted(picture)
        observation = step.observation[0]
        if observation.ndim == 3:
            return _fitted(_coloured(observation.astype(np.uint8)))
        return bars.draw(observation.astype(np.float32))

    return draw


class Bars:
    """Draws vectors as bars from zero, on a scale that grows with what was seen."""

    def __init__(self) -> None:
        self._limit = 1e-6

    def draw(self, values: NDArray[np.float32]) -> Frame:
        """Returns the picture [630, 480, 3] of one vector."""
        self._limit = max(self._limit, float(np.abs(values).max()))
        frame = canvas.blank(*PICTURE_SIZE)
        middle = PICTURE_SIZE[0] // 2
        canvas.text(frame, (middle, 40), "What the agent sees", 18, align="centre")
        rows = min(len(values), PICTURE_SIZE[1] - TITLE - EDGE)
        pitch = min((PICTURE_SIZE[1] - TITLE - EDGE) / rows, MAX_PITCH)
        edges = [TITLE + round(row * pitch) for row in range(rows + 1)]
        for (top, below), some in zip(pairwise(edges), np.array_split(values, rows), strict=True):
            value = float(some[np.abs(some).argmax()])
            self._bar(frame, top, max(below - top - 2, 1), value)
        canvas.fill(frame, (middle, TITLE), (1, edges[-1] - TITLE), canvas.MUTED)
        return frame

    def _bar(self, frame: Frame, top: int, tall: int, value: float) -> None:
        middle, room = PICTURE_SIZE[0] // 2, PICTURE_SIZE[0] // 2 - EDGE
        canvas.fill(frame, (EDGE, top), (2 * room, tall), canvas.SURFACE)
        wide = round(abs(value) / self._limit * room)
        left = middle if value > 0 else middle - wide
        canvas.fill(frame, (left, top), (wide, tall), canvas.ACCENT if value > 0 else canvas.COLD)
        if tall >= MIN_WORDS:
            at = (PICTURE_SIZE[0] - EDGE - 6, top + tall // 2 + 4)
            canvas.text(frame, at, f"{value:.3g}", 12, canvas.INK, align="right")


def _coloured(planes: NDArray[np.uint8]) -> Frame:
    """Returns [height, width, 3] of an image [C, height, width]: its colours, or the last plane."""
    if len(planes) == 3:
        return np.ascontiguousarray(planes.transpose(1, 2, 0))
    grey: Frame = planes[-1][..., None].repeat(3, axis=-1)
    return grey


def _fitted(picture: Frame) -> Frame:
    """Returns a picture shrunk to its place where it is larger."""
    tall, wide = picture.shape[:2]
    scale = min(PICTURE_SIZE[0] / wide, PICTURE_SIZE[1] / tall)
    if scale >= 1:
        return picture
    size = (max(int(wide * scale), 1), max(int(tall * scale), 1))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
