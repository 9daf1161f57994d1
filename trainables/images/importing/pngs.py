"""PNG files less what makes Pillow refuse them though their pixels are whole."""

import io
import zlib
from collections.abc import Iterator
from typing import BinaryIO

START = b"\x89PNG\r\n\x1a\n"
TEXT = (b"tEXt", b"zTXt", b"iTXt")
MAX_PROFILE = 2**20
"""Bytes of a colour profile, unpacked; for a larger one Pillow refuses the image."""


def pixels_alone(file: BinaryIO) -> BinaryIO | None:
    """A PNG less its text, and less a colour profile that is too large; None if it has neither.

    Pillow unpacks text and refuses the image beyond 1 MiB of it. Here nothing of it is unpacked.
    """
    spans, is_whole = [(len(START), len(START))], True
    for name, start, stop in _chunks(file):
        if name in TEXT or (name == b"iCCP" and _is_too_large(file, start, stop)):
            is_whole = False
        elif start == spans[-1][1]:
            spans[-1] = (spans[-1][0], stop)
        else:
            spans.append((start, stop))
    return None if is_whole else io.BytesIO(START + b"".join(_read(file, *span) for span in spans))


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and stop of every chunk that begins in the file, in order, to the one that ends an image."""
    start, name = len(START), b""
    while name != b"IEND":
        head = _read(file, start, start + 8)
        name, stop = head[4:], start + 12 + int.from_bytes(head[:4])  # length and name, content, a checksum
        if not name.isalpha():
            return
        yield name, start, stop
        start = stop


def _is_too_large(file: BinaryIO, start: int, stop: int) -> bool:
    packed = _read(file, start + 8, stop - 4).partition(b"\0")[2]  # after its name
    try:
        return len(zlib.decompressobj().decompress(packed[1:], MAX_PROFILE + 1)) > MAX_PROFILE
    except zlib.error:
        return False  # Pillow leaves out a profile that can't be unpacked


def _read(file: BinaryIO, start: int, stop: int) -> bytes:
    file.seek(start)
    return file.read(stop - start)
