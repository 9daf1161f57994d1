"""What small classifiers say: paired differences against hand-made accuracies, and the sentence drawn from them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.findings.helping import accuracies, arms, comparable, paired, verdict
from spaces.teaching import AND_AUGMENTED, AUGMENTED, MIXED, REAL, Teaching


def rows(**by_arm: list[float]) -> pd.DataFrame:
    named = {arm.replace("_and", AND_AUGMENTED): values for arm, values in by_arm.items()}
    facts = {"trial": np.nan, "shots": 3, "steps": 100, "per_class": 8, "chance": 0.5, "n": 10}
    return pd.DataFrame(
        [{"arm": arm, "seed": s, "accuracy": a} | facts for arm, values in named.items() for s, a in enumerate(values)]
    )


def test_differences_are_paired_by_seed() -> None:
    told = rows(a=[0.5, 0.7, 0.9], b=[0.4, 0.5, 0.9])
    alone = told.iloc[:1].assign(seed=9, accuracy=0.0)  # of a, with a seed that b has not
    mean, half = paired(pd.concat([told, alone]), "a", "b")
    assert mean == pytest.approx(0.1)
    assert half == pytest.approx(4.302653 * 0.1 / 3**0.5, rel=1e-4)  # Student's t of two degrees of freedom


def test_a_method_helps_if_it_beats_real_images_augmentation_and_mixtures() -> None:
    plain = {REAL: [0.5, 0.6, 0.7], AUGMENTED: [0.6, 0.7, 0.8], MIXED: [0.5, 0.6, 0.7]}
    told = rows(**plain, good=[0.7, 0.8, 0.91], good_and=[0.71, 0.82, 0.9], half=[0.55, 0.65, 0.76], half_and=[0.5] * 3)
    assert verdict(told) == (
        "good beats real images alone, standard augmentation and pixel mixtures. Of the others half beats real and mixture. "
        "On top of augmentation good helps."
    )
    table = arms(told)
    assert next(iter(table["arm"])) in ("good", "good + augmented")
    assert table.set_index("arm").loc["good", "over augmented"].startswith("+0.103 ± 0.0")
    assert pd.isna(table.set_index("arm").loc[REAL, "over real"])


def test_one_seed_decides_nothing_and_what_lacks_says_so() -> None:
    assert verdict(rows(**{REAL: [0.5], AUGMENTED: [0.5], MIXED: [0.5]}, good=[0.9])).startswith("No method beats")
    assert verdict(rows(**{REAL: [0.5]})) == "Not all arms have been measured yet."


def test_rows_of_another_protocol_compare_with_nothing(tmp_path: Path) -> None:
    told = pd.concat([rows(a=[0.5]).assign(steps=7), rows(a=[0.6, 0.7])])
    told.to_csv(tmp_path / "classifier.csv", index=False)
    assert list(comparable(accuracies(tmp_path / "classifier.csv"))["accuracy"]) == [0.6, 0.7]
    assert comparable(accuracies(tmp_path / "none.csv")).empty


def test_what_was_asked_for_counts_and_not_what_was_measured_last() -> None:
    told = pd.concat([rows(a=[0.5]), rows(a=[0.6, 0.7]).assign(steps=7)])
    assert list(comparable(told, Teaching(shots=3, steps=100, per_class=8))["accuracy"]) == [0.5]


def test_a_seed_that_two_processes_measured_counts_once() -> None:
    told = pd.concat([rows(**{REAL: [0.5, 0.6]}, a=[0.7, 0.9]), rows(a=[0.7, 0.9]).iloc[:1]])
    assert len(comparable(told)) == 4
    assert paired(comparable(told), "a", REAL) == paired(told.iloc[:4], "a", REAL)


def test_of_a_method_asked_of_two_trials_the_last_one_counts() -> None:
    plain = rows(**{REAL: [0.5, 0.6], AUGMENTED: [0.5, 0.6], MIXED: [0.5, 0.6]})
    told = comparable(pd.concat([plain, rows(a=[0.1, 0.2]).assign(trial=1.0), rows(a=[0.8]).assign(trial=4.0)]))
    assert list(told[told["arm"] == "a"]["trial"]) == [4.0] and len(told) == 7
    assert paired(told, "a", REAL)[0] == pytest.approx(0.3)
