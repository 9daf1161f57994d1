"""understock: which pretrained GAN to start from, which networks to transfer, with which settings, and how good it will be.

The command line: one thin function a verb. Torch and Ray are imported where they are needed, so that help is instant.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from spaces.errors import UserError
from trainables.home import Home

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__.split("\n")[0]
)
domains = typer.Typer(no_args_is_help=True, help="Image sets: a target to make images of, or what source models learn.")
sources = typer.Typer(no_args_is_help=True, help="Source models: pretrained GANs, the shelf to choose from.")
app.add_typer(domains, name="domains")
app.add_typer(sources, name="sources")

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", metavar="FOLDER", envvar="UNDERSTOCK_HOME", help="Home folder. [default: ~/.understock]"),
]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study; `understock status` lists them.")]
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


def _print_table(headings: list[str], rows: list[list[Any]]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        table.add_column(heading)
    for row in rows:
        table.add_row(
            *("" if item is None else f"{item:.4g}" if isinstance(item, float) else str(item) for item in row)
        )
    console = Console()
    console.print(table, width=None if console.is_terminal else 200)


def _print_json(value: Any) -> None:
    print(json.dumps(value, indent=1, default=str))


# ---- domains


@domains.command("add")
def domains_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="Folder, FILE.parquet, torchvision:NAME[:ROOT], builtin:NAME.")
    ],
    resolution: Annotated[int, typer.Option(metavar="PIXELS", help="Along a side: 32, 64 or 128.")] = 64,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse if any file can't be read.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a domain of that name.")] = False,
    val_fraction: Annotated[float, typer.Option(metavar="0..1", help="Held out, where WHAT brings no split.")] = 0.1,
    home: HomeOption = None,
) -> None:
    """Import images as a domain. Example: understock domains add cats photos/cats --resolution 64"""
    from trainables.importers import add_domain
    from trainables.progress import progress

    with progress(f"importing {name}", "images") as report:
        facts = add_domain(
            Home.find(home),
            name,
            what,
            resolution,
            val_fraction=val_fraction,
            strict=strict,
            replace=replace,
            progress=report,
        )
    print(
        f"domain {name}: {facts.train:,} train and {facts.val:,} val images of {resolution} pixels, {facts.classes} classes; "
        f"{facts.duplicates} duplicates dropped, {facts.skipped} files skipped"
    )
    for skipped in facts.skipped_files[:10]:
        print(f"  skipped {skipped.file}: {skipped.reason}")


@domains.command("list")
def domains_list(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False, home: HomeOption = None
) -> None:
    """List the domains. Example: understock domains list"""
    from trainables.domains import list_domains

    facts = list_domains(Home.find(home))
    if as_json:
        return _print_json([item.model_dump() for item in facts])
    rows = [[f.name, f.resolution, f.train, f.val, f.classes, f.images_per_class, f.origin] for f in facts]
    return _print_table(["domain", "pixels", "train", "val", "classes", "images per class", "from"], rows)


@domains.command("show")
def domains_show(name: Annotated[str, typer.Argument(metavar="NAME")], home: HomeOption = None) -> None:
    """Show a domain's facts and draw a contact sheet. Example: understock domains show cats"""
    from trainables.domains import open_domain, write_contact_sheet

    domain = open_domain(Home.find(home), name)
    domain.verify()
    _print_json(domain.facts.model_dump())
    print(f"contact sheet: {write_contact_sheet(domain)}")


@domains.command("rm")
def domains_rm(name: Annotated[str, typer.Argument(metavar="NAME")], home: HomeOption = None) -> None:
    """Remove a domain. Example: understock domains rm cats"""
    from trainables.domains import remove_domain

    remove_domain(Home.find(home), name)
    print(f"domain {name} removed")


# ---- source models


@sources.command("train")
def sources_train(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain; `understock domains list` lists them.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the source model. [default: the domain's]")
    ] = None,
    preset: Annotated[
        str, typer.Option(metavar="small|paper", help="Network and settings; paper wants a GPU.")
    ] = "small",
    max_images: Annotated[
        int | None, typer.Option(metavar="IMAGES", help="Shown to the critic. [default: the preset's]")
    ] = None,
    threads: Annotated[int | None, typer.Option(metavar="CORES", help="CPU threads. [default: all]")] = None,
    seed: int = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a source model of that name.")] = False,
    home: HomeOption = None,
) -> None:
    """Train a source model; goes on where it was cut off. Example: understock sources train dogs --max-images 160000"""
    from trainables.source_training import train_source

    facts = train_source(
        Home.find(home),
        domain,
        name or domain,
        preset,
        max_images=max_images,
        threads=threads,
        seed=seed,
        replace=replace,
    )
    print(f"source model {facts.name}: {facts.images_seen:,} images seen, {_scores(facts.scores)}")


