"""From what a user asked for to a complete StudySpec, and from that to a study on disk; nothing is trained here."""

import datetime
import importlib.metadata
import math
import platform
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.goals import check_measured, goals_of, protocol_for
from search.prior import by_transfer
from search.proposals import check_choices, check_shared, check_varied, grid, load_space, probe, varied
from search.ranking import rank_sources, write_ranking
from search.records.inputs import check_unchanged
from search.records.results import merged
from search.records.study import DEFAULT_TRIALS, LIMITS, StudyPaths, StudySpec, is_begun, open_study, write_spec
from search.resources import check_limits, check_sampler, check_stopping, shares
from search.source_domains import find_domains, measuring, missing
from search.source_models import common_network, fitting_models, named_models
from spaces.config import SCRATCH, Budget, Data, TrialConfig
from spaces.errors import UserError, lookup
from spaces.methods.finetune import FinetuneConfig
from spaces.methods.from_source import BesideFinetuneConfig
from spaces.networks import AnyNetwork, classes_of
from spaces.presets import small
from spaces.protocol import Protocol
from spaces.records import Config
from spaces.suggest import Space
from spaces.trials import CONFIGS, parse_trial, takes_domains, takes_models
from trainables.images.domains import Domain, open_domain
from trainables.machine.devices import best_device, native_precision
from trainables.methods.finetuning.classes import without_classes
from trainables.metrics.features import EXTRACTORS
from trainables.metrics.iw import measurable
from trainables.networks.families import DISCRIMINATOR, FAMILIES, family_of
from trainables.sources.shelf import SourceModel, open_source
from trainables.storage.home import Home, claim, file_digest

SETTLED_STEPS = 500
"""Generator steps before which a rung is called early."""

RUNG_IMAGES = 256
"""How many images a trial is judged by at a rung; `benchmarks/judging/rungs.py` shows how well."""

RENAME = "give this one another --name, or go on with that one"
"""The way out of a name that is taken, where the verb has that option."""


@dataclass(frozen=True)
class Resolved:
    """A study to be, and what its user should know before it starts."""

    spec: StudySpec
    example: TrialConfig
    """A trial that the study might have, drawn at random."""
    notes: tuple[str, ...]
    """What was left out or may surprise, a line each."""


