"""Films: images one after the other, as a GIF or an MP4."""

from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from spaces.errors import UserError

FILMS = (".gif", ".mp4")
"""The suffixes of films."""

FRAME_MS = 40
"""Milliseconds that a film shows each image, 25 a second; a GIF counts them in tens."""

MP4_SIDE = 256
"""Pixels at least along the side of an MP4: its colours have half of the sharpness, so that smaller images are enlarged."""


def write_film(images: NDArray[np.uint8], path: Path, suffix: str) -> None:
    """Write `images`, uint8 RGB (N, 3, R, R) with R even, to `path` as a film of the kind that `suffix` says.

    A GIF is shown over and over. Raises UserError where an MP4 is asked for and PyAV is not installed.
    """
    frames = images.transpose(0, 2, 3, 1)
    if suffix == ".gif":
        first, *rest = (Image.fromarray(frame) for frame in frames)
        first.save(path, format="gif", save_all=True, append_images=rest, duration=FRAME_MS, loop=0)
    else:
        _write_mp4(frames, path)


def check_film(output: Path) -> None:
    """Raise UserError if a film of the output's suffix can't be written, as its encoder is not installed."""
    if output.suffix == ".mp4":
        _encoder(output)


def _write_mp4(frames: NDArray[np.uint8], path: Path) -> None:
    """H.264, as browsers play it."""
    av = _encoder(path)
    scale = -(-MP4_SIDE // frames.shape[1])
    with av.open(str(path), "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=1000 // FRAME_MS)
        stream.width = stream.height = scale * frames.shape[1]
        stream.pix_fmt = "yuv420p"
        for frame in frames:
            enlarged = frame.repeat(scale, axis=0).repeat(scale, axis=1)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(enlarged, format="rgb24")))
        film.mux(stream.encode(None))


def _encoder(output: Path) -> ModuleType:
    try:
        import av
    except ImportError:
        raise UserError(
            f"output {output} needs PyAV, which is not installed: pip install 'understock[video]'; or write FILE.gif"
        ) from None
    return av
