"""`understock rank`, `pick`, `regret`, `train`: the verbs that choose a source and settings without a search."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from spaces.errors import UserError
from trainables.storage.home import Home
from verbs.endings import check_output, if_interrupted, writing_to
from verbs.options import AsJson, Conditional, HomeOption, Replace, Target, given
from verbs.printing import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search.ranking import RankedPart, RankedSource, Ranking
    from search.regret import Way

picking = typer.Typer()

Threads = Annotated[int | None, typer.Option(min=1, max=10_000, metavar="CORES", help="CPU threads. [default: all]")]

Sources = Annotated[
    str | None,
    typer.Option("--sources", metavar="A,B", callback=given, help="Source models, or domains. [default: all that fit]"),
]

Ranked = Annotated[
    str | None, typer.Option("--sources", metavar="A,B", callback=given, help="Source models. [default: all there are]")
]


@picking.command()
def pick(
    target: Target,
    sources: Sources = None,
    target_images: Annotated[
        int | None, typer.Option(metavar="COUNT", help="Of the target, to train on. [default: all]")
    ] = None,
    shots: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Images of each class of the target instead, for few-shot methods too."),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=1, max=1_000_000, metavar="COUNT", help="Of a search to come: what would it gain? [default: 24]"
        ),
    ] = None,
    hours: Annotated[
        float | None,
        typer.Option(max=100_000, metavar="HOURS", help="The same by its length, one trial at a time."),
    ] = None,
    conditional: Conditional = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE.json", help="Write it for `understock train`.")
    ] = None,
    replace: Replace = False,
    as_json: AsJson = False,
    home: HomeOption = None,
) -> None:
    """Recommend a configuration, and say how sure that is. Example: understock pick cats -o pick.json"""
    if (trials is not None and hours is not None) or (hours is not None and hours <= 0):
        raise UserError("a search has --trials or --hours, one of them, above 0")
    with if_interrupted("interrupted; nothing was written"):
        if output:
            check_output(output, replace=replace)
        from search.recommendation import recommend, write_recommendation

        names = _names(sources)
        picked, notes = recommend(
            Home.find(home),
            target,
            sources=names,
            target_images=target_images,
            shots=shots,
            trials=trials,
            hours=hours,
            conditional=conditional,
        )
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if output:
        with writing_to(output):
            write_recommendation(output, picked)
    if as_json:
        return print_json(picked.model_dump())
    for line in picked.says:
        print(line)
    go_on = f"understock train {target} --config {output or 'pick.json'}"
    return print(f"train it: {go_on}" if output else f"train it: understock pick {target} -o pick.json, then {go_on}")


@picking.command()
def regret(
    studies: Annotated[
        list[str] | None, typer.Argument(metavar="[STUDY...]", help="[default: all of the home]")
    ] = None,
    as_json: AsJson = False,
    home: HomeOption = None,
) -> None:
    """Show how rank and pick would have done, leaving out each target. Example: understock regret cats-grid hoofed-grid"""
    from search.regret import of_home

    evidence, ways, notes = of_home(Home.find(home), studies or None)
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    if as_json:
        return print_json({"measured": evidence.bench.about(), "ways": [way.as_dict() for way in ways]})
    print(evidence.bench.about())
    return print_regret(ways)


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
        str | None,
        typer.Option(metavar="NAME", callback=given, help="Of the study that it becomes. [default: TARGET-FILE]"),
    ] = None,
    threads: Threads = None,
    home: HomeOption = None,
) -> None:
    """Train one configuration; goes on where it was cut off. Example: understock train cats --config pick.json"""
    with if_interrupted("interrupted; the same command goes on"):
        from search.running.single import default_name, read_config, train_one

        where = Home.find(home)
        settings = read_config(config, target, max_images)
        paths, spec = train_one(where, settings, name or default_name(target, config), threads)
        from analysis.answer import lines
        from search.records.results import load

        print("\n".join(lines(load(paths.evaluations), spec)))
    print(f"look: understock sample {spec.name} -o grid.png; understock report {spec.name}")


@picking.command()
def confirm(
    study: Annotated[str, typer.Argument(metavar="STUDY[:TRIAL]", help="The best trial, or that one.")],
    n: Annotated[int, typer.Option("-n", min=1, max=1_000, metavar="SEEDS", help="Fresh ones.")] = 3,
    threads: Threads = None,
    home: HomeOption = None,
) -> None:
    """Train a study's winner anew with fresh seeds; both scores. Example: understock confirm cats-quickstart -n 3"""
    with if_interrupted("interrupted; the same command goes on"):
        confirm_winner(Home.find(home), study, n, threads)


