"""Targets of few images: what can't be measured is left out with the reason, and the rest works."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from search.launch import resolve_study
from search.ranking import rank_sources
from search.recommendation import recommend
from search.records.results import load
from search.records.study import open_study
from search.running.single import train_one
from spaces.config import TrialConfig
from spaces.errors import UserError
from spaces.protocol import Protocol
from trainables.images.domains import open_domain, write_domain
from trainables.images.importing.importers import add_domain
from trainables.metrics.manifolds import NEIGHBOURS
from trainables.running.source_training import train_source
from trainables.sources.shelf import SourceModel, open_source
from trainables.storage.home import Home

CASES = Path(__file__).parents[3] / "shared" / "cases" / "ten"


@pytest.fixture
def few(home: Home) -> Callable[[int, int], str]:
    """Makes domain "few" of so many training and validation images."""

    def make(train: int, val: int) -> str:
        images = np.random.default_rng(0).integers(0, 256, (train + val, 3, 32, 32), dtype=np.uint8)
        is_val = np.arange(train + val) >= train
        write_domain(home.domain("few"), images, np.zeros(train + val), is_val, origin="test", resizer="none")
        return "few"

    return make


@pytest.fixture
def classed(home: Home) -> Callable[[str, int, int], str]:
    """Makes a domain of so many classes of its own, each of so many training images."""

    def make(name: str, classes: int, each: int) -> str:
        images = np.random.default_rng(len(name)).integers(0, 256, (classes * each, 3, 32, 32), dtype=np.uint8)
        labels, names = np.arange(classes * each) % classes, [f"{name} {number}" for number in range(classes)]
        held_out = np.zeros(classes * each, bool)
        write_domain(home.domain(name), images, labels, held_out, origin="test", resizer="none", class_names=names)
        return name

    return make


@pytest.mark.parametrize(("train", "val"), [(2, 0), (2, 1), (3, 1), (6, 4), (10, 0), (9, 1), (18, 2), (58, 2), (5, 40)])
def test_sources_are_ranked_for_a_target_of_few_images(
    home: Home, tiny_source: SourceModel, few: Callable[[int, int], str], train: int, val: int
) -> None:
    target = open_domain(home, few(train, val))
    (row,) = rank_sources(home, target, [tiny_source], Protocol(input_size=32, n_fake=64)).rows
    n = min(train, (train + val) // 2)
    images = "1 image" if n == 1 else f"{n} images"
    for name in ("recall", "precision", "density", "coverage"):
        part = row.parts[name]
        assert (part.value is None) == (part.floor is None) == (n <= NEIGHBOURS), name
        assert part.note == (f"{images} of each kind; it needs 6 at least" if n <= NEIGHBOURS else None)
    assert row.parts["fd"].value is not None
    assert (row.parts["fd"].floor is None) == (train + val < 4)


def test_one_image_is_too_few_to_rank_by_and_says_so_in_a_line(
    home: Home, tiny_source: SourceModel, few: Callable[[int, int], str]
) -> None:
    target = open_domain(home, few(1, 0))
    with pytest.raises(UserError, match="1 train image to compare with; a distance needs 2 at least") as error:
        rank_sources(home, target, [tiny_source], Protocol(input_size=32, n_fake=64))
    assert "\n" not in str(error.value)


def test_one_image_is_too_few_for_a_search_a_recommendation_and_a_source_model(
    home: Home,
    tiny_source: SourceModel,
    tiny_config: Callable[..., TrialConfig],
    few: Callable[[int, int], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = few(1, 8)
    for refused in (
        lambda: resolve_study(home, name, "quickstart"),
        lambda: recommend(home, name),
        lambda: train_source(home, name, name, "small"),
        lambda: train_one(home, tiny_config(target=name), "small", threads=1),
    ):
        with pytest.raises(
            UserError, match=r"^domain 'few': 1 train image to compare with; a distance needs 2 at least"
        ):
            refused()
    assert (home.names("sources"), home.names("studies")) == (["seed-7"], [])
    assert capsys.readouterr().err == ""  # before any work


@pytest.mark.parametrize("space", ["quickstart", "fewshot"])
def test_shots_that_leave_no_image_to_compare_with_are_refused(
    home: Home, tiny_source: SourceModel, classed: Callable[[str, int, int], str], space: str
) -> None:
    classed("seen", 5, 5)
    classed("unseen", 5, 1)
    with pytest.raises(
        UserError, match=r"0 train images to compare with, beside the 5 that trials are given; .*give fewer"
    ):
        resolve_study(home, "unseen", space, sources="seed-7" if space == "quickstart" else "seen", shots=1)


def test_classes_of_one_image_are_too_few_to_learn_sets_of(home: Home, classed: Callable[[str, int, int], str]) -> None:
    classed("single", 5, 1)
    classed("seen", 5, 5)
    classed("target", 5, 7)
    resolved = resolve_study(home, "target", "fewshot", sources="single,seen", shots=1)
    assert resolved.spec.domains == ("seen",)
    (note,) = [line for line in resolved.notes if "single" in line]
    assert note.startswith(
        "domain 'single' is left out: domain 'single' has no class of 2 training images, of which a set"
    )
    with pytest.raises(
        UserError, match="'seen' has no class of 6 training images, of which a set is made; its largest has 5"
    ):
        resolve_study(home, "target", "fewshot", sources="seen", shots=5)


@pytest.mark.parametrize(("train", "val", "noted"), [(10, 0, True), (18, 2, True), (3, 7, True), (50, 10, False)])
def test_a_search_leaves_iw_out_where_there_are_too_few_images_for_it(
    home: Home, tiny_source: SourceModel, few: Callable[[int, int], str], train: int, val: int, noted: bool
) -> None:
    resolved = resolve_study(home, few(train, val), "quickstart", sources="seed-7")
    assert ("iw" in resolved.spec.base.protocol.metrics) is not noted
    said = (
        f"iw and copy_rate are left out: domain 'few' has {train} train and {val} val images, and metrics iw and copy_rate "
        "need 4 of each at least"
    )
    assert (said in resolved.notes) is noted
    if noted:
        with pytest.raises(UserError, match="metrics iw and copy_rate need 4 of each at least; import"):
            resolve_study(home, "few", "quickstart", sources="seed-7", metric="iw")


def test_a_study_of_twenty_images_runs_to_its_end(
    home: Home,
    tiny_config: Callable[..., TrialConfig],
    tiny_source: SourceModel,
    few: Callable[[int, int], str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = tiny_config(target=few(18, 2), source="seed-7", transfer={"parts": "both"}, optim={"batch": 32})
    paths, spec = train_one(home, config, "small", threads=1)
    assert capsys.readouterr().err.startswith("note: iw is left out: domain 'few' has 18 train and 2 val images")
    rows = load(paths.evaluations).to_pylist()
    assert [row["status"] for row in rows] == ["completed"] * len(rows)
    assert all(row["fd"] > 0 and row["fd_floor"] > 0 and row["iw"] is None for row in rows)
    assert spec.ranking["seed-7"] > 0
    assert train_one(home, config, "small", threads=1)[1] == open_study(home, "small")[1]


@pytest.mark.skipif(not CASES.is_dir(), reason="../shared/cases is not there")
def test_ten_pictures_are_ranked_and_searched_with(home: Home, tiny_source: SourceModel) -> None:
    facts = add_domain(home, "ten", str(CASES), 32, val_fraction=0.35)
    assert facts.train + facts.val == 10
    ranking = rank_sources(home, open_domain(home, "ten"), [open_source(home, "seed-7")], Protocol(input_size=32))
    assert ranking.rows[0].parts["recall"].note == "5 images of each kind; it needs 6 at least"
    assert resolve_study(home, "ten", "quickstart", sources="seed-7").spec.train_images == facts.train


def test_a_front_of_a_metric_that_a_target_is_too_small_for_is_refused_in_a_line(
    home: Home, few: Callable[[int, int], str]
) -> None:
    with pytest.raises(UserError, match=r"iw.* need 4 of each at least") as error:
        resolve_study(home, few(3, 1), "quickstart", metric="fd,iw")
    assert "\n" not in str(error.value)
