"""Names that come from outside, as they may be shown: file names can hold anything but a slash and a zero."""

from typing import Annotated

from pydantic import BeforeValidator


def printable(text: str) -> str:
    """`text` with whatever a terminal would obey, or can't show, written as Python writes it; the rest stays.

    An escape becomes \\x1b, a mark that turns the reading direction \\u202e, a byte that is not UTF-8 \\xe9. Doing it
    twice changes nothing.
    """
    return "".join(character if character.isprintable() else _escaped(character) for character in text)


def _escaped(character: str) -> str:
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a file name that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return character.encode("unicode_escape").decode("ascii")


Shown = Annotated[str, BeforeValidator(lambda value: printable(value) if isinstance(value, str) else value)]
"""Text of a record that is printed some day: escaped when it is made, and when it is read from an older file."""
