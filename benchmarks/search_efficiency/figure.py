"""The replays as a figure: score of what is in hand against the seconds spent, a panel a target."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go
from plotly.colors import qualitative
from plotly.subplots import make_subplots

from benchmarks.search_efficiency.outcomes import Outcome
from benchmarks.search_efficiency.ways import RANDOM

BANDED = (RANDOM, "understock before", "transfer")


def figure(outcomes: Sequence[Outcome], about: str) -> go.Figure:
    """Medians over seeds, and of some ways bands that hold 90 % of them: those of all would hide each other."""
    targets = sorted({each.target for each in outcomes})
    ways = list(dict.fromkeys(each.way for each in outcomes))
    colours = dict(zip(ways, [*qualitative.Dark24, *qualitative.Light24], strict=False))
    page = make_subplots(rows=len(targets), cols=1, subplot_titles=targets, shared_xaxes=False, vertical_spacing=0.06)
    for each in outcomes:
        row = targets.index(each.target) + 1
        low, middle, high = (
            100 * (band - 1) for band in np.percentile(each.ratios, [5, 50, 95], axis=0, method="nearest")
        )
        there = np.isfinite(high)
        x = 100 * each.seconds / each.grid_seconds
        named = {"legendgroup": each.way, "line_color": colours[each.way], "line_shape": "hv"}
        band_x, band_y = np.r_[x[there], x[there][::-1]], np.r_[low[there], high[there][::-1]]
        if each.way in BANDED:
            look = {"opacity": 0.12, "legendgroup": each.way, "fillcolor": colours[each.way]}
            hidden = {"showlegend": False, "hoverinfo": "skip", "mode": "none"}
            page.add_trace(go.Scatter(x=band_x, y=band_y, fill="toself", **look, **hidden), row, 1)
        seen = np.isfinite(middle)
        page.add_trace(
            go.Scatter(x=x[seen], y=middle[seen], name=each.way, mode="lines", showlegend=row == 1, **named), row, 1
        )
    page.update_xaxes(type="log", title="cost, % of training the whole grid")
    page.update_yaxes(title="over the table's best, %", rangemode="tozero")
    page.update_layout(
        height=420 * len(targets), title=f"The score in hand against the cost: {about}", template="plotly_white"
    )
    return page
