"""`understock search --submit`: the same command line, run as a job of a Ray cluster."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from spaces.errors import UserError
from verbs.endings import INTERRUPTED

_OURS = ("--submit", "--working-dir", "--address", "--home")
"""The options that are for this machine, and don't go along as they are."""


def submit_search(url: str, name: str, working_dir: Path | None) -> None:
    """Submit this process's own command line to the cluster at `url`, follow the job's log, and end with its exit code.

    `name` becomes part of the job's, and `working_dir` travels along. Raises typer.Exit unless the job ends well.
    """
    arguments = for_the_cluster(sys.argv[1:])
    from search.running.jobs import submit

    try:
        code = submit(url, arguments, name, working_dir)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code:
        raise typer.Exit(code)


def for_the_cluster(arguments: Sequence[str]) -> list[str]:
    """Make the command line for the cluster: what is meant for this machine is taken out, what it needs is put in.

    A home that was named goes along; $UNDERSTOCK_HOME does if it is an URL, for a folder of this machine means nothing
    there, and the cluster has a variable of its own. Raises UserError if --address was given too.
    """
    kept, given = [], {}
    rest = iter(arguments)
    for argument in rest:
        option, equals, value = argument.partition("=")
        if option in _OURS:
            given[option] = value if equals else next(rest, "")
        else:
            kept.append(argument)
    if "--address" in given:
        raise UserError("--submit and --address exclude each other: a job runs on the cluster that it is submitted to")
    home = given.get("--home") or os.environ.get("UNDERSTOCK_HOME", "")
    if "--home" in given or "://" in home:
        kept += ["--home", home]
    return [*kept, "--address", "auto"]
