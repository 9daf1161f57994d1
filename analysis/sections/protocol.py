"""10. Protocol: what was run, how it was measured, and the commands that run it again."""

from collections.abc import Sequence
from typing import Any

from analysis import tables
from analysis.commands import again, longer
from analysis.evidence import Evidence, of_each
from analysis.page import Block, Section, Sheet, Text, listed, plural


def section(studies: Sequence[Evidence]) -> Section:
    """A block a study; of several, whether they were measured alike."""
    made = of_each("protocol", "Protocol", studies, _block, unequal_words)
    if len(studies) == 1:
        return made
    names = list(dict.fromkeys(name for e in studies for name, _ in _measured(e)))
    values = [dict(_measured(e)) for e in studies]
    rows = [[name, *(listed(found.get(name, [])) for found in values), _differs(name, values)] for name in names]
    together = Sheet("Measured with", ["what", *(e.spec.name for e in studies), ""], rows, folded=False)
    return Section(made.anchor, made.title, [Block("", sheets=[together]), *made.blocks], made.lead)


def _differs(name: str, values: Sequence[dict[str, list[Any]]]) -> str:
    """Whether the studies have different values there; no value is one of its own. As they read, for 64.0 is 64."""
    return "differs" if len({listed(found.get(name, [])) for found in values}) > 1 else ""


def unequal(studies: Sequence[Evidence]) -> list[str]:
    """What the studies' metrics were measured with differently; scores compare only where this is empty.

    Of studies with different targets, how many real images there were is left out: it depends on the target.
    """
    one_target = len({e.spec.target for e in studies}) == 1
    found = []
    for e in studies:
        iw = {f"IW's {name}": [value] for name, value in e.spec.base.protocol.iw.model_dump().items()}
        kinds = {"metric to go by": [e.metric.label]} | (iw if any(m.name == "iw" for m in e.metrics) else {})
        rows = tables.protocol(e.rows) if len(e.rows) else {}
        counts = {} if one_target else dict.fromkeys(("n_real", "iw_n", "floor_n", "kd_subset"))
        found.append(
            kinds
            | {words: rows[name] for name, words in tables.PROTOCOL.items() if name in rows and name not in counts}
        )
    names = dict.fromkeys(name for values in found for name in values)
    return [name for name in names if _differs(name, [values for values in found if values.get(name)])]


def unequal_words(studies: Sequence[Evidence]) -> str:
    """The same as a sentence, which says what compares."""
    found = unequal(studies)
    targets = {e.spec.target for e in studies}
    if found:
        return (
            f"Careful: the studies were not measured alike ({', '.join(found)} differ), so their scores do not compare."
        )
    if len(targets) > 1:
        return "The studies were measured alike, on different targets: gains and ranks compare, scores do not."
    return "The studies have one target and were measured alike: their scores compare."


def _measured(e: Evidence) -> list[tuple[str, list[Any]]]:
    values = tables.protocol(e.rows)
    floors = {f"{m.label} floor": e.rows[f"{m.name}_floor"].dropna().unique().tolist() for m in e.metrics}
    return [
        *((f"protocol: {words}", values[name]) for name, words in tables.PROTOCOL.items()),
        *((f"protocol: {name}", found) for name, found in floors.items()),
    ]


def _block(e: Evidence) -> Block:
    spec = e.spec
    mixed = [name for name, values in tables.protocol(e.rows).items() if len(values) > 1]
    lead = (
        f"Study {spec.name}: {len(e.trials)} of {plural(spec.trials, 'trial')} on target {spec.target}, "
        f"space {spec.space}, sampler {spec.sampler} with seed {spec.seed}, created {spec.created}."
    )
    if mixed:
        lead += f" Careful: {', '.join(mixed)} differ among rows, so their metrics do not compare."
    seeds = {name: sorted(e.rows[name].dropna().unique().tolist()) for name in tables.SEEDS}
    pairs = [
        *_measured(e),
        *((f"trial: {name}", values) for name, values in seeds.items()),
        *((f"version: {name}", [value]) for name, value in spec.versions.items()),
        *((f"digest: {name}", [value]) for name, value in spec.digests.items()),
        ("device", sorted(e.rows["device"].dropna().unique())),
        ("threads", sorted(e.rows["threads"].dropna().unique().tolist())),
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