@sources.command("add")
def sources_add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="Safetensors: one of both networks, or generator, discriminator."),
    ],
    domain: Annotated[str, typer.Option(metavar="NAME", help="What it was trained on.")],
    images: Annotated[int, typer.Option(metavar="COUNT", help="Training images of that domain.")],
    classes: Annotated[int, typer.Option(metavar="COUNT", help="Classes of that domain.")] = 1,
    resolution: Annotated[int, typer.Option(metavar="PIXELS")] = 64,
    width: Annotated[int, typer.Option(metavar="CHANNELS", help="At the finest resolution.")] = 64,
    z_dim: Annotated[int, typer.Option(metavar="NUMBERS")] = 128,
    key_map: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="{their tensor name: ours, or null to drop it}")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a source model of that name.")] = False,
    home: HomeOption = None,
) -> None:
    """Add a GAN trained elsewhere. Example: understock sources add faces faces.safetensors --domain celeba --images 200000"""
    from spaces.config import Network
    from trainables.source_import import add_source

    network = Network.parse({"resolution": resolution, "width": width, "z_dim": z_dim}, f"source model {name!r}")
    about = {"domain": domain, "images": images, "classes": classes}
    facts = add_source(Home.find(home), name, files, network, about, key_map=key_map, replace=replace)
    print(f"source model {facts.name} added, digest {facts.digest[:12]}")


@sources.command("list")
def sources_list(
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False, home: HomeOption = None
) -> None:
    """List the source models, builtin ones too. Example: understock sources list"""
    from trainables.sources import open_source, shelf

    where = Home.find(home)
    facts = [open_source(where, name).facts for name in shelf(where)]
    if as_json:
        return _print_json([item.model_dump() for item in facts])
    rows = [
        [
            f.name,
            f.network.resolution,
            f.network.width,
            f.domain,
            f.images,
            f.classes,
            f.images_per_class,
            f.images_seen,
            _scores(f.scores),
        ]
        for f in facts
    ]
    headings = [
        "source",
        "pixels",
        "width",
        "domain",
        "images",
        "classes",
        "images per class",
        "images seen",
        "own scores",
    ]
    return _print_table(headings, rows)


@sources.command("show")
def sources_show(name: Annotated[str, typer.Argument(metavar="NAME")], home: HomeOption = None) -> None:
    """Show a source model's facts, checked against its weights. Example: understock sources show mdi"""
    from trainables.sources import open_source

    source = open_source(Home.find(home), name)
    source.weights()
    _print_json(source.facts.model_dump())
    print(f"samples: {source.path / 'samples.png'}")


@sources.command("export")
def sources_export(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder.")],
    home: HomeOption = None,
) -> None:
    """Copy a source model's files out. Example: understock sources export dogs -o dogs-model"""
    from trainables.sources import export_source, open_source

    export_source(open_source(Home.find(home), name), output)
    print(f"source model {name} exported to {output}")


@sources.command("rm")
def sources_rm(name: Annotated[str, typer.Argument(metavar="NAME")], home: HomeOption = None) -> None:
    """Remove a source model from the home. Example: understock sources rm dogs"""
    from trainables.sources import remove_source

    remove_source(Home.find(home), name)
    print(f"source model {name} removed")


def _scores(scores: dict[str, float | None]) -> str:
    """ "fd 310 (floor 101), kd 2.1 (floor 0)": each metric, with what real images score in place of samples."""
    return ", ".join(
        f"{name} {value:.4g} (floor {scores.get(f'{name}_floor') or 0:.4g})"
        for name, value in scores.items()
        if value is not None and not name.endswith("_floor")
    )


# ---- studies


@app.command()
def search(
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The domain to make images of.")],
    space: Annotated[
        str, typer.Option(metavar="SPACE", help="A search space by name, or FILE.py:FUNCTION.")
    ] = "quickstart",
    trials: Annotated[
        int | None, typer.Option(metavar="COUNT", help="Configurations to try. [default: 24, or a whole grid]")
    ] = None,
    target_images: Annotated[
        int | None, typer.Option(metavar="COUNT", help="Of the target, to train on. [default: all]")
    ] = None,
    max_images: Annotated[
        int | None, typer.Option(metavar="IMAGES", help="A trial's budget. [default: the space's]")
    ] = None,
    metric: Annotated[str | None, typer.Option(metavar="fd|kd|iw|fid|kid", help="What to go by. [default: fd]")] = None,
    seed: Annotated[int, typer.Option(help="Of the sampler.")] = 0,
    concurrency: Annotated[
        int | None, typer.Option(metavar="TRIALS", help="At once. [default: one a core, or one a GPU]")
    ] = None,
    source: Annotated[
        str | None, typer.Option("--sources", metavar="A,B", help="Source models. [default: all that fit]")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Of the study. [default: TARGET-SPACE]")] = None,
    sampler: Annotated[str, typer.Option(metavar="tpe|random|grid")] = "tpe",
    early_stopping: Annotated[bool, typer.Option(help="Stop bad trials early (ASHA).")] = True,
    threads_per_trial: Annotated[
        int | None, typer.Option(metavar="CORES", help="[default: cores / concurrency]")
    ] = None,
    workers_per_trial: Annotated[int, typer.Option(metavar="WORKERS", help="Over 1 goes through Ray Train.")] = 1,
    gpus_per_worker: Annotated[
        float | None, typer.Option(metavar="GPUS", help="[default: 1 where there is one, else 0]")
    ] = None,
    max_minutes: Annotated[
        float | None, typer.Option(metavar="MINUTES", help="Stop the search then; resume goes on.")
    ] = None,
    address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A running Ray cluster. [default: Ray on this machine]")
    ] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Serve the Ray dashboard on loopback.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the study as JSON; run nothing.")] = False,
    home: HomeOption = None,
) -> None:
    """Find the best source, networks and settings. Example: understock search cats --space quickstart --trials 24"""
    from search.launch import begin, resolve_study

    where = Home.find(home)
    spec, example = resolve_study(
        where, target, space, name=name, sources=source, target_images=target_images, max_images=max_images,
        metric=metric, trials=trials, seed=seed, sampler=sampler, early_stopping=early_stopping, concurrency=concurrency,
        threads_per_trial=threads_per_trial, workers_per_trial=workers_per_trial, gpus_per_worker=gpus_per_worker,
        max_minutes=max_minutes,
    )  # fmt: skip
    if dry_run:
        return _print_json({"study": spec.model_dump(), "an example trial": example.model_dump()})
    return _run(where, begin(where, spec), address, dashboard)


