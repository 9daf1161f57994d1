"""`understock sources ...`: the verbs that train, add, list, show, copy out and remove source models."""

from pathlib import Path
from typing import Annotated

import typer

from spaces.protocol import METRICS
from trainables.storage.home import Home
from verbs.endings import if_interrupted, writing_to
from verbs.options import AsJson, Conditional, ExistingName, Force, HomeOption, given
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
        typer.Option(metavar="small|paper", help="Network and settings. [default: paper on a GPU, else small]"),
    ] = None,
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
        )
    print(f"source model {facts.name}: {facts.images_seen:,} images seen, {_scores(facts.scores)}")


@sources.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...", help="Safetensors: of both networks, of a generator alone, or one file for each."
        ),
    ],
    domain: Annotated[str, typer.Option(metavar="NAME", help="What it was trained on.")],
    images: Annotated[int, typer.Option(metavar="COUNT", help="Training images of that domain.")],
    classes: Annotated[int, typer.Option(metavar="COUNT", help="Classes of that domain.")] = 1,
    family: Annotated[
        str | None,
        typer.Option(
            metavar="resnet|dcgan|stylegan2",
            help="The WGAN-GP ResNet, the plain DCGAN, or StyleGAN2. [default: its tensors']",
        ),
    ] = None,
    resolution: Annotated[
        int | None, typer.Option(metavar="PIXELS", help="Along a side. [default: its tensors']")
    ] = None,
    width: Annotated[
        int | None, typer.Option(metavar="CHANNELS", help="At the finest resolution. [default: its tensors']")
    ] = None,
    z_dim: Annotated[int | None, typer.Option(metavar="NUMBERS", help="In a z. [default: its tensors']")] = None,
    key_map: Annotated[
        Path | None, typer.Option(metavar="FILE.json", help="{their tensor name: ours, or null to drop it}")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a source model of that name.")] = False,
    force: Force = False,
    home: HomeOption = None,
) -> None:
    """Add a GAN trained elsewhere. Example: understock sources add faces faces.safetensors --domain celeba --images 200000"""
    from spaces.networks import told
    from trainables.sources.importing import add_source

    options = {"family": family, "resolution": resolution, "width": width, "z_dim": z_dim}
    network = {field: value for field, value in options.items() if value is not None}
    about = {"domain": domain, "images": images, "classes": classes}
    where = Home.find(home)
    end_studies(where, "source", name, force=force, replace=replace)
    facts = add_source(where, name, files, network, about, key_map=key_map, replace=replace)
    parts = " and ".join(facts.networks)
    print(f"source model {facts.name} added: {parts}, {told(facts.network)}, digest {facts.digest[:12]}")


@sources.command("list")
def list_(as_json: AsJson = False, home: HomeOption = None) -> None:
    """List the source models, builtin ones too. Example: understock sources list"""
    from spaces.networks import conditions
    from trainables.sources.shelf import open_source, shelf

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
    }
    return print_table(list(columns), zip(*columns.values(), strict=True))


@sources.command("show")
def show(name: ExistingName, home: HomeOption = None) -> None:
    """Show a source model's facts, checked against its weights. Example: understock sources show mdi"""
    from trainables.sources.shelf import open_source

    source = open_source(Home.find(home), name)
    source.weights()
    print_json(source.facts.model_dump())
    print(f"samples: {source.path / 'samples.png'}")


@sources.command("export")
def export(
    name: ExistingName,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder.")],
    home: HomeOption = None,
) -> None:
    """Copy a source model's files out. Example: understock sources export dogs -o dogs-model"""
    from trainables.sources.shelf import export_source, open_source

    source = open_source(Home.find(home), name)
    with writing_to(output):
        export_source(source, output)
    print(f"source model {name} exported to {output}")


@sources.command("rm")
def rm(name: ExistingName, force: Force = False, home: HomeOption = None) -> None:
    """Remove a source model from the home. Example: understock sources rm dogs"""
    from trainables.sources.shelf import remove_source

    where = Home.find(home)
    if name in where.names("sources"):
        end_studies(where, "source", name, force=force)
    remove_source(where, name)
    print(f"source model {name} removed")


def _scores(scores: dict[str, float | None]) -> str:
    """Write each metric with its floor, what real images score: "fd 310 (floor 101), iw -0.12 ± 0.01 (floor 0)"."""
    errors = {name: scores.get(f"{name}_se") for name in METRICS}
    return ", ".join(
        f"{name} {value:.4g}{'' if errors[name] is None else f' ± {errors[name]:.2g}'} "
        f"(floor {scores.get(f'{name}_floor') or 0:.4g})"
        for name, value in scores.items()
        if value is not None and name in METRICS
    )
