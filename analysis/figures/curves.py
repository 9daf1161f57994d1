"""Quality against cost: learning curves, and how much sooner transfer reached a score."""

from collections.abc import Collection
from html import escape
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.drawn import counts
from analysis.figures.style import INK, Style, axis_title, blank, by_source, level_title, log_scale, scale
from spaces.protocol import Metric

X_TITLES = {"images_seen": "images seen", "seconds": "seconds of training and evaluation"}
_HALO = "0 0 3px #fff, 0 0 3px #fff, 0 0 5px #fff"
_MARGIN = 0.1
"""The share of the axis at whose left a label would be cut off."""
_SPEEDUPS = {"images": ("#0072B2", "circle"), "seconds": ("#D55E00", "square")}


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
    """The metric against `cost` (a column, "images_seen" or hours by their unit): a line a trial, a colour a source.

    `hovers` holds each trial's text, already escaped. The trials in `highlighted` are thick and labelled. Between scores of
    unequally many drawn images, as of the last rung and the trial's end, a line is dotted: that step is not training alone.
    """
    rows = rows[rows[metric.name].notna()]
    figure = blank(height=360 + 12 * len(looks))
    for source, look, group in by_source(rows, looks):
        thin = {"line": {"color": look.colour, "width": 1.25}, "marker": {"symbol": look.symbol, "size": 6}}
        figure.add_scatter(**_lines(group, metric, cost, hovers), name=source, opacity=0.65, legendgroup=source, **thin)
        _add_steps(figure, group, metric, cost, look.colour, 1.25, legendgroup=source, opacity=0.65)
    for trial in highlighted:
        group = rows[rows["trial"] == trial]
        look = looks[str(group["source"].iloc[0])]
        across = "left" if group[cost].iloc[-1] > _MARGIN * rows[cost].max() else "right"
        thick = {"line": {"color": look.colour, "width": 4}, "marker": {"symbol": look.symbol, "size": 10}}
        line = _lines(group, metric, cost, hovers)
        _add_steps(figure, group, metric, cost, look.colour, 4)
        figure.add_scatter(**line, showlegend=False, **thick)
        figure.update_traces(
            mode="lines+markers+text",
            text=[""] * (len(line["x"]) - 1) + [f"<b>trial {trial}</b>"],
            textposition=f"{'bottom' if metric.sign == 1 else 'top'} {across}",
            textfont={"shadow": _HALO},
            selector=-1,
        )
    if floor is not None:
        label = {"text": "floor", "textposition": "end", "yanchor": "bottom", "font": {"size": 12}}
        figure.add_hline(floor, line={"color": INK, "width": 1.5, "dash": "dash"}, label=label)
    tickformat = "~s" if cost in X_TITLES else "~g"
    figure.update_xaxes(title_text=X_TITLES.get(cost, cost), rangemode="tozero", tickformat=tickformat, nticks=6)
    values = rows[metric.name].tolist() + ([] if floor is None else [floor])
    return level_title(figure.update_yaxes(scale(values)), axis_title(metric))


def _lines(rows: pd.DataFrame, metric: Metric, cost: str, hovers: dict[int, str]) -> dict[str, Any]:
    """One trace for all trials of `rows`, a gap between them: a trace a trial would take the browser seconds.

    A gap too where the scores before and after are of unequally many drawn images.
    """
    gaps = np.flatnonzero((np.diff(rows["trial"]) != 0) | (np.diff(counts(rows)) != 0)) + 1
    x, y = (np.insert(rows[name].to_numpy(float), gaps, np.nan) for name in (cost, metric.name))
    hover = np.insert(rows["trial"].map(hovers).to_numpy(object), gaps, "")
    trace = {"x": x, "y": y, "hovertext": hover, "mode": "lines+markers", "hovertemplate": _hover(metric, cost)}
    return trace | ({"cliponaxis": False} if (x == 0).any() else {})  # or the axis would halve a point at no cost


def _add_steps(
    figure: go.Figure, rows: pd.DataFrame, metric: Metric, cost: str, colour: str, width: float, **look: Any
) -> None:
    """Dotted lines across the gaps inside of trials, where the count of drawn images changes; no trace without any."""
    steps = np.flatnonzero((np.diff(rows["trial"]) == 0) & (np.diff(counts(rows)) != 0))
    if len(steps):
        values = (rows[name].to_numpy(float) for name in (cost, metric.name))
        x, y = (np.column_stack([of[steps], of[steps + 1], np.full(len(steps), np.nan)]).ravel() for of in values)
        line = {"color": colour, "width": width, "dash": "dot"}
        figure.add_scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip", showlegend=False, **look)


def _hover(metric: Metric, cost: str) -> str:
    number = "%{x:,.0f}" if cost in X_TITLES else "%{x:.3~g}"
    return (
        f"%{{hovertext}}<br>{escape(metric.label)} %{{y:,.4~r}} at {number} {X_TITLES.get(cost, cost)}<extra></extra>"
    )


def speedups(race: pd.DataFrame, metric: Metric) -> go.Figure:
    """How many times the images, and the seconds, scratch needs for what transfer has reached; tighter to the right.

    `race` is as `findings.thresholds.race` gives it. Triangles up: at least so much.
    """
    figure = blank(height=360)
    drawn: list[float] = []
    for cost, (colour, symbol) in _SPEEDUPS.items():
        known = race[race[f"speedup_{cost}"].notna() & ((race["bound"] != "never") | (race[f"speedup_{cost}"] > 1))]
        drawn += known[f"speedup_{cost}"].tolist()
        figure.add_scatter(
            x=known["threshold"],
            y=known[f"speedup_{cost}"],
            name=f"in {cost}",
            mode="lines+markers",
            line={"color": colour, "width": 2},
            marker={"size": 11, "symbol": ["triangle-up" if bound else symbol for bound in known["bound"]]},
            hovertext=known["bound"].replace("never", "at least"),
            hovertemplate="to %{x:,.4~r}: %{hovertext} %{y:.3~g} times<extra></extra>",
        )
    figure.add_hline(1, line={"color": INK, "width": 1.25, "dash": "dash"})
    axis = scale(race["threshold"].tolist())
    direction = "reversed" if metric.sign == 1 else True
    figure.update_xaxes(axis | {"nticks": 6, "autorange": direction}, title_text=f"{escape(metric.label)} to reach")
    figure.update_yaxes(log_scale([*drawn, 1.0]) if max(drawn, default=1) > 4 else {"rangemode": "tozero", "nticks": 6})
    return level_title(figure, "times the cost from scratch")
