"""Score against target-set size, best so far and what is covered against cost, and how far each trial went."""

from collections.abc import Sequence
from html import escape

import pandas as pd
import plotly.graph_objects as go

from analysis.figures.style import INK, Style, axis_title, blank, by_source, level_title, log_scale, marker, scale
from spaces.protocol import Metric

_FATES = {
    "completed": ("#009E73", "circle"),
    "stopped": ("#E69F00", "triangle-down"),
    "running": ("#56B4E9", "diamond"),
    "interrupted": ("#56B4E9", "diamond-open"),
    "diverged": ("#D55E00", "x"),
    "failed": ("#000000", "square-x"),
}


def by_target_images(sizes: pd.DataFrame, metric: Metric, looks: dict[str, Style]) -> go.Figure:
    """The best configuration's score against the number of target images: a line a source, bars from seed to seed.

    `sizes` is as `findings.sizes.by_size` gives it.
    """
    figure = blank(height=380 + 12 * len(looks))
    for source, look, group in by_source(sizes, looks):
        ordered = group.sort_values("target_images")
        figure.add_scatter(
            x=ordered["target_images"],
            y=ordered["mean"],
            mode="lines+markers",
            name=source,
            line={"color": look.colour, "width": 2},
            marker=marker(look),
            error_y={
                "type": "data",
                "symmetric": False,
                "array": ordered["high"] - ordered["mean"],
                "arrayminus": ordered["mean"] - ordered["low"],
                "thickness": 1.5,
            },
            hovertemplate=f"{source}<br>%{{y:,.4~r}} with %{{x:,}} images<extra></extra>",
        )
    counts = sorted(sizes["target_images"].unique().tolist())
    ticks = {"tickvals": counts, "ticktext": [f"{n:,}" for n in counts]} if len(counts) < 8 else {}
    figure.update_xaxes(log_scale(counts) | ticks, title_text="target images (logarithmic)")
    values = [*sizes["low"], *sizes["high"]]
    return level_title(figure.update_yaxes(scale(values)), axis_title(metric))


def best_so_far(
    spent: pd.DataFrame, unit: str, metric: Metric, looks: dict[str, Style], hovers: dict[int, str]
) -> go.Figure:
    """Each trial's score, and the best until then, against the cost of all trials up to it.

    `spent` is as `findings.spending.best_so_far` gives it.
    """
    figure = blank(height=370 + 12 * len(looks))
    led = spent.dropna(subset=["best"])
    figure.add_scatter(
        x=led["hours"],
        y=led["best"],
        mode="lines",
        name="best so far",
        line={"color": INK, "width": 2, "shape": "hv"},
        hoverinfo="skip",
    )
    for source, look, group in by_source(spent.dropna(subset=["value"]), looks):
        figure.add_scatter(
            x=group["hours"],
            y=group["value"],
            mode="markers",
            name=source,
            marker=marker(look, 8),
            hovertext=[hovers[trial] for trial in group["trial"]],
            hovertemplate="%{hovertext}<br>%{y:,.4~r}<extra></extra>",
        )
    figure.update_xaxes(title_text=f"{escape(unit)}, all trials until then", rangemode="tozero", nticks=6)
    return level_title(figure.update_yaxes(scale(spent["value"].dropna().tolist())), axis_title(metric))


def covered(spent: pd.DataFrame, unit: str) -> go.Figure:
    """The share of their goals' space that trials cover, against the cost of all until then; see `findings.covering`."""
    known = spent.dropna(subset=["covered"])
    figure = blank(height=330)
    figure.add_scatter(
        x=known["hours"],
        y=known["covered"],
        mode="lines+markers",
        line={"color": INK, "width": 2, "shape": "hv"},
        marker={"size": [9 if on_front else 4 for on_front in known["front"]]},
        hovertext=[f"trial {trial}" for trial in known["trial"]],
        hovertemplate="%{hovertext}: %{y:.1%}<extra></extra>",
        showlegend=False,
    )
    figure.update_xaxes(title_text=f"{escape(unit)}, all trials until then", rangemode="tozero", nticks=6)
    return level_title(figure.update_yaxes(rangemode="tozero", tickformat=".0%"), "covered; large: on the front")


def fates(spent: pd.DataFrame, marks: Sequence[int], hovers: dict[int, str]) -> go.Figure:
    """How many images each trial saw, and how it ended; dotted lines are the rungs."""
    figure = blank(height=370)
    for status, (colour, symbol) in _FATES.items():
        group = spent[spent["status"] == status]
        if len(group):
            figure.add_scatter(
                x=group["trial"],
                y=group["images_seen"],
                mode="markers",
                name=status,
                marker={"color": colour, "symbol": symbol, "size": 9 if len(spent) < 100 else 6},
                cliponaxis=False,
                hovertext=[hovers[trial] for trial in group["trial"]],
                hovertemplate="%{hovertext}<br>%{y:,} images<extra></extra>",
            )
    for mark in marks:
        figure.add_hline(mark, line={"color": INK, "width": 1, "dash": "dot"})
    figure.update_xaxes(title_text="trial", nticks=8, zeroline=False, tickformat=",d")
    figure.update_yaxes(rangemode="tozero", nticks=6, tickformat="~s")
    return level_title(figure, "images seen; dotted: rungs")
