"""Translation, fine-tuning and training from scratch at equal seconds, scored alike, on one target of icons and one of photos.

    python -m benchmarks.methods.translation_study run icons --home HOME     # phosphor's filled icons, from its thin ones
    python -m benchmarks.methods.translation_study run photos --home HOME    # cats from dogs, of 32 pixels; HOME has source dogs
    python -m benchmarks.methods.translation_study table                     # the tables of docs/translation.md
    python -m benchmarks.methods.translation_study report --home HOME        # docs/translation-icons.html

`benchmarks.methods.equal_seconds` says how; each trial is appended to docs/translation-study.csv as it ends. One method,
feature_consistency, trains on the features of the default extractor, so none of its scores in them, IW included, decides
anything against the others. With `--extractor random_convnet` all are scored by a network that nobody trained, as studies of
their own, with results in docs/translation-study-random_convnet.csv.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.methods.equal_seconds import CPU, Comparison, command_line
from benchmarks.setting_up import JUDGES, add_builtin, ending
from search.records.results import merged
from spaces.config import TrialConfig
from spaces.protocol import LITE0
from spaces.trials import parse_trial, takes_domains
from trainables.machine.devices import native_precision
from trainables.storage.home import Home

DOCS = Path(__file__).parents[2] / "docs"
RESULTS = DOCS / "translation-study.csv"


@dataclass(frozen=True)
class Question:
    """A target of few images, and what there is to start from."""

    target: str
    images: int
    """Of the target, that a trial may train on."""
    domain: str
    """Whose images are translated."""
    model: str
    """The source model that is fine-tuned."""
    metrics: tuple[str, ...]
    flip: bool


QUESTIONS: Mapping[str, Question] = {
    "icons": Question(
        "phosphor-fill",
        300,
        "phosphor-thin",
        "mdi",
        ("iw", "fd", "kd", "copy_rate", "content_shift", "pair_error"),
        False,
    ),
    "photos": Question("cats", 300, "dogs", "dogs", ("iw", "fd", "kd", "copy_rate", "content_shift"), True),
}
"""By table."""

GAN: Mapping[str, Any] = {
    "network": {"resolution": 32, "width": 16},
    "loss": {"n_critic": 2},
    "optim": {
        "lr_g": 1e-3,
        "lr_d": 1e-3,
        "batch": 32,
        "ema_halflife_images": 1_000,
        "precision": native_precision(CPU),
    },
}
ARMS: Mapping[str, Mapping[str, Any]] = {
    "untranslated": {"method": "untranslated"},
    "as_is": {"method": "as_is", "network": GAN["network"]},
    "scratch": {"method": "finetune", **GAN, "source": "scratch"},
    "finetune": {"method": "finetune", **GAN},
    "cyclegan": {"method": "cyclegan"},
    "direct": {"method": "direct"},
    "unit": {"method": "unit"},
    "feature_consistency": {"method": "feature_consistency"},
    "xgan": {"method": "xgan"},
    "combogan": {"method": "combogan"},
    "domain_confusion": {"method": "domain_confusion"},
    "stargan": {"method": "stargan"},
    "dtn": {"method": "dtn"},
    "cogan": {"method": "cogan"},
}
"""Settings beside the defaults, by what an arm is called."""
UNTRAINED = ("untranslated", "as_is")


def config_of(table: str, arm: str, seed: int, images: int, extractor: str = LITE0) -> TrialConfig:
    """The trial of an arm whose budget is so many images."""
    asked, settings = QUESTIONS[table], ARMS[arm]
    flip = {"training/flip": asked.flip} if takes_domains(settings["method"]) else {"augment/flip": asked.flip}
    common = {
        "target": asked.target,
        "source": asked.domain if takes_domains(settings["method"]) else asked.model,
        "seed": seed,
        "data": {"target_images": asked.images},
        "budget": {"images": images, "eval_every_images": images},
        "protocol": {"metrics": asked.metrics, "extractor": extractor},
    }
    return parse_trial(merged({**common, **settings}, {} if arm in UNTRAINED else flip), f"benchmark {arm!r}")


def comparison(table: str, extractor: str = LITE0) -> Comparison:
    """The arms on a table's target, scored in the features of that extractor."""
    asked, by = QUESTIONS[table], ending(extractor)
    return Comparison(
        table,
        f"translation-{table}{by}",
        tuple(ARMS),
        partial(config_of, table, extractor=extractor),
        "finetune",
        UNTRAINED,
        (asked.domain,),
        RESULTS.with_stem(f"{RESULTS.stem}{by}"),
        ("iw", "iw_se", "fd", "kd", "content_shift", "pair_error", "copy_rate"),
    )


def main() -> None:
    """What the first argument says."""
    parser = command_line(__doc__, QUESTIONS, ARMS, seconds=60.0, seeds=2)
    parser.add_argument("--extractor", default=LITE0, choices=JUDGES, help="that scores all arms")
    given = parser.parse_args()
    of = partial(comparison, extractor=given.extractor)
    if given.what == "table":
        for table in QUESTIONS:
            print("\n".join(of(table).means(("iw", "fd", "kd", "content_shift", "pair_error"), "iw")))
        return
    if given.home is None or (given.what == "run" and given.table is None):
        sys.exit("give --home, and with run a table")
    home = Home.make(given.home)
    if given.what == "report":  # that of photos would hold photos
        print(of("icons").report(home, DOCS / f"translation-icons{ending(given.extractor)}.html"))
        return
    if given.table == "icons":
        add_builtin(home, "phosphor-fill", "phosphor-thin")
    of(given.table).run(home, given.seconds, given.arms.split(";"), given.seeds)


if __name__ == "__main__":
    main()