def resolve_study(
    home: Home,
    target: str,
    space_name: str,
    *,
    name: str | None = None,
    sources: str | None = None,
    target_images: int | None = None,
    shots: int | None = None,
    max_images: int | None = None,
    metric: str | None = None,
    extractor: str | None = None,
    trials: int | None = None,
    max_minutes: float | None = None,
    on_cluster: bool = False,
    conditional: bool = False,
    family: str | None = None,
    **settings: Any,
) -> Resolved:
    """Make the spec of a study of domain `target`: fill in all that a user left open, which is what is None.

    `space_name` is a name, or FILE.py:FUNCTION. `sources` are names with commas between; without them the study takes
    every source model of the target's resolution whose network is the commonest. `target_images` or `shots` of each class are
    how many of the target's images a trial is given. `max_images` is each trial's budget, `metric` what the search goes by, or
    with commas between the goals of a front, in the features of `extractor`. `on_cluster` says that trials run elsewhere than on
    this machine. `conditional` asks for GANs conditional on the target's classes; a space may say so too. `family` of networks
    is by default that of the commonest network of the sources. `settings` are StudySpec's own fields.

    Raises UserError if a name is not known, a number is out of range, or the space does not fit.
    """
    space_name, space_digest = _whole_path(space_name)
    space, domain = load_space(space_name), open_domain(home, target)
    names = [item.strip() for item in sources.split(",") if item.strip()] if sources else []
    classes = _classes(domain, space, conditional)
    if family is not None:
        lookup(FAMILIES, "family of networks", family)
    data = images_given(domain, target_images, shots)
    space_name, space, (models, domains, notes) = _taken(home, domain, space_name, space, names, data, classes, family)
    given = {key: value for key, value in settings.items() if value is not None}
    limits = given.keys() & set(LIMITS)
    shared = shares(given, on_cluster)
    # Of a cluster only the GPUs' kind is a guess; all that Ray's own images name have bfloat16.
    precision = "bfloat16" if on_cluster and shared["gpus_per_worker"] else native_precision(best_device())
    network = common_network(domain, models, classes, family)
    goals = goals_of(metric) if metric is not None else ()
    base, left_out = _base_config(domain, space, network, precision, data, max_images, goals, extractor)
    base = base.model_copy(update={"protocol": measuring(base.protocol, space.methods, domain, domains)})
    check_measured(goals, base.protocol, left_out)
    default_name = f"{target}-{space_name.rpartition(':')[2].replace('_', '-').lower()}"
    spec = StudySpec.parse(
        {
            "name": name or default_name,
            "target": target,
            "space": space_name,
            "trials": DEFAULT_TRIALS if trials is None and not limits else trials,
            "sources": [model.facts.name for model in models],
            "without_critic": [m.facts.name for m in models if DISCRIMINATOR not in m.facts.networks],
            "domains": [each.facts.name for each in domains],
            "train_images": len(domain.chosen(base.data)),
            "base": base.model_dump(),
            "front": goals if len(goals) > 1 else (),
            "digests": {f"domain:{each.facts.name}": each.facts.digest for each in (domain, *domains)}
            | {f"source:{model.facts.name}": model.facts.digest for model in models}
            | space_digest,
            "versions": versions(),
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "max_seconds": max_minutes and max_minutes * 60,
            **shared,
            **given,
        },
        "search",
    )
    if spec.base.batch and spec.base.batch % spec.workers_per_trial:
        raise UserError(
            f"a batch of {spec.base.batch} can't be shared equally by {spec.workers_per_trial} workers; give a "
            "--workers-per-trial that divides it"
        )
    example, _ = probe(spec, space)
    spec, goes_by = by_transfer(home, spec, varied(spec, space), given)
    check_sampler(spec)
    check_stopping(spec)
    check_limits(spec)
    if spec.sampler == "grid":
        cells = len(grid(spec, space))
        spec = spec.model_copy(update={"trials": min(trials or cells, cells)})
    check_shared(spec, space)
    _check_new(home, spec, space, example)
    surprises = (left_out, _early_rung(spec, example), goes_by)
    return Resolved(spec, example, (*notes, *(line for line in surprises if line)))


def _check_new(home: Home, spec: StudySpec, space: Space, example: TrialConfig) -> None:
    """UserError for a study that is not worth beginning; those that earlier versions began go on."""
    if not is_begun(StudyPaths.of(home, spec.name)):
        check_varied(spec, space)
        check_choices(spec, space)
        _check_judged((*space.methods, example.method), spec.base.protocol)


def images_given(domain: Domain, target_images: int | None, shots: int | None) -> Data:
    """What a trial is given of the target's images; UserError if there are not as many."""
    if target_images is not None and shots is not None:
        raise UserError("--target-images and --shots are two counts of the same images; give one")
    data = Data.parse({"target_images": target_images, "shots": shots}, "search")
    domain.chosen(data)  # says how many there are, if too few
    return data


Found = tuple[list[SourceModel], list[Domain], tuple[str, ...]]
"""Source models, source domains, and notes on what was left out."""


def _taken(
    home: Home,
    target: Domain,
    space_name: str,
    space: Space,
    names: Sequence[str],
    data: Data,
    classes: int | None,
    family: str | None,
) -> tuple[str, Space, Found]:
    """The space of that name and what it takes; or the one of few images in its place, where K of each class are given and its
    methods find domains to learn from.
    """
    if data.shots and space.of_few:
        of_few = load_space(space.of_few)
        found = _sources(home, target, of_few, names, data, classes, family)
        if found[1]:
            return space.of_few, of_few, found
    return space_name, space, _sources(home, target, space, names, data, classes, family)


