"""`understock rank`, `pick`, `train`: which source, which settings, and the training of them."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trainables.home import Home
from verbs.endings import if_interrupted
from verbs.options import AsJson, HomeOption
from verbs.printing import print_json, print_table

if TYPE_CHECKING:
    from search.ranking import Ranking

picking = typer.Typer()

Target = Annotated[str, typer.Argument(metavar="TARGET", help="The domain to make images of.")]
Sources = Annotated[
    str | None, typer.Option("--sources", metavar="A,B", help="Source models. [default: all of the target's resolution]")
]


@picking.command()
def train(
    target: Target,
    config: Annotated[
        Path, typer.Option("--config", metavar="FILE.json", help="What `pick` wrote, or an export's config.json.")
    ],
    max_images: Annotated[
        int | None, typer.Option(metavar="IMAGES", help="Shown to the critic. [default: the config's]")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Of the study that it becomes. [default: TARGET-FILE]")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, metavar="CORES", help="CPU threads. [default: all]")] = None,
    home: HomeOption = None,
) -> None:
    """Train one configuration; goes on where it was cut off. Example: understock train cats --config pick.json"""
    with if_interrupted("interrupted; the same command goes on"):
        from search.single import default_name, read_config, train_one

        where = Home.find(home)
        settings = read_config(config, target, max_images)
        paths, spec = train_one(where, settings, name or default_name(target, config), threads)
        from analysis.answer import lines
        from search.results import load

        print("\n".join(lines(load(paths.evaluations), spec)))
    print(f"look: understock sample {spec.name} -o grid.png; understock report {spec.name}")


@picking.command()
def rank(target: Target, sources: Sources = None, as_json: AsJson = False, home: HomeOption = None) -> None:
    """Rank source models for a target before any training. Example: understock rank cats --sources dogs,insects"""
    with if_interrupted("interrupted; the same command goes on after the source models that are through"):
        from search.ranking import rank_shelf
        from spaces.config import Protocol

        ranking, notes = rank_shelf(Home.find(home), target, _names(sources), Protocol())
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return print_json(ranking.model_dump()) if as_json else _print_ranking(ranking)


def _names(sources: str | None) -> list[str] | None:
    """Names with commas between, each once."""
    return list(dict.fromkeys(name.strip() for name in sources.split(",") if name.strip())) if sources else None


def _print_ranking(ranking: "Ranking") -> None:
    """A row a part, a column a source, with the source's place by it; below, what could not be measured."""
    names = list(ranking.rows[0].parts)
    body = [["rank", "", *(f"{row.rank:.4g}" for row in ranking.rows)]]
    for name in names:
        parts = [row.parts[name] for row in ranking.rows]
        floors = {part.floor for part in parts if part.floor is not None}
        shared = len(floors) == 1 and name != "critic"  # else each source model's own
        cells = ["-" if part.value is None else f"{part.value:,.4g}" if part.value < 1e4 else f"{part.value:,.0f}" for part in parts]
        cells = [cell if part.rank is None else f"{cell} ({part.rank:g})" for cell, part in zip(cells, parts, strict=True)]
        if not shared:
            cells = [c if part.floor is None else f"{c} [{part.floor:.4g}]" for c, part in zip(cells, parts, strict=True)]
        body.append([name, f"{floors.pop():.4g}" if shared else "", *cells])
    print_table(["", "real images", *ranking.order], body)
    print(f"rank: the mean of the places (in brackets) by {', '.join(ranking.counted)}; the other parts are not counted")
    for row in ranking.rows:
        for name, part in row.parts.items():
            if part.note:
                print(f"  {row.source}: {name}: {part.note}")
