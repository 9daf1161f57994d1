"""`understock search`, `resume`, `status`: the verbs that run a study."""

import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Annotated

import typer

from trainables.storage.home import Home, bytes_below
from verbs.commands import Headed
from verbs.endings import if_interrupted
from verbs.options import AsJson, HomeOption, StudyName, Submit, Target, Track, Tracker, WorkingDir, given, share
from verbs.picking import confirm_winner
from verbs.printing import in_a_line, note_no_home, print_json, print_table, readable
from verbs.submission import submit_search

studies = typer.Typer()

STUDY, LIMITS, SHARE, WHERE = "What to search", "When it ends", "What each trial takes", "Where it runs"
"""Headings of the options of `search`."""


@studies.command(cls=Headed)
def search(
    target: Target,
    space: Annotated[
        str,
        typer.Option(
            metavar="SPACE",
            help="quickstart, methods, from_a_source, limited_data, conditional, translation, fewshot, projected_critic, "
            "transferring_gans, source_by_parts, or FILE.py:FUNCTION.",
            rich_help_panel=STUDY,
        ),
    ] = "quickstart",
    trials: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT", help="Configurations to try. [default: 24, or a whole grid]", rich_help_panel=STUDY
        ),
    ] = None,
    target_images: Annotated[
        int | None,
        typer.Option(metavar="COUNT", help="Of the target, to train on. [default: all]", rich_help_panel=STUDY),
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option(metavar="K", help="Images of each class, in the place of a count of all.", rich_help_panel=STUDY),
    ] = None,
    max_images: Annotated[
        int | None,
        typer.Option(metavar="IMAGES", help="A trial's budget. [default: the space's]", rich_help_panel=STUDY),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            metavar="fd|kd|iw|fid|kid|A,B",
            callback=given,
            help="What to go by; of several, as fd,iw or fd,seconds, the front. [default: fd]",
            rich_help_panel=STUDY,
        ),
    ] = None,
    extractor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            callback=given,
            help="Whose features: efficientnet_lite0, random_convnet, inception. [default: the metric's]",
            rich_help_panel=STUDY,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the sampler.", rich_help_panel=STUDY)] = 0,
    concurrency: Annotated[
        int | None,
        typer.Option(metavar="TRIALS", help="At once. [default: one a core, or one a GPU]", rich_help_panel=SHARE),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(
            "--sources",
            metavar="A,B",
            callback=given,
            help="Source models. [default: all that fit]",
            rich_help_panel=STUDY,
        ),
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", callback=given, help="Of the study. [default: TARGET-SPACE]", rich_help_panel=STUDY
        ),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            metavar="tpe|transfer|nsga2|random|grid",
            help="How trials are proposed; nsga2 is for a front. [default: transfer, a model of what transfer comes to, "
            "where a space varies what it knows; else tpe]",
            rich_help_panel=STUDY,
        ),
    ] = None,
    conditional: Annotated[
        bool,
        typer.Option("--conditional", help="GANs that are asked for a class of the target's.", rich_help_panel=STUDY),
    ] = False,
    family: Annotated[
        str | None,
        typer.Option(
            metavar="resnet|dcgan|mimicry|stylegan2",
            callback=given,
            help="Of networks. [default: the commonest of the sources]",
            rich_help_panel=STUDY,
        ),
    ] = None,
    early_stopping: Annotated[bool, typer.Option(help="Stop bad trials early.", rich_help_panel=STUDY)] = True,
    stop: Annotated[
        str | None,
        typer.Option(
            metavar="asha|curves",
            help="By rank at rungs (ASHA), or by what their learning curves promise for the cost. [default: curves with "
            "--sampler transfer; else asha]",
            rich_help_panel=STUDY,
        ),
    ] = None,
    confirm: Annotated[
        int,
        typer.Option(
            min=0, max=1_000, metavar="SEEDS", help="Then train the winner anew with as many.", rich_help_panel=STUDY
        ),
    ] = 0,
    threads_per_trial: Annotated[
        int | None, typer.Option(metavar="CORES", help="[default: cores / concurrency]", rich_help_panel=SHARE)
    ] = None,
    workers_per_trial: Annotated[
        int, typer.Option(metavar="WORKERS", help="Over 1 goes through Ray Train.", rich_help_panel=SHARE)
    ] = 1,
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(
            min=0, max=10_000, metavar="GPUS", help="[default: 1 where there is one, else 0]", rich_help_panel=SHARE
        ),
    ] = None,
    memory_per_trial: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1_000_000,
            metavar="GIB",
            help="A trial over it has failed. [default: no limit]",
            rich_help_panel=SHARE,
        ),
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(metavar="HOURS", help="The whole search may take, instead of --trials.", rich_help_panel=LIMITS),
    ] = None,
    core_hours: Annotated[
        float | None,
        typer.Option(metavar="HOURS", help="All trials together may take of CPU cores.", rich_help_panel=LIMITS),
    ] = None,
    gpu_hours: Annotated[
        float | None,
        typer.Option(metavar="HOURS", help="All trials together may take of GPUs.", rich_help_panel=LIMITS),
    ] = None,
    until_gain: Annotated[
        str | None,
        typer.Option(
            metavar="PERCENT",
            callback=given,
            help="Until another hour would gain less: 2%.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    max_minutes: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=100_000_000,
            metavar="MINUTES",
            help="Stop after so many minutes; resume goes on.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            callback=given,
            help="A running Ray cluster. [default: Ray on this machine]",
            rich_help_panel=WHERE,
        ),
    ] = None,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Serve the Ray dashboard on loopback.", rich_help_panel=WHERE)
    ] = False,
    track: Track = None,
    submit: Submit = None,
    working_dir: WorkingDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the study as JSON; run nothing.")] = False,
    home: HomeOption = None,
) -> None:
    """Find the best source, networks and settings. Example: understock search cats --space quickstart --trials 24"""
    if submit is not None:
        return submit_search(submit, name or target, working_dir)
    with if_interrupted("interrupted; the same command goes on"):
        from search.launch import begin, resolve_study

        _tracked(track)
        where = Home.find(home)
        resolved = resolve_study(
            where,
            target,
            space,
            name=name,
            sources=source,
            target_images=target_images,
            shots=shots,
            max_images=max_images,
            metric=metric,
            extractor=extractor,
            trials=trials,
            seed=seed,
            sampler=sampler,
            early_stopping=early_stopping,
            stopping=stop,
            concurrency=concurrency,
            threads_per_trial=threads_per_trial,
            workers_per_trial=workers_per_trial,
            gpus_per_worker=gpus_per_worker,
            max_minutes=max_minutes,
            hours=hours,
            core_hours=core_hours,
            gpu_hours=gpu_hours,
            until_gain=share(until_gain),
            memory_per_trial=memory_per_trial and round(memory_per_trial * 2**30),
            on_cluster=address is not None,
            conditional=conditional,
            family=family,
        )
        for note in resolved.notes:
            print(f"note: {note}", file=sys.stderr)
        if dry_run:
            return print_json({"study": resolved.spec.model_dump(), "an example trial": resolved.example.model_dump()})
        study = begin(where, resolved.spec)
    if _run(where, study, address, dashboard, track) and confirm:
        with if_interrupted("interrupted; the same command goes on"):
            confirm_winner(where, study, confirm)
    return None


