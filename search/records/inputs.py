"""The data that a study was planned with: whether the home still has it, and which studies would end if it were replaced."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from search.records.results import is_final, read_rows
from search.records.study import StudyPaths, StudySpec, closed, open_study
from spaces.errors import UserError
from trainables.images.domains import open_domain
from trainables.running.given import ChangedDataError
from trainables.sources.shelf import open_source, shelf
from trainables.storage.home import Home, file_digest

Kind = Literal["domain", "source"]
"""Of data that a study names, as in its digests."""


def check_unchanged(home: Home, spec: StudySpec) -> None:
    """UserError if the study's domain, a source model or its space's file is not the one that it started with."""
    for what, digest in spec.digests.items():
        kind, _, name = what.partition(":")
        if kind == "space":
            found = file_digest(Path(name)) if Path(name).is_file() else "missing"
        else:
            found = (open_domain(home, name) if kind == "domain" else open_source(home, name)).facts.digest
        if found != digest:
            raise UserError(
                f"study {spec.name!r}: {kind} {name!r} has changed since it started (digest {found[:12]}, was "
                f"{digest[:12]}); start a new study with another --name"
            )


def stopped(study: str, error: ChangedDataError) -> UserError:
    """The line that ends a run of a study whose data have changed meanwhile."""
    return UserError(
        f"study {study!r} stopped: {error}; bring that back and go on with: understock resume {study}, or start a new study "
        "with another --name"
    )


def check_unclaimed(home: Home, kind: Kind, name: str, *, force: bool) -> str | None:
    """UserError if an unfinished study needs the domain or source model of that name, which is to be replaced or removed.

    Or if the home can't be written at all. With `force` it is a line that says which studies end; None if there are none.
    """
    home.check_writable()
    there = home.names("domains") if kind == "domain" else shelf(home)
    unfinished = list(_unfinished(home, kind, name)) if name in there else []
    if not unfinished:
        return None
    called = "domain" if kind == "domain" else "source model"
    listed = ", ".join(f"{spec.name} ({spec.through(through)})" for spec, through in unfinished)
    if force:
        return f"without {called} {name!r} as it was, this ends: {listed}"
    raise UserError(
        f"{called} {name!r} is what an unfinished study was planned with: {listed}; finish it with: understock resume "
        f"{unfinished[0][0].name}, or end it with --force"
    )


def _unfinished(home: Home, kind: Kind, name: str) -> Iterator[tuple[StudySpec, int]]:
    """Each study that names it and has trials left to do, and how many are through; what can't be read can't go on anyway."""
    for study in home.names("studies"):
        try:
            paths, spec = open_study(home, study)
            over = closed(paths)
        except UserError:
            continue
        named = (spec.target, *spec.domains) if kind == "domain" else spec.sources
        if name in named and not over and (through := _through(paths)) < spec.most_trials:
            yield spec, through


def _through(paths: StudyPaths) -> int:
    """Trials whose file has a final status; one that is damaged is not through, for `resume` has to make it good."""
    through = 0
    for path in paths.evaluations.glob("[!.]*.parquet"):
        try:
            through += is_final(read_rows(path)[-1]["status"])
        except UserError:
            continue
    return through
