"""The picture of a MiniGrid game: the cells in view, as the agent sees them, from above.

The agent stands in the middle of the lowest row and looks up. Objects and colours have the numbers
of https://minigrid.farama.org/content/basic_usage, each a shape of its own.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from envs import canvas
from envs.canvas import PICTURE_SIZE, Colour, Frame

SIDE = 7  # cells in view, either way
CELL = 64  # pixels
TOP = 64
COLOURS: tuple[Colour, ...] = (
    (255, 92, 92),  # red
    (72, 214, 120),  # green
    (86, 150, 255),  # blue
    (190, 110, 255),  # purple
    (255, 214, 92),  # yellow
    (140, 150, 166),  # grey
)
FACING = ("east", "south", "west", "north")
UNSEEN, WALL, DOOR, KEY, BALL, BOX, GOAL, LAVA = 0, 2, 4, 5, 6, 7, 8, 9
OPEN_DOOR = 0  # state of a door
FLOOR: Colour = (34, 41, 54)
LAVA_COLOUR: Colour = (255, 140, 40)


def read_cells(observation: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Returns object, colour and state [row, column, 3] of an observation [SIDE * SIDE * 3 + 1]."""
    return observation[:-1].reshape(SIDE, SIDE, 3).swapaxes(0, 1)


def draw_grid(observation: NDArray[np.uint8]) -> Frame:
    """Returns the picture [630, 480, 3] of one observation."""
    frame = canvas.blank(*PICTURE_SIZE)
    canvas.text(frame, (PICTURE_SIZE[0] // 2, 40), "What the agent sees", 18, align="centre")
    left = (PICTURE_SIZE[0] - SIDE * CELL) // 2
    for row, cells in enumerate(read_cells(observation)):
        for column, cell in enumerate(cells):
            _cell(frame, (left + column * CELL, TOP + row * CELL), *(int(part) for part in cell))
    feet = (left + SIDE // 2 * CELL, TOP + (SIDE - 1) * CELL)
    points = np.array([(0.5, 0.12), (0.88, 0.9), (0.5, 0.74), (0.12, 0.9)]) * CELL + feet
    cv2.fillPoly(frame, [points.astype(np.int32)], canvas.INK, cv2.LINE_AA)
    below = TOP + SIDE * CELL + 40
    facing = f"It stands below, facing {FACING[int(observation[-1]) % len(FACING)]}"
    canvas.text(frame, (PICTURE_SIZE[0] // 2, below), facing, 15, canvas.MUTED, align="centre")
    return frame


def _cell(frame: Frame, at: tuple[int, int], what: int, colour: int, state: int) -> None:
    """Draws one cell; what is not seen is darkest."""
    inner, size = (at[0] + 1, at[1] + 1), (CELL - 2, CELL - 2)
    ink = COLOURS[min(colour, len(COLOURS) - 1)]
    whole = {UNSEEN: canvas.SURFACE, WALL: canvas.MUTED, GOAL: ink, LAVA: LAVA_COLOUR}
    canvas.fill(frame, inner, size, whole.get(what, FLOOR))
    draw = {DOOR: _door, KEY: _key, BALL: _ball, BOX: _box}.get(what)
    if draw is not None:
        draw(frame, at, ink, state)


def _ball(frame: Frame, at: tuple[int, int], ink: Colour, state: int) -> None:
    middle = (at[0] + CELL // 2, at[1] + CELL // 2)
    cv2.circle(frame, middle, CELL // 3, ink, -1, cv2.LINE_AA)


def _box(frame: Frame, at: tuple[int, int], ink: Colour, state: int) -> None:
    edge = CELL // 6
    canvas.fill(frame, (at[0] + edge, at[1] + edge), (CELL - 2 * edge, CELL - 2 * edge), ink)
    edge += 6
    canvas.fill(frame, (at[0] + edge, at[1] + edge), (CELL - 2 * edge, CELL - 2 * edge), FLOOR)
    canvas.fill(frame, (at[0] + edge, at[1] + CELL // 2 - 3), (CELL - 2 * edge, 6), ink)


def _key(frame: Frame, at: tuple[int, int], ink: Colour, state: int) -> None:
    x, y = at[0] + CELL // 2, at[1] + CELL // 4
    cv2.circle(frame, (x, y + 2), CELL // 7, ink, 5, cv2.LINE_AA)
    canvas.fill(frame, (x - 3, y + CELL // 7), (6, CELL // 2), ink)
    for tooth in (CELL // 2 - 8, CELL // 2 + 3):
        canvas.fill(frame, (x + 3, y + tooth), (10, 5), ink)


def _door(frame: Frame, at: tuple[int, int], ink: Colour, state: int) -> None:
    width = CELL // 6 if state == OPEN_DOOR else CELL - 8
    canvas.fill(frame, (at[0] + 4, at[1] + 4), (width, CELL - 8), ink)
    if state != OPEN_DOOR:
        canvas.fill(frame, (at[0] + CELL - 18, at[1] + CELL // 2 - 4), (8, 8), canvas.BACKGROUND)
