"""Points and intervals: two metrics against each other, and the gain of each study."""

from collections.abc import Mapping
from html import escape
from types import MappingProxyType

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.style import (
    INK,
    Style,
    axis_title,
    blank,
    by_source,
    level_title,
    marker,
    name_ticks,
    scale,
    short,
)
from spaces.protocol import Metric


def trade_off(
    trials: pd.DataFrame,
    first: Metric,
    second: Metric,
    looks: dict[str, Style],
    *,
    hovers: dict[int, str],
    on_front: pd.Series,
    named: Mapping[int, str] = MappingProxyType({}),
) -> go.Figure:
    """The second metric against the first, a point a trial; `on_front` (bools) marks the Pareto front.

    The trials in `named` have these words beside them. Bars are of metrics that have a standard error, and the axis says so.
    """
    shown = trials.dropna(subset=[first.name, second.name])
    bars = {axis: f"{metric.name}_se" for axis, metric in (("error_x", first), ("error_y", second))}
    figure = blank(height=390 + 12 * len(looks))
    edge = shown[on_front.loc[shown.index]].sort_values(first.name)
    figure.add_scatter(
        x=edge[first.name],
        y=edge[second.name],
        mode="lines+markers",
        name="Pareto front",
        hoverinfo="skip",
        line={"color": INK, "width": 1.25, "dash": "dot"},
        marker={"symbol": "circle-open", "size": 19, "color": INK, "line": {"width": 1.5}},
    )
    for source, look, group in by_source(shown, looks):
        figure.add_scatter(
            x=group[first.name],
            y=group[second.name],
            mode="markers+text",
            name=source,
            marker=marker(look),
            **{
                axis: {"array": group[name].fillna(0), "thickness": 1.2} for axis, name in bars.items() if name in group
            },
            hovertext=[hovers[trial] for trial in group["trial"]],
            hovertemplate="%{hovertext}<extra></extra>",
            text=[named.get(trial, "") for trial in group["trial"]],
            textposition="top center",
            textfont={"size": 11},
        )
    titles = [axis_title(metric) + _bars(shown, metric) for metric in (first, second)]
    figure.update_xaxes(scale(shown[first.name].tolist()) | {"nticks": 5}, title_text=titles[0])
    return level_title(figure.update_yaxes(scale(shown[second.name].tolist())), titles[1])


def _bars(shown: pd.DataFrame, metric: Metric) -> str:
    """What a metric's bars are, where it has any: they are of one training, and no interval over seeds."""
    name = f"{metric.name}_se"
    return "; bars: 1 standard error over images" if name in shown and shown[name].gt(0).any() else ""


def forest(gains: pd.DataFrame) -> go.Figure:
    """The gain of transfer over scratch as a share of scratch's score, with its interval where there is one.

    `gains` has a row a configuration and cost: source, way (in words), cost ("images" or "seconds"), share, low, high (NaN
    without an interval).
    """
    whose = [f"{short(source)}<br>{escape(way)}" for source, way in zip(gains["source"], gains["way"], strict=True)]
    gains = gains.assign(label=whose)
    labels = list(dict.fromkeys(whose))
    figure = blank(height=110 + 46 * len(labels)).update_layout(margin_t=12)
    for cost, colour, symbol, shift in (("images", "#0072B2", "circle", -0.12), ("seconds", "#D55E00", "square", 0.12)):
        part = gains[gains["cost"] == cost]
        figure.add_scatter(
            x=part["share"],
            y=[labels.index(label) + shift for label in part["label"]],
            mode="markers",
            name=f"at equal {cost}",
            marker={"color": colour, "symbol": symbol, "size": 11},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": (part["high"] - part["share"]).fillna(0),
                "arrayminus": (part["share"] - part["low"]).fillna(0),
                "thickness": 2,
            },
            hovertemplate="%{x:.1%}<extra></extra>",
        )
    figure.add_vline(0, line={"color": INK, "width": 1.25, "dash": "dash"})
    limit = min(1.6, 1.15 * max(0.1, gains[["share", "low", "high"]].abs().max().max()))
    figure.update_xaxes(
        title_text="better than scratch by",
        tickformat=".0%",
        nticks=7,
        range=[-limit if gains[["share", "low"]].min().min() < 0 else -0.05, limit],
    )
    name_ticks(figure.layout.yaxis, labels).update(autorange="reversed")
    return figure
