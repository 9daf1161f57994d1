"""Heat maps: sources by networks, and sources by studies; blue beats scratch."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.figures.style import (
    BETTER_TO_WORSE,
    Style,
    axis_title,
    blank,
    by_source,
    level_title,
    name_ticks,
    scale,
    short,
)
from analysis.page import text
from analysis.tables import AS_IS, WAY
from analysis.words import FINETUNED, used
from spaces.config import SCRATCH
from spaces.protocol import Metric

_TICKS = {"none": "none", AS_IS: used(AS_IS), "discriminator": "discrimi-<br>nator"}
"""How ways stand on an axis, where it is not under their own name."""


def source_by_way(cells: pd.DataFrame, metric: Metric) -> go.Figure:
    """The best scores, a row a source and a column a way to use it; colours go by the means, as the best of many is lucky.

    Scratch, which copies no network, is the reference, and its one cell fills its row; unless other methods train
    from scratch too, as projected critics can: then it has a column beside theirs.
    """
    sources = list(dict.fromkeys(cells["source"]))
    of_scratch = cells["source"] == SCRATCH
    fills = set(cells.loc[of_scratch, WAY]) == {"none"}
    ways = _ordered(set(cells.loc[~of_scratch, WAY] if fills else cells[WAY]) or {"none"})
    by_cell = (cells.set_index(["source", WAY])["mean"] * metric.sign).unstack()
    costs = by_cell.reindex(index=sources, columns=ways)
    reference = by_cell.loc[SCRATCH, "none"] if (of_scratch & cells[WAY].eq("none")).any() else np.nan
    if fills:
        costs.loc[SCRATCH] = reference
    spread = (costs - reference).abs().max().max()
    figure = _heat(costs.to_numpy(float), reference, spread, height=80 + 92 * len(sources))
    for _, cell in cells.iterrows():
        x = (len(ways) - 1) / 2 if fills and cell["source"] == SCRATCH else ways.index(cell[WAY])
        figure.add_annotation(x=x, y=sources.index(cell["source"]), text=_cell_text(cell), showarrow=False)
    figure.update_annotations(font={"size": 12})
    name_ticks(figure.layout.yaxis, [short(name) for name in sources]).update(autorange="reversed")
    _way_ticks(figure.layout.xaxis, ways)
    return figure


def _ordered(ways: Iterable[str]) -> list[str]:
    """The ways of fine-tuning, from no network to both, with the source as it is before those that copy any; then others."""
    known = ("none", AS_IS, *(way for way in FINETUNED if way != "none"))
    return sorted(ways, key=lambda way: (known.index(way) if way in known else len(known), way))


def _way_ticks(axis: go.layout.XAxis, ways: Sequence[str]) -> go.layout.XAxis:
    title = "networks copied" if set(ways) <= set(FINETUNED) else "networks copied, or the method"
    return name_ticks(axis, [_TICKS.get(way, escape(way)) for way in ways]).update(title_text=title)


def _heat(costs: np.ndarray, reference: float, spread: float, height: int) -> go.Figure:
    figure = blank(height).update_layout(margin_t=8)
    limits = {"zmin": reference - spread, "zmax": reference + spread} if spread > 0 else {}
    return figure.add_heatmap(
        z=costs, hoverinfo="skip", colorscale=BETTER_TO_WORSE, showscale=False, xgap=3, ygap=3, **limits
    )


def _cell_text(cell: pd.Series) -> str:
    if not cell["scored"]:
        return f"no score<br>0 of {cell['trials']}"
    count = f"{cell['scored']} of {cell['trials']}"
    seeds = "1 seed" if cell["seeds"] == 1 else f"{cell['seeds']} seeds:<br>{text(cell['low'])}–{text(cell['high'])}"
    return f"<b>{text(cell['best'])}</b><br>{count}<br>{seeds}"


def source_by_study(columns: Sequence[tuple[str, pd.DataFrame]]) -> go.Figure:
    """Sources against studies: the score, its rank, and the rank before training; the colour is the share over scratch.

    `columns` are studies' names with what `findings.matrix.column` gives for them.
    """
    sources = list(dict.fromkeys(name for _, found in columns for name in found["source"]))
    shares = np.full((len(sources), len(columns)), np.nan)
    figure = _heat(shares, 0.0, 1.0, height=90 + 74 * len(sources))
    for x, (_, found) in enumerate(columns):
        for _, cell in found.iterrows():
            y = sources.index(cell["source"])
            shares[y, x] = -cell["share"]
            figure.add_annotation(x=x, y=y, text=_matrix_text(cell), showarrow=False)
    spread = float(np.nanmax(np.abs(shares))) if np.isfinite(shares).any() else 0.0
    figure.update_traces(z=shares, zmin=-max(spread, 1e-9), zmax=max(spread, 1e-9))
    figure.update_annotations(font={"size": 12})
    name_ticks(figure.layout.yaxis, [short(name) for name in sources]).update(autorange="reversed")
    name_ticks(figure.layout.xaxis, [short(name) for name, _ in columns])
    return figure


def _matrix_text(cell: pd.Series) -> str:
    if pd.isna(cell["mean"]):
        return "no score"
    ranks = f"<br>rank {text(cell['after'])}" if not pd.isna(cell["after"]) else ""
    told = f" (before: {text(cell['before'])})" if ranks and not pd.isna(cell["before"]) else ""
    untrained = f"<br>{used(AS_IS)}" if cell[WAY] == AS_IS else ""
    return f"<b>{text(float(cell['mean']))}</b>{ranks}{told}{untrained}"


def spread_by_way(level: pd.DataFrame, metric: Metric, looks: dict[str, Style], hovers: dict[int, str]) -> go.Figure:
    """Every trial's score by the networks it was given, or its method, sources beside each other."""
    ways = _ordered(set(level[WAY]))
    figure = blank(height=360 + 12 * len(looks))
    present = [source for source in looks if source in set(level["source"])]
    for source, look, group in by_source(level, looks):
        place = present.index(str(group["source"].iloc[0]))
        shift = 0.0 if source == SCRATCH else (place - (len(present) - 1) / 2) * min(0.18, 0.7 / len(present))
        figure.add_scatter(
            x=[ways.index(way) + shift for way in group[WAY]],
            y=group[metric.name],
            mode="markers",
            name=source,
            marker={"color": look.colour, "symbol": look.symbol, "size": 10, "opacity": 0.75},
            hovertext=[hovers[trial] for trial in group["trial"]],
            hovertemplate="%{hovertext}<br>%{y:,.4~r}<extra></extra>",
        )
    _way_ticks(figure.layout.xaxis, ways).update(range=[-0.5, len(ways) - 0.5])
    return level_title(figure.update_yaxes(scale(level[metric.name].tolist())), axis_title(metric))
