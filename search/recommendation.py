"""A recommendation for a target, in numbers and in sentences that claim no more than the numbers carry."""

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import Field

from search.fronts import exchanges, front_of, labelled, scored
from search.launch import images_given, resolve_study
from search.picking.arms import SCRATCH_ARM, Arm, trial_values
from search.picking.bench import Bench, Network
from search.picking.elsewhere import on_others
from search.picking.evidence import Evidence, Pool, gather, level_of
from search.picking.pick import (
    DEFAULT_PARTS,
    Interval,
    Judgement,
    Rival,
    SearchGain,
    expected,
    judge,
    pattern,
    rivals,
    search_gain,
    unvaried,
)
from search.picking.recorded import shipped
from search.picking.verdict import over_the_source, verdict, verdict_by_ranking
from search.ranking import Ranking, of_resolution, rank_sources
from search.records.results import load
from search.records.study import DEFAULT_TRIALS, open_study
from search.source_domains import find_domains
from spaces.config import SCRATCH, Data, TrialConfig
from spaces.errors import UserError
from spaces.protocol import Protocol
from spaces.records import Config
from spaces.trials import DEFAULT_METHOD, AnyTrial, makes_more, parse_trial, takes_domains
from trainables.images.domains import Domain, open_domain
from trainables.methods.finetuning.classes import without_classes
from trainables.metrics.reference import check_compared
from trainables.sources.likeness import distance_names
from trainables.sources.shelf import SourceModel, open_source, shelf
from trainables.storage.home import Home, writing


class Recommendation(Config):
    """What to train for a target, what it will likely come to, and why."""

    target: str
    method: str = DEFAULT_METHOD
    source: str
    parts: str
    lr_g: float | None
    """The generator's learning rate; None for a method without."""
    lr_d: float | None
    """The critic's learning rate; None for a method without."""
    score: Interval | None = None
    """Of one training; None where no trial of this target tells the level of its scores."""
    to_scratch: Interval | None = None
    """Its score over that of training from scratch; None without any trial."""
    to_as_is: Interval | None = None
    """Its score over that of the best source as it is; None where none was scored untrained."""
    measured: str | None = None
    """How scores were measured."""
    trials_here: int = 0
    trials_elsewhere: int = 0
    rests_on: dict[str, int] = Field(default_factory=dict)
    """Trials by study."""
    rivals: tuple[Rival, ...] = ()
    """Every other arm, the likeliest first."""
    search: SearchGain | None = None
    ranking: dict[str, float]
    """Sources by rank, before training."""
    says: tuple[str, ...]
    """The recommendation in sentences."""
    config: AnyTrial
    """What `understock train` takes."""


def recommend(
    home: Home,
    target: str,
    *,
    sources: Sequence[str] | None = None,
    target_images: int | None = None,
    shots: int | None = None,
    trials: int | None = None,
    hours: float | None = None,
    conditional: bool = False,
) -> tuple[Recommendation, list[str]]:
    """The recommendation for a target, and a word on what was left out of it.

    `sources` are the names to choose from, by default all that fit of the shelf, and of the home's domains for methods that
    take their images; `target_images` how many of the target's to train on, by default all, or `shots` of each class, without
    which no few-shot method is recommended; `trials` or `hours` are of a search to come. Of trials that were not measured
    alike, those count that say the most, of conditional GANs or of unconditional ones as is asked. UserError if a name is not
    known, or does not fit.
    """
    domain = open_domain(home, target)
    data = images_given(domain, None if target_images == domain.facts.train else target_images, shots)
    check_compared(domain, Protocol(), data)
    if conditional and (reason := without_classes(domain)):
        raise UserError(f"--conditional: {reason}")
    recorded = shipped(home)
    not_ours = {study.study for study, _ in recorded}
    found, notes = gather(home, beside=recorded)
    same_size = [pool for pool in found if pool.bench.network.resolution == domain.facts.resolution]
    own = [pool for pool in same_size if any(curve.study not in not_ours for curve in pool.curves)]
    fitting = [pool for pool in own if bool(pool.bench.network.conditioning) == conditional]
    notes += [pool.left_out() for pool in own if pool not in fitting]
    if not own and not conditional:
        fitting = [pool for pool in same_size if _has_its_network(home, domain, pool, sources)]
    fitting = [pool for pool in fitting if pool.bench.has_gans or _has_a_choice(pool, sources, shots)]
    pool = max(fitting, key=lambda pool: pool.information(target), default=None)
    evidence = pool.at(pool.budget(target)) if pool else None
    if pool is None or evidence is None or not evidence.tried:
        return _by_ranking(home, domain, sources, data, conditional), notes
    notes += [other.left_out() for other in fitting if other is not pool]
    models, domains, unreadable = _choices(home, domain, evidence, sources, data)
    first = evidence.tried[0].config
    elsewhere = on_others(evidence, target, distance_names(first.protocol))
    ranking = rank_sources(home, domain, models, first.protocol, elsewhere) if models else None
    if ranking:
        evidence.rankings[target] = evidence.rankings.get(target, {}) | ranking.distances
    order, with_shots = ranking.order if ranking else (), shots is not None
    judged = judge(evidence, target, order, level=level_of(target, data), domains=domains, with_shots=with_shots)
    size = search_size(evidence, trials, hours)
    config = _config(home, evidence, domain, judged, data, pool.seeds.get(target, -1) + 1)
    answer = _from(evidence, target, judged, ranking, size, config)
    says = (*answer.says, *recorded_says(evidence, not_ours), *fronts_say(home, target))
    return answer.model_copy(update={"says": says}), [*notes, *unreadable]


