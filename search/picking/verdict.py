"""A pick in sentences, which claim no more than its draws carry."""

from collections import Counter
from collections.abc import Iterator, Sequence

from search.picking.arms import SCRATCH_ARM, Arm, Rates, as_it_is
from search.picking.evidence import Evidence
from search.picking.pick import SURE, Interval, Rival, SearchGain
from spaces.config import SCRATCH
from spaces.counts import plural

_NOTHING = 0.01
"""A gain below this share of the score is called none."""


def verdict(
    evidence: Evidence,
    target: str,
    arm: Arm,
    rates: Rates | None,
    score: Interval | None,
    to_scratch: Interval,
    rivals: Sequence[Rival],
    gain: SearchGain,
) -> Iterator[str]:
    """What to train, what it will come to, against what it is better and how surely, what that rests on, what is to gain."""
    metric = evidence.bench.metric.upper()
    with_rates = f", with learning rates {rates[0]:.3g} (generator) and {rates[1]:.3g} (discriminator)" if rates else ""
    yield f"{_advice(arm)}{with_rates}"
    if score:
        yield f"expected {metric} of one training: {_ranged(score)}; 90 % of trainings lie within the brackets"
    else:
        yield f"what {metric} that comes to is not known: no trial on as many images of target {target!r} was measured so"
    yield _against_scratch(arm, to_scratch, rivals)
    yield _against_as_it_is(arm, target, rivals)
    yield from _beside_untranslated(evidence, target)
    if arm != SCRATCH_ARM:
        yield from _against("source", _best_of_each_source(arm, rivals))
        same = [rival for rival in rivals if rival.source == (arm.source or SCRATCH) and rival.arm != SCRATCH_ARM]
        of_none = [rival for rival in rivals if arm.source and rival.source == SCRATCH and rival.arm != SCRATCH_ARM]
        yield from _against("choice of networks", [rival for rival in same if rival.method == arm.method])
        yield from _against("method", [rival for rival in (*same, *of_none) if rival.method != arm.method])
    yield from _rests_on(evidence, target)
    yield _of_search(gain)


def verdict_by_ranking(target: str, arm: Arm, rates: Rates, models: int) -> Iterator[str]:
    """The same where nothing was ever trained."""
    yield f"{_advice(arm)}, with the default learning rates {rates[0]:.3g} and {rates[1]:.3g}"
    if arm.source is None:
        yield "no source model of the target's resolution is on the shelf, and no trial of this home is evidence"
    else:
        yield (
            f"no trial of this home is evidence for it: all that is known is that {arm.source} ranks first of {models} source "
            "models before any training"
        )
    yield (
        "so no score can be expected of it, nor that it is better than another source or than scratch; a search would tell: "
        f"understock search {target}"
    )


def _advice(arm: Arm) -> str:
    """What to do: to train, or to use a source as it is."""
    return f"train {arm.told()}" if arm.is_trained else f"use {arm.told()}"


def _ranged(interval: Interval) -> str:
    return f"{interval.expected:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _against_scratch(arm: Arm, to_scratch: Interval, rivals: Sequence[Rival]) -> str:
    if arm == SCRATCH_ARM:
        if not rivals:
            return "no source model of this network is on the shelf to compare scratch with"
        best = rivals[0]
        short = "" if best.separated else f", short of the {SURE} that would separate them"
        return (
            f"the evidence favours scratch: it beats the best {'source' if best.arm.source else 'rival'}, {best.arm}, with "
            f"probability {best.worse_with_probability:.2f}{short}"
        )
    what = "transfer" if arm.source else str(arm)
    scratch = next(rival for rival in rivals if rival.arm == SCRATCH_ARM)
    odds, ratio = (
        f"with probability {scratch.worse_with_probability:.2f}",
        f"its score is {_ranged(to_scratch)} of scratch's",
    )
    if scratch.separated:
        return f"{what} beats scratch {odds}: {ratio}"
    return f"the evidence does not separate {what} from scratch: it is the better one {odds}; {ratio}"


def over_the_source(arm: Arm, rivals: Sequence[Rival]) -> Interval | None:
    """The score of a pick over that of the best source as it is; None where it is one, or where none was scored untrained."""
    untrained = _untrained(rivals)
    if untrained is None or not arm.is_trained:
        return None
    ratio = untrained.ratio
    return Interval(expected=1 / ratio.expected, low=1 / ratio.high, high=1 / ratio.low)


def _is_untrained(arm: Arm) -> bool:
    return arm.source is not None and arm == as_it_is(arm.source)


def _untrained(rivals: Sequence[Rival]) -> Rival | None:
    """The likeliest source as it is."""
    return next((rival for rival in rivals if _is_untrained(rival.arm)), None)