def confirm_winner(home: Home, study: str, count: int, threads: int | None = None) -> None:
    """Train the winner of STUDY, or STUDY:TRIAL, anew with fresh seeds, and print both scores."""
    from analysis.confirming import check_scored, lines
    from analysis.using.winner import check_trial, chosen
    from search.records.results import config_of, load
    from search.running.single import confirm as confirmed

    paths, spec, trial = chosen(home, study)
    check_trial(paths, trial)
    table = load(paths.evaluations)
    check_scored(table, spec, trial)
    own = [row for row in table.to_pylist() if row["trial"] == trial]
    found = confirmed(home, spec, trial, config_of(own[-1]), count, threads)
    print("\n".join(lines(table, spec, trial, [load(each.evaluations) for each in found])))


@picking.command()
def rank(target: Target, sources: Ranked = None, as_json: AsJson = False, home: HomeOption = None) -> None:
    """Rank source models for a target before any training: by how like it they are, and by what they did on other targets.

    That is the row "elsewhere": their scores there over what is expected of a source so like; below 1 they do better than
    they look. The order of two sources is the same whoever else is ranked; "score / best other's" goes with who the others are.
    Example: understock rank cats --sources dogs,insects
    """
    with if_interrupted("interrupted; the same command goes on after the source models that are through"):
        from search.ranking import rank_shelf
        from spaces.protocol import Protocol

        ranking, notes = rank_shelf(Home.find(home), target, _names(sources), Protocol())
    for note in notes:
        print(f"note: {note}", file=sys.stderr)
    return print_json(ranking.model_dump()) if as_json else _print_ranking(ranking)


def _names(sources: str | None) -> list[str] | None:
    """Split names with commas between, each once; None for none."""
    return list(dict.fromkeys(name.strip() for name in sources.split(",") if name.strip())) if sources else None


def _print_ranking(ranking: "Ranking") -> None:
    """Print a row for each part of likeness, a column for each source with its place; below, what is missing."""
    rows: list[list[str]] = [["rank", "", *(f"{row.rank:.4g}" for row in ranking.rows)]]
    rows += [["network", "", *(row.network or "-" for row in ranking.rows)]]
    rows += [["licence", "", *(row.licence or "-" for row in ranking.rows)]]
    if ranking.rows[0].predicted:
        rows.append(["score / best other's", "", *(_predicted(row) for row in ranking.rows)])
    for name in ranking.rows[0].parts:
        parts = [row.parts[name] for row in ranking.rows]
        floors = {part.floor for part in parts}
        shared = len(floors) == 1 and name != "critic"  # else each source model's own
        floor = floors.pop() if shared else None
        rows.append([name, "" if floor is None else f"{floor:.4g}", *(_part(part, not shared) for part in parts)])
    print_table(["", "real images", *ranking.order], rows)
    print(f"rank: by what fine-tuning will likely come to, predicted from {', '.join(ranking.counted)}")
    if separation := ranking.separation:
        print(separation)
    if len({row.family for row in ranking.rows}) > 1:
        families = ", ".join(f"{row.source} is a {row.family}" for row in ranking.rows)
        print(f"a study holds one family, and studies of equal protocol compare them (search --family): {families}")
    if of_classes := [f"{row.source} ({row.conditional})" for row in ranking.rows if row.conditional]:
        print(f"conditional, with labels drawn as in their own domains: {', '.join(of_classes)}")
    if len({row.network for row in ranking.rows}) > 1:
        print("samples of another size than the target's were resized as its images were")
    for row in ranking.rows:
        print(f"origin of {row.source}: {row.origin}")
    missing: dict[tuple[str, str], list[str]] = {}
    for row in ranking.rows:
        for note in dict.fromkeys(part.note for part in row.parts.values() if part.note):
            of = ", ".join(name for name, part in row.parts.items() if part.note == note)
            missing.setdefault((of, note), []).append(row.source)
    for (of, note), sources in missing.items():
        print(f"  {', '.join(sources)}: {of}: {note}")


def _predicted(row: "RankedSource") -> str:
    """Write a prediction, "0.91 (0.78 to 1.06)"."""
    told = row.predicted
    return f"{told.ratio:.2f} ({told.low:.2f} to {told.high:.2f})" if told else "-"


def _part(part: "RankedPart", with_floor: bool) -> str:
    """Write a part's value and the source's place by it, "1,594 (1)"; with real images' score, "445 (2) [75]"."""
    if part.value is None:
        return "-"
    value = f"{part.value:,.4g}" if abs(part.value) < 1e4 else f"{part.value:,.0f}"
    place = "" if part.rank is None else f" ({part.rank:g})"
    return value + place + (f" [{part.floor:.4g}]" if with_floor and part.floor is not None else "")


def print_regret(ways: "Sequence[Way]") -> None:
    """Print a row for each way of choosing: what it took on each target, and how far that was from the best."""
    targets = [choice.target for choice in ways[0].choices]
    rows = []
    for way in ways:
        took = (f"{choice.took} +{choice.regret:.4g}" for choice in way.choices)
        rows.append([way.name, *took, way.total, f"{way.mean_ratio:.3f}", f"{way.hits} of {len(targets)}"])
    print_table(["way of choosing", *targets, "sum of regrets", "score / best", "best taken"], rows)
