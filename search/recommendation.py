"""A recommendation for a target, in numbers and in sentences that claim no more than the numbers carry."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from search.evidence import Evidence, gather
from search.launch import resolve_study
from search.pick import (
    DEFAULT_PARTS,
    SURE,
    Arm,
    Interval,
    Judgement,
    Rival,
    SearchGain,
    expected,
    judge,
    pattern,
    rivals,
    search_gain,
    trial_values,
)
from search.ranking import Ranking, of_resolution, rank_sources
from spaces.config import SCRATCH, Config, TrialConfig
from trainables.domains import Domain, open_domain
from trainables.home import Home, writing
from trainables.sources import SourceModel, open_source

DEFAULT_TRIALS = 24


class Recommendation(Config):
    """What to train for a target, what it will likely come to, and why."""

    target: str
    source: str
    parts: str
    lr_g: float
    lr_d: float
    score: Interval | None
    """Of one training; None where no trial of this target tells the level of its scores."""
    to_scratch: Interval | None
    """Its score over that of training from scratch; None without any trial."""
    measured: str | None
    """How scores were measured."""
    trials_here: int
    trials_elsewhere: int
    rests_on: dict[str, int]
    """Trials by study."""
    rivals: tuple[Rival, ...]
    search: SearchGain | None
    ranking: dict[str, float]
    """Sources by rank, before training."""
    says: tuple[str, ...]
    """The recommendation in sentences."""
    config: TrialConfig
    """What `understock train` takes."""


def recommend(
    home: Home, target: str, *, trials: int | None = None, hours: float | None = None
) -> tuple[Recommendation, list[str]]:
    """The recommendation for a target, and a word on what was left out of it; `trials` or `hours` are of a search to come."""
    domain = open_domain(home, target)
    found, notes = gather(home)
    fitting = [evidence for evidence in found if evidence.bench.network[0] == domain.facts.resolution]
    # of this target before all; then the most trials
    evidence = max(fitting, key=lambda e: (len(e.of(target)), len(e.tried)), default=None)
    if evidence is None or not evidence.tried:
        return _by_ranking(home, domain), notes
    notes += [
        f"left out, as measured otherwise: {len(e.tried)} trials by {e.bench.about()}"
        for e in fitting
        if e is not evidence
    ]
    models, unreadable = of_resolution(home, domain)
    models = [model for model in models if _shape(model) == evidence.bench.network]
    first = evidence.tried[0].config
    ranking = rank_sources(home, domain, models, first.protocol) if models else None
    if ranking:
        evidence.rankings[target] = evidence.rankings.get(target, {}) | ranking.distances
    judged = judge(evidence, target, ranking.order if ranking else ())
    return _from(evidence, target, judged, ranking, _search_size(evidence, trials, hours)), [*notes, *unreadable]


def _shape(model: SourceModel) -> tuple[int, ...]:
    network = model.facts.network
    return network.resolution, network.width, network.z_dim


def _search_size(evidence: Evidence, trials: int | None, hours: float | None) -> tuple[int, float | None]:
    """Trials, and the hours that they take one after the other."""
    seconds = evidence.seconds
    if hours is not None and seconds:
        return max(1, int(hours * 3600 / seconds)), hours
    trials = trials or DEFAULT_TRIALS
    return trials, trials * seconds / 3600 if seconds else None


def _from(
    evidence: Evidence, target: str, judged: Judgement, ranking: Ranking | None, size: tuple[int, float | None]
) -> Recommendation:
    arm = judged.arms[judged.order[0]]
    rates = judged.rates[arm]
    like = pattern(evidence, target, arm)
    assert like is not None, "there is evidence"
    config = TrialConfig.parse(trial_values(like.config.model_dump(), target, arm, rates), "pick")
    score, to_scratch = expected(judged)
    others = rivals(judged, evidence, target)
    gain = search_gain(judged, *size)
    here = evidence.of(target)
    return Recommendation(
        target=target,
        source=arm[0] or SCRATCH,
        parts=arm[1],
        lr_g=rates[0],
        lr_d=rates[1],
        score=score,
        to_scratch=to_scratch,
        measured=evidence.bench.about(),
        trials_here=len(here),
        trials_elsewhere=len(evidence.tried) - len(here),
        rests_on=dict(Counter(one.study for one in evidence.tried)),
        rivals=tuple(others),
        search=gain,
        ranking={row.source: row.rank for row in ranking.rows} if ranking else {},
        says=tuple(_sentences(evidence, target, arm, rates, score, to_scratch, others, gain)),
        config=config,
    )


def _sentences(
    evidence: Evidence,
    target: str,
    arm: Arm,
    rates: tuple[float, float],
    score: Interval | None,
    to_scratch: Interval,
    others: Sequence[Rival],
    gain: SearchGain,
) -> list[str]:
    here, elsewhere = len(evidence.of(target)), [name for name in evidence.targets if name != target]
    metric = evidence.bench.metric.upper()
    said = [f"train {_name(arm)}, with learning rates {rates[0]:.3g} (generator) and {rates[1]:.3g} (discriminator)"]
    if score:
        said.append(f"expected {metric} of one training {_range(score)}: 90 % of trainings lie in the brackets")
    else:
        said.append(f"what {metric} that comes to on {target!r} is not known: no trial of this target was measured so")
    said.append(_against_scratch(arm, to_scratch, others))
    said += _against_others(arm, others)
    rests = [f"{here} trials of {target!r}"] + (
        [f"{len(evidence.tried) - here} of {', '.join(elsewhere)}"] if elsewhere else []
    )
    carried = sum(one.carried for one in evidence.tried)
    said.append(
        f"it rests on {' and '.join(rests)}"
        + (f"; {carried} were stopped early and are carried on by the mean progress of the others" if carried else "")
    )
    dead = {who: n for who, n in evidence.dead.items() if who[0] == target}
    if dead:
        said.append(
            "without a score: "
            + ", ".join(f"{n} of {_name((s, p))}" for (_, s, p), n in dead.items())
            + " diverged or failed"
        )
    return [*said, _of_search(gain)]


def _name(arm: Arm) -> str:
    return "from scratch" if arm[0] is None else f"from {arm[0]}, {arm[1]} transferred"


def _range(interval: Interval) -> str:
    return f"{interval.expected:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _against_scratch(arm: Arm, to_scratch: Interval, others: Sequence[Rival]) -> str:
    if arm[0] is None:
        closest = others[0] if others else None
        if closest is None:
            return "no source model of this network is on the shelf to compare scratch with"
        sure = closest.separated
        return (
            f"the evidence favours scratch: it beats the best source, {closest.source} ({closest.parts}), with probability "
            f"{closest.worse_with_probability:.2f}"
            + ("" if sure else f", short of the {SURE} that would separate them")
        )
    scratch = next(rival for rival in others if rival.source == SCRATCH)
    if scratch.separated:
        return f"transfer beats scratch with probability {scratch.worse_with_probability:.2f}: its score is {_range(to_scratch)} of scratch's"
    return (
        f"the evidence does not separate transfer from scratch: transfer is better with probability "
        f"{scratch.worse_with_probability:.2f}, its score {_range(to_scratch)} of scratch's"
    )


def _against_others(arm: Arm, others: Sequence[Rival]) -> list[str]:
    """What is known of the other sources, each with its best parts, and of this source's other parts."""
    if arm[0] is None:
        return []
    best = {rival.source: rival for rival in reversed(others) if rival.source not in (arm[0], SCRATCH)}
    ordered = [rival for rival in others if best.get(rival.source) is rival]
    parts = [rival for rival in others if rival.source == arm[0]]
    said = []
    for kind, group in (("source", ordered), ("choice of networks", parts)):
        open_ones = [rival for rival in group if not rival.separated]
        closed = [rival for rival in group if rival.separated]
        if closed:
            said.append(f"better than every other {kind} named here: " + ", ".join(map(_odds, closed)))
        if open_ones:
            said.append(f"the evidence does not separate it from this {kind}: " + ", ".join(map(_odds, open_ones)))
    return said


