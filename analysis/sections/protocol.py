"""10. Protocol: what was run, how it was measured, and the commands that run it again."""

from collections.abc import Sequence
from typing import Any

from analysis import tables
from analysis.commands import again, longer
from analysis.page import Block, Section, Sheet, Text, listed
from analysis.study_data import StudyData, of_each
from spaces.protocol import RECORD
from spaces.trials import CONFIGS


def section(studies: Sequence[StudyData]) -> Section:
    """The section, a block a study; over several studies it says whether they were measured alike."""
    made = of_each("protocol", "Protocol", studies, _block, unequal_words)
    if len(studies) == 1:
        return made
    names = list(dict.fromkeys(name for study in studies for name, _ in _measured(study)))
    values = [dict(_measured(study)) for study in studies]
    rows = [[name, *(listed(found.get(name, [])) for found in values), _differs(name, values)] for name in names]
    together = Sheet("Measured with", ["what", *(study.spec.name for study in studies), ""], rows, folded=False)
    return Section(made.anchor, made.title, [Block("", sheets=[together]), *made.blocks], made.lead)


def _differs(name: str, values: Sequence[dict[str, list[Any]]]) -> str:
    """Whether the studies have different values there; to have none is a value too.

    Values are compared as a reader sees them, for 64.0 is 64.
    """
    return "differs" if len({listed(found.get(name, [])) for found in values}) > 1 else ""


def unequal(studies: Sequence[StudyData]) -> list[str]:
    """What the studies' metrics were measured with differently; scores compare only where this is empty.

    Counts of real images are left out where the studies have different targets, on which they depend.
    """
    one_target = len({study.spec.target for study in studies}) == 1
    found = []
    for study in studies:
        kinds = {"metric to go by": [study.metric.label]}
        rows = tables.protocol(study.rows) if len(study.rows) else {}
        facts = {
            name: fact
            for name, fact in RECORD.items()
            if name in rows and (fact.must_agree or one_target) and fact.of in (None, study.metric.name)
        }
        found.append(kinds | {fact.words: rows[name] for name, fact in facts.items()})
    names = dict.fromkeys(name for values in found for name in values)
    return [name for name in names if _differs(name, [values for values in found if values.get(name)])]


def unequal_words(studies: Sequence[StudyData]) -> str:
    """What `unequal` finds as a sentence, which says what compares."""
    found = unequal(studies)
    targets = {study.spec.target for study in studies}
    if found:
        return (
            f"Careful: the studies were not measured alike ({', '.join(found)} differ), so their scores do not compare."
        )
    if len(targets) > 1:
        return "The studies were measured alike, on different targets: gains and ranks compare, scores do not."
    return "The studies have one target and were measured alike: their scores compare."


def _measured(study: StudyData) -> list[tuple[str, list[Any]]]:
    values = tables.protocol(study.rows)
    floors = {
        f"{m.label} {m.beside or 'floor'}": study.rows[m.columns[1]].dropna().unique().tolist() for m in study.metrics
    }
    return [
        *((f"protocol: {fact.words}", values[name]) for name, fact in RECORD.items()),
        *((f"protocol: {name}", found) for name, found in floors.items()),
    ]


def _learns_what_judges(method: str, study: StudyData) -> bool:
    return method in CONFIGS and CONFIGS[method].learnt(study.spec.base.protocol.extractor)


def _block(study: StudyData) -> Block:
    spec = study.spec
    several = {name for name, values in tables.protocol(study.rows).items() if len(values) > 1}
    mixed = sorted(several - {"n_drawn"})
    lead = (
        f"Study {spec.name}: {spec.of_trials(len(study.trials))} on target {spec.target}, "
        f"space {spec.space}, sampler {spec.sampler} with seed {spec.seed}, created {spec.created}."
    )
    if mixed:
        lead += f" Careful: {', '.join(mixed)} differ among rows, so their metrics do not compare."
    if "n_drawn" in several:
        lead += " At rungs fewer images are drawn (n_drawn), and distances carried on to n_fake of them."
    if study.is_unequally_drawn:
        lead += f" {study.metric.label} is not carried on: only scores of equally many images are compared."
    learnt = sorted(name for name in study.rows["method"].unique() if _learns_what_judges(name, study))
    if learnt:
        lead += (
            f" Careful: {listed(learnt)} trained by the features of {study.spec.base.protocol.extractor}, by which distances, IW "
            "and copies are measured; of these trials nothing of that compares, but pair error where it is measured."
        )
    seeds = {name: sorted(study.rows[name].dropna().unique().tolist()) for name in tables.SEEDS}
    pairs = [
        *_measured(study),
        *((f"trial: {name}", values) for name, values in seeds.items()),
        *((f"version: {name}", [value]) for name, value in spec.versions.items()),
        *((f"digest: {name}", [value]) for name, value in spec.digests.items()),
        *((f"source: {name}", [told]) for name, told in study.before.told.items()),
        ("device", sorted(study.rows["device"].dropna().unique())),
        ("threads", sorted(study.rows["threads"].dropna().unique().tolist())),
    ]
    facts = Sheet(
        "Protocol, seeds, versions, digests", ["what", "value"], [[k, listed(v)] for k, v in pairs], folded=False
    )
    notes = [
        "With concurrency 1 the same spec suggests the same trials; on a CPU with equal threads a trial gives the same "
        "numbers."
    ]
    way = "To run it again, in a home with the same data and source models but without this study:"
    return Block(
        lead,
        notes=notes,
        commands=[(way, again(spec)), ("For more trials:", longer(spec))],
        sheets=[facts],
        texts=[Text("study.json, the whole spec", spec.model_dump_json(indent=2))],
    )
