"""Drawing on a frame: text, rounded boxes, curves and heat maps, fast enough for every frame.

A frame is uint8 [height, width, 3] RGB and is drawn on in place. Positions and sizes are (x, y)
in pixels from the upper left. A whole figure of matplotlib takes too long per frame; of it only
the font file is used.
"""

from functools import lru_cache
from pathlib import Path
from typing import Literal

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Frame = NDArray[np.uint8]
Floats = NDArray[np.float32]
Colour = tuple[int, int, int]
PICTURE_SIZE = (480, 630)
"""Of a game in a film: three times 160 x 210, the usual Atari screen."""

BACKGROUND: Colour = (11, 14, 20)
SURFACE: Colour = (20, 25, 34)
GRID: Colour = (42, 50, 64)
INK: Colour = (232, 236, 242)
MUTED: Colour = (140, 150, 166)
WRITE: Colour = (255, 107, 181)
READ: Colour = (72, 214, 176)
ACCENT: Colour = (255, 190, 92)
COLD: Colour = (86, 180, 255)

# Negative to positive; blue and orange stay apart for every kind of colour blindness.
_DIVERGING = (
    (190, 236, 255),
    (60, 160, 245),
    (24, 74, 140),
    SURFACE,
    (146, 66, 16),
    (246, 146, 36),
)
_STOPS = np.array([*_DIVERGING, (255, 232, 170)], np.float64)
_LEVELS = 255  # odd, so that zero has a level of its own
_PALETTE = np.stack(
    [np.interp(np.linspace(0, 6, _LEVELS), np.arange(7), _STOPS[:, c]) for c in range(3)], axis=-1
).astype(np.uint8)
_BRIGHTENING = 0.7  # exponent of a magnitude in [0, 1]
_FONTS = Path(matplotlib.get_data_path()) / "fonts/ttf"
_SMOOTHING = 4  # corners are drawn this much larger and shrunk


def blank(width: int, height: int) -> Frame:
    """Returns an empty frame."""
    return np.full((height, width, 3), BACKGROUND, np.uint8)


def heat(values: Floats, limit: float) -> Frame:
    """Returns signed values as colours [..., 3]: blue below zero, dark at it, orange above.

    Brightness grows faster near zero, so that small values show beside large ones.

    Args:
        values: any shape; NaN is drawn as zero is, which no weight of a sound policy is.
        limit: magnitude that gets the brightest colour, > 0.
    """
    share = np.clip(values / limit, -1.0, 1.0)
    share = np.sign(share) * np.abs(share) ** _BRIGHTENING
    level = np.nan_to_num((share + 1.0) * (0.5 * (_LEVELS - 1)), nan=0.5 * (_LEVELS - 1))
    colours: Frame = _PALETTE[np.rint(level).astype(np.intp)]
    return colours


def glow(values: Floats, colour: Colour) -> Frame:
    """Returns values in [0, 1] as colours [..., 3] between the surface's and `colour`."""
    share = np.clip(values, 0.0, 1.0)[..., None]
    return (np.array(SURFACE) * (1 - share) + np.array(colour) * share).astype(np.uint8)


def paste(frame: Frame, at: tuple[int, int], image: Frame, scale: tuple[int, int] = (1, 1)) -> None:
    """Copies an image into the frame, every pixel of it scale = (x, y) pixels large."""
    grown = image.repeat(scale[1], axis=0).repeat(scale[0], axis=1)
    x, y = at
    frame[y : y + grown.shape[0], x : x + grown.shape[1]] = grown


def fill(frame: Frame, at: tuple[int, int], size: tuple[int, int], colour: Colour) -> None:
    """Fills a rectangle."""
    x, y = at
    frame[y : y + size[1], x : x + size[0]] = colour


def box(
    frame: Frame, at: tuple[int, int], size: tuple[int, int], colour: Colour, radius: int = 8
) -> None:
    """Fills a rectangle with round corners."""
    _blend(frame, at, _box_mask(*size, radius), colour)


def text(
    frame: Frame,
    at: tuple[int, int],
    string: str,
    size: int = 13,
    colour: Colour = INK,
    *,
    bold: bool = False,
    align: Literal["left", "centre", "right"] = "left",
) -> int:
    """Writes a string whose capitals stand on y and begin, centre or end at x.

    Returns:
        Its width in pixels.
    """
    mask, left, top = _text_mask(string, size, bold)
    width = int(mask.shape[1])
    shift = {"left": 0, "centre": width // 2, "right": width}[align]
    _blend(frame, (at[0] + left - shift, at[1] + top), mask, colour)
    return width


def curve(
    frame: Frame, at: tuple[float, float], step: float, heights: Floats, colour: Colour
) -> None:
    """Draws a line through points `step` pixels apart, `heights` [N] pixels above `at`."""
    x = at[0] + step * np.arange(len(heights))
    points = np.stack([x, at[1] - heights], axis=-1)
    fixed = np.rint(points * 16).astype(np.int32)[:, None]  # 4 fractional bits
    cv2.polylines(frame, [fixed], False, colour, 2, cv2.LINE_AA, shift=4)


def _blend(frame: Frame, at: tuple[int, int], mask: Floats, colour: Colour) -> None:
    """Lays a colour over the frame where mask [h, w] in [0, 1] covers it, cut at the edges."""
    x, y = at
    x0, y0 = max(x, 0), max(y, 0)
    target = frame[y0 : max(y + mask.shape[0], 0), x0 : max(x + mask.shape[1], 0)]
    cover = mask[y0 - y :, x0 - x :][: target.shape[0], : target.shape[1], None]
    target[...] = np.rint(target * (1 - cover) + np.array(colour, np.float32) * cover)


@lru_cache(maxsize=256)
def _box_mask(width: int, height: int, radius: int) -> Floats:
    large = Image.new("L", (width * _SMOOTHING, height * _SMOOTHING))
    corner = (width * _SMOOTHING - 1, height * _SMOOTHING - 1)
    ImageDraw.Draw(large).rounded_rectangle((0, 0, *corner), radius * _SMOOTHING, fill=255)
    return _coverage(large.resize((width, height), Image.Resampling.BOX))


@lru_cache(maxsize=64)
def _font(size: int, bold: bool) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_FONTS / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"), size)


@lru_cache(maxsize=4096)
def _text_mask(string: str, size: int, bold: bool) -> tuple[Floats, int, int]:
    """Returns coverage [h, w] and where its corner lies relative to the start of the base line."""
    font = _font(size, bold)
    left, top, right, bottom = font.getbbox(string, anchor="ls")
    width, height = max(int(right - left), 1), max(int(bottom - top), 1)
    image = Image.new("L", (width, height))
    ImageDraw.Draw(image).text((-left, -top), string, font=font, fill=255, anchor="ls")
    return _coverage(image), int(left), int(top)


def _coverage(image: Image.Image) -> Floats:
    """Returns a grey image as shares in [0, 1]."""
    return np.asarray(image, np.float32) / np.float32(255)
