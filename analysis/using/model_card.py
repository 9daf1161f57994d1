"""The model card of a hub folder: a README.md with what a stranger has to know before using the model."""

import json
from collections.abc import Iterator

from analysis.markdown import table, words
from analysis.page import duration, text
from analysis.using.provenance import UNKNOWN, Provenance, SourceFacts
from analysis.words import used
from spaces.counts import plural

HUB_LICENCES = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "unlicense", "gpl-3.0", "lgpl-3.0", "mpl-2.0", "openrail"),
    *("cc0-1.0", "cc-by-3.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "unknown"),
}
"""The names of licences that the Hugging Face hub knows; any other is `other` there, with a name."""

GRID = "samples.png"

LOADING = """from pathlib import Path
from trainables.methods.registry import open_sampler

draw = open_sampler(Path("."))  # this folder
images = draw(16, seed=0).images  # uint8 (16, 3, {side}, {side})"""

TRANSLATING = """from pathlib import Path
from trainables.images.samples import Inputs
from trainables.methods.registry import open_sampler
translate = open_sampler(Path("."))  # this folder
images = translate(len(photos), seed=0, inputs=Inputs(photos)).images  # of uint8 (n, 3, R, R)"""


def model_card(about: Provenance, told: str, side: int | None, *, grid: bool) -> str:
    """The card of a model whose networks are `told`, of `side` pixels, or of any where it translates; with its grid or not."""
    use = LOADING.format(side=side) if side else TRANSLATING
    lines = [
        *_front_matter(about),
        f"# {words(about.target)}, from {words(_from(about))}",
        "",
        f"A generator of {words(about.target)}: {words(told)}. Trial {about.trial} of study {words(about.study)} of "
        f"understock, by method {words(about.method)}.",
        *(["", f"![Images that it makes of the seed 0]({GRID})"] if grid else []),
        *_section("Use", ["In this folder, with understock installed:", "", "```python", use, "```"]),
        *_section("Licence and origin", _origins(about)),
        *_section("How good it is", _scores(about)),
        *_section("How it was made", _making(about)),
    ]
    return "\n".join(lines) + "\n"


def _front_matter(about: Provenance) -> Iterator[str]:
    """What the hub reads, as YAML; text is quoted as JSON, which YAML reads too."""
    licence = " and ".join(about.licences) or UNKNOWN
    known = licence.lower() in HUB_LICENCES
    yield from ("---", f"license: {licence.lower() if known else 'other'}")
    if not known:
        yield f"license_name: {json.dumps(licence)}"
    yield f"pipeline_tag: {'unconditional-image-generation' if about.from_noise else 'image-to-image'}"
    yield from ("library_name: understock", "tags: [gan, understock]", "---", "")


def _from(about: Provenance) -> str:
    return " and ".join(source.name for source in about.sources) or "scratch"


def _section(title: str, lines: list[str]) -> list[str]:
    return ["", f"## {title}", "", *lines]


def _origins(about: Provenance) -> list[str]:
    said = [_source(source) for source in about.sources] or ["- No source: it was trained from random weights."]
    said.append(
        f"- Target: domain {words(about.target)}, {plural(about.target_images, 'image')} to train on, from "
        f"{words(about.target_origin)}. Their licence is not recorded here."
    )
    if UNKNOWN in about.licences:
        said.append(f"- A licence that is {UNKNOWN} here may forbid what you plan: ask where the model is from.")
    return said


def _source(source: SourceFacts) -> str:
    images = f", {plural(source.images, 'image')}" if source.images else ""
    digest = f", SHA-256 `{source.digest[:16]}`" if source.digest else ""
    note = f" Careful: {words(source.note)}." if source.note else ""
    return (
        f"- {source.kind.capitalize()} {words(source.name)}: licence **{words(source.licence)}**; learnt {words(source.domain)}"
        f"{images}; origin: {words(source.origin)}{digest}.{note}"
    )


def _scores(about: Provenance) -> list[str]:
    rows = [[score.label, _with_error(score.value, score.se), text(score.floor), score.goal] for score in about.scores]
    measured = ", ".join(f"{words(name)} {words(str(value))}" for name, value in about.measured.items())
    return [
        *table(["metric", "score", "real images score", "which way"], rows),
        "",
        f"Protocol: {measured}. Scores compare only where it is equal. The study went by {words(about.chosen_by)}, so that "
        f"score flatters the best of its trials; `understock confirm {about.study}:{about.trial}` measures it on fresh seeds.",
    ]


def _with_error(value: float, se: float | None) -> str:
    return text(value) if se is None else f"{text(value)} ± {se:.2g}"


def _making(about: Provenance) -> list[str]:
    way = used(about.parts) if about.method == "finetune" else about.method
    took = f" in {duration(about.seconds)}, evaluation included" if about.seconds is not None else ""
    seeds = ", ".join(f"{name} {seed}" for name, seed in about.seeds.items())
    versions = ", ".join(f"{words(name)} {words(version)}" for name, version in about.versions.items())
    return [
        f"- {words(way)}; {text(about.images_seen)} images seen{took}",
        f"- Seeds: {seeds}. `config.json` is the whole configuration.",
        f"- Versions: {versions}; exported {about.created}.",
    ]
