"""How figures look: a colour and a marker for each source, axes that readers can follow, names escaped."""

import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from spaces.config import SCRATCH
from spaces.protocol import Metric

# Okabe and Ito's palette, safe for the colour-blind; yellow last, for it is faint on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#B8A800")
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "pentagon", "star", "triangle-down", "hexagon")
_SLOTS = len(COLOURS) * len(SYMBOLS)
_APART = 5
"""So many colours come first and are furthest apart; where the sources are no more than that, they have no others."""
INK, FAINT = "#333333", "#e6e6e2"
BETTER_TO_WORSE = [(0.0, "#5aa7d6"), (0.5, "#f7f7f4"), (1.0, "#eda273")]
GOOD_TO_BAD = [(0.0, "#08306b"), (0.5, "#4f9bc8"), (1.0, "#dce6ee")]
"""One hue, dark to light: an order that every eye sees."""
_LOG_FROM = 15.0
"""An axis is logarithmic from where its highest value is so many times its lowest."""
_NAME_LENGTH = 18


@dataclass(frozen=True)
class Style:
    """How a source model is drawn."""

    colour: str
    symbol: str


def styles(sources: Iterable[str]) -> dict[str, Style]:
    """A style for each source, in the order given; 56 differ, and scratch always is the same grey cross.

    A name has a place of its own among the 56, and moves to another only where a name before it in the alphabet has its
    colour: so reports agree on many looks, and within one they are the same for all studies.
    """
    taken: dict[str, int] = {}
    names = dict.fromkeys(name for name in sources if name != SCRATCH)
    colours = _APART if len(names) <= _APART else len(COLOURS)
    for name in sorted(names):
        slots = [(zlib.crc32(name.encode()) + step) % _SLOTS for step in range(_SLOTS)]
        free = [slot for slot in slots if slot % len(COLOURS) < colours and slot not in taken.values()] or slots
        uses = {slot: sum(other % len(COLOURS) == slot % len(COLOURS) for other in taken.values()) for slot in free}
        taken[name] = min(free, key=uses.__getitem__)  # the first of those whose colour is used least
    drawn = {n: Style(COLOURS[taken[n] % len(COLOURS)], SYMBOLS[taken[n] % len(SYMBOLS)]) for n in names}
    return drawn | {SCRATCH: Style("#5c5c5c", "x")}


def blank(height: int) -> go.Figure:
    """An empty figure, as wide as its place."""
    axis = {
        "automargin": True,
        "gridcolor": FAINT,
        "zeroline": False,
        "ticklabelstandoff": 4,
        "title": {"font": {"size": 13}, "standoff": 8},
    }
    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 12, "r": 16, "t": 44, "b": 12},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "#ffffff",
            "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": INK},
            "legend": {
                "orientation": "h",
                "xref": "container",
                "x": 0,
                "xanchor": "left",
                "yref": "container",
                "y": 0,
                "yanchor": "bottom",
                "font": {"size": 12},
            },
            "hoverlabel": {"align": "left", "bgcolor": "#ffffff", "font": {"color": INK}},
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def by_source(rows: pd.DataFrame, looks: Mapping[str, Style]) -> Iterator[tuple[str, Style, pd.DataFrame]]:
    """Short name, style and rows of each source that has any, in the styles' order."""
    for source, look in looks.items():
        group = rows[rows["source"] == source]
        if len(group):
            yield short(source), look, group


def marker(look: Style, size: int = 10) -> dict[str, Any]:
    """How a source's points are drawn."""
    return {"color": look.colour, "symbol": look.symbol, "size": size, "opacity": 0.85}


def short(name: str) -> str:
    """A name for a legend or a tick, cut and escaped."""
    return escape(name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…")


def level_title(figure: go.Figure, text: str) -> go.Figure:
    """The axis' name above it, level, where it takes no width from the plot."""
    title = {"x": 0, "xref": "container", "xanchor": "left", "y": 0.98, "font": {"size": 13}, "text": text}
    return figure.update_layout(title=title)


def axis_title(metric: Metric) -> str:
    """What the metric is, and which way is better."""
    return f"{escape(metric.label)}, {metric.goal}"


def name_ticks(axis: go.layout.XAxis | go.layout.YAxis, names: Sequence[str]) -> go.layout.XAxis | go.layout.YAxis:
    """Names, escaped by the caller, at 0, 1, 2, ..."""
    return axis.update(tickvals=list(range(len(names))), ticktext=names, showgrid=False, ticks="", tickangle=0)


def scale(values: Sequence[float]) -> dict[str, Any]:
    """Axis settings: logarithmic, with ticks at 1, 2, 5, 10, ..., if values are positive and far apart; else linear."""
    if not values or min(values) <= 0 or max(values) / min(values) <= _LOG_FROM:
        return {"nticks": 7, "tickformat": ",~g"}
    return log_scale(values)


def log_scale(values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis over positive values, if there are any."""
    if not values:
        return {}
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in ((1, 2, 5) if len(decades) < 5 else (1,))]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks]}
