"""`understock report`, `compare`, `watch`, `play`: the verbs that show what came of studies, and how one that runs is doing."""

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainables.storage.home import Home
from verbs.endings import check_output, writing_to
from verbs.options import HomeOption, Replace, StudyName
from verbs.printing import print_table

if TYPE_CHECKING:
    from analysis.serving import Page
    from analysis.study_data import StudyData

reports = typer.Typer()

StudyNames = Annotated[list[str], typer.Argument(metavar="STUDY...", help="`understock status` lists them.")]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="A folder for png. [default: in the first study]")
]


@reports.command()
def report(
    study: StudyNames,
    output: Output = None,
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="html|png|md|csv|parquet", help="[default: as FILE ends, else html]"),
    ] = None,
    replace: Replace = False,
    home: HomeOption = None,
) -> None:
    """Write the report of one study or several. Example: understock report cats-quickstart dogs-quickstart -o report.html"""
    from analysis.exports import FORMATS, destination, export

    studies = read(Home.find(home), list(dict.fromkeys(study)))
    write, place = destination(studies, output, form)
    anew, pictures = replace or output is None, write is FORMATS["png"]
    if not (anew and pictures and place.is_dir()):  # where pictures replace earlier ones alone
        check_output(place, replace=anew, folder=pictures)
    with exhibited(studies) as shown, writing_to(place):
        written = export(shown, output, form)
    print(written)


@reports.command()
def compare(
    one: Annotated[str, typer.Argument(metavar="A", help="A study.")],
    other: Annotated[str, typer.Argument(metavar="B", help="Another study.")],
    output: Output = None,
    replace: Replace = False,
    home: HomeOption = None,
) -> None:
    """Set two studies beside each other. Example: understock compare cats-quickstart cats-source-by-parts"""
    from analysis.comparison import compare as compared
    from analysis.exports import export

    studies = read(Home.find(home), [one, other])
    place = output or studies[0].paths.comparison(other)
    check_output(place, replace=replace or output is None)
    found = compared(*studies)
    print_table(["", one, other], found.rows)
    print(f"careful: {found.caution}" if found.caution else found.verdict)
    with exhibited(studies) as shown, writing_to(place):
        written = export(shown, place, None)
    print(f"report of both: {written}")


@reports.command()
def watch(
    study: StudyName,
    port: Annotated[int | None, typer.Option(metavar="PORT", help="[default: 8577, or one that is free]")] = None,
    home: HomeOption = None,
) -> None:
    """Serve the report on loopback while the search runs. Example: understock watch cats-quickstart"""
    from analysis.watching import LivePage
    from search.records.study import open_study

    where = Home.find(home)
    page = LivePage(where, *open_study(where, study))
    ends = "Ctrl-C ends this page, not the search"
    _serve(page, port, f"study {study}", ends, "the page is gone; the search, if it runs, goes on")


@reports.command()
def play(
    study: Annotated[str, typer.Argument(metavar="STUDY[:TRIAL]", help="Its best trial's generator, or that trial's.")],
    port: Annotated[int | None, typer.Option(metavar="PORT", help="[default: 8577, or one that is free]")] = None,
    home: HomeOption = None,
) -> None:
    """Play with a generator on a page: seed, truncation, class. Example: understock play cats-quickstart"""
    from analysis.using.playing import PlayPage
    from analysis.using.winner import model_path
    from trainables.using.playing import Player

    page = PlayPage(study, Player(model_path(Home.find(home), study)))
    _serve(page, port, f"generator of {study}", "Ctrl-C ends this page", "the page is gone")


def _serve(page: "Page", port: int | None, what: str, ends: str, gone: str) -> None:
    """Serve a page on loopback until Ctrl-C, and say where, how to end it, and when it is gone."""
    from analysis.serving import Server

    with Server(page, port) as server:
        try:
            print(f"{what} at {server.address} ({ends})", flush=True)  # in here: who reads it may end it at once
            server.serve_forever()
        except KeyboardInterrupt:
            print(gone, file=sys.stderr)


def read(home: Home, names: list[str]) -> "list[StudyData]":
    """Read the studies of these names for a report; UserError if one is not known."""
    from analysis.study_data import StudyData
    from search.records.study import open_study

    return StudyData.of(home, [open_study(home, name) for name in names])


@contextmanager
def exhibited(studies: "list[StudyData]") -> "Iterator[list[StudyData]]":
    """The studies with the pictures of a report that torch has to make, made where they were missing.

    They go into each study's folder, or last as long as the block where that can't be written. What could not be made is
    said on stderr.
    """
    from analysis.exhibits import prepare, writable

    with ExitStack() as stack:
        shown = [stack.enter_context(writable(item)) for item in studies]
        for item in shown:
            for line in prepare(item):
                print(f"note: {line}", file=sys.stderr)
        yield shown