@studies.command()
def resume(
    study: StudyName,
    trials: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT", help="It should have in all, more than it has. [default: what it was begun with]"
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", callback=given, help="A running Ray cluster.")
    ] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Serve the Ray dashboard on loopback.")] = False,
    track: Track = None,
    home: HomeOption = None,
) -> None:
    """Go on with an interrupted study, or to more trials. Example: understock resume cats-quickstart --trials 48"""
    _run(Home.find(home), study, address, dashboard, track, trials)


def _tracked(track: Sequence[Tracker] | None) -> list[str]:
    """The names of these trackers; UserError if one can't be had here."""
    names = [each.value for each in track or ()]
    if names:  # else nothing of it needs Ray, which takes seconds to import
        from search.running.tracking import check_trackers

        check_trackers(names)
    return names


def _run(
    home: Home,
    study: str,
    address: str | None,
    dashboard: bool,
    track: Sequence[Tracker] | None,
    trials: int | None = None,
) -> bool:
    """Run what is left of a study, and print how it ended: its answer and the report's path, or how to go on.

    With `trials` it has so many in all from now on. Tells whether it is complete.
    """
    go_on = _go_on(home, study)
    with if_interrupted(f"interrupted; {go_on}"):
        from analysis.answer import lines
        from analysis.report import write_report
        from analysis.tables import summary
        from search.records.results import load
        from search.records.study import closed, open_study, read_spec
        from search.running.tune import run_study
        from verbs.reports import exhibited, read

        trackers = _tracked(track)
        paths, spec = open_study(home, study)
        outcome = run_study(home, paths, spec, address=address, dashboard=dashboard, track=trackers, trials=trials)
        spec = read_spec(home, study)[1]  # which may have more trials now
        if outcome == "interrupted":
            raise KeyboardInterrupt  # which Ray took, to end its trials in order
        if outcome == "time is up":
            statuses = summary(load(paths.evaluations), spec).statuses
            through = sum(count for status, count in statuses.items() if status != "running")
            print(f"time is up: {spec.through(through)}; {go_on}")
            return False
        if outcome == "complete already":
            print(f"study {study} is complete already: nothing was trained")
        if why := closed(paths):
            print(f"enough: {why}")
        print("\n".join(lines(load(paths.evaluations), spec)))
        with exhibited(read(home, [study])) as found:
            print(f"report: {write_report(found)}")
    return True


