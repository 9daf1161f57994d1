"""`understock sample`, `export`: the verbs that give what came of a study, images and generators."""

from pathlib import Path
from typing import Annotated

import typer

from spaces.counts import plural
from spaces.errors import UserError
from trainables.storage.home import Home
from verbs.endings import check_output, if_interrupted, writing_to
from verbs.options import HomeOption, Replace, StudyName
from verbs.printing import print_table

models = typer.Typer()

StudyTrial = Annotated[
    str, typer.Argument(metavar="STUDY[:TRIAL]", help="The best trial's generator, or that trial's.")
]


@models.command()
def sample(
    study: StudyTrial,
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="OUT", help="A new FILE.png (a grid), .npz, .gif, .mp4, or a new folder."
        ),
    ],
    n: Annotated[
        int | None,
        typer.Option("-n", min=1, max=100_000, metavar="COUNT", help="[default: 64, 8 of a walk, or all of --inputs]"),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of z or of the inputs: the same seed, the same ones.")] = 0,
    inputs: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Images to translate. [default: the source domain's held-out ones]"),
    ] = None,
    shots_from: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER", help="Images of one class, to make more of, or to translate into. [default: its own]"
        ),
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of that class alone, by its name or number. [default: of all]")
    ] = None,
    truncation: Annotated[
        float,
        typer.Option(
            metavar="0..2",
            help="Below 1: fewer failures, less variety; z is pulled to its mean, or w where there is one.",
        ),
    ] = 1.0,
    interpolate: Annotated[
        int | None,
        typer.Option(
            min=2, max=1_000, metavar="STEPS", help="A walk from each image to the next; FILE.gif and .mp4 are films."
        ),
    ] = None,
    replace: Replace = False,
    home: HomeOption = None,
) -> None:
    """Draw images from a trial's generator. Example: understock sample cats-quickstart -n 64 -o grid.png"""
    from analysis.using.winner import model_path
    from trainables.images.samples import check_form, write_samples
    from trainables.using.drawing import draw
    from trainables.using.walking import walk

    check_form(output, walk=interpolate is not None)
    check_output(output, replace=replace, folder=output.suffix == "")
    if (inputs or shots_from) and interpolate:
        raise UserError("a walk leads from noise to noise, not between images; give a folder or --interpolate")
    where = Home.find(home)
    path = model_path(where, study)
    if interpolate:
        samples = walk(path, n, interpolate, seed, label, truncation)
    else:
        samples = draw(where, path, n, seed, inputs, label, truncation, shots_from)
    with writing_to(output):
        write_samples(samples, output, interpolate)
    print(f"{plural(len(samples.images), 'sample')} of {path} written to {output}")


@models.command()
def export(
    study: StudyTrial,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FOLDER", help="A new folder.")],
    form: Annotated[
        str,
        typer.Option(
            "--format", metavar="safetensors|onnx|hub", help="hub: with a model card; onnx: for other runtimes."
        ),
    ] = "safetensors",
    home: HomeOption = None,
) -> None:
    """Copy out the winning generator, with its origin. Example: understock export cats-quickstart -o cats --format hub"""
    from analysis.using.model_exports import export_model

    check_output(output, folder=True)
    with writing_to(output):
        export_model(Home.find(home), study, output, form)
    print(f"{', '.join(sorted(file.name for file in output.iterdir()))} written to {output}")


@models.command()
def classify(
    study: StudyName,
    seeds: Annotated[
        int, typer.Option(min=1, metavar="COUNT", help="Draws of the K images, and of the classifier.")
    ] = 5,
    steps: Annotated[int, typer.Option(min=1, metavar="COUNT", help="Of each classifier, 64 images each.")] = 1_000,
    per_class: Annotated[int, typer.Option(min=1, metavar="COUNT", help="Images generated of each class.")] = 128,
    threads: Annotated[int | None, typer.Option(min=1, metavar="COUNT", help="[default: all cores]")] = None,
    home: HomeOption = None,
) -> None:
    """Ask small classifiers whether a few-shot study's images help. Example: understock classify glyphs-unseen-fewshot"""
    from analysis.findings.helping import arms, verdict
    from analysis.using.classifying import classify as classified
    from trainables.machine.progress import progress

    where, teaching = Home.find(home), {"seeds": seeds, "steps": steps, "per_class": per_class}
    again = "\nstopped; what is measured is kept, and the same command goes on with it"
    with if_interrupted(again), progress(f"classifying with {study}", "arms") as report:
        rows = classified(where, study, report, threads=threads, **teaching)
    table = arms(rows)
    print_table(list(table.columns), table.astype(object).where(table.notna(), None).to_numpy())
    print(verdict(rows))
