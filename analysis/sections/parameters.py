"""7. Learning rates and other parameters: which mattered, which values were good, and whether two act on each other."""

from collections import Counter
from collections.abc import Sequence

import pandas as pd

from analysis.figures.parameters import importance as bars
from analysis.figures.parameters import pair, slice_plot
from analysis.findings.parameters import (
    FEWEST,
    Interaction,
    importance,
    interaction,
    is_log,
    is_number,
    level,
    method,
    numeric,
    parameters,
)
from analysis.page import Block, Plot, Section, Sheet, sheet, text
from analysis.study_data import StudyData, of_each
from analysis.tables import ARM, SEEDS
from spaces.counts import plural
from spaces.trials import makes_more

SLICES = 6


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a study; over several studies it says which parameter mattered most how often."""
    return of_each("parameters", "Learning rates and other parameters", studies, _block, _overview)


def _overview(studies: Sequence[StudyData]) -> str:
    found = []
    for study in studies:
        _, there, names = _looked_at(study)
        found.append(importance(there, names, study.metric))
    first = Counter(next(iter(shares)) for shares in found if shares)
    if not first:
        return f"No study has {FEWEST} trials with a score and two parameters that vary."
    said = ", ".join(f"{name} in {count}" for name, count in first.most_common())
    return f"Most important by study: {said} of {plural(sum(first.values()), 'study', 'studies')}."


def _looked_at(study: StudyData) -> tuple[int, pd.DataFrame, list[str]]:
    """Images seen, the trials that were trained as they stood there, and what varies among them."""
    images, there = level(study.rows, study.metric)
    return images, there, [name for name in parameters(study.rows) if there[name].nunique(dropna=False) > 1]


def _block(study: StudyData) -> Block:
    images, there, names = _looked_at(study)
    if there.empty:
        have = "no trial that was trained has a score" if len(study.ranked) else "no trial has a score yet"
        return Block(f"Not enough data: {have}; {study.cure}.")
    if not names or len(there) < 2:
        why = "to vary the learning rates too"
        space = "fewshot" if makes_more(study.spec.base.method) else "quickstart"
        return Block(
            f"Not enough data: no parameter varies among trials with a score; {study.instead(why, space, space=space)}."
        )
    shares = importance(there, names, study.metric)
    both = _pair(study, there, names, shares)
    plots = (
        [Plot("Importance", bars(shares), "Bar chart of each parameter's share of the importance.")] if shares else []
    )
    plots += _slices(study, there, names, shares)
    if both:
        plots.append(_pair_plot(study, there, both))
    columns = ["trial", *names, study.metric.name]
    sheets = [_shares(shares)] if shares else []
    sheets.append(
        study.whole_or_head(
            f"Every trial at {text(images)} images seen", there[columns], {study.metric.name: study.metric.label}
        )
    )
    return Block(
        f"{_said(study, there, shares)}{_interact(both)}",
        notes=[_how(images, there, shares)],
        plots=plots,
        sheets=sheets,
    )


def _said(study: StudyData, there: pd.DataFrame, shares: dict[str, float]) -> str:
    if not shares:
        few = f"{plural(len(there), 'trial')} with a score" if len(there) < FEWEST else "one parameter that varies"
        return f"Not enough data for importance ({few}; it takes {FEWEST} trials and two parameters): {study.cure}."
    (first, share), *rest = shares.items()
    said = f"{first} mattered most ({share:.0%} of the importance)"
    said += f", then {rest[0][0]} ({rest[0][1]:.0%})" if rest else ""
    chance = [shares[name] for name in SEEDS if name in shares]
    said += f"; the seeds, which are chance, have {max(chance):.0%}" if chance else ""
    return f"{said}.{_best_values(there)}"


def _best_values(there: pd.DataFrame) -> str:
    """Where the best quarter of the trials lies in each learning rate."""
    best = there.head(max(2, len(there) // 4))
    rates = [name for name in numeric(there, ("optim/lr_g", "optim/lr_d")) if best[name].notna().any()]
    spans = [f"{name} {text(float(best[name].min()))} to {text(float(best[name].max()))}" for name in rates]
    return f" The best {len(best)} trials have {' and '.join(spans)}." if spans else ""


def _interact(both: Interaction | None) -> str:
    if both is None:
        return ""
    surplus = both.together - both.apart
    how = "hardly act on each other" if surplus < 0.05 else "act on each other"
    return (
        f" {both.first} and {both.second} {how}: apart they explain {both.apart:.0%} of the order of the trials, with their "
        f"product {both.together:.0%}."
    )


def _how(images: int, there: pd.DataFrame, shares: dict[str, float]) -> str:
    said = f"Every trial at {text(images)} images seen, the most that all with a score have reached."
    if not shares:
        return said
    few = " With so few trials it is a hint, no more." if len(there) < 20 else ""
    how = {
        "fANOVA": "fANOVA's (Hutter et al. 2014): the share of the variance of the trials' ranks that a random forest over the "
        "parameters owes to each alone",
        "PED-ANOVA": "PED-ANOVA's (Watanabe et al. 2023): how far a parameter's values in the best quarter of the trials "
        "differ from those of all",
    }[method(len(there))]
    return (
        f"{said} Importance is {how}.{few} What a sampler has looked at most is judged best; a search is no experiment."
    )


def _pair(study: StudyData, there: pd.DataFrame, names: Sequence[str], shares: dict[str, float]) -> Interaction | None:
    """The interaction of the two most important parameters that have an axis; None where there are fewer."""
    ordered = sorted(numeric(there, names), key=lambda name: -shares.get(name, 0.0))
    return interaction(there, ordered[0], ordered[1], study.metric) if len(ordered) > 1 else None


def _pair_plot(study: StudyData, there: pd.DataFrame, both: Interaction) -> Plot:
    first, second = both.first, both.second
    both_known = there.dropna(subset=[first, second])
    logs = [is_log(both_known[name]) for name in (first, second)]
    alt = f"Scatter plot of {second} against {first}, a point a trial, darker for a better {study.metric.label}."
    return Plot(
        f"{first} and {second} together", pair(both_known, first, second, study.metric, study.hovers, logs=logs), alt
    )


def _slices(study: StudyData, there: pd.DataFrame, names: Sequence[str], shares: dict[str, float]) -> list[Plot]:
    """The most important parameters; source, method and networks have sections of their own, and seeds no order."""
    shown = [name for name in names if name not in (*ARM, *SEEDS)]
    shown = sorted(shown, key=lambda name: -shares.get(name, 0.0))[:SLICES]
    return [
        Plot(
            name,
            slice_plot(
                there,
                name,
                study.metric,
                study.looks,
                study.hovers,
                log=is_log(there[name]) if is_number(there[name]) else None,
            ),
            f"Scatter plot of {study.metric.label} against {name}, a point a trial, coloured by source.",
        )
        for name in shown
    ]


def _shares(shares: dict[str, float]) -> Sheet:
    frame = pd.DataFrame({"parameter": list(shares), "share": [f"{100 * share:.0f} %" for share in shares.values()]})
    return sheet("Importance of each parameter", frame, {})
