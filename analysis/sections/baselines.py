"""Whether learned methods beat the trivial ones of their kind, in a sentence."""

import pandas as pd

from analysis.page import text
from analysis.tables import WAY
from spaces.protocol import Metric


def against_trivial(learned: pd.DataFrame, trivial: pd.DataFrame, metric: Metric, noun: str) -> str:
    """Whether the best learned trial by this metric beats the best trivial one; `noun` is what trials are of: "translation"."""
    ours, theirs = (
        part.sort_values(metric.name, ascending=metric.sign == 1).dropna(subset=[metric.name]).head(1)
        for part in (learned, trivial)
    )
    if ours.empty or theirs.empty:
        return f"{metric.label}: not measured of both"
    one, other = float(ours[metric.name].iloc[0]), float(theirs[metric.name].iloc[0])
    verdict = "beats" if metric.sign * (one - other) < 0 else "does not beat"
    return (
        f"By {metric.label} the best {noun}, trial {ours['trial'].iloc[0]} ({ours[WAY].iloc[0]}, {text(one)}), {verdict} "
        f"the best baseline ({theirs[WAY].iloc[0]}, {text(other)})"
    )


def named(trivial: pd.DataFrame) -> dict[int, str]:
    """What the trivial trials are called in a figure, by trial."""
    return dict(zip(trivial["trial"], trivial[WAY], strict=True))
