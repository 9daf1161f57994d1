"""The replays as figures: how far what is in hand is over the best, against what was spent; over all targets, and by target."""

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from analysis.figures.style import COLOURS, FAINT, INK
from benchmarks.search_efficiency.outcomes import Outcome
from benchmarks.search_efficiency.table import WITHIN
from benchmarks.search_efficiency.ways import RANDOM

OURS, ALONE = "transfer + curves", "transfer + curves, nothing known"
SAID: Mapping[str, str] = {
    OURS: "understock, other targets known",
    ALONE: "understock, nothing known",
    "understock before": "each source, then ASHA + TPE",
}
"""Ways whose names in code say too little."""
SHOWN = (
    OURS,
    ALONE,
    "Syne Tune: bounding box",
    "ASHA + random",
    "ASHA + TPE",
    "GP",
    RANDOM,
    "best constant source",
    "grid in random order",
)
"""Those that a picture has room for; a page has the others too, to be turned on by their names."""
BANDED = (OURS, RANDOM)
BOUND, CHEAP = 100 * (WITHIN - 1), 5.0
"""What is asked for: so near the best, in %, at so much of the grid's cost, in %."""
_LOW, _FROM = 0.3, 1.0
"""In %: what is nearer to the best is drawn there, as an axis in logs has no 0; and where the axis of costs begins."""
_WIDTHS = {OURS: 4.0, ALONE: 2.5}
_DASHES = {RANDOM: "dot", "grid in random order": "dot", "best constant source": "dash"}
_COLOURS = dict(zip(SHOWN, (*COLOURS, "#5c5c5c", "#999999"), strict=True))
_OTHER = "#bbbbbb"

Floats = NDArray[np.float64]


def overview(outcomes: Sequence[Outcome], about: str) -> go.Figure:
    """The geometric mean over targets, of each the one over seeds; of the ways that a picture has room for."""
    page = go.Figure()
    for way, own in _by_way([each for each in outcomes if each.way in SHOWN]).items():
        costs = np.min([100 * each.seconds / each.grid_seconds for each in own], axis=0)
        ratios: Floats = np.exp(np.mean([np.log(each.mean_ratio) for each in own], axis=0))
        page.add_trace(_line(way, costs, ratios, legend=True))
    _axes(page)
    page.update_layout(height=560, title=f"How near the best, for what cost: mean of {about}", **_LOOK)
    return page


def by_target(outcomes: Sequence[Outcome], about: str) -> go.Figure:
    """Medians over seeds, a panel a target, and of some ways bands that hold 90 % of them: those of all would hide each other."""
    targets = sorted({each.target for each in outcomes})
    page = make_subplots(rows=len(targets), cols=1, subplot_titles=targets, vertical_spacing=0.2 / len(targets))
    for way, own in _by_way(outcomes).items():
        for each in own:
            row = targets.index(each.target) + 1
            costs = 100 * each.seconds / each.grid_seconds
            low, middle, high = np.percentile(each.ratios, [5, 50, 95], axis=0, method="nearest")
            if way in BANDED:
                page.add_trace(_band(way, costs, low, high), row, 1)
            page.add_trace(_line(way, costs, middle, legend=row == 1), row, 1)
    _axes(page)
    page.update_layout(height=440 * len(targets), title=f"By target: {about}; medians over seeds", **_LOOK)
    return page


_LOOK = {"template": "plotly_white", "font_color": INK, "width": 1000}


def _by_way(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    """Ours last, so that it lies on top."""
    ways = sorted(dict.fromkeys(each.way for each in outcomes), key=lambda way: way in (OURS, ALONE))
    return {way: [each for each in outcomes if each.way == way] for way in ways}


def _colour(way: str) -> str:
    return _COLOURS.get(way, _OTHER)


def _over(ratios: Floats) -> Floats:
    percent: Floats = np.maximum(100 * (ratios - 1), _LOW)
    return percent


def _line(way: str, costs: Floats, ratios: Floats, legend: bool) -> go.Scatter:
    there = np.isfinite(ratios)
    return go.Scatter(
        x=costs[there],
        y=_over(ratios[there]),
        name=SAID.get(way, way),
        mode="lines",
        line={"color": _colour(way), "shape": "hv", "width": _WIDTHS.get(way, 1.8), "dash": _DASHES.get(way, "solid")},
        legendgroup=way,
        showlegend=legend,
        visible=True if way in SHOWN else "legendonly",
        legendrank=[*SHOWN, way].index(way) + 1,
    )


def _band(way: str, costs: Floats, low: Floats, high: Floats) -> go.Scatter:
    there = np.isfinite(high)
    x, y = np.r_[costs[there], costs[there][::-1]], np.r_[_over(low[there]), _over(high[there])[::-1]]
    look = {"fill": "toself", "fillcolor": _colour(way), "opacity": 0.12, "mode": "none"}
    return go.Scatter(x=x, y=y, legendgroup=way, showlegend=False, hoverinfo="skip", **look)


def _axes(page: go.Figure) -> None:
    """Both in logs, with lines at what is asked for."""
    at = [1, 2, 5, 10, 20, 50, 100, 200]
    ticks = {"tickvals": [_LOW, *at], "ticktext": [f"≤ {_LOW}", *map(str, at)]}
    page.update_yaxes(type="log", title="over the table's best, %", gridcolor=FAINT, **ticks)
    costs = {"tickvals": [1, 2, 3, 5, 10, 20, 30], "range": [np.log10(_FROM), np.log10(30)], "gridcolor": FAINT}
    page.update_xaxes(type="log", title="cost, % of training the whole grid", **costs)
    page.add_hline(y=BOUND, line={"color": INK, "dash": "dot", "width": 1})
    page.add_vline(x=CHEAP, line={"color": INK, "dash": "dot", "width": 1})