def _odds(rival: Rival) -> str:
    return f"{rival.source} ({rival.parts}), better than it with probability {rival.worse_with_probability:.2f}"


def _of_search(gain: SearchGain) -> str:
    hours = "" if gain.hours is None else f" (about {gain.hours:.2g} h, one after the other)"
    less, most = 1 - gain.ratio.expected, 1 - gain.ratio.low
    if most < 0.01:
        return f"a search of {gain.trials} trials{hours} over sources and networks would likely gain nothing over it"
    return f"a search of {gain.trials} trials{hours} over sources and networks would likely lower the score by {max(less, 0):.0%}, by {most:.0%} at best"


def _by_ranking(home: Home, domain: Domain) -> Recommendation:
    """Nothing was trained yet: the first by rank, with the paper's parts and the defaults of a search."""
    spec = resolve_study(home, domain.facts.name, "quickstart").spec
    models = [open_source(home, name) for name in spec.sources]
    ranking = rank_sources(home, domain, models, spec.base.protocol) if models else None
    arm: Arm = (ranking.order[0], DEFAULT_PARTS) if ranking else (None, "none")
    optim = spec.base.optim
    config = TrialConfig.parse(trial_values(spec.base.model_dump(), spec.target, arm, (optim.lr_g, optim.lr_d)), "pick")
    why = (
        f"{arm[0]} ranks first of {len(models)} source models before any training"
        if ranking
        else "there is no source model of its resolution"
    )
    says = (
        f"train {_name(arm)}, with the default learning rates {optim.lr_g:.3g} and {optim.lr_d:.3g}",
        f"no trial of this home is evidence for it: {why}, and that is all that is known",
        "so no score can be expected of it, and it is not said to be better than another source or than scratch; a search "
        f"would tell: understock search {spec.target}",
    )
    return Recommendation(
        target=spec.target, source=arm[0] or SCRATCH, parts=arm[1], lr_g=optim.lr_g, lr_d=optim.lr_d, score=None,
        to_scratch=None, measured=None, trials_here=0, trials_elsewhere=0, rests_on={}, rivals=(), search=None,
        ranking={row.source: row.rank for row in ranking.rows} if ranking else {}, says=says, config=config,
    )  # fmt: skip


def write_recommendation(path: Path, recommendation: Recommendation) -> None:
    """As JSON, whose "config" is what `understock train` takes."""
    with writing(path) as beside:
        beside.write_text(recommendation.model_dump_json(indent=1) + "\n")
