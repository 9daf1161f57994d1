"""Whether two metrics rank trials alike, and which trials they rank apart."""

import numpy as np
import pandas as pd

from spaces.protocol import Metric


def agreement(trials: pd.DataFrame, first: Metric, second: Metric) -> float | None:
    """Spearman's rank correlation of two metrics' costs: 1 if they rank the trials alike. None below 3 trials."""
    both = trials[[first.name, second.name]].dropna()
    ranks = pd.DataFrame({metric.name: (metric.sign * both[metric.name]).rank() for metric in (first, second)})
    if len(ranks) < 3 or (ranks.nunique() == 1).any():
        return None
    return float(np.corrcoef(ranks[first.name], ranks[second.name])[0, 1])


def disagreements(trials: pd.DataFrame, first: Metric, second: Metric) -> pd.DataFrame:
    """The trials with both metrics, and where either ranks them: `first_rank`, `second_rank` (1 is best), `apart`.

    Those that the two place furthest apart come first; of equals, the one that `first` likes better.
    """
    both = trials.dropna(subset=[first.name, second.name])
    ranks = [(metric.sign * both[metric.name]).rank(method="min") for metric in (first, second)]
    found = both.assign(first_rank=ranks[0], second_rank=ranks[1], apart=(ranks[0] - ranks[1]).abs())
    return found.sort_values(["apart", "first_rank"], ascending=[False, True], kind="stable")
