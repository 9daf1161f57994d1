"""What the page of a report is made of: sections of text, figures, tables and images; and how values read in them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go


@dataclass(frozen=True)
class Sheet:
    """A table of text; folded ones stand behind their figure."""

    caption: str
    columns: list[str]
    rows: list[list[str]]
    folded: bool = True


@dataclass(frozen=True)
class Plot:
    """A figure, and what it shows in words for those who can't see it."""

    heading: str
    figure: go.Figure
    alt: str


@dataclass(frozen=True)
class Image:
    """A PNG as a data URI."""

    uri: str
    alt: str
    caption: str


@dataclass(frozen=True)
class Text:
    """A block of preformatted text, folded."""

    caption: str
    body: str


@dataclass(frozen=True)
class Block:
    """What a section says of one study, or of several together. `lead` is what is seen, in a sentence or two."""

    lead: str
    heading: str = ""
    """The name of the study that it is of; none where the section has but one block."""
    notes: Sequence[str] = ()
    """Paragraphs on how to read it."""
    commands: Sequence[tuple[str, str]] = ()
    """Pairs of a purpose and the command line that serves it."""
    facts: Sequence[tuple[str, str, str]] = ()
    """Triples of a label, a value and a remark."""
    plots: Sequence[Plot] = ()
    images: Sequence[Image] = ()
    sheets: Sequence[Sheet] = ()
    texts: Sequence[Text] = ()


@dataclass(frozen=True)
class Section:
    """One question, with a block for each study that has something to say to it."""

    anchor: str
    title: str
    blocks: Sequence[Block]
    lead: str = ""
    """What is said of all blocks together; nothing where there is one."""


def sheet(caption: str, frame: pd.DataFrame, names: dict[str, str], folded: bool = True) -> Sheet:
    """The frame as text, its columns called by `names`."""
    columns = [names.get(name, name) for name in frame.columns]
    cells = [[text(value) for value in frame[name]] for name in frame.columns]
    return Sheet(caption, columns, [list(row) for row in zip(*cells, strict=True)], folded)


def text(value: Any) -> str:
    """A value as it stands in a sentence or a table: 4 digits, thousands apart; a dash for what is missing."""
    if value is None or (not isinstance(value, str) and pd.isna(value)):
        return "–"
    if isinstance(value, float) and not value.is_integer():
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:,.4g}"
    return str(value) if isinstance(value, str | bool | np.bool_) else f"{int(value):,}"


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them."""
    if pd.isna(seconds):
        return "–"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def listed(values: Iterable[Any]) -> str:
    """Values with commas between, or a dash for none."""
    return ", ".join(map(text, values)) or "–"
