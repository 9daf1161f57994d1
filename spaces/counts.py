"""How a count stands in a line with its noun."""


def plural(n: float, noun: str, nouns: str | None = None) -> str:
    """A count with its noun: "1 trial", "1,200 trials", "0.5 GPUs"; `nouns` where an s does not make several of it."""
    count = f"{int(n):,}" if n == int(n) else f"{n:,g}"
    return f"{count} {noun if n == 1 else nouns or noun + 's'}"
