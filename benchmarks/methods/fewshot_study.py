"""Every few-shot method beside its baselines, each trained for the same seconds: K images of unseen classes in, more of them out.

    python -m benchmarks.methods.fewshot_study run glyphs --home HOME                     # icons: names as classes, in many fonts
    python -m benchmarks.methods.fewshot_study run characters --home HOME --fonts FOLDER  # characters, in a folder's fonts
    python -m benchmarks.methods.fewshot_study table                                      # the tables of docs/fewshot.md
    python -m benchmarks.methods.fewshot_study report --home HOME                         # docs/fewshot-(glyphs|characters).html

`benchmarks.methods.equal_seconds` says how; each trial is appended to docs/fewshot-study.csv as it ends. The first seed's models
are what `understock classify fewshot-glyphs` asks whether their images help a small classifier, which the report then shows.
"""

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.methods.equal_seconds import Comparison, command_line
from spaces.config import SCRATCH, TrialConfig
from spaces.suggest import UNTRAINED
from spaces.trials import parse_trial
from trainables.images.importing.classes_apart import Apart
from trainables.images.importing.importers import add_domain
from trainables.storage.home import Home

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "fewshot-study.csv"
TABLES = ("glyphs", "characters")
SHOTS, UNSEEN, WIDTH = 3, "50", 8
SCORES = ("fd", "kd", "mkd", "class_accuracy", "class_accuracy_floor", "feature_diversity", "copy_rate")

_SETS: Mapping[str, Any] = {"width": WIDTH, "training": {"lr": 5e-4}}
ARMS: Mapping[str, Mapping[str, Any]] = {
    **{method: {"method": method} for method in UNTRAINED},
    "matchinggan": {"method": "matchinggan", **_SETS},
    "f2gan": {"method": "f2gan", **_SETS},
    "dagan": {"method": "dagan", "width": WIDTH, "training": {"lr": 5e-4, "batch": 8, "n_critic": 2}},
    "figr": {"method": "figr", "width": WIDTH, "training": {"lr": 1e-3}},
    "dawson": {"method": "figr", "width": WIDTH, "meta": "fomaml", "training": {"lr": 1e-3}},
    "joint": {"method": "joint", "width": WIDTH, "training": {"lr": 5e-4, "batch": 8, "n_critic": 2}},
    "gmn": {"method": "gmn", "width": WIDTH, "training": {"batch": 10}},
    "funit": {"method": "funit", "width": WIDTH},
}
"""Settings beside the defaults, by what an arm is called."""


def config_of(table: str, arm: str, seed: int, images: int) -> TrialConfig:
    """The trial of an arm whose budget is so many images."""
    common = {
        "target": f"{table}-unseen",
        "source": SCRATCH if arm in UNTRAINED else table,
        "seed": seed,
        "data": {"shots": SHOTS, "seed": seed},
        "budget": {"images": images, "eval_every_images": images},
        "protocol": {"metrics": ("kd", "fd", "mkd", "class_accuracy", "feature_diversity", "copy_rate")},
    }
    return parse_trial(common | ARMS[arm], f"benchmark {arm!r}")


def comparison(table: str) -> Comparison:
    """The arms on a table's unseen classes."""
    study, config = f"fewshot-{table}", partial(config_of, table)
    return Comparison(table, study, tuple(ARMS), config, "matchinggan", UNTRAINED, (table,), RESULTS, SCORES, seeds=3)


def prepare(home: Home, table: str, fonts: Path | None) -> None:
    """Make the two domains that the home lacks, of seen and unseen classes."""
    if table in home.names("domains"):
        return
    if table == "characters" and fonts is None:
        sys.exit("give --fonts, a folder of font files: what characters are drawn by")
    what = "builtin:glyphs" if table == "glyphs" else str(fonts)
    fonts_of = {"fonts": True, "per_class": 30} if table == "characters" else {}
    add_domain(home, table, what, 32, unseen=Apart(UNSEEN), **fonts_of)


def main() -> None:
    """What the first argument says."""
    parser = command_line(__doc__, TABLES, ARMS, seconds=240.0, seeds=1)
    parser.add_argument("--fonts", type=Path, help="a folder of font files, of characters that the home has not")
    given = parser.parse_args()
    if given.what == "table":
        for table in TABLES:
            print("\n".join(comparison(table).means(SCORES, "kd")))
        return
    if given.home is None or (given.what == "run" and given.table is None):
        sys.exit("give --home, and with run a table")
    home = Home.make(given.home)
    if given.what == "report":
        for table in TABLES:
            print(comparison(table).report(home, DOCS / f"fewshot-{table}.html"))
        return
    prepare(home, given.table, given.fonts)
    comparison(given.table).run(home, given.seconds, given.arms.split(";"), given.seeds)


if __name__ == "__main__":
    main()
