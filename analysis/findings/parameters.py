"""Which parameters mattered: their importance, and whether two of them act on each other."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd

from analysis.drawn import alike
from analysis.tables import ARM, TARGET_IMAGES, as_text, at_budget, last_rows, ranking, settings, trained_nothing
from spaces.protocol import Metric

optuna.logging.set_verbosity(optuna.logging.ERROR)  # it announces every study, also those in memory

FEWEST = 8
"""An importance takes at least so many trials with a score; below, it would be noise."""
FANOVA_MOST = 100


def level(rows: pd.DataFrame, metric: Metric) -> tuple[int, pd.DataFrame]:
    """The most images seen that every trained trial with a score has reached, and those trials there, best first.

    Trials that trained nothing are left out: they have no parameters to look at.
    """
    scored = rows[rows["trial"].isin(ranking(last_rows(rows), metric)["trial"]) & rows[metric.name].notna()]
    scored = scored[~trained_nothing(scored)]
    if scored.empty:
        return 0, scored
    images = int(scored.groupby("trial")["images_seen"].max().min())
    return images, alike(ranking(at_budget(scored, images), metric), metric)


def parameters(rows: pd.DataFrame) -> list[str]:
    """What varies among trials, the most telling columns first: source, method, networks, settings, seeds."""
    return [name for name in ARM if rows[name].nunique() > 1] + settings(rows)


def is_number(values: pd.Series) -> bool:
    """Whether a parameter's values have an order; False for names and flags."""
    return pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)


def is_log(values: pd.Series) -> bool:
    """Whether a parameter is looked at over its logarithm: positive, and its values a factor of 5 apart or more."""
    return is_number(values) and bool(values.min() > 0 and values.max() / values.min() >= 5)


def importance(there: pd.DataFrame, names: Sequence[str], metric: Metric) -> dict[str, float]:
    """Each parameter's share in the order of the trials, the largest first, adding up to 1; empty below 8 trials.

    `there` is as `level` gives it; scores count by their ranks, so that one bad trial does not decide. Up to 100 trials
    fANOVA, the share of the variance in a random forest (Hutter, Hoos and Leyton-Brown, ICML 2014); above, where it would
    take seconds, PED-ANOVA, how far the best quarter's values differ from all (Watanabe, Bansal and Hutter, IJCAI 2023,
    arXiv:2304.10255), which with few trials sees little. The networks that scratch does not copy count as "none".
    """
    if len(there) < FEWEST or len(names) < 2 or there[metric.name].nunique() < 2:
        return {}
    space = {name: _distribution(there[name]) for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study = optuna.create_study()
        for row in there[list(names)].assign(cost=(metric.sign * there[metric.name]).rank()).to_dict("records"):
            cost = float(row.pop("cost"))
            values = {name: _plain(row[name], space[name]) for name in names}
            study.add_trial(optuna.create_trial(params=values, distributions=space, value=cost))
        found = optuna.importance.get_param_importances(study, evaluator=_evaluator(len(there)), params=list(names))
    shares = {name: float(share) for name, share in found.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1])) if sum(shares.values()) > 0 else {}


def _evaluator(trials: int) -> optuna.importance.BaseImportanceEvaluator:
    if method(trials) == "PED-ANOVA":
        return optuna.importance.PedAnovaImportanceEvaluator(target_quantile=0.25)
    return optuna.importance.FanovaImportanceEvaluator(n_trees=16, max_depth=16, seed=0)


def method(trials: int) -> str:
    """How the importance of so many trials is computed."""
    return "PED-ANOVA" if trials > FANOVA_MOST else "fANOVA"


def _distribution(values: pd.Series) -> optuna.distributions.BaseDistribution:
    if not is_number(values) or values.isna().any():
        return optuna.distributions.CategoricalDistribution(sorted(as_text(values).unique()))
    if pd.api.types.is_integer_dtype(values):
        return optuna.distributions.IntDistribution(int(values.min()), int(values.max()), log=is_log(values))
    return optuna.distributions.FloatDistribution(float(values.min()), float(values.max()), log=is_log(values))


def _plain(value: object, distribution: optuna.distributions.BaseDistribution) -> object:
    if isinstance(distribution, optuna.distributions.CategoricalDistribution):
        return str(None if pd.isna(value) else value)
    return int(value) if isinstance(distribution, optuna.distributions.IntDistribution) else float(value)  # type: ignore[call-overload, arg-type]


@dataclass(frozen=True)
class Interaction:
    """How much of the trials' order two parameters explain, each for itself, and together."""

    first: str
    second: str
    apart: float
    """R squared of a regression of the score's rank on both parameters."""
    together: float
    """R squared on both and their product: the surplus is interaction."""


def interaction(there: pd.DataFrame, first: str, second: str, metric: Metric) -> Interaction | None:
    """Regress the score's rank on two numeric parameters, with and without their product, by least squares.

    Trials of methods that lack one of the parameters are left out. None below 8 trials.
    """
    there = there.dropna(subset=[first, second])
    if len(there) < FEWEST:
        return None
    a, b = (_standard(there[name]) for name in (first, second))
    ranks = (metric.sign * there[metric.name]).rank().to_numpy(float)
    ones = np.ones_like(a)
    apart, together = (_r_squared(np.column_stack(terms), ranks) for terms in ([ones, a, b], [ones, a, b, a * b]))
    return Interaction(first, second, apart, together)


def _standard(values: pd.Series) -> np.ndarray:
    numbers = values.to_numpy(float)
    numbers = np.log(numbers) if is_log(values) else numbers
    return np.asarray((numbers - numbers.mean()) / (numbers.std() or 1.0))


def _r_squared(terms: np.ndarray, ranks: np.ndarray) -> float:
    fitted = terms @ np.linalg.lstsq(terms, ranks, rcond=None)[0]
    spread = float(((ranks - ranks.mean()) ** 2).sum())
    return 1 - float(((ranks - fitted) ** 2).sum()) / spread if spread else 0.0


def numeric(there: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """The parameters that can lie on an axis, seeds and sizes left out."""
    left_out = ("seed", "data/seed", TARGET_IMAGES)
    return [name for name in names if name not in left_out and is_number(there[name]) and there[name].nunique() > 2]
