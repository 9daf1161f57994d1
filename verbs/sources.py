"""`understock sources ...`: the verbs that train, add, list, show, copy out and remove source models."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from spaces.protocol import METRICS
from trainables.storage.home import Home
from verbs.endings import check_output, if_interrupted, writing_to
from verbs.options import AsJson, Conditional, ExistingName, Force, HomeOption, Replace, given
from verbs.printing import print_json, print_table, readable
from verbs.replacing import end_studies

sources = typer.Typer(no_args_is_help=True, help="Source models: pretrained GANs, the shelf to choose from.")


@sources.command("train")
def train(
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain; `understock domains list` lists them.")],
    name: Annotated[
        str | None,
        typer.Option(metavar="NAME", callback=given, help="Name of the source model. [default: the domain's]"),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="small|paper|auto",
            help="Network and settings; auto of stylegan2. [default: small, on a GPU paper or auto]",
        ),
    ] = None,
    family: Annotated[
        str, typer.Option(metavar="resnet|stylegan2", callback=given, help="Of networks, as are its presets.")
    ] = "resnet",
    max_images: Annotated[
        int | None, typer.Option(metavar="IMAGES", help="Shown to the critic. [default: the preset's]")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, metavar="CORES", help="CPU threads of each worker. [default: all, shared out]"),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=10_000, metavar="WORKERS", help="Over 1 shares each batch out, through Ray Train.")
    ] = 1,
    gpus_per_worker: Annotated[
        float | None,
        typer.Option(min=0, max=10_000, metavar="GPUS", help="[default: 1 where there are enough, else 0]"),
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", callback=given, help="Train on this Ray cluster. [default: on this machine]"),
    ] = None,
    seed: int = 0,
    conditional: Conditional = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a source model of that name.")] = False,
    force: Force = False,
    home: HomeOption = None,
) -> None:
    """Train a source model; goes on where it was cut off. Example: understock sources train dogs --max-images 160000"""
    with if_interrupted("interrupted; the same command goes on"):
        from trainables.running.source_training import train_source

        where = Home.find(home)
        end_studies(where, "source", name or domain, force=force, replace=replace)
        facts = train_source(
            where,
            domain,
            name or domain,
            preset,
            max_images=max_images,
            threads=threads,
            seed=seed,
            replace=replace,
            workers=workers,
            gpus_per_worker=gpus_per_worker,
            address=address,
            conditional=conditional,
            family=family,
        )
    print(f"source model {facts.name}: {facts.images_seen:,} images seen, {_scores(facts.scores)}")
    _note_hidden(facts.name)


@sources.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help=".pkl, .pt, .pth, .safetensors or a hub's folder: of both networks, of a generator alone, or one for each. "
            "Nothing in them is run.",
        ),
    ],
    domain: Annotated[
        str | None,
        typer.Option(metavar="NAME", callback=given, help="What it was trained on. [default: as the file says]"),
    ] = None,
    images: Annotated[
        int | None, typer.Option(metavar="COUNT", help="Training images of that domain. [default: as the file says]")
    ] = None,
    classes: Annotated[int, typer.Option(metavar="COUNT", help="Classes of that domain.")] = 1,
    licence: Annotated[
        str | None,
        typer.Option(metavar="WORDS", callback=given, help="What its owner allows, as MIT; it travels along."),
    ] = None,
    class_names: Annotated[
        str | None,
        typer.Option(metavar="A,B", callback=given, help="What classes are called that it can be asked for, by label."),
    ] = None,
    family: Annotated[
        str | None,
        typer.Option(metavar="resnet|dcgan|mimicry|stylegan2", help="Of its networks. [default: its tensors']"),
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Along a side. [default: its tensors']")
    ] = None,
    width: Annotated[
        int | None, typer.Option(metavar="CHANNELS", help="At the finest resolution. [default: its tensors']")
    ] = None,
    z_dim: Annotated[
        int | None,
        typer.Option(metavar="NUMBERS", help="In a z; a DCGAN's further inputs are a class's. [default: its tensors']"),
    ] = None,
    key_map: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="{their tensor name: ours, or null to drop it}")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a source model of that name.")] = False,
    force: Force = False,
    home: HomeOption = None,
) -> None:
    """Add a GAN trained elsewhere. Example: understock sources add faces ffhq256.pkl --domain ffhq --images 70000"""
    from spaces.networks import told
    from trainables.sources.importing import add_source

    options = {"family": family, "resolution": resolution, "width": width, "z_dim": z_dim}
    network = {field: value for field, value in options.items() if value is not None}
    known = {"domain": domain, "images": images, "classes": classes, "licence": licence}
    about = {fact: value for fact, value in known.items() if value is not None}
    names = [each.strip() for each in class_names.split(",")] if class_names else []
    where = Home.make(home)
    end_studies(where, "source", name, force=force, replace=replace)
    added = add_source(where, name, files, network, about, key_map=key_map, class_names=names, replace=replace)
    facts = added.facts
    for note in added.notes:
        print(f"note: {note}", file=sys.stderr)
    parts = " and ".join(facts.networks)
    print(f"source model {facts.name} added: {parts}, {told(facts.network)}, digest {facts.digest[:12]}")
    print(facts.provenance)
    _note_hidden(name)


@sources.command("list")
def list_(as_json: AsJson = False, home: HomeOption = None) -> None:
    """List the source models, builtin ones too. Example: understock sources list"""
    from spaces.networks import conditions
    from trainables.sources.shelf import NO_LICENCE, open_source, shelf

    where = Home.find(home)
    facts = list(readable(shelf(where), lambda name: open_source(where, name).facts))
    if as_json:
        return print_json([item.model_dump() for item in facts])
    columns = {
        "source": [f.name for f in facts],
        "family": [f.network.family for f in facts],
        "pixels": [f.network.resolution for f in facts],
        "width": [f.network.width for f in facts],
        "conditional": [conditions(f.network) or "no" for f in facts],
        "domain": [f.domain for f in facts],
        "images": [f.images for f in facts],
        "classes": [f.classes for f in facts],
        "images per class": [f.images_per_class for f in facts],
        "images seen": [f.images_seen for f in facts],
        "own scores": [_scores(f.scores) for f in facts],
        "licence": [f.licence or NO_LICENCE for f in facts],
        "origin": [f.short_origin for f in facts],
    }
    return print_table(list(columns), zip(*columns.values(), strict=True))


@sources.command("show")
def show(
    name: ExistingName,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE.png", help="A grid of samples. [default: the one that it came with]"
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", min=1, max=100_000, metavar="COUNT", help="Samples in that grid.")] = 64,
    seed: Annotated[int, typer.Option(help="Of their z: the same seed, the same ones.")] = 0,
    replace: Replace = False,
    home: HomeOption = None,
) -> None:
    """Show a source model's facts, checked against its weights, and samples. Example: understock sources show mdi -o mdi.png"""
    from trainables.sources.pictures import write_samples_grid
    from trainables.sources.shelf import SAMPLES, open_source

    if output is not None:
        check_output(output, replace=replace)
    source = open_source(Home.find(home), name)
    if output is None:
        source.weights()
    else:
        with writing_to(output):
            write_samples_grid(source, n, seed, output)
    print_json(source.facts.model_dump())
    print(f"samples: {output or source.path / SAMPLES}")


