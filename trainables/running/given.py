"""What a trial has at hand, gathered from the home by its config."""

from collections.abc import Mapping

from spaces.config import SCRATCH, TrialConfig
from spaces.errors import UserError
from trainables.images.domains import Domain, open_domain, read_facts
from trainables.methods.method import Given
from trainables.sources.shelf import SourceFacts, SourceModel, open_source
from trainables.storage.home import Home


class ChangedDataError(UserError):
    """What a trial was planned with is not what the home has now: no fault of the trial's, so it has not failed."""


def gather(config: TrialConfig, home: Home, planned: Mapping[str, str] | None = None) -> Given:
    """The target, and the sources with the images that the first was trained on, or the source domains of a method that takes
    their images; UserError if one of them is not there.

    `planned` has the digests that the trial was planned with: of domains as "domain:NAME", of the source as
    "source:NAME". ChangedDataError where the home has another, or none; what is not named there is taken as it is.
    """
    planned = planned or {}
    target = _domain(config.target, home, planned.get(f"domain:{config.target}"))
    if config.domains:
        return Given(
            target, domains=tuple(_domain(name, home, planned.get(f"domain:{name}")) for name in config.domains)
        )
    if config.source == SCRATCH:
        return Given(target)
    source = _source(config.source, home, planned.get(f"source:{config.source}"))
    beside = tuple(_source(name, home, planned.get(f"source:{name}")) for name in config.sources_beside)
    return Given(target, source, _images_of(source.facts, home), beside=beside)


def _domain(name: str, home: Home, planned: str | None) -> Domain:
    try:
        domain = open_domain(home, name)
        found = read_facts(
            domain.path
        ).digest  # after the images are mapped: they may be replaced while they are opened
    except UserError as error:
        raise (_gone("domain", name, error) if planned else error) from None
    _check("domain", name, found, planned)
    return domain


def _source(name: str, home: Home, planned: str | None) -> SourceModel:
    try:
        source = open_source(home, name)
    except UserError as error:
        raise (_gone("source model", name, error) if planned else error) from None
    _check("source model", name, source.facts.digest, planned)
    return source


def _gone(kind: str, name: str, error: UserError) -> ChangedDataError:
    return ChangedDataError(f"{kind} {name!r}, which its trials were planned with, can't be had any more ({error})")


def _check(kind: str, name: str, found: str, planned: str | None) -> None:
    if planned and found != planned:
        raise ChangedDataError(
            f"{kind} {name!r} is another than its trials were planned with (digest {found[:12]}, was {planned[:12]})"
        )


def _images_of(source: SourceFacts, home: Home) -> Domain | None:
    """The domain of that name, where the home has one that can be read."""
    if source.domain not in home.names("domains"):
        return None
    try:
        return open_domain(home, source.domain)
    except UserError:
        return None