def _against_as_it_is(arm: Arm, target: str, rivals: Sequence[Rival]) -> str:
    """Whether training gains anything over the source as it is."""
    if not arm.is_trained:
        best = next(rival for rival in rivals if rival.arm.is_trained)
        return (
            f"no training is known to gain over it: the likeliest, {best.arm}, is better with probability "
            f"{1 - best.worse_with_probability:.2f}"
        )
    untrained, ratio = _untrained(rivals), over_the_source(arm, rivals)
    if untrained is None or ratio is None:
        return (
            "what training gains over a source as it is is not known, as none was scored untrained; a search would tell: "
            f"understock search {target} --space methods"
        )
    said = f"with probability {untrained.worse_with_probability:.2f}, its score is {_ranged(ratio)} of that of {untrained.arm}"
    if untrained.separated:
        return f"training gains over the source as it is: {said}"
    return f"the evidence does not tell whether training gains over the source as it is: {said}"


def _beside_untranslated(evidence: Evidence, target: str) -> Iterator[str]:
    """The score of the images that other domains have, which is no way's, where it was measured on the target: the best one."""
    found = [one for one in evidence.untranslated if one.target == target]
    if found:
        best = min(found, key=lambda one: one.score)
        metric = evidence.bench.metric.upper()
        yield f"held against it: images of {best.source} as they are, which nobody makes, have {metric} {best.score:.4g}"


def _best_of_each_source(picked: Arm, rivals: Sequence[Rival]) -> list[Rival]:
    """Of every other source, with what suits it best."""
    found: dict[str, Rival] = {}
    for rival in rivals:  # the likeliest first
        if rival.source not in (picked.source, SCRATCH):
            found.setdefault(rival.source, rival)
    return list(found.values())


def _against(kind: str, rivals: Sequence[Rival]) -> Iterator[str]:
    better = [rival for rival in rivals if rival.separated]
    unclear = [rival for rival in rivals if not rival.separated]
    if better:
        yield f"as a {kind} it beats {_odds(better)}"
    if unclear:
        yield f"the evidence does not separate it, as a {kind}, from {_odds(unclear)}"


def _odds(rivals: Sequence[Rival]) -> str:
    named = (f"{_within(rival.arm)}probability {rival.worse_with_probability:.2f})" for rival in rivals)
    return ", ".join(named)


def _within(arm: Arm) -> str:
    """ "dogs (both;", "mixture (" or "scratch (none;": an arm, with its bracket left open for a word more."""
    if arm.source is None and arm != SCRATCH_ARM:
        return f"{arm} ("
    return f"{arm.source or SCRATCH} ({arm.way}; "


def _rests_on(evidence: Evidence, target: str) -> Iterator[str]:
    here = sum(one.target == target for one in evidence.trials)
    others = sorted({one.target for one in evidence.trials} - {target})
    elsewhere = f" and on {plural(len(evidence.trials) - here, 'trial')} of {', '.join(others)}" if others else ""
    yield f"this rests on {plural(here, 'trial')} of {target}{elsewhere}, by {evidence.about()}"
    if beside := len(evidence.tried) - len(evidence.trials):
        yield (
            f"beside them {plural(beside, 'score')} of sources as they are: no trials, but measured before the first image of "
            "some"
        )
    if carried := sum(one.error > 0 for one in evidence.trials):
        yield (
            f"{carried} of them were not measured at that budget; their scores are carried on to it by the progress of "
            "others of their kind, and count for less"
        )
    here_dead = [one for one in evidence.dead if one.target == target]
    said = {True: "diverged, which counts against it as scores twice the worst would", False: "failed, and not counted"}
    for diverged, how in said.items():
        if dead := Counter(one.arm for one in here_dead if one.diverged == diverged):
            yield f"{how}: {', '.join(plural(n, 'trial') + f' {arm.told()}' for arm, n in dead.items())}"


def _of_search(gain: SearchGain) -> str:
    hours = "" if gain.hours is None else f", about {gain.hours:.2g} h one after the other,"
    what = f"a search of {plural(gain.trials, 'trial')} over sources and networks{hours} would likely"
    low, middle, high = (1 - bound for bound in (gain.ratio.high, gain.ratio.expected, gain.ratio.low))
    gained = f"lower the score by {max(middle, 0):.0%} ({max(low, 0):.0%} to {high:.0%})"
    gained = "gain nothing over it" if high < _NOTHING else gained
    if not gain.unvaried:
        return f"{what} {gained}"
    alike = " and ".join(gain.unvaried)
    return f"what a search would still gain is not known, as {alike} never varied; of the rest, {what} {gained}"