def _sources(
    home: Home,
    target: Domain,
    space: Space,
    names: Sequence[str],
    data: Data,
    classes: int | None,
    family: str | None,
) -> Found:
    """The source models and the source domains that the space's methods take, of these names or all that fit; and notes.

    A space of methods of both kinds takes domains only where each source model's name is that of a domain that fits.
    """
    taking = [name for name in space.methods if takes_domains(name)]
    if not any(map(takes_models, space.methods)):
        return [], *find_domains(home, target, names, taking, data)
    models, notes = (
        (named_models(home, target, names, space, classes, family), ())
        if names
        else fitting_models(home, target, space, classes, family)
    )
    if not (taking and models):
        return models, [], notes
    wanted = [model.facts.name for model in models]
    if lacking := missing(home, target, wanted):
        return models, [], (*notes, f"methods {', '.join(taking)} are left out: {lacking}")
    try:
        domains, left_out = find_domains(home, target, wanted, taking, data)
        if left_out:
            raise UserError("; ".join(left_out))
    except UserError as error:
        return models, [], (*notes, f"methods {', '.join(taking)} are left out: {error}")
    return models, domains, notes


def _classes(domain: Domain, space: Space, asked: bool) -> int | None:
    """How many classes trials are conditional on, None of an unconditional study; UserError where the domain has none."""
    if not (asked or space.conditional):
        return None
    if without := [name for name in space.methods if issubclass(CONFIGS[name], BesideFinetuneConfig)]:
        raise UserError(
            f"method {without[0]!r} trains no conditional GAN; leave --conditional out, or take another --space"
        )
    if reason := without_classes(domain):
        raise UserError(f"{'--conditional' if asked else 'a space of conditional GANs'}: {reason}")
    return domain.labels_known


def _early_rung(spec: StudySpec, example: TrialConfig) -> str | None:
    """A word on a first rung so early that what is stopped there may have become the best."""
    if not spec.early_stopping or not isinstance(example, FinetuneConfig):
        return None
    budget, per_step = example.budget, example.optim.batch * example.loss.n_critic
    first, whole = (math.ceil(images / per_step) for images in (budget.eval_every_images, budget.images))
    if first >= SETTLED_STEPS or first >= whole:
        return None
    return (
        f"early stopping first decides after {first:,} of {whole:,} generator steps, where scores tell sources apart better than "
        "learning rates; to wait longer, give more --max-images or --no-early-stopping"
    )


def _whole_path(space: str) -> tuple[str, dict[str, str]]:
    """Give a user's FILE.py:FUNCTION with the file's whole path, and the file's digest; a named space as it is."""
    path, _, function = space.rpartition(":")
    if not path.endswith(".py") or not Path(path).is_file():
        return space, {}
    whole = Path(path).resolve()
    return f"{whole}:{function}", {f"space:{whole}": file_digest(whole)}


def check_judged(home: Home, name: str, methods: Iterable[str], protocol: Protocol) -> None:
    """UserError if a study of that name, which is not begun yet, would go by features that trials of a method train on.

    Those that earlier versions began, by iw, go on.
    """
    if not is_begun(StudyPaths.of(home, name)):
        _check_judged(methods, protocol)


def _check_judged(methods: Iterable[str], protocol: Protocol) -> None:
    for method in methods:
        if reason := lookup(CONFIGS, "method", method).unjudged(protocol):
            raise UserError(f"method {method!r} {reason}")


