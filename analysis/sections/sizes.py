"""6. Target-set size: what more target images bring, with transfer and without."""

from collections.abc import Sequence

import pandas as pd

from analysis.figures.lines import by_target_images
from analysis.findings.sizes import Worth, by_size, worth
from analysis.page import Block, Plot, Section, Sheet, listed, sheet, text
from analysis.study_data import StudyData
from analysis.tables import TARGET_IMAGES, choices
from spaces.counts import plural

TITLE = "Target-set size"


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a target: studies of one target, measured alike, tell of it together."""
    groups: dict[object, list[StudyData]] = {}
    for study in studies:
        groups.setdefault(
            (study.spec.target, study.spec.digests.get(f"domain:{study.spec.target}"), study.measured_by), []
        ).append(study)
    blocks = [_block(group, heading=_heading(group) if len(groups) > 1 else "") for group in groups.values()]
    return Section(
        "sizes", TITLE, blocks, "Studies of one target, measured alike, are taken together." if len(groups) > 1 else ""
    )


def _heading(group: Sequence[StudyData]) -> str:
    return f"{group[0].spec.target} ({listed(study.spec.name for study in group)})"


def pooled(group: Sequence[StudyData]) -> pd.DataFrame:
    """All rows of the group, trials numbered apart, every target-set size a number."""
    parts = []
    for number, study in enumerate(group):
        sizes = study.rows[TARGET_IMAGES].astype("Float64").fillna(study.spec.train_images).astype(int)
        parts.append(
            study.rows.assign(**{TARGET_IMAGES: sizes, "trial": study.rows["trial"].astype(int) + number * 1_000_000})
        )
    return pd.concat(parts, ignore_index=True)


def _block(group: Sequence[StudyData], heading: str) -> Block:
    first, rows = group[0], pooled(group)
    chosen = choices(rows)  # of all studies: what one never varied, they may differ in
    sizes = by_size(rows, chosen, first.metric)
    counts = sorted(sizes["target_images"].unique().tolist())
    if len(counts) < 2:
        return Block(f"Not enough data: {_have(group, counts)}; {_other_size(first, counts)}.", heading)
    values = worth(sizes, first.metric)
    plot = Plot(
        f"{first.metric.label} by number of target images",
        by_target_images(sizes, first.metric, first.looks),
        f"Line chart of {first.metric.label} against the number of target images, a line a source.",
    )
    shown = sizes.drop(columns="trial").sort_values(["source", "target_images"])
    names = first.names | {
        "target_images": "target images",
        "mean": f"mean {first.metric.label}",
        "low": "lowest",
        "high": "highest",
        "trials": "trials with a score",
    }
    notes = [
        f"At {text(int(sizes['images_seen'].iloc[0]))} images seen, the most that every source and size with a score has "
        "reached. A point is the mean over seeds of the best configuration of its source and size, bars go from the lowest "
        f"to the highest seed. {first.metric.label} always compares with the same real images, however many were trained on."
    ]
    if any(study.has_untrained for study in group):
        notes.append("A source as it is, which trains on no image, is left out.")
    sheets = [sheet("Every source and size", shown, names)]
    if values:
        sheets.insert(0, _worth_sheet(first, values))
    return Block(_said(first, sizes, values), heading, notes=notes, plots=[plot], sheets=sheets)


def _have(group: Sequence[StudyData], counts: Sequence[int]) -> str:
    """What there is, where it is less than two sizes."""
    if counts:
        return f"every trial with a score has {plural(counts[0], 'target image')}"
    untrained = any(len(study.ranked) for study in group)
    return "no trial that was trained has a score" if untrained else "no trial has a score yet"


def _other_size(study: StudyData, counts: Sequence[int]) -> str:
    """The command for another size, counted as the study counts its images: of each class, or of all."""
    data = study.spec.base.data
    if data.shots:
        other = data.shots // 2 or 2
        data, name = data.model_copy(update={"shots": other}), f"{other}-shots"
        count = f"{plural(other, 'image')} of each class"
    else:
        fewer = max(2, (counts[0] if counts else study.spec.train_images) // 4)
        data, name = data.model_copy(update={"target_images": fewer}), f"{fewer}-images"
        count = plural(fewer, "image")
    fields = {"base": study.spec.base.model_copy(update={"data": data})}
    return study.instead(f"for {count}, to be reported together with this study", name, **fields)


def _said(study: StudyData, sizes: pd.DataFrame, values: Sequence[Worth]) -> str:
    if not values:
        return (
            f"Sizes {listed(sorted(sizes['target_images'].unique().tolist()))} have scores; not enough data to say what they "
            f"are worth without transfer, which takes transfer, and scratch at two sizes: {study.grid}."
        )
    least = values[0]
    said = f"{text(least.images)} images with transfer from {least.source} are worth {_images(least)} without"
    if len(values) > 1:
        most = values[-1]
        said += f"; {text(most.images)} from {most.source}, {_images(most)}"
    return f"{said}, by {study.metric.label}."


def _images(item: Worth) -> str:
    bound = f"{item.bound} " if item.bound else ""
    return f"{bound}{text(round(item.scratch_images))}"


def _worth_sheet(study: StudyData, values: Sequence[Worth]) -> Sheet:
    rows = [[text(v.images), v.source, text(v.value), _images(v)] for v in values]
    columns = [
        "target images",
        "best source",
        f"{study.metric.label} with transfer",
        "images that scratch needs for it",
    ]
    return Sheet("What target images are worth without transfer", columns, rows, folded=False)
