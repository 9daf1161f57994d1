"""Figures of a study: each a function from a table of `analysis.tables` to a plotly figure, with nothing computed.

A source model has one colour and one marker everywhere; scratch is always the same grey cross.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.page import text
from analysis.tables import Metric
from spaces.config import SCRATCH

# Okabe and Ito's palette, safe for the colour-blind; yellow last, for it is faint on white
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#B8A800")
_SYMBOLS = ("circle", "square", "triangle-up", "diamond", "pentagon", "star", "triangle-down", "hexagon")
_INK, _FAINT = "#333333", "#e6e6e2"
_HALO = "0 0 3px #fff, 0 0 3px #fff, 0 0 5px #fff"
_BETTER_TO_WORSE = [(0.0, "#5aa7d6"), (0.5, "#f7f7f4"), (1.0, "#eda273")]
_PARTS = {"none": "none", "generator": "generator", "discriminator": "discrimi-<br>nator", "both": "both"}
_X_TITLES = {"images_seen": "images seen", "train_seconds": "seconds of training"}
_LOG_FROM = 15.0
"""Highest over lowest value from which an axis is logarithmic."""
_NAME_LENGTH = 18


@dataclass(frozen=True)
class Style:
    """How a source model is drawn."""

    colour: str
    symbol: str


def styles(sources: Iterable[str]) -> dict[str, Style]:
    """A style for each source, by their order; 56 differ, and scratch has its own."""
    names = [name for name in dict.fromkeys(sources) if name != SCRATCH]
    drawn = {n: Style(_COLOURS[i % len(_COLOURS)], _SYMBOLS[i % len(_SYMBOLS)]) for i, n in enumerate(names)}
    return drawn | {SCRATCH: Style("#5c5c5c", "x")}


def learning_curves(
    rows: pd.DataFrame,
    metric: Metric,
    cost: str,
    looks: dict[str, Style],
    *,
    hovers: dict[int, str],
    highlighted: Collection[int],
    floor: float | None = None,
) -> go.Figure:
    """The metric against `cost` ("images_seen" or "train_seconds"): a line a trial, a colour a source.

    `hovers` holds each trial's text, already escaped. The trials in `highlighted` are thick and labelled.
    """
    rows = rows[rows[metric.name].notna()]
    figure = _figure(height=360 + 12 * len(looks))
    for source, look, group in _by_source(rows, looks):
        thin = {"line": {"color": look.colour, "width": 1.25}, "marker": {"symbol": look.symbol, "size": 6}}
        figure.add_scatter(**_lines(group, metric, cost, hovers), name=source, opacity=0.65, **thin)
    for trial in highlighted:
        group = rows[rows["trial"] == trial]
        look = looks[str(group["source"].iloc[0])]
        thick = {"line": {"color": look.colour, "width": 4}, "marker": {"symbol": look.symbol, "size": 10}}
        figure.add_scatter(**_lines(group, metric, cost, hovers), showlegend=False, **thick)
        figure.update_traces(
            mode="lines+markers+text", text=[""] * (len(group) - 1) + [f"<b>trial {trial}</b>"],
            textposition="bottom left" if metric.sign == 1 else "top left", textfont={"shadow": _HALO}, selector=-1,
        )  # fmt: skip
    if floor is not None:
        label = {"text": "floor", "textposition": "end", "yanchor": "bottom", "font": {"size": 12}}
        figure.add_hline(floor, line={"color": _INK, "width": 1.5, "dash": "dash"}, label=label)
    figure.update_xaxes(title_text=_X_TITLES[cost], rangemode="tozero", tickformat="~s", nticks=6)
    values = rows[metric.name].tolist() + ([] if floor is None else [floor])
    return _level_title(figure.update_yaxes(_scale(values)), metric)


def trade_off(
    trials: pd.DataFrame,
    first: Metric,
    second: Metric,
    looks: dict[str, Style],
    *,
    hovers: dict[int, str],
    on_front: pd.Series,
) -> go.Figure:
    """The second metric against the first, a point a trial; `on_front` (bools) marks the Pareto front."""
    shown = trials.dropna(subset=[first.name, second.name])
    figure = _figure(height=390 + 12 * len(looks))
    edge = shown[on_front.loc[shown.index]].sort_values(first.name)
    figure.add_scatter(
        x=edge[first.name], y=edge[second.name], mode="lines+markers", name="Pareto front", hoverinfo="skip",
        line={"color": _INK, "width": 1.25, "dash": "dot"},
        marker={"symbol": "circle-open", "size": 19, "color": _INK, "line": {"width": 1.5}},
    )  # fmt: skip
    for source, look, group in _by_source(shown, looks):
        figure.add_scatter(
            x=group[first.name], y=group[second.name], mode="markers", name=source,
            hovertext=[hovers[trial] for trial in group["trial"]], hovertemplate="%{hovertext}<extra></extra>",
            marker={"color": look.colour, "symbol": look.symbol, "size": 10, "opacity": 0.85},
        )  # fmt: skip
    figure.update_xaxes(_scale(shown[first.name].tolist()) | {"nticks": 5}, title_text=_axis_title(first))
    return _level_title(figure.update_yaxes(_scale(shown[second.name].tolist())), second)


def source_by_parts(cells: pd.DataFrame, metric: Metric) -> go.Figure:
    """A heat map of the best scores, a row a source and a column a choice of networks; blue beats scratch.

    Scratch, which copies no network, is the reference: its one cell fills its row.
    """
    sources = list(dict.fromkeys(cells["source"]))
    used = set(cells.loc[cells["source"] != SCRATCH, "parts"]) or {"none"}
    parts = [name for name in _PARTS if name in used]
    by_cell = (cells.set_index(["source", "parts"])["best"] * metric.sign).unstack()
    costs = by_cell.reindex(index=sources, columns=parts)
    reference = by_cell.loc[SCRATCH, "none"] if SCRATCH in sources else np.nan
    if SCRATCH in sources:
        costs.loc[SCRATCH] = reference
    spread = (costs - reference).abs().max().max()
    figure = _figure(height=80 + 92 * len(sources)).update_layout(margin_t=8)
    figure.add_heatmap(
        z=costs.to_numpy(float), hoverinfo="skip", colorscale=_BETTER_TO_WORSE, showscale=False, xgap=3, ygap=3,
        zmin=reference - spread if spread > 0 else None, zmax=reference + spread if spread > 0 else None,
    )  # fmt: skip
    for _, cell in cells.iterrows():
        x = (len(parts) - 1) / 2 if cell["source"] == SCRATCH else parts.index(cell["parts"])
        figure.add_annotation(x=x, y=sources.index(cell["source"]), text=_cell_text(cell), showarrow=False)
    figure.update_annotations(font={"size": 12})
    _name_ticks(figure.layout.yaxis, [_short(name) for name in sources]).update(autorange="reversed")
    _name_ticks(figure.layout.xaxis, [_PARTS[name] for name in parts]).update(title_text="networks copied")
    return figure


def _name_ticks(axis: go.layout.XAxis | go.layout.YAxis, names: Sequence[str]) -> go.layout.XAxis | go.layout.YAxis:
    return axis.update(tickvals=list(range(len(names))), ticktext=names, showgrid=False, ticks="", tickangle=0)


def _cell_text(cell: pd.Series) -> str:
    if not cell["scored"]:
        return f"no score<br>0 of {cell['trials']}"
    count = f"{cell['scored']} of {cell['trials']}"
    seeds = "1 seed" if cell["seeds"] == 1 else f"{cell['seeds']} seeds:<br>{text(cell['low'])}–{text(cell['high'])}"
    return f"<b>{text(cell['best'])}</b><br>{count}<br>{seeds}"


def _lines(rows: pd.DataFrame, metric: Metric, cost: str, hovers: dict[int, str]) -> dict[str, Any]:
    """One trace for all trials of `rows`, a gap between them: a trace a trial would take the browser seconds."""
    gaps = np.flatnonzero(np.diff(rows["trial"])) + 1
    x, y = (np.insert(rows[name].to_numpy(float), gaps, np.nan) for name in (cost, metric.name))
    hover = np.insert(rows["trial"].map(hovers).to_numpy(object), gaps, "")
    return {"x": x, "y": y, "hovertext": hover, "mode": "lines+markers", "hovertemplate": _hover(metric, cost)}


def _hover(metric: Metric, cost: str) -> str:
    return f"%{{hovertext}}<br>{escape(metric.label)} %{{y:,.4~r}} at %{{x:,.0f}} {_X_TITLES[cost]}<extra></extra>"


def _figure(height: int) -> go.Figure:
    axis = {
        "automargin": True,
        "gridcolor": _FAINT,
        "zeroline": False,
        "ticklabelstandoff": 4,
        "title": {"font": {"size": 13}},
    }
    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 12, "r": 16, "t": 44, "b": 12},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "#ffffff",
            "font": {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": _INK},
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
            "hoverlabel": {"align": "left", "bgcolor": "#ffffff", "font": {"color": _INK}},
            "xaxis": axis,
            "yaxis": axis,
        }
    )


def _by_source(rows: pd.DataFrame, looks: Mapping[str, Style]) -> Iterator[tuple[str, Style, pd.DataFrame]]:
    """Short name, style and rows of each source that has any, in the styles' order."""
    for source, look in looks.items():
        group = rows[rows["source"] == source]
        if len(group):
            yield _short(source), look, group


