"""The order in which people expect names that hold numbers: "2" before "10", and "trial-2" before "trial-10"."""

import re


def natural(name: str) -> tuple[tuple[int, str], ...]:
    """The key to sort a name by: its text as text, and each number in it by its size."""
    parts = re.split(r"0*(\d+)", name)  # text and digits in turn, text first
    # Of two numbers without zeros in front the longer is the larger, and there is no limit to the digits, as int has one.
    return tuple((len(part) if place % 2 else 0, part) for place, part in enumerate(parts))
