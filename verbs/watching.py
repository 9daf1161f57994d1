"""`understock dashboard`: the verb that shows a study's trials in optuna-dashboard."""

from typing import Annotated

import typer

from trainables.storage.home import Home
from verbs.options import HomeOption, StudyName

watching = typer.Typer()


@watching.command()
def dashboard(
    study: StudyName,
    port: Annotated[int, typer.Option(min=1, max=65535, metavar="PORT")] = 8080,
    host: Annotated[str, typer.Option(metavar="ADDRESS", help="Others than loopback see it without a password.")] = (
        "127.0.0.1"
    ),
    home: HomeOption = None,
) -> None:
    """Browse a study in optuna-dashboard, also while it runs. Example: understock dashboard cats-quickstart --port 8081"""
    from search.records.study import open_study
    from search.running.dashboard import serve

    paths, _ = open_study(Home.find(home), study)
    serve(paths, host, port)
