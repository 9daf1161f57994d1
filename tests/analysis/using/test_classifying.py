"""Small classifiers asked about a study of few-shot trials that really were trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.sections import fewshot
from analysis.study_data import StudyData
from search.records.study import StudyPaths, open_study
from trainables.images.domains import open_domain, write_domain
from trainables.storage.home import Home

TINY = {"width": 2, "training": {"batch": 2}, "data": {"shots": 2}, "source": "seen", "target": "unseen"}
SHORT = {
    "budget": {"images": 2, "eval_every_images": 2},
    "protocol": {"metrics": ("kd",), "n_fake": 8, "input_size": 32},
}


Trained = Callable[..., StudyPaths]


@pytest.fixture
def of_few(home: Home, finish: Callable[..., StudyPaths]) -> Trained:
    """Makes study "s" of one trial of a method, on two domains of grey squares: a class a grey."""
    labels = np.arange(24) % 3
    for name, shift in (("seen", 0), ("unseen", 20)):
        noise = np.random.default_rng(shift).integers(0, 20, (24, 3, 32, 32))
        images = (noise + (80 * labels + shift)[:, None, None, None]).astype(np.uint8)
        write_domain(home.domain(name), images, labels, np.arange(24) >= 21, origin="test", resizer="none")
    digests = {f"domain:{name}": open_domain(home, name).facts.digest for name in ("seen", "unseen")}
    gan = dict.fromkeys(("network", "loss", "optim"))
    return lambda method: finish(digests, method=method, **gan, **TINY, **SHORT)


@pytest.mark.slow
def test_a_study_is_classified_seed_by_seed_and_shown(of_few: Trained, run: Callable[[str], Any], home: Home) -> None:
    paths = of_few("matchinggan")
    line = "classify s --seeds 1 --steps 3 --per-class 2 --threads 1"
    code, out, err = run(line)
    assert (code, err) == (0, "")
    assert "matchinggan + augmented" in out and "beats real images alone" in out
    first = paths.classifier.read_text()
    code, out, _ = run(line.replace("--seeds 1", "--seeds 2"))
    told = pd.read_csv(paths.classifier)
    assert code == 0 and paths.classifier.read_text().startswith(first)
    assert list(told["arm"]) == 2 * ["real", "augmented", "mixture", "matchinggan", "matchinggan + augmented"]
    assert list(told["seed"]) == 5 * [0] + 5 * [1]
    assert set(told["n"]) == {24 - 3 * 2} and set(told["chance"]) == {0.333333}
    (block,) = fewshot.section(StudyData.of(home, [open_study(home, "s")])).blocks
    assert block.sheets[-1].caption == "Accuracy of small classifiers" and len(block.sheets[-1].rows) == 5
    assert any("Does it help a small classifier" in note and "2 seeds" in note for note in block.notes)


@pytest.mark.slow
def test_what_was_lost_is_measured_again_to_the_same_numbers(of_few: Trained, run: Callable[[str], Any]) -> None:
    paths = of_few("matchinggan")
    line = "classify s --seeds 2 --steps 3 --per-class 2 --threads 1"
    run(line)
    whole = paths.classifier.read_text()
    paths.classifier.write_text("".join(whole.splitlines(keepends=True)[:4]))  # up to the first seed's mixtures
    run(line)
    assert paths.classifier.read_text() == whole


@pytest.mark.slow
def test_a_method_that_translates_is_given_images_of_its_source(of_few: Trained, run: Callable[[str], Any]) -> None:
    paths = of_few("funit")
    code, out, err = run("classify s --seeds 1 --steps 2 --per-class 2 --threads 1")
    assert (code, err) == (0, "") and "funit + augmented" in out
    assert list(pd.read_csv(paths.classifier)["arm"])[3:] == ["funit", "funit + augmented"]


def test_a_study_without_few_shot_trials_is_not_classified(finished: StudyPaths, run: Callable[[str], Any]) -> None:
    code, _, err = run("classify s")
    assert code == 2 and "gives its trials no K images of each class" in err and "--space fewshot --shots 3" in err
    assert not Path(finished.classifier).exists()