@sources.command("export")
def export(
    name: ExistingName,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder.")],
    home: HomeOption = None,
) -> None:
    """Copy a source model's files out. Example: understock sources export dogs -o dogs-model"""
    from trainables.sources.shelf import export_source, open_source

    check_output(output, folder=True)
    source = open_source(Home.find(home), name)
    with writing_to(output):
        export_source(source, output)
    print(f"source model {name} exported to {output}; {source.facts.provenance}")


@sources.command("cut")
def cut(
    name: ExistingName,
    resolution: Annotated[int, typer.Option(metavar="PIXELS", help="Of the smaller networks.")],
    to: Annotated[
        str | None, typer.Option("--name", metavar="NAME", callback=given, help="[default: NAME-PIXELS]")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the critic's new input layer.")] = 0,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a source model of that name.")] = False,
    force: Force = False,
    home: HomeOption = None,
) -> None:
    """Cut a stylegan2 to fewer pixels, as an initialisation. Example: understock sources cut faces --resolution 64"""
    from trainables.sources.cutting import cut_source

    where, new = Home.find(home), to or f"{name}-{resolution}"
    end_studies(where, "source", new, force=force, replace=replace)
    facts = cut_source(where, name, resolution, new, seed=seed, replace=replace)
    print(f"source model {facts.name} cut from {name}: an initialisation, whose critic has a new input layer; train it")
    _note_hidden(new)


@sources.command("rm")
def rm(name: ExistingName, force: Force = False, home: HomeOption = None) -> None:
    """Remove a source model from the home. Example: understock sources rm dogs"""
    from trainables.sources.shelf import builtin, remove_source

    where = Home.find(home)
    if name in where.names("sources"):
        end_studies(where, "source", name, force=force)
    remove_source(where, name)
    print(f"source model {name} removed{'; the builtin one of that name is back' if name in builtin() else ''}")


def _note_hidden(name: str) -> None:
    """Say on stderr if the builtin source model of that name is not to be had from now on."""
    from trainables.sources.shelf import builtin

    if name in builtin():
        print(
            f"note: it hides the builtin source model {name!r} in this home; understock sources rm {name} brings that back",
            file=sys.stderr,
        )


def _scores(scores: dict[str, float | None]) -> str:
    """Write each metric with its floor, what real images score: "fd 310 (floor 101), iw -0.12 ± 0.01 (floor 0)"."""
    errors = {name: scores.get(f"{name}_se") for name in METRICS}
    return ", ".join(
        f"{name} {value:.4g}{'' if errors[name] is None else f' ± {errors[name]:.2g}'} "
        f"(floor {scores.get(f'{name}_floor') or 0:.4g})"
        for name, value in scores.items()
        if value is not None and name in METRICS
    )