def recorded_says(evidence: Evidence, not_ours: Container[str]) -> Iterator[str]:
    """A word on the trials that are no study's of this home."""
    theirs = [one for one in evidence.trials if one.study in not_ours]
    if theirs:
        they, are = ("it", "is") if len(theirs) == 1 else ("they", "are")
        own = len(evidence.trials) - len(theirs)
        beside = f"; the other {own} are this home's" if own else ""
        yield (
            f"{len(theirs)} of these trials {are} not this home's: {they} {are} of the table that ships with understock, of "
            f"other targets on another machine, measured alike{beside}"
        )


def fronts_say(home: Home, target: str) -> Iterator[str]:
    """What one pays for what on this target, by the studies of the home that searched a front."""
    for name in home.names("studies"):
        try:
            paths, spec = open_study(home, name)
            rows = load(paths.evaluations).to_pylist() if spec.target == target and spec.front else []
        except UserError:  # `gather` says so
            continue
        goals = labelled(spec.front, spec.base.protocol.extractor)
        front = front_of(scored(rows, spec.front), spec.front)
        if front:
            yield f"study {name} has a front of {len(front)}: {'; '.join(each.said(goals) for each in front)}"
            yield from (f"there, {said}" for said in exchanges(front, goals))


def _has_a_choice(pool: Pool, sources: Sequence[str] | None, shots: int | None) -> bool:
    """Whether trials without GANs tell of a source that may be chosen, by a method that so many shots, or none, allow."""
    arms = {curve.arm for curve in pool.curves if shots is not None or not makes_more(curve.arm.method)}
    return any(sources is None or arm.source is None or arm.source in sources for arm in arms)


def _has_its_network(home: Home, domain: Domain, pool: Pool, sources: Sequence[str] | None) -> bool:
    """Whether there are source models to choose from that a pool of others' trials tells of; it refuses none."""
    models = of_resolution(home, domain)[0] if sources is None else [open_source(home, name) for name in sources]
    same = [_shape(model) == pool.bench.network for model in models]
    return any(same) if sources is None else all(same)


_Domains = dict[str, list[str]]
"""Of methods that take the images of domains: those that each can take."""


def _choices(
    home: Home, domain: Domain, evidence: Evidence, sources: Sequence[str] | None, data: Data
) -> tuple[list[SourceModel], _Domains, list[str]]:
    """The source models of the evidence's network, the domains for methods that it tells of, and a word on the unreadable."""
    domains = _domains(home, domain, evidence, sources, data)
    if not evidence.bench.has_gans:
        left = [
            f"source model {name!r} is left out: no trial trained a GAN"
            for name in sources or ()
            if name in shelf(home)
        ]
        return [], domains, left
    if sources is None:
        models, unreadable = of_resolution(home, domain)
        return [model for model in models if _shape(model) == evidence.bench.network.shape], domains, unreadable
    known = {name for names in domains.values() for name in names} - set(shelf(home))
    models = [open_source(home, name) for name in sources if name not in known]
    _check_networks(models, evidence.bench, domain)
    return models, domains, []


def _domains(home: Home, target: Domain, evidence: Evidence, sources: Sequence[str] | None, data: Data) -> _Domains:
    """The domains, of these names or all that fit, for each method of the evidence that takes their images."""
    names = None if sources is None else [name for name in sources if name in home.names("domains")]
    found: _Domains = {}
    for method in sorted({one.arm.method for one in evidence.tried if takes_domains(one.arm.method)}):
        if names != []:
            with suppress(UserError):  # there is none, or none that fits
                fitting, _ = find_domains(home, target, names or (), [method], data)
                found[method] = [each.facts.name for each in fitting]
    return found


