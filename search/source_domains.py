"""The source domains of a study: which domains of the home its space's methods can translate to the target."""

from collections.abc import Sequence

from spaces.config import Data
from spaces.errors import UserError
from spaces.protocol import METRICS, Protocol
from spaces.trials import makes_more, translates
from trainables.images.domains import Domain, open_domain, read_facts
from trainables.images.importing.builtin_names import add_command
from trainables.images.pairs import pairs
from trainables.methods.fewshot.episodes import SeenClasses
from trainables.methods.method import Given, unfit, unfit_target
from trainables.methods.registry import method_of
from trainables.methods.translation.translating import source_rows
from trainables.storage.home import Home


def find_domains(
    home: Home, target: Domain, names: Sequence[str], methods: Sequence[str], data: Data
) -> tuple[list[Domain], tuple[str, ...]]:
    """The domains of these names, or without names all of the home, that every one of `methods` can translate to the target.

    `data` says which of the target's images trials are given.

    With them comes a line for each that was named, or can't be read, and is left out. UserError if one that is named is
    not there, if the target is none for a method, or if no domain is left: with the reason of each.
    """
    needing = [name for name in methods if unfit_target(method_of(name), target)]
    if needing:  # which each domain would be left out for
        raise UserError(f"methods {', '.join(needing)} go by classes: {unfit_target(method_of(needing[0]), target)}")
    notes: list[str] = []
    found: list[Domain] = []
    for name in names or _others_of_resolution(home, target):
        try:
            domain = open_domain(home, name)
        except UserError as error:
            if name in names:
                raise
            notes.append(f"left out: {error}")
            continue
        reason = _unfit(target, domain, methods, data)
        if reason is None:
            found.append(domain)
        else:
            notes.append(f"domain {name!r} is left out: {reason}")
    if not found:
        pixels = target.facts.resolution
        none = f"no other domain of {pixels} pixels is in {home}; add one with: understock domains add NAME WHAT"
        raise UserError(
            f"methods {', '.join(methods)} take images of source domains, and there are none for domain "
            f"{target.facts.name!r}: {'; '.join(notes) or none}"
        )
    return found, tuple(notes)


def missing(home: Home, target: Domain, names: Sequence[str]) -> str | None:
    """Which of these domains are not in the home, and how to add each, in a line; None if all are there."""
    known = home.names("domains")
    lacking = [name for name in names if name not in known]
    if not lacking:
        return None
    commands = "; ".join(f"{add_command(name)} --resolution {target.facts.resolution}" for name in lacking)
    return f"they take images of source domains, and {home} has no {', '.join(lacking)}; add them with: {commands}"


def _others_of_resolution(home: Home, target: Domain) -> list[str]:
    """Domains beside the target; those whose facts can't be read too, for opening them says why."""
    found = []
    for name in home.names("domains"):
        try:
            fits = read_facts(home.domain(name)).resolution == target.facts.resolution
        except UserError:
            fits = True
        if fits and name != target.facts.name:
            found.append(name)
    return found


def _unfit(target: Domain, domain: Domain, methods: Sequence[str], data: Data) -> str | None:
    given = Given(target, domains=(domain,))
    reasons = [unfit(method_of(name), given) for name in methods]
    if any(reasons):
        return next(filter(None, reasons))
    try:
        source_rows(domain, target, target.chosen(data))
        for needs in (method_of(name).needs for name in methods):
            if needs.source_labels:
                SeenClasses.of(domain, needs.class_images(data.shots or 1))
    except UserError as error:
        return str(error)
    return None


def measuring(protocol: Protocol, methods: Sequence[str], target: Domain, domains: Sequence[Domain]) -> Protocol:
    """The protocol with what is measured of these methods' trials beside: of translations from the domains, and by class of
    few-shot generation.
    """
    if any(map(makes_more, methods)):
        protocol = protocol.with_classes()
    measured = []
    if any(map(translates, methods)):
        measured += ["pair_error"] if any(len(pairs(domain, target)[0]) for domain in domains) else []
        measured += ["content_shift"] if domains else []
    for name in protocol.metrics:
        if METRICS[name].beside and name not in measured:
            raise UserError(
                f"metric {name!r} is of translations{' of pairs' if domains else ''}, of which this search has none; go by "
                "another --metric"
            )
    return protocol.model_copy(update={"metrics": tuple(dict.fromkeys((*protocol.metrics, *measured)))})
