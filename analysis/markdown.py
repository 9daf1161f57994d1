"""Text and tables as Markdown."""

from collections.abc import Iterator, Sequence


def plain(text: str) -> str:
    """The text with what Markdown would take for HTML escaped."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def words(text: str) -> str:
    """Text that others wrote, on one line, with every sign that Markdown could take for markup escaped."""
    signs = "\\`*_{}[]()#+!|~$"
    return plain("".join(f"\\{letter}" if letter in signs else letter for letter in " ".join(text.split())))


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table of text."""
    for row in (columns, ["---"] * len(columns), *rows):
        yield "| " + " | ".join(plain(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |"
