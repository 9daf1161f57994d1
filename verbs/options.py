"""Options that several verbs have."""

from typing import Annotated

import typer

HomeOption = Annotated[
    str | None,
    typer.Option(
        "--home", metavar="FOLDER|s3://...", envvar="UNDERSTOCK_HOME", help="Home folder. [default: ~/.understock]"
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]
ExistingName = Annotated[str, typer.Argument(metavar="NAME")]