def begin(home: Home, spec: StudySpec, way_out: str = RENAME) -> str:
    """Put a new study on disk, with its sources ranked for the target; or find the same one there, to go on with it.

    Returns its name. Raises UserError if a study of that name is there with other settings, with the `way_out` of whoever
    named it, if another process begins one, or if the data change meanwhile.
    """
    paths = StudyPaths.of(home, spec.name)
    home.check_writable()
    if not is_begun(paths):
        with claim(home, "studies", spec.name):
            models = [open_source(home, name) for name in spec.sources]
            ranking = rank_sources(home, open_domain(home, spec.target), models, spec.base.protocol)
            check_unchanged(home, spec)  # ranking takes minutes
            write_ranking(paths.ranking, ranking)
            write_spec(paths, spec.model_copy(update={"sources": ranking.order, "ranking": ranking.distances}))
        return spec.name
    before = open_study(home, spec.name)[1]
    for field in type(spec).model_fields:
        if field in (
            "created",
            "versions",
            "sources",
            "without_critic",
            "ranking",
        ):  # the sources are compared by their digests
            continue
        then, now = getattr(before, field), getattr(spec, field)
        if then != now:
            more = f" --trials {now}" if field == "trials" and then and now and now > then else ""
            raise UserError(
                f"study {spec.name!r} is there already with another {field} ({_shown(then, now)}); {way_out}: "
                f"understock resume {spec.name}{more}"
            )
    return spec.name


def _shown(then: Any, now: Any) -> str:
    """Say which value there was and which is asked for: of two configs the first fields that differ, of mappings the entries."""
    while isinstance(then, Config):
        field = next(name for name in type(then).model_fields if getattr(then, name) != getattr(now, name))
        then, now = getattr(then, field), getattr(now, field)
    if isinstance(then, dict):
        differ = sorted(key for key in then.keys() | now.keys() if then.get(key) != now.get(key))
        then, now = ({key: values.get(key) for key in differ} for values in (then, now))
    return f"it has {then!r}, asked for {now!r}"


def _base_config(
    domain: Domain,
    space: Space,
    network: AnyNetwork | None,
    precision: str,
    data: Data,
    max_images: int | None,
    goals: Sequence[str],
    extractor: str | None,
) -> tuple[TrialConfig, str | None]:
    """Make the config that a study's trials have in common: the small preset, with what the space and the user say.

    With it comes a line on the metric that the domain is too small for, if there is one.
    """
    preset = small(domain.facts.name, domain.facts.resolution)
    network = network or preset.network
    own = {"augment/flip": bool(domain.facts.flip), **space.common, **family_of(network).settings(network)}
    values = merged(_starting_point(preset, network, precision), own)
    values["data"] |= data.model_dump(exclude_unset=True, exclude_none=True)  # the space may say something too
    if max_images is not None:
        values["budget"] = Budget(**values["budget"]).stretched(max_images).model_dump()
    if extractor is not None:
        lookup(EXTRACTORS, "feature extractor", extractor)
    if goals or extractor:
        values["protocol"] = protocol_for(goals, values["protocol"], extractor)
    base = parse_trial(values, "search")
    if classes_of(network):
        base = base.model_copy(update={"protocol": base.protocol.with_classes()})
    lookup(EXTRACTORS, "feature extractor", base.protocol.extractor)
    protocol, left_out = measurable(base.protocol, domain, base.data)
    return base.model_copy(update={"protocol": protocol}), left_out


def _starting_point(preset: FinetuneConfig, network: AnyNetwork, precision: str) -> dict[str, Any]:
    """The defaults of a trial with such a network. The precision is written down, so that a study has one wherever it is
    resumed."""
    images = preset.budget.images
    budget = Budget(images=images, eval_every_images=images // 9, eval_growth=3, eval_start=True)
    protocol = Protocol(n_rung=RUNG_IMAGES)
    values = FinetuneConfig(
        target=preset.target, source=SCRATCH, network=network, budget=budget, protocol=protocol
    ).model_dump()
    return merged(values, {"optim/precision": precision})


def versions() -> dict[str, str]:
    """Give the versions of the packages that a study's numbers depend on, and of Python, by name."""
    packages = {name: importlib.metadata.version(name) for name in ("understock", "torch", "ray", "optuna")}
    return packages | {"python": platform.python_version()}
