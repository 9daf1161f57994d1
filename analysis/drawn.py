"""Which scores compare where a metric depends on how many images are drawn: at a rung they are fewer than at a trial's end."""

import pandas as pd

from spaces.protocol import Metric


def counts(rows: pd.DataFrame) -> pd.Series:
    """Of how many drawn images each row's scores are; 0 where nobody wrote that down."""
    return rows["n_drawn"].fillna(rows["n_fake"]).fillna(0)


def equally_drawn(rows: pd.DataFrame, metric: Metric) -> list[pd.DataFrame]:
    """The rows in parts within which scores compare, that of most images first; whole where the metric doesn't depend on it."""
    drawn = counts(rows)
    if not metric.by_count or drawn.nunique() < 2:
        return [rows]
    return [rows[drawn == count] for count in sorted(drawn.unique(), reverse=True)]


def alike(rows: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """The largest of these parts."""
    return max(equally_drawn(rows, metric), key=len)
