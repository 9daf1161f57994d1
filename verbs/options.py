"""Options that several verbs have."""

from pathlib import Path
from typing import Annotated

import typer

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", metavar="FOLDER", envvar="UNDERSTOCK_HOME", help="Home folder. [default: ~/.understock]"),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
ExistingName = Annotated[str, typer.Argument(metavar="NAME")]
