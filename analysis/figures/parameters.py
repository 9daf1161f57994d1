"""Learning rates and other parameters: importance, slices, and two against each other."""

from collections.abc import Mapping, Sequence
from html import escape

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.style import (
    GOOD_TO_BAD,
    Style,
    axis_title,
    blank,
    by_source,
    level_title,
    log_scale,
    marker,
    name_ticks,
    scale,
    short,
)
from spaces.protocol import Metric

_BARS_SHOWN = 12


def importance(shares: Mapping[str, float]) -> go.Figure:
    """A bar a parameter, the most important one on top."""
    shown = list(shares.items())[:_BARS_SHOWN]
    figure = blank(height=90 + 34 * len(shown)).update_layout(margin_t=12, bargap=0.35)
    figure.add_bar(
        x=[share for _, share in shown],
        y=list(range(len(shown))),
        orientation="h",
        marker_color="#0072B2",
        text=[f"{share:.0%}" for _, share in shown],
        textposition="outside",
        cliponaxis=False,
        hovertemplate="%{x:.1%}<extra></extra>",
    )
    name_ticks(figure.layout.yaxis, [escape(name) for name, _ in shown]).update(autorange="reversed")
    return figure.update_xaxes(
        title_text="share of the importance",
        tickformat=".0%",
        range=[0, 1.18 * max(shares.values(), default=1.0)],
        nticks=5,
    )


def slice_plot(
    there: pd.DataFrame, name: str, metric: Metric, looks: dict[str, Style], hovers: dict[int, str], *, log: bool | None
) -> go.Figure:
    """Scores against one parameter, a point a trial; `log` is None for names, which stand beside each other."""
    figure = blank(height=330 + 12 * len(looks))
    values = [str(value) for value in sorted(there[name].dropna().unique(), key=str)] if log is None else []
    for source, look, group in by_source(there.dropna(subset=[name]), looks):
        x = [values.index(str(value)) for value in group[name]] if log is None else group[name]
        figure.add_scatter(
            x=x,
            y=group[metric.name],
            mode="markers",
            name=source,
            marker=marker(look, 9),
            hovertext=[hovers[trial] for trial in group["trial"]],
            hovertemplate="%{hovertext}<br>%{y:,.4~r}<extra></extra>",
        )
    if log is None:
        name_ticks(figure.layout.xaxis, [short(value) for value in values]).update(range=[-0.5, len(values) - 0.5])
    else:
        figure.update_xaxes(log_scale(there[name].dropna().tolist()) if log else {"nticks": 6})
    figure.update_xaxes(title_text=escape(name))
    return level_title(figure.update_yaxes(scale(there[metric.name].tolist())), axis_title(metric))


def pair(
    there: pd.DataFrame, first: str, second: str, metric: Metric, hovers: dict[int, str], *, logs: Sequence[bool]
) -> go.Figure:
    """Two parameters against each other, a point a trial, the darker the better its score."""
    figure = blank(height=400)
    ranks = (metric.sign * there[metric.name]).rank(pct=True)
    figure.add_scatter(
        x=there[first],
        y=there[second],
        mode="markers",
        showlegend=False,
        marker={
            "size": 13,
            "color": ranks,
            "colorscale": GOOD_TO_BAD,
            "cmin": 0,
            "cmax": 1,
            "line": {"color": "#555555", "width": 0.5},
        },
        hovertext=[
            f"{hovers[trial]}<br>{value:,.4g}" for trial, value in zip(there["trial"], there[metric.name], strict=True)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    for update, name, log in ((figure.update_xaxes, first, logs[0]), (figure.update_yaxes, second, logs[1])):
        update(log_scale(there[name].tolist()) if log else {"nticks": 6})
    figure.update_xaxes(title_text=escape(first))
    return level_title(figure, f"{escape(second)}; dark is good, light is bad")
