"""How configurations, and the differences between them, are put into words."""

from collections import Counter
from collections.abc import Mapping, Sequence

from analysis.findings.gains import Gain, Side
from analysis.findings.trends import Trend, of_arm, said
from analysis.page import text
from analysis.tables import AS_IS, NO_SOURCE, UNTRAINED, Score
from spaces.config import SCRATCH
from spaces.counts import plural
from spaces.protocol import Metric

FINETUNED: Mapping[str, str] = {
    "none": "nothing transferred",
    "generator": "generator only",
    "discriminator": "discriminator only",
    "both": "both networks",
}
"""The ways of fine-tuning in words: which networks are transferred."""


def used(way: str) -> str:
    """How a source is used: "both networks", "as it is", or the name of another method."""
    return FINETUNED.get(way, "as it is" if way == AS_IS else way)


def origin(side: Side | Score) -> str:
    """What a trial or a configuration came from: "from scratch", "from dogs, both networks" or "dogs as it is"."""
    if side.source == SCRATCH:
        return "from scratch"
    if side.source == NO_SOURCE:
        return used(side.way)
    return f"{side.source} {used(side.way)}" if side.way in UNTRAINED else f"from {side.source}, {used(side.way)}"


def after(side: Score) -> str:
    """After how many images a trial had its score."""
    return "without any training" if side.way in UNTRAINED else f"after {text(side.images_seen)} images"


def configuration(side: Side) -> str:
    """The best configuration of a side; what trains nothing has no other."""
    return origin(side) if side.is_untrained else f"the best configuration {origin(side)}"


def with_seeds(side: Side) -> str:
    """The best configuration of a side, and with how many seeds it ran; what trains nothing needs none."""
    return configuration(side) if side.is_untrained else f"{configuration(side)} ({plural(len(side.values), 'seed')})"


def mean(side: Side) -> str:
    """A side's score, which over several seeds is a mean."""
    return text(side.mean) if len(side.values) == 1 else f"{text(side.mean)} in the mean"


def percent(share: float) -> str:
    """A share as a whole number of percents."""
    return f"{100 * share:.0f} %"


def over_scratch(gain: Gain) -> str:
    """By how much transfer is better or worse than scratch, and how surely. What won untrained is not called transfer."""
    if gain.value == 0:
        return "it is a tie"
    subject = f"{baseline(gain.transfer)}, untrained," if gain.transfer.is_untrained else "transfer"
    how, whose = "better" if gain.value > 0 else "worse", "scratch's"
    return f"{subject} is {how} {_by(gain, whose)}"


def over_the_source(gain: Gain) -> str:
    """By how much training is better or worse than the best that trains nothing, and what both came to, in a sentence."""
    how = "fine-tuning" if gain.transfer.way in FINETUNED else gain.transfer.way
    untrained = baseline(gain.baseline)
    if gain.value == 0:
        said = f"{how} and {untrained} are equal"
    elif gain.value > 0:
        said = f"{how} improves on {untrained} {_by(gain, 'its score')}"
    else:
        said = f"{how} is worse than {untrained} {_by(gain, 'its score')}"
    return (
        f"{said}: {with_seeds(gain.transfer)} has {mean(gain.transfer)} after {text(int(gain.at))} images, "
        f"{with_seeds(gain.baseline)} {mean(gain.baseline)}"
    )


def baseline(side: Side) -> str:
    """What trains nothing: "the source as it is", whichever it is, or "dogs untranslated"."""
    return "the source as it is" if side.way == AS_IS else origin(side)


def _by(gain: Gain, whose: str) -> str:
    """The size of a gain, as a share too, with its interval and whether that says anything."""
    said = f"by {text(abs(gain.value))} ({percent(abs(gain.share))} of {whose})"
    if gain.interval is None:
        return said
    low, high = gain.interval
    told = "" if gain.settled else ", which the seeds do not tell from chance"
    chosen = gain.chosen_of > 1 and gain.expected is not None
    left = f"; chosen as the best, it leaves {text(gain.expected)} to expect of fresh seeds" if chosen else ""
    return f"{said}{left}, 95 % interval {text(low)} to {text(high)}{told}"


def by_the_curves(found: Sequence[Trend], best: Score, metric: Metric) -> str:
    """What the curves of the best arm, of scratch and of the others do at their end, and what follows, in a sentence."""
    if not found:
        return "whether curves still move where they end is not known: too few trials have three evaluations"
    shown = [
        trend for arm in dict.fromkeys([(best.source, best.way), (SCRATCH, "none")]) if (trend := of_arm(found, *arm))
    ]
    others = Counter(said(trend, metric) for trend in found if trend not in shown)
    told = [f"{origin(trend.side)}: {said(trend, metric)}{_step(trend, metric)}" for trend in shown]
    told += [f"others: {', '.join(f'{n} {state}' for state, n in others.items())}"] if others else []
    moving = [trend for trend in found if trend.state == "improving"]
    open_ = "so the order at a longer budget is open" if moving else "so nothing here speaks for a longer budget"
    return f"by the curves, {'; '.join(told)}; {open_}"


def _step(trend: Trend, metric: Metric) -> str:
    """The change that a state rests on, beside what noise makes."""
    if trend.state == "flat":
        change, since = trend.whole, trend.first
    else:
        change, since = trend.step, trend.before
    size, noise = (percent(abs(x)) if metric.is_ratio else text(abs(x)) for x in (change, trend.noise))
    return f" ({size} from {text(since)} to {text(trend.last)} images, where noise at a rung makes up to {noise})"


def of_survivors(stopped: int) -> str:
    """What means over trials leave out, where so many were stopped early before the images that these are at."""
    were = "was" if stopped == 1 else "were"
    return (
        f"{plural(stopped, 'trial')} {were} stopped early before that and count{'s' * (stopped == 1)} in no mean. That flatters "
        "what was stopped most: only its best trials are left."
    )
