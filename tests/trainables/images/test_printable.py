import json
import os

import pytest

from trainables.images.domains import SkippedFile
from trainables.images.printable import printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cats/été 日本.png", "cats/été 日本.png"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\r\nb\t", r"a\r\nb\t"),
        ("\x9b1m", r"\x9b1m"),
        ("gnp.\u202eexe", r"gnp.\u202eexe"),
        (os.fsdecode(b"caf\xe9"), r"caf\xe9"),
        ("\U000e0041", r"\U000e0041"),
        (r"already\x1b", r"already\x1b"),
    ],
)
def test_what_a_terminal_would_obey_or_can_not_show_is_escaped_and_the_rest_stays(text, shown):
    assert printable(text) == shown
    assert printable(shown) == shown
    assert shown.isprintable()


def test_records_show_such_names_escaped_and_so_do_those_of_older_homes():
    made = SkippedFile(file="\x1b[31m", reason=os.fsdecode(b"\xff"))
    assert (made.file, made.reason) == (r"\x1b[31m", r"\xff")
    assert SkippedFile.parse(json.loads('{"file": "\\u001b", "reason": "a"}'), "test").file == r"\x1b"
