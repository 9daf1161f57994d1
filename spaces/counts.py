"""How a count stands in a line with its noun."""


def plural(n: int, noun: str, nouns: str | None = None) -> str:
    """A count with its noun: "1 trial", "1,200 trials"; `nouns` where an s at the end does not make several of it."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {nouns or noun + 's'}"
