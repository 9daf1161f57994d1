"""`understock domains ...`: the verbs that import image sets, list and show them, and remove them."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spaces.counts import plural
from spaces.errors import UserError
from trainables.images.printable import printable
from trainables.storage.home import Home, StorageError
from verbs.endings import if_interrupted
from verbs.options import AsJson, ExistingName, Force, HomeOption, given
from verbs.printing import note_no_home, print_json, print_table, readable
from verbs.replacing import end_studies

if TYPE_CHECKING:
    from trainables.images.domains import Domain

domains = typer.Typer(no_args_is_help=True, help="Image sets: a target to make images of, or what source models learn.")

SKIPPED_SHOWN = 10
"""How many skipped files `add` prints."""

CLASSES_SHOWN = 10
"""How many classes `add` names."""


@domains.command("add")
def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    what: Annotated[
        str, typer.Argument(metavar="WHAT", help="Folder, FILE.parquet, torchvision:NAME[:ROOT], builtin:NAME.")
    ],
    resolution: Annotated[
        int, typer.Option(metavar="PIXELS", help="Along a side: 32, 64, 128, 256, 512 or 1024.")
    ] = 64,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse if any file can't be read.")] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a domain of that name.")] = False,
    val_fraction: Annotated[float, typer.Option(metavar="0..1", help="Held out, where WHAT brings no split.")] = 0.1,
    image_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of Parquet files. [default: image, or the only one of bytes]")
    ] = None,
    flip: Annotated[
        bool | None,
        typer.Option("--flip/--no-flip", help="Whether searches mirror half of the images. [default: of photos]"),
    ] = None,
    fonts: Annotated[
        bool, typer.Option("--fonts", help="WHAT is a folder of font files: a class a character, an image a face.")
    ] = False,
    unseen: Annotated[
        str | None,
        typer.Option(
            metavar="COUNT|NAME,NAME,...|FILE.txt",
            callback=given,
            help="Set so many classes, or these, apart as a second domain, NAME-unseen, for few-shot generation.",
        ),
    ] = None,
    unseen_faces: Annotated[
        int,
        typer.Option(
            metavar="COUNT", min=0, help="With --unseen: so many families of faces draw the unseen classes alone."
        ),
    ] = 0,
    per_class: Annotated[
        int | None,
        typer.Option(
            metavar="COUNT",
            min=1,
            help="Leave out classes of fewer images. [default: 10 of fonts, 6 of glyphs, 2 with --unseen]",
        ),
    ] = None,
    force: Force = False,
    home: HomeOption = None,
) -> None:
    """Import images as a domain. Example: understock domains add cats photos/cats --resolution 64"""
    with if_interrupted("interrupted; nothing was imported"):
        from trainables.images.importing.classes_apart import UNSEEN, Apart
        from trainables.images.importing.importers import add_domain
        from trainables.machine.progress import progress
        from trainables.storage.places import expanded

        where = Home.make(home)
        expanded(what, "give another folder")
        if unseen_faces and unseen is None:
            raise UserError("--unseen-faces are those of the classes that --unseen sets apart; give both")
        names = [name] if unseen is None else [name, f"{name}-{UNSEEN}"]
        for each in names:
            end_studies(where, "domain", each, force=force, replace=replace)
        with progress(f"importing {name}", "images") as report:
            add_domain(
                where,
                name,
                what,
                resolution,
                val_fraction=val_fraction,
                strict=strict,
                replace=replace,
                image_column=image_column,
                flip=flip,
                fonts=fonts,
                per_class=per_class,
                unseen=None if unseen is None else Apart(unseen, unseen_faces),
                progress=report,
            )
    _print_added(where, names, flip)


def _print_added(home: Home, names: Sequence[str], flip: bool | None) -> None:
    """What came of an import, and what the user should know of it: once, where it is so of all domains that it made."""
    from trainables.images.domains import open_domain

    said: set[str] = set()
    for name in names:
        domain = open_domain(home, name)
        facts = domain.facts
        print(
            f"domain {name}: {facts.train:,} train and {facts.val:,} val images of {facts.resolution} pixels, "
            f"{_classes(domain)}; {plural(facts.duplicates, 'duplicate')} dropped, {plural(facts.skipped, 'file')} skipped"
        )
        for note in facts.notes:
            if note not in said:
                print(f"  note: {note}")
        said |= {*facts.notes}
    if flip is None and facts.flip:
        print(
            "  taken for photos: searches mirror half of them; for letters, digits or signs add it again with --no-flip"
        )
    for skipped in facts.skipped_files[:SKIPPED_SHOWN]:
        print(f"  skipped {skipped.file}: {skipped.reason}")
    if facts.skipped > SKIPPED_SHOWN:
        print(f"  and {facts.skipped - SKIPPED_SHOWN:,} more, in {printable(str(_skipped_list(domain.path)))}")


def _classes(domain: "Domain") -> str:
    """How many classes there are, what the first are called, and how many images have none."""
    names, without = domain.facts.class_names, int((domain.labels < 0).sum())
    if without == len(domain.labels):
        return "no classes"
    more = ", ..." if len(names) > CLASSES_SHOWN else ""
    called = f" ({', '.join(names[:CLASSES_SHOWN])}{more})" if names else ""
    others = f" and {plural(without, 'image')} without one" if without else ""
    return f"{plural(domain.facts.classes, 'class', 'classes')}{called}{others}"


def _skipped_list(folder: Path) -> Path:
    """Give the file in a domain's folder that names every skipped file."""
    from trainables.images.domains import FACTS_FILE, SKIPPED_FILE

    return folder / (SKIPPED_FILE if (folder / SKIPPED_FILE).exists() else FACTS_FILE)


@domains.command("list")
def list_(as_json: AsJson = False, home: HomeOption = None) -> None:
    """List the domains. Example: understock domains list"""
    from trainables.images.domains import read_facts

    where = Home.find(home)
    note_no_home(where)
    facts = list(readable(where.names("domains"), lambda name: read_facts(where.domain(name))))
    if as_json:
        return print_json([item.model_dump() for item in facts])
    # One class without a name is what facts say of images without any.
    classes = [f.classes if f.classes > 1 or f.class_names else "none" for f in facts]
    rows = [
        [f.name, f.resolution, f.train, f.val, number, f.images_per_class, f.origin]
        for f, number in zip(facts, classes, strict=True)
    ]
    return print_table(["domain", "pixels", "train", "val", "classes", "images per class", "from"], rows)


@domains.command("show")
def show(name: ExistingName, home: HomeOption = None) -> None:
    """Show a domain's facts and draw a contact sheet. Example: understock domains show cats"""
    from trainables.images.domains import open_domain, write_contact_sheet

    domain = open_domain(Home.find(home), name)
    domain.verify()
    print_json(domain.facts.model_dump())
    try:
        print(f"contact sheet: {printable(str(write_contact_sheet(domain)))}")
    except StorageError as error:  # of a home that may only be read the facts are worth showing
        print(f"no contact sheet: {error}", file=sys.stderr)


@domains.command("rm")
def rm(name: ExistingName, force: Force = False, home: HomeOption = None) -> None:
    """Remove a domain. Example: understock domains rm cats"""
    from trainables.images.domains import remove_domain

    where = Home.find(home)
    end_studies(where, "domain", name, force=force)
    remove_domain(where, name)
    print(f"domain {name} removed")
