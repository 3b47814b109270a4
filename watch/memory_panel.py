"""The memory beside the picture: every head's fast weights, or every tensor of another state.

Left of a matrix stands the key that the step wrote at, right of it the query that it read at: a
row of the matrix is what is stored under one key.
"""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from envs import canvas
from envs.canvas import Floats, Frame
from watch.memory_view import FastWeights, Memory, Units

LABEL = 24  # pixels above a heat map, for its label
STRIP = 8  # width of a key or query
GAP = 3  # between a strip and its matrix
MARGIN = 14  # between two heads
WIDE = 120  # pixels that the whole label of a head takes beside its strength
TITLE = 30  # pixels of the panel's own title
AFTER_TITLE = 116  # pixels from its left, where it says that not all is shown
MIN_SIDE = 8  # pixels of a map; smaller ones would show nothing, and are left out


class Grid(NamedTuple):
    """How the heads of all matrices are laid out."""

    columns: int
    side: int  # of a matrix, in pixels
    height: int  # of the whole


class MemoryPanel:
    """Draws a memory; colours keep their meaning, because a row's limit only ever grows.

    Args:
        width: of the panel in pixels.
        height: the most it may take.
    """

    def __init__(self, width: int, height: int) -> None:
        self.width = width
        self.max_height = height
        self._limits: dict[str, float] = {}

    def draw(self, frame: Frame, at: tuple[int, int], memory: Memory) -> int:
        """Draws the memory after a step, its first layers where not all fit.

        Returns:
            The height it took in pixels, never more than the panel may take.
        """
        if not memory:
            return self._no_memory(frame, at)
        rows = memory[: self._most(memory)]
        for row in rows:
            values = row.weights if isinstance(row, FastWeights) else row.activity
            largest = float(np.abs(values).max())
            self._limits[row.label] = max(self._limits.get(row.label, 1e-3), largest)
        if len(rows) < len(memory):
            words = f"the first {len(rows)} of {len(memory)} tensors"
            canvas.text(frame, (at[0] + AFTER_TITLE, at[1] + 16), words, 12, canvas.MUTED)
        if isinstance(rows[0], Units):
            return self._units(frame, at, rows)
        return self._fast_weights(frame, at, rows)

    def _most(self, memory: Memory) -> int:
        """Returns how many tensors fit: units beside one another, fast weights below."""
        if isinstance(memory[0], Units):
            return self.width // (MIN_SIDE + MARGIN)
        return (self.max_height - TITLE) // (MIN_SIDE + LABEL)

    def _no_memory(self, frame: Frame, at: tuple[int, int]) -> int:
        height = 96
        canvas.box(frame, at, (self.width, height), canvas.SURFACE)
        middle = (at[0] + self.width // 2, at[1] + height // 2 + 6)
        words = "this policy has no memory"
        canvas.text(frame, middle, words, 16, canvas.MUTED, align="centre")
        return height

    def _units(self, frame: Frame, at: tuple[int, int], rows: Sequence[Units]) -> int:
        canvas.text(frame, (at[0], at[1] + 16), "State", 15, bold=True)
        maps = [_square(row.activity) for row in rows]
        room = min(self.width // len(rows) - MARGIN, self.max_height - TITLE - LABEL)
        side = room // maps[0].shape[0] * maps[0].shape[0] or room
        for i, (row, values) in enumerate(zip(rows, maps, strict=True)):
            x, y = at[0] + i * (self.width // len(rows)), at[1] + TITLE
            limit = self._limits[row.label]
            label = f"{row.label}, {row.activity.size} units, colours to ±{limit:.2f}"
            canvas.text(frame, (x, y + LABEL - 8), label, 12, canvas.MUTED)
            canvas.paste(frame, (x, y + LABEL), _resized(canvas.heat(values, limit), side, side))
        return TITLE + LABEL + side

    def _fast_weights(self, frame: Frame, at: tuple[int, int], rows: Sequence[FastWeights]) -> int:
        _legend(frame, at, self.width)
        num_heads, size, _ = rows[0].weights.shape
        grid = layout(len(rows), num_heads, size, self.width, self.max_height - TITLE)
        lines = -(-num_heads // grid.columns)
        for i, row in enumerate(rows):
            for head in range(num_heads):
                line, column = divmod(head, grid.columns)
                x = at[0] + column * (self.width // grid.columns)
                y = at[1] + TITLE + (i * lines + line) * (LABEL + grid.side)
                self._head(frame, (x, y), row, head, grid.side)
        return TITLE + grid.height

    def _head(
        self, frame: Frame, at: tuple[int, int], row: FastWeights, head: int, side: int
    ) -> None:
        """Draws the key, the matrix and the query of one head, under its label."""
        x, y = at[0], at[1] + LABEL
        end = x + side + 2 * (STRIP + GAP)
        label = f"{row.label} head {head + 1}" if end - x >= WIDE else f"{head + 1}"
        canvas.text(frame, (x, y - 8), label, 11, canvas.MUTED)
        strength = f"β {row.strength[head]:.2f}"
        canvas.text(frame, (end, y - 8), strength, 12, canvas.WRITE, bold=True, align="right")
        matrix = canvas.heat(row.weights[head], self._limits[row.label])
        key, query = (
            canvas.glow(np.sqrt(np.abs(vector[head]))[:, None], colour)  # the root shows faint ones
            for vector, colour in ((row.key, canvas.WRITE), (row.query, canvas.READ))
        )
        canvas.paste(frame, (x, y), _resized(key, STRIP, side))
        canvas.paste(frame, (x + STRIP + GAP, y), _resized(matrix, side, side))
        canvas.paste(frame, (end - STRIP, y), _resized(query, STRIP, side))


def layout(num_rows: int, num_heads: int, size: int, width: int, height: int) -> Grid:
    """Returns the grid whose matrices are largest, with whole pixels a weight where they fit.

    Args:
        num_rows: matrices per head.
        num_heads: H.
        size: D, side of a matrix.
        width: pixels there are.
        height: likewise.
    """
    grids = []
    for columns in range(1, num_heads + 1):
        lines = num_rows * -(-num_heads // columns)
        across = width // columns - 2 * (STRIP + GAP) - MARGIN
        room = max(min(across, height // lines - LABEL), 1)
        side = room // size * size or room
        grids.append(Grid(columns, side, lines * (LABEL + side)))
    return max(grids, key=lambda grid: (grid.side, grid.columns))


def _legend(frame: Frame, at: tuple[int, int], width: int) -> None:
    """Writes the panel's title and what its colours mean."""
    y = at[1] + 16
    canvas.text(frame, (at[0], y), "Fast weights", 15, bold=True)
    x = at[0] + width - MARGIN
    for words, colour in (("read at the query", canvas.READ), ("written at the key", canvas.WRITE)):
        x -= canvas.text(frame, (x, y), words, 12, canvas.MUTED, align="right") + 16
        canvas.box(frame, (x, y - 10), (10, 10), colour, 3)
        x -= 22
    ramp = canvas.heat(np.linspace(-1, 1, 81, dtype=np.float32)[None], 1.0)
    x -= canvas.text(frame, (x, y), "+", 12, canvas.MUTED, align="right") + 6
    canvas.paste(frame, (x - 81, y - 9), ramp, (1, 9))
    canvas.text(frame, (x - 87, y), "-", 12, canvas.MUTED, align="right")


def _square(vector: Floats) -> Floats:
    """Returns a vector row by row in the smallest square that holds it, zeros at the end."""
    side = int(np.ceil(np.sqrt(vector.size)))
    return np.pad(vector, (0, side * side - vector.size)).reshape(side, side)


def _resized(image: Frame, width: int, height: int) -> Frame:
    """Returns an image of another size: pixels repeated, or averaged where it shrinks."""
    grows = height >= image.shape[0]
    how = cv2.INTER_NEAREST if grows else cv2.INTER_AREA
    return np.asarray(cv2.resize(image, (width, height), interpolation=how), np.uint8)
