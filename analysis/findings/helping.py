"""What small classifiers say of a study's few-shot trials: accuracies by arm, and differences paired by seed."""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from spaces.teaching import AND_AUGMENTED, AUGMENTED, MIXED, REAL, Teaching

COLUMNS = ("arm", "trial", "seed", "shots", "steps", "per_class", "accuracy", "chance", "n")
"""Of the table: `trial` is empty of arms without a method, `n` are the images that the classifier was asked for."""
PROTOCOL = ["shots", "steps", "per_class"]
RIVALS = (REAL, AUGMENTED, MIXED)
"""What each arm is held against."""


def accuracies(path: Path) -> pd.DataFrame:
    """All rows of the file; no rows where there is none."""
    return pd.read_csv(path) if path.is_file() else pd.DataFrame(columns=list(COLUMNS))


def taught(rows: pd.DataFrame, teaching: Teaching) -> pd.Series:
    """Whether each row was measured so."""
    return (rows[PROTOCOL] == [getattr(teaching, name) for name in PROTOCOL]).all(axis=1)


def comparable(rows: pd.DataFrame, teaching: Teaching | None = None) -> pd.DataFrame:
    """The rows that were measured so, or as the last one was: other steps or counts of images compare with nothing.

    Of a method that has been asked of several trials, as a better one came through, they are the last one's; of a row that two
    processes measured there is one.
    """
    if rows.empty:
        return rows
    same = taught(rows, teaching) if teaching else (rows[PROTOCOL] == rows[PROTOCOL].iloc[-1]).all(axis=1)
    alike = rows[same].drop_duplicates(["arm", "trial", "seed"], keep="last")
    trial = alike["trial"].fillna(-1)
    return alike[trial == trial.groupby(alike["arm"]).transform("last")]


def paired(rows: pd.DataFrame, arm: str, rival: str) -> tuple[float, float]:
    """The mean difference of two arms' accuracies over the seeds that both have, and half of its 95 % interval.

    The interval is Student's; nan of one seed, and both nan of none.
    """
    of = rows.set_index("seed").groupby("arm")["accuracy"]
    groups = {name: of.get_group(name) for name in (arm, rival) if name in of.groups}
    gains = (groups[arm] - groups[rival]).dropna() if len(groups) == 2 else pd.Series(dtype=float)
    half = stats.t.ppf(0.975, len(gains) - 1) * gains.sem() if len(gains) > 1 else np.nan
    return float(gains.mean()), float(half)


def arms(rows: pd.DataFrame) -> pd.DataFrame:
    """An arm a row: its trial, mean accuracy, seeds, and "over RIVAL" each, in words; the best first."""
    found = []
    for arm, own in rows.groupby("arm"):
        gains = {f"over {rival}": _gain(*paired(rows, str(arm), rival)) for rival in RIVALS if rival != arm}
        facts = {"arm": arm, "trial": own["trial"].iloc[0], "accuracy": own["accuracy"].mean(), "seeds": len(own)}
        found.append(facts | gains)
    columns = ["arm", "trial", "accuracy", "seeds", *(f"over {rival}" for rival in RIVALS)]
    return pd.DataFrame(found, columns=columns).sort_values("accuracy", ascending=False, kind="stable")


def _gain(mean: float, half: float) -> str | None:
    if np.isnan(mean):
        return None
    return f"{mean:+.3f}" if np.isnan(half) else f"{mean:+.3f} ± {half:.3f}"


def verdict(rows: pd.DataFrame) -> str:
    """Which methods' images help: those that beat real images alone, augmentation and mixtures with their interval."""
    methods = [arm for arm in dict.fromkeys(rows["arm"]) if arm not in RIVALS and not arm.endswith(AND_AUGMENTED)]
    if not methods or not set(RIVALS) <= set(rows["arm"]):
        return "Not all arms have been measured yet."
    beaten = {arm: [rival for rival in RIVALS if _beats(rows, arm, rival)] for arm in methods}
    helps = [arm for arm in methods if len(beaten[arm]) == len(RIVALS)]
    said = [f"{', '.join(helps) or 'No method'} beats real images alone, standard augmentation and pixel mixtures."]
    if partly := [arm for arm in methods if beaten[arm] and arm not in helps]:
        said.append("Of the others " + "; ".join(f"{arm} beats {' and '.join(beaten[arm])}" for arm in partly) + ".")
    both = [arm for arm in methods if _beats(rows, f"{arm}{AND_AUGMENTED}", AUGMENTED)]
    said.append(f"On top of augmentation {', '.join(both) or 'no method'} helps.")
    return " ".join(said)


def _beats(rows: pd.DataFrame, arm: str, rival: str) -> bool:
    """Whether the whole interval of the paired difference is above 0."""
    mean, half = paired(rows, arm, rival)
    return mean - half > 0
