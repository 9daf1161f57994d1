"""What the rest of the code knows of a method, which is a way to use what a source knows for a target."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import torch

from spaces.config import SCRATCH, TrialConfig
from spaces.records import Config
from trainables.images.batches import Batch
from trainables.images.domains import CLASS_FOLDERS, Domain, DomainFacts
from trainables.images.samples import Inputs, Samples
from trainables.networks.models import Model
from trainables.sources.shelf import SourceFacts, SourceModel
from trainables.training.learner import Learner
from trainables.training.parallel import Group


@dataclass(frozen=True)
class Needs:
    """What a method can't do without."""

    source: bool = False
    """Whether there has to be a source; a method without the need can start from random weights too."""
    networks: tuple[str, ...] = ()
    """That a source has to bring."""
    families: tuple[str, ...] = ()
    """Of networks that the method can work on; any where none is named."""
    source_images: bool = False
    """Whether the images that the source was trained on have to be in the home."""
    labels: bool = False
    """Whether the target's images need classes."""
    domains: bool = False
    """Whether there have to be source domains, whose images it takes; it has no use for a source model then."""
    source_labels: bool = False
    """Whether the images of those domains need classes: the method learns from many what makes a class."""
    class_images: Callable[[int], int] = lambda _: 1
    """Of K, how many training images such a class needs at least to be learnt from; one class has to have them."""


@dataclass(frozen=True, eq=False)
class Given:
    """What a trial has at hand."""

    target: Domain
    source: SourceModel | None = None
    """None from scratch."""
    source_images: Domain | None = None
    """The images that the source was trained on, where the home has them."""
    beside: tuple[SourceModel, ...] = ()
    """Further sources, where the config names some."""
    domains: tuple[Domain, ...] = ()
    """The source domains that the trial names, where its method takes their images."""


N = TypeVar("N", bound=Config)


def network_of(kind: type[N], config: TrialConfig, target: DomainFacts, settings: Mapping[str, Any]) -> N:
    """The network of a trial whose settings lie in its method's own, at the target's resolution; UserError if there is none."""
    where = f"method {config.method!r} on domain {target.name!r} (`domains add --resolution` makes it of another size)"
    return kind.parse({"resolution": target.resolution, **settings}, where)


class Sampler(Protocol):
    """Draws from a model, out of files alone."""

    def __call__(self, n: int, seed: int, inputs: Inputs | None = None) -> Samples:
        """`n` images on the CPU, the same ones for the same seed.

        A model that translates makes them of `inputs`, n of them; UserError if one that does not is given any.
        """
        ...


@dataclass(frozen=True)
class Method:
    """A method: what it needs, how its trials are configured, what it trains, and how a model of it is sampled."""

    config: type[TrialConfig]
    """Its settings, with the paper's defaults; a field of another method is refused."""
    needs: Needs
    batches: Callable[[Any, Given, int, torch.device], Iterator[Batch]]
    """Of config, what is given, number of the first batch and device: batches without end, where they will be used."""
    build: Callable[[Any, Given, torch.device, Group], Learner]
    """Of config, what is given, device and group of workers: the learner at its start."""
    sampler: Callable[[Model], Sampler]


def unfit_target(method: Method, target: Domain) -> str | None:
    """Why the method can't work on that target, whatever else is given, in a line; None if it can."""
    return f"{target.unlabelled}; {CLASS_FOLDERS}" if method.needs.labels and target.unlabelled else None


def unfit(method: Method, given: Given) -> str | None:
    """Why the method can't work with what is given, in a line; None if it can."""
    needs, target = method.needs, given.target.facts
    if reason := unfit_target(method, given.target):
        return reason
    if needs.domains:
        return _unfit_domains(needs, given.domains, target)
    if given.source is None:
        return f"it needs a source, and source {SCRATCH!r} is none" if needs.source else None
    if needs.source_images and given.source_images is None:
        return f"the images of source {given.source.facts.name!r}, domain {given.source.facts.domain!r}, are not in the home"
    return _unfit_networks(needs, given.source.facts, target)


def _unfit_domains(needs: Needs, domains: Sequence[Domain], target: DomainFacts) -> str | None:
    if not domains:
        takes = "learns from the classes" if needs.source_labels else "translates the images"
        return f"it {takes} of source domains, and none is named; name some of the home's with --sources"
    for domain in domains:
        facts = domain.facts
        if facts.name == target.name:
            why = "its classes are to be unseen" if needs.source_labels else "there is nothing to translate"
            return f"domain {facts.name!r} is the target itself, and {why}"
        if needs.source_labels and (both := {*facts.class_names} & {*target.class_names}):
            return (
                f"domain {facts.name!r} has {len(both):,} of the target's classes, such as {min(both)!r}, and they are to be "
                "unseen; set them apart with: understock domains add NAME WHAT --unseen"
            )
        if needs.source_labels and domain.unlabelled:
            return f"{domain.unlabelled}; {CLASS_FOLDERS}"
        if facts.resolution != target.resolution:
            return (
                f"domain {facts.name!r} has {facts.resolution} pixels, domain {target.name!r} {target.resolution}; add one of "
                "them again with the other's --resolution"
            )
    return None


def _unfit_networks(needs: Needs, source: SourceFacts, target: DomainFacts) -> str | None:
    if missing := [name for name in needs.networks if name not in source.networks]:
        return f"source {source.name!r} has no {missing[0]}; it has: {', '.join(source.networks)}"
    families = [network.family for network in source.networks.values()]
    if needs.families and (strange := [family for family in families if family not in needs.families]):
        return f"source {source.name!r} is a {strange[0]}; the method works on: {', '.join(needs.families)}"
    if needs.networks and source.network.resolution != target.resolution:
        pixels = source.network.resolution
        return (
            f"source {source.name!r} has {pixels} pixels, domain {target.name!r} {target.resolution}; add the domain again "
            f"with --resolution {pixels}"
        )
    return None
