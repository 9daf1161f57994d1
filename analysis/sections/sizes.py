"""6. Target-set size: what more target images bring, with transfer and without."""

from collections.abc import Sequence

import pandas as pd

from analysis.evidence import Evidence
from analysis.figures.lines import by_target_images
from analysis.findings.gains import choices
from analysis.findings.sizes import Worth, by_size, worth
from analysis.page import Block, Plot, Section, Sheet, listed, sheet, text
from analysis.tables import TARGET_IMAGES

TITLE = "Target-set size"


def section(studies: Sequence[Evidence]) -> Section:
    """A block a target: studies of one target, measured alike, tell of it together."""
    groups: dict[object, list[Evidence]] = {}
    for e in studies:
        groups.setdefault((e.spec.target, e.spec.digests.get(f"domain:{e.spec.target}"), e.measured_by), []).append(e)
    blocks = [_block(group, heading=_heading(group) if len(groups) > 1 else "") for group in groups.values()]
    return Section(
        "sizes", TITLE, blocks, "Studies of one target, measured alike, are taken together." if len(groups) > 1 else ""
    )


def _heading(group: Sequence[Evidence]) -> str:
    return f"{group[0].spec.target} ({listed(e.spec.name for e in group)})"


def pooled(group: Sequence[Evidence]) -> pd.DataFrame:
    """All rows of the group, trials numbered apart, every target-set size a number."""
    parts = []
    for number, e in enumerate(group):
        sizes = e.rows[TARGET_IMAGES].astype("Float64").fillna(e.spec.train_images).astype(int)
        parts.append(e.rows.assign(**{TARGET_IMAGES: sizes, "trial": e.rows["trial"].astype(int) + number * 1_000_000}))
    return pd.concat(parts, ignore_index=True)


def _block(group: Sequence[Evidence], heading: str) -> Block:
    first, rows = group[0], pooled(group)
    chosen = sorted({name for e in group for name in choices(e.rows, e.spec)})
    sizes = by_size(rows, chosen, first.metric)
    counts = sorted(sizes["target_images"].unique().tolist())
    if len(counts) < 2:
        have = f"every trial with a score has {text(counts[0])} target images" if counts else "no trial has a score yet"
        return Block(f"Not enough data: {have}; {_other_size(first, counts)}.", heading)
    values = worth(sizes, first.metric)
    plot = Plot(
        f"{first.metric.label} by number of target images",
        by_target_images(sizes, first.metric, first.looks),
        f"Line chart of {first.metric.label} against the number of target images, a line a source.",
    )
    shown = sizes.drop(columns="trial").sort_values(["source", "target_images"])
    names = {
        "target_images": "target images", "images_seen": "images seen", "mean": f"mean {first.metric.label}",
        "low": "lowest", "high": "highest", "trials": "trials with a score",
    }  # fmt: skip
    notes = [
        f"At {text(int(sizes['images_seen'].iloc[0]))} images seen, the most that every source and size with a score has "
        "reached. A point is the mean over seeds of the best configuration of its source and size, bars go from the lowest "
        f"to the highest seed. {first.metric.label} always compares with the same real images, however many were trained on."
    ]
    sheets = [sheet("Every source and size", shown, names)]
    if values:
        sheets.insert(0, _worth_sheet(first, values))
    return Block(_said(first, sizes, values), heading, notes=notes, plots=[plot], sheets=sheets)


def _other_size(e: Evidence, counts: Sequence[int]) -> str:
    most = counts[0] if counts else e.spec.train_images
    fewer = max(2, most // 4)
    data = e.spec.base.data.model_copy(update={"target_images": fewer})
    fields = {"base": e.spec.base.model_copy(update={"data": data})}
    why = f"for {text(fewer)} images, to be reported together with this study"
    return e.instead(why, f"{fewer}-images", **fields)


def _said(e: Evidence, sizes: pd.DataFrame, values: Sequence[Worth]) -> str:
    if not values:
        return (
            f"Sizes {listed(sorted(sizes['target_images'].unique().tolist()))} have scores; not enough data to say what they "
            f"are worth without transfer, which takes transfer, and scratch at two sizes: {e.grid}."
        )
    least = values[0]
    said = f"{text(least.images)} images with transfer from {least.source} are worth {_images(least)} without"
    if len(values) > 1:
        most = values[-1]
        said += f"; {text(most.images)} from {most.source}, {_images(most)}"
    return f"{said}, by {e.metric.label}."


def _images(item: Worth) -> str:
    bound = f"{item.bound} " if item.bound else ""
    return f"{bound}{text(round(item.scratch_images))}"


def _worth_sheet(e: Evidence, values: Sequence[Worth]) -> Sheet:
    rows = [[text(v.images), v.source, text(v.value), _images(v)] for v in values]
    columns = ["target images", "best source", f"{e.metric.label} with transfer", "images that scratch needs for it"]
    return Sheet("What target images are worth without transfer", columns, rows, folded=False)