def _go_on(home: Home, study: str) -> str:
    return f"go on with: understock resume {study} --home {shlex.quote(str(home))}"


@studies.command()
def status(
    study: Annotated[str | None, typer.Argument(metavar="STUDY", help="[default: list the studies]")] = None,
    as_json: AsJson = False,
    home: HomeOption = None,
) -> None:
    """Show a study's trials, also while it runs; or how all studies stand. Example: understock status cats-quickstart"""
    where = Home.find(home)
    if study is None:
        note_no_home(where)
    return _list(where, as_json) if study is None else _show(where, study, as_json)


def _list(home: Home, as_json: bool) -> None:
    """A line a study: how it stands, how far it has come, its best score."""
    from search.records.standing import standing

    with ThreadPoolExecutor(8) as pool:  # on an object store each takes several requests
        asked = {name: pool.submit(standing, home, name) for name in home.names("studies")}
        found = list(readable(asked, lambda name: asked[name].result()))
    if as_json:
        return print_json([asdict(each) for each in found])
    if not found:
        return print(f"no study yet in {home}; begin one with: understock search TARGET")
    rows = [(each.study, each.target, each.state, each.trials, each.best, each.metric) for each in found]
    return print_table(["study", "target", "state", "trials", "best", "by"], rows)


def _show(home: Home, study: str, as_json: bool) -> None:
    """A line a trial, what they come to, how to go on, and what it takes on disk."""
    from rich.filesize import decimal

    from analysis.answer import curves_of, lines
    from analysis.tables import arms, trials_frame
    from search.records.standing import UNFINISHED, standing_rows, state_of
    from search.records.study import open_study

    paths, spec = open_study(home, study)
    running, table = standing_rows(paths)
    frame = trials_frame(table, spec)
    state = state_of(paths, spec, int((~frame["status"].isin(UNFINISHED)).sum()), running=running)
    frame = frame.astype(object).where(frame.notna(), None)
    size = bytes_below(paths.root)
    if as_json:
        trials = [row | arm for row, arm in zip(frame.to_dict("records"), arms(table), strict=True)]
        about = {"study": spec.name, "state": state, "trials_wanted": spec.trials}
        return print_json(about | {"trials": trials, "curves": curves_of(table, spec), "bytes": size})
    errors = frame.pop("error")
    print_table(list(frame.columns), frame.values.tolist())
    for trial, error in zip(frame["trial"], errors, strict=True):
        if error:
            print(f"trial {trial}: {in_a_line(error)}")
    print("\n".join(lines(table, spec, state)))
    if state == "interrupted":
        print(_go_on(home, study))
    return print(f"{decimal(size)} in {paths.root}")
