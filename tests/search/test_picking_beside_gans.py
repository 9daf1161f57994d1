"""Picks among ways to a generator that train no GAN of z: translators, and few-shot methods with their baselines."""

import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from search.launch import resolve_study
from search.picking.arms import SCRATCH_ARM, Arm
from search.picking.evidence import gather
from search.recommendation import recommend, write_recommendation
from search.records.results import write_trial
from search.records.study import StudyPaths, write_spec
from search.running.single import read_config
from spaces.trials import parse_trial, trains
from trainables.images.domains import write_domain
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home

MEASURED = {"extractor": "e", "input_size": 32, "resizer": "r", "split": "train", "n_fake": 24, "metric_seed": 0}
UNIT, AS_THEY_ARE = {"method": "cyclegan", "source": "rings"}, {"method": "untranslated", "source": "rings"}
TUNED = {"method": "finetune", "source": "seed-7", "transfer": {"parts": "both"}}
SCRATCH = {"method": "finetune", "source": "scratch"}
Tried = Sequence[tuple[Mapping[str, Any], Sequence[float]]]


def study(home: Home, space: str, tried: Tried, **settings: Any) -> None:
    """A study of domain dots with these scores of trials of these values, a seed each."""
    resolved = resolve_study(home, "dots", space, name=space, max_images=900, **settings).spec
    paths, spec = StudyPaths.of(home, space), resolved
    write_spec(paths, spec.model_copy(update={"ranking": dict.fromkeys(spec.sources, 50.0)}))
    trials = [(values, seed, score) for values, scores in tried for seed, score in enumerate(scores)]
    for number, (values, seed, score) in enumerate(trials):
        common = {name: getattr(spec.base, name).model_dump() for name in ("data", "budget", "protocol")}
        config = parse_trial({"target": "dots", "seed": seed, **common, **values}, "test")
        seen = 900 if trains(config.method) else 0
        row = {"images_seen": seen, "iterations": seen, "fd": score, "wall_seconds": 60.0, **MEASURED}
        write_trial(paths.evaluation(number), config, study=space, trial=number, status="completed", evaluations=[row])


@pytest.fixture
def rings(home: Home, tiny_domain: str) -> str:
    """A second domain, of three other classes."""
    images = np.random.default_rng(1).integers(0, 256, (40, 3, 32, 32), dtype=np.uint8)
    write_domain(home.domain("rings"), images, np.arange(40) % 3, np.arange(40) % 4 == 0, origin="test", resizer="none")
    return "rings"


def test_of_translators_alone_the_better_one_is_picked_and_trains(home: Home, rings: str, tmp_path: Any) -> None:
    study(home, "translation", [(UNIT, [150.0, 152.0, 148.0]), (AS_THEY_ARE, [400.0])], sources="rings")
    picked, _ = recommend(home, "dots")
    assert (picked.method, picked.source, picked.lr_g) == ("cyclegan", "rings", None)
    assert picked.score is not None and picked.score.low < 150 < picked.score.high
    assert picked.says[0] == "train from rings by cyclegan"
    assert {(rival.method, rival.source) for rival in picked.rivals} == {("finetune", "scratch")}
    assert picked.measured is not None and picked.measured.endswith("after 900 images, 32 pixels")
    write_recommendation(tmp_path / "pick.json", picked)
    assert read_config(tmp_path / "pick.json", "dots") == picked.config


def test_images_as_they_are_are_no_pick_however_near_they_lie_and_stand_beside_it(home: Home, rings: str) -> None:
    study(home, "translation", [(UNIT, [150.0, 152.0, 148.0]), (AS_THEY_ARE, [20.0])], sources="rings")
    picked, _ = recommend(home, "dots")
    assert (picked.method, picked.source) == ("cyclegan", "rings")
    assert picked.score is not None and picked.score.low < 150 < picked.score.high
    assert "held against it: images of rings as they are, which nobody makes, have FD 20" in picked.says
    assert {rival.method for rival in picked.rivals} == {"finetune"}
    (pool,), _ = gather(home)
    known = pool.at(900)
    assert [one.score for one in known.untranslated] == pytest.approx([20]) and len(known.tried) == 3
    assert not known.without("dots").untranslated


@pytest.mark.parametrize("translated", [60.0, 2_000.0])
def test_a_translator_stands_beside_the_gans_that_it_compares_with(
    home: Home, rings: str, tiny_source: SourceModel, translated: float
) -> None:
    study(home, "translation", [(UNIT, [translated, translated * 1.02])], sources="rings")
    network = tiny_source.facts.network.model_dump()
    gans = [(TUNED | {"network": network}, [150.0, 152.0]), (SCRATCH | {"network": network}, [400.0, 390.0])]
    study(home, "quickstart", gans, sources="seed-7")
    (pool,), notes = gather(home)
    assert notes == [] and {curve.study for curve in pool.curves} == {"translation", "quickstart"}
    picked, _ = recommend(home, "dots", sources=["seed-7", "rings"])
    assert (picked.method, picked.source) == (("cyclegan", "rings") if translated < 100 else ("finetune", "seed-7"))


def test_baselines_that_learn_nothing_are_not_scratch_and_need_shots(
    home: Home, rings: str, tiny_source: SourceModel
) -> None:
    learned = {"method": "matchinggan", "source": "rings"}
    tried: Tried = [({"method": "mixture", "source": "scratch"}, [100.0]), (learned, [300.0, 310.0])]
    study(home, "fewshot", tried, sources="rings", shots=3)
    picked, _ = recommend(home, "dots", shots=3)
    assert (picked.method, picked.source, picked.config.data.shots) == ("mixture", "scratch", 3)
    assert picked.says[0] == "use mixture"
    assert any("as a source" in line and "rings (matchinggan; probability" in line for line in picked.says)
    without, _ = recommend(home, "dots", sources=["seed-7"])
    assert {rival.method for rival in without.rivals} | {without.method} == {"finetune"}


def test_where_the_source_is_gone_scratch_is_that_of_a_quickstart(home: Home, rings: str) -> None:
    study(home, "translation", [(UNIT, [150.0])], sources="rings")
    shutil.rmtree(home.domain("rings"))
    picked, _ = recommend(home, "dots")
    assert (picked.method, picked.source, picked.trials_here) == ("finetune", "scratch", 1)
    assert picked.config.rates == (picked.lr_g, picked.lr_d)


def test_the_arm_of_a_baseline_is_its_own() -> None:
    mixture = Arm("mixture", None, "none")
    assert (str(mixture), mixture.told(), mixture.is_trained) == ("mixture", "mixture", False)
    assert mixture != SCRATCH_ARM and (str(SCRATCH_ARM), SCRATCH_ARM.told()) == ("scratch", "from scratch")
