"""What changed over the last steps: write strengths, choices, two numbers; a column per step."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np

from envs import canvas
from envs.canvas import Floats, Frame
from watch.memory_view import FastWeights, Memory

TITLE = 22  # pixels above a timeline, for its name
AXIS = 46  # pixels left of it, for its numbers
MAX_LANE = 14  # height of one head's strengths, or of one action's probability
MIN_PLOT = 30  # height of value and of reward
MIN_RULED = 3  # height of lanes that are ruled off from one another


class Names(NamedTuple):
    """What is drawn, in words: by default what an agent does.

    Args:
        choices: between which the model chooses.
        lanes: their probabilities over time.
        value: a number that each step has.
        reward: one that some steps have.
    """

    choices: str = "Policy"
    lanes: str = "Policy, a lane per action"
    value: str = "Value V(x)"
    reward: str = "Reward"


AGENT = Names()


class Timelines:
    """Keeps the last steps and draws them; the newest is the last column written.

    Args:
        width: in pixels.
        num_steps: steps in view.
        names: of what is drawn.
    """

    def __init__(self, width: int, num_steps: int, names: Names = AGENT) -> None:
        self._names = names
        self.num_steps = num_steps
        self.step_width = (width - AXIS) / num_steps
        self._width = width - AXIS
        self._rows: list[tuple[Floats, Floats, float, float, bool]] = []

    def add(
        self, memory: Memory, probabilities: Floats, value: float, reward: float, start: bool
    ) -> None:
        """Takes in one step: its strengths, policy [A], V(x), and the reward that came with x."""
        strengths = [row.strength for row in memory if isinstance(row, FastWeights)]
        lanes = np.concatenate(strengths) if strengths else np.zeros(0, np.float32)
        row = (lanes, probabilities, value, reward, start)
        self._rows = [*self._rows[1 - self.num_steps :], row]

    def draw(self, frame: Frame, at: tuple[int, int], height: int) -> None:
        """Draws all timelines below one another in `height` pixels."""
        lanes, policies, values, rewards, starts = zip(*self._rows, strict=True)
        x, y = at[0] + AXIS, at[1]
        strengths, policy = np.stack(lanes, axis=1), np.stack(policies, axis=1)
        room = height - 4 * TITLE - 2 * MIN_PLOT  # for lanes
        if len(strengths):
            now = f"mean {strengths[:, -1].mean():.2f}"
            self._name(frame, (x, y), "Write strength β, a lane per head", now, canvas.WRITE)
            y += TITLE
            y += self._lanes(frame, (x, y), strengths, room * 3 // 5, canvas.WRITE)
        now = f"likeliest {policy[:, -1].max():.0%}"
        self._name(frame, (x, y), self._names.lanes, now, canvas.INK)
        y += TITLE
        y += self._lanes(frame, (x, y), policy, room * 2 // 5, canvas.INK)
        half = (at[1] + height - y) // 2 - TITLE
        self._value(frame, (x, y), half, np.array(values, np.float32), starts)
        self._reward(frame, (x, y + TITLE + half), half, np.array(rewards, np.float32))

    def _lanes(
        self, frame: Frame, at: tuple[int, int], values: Floats, room: int, colour: canvas.Colour
    ) -> int:
        """Draws values [lanes, steps] in [0, 1], each a lane whose brightness is its value.

        Where `room` pixels cannot hold all of them, neighbours share a lane and are averaged.

        Returns:
            Their height in all.
        """
        x, y = at
        if len(values) > room:
            size = values.shape[1], room
            values = np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)
        lane = min(MAX_LANE, room // len(values))
        tall = lane * len(values)
        canvas.fill(frame, at, (self._width, tall), canvas.SURFACE)
        edges = np.rint(np.arange(values.shape[1] + 1) * self.step_width).astype(int)
        colours = canvas.glow(values, colour).repeat(lane, axis=0)
        canvas.paste(frame, at, colours.repeat(np.diff(edges), axis=1))
        if lane >= MIN_RULED:
            frame[y + lane - 1 : y + tall : lane, x : x + self._width] = canvas.BACKGROUND
        return tall

    def _value(
        self,
        frame: Frame,
        at: tuple[int, int],
        height: int,
        values: Floats,
        starts: Sequence[bool],
    ) -> None:
        """Draws V(x), interrupted where a game begins."""
        self._name(frame, at, self._names.value, f"{values[-1]:.2f}", canvas.COLD)
        low, high = _limits(values)
        self._area(frame, at, height, low, high)
        heights = (values - low) / (high - low) * (height - 4) + 2
        base = (at[0] + self.step_width / 2, at[1] + TITLE + height)
        cuts = [0, *np.flatnonzero(starts[1:]) + 1, len(values)]
        for first, last in pairwise(cuts):
            left = (base[0] + first * self.step_width, base[1])
            canvas.curve(frame, left, self.step_width, heights[first:last], canvas.COLD)

    def _reward(self, frame: Frame, at: tuple[int, int], height: int, rewards: Floats) -> None:
        """Draws every reward as a bar up or down from zero."""
        last = f"{rewards[-1]:+.3g}" if rewards[-1] else ""
        self._name(
            frame, at, f"{self._names.reward}; {self.num_steps} steps across", last, canvas.ACCENT
        )
        low, high = _limits(rewards)
        self._area(frame, at, height, low, high)
        pixels = height / (high - low)
        zero = at[1] + TITLE + round(high * pixels)
        for step in np.flatnonzero(rewards):
            tall = max(round(abs(rewards[step]) * pixels), 1)
            colour = canvas.ACCENT if rewards[step] > 0 else canvas.COLD
            corner = (round(at[0] + step * self.step_width), zero - tall * (rewards[step] > 0))
            canvas.fill(frame, corner, (max(round(self.step_width) - 1, 2), tall), colour)

    def _area(
        self, frame: Frame, at: tuple[int, int], height: int, low: float, high: float
    ) -> None:
        """Draws the ground of a timeline, its zero and its limits."""
        top = at[1] + TITLE
        canvas.fill(frame, (at[0], top), (self._width, height), canvas.SURFACE)
        zero = min(top + round(high / (high - low) * height), top + height - 1)
        canvas.fill(frame, (at[0], zero), (self._width, 1), canvas.GRID)
        for y, number in ((top + 10, high), (top + height, low)):
            canvas.text(frame, (at[0] - 6, y), f"{number:.2g}", 11, canvas.MUTED, align="right")

    def _name(
        self, frame: Frame, at: tuple[int, int], name: str, now: str, colour: canvas.Colour
    ) -> None:
        y = at[1] + TITLE - 7
        canvas.text(frame, (at[0], y), name, 13, canvas.INK)
        right = (at[0] + self._width, y)
        canvas.text(frame, right, now, 13, colour, bold=True, align="right")


def _limits(values: Floats) -> tuple[float, float]:
    """Returns the range of an axis that holds zero and all values, and is not empty."""
    low, high = min(float(values.min()), 0.0), max(float(values.max()), 0.0)
    return (low, high) if high > low else (low, low + 1.0)
