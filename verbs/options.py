"""The options and arguments that several verbs have."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from spaces.errors import UserError


def given(value: str | None) -> str | None:
    """A callback: what an option was given, unless that is nothing, as where a shell's variable is not set."""
    if value is not None and not value.strip():
        raise typer.BadParameter("it is empty; give a value, or leave the option out")
    return value


def share(percent: str | None) -> float | None:
    """ "2%", or "2", as a share of one."""
    if percent is None:
        return None
    try:
        found = float(percent.strip().removesuffix("%")) / 100
    except ValueError:
        found = 0.0
    if not 0 < found < 1:
        raise UserError(f"{percent!r} is no percentage between 0 and 100, as 2% is")
    return found


HomeOption = Annotated[
    str | None,
    typer.Option(
        "--home",
        metavar="FOLDER|s3://...",
        envvar="UNDERSTOCK_HOME",
        callback=given,
        help="Home folder. [default: ~/.understock]",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
Conditional = Annotated[bool, typer.Option("--conditional", help="GANs that are asked for a class of the domain's.")]
Force = Annotated[bool, typer.Option("--force", help="Even if unfinished studies need what goes; names them.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace the file that --output names.")]
Submit = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        callback=given,
        help="Run it as a job of the Ray cluster whose dashboard is there. [http://HOST:8265]",
        rich_help_panel="Where it runs",
    ),
]
WorkingDir = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="With --submit: travels along, for a --space FILE.py:FUNCTION in it.",
        rich_help_panel="Where it runs",
    ),
]


class Tracker(StrEnum):
    """The trackers that `search/running/tracking.py` can feed."""

    tensorboard = "tensorboard"
    mlflow = "mlflow"
    wandb = "wandb"


Track = Annotated[
    list[Tracker] | None,
    typer.Option(metavar="tensorboard|mlflow|wandb", help="Feed that tracker too; may be given again."),
]
Target = Annotated[str, typer.Argument(metavar="TARGET", help="The domain to make images of.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study; `understock status` lists them.")]
ExistingName = Annotated[str, typer.Argument(metavar="NAME")]
