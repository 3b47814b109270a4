"""Frames into a file: mp4 or gif through ffmpeg, and a PNG per frame."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Protocol

import imageio_ffmpeg
import numpy as np
from PIL import Image

from envs.canvas import Frame
from experiment.files import unused_path

# Flat colours stay flat: no dithering, and a palette of the film's own colours.
_GIF = "split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=none:diff_mode=rectangle"
_ENCODERS = {
    ".mp4": {
        "codec": "libx264",
        "output_params": ["-crf", "20", "-preset", "veryfast", "-movflags", "+faststart"],
    },
    ".gif": {"codec": "gif", "pix_fmt_out": "pal8", "output_params": ["-filter_complex", _GIF]},
}


class FrameSink(Protocol):
    """Takes the frames of a film in order."""

    def __call__(self, frame: Frame) -> None:
        """Takes one frame [height, width, 3]."""


class Film:
    """Takes the frames of a film in order.

    Args:
        path: where it lies when it is finished.
        write: takes a frame, contiguous in memory.
    """

    def __init__(self, path: Path, write: Callable[[Frame], None]) -> None:
        self.path = path
        self._write = write

    def __call__(self, frame: Frame) -> None:
        """Takes one frame; see `FrameSink`."""
        self._write(np.ascontiguousarray(frame))


@contextmanager
def video_writer(
    path: Path, size: tuple[int, int], fps: float, *, gives_way: bool = False
) -> Iterator[Film]:
    """Writes a film that is whole or absent: beside its place, renamed when it is finished.

    Args:
        path: .mp4 or .gif.
        size: width and height of every frame.
        fps: frames a second.
        gives_way: takes the next unused name where another film took its own meanwhile.

    Raises:
        ValueError: path exists, its folder does not, or it has another suffix.
    """
    check_new_file(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    options = _ENCODERS[path.suffix]
    encoder = imageio_ffmpeg.write_frames(
        str(temporary),
        size,
        fps=fps,
        quality=None,
        macro_block_size=1,
        ffmpeg_log_level="error",
        **options,
    )
    try:
        encoder.send(None)
        film = Film(path, encoder.send)
        yield film
        encoder.close()
        if gives_way:
            film.path = unused_path(path)
        check_new_file(film.path)  # another film may have been finished meanwhile
        temporary.rename(film.path)
    finally:
        encoder.close()
        with suppress(FileNotFoundError):
            temporary.unlink()


def check_new_file(path: Path) -> None:
    """Raises ValueError where a film cannot be written to path."""
    if path.suffix not in _ENCODERS:
        raise ValueError(f"out must end in {' or '.join(_ENCODERS)}, got {path}")
    if path.exists():
        raise ValueError(f"{path} exists already; give another out")
    if not path.parent.is_dir():
        raise ValueError(f"out: there is no folder {path.parent}")


def png_writer(folder: Path) -> FrameSink:
    """Returns a sink that writes 000000.png, 000001.png, ... into a new or empty folder.

    Raises:
        ValueError: something is in the folder, or it is none.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"frames must be a new or empty folder, got {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    count = 0

    def write(frame: Frame) -> None:
        nonlocal count
        Image.fromarray(frame).save(folder / f"{count:06d}.png")
        count += 1

    return write