def _check_networks(models: Sequence[SourceModel], bench: Bench, domain: Domain) -> None:
    """UserError if one of the source models is not of the bench's network."""
    network = bench.network
    for model in models:
        if _shape(model) != network.shape:
            raise UserError(
                f"source model {model.facts.name!r} has resolution, width, z and family {tuple(_shape(model)[:4])}, the trials "
                f"of this home {tuple(network[:4])}; leave it out, or search with it first: understock search "
                f"{domain.facts.name} --sources {model.facts.name}"
            )


def _shape(model: SourceModel) -> Network:
    network = model.facts.network
    return Network(network.resolution, network.width, network.z_dim, network.family)


def search_size(evidence: Evidence, trials: int | None, hours: float | None) -> tuple[int, float | None]:
    """Trials, and the hours that they take one after the other."""
    seconds = evidence.seconds
    if hours is not None and seconds:
        return max(1, int(hours * 3600 / seconds)), hours
    trials = trials or DEFAULT_TRIALS
    return trials, trials * seconds / 3600 if seconds else None


def _config(home: Home, evidence: Evidence, domain: Domain, judged: Judgement, data: Data, seed: int) -> TrialConfig:
    """What to train: the arm picked, with the settings of its best trial, at the evidence's budget, with a seed not tried.

    A conditional GAN is of the target's classes, whichever those of that trial were. Where scratch is picked and no GAN was
    ever trained, it is one of a quickstart.
    """
    arm, target = judged.arms[judged.order[0]], domain.facts.name
    like = pattern(evidence, target, arm, level_of(target, data)).config
    rates = judged.rates[arm]
    if arm == SCRATCH_ARM and not evidence.bench.has_gans:
        base = resolve_study(home, target, "quickstart").spec.base
        like, rates = base.model_copy(update={"protocol": like.protocol}), base.rates
    values = trial_values(like.model_dump(), target, arm, rates)
    values["budget"] = like.budget.stretched(evidence.images).model_dump()
    values |= {"data": data.model_dump(), "seed": seed}
    if evidence.bench.network.conditioning and "network" in values:
        values["network"] = {**values["network"], "classes": domain.labels_known}
    return parse_trial(values, "pick")


def _from(
    evidence: Evidence,
    target: str,
    judged: Judgement,
    ranking: Ranking | None,
    size: tuple[int, float | None],
    config: TrialConfig,
) -> Recommendation:
    arm = judged.arms[judged.order[0]]
    rates = config.rates
    score, to_scratch = expected(judged)
    others = rivals(judged, evidence, target)
    gain = search_gain(judged, *size, unvaried=unvaried(evidence))
    here = sum(one.target == target for one in evidence.trials)
    return Recommendation(
        target=target,
        method=arm.method,
        source=arm.source or SCRATCH,
        parts=arm.parts,
        lr_g=rates[0] if rates else None,
        lr_d=rates[1] if rates else None,
        score=score,
        to_scratch=to_scratch,
        to_as_is=over_the_source(arm, others),
        measured=evidence.about(),
        trials_here=here,
        trials_elsewhere=len(evidence.trials) - here,
        rests_on=dict(Counter(one.study for one in evidence.trials)),
        rivals=tuple(others),
        search=gain,
        ranking={row.source: row.rank for row in ranking.rows} if ranking else {},
        says=tuple(verdict(evidence, target, arm, rates, score, to_scratch, others, gain)),
        config=config,
    )


def _by_ranking(
    home: Home, domain: Domain, sources: Sequence[str] | None, data: Data, conditional: bool
) -> Recommendation:
    """Nothing was trained yet: the first by rank, with the paper's parts and the defaults of a search."""
    given = {"target_images": data.target_images, "shots": data.shots}
    settings = {"sources": ",".join(sources or ()), **given, "conditional": conditional}
    spec = resolve_study(home, domain.facts.name, "quickstart", **settings).spec  # type: ignore[arg-type]
    models = [open_source(home, name) for name in spec.sources]
    ranking = rank_sources(home, domain, models, spec.base.protocol) if models else None
    arm = Arm.finetuned(ranking.order[0], DEFAULT_PARTS) if ranking else SCRATCH_ARM
    rates = spec.base.rates
    assert rates is not None, "the base of a search is fine-tuning's"
    return Recommendation(
        target=spec.target,
        method=arm.method,
        source=arm.source or SCRATCH,
        parts=arm.parts,
        lr_g=rates[0] if rates else None,
        lr_d=rates[1] if rates else None,
        ranking={row.source: row.rank for row in ranking.rows} if ranking else {},
        says=tuple(verdict_by_ranking(spec.target, arm, rates, len(models))),
        config=parse_trial(trial_values(spec.base.model_dump(), spec.target, arm, rates), "pick"),
    )


def write_recommendation(path: Path, recommendation: Recommendation) -> None:
    """As JSON, whose "config" is what `understock train` takes."""
    with writing(path) as beside:
        beside.write_text(recommendation.model_dump_json(indent=1) + "\n")