def _short(name: str) -> str:
    """A source's name for a legend or a tick, escaped."""
    return escape(name if len(name) <= _NAME_LENGTH else name[: _NAME_LENGTH - 1] + "…")


def _level_title(figure: go.Figure, metric: Metric) -> go.Figure:
    """The metric's name above the axis, level, where it takes no width from the plot."""
    title = {"x": 0, "xref": "container", "xanchor": "left", "y": 0.98, "font": {"size": 13}}
    return figure.update_layout(title=title | {"text": _axis_title(metric)})


def _axis_title(metric: Metric) -> str:
    return f"{escape(metric.label)}, {metric.goal}"


def _scale(values: Sequence[float]) -> dict[str, Any]:
    """Axis settings: logarithmic, with ticks at 1, 2, 5, 10, ..., if values are positive and far apart; else linear."""
    if not values or min(values) <= 0 or max(values) / min(values) <= _LOG_FROM:
        return {"nticks": 7, "tickformat": ",~g"}
    decades = range(math.floor(math.log10(min(values))), math.ceil(math.log10(max(values))) + 1)
    ticks = [step * 10.0**decade for decade in decades for step in ((1, 2, 5) if len(decades) < 5 else (1,))]
    return {"type": "log", "tickvals": ticks, "ticktext": [f"{tick:,.10g}" for tick in ticks]}