@app.command()
def resume(
    study: StudyName,
    address: Annotated[str | None, typer.Option(metavar="ADDRESS", help="A running Ray cluster.")] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Serve the Ray dashboard on loopback.")] = False,
    home: HomeOption = None,
) -> None:
    """Go on with an interrupted study. Example: understock resume cats-quickstart"""
    _run(Home.find(home), study, address, dashboard)


def _run(home: Home, study: str, address: str | None, dashboard: bool) -> None:
    """Run what is left of a study, and say how it ended: with its answer and the report's path, or with the way to go on."""
    from analysis.answer import lines
    from analysis.report import write_report
    from search.results import load
    from search.study import open_study
    from search.tune import run_study

    paths, spec = open_study(home, study)
    outcome = run_study(home, paths, spec, address=address, dashboard=dashboard)
    if outcome == "interrupted":
        print(f"interrupted; go on with: understock resume {study} --home {home.root}", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    if outcome == "complete already":
        print(f"study {study} is complete already: nothing was trained")
    print("\n".join(lines(load(paths.evaluations), spec)))
    print(f"report: {write_report(paths, spec)}")


@app.command()
def status(
    study: Annotated[str | None, typer.Argument(metavar="STUDY", help="[default: list the studies]")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    home: HomeOption = None,
) -> None:
    """Show a study's trials, also while it runs. Example: understock status cats-quickstart --json"""
    from analysis.tables import trials_frame
    from search.results import load
    from search.study import open_study

    where = Home.find(home)
    if study is None:
        return _print_json(where.names("studies")) if as_json else print("\n".join(where.names("studies")))
    paths, spec = open_study(where, study)
    frame = trials_frame(load(paths.evaluations), spec)
    frame = frame.astype(object).where(frame.notna(), None)
    if as_json:
        return _print_json({"study": spec.name, "trials_wanted": spec.trials, "trials": frame.to_dict("records")})
    return _print_table(list(frame.columns), frame.values.tolist())


@app.command()
def report(
    study: StudyName,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.html", help="[default: in the study]")
    ] = None,
    home: HomeOption = None,
) -> None:
    """Write the report, one HTML file that opens offline. Example: understock report cats-quickstart -o cats.html"""
    from analysis.report import write_report
    from search.study import open_study

    print(write_report(*open_study(Home.find(home), study), output))


@app.command()
def sample(
    study: Annotated[str, typer.Argument(metavar="STUDY[:TRIAL]", help="The best trial's generator, or that trial's.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="FILE.png (a grid), FILE.npz, or a new folder.")
    ],
    n: Annotated[int, typer.Option("-n", min=1, metavar="COUNT")] = 64,
    seed: Annotated[int, typer.Option(help="Of z: the same seed, the same z.")] = 0,
    home: HomeOption = None,
) -> None:
    """Draw images from a trial's generator. Example: understock sample cats-quickstart -n 64 -o grid.png"""
    from analysis.winner import generator_file
    from trainables import networks
    from trainables.samples import check_output, write_samples
    from trainables.trial import load_generator

    check_output(output)
    path = generator_file(Home.find(home), study)
    write_samples(networks.sample(load_generator(path), n, seed).numpy(), output)
    print(f"{n} samples of {path} written to {output}")


@app.command()
def export(
    study: Annotated[str, typer.Argument(metavar="STUDY[:TRIAL]", help="The best trial's generator, or that trial's.")],
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder.")],
    home: HomeOption = None,
) -> None:
    """Copy out the winning generator with its config. Example: understock export cats-quickstart -o cats-generator"""
    from analysis.winner import export_generator, generator_file

    export_generator(generator_file(Home.find(home), study), output)
    print(f"generator.safetensors and config.json written to {output}")


def main() -> None:
    """Run the command line. A user's mistake is one line on stderr and exit code 2."""
    try:
        app()
    except UserError as error:
        print(f"understock: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("understock: interrupted; where work can go on, the same command goes on with it", file=sys.stderr)
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
