from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from analysis.commands import search_command
from search.launch import begin, resolve_study
from search.records.inputs import check_unchanged
from search.records.study import StudyPaths, StudySpec, open_study
from spaces.errors import UserError
from trainables.images.domains import open_domain, write_domain
from trainables.sources.shelf import SourceModel, open_source, shelf
from trainables.storage.home import Home, claim

New = Callable[..., tuple[StudyPaths, StudySpec]]


def resolve(home: Home, **settings: Any) -> StudySpec:
    return resolve_study(home, "dots", "quickstart", **({"sources": "seed-7"} | settings)).spec


def test_what_is_left_open_is_filled_in(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    spec = resolve(home)
    assert (spec.name, spec.metric, spec.direction, spec.trials) == ("dots-quickstart", "fd", "minimize", 24)
    assert spec.base.network == tiny_source.facts.network
    assert spec.digests["source:seed-7"] == tiny_source.facts.digest
    assert spec.digests["domain:dots"] == open_domain(home, "dots").facts.digest


def test_max_images_keeps_the_number_of_evaluations(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    before, after = resolve(home).base.budget, resolve(home, max_images=900).base.budget
    assert after.images == 900
    assert after.images // after.eval_every_images == before.images // before.eval_every_images


def test_fid_brings_the_inception_extractor_along(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    protocol = resolve(home, metric="fid").base.protocol
    assert (protocol.metrics, protocol.extractor, protocol.input_size) == (
        ("fid", "kid", "iw", "copy_rate"),
        "inception",
        299,
    )


def test_another_extractor_measures_the_same_metrics(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    plain, other = resolve(home).base.protocol, resolve(home, extractor="random_convnet").base.protocol
    assert other == plain.model_copy(update={"extractor": "random_convnet"})
    inception = resolve(home, metric="iw", extractor="inception").base.protocol
    assert (inception.metrics, inception.input_size) == (("iw", "fid", "kid", "copy_rate"), 299)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"extractor": "vgg"}, "unknown feature extractor 'vgg'; known: efficientnet_lite0, inception, random_convnet"),
        ({"metric": "fid", "extractor": "random_convnet"}, "fid needs extractor 'inception', not 'random_convnet'"),
        ({"trials": 0}, "search: trials: Input should be greater than 0, got 0"),
        ({"sources": "nope"}, "unknown source model 'nope'"),
        ({"metric": "lpips"}, "unknown metric 'lpips'"),
        ({"name": "../x"}, "name: should be lower-case letters, digits"),
        ({"max_images": 0}, "budget/images"),
        ({"target_images": 41}, "40"),
        ({"sampler": "bayes"}, "sampler: Input should be 'tpe', 'nsga2', 'random', 'grid' or 'transfer', got 'bayes'"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_bad_requests_are_refused(
    home: Home, tiny_domain: str, tiny_source: SourceModel, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(UserError) as error:
        resolve(home, **settings)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_an_unknown_target_lists_the_known(home: Home, tiny_domain: str) -> None:
    with pytest.raises(UserError, match=r"nope.*dots"):
        resolve_study(home, "nope", "quickstart")


@pytest.mark.slow
def test_begin_writes_the_study_once_and_then_finds_it(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    begin(home, resolve(home))
    created = open_study(home, "dots-quickstart")[1]
    assert created.ranking["seed-7"] > 0
    assert begin(home, resolve(home)) == "dots-quickstart"
    assert open_study(home, "dots-quickstart")[1] == created


@pytest.mark.slow
def test_a_taken_name_with_other_settings_is_refused(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    begin(home, resolve(home))
    with pytest.raises(UserError, match=r"another base \(it has 9216, asked for 900\).*--name"):
        begin(home, resolve(home, max_images=900))


def test_an_unknown_study_lists_the_known(home: Home, new_study: New) -> None:
    new_study()
    with pytest.raises(UserError, match=r"unknown study 'nope' in .*; known: s"):
        open_study(home, "nope")


def test_sources_that_do_not_fit_are_left_out_with_a_note(
    home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    resolved = resolve_study(home, "dots", "quickstart")
    networks = {open_source(home, name).facts.network for name in resolved.spec.sources}
    assert len(networks) == 1
    left_out = set(shelf(home)) - set(resolved.spec.sources)
    assert all(any(name in note for note in resolved.notes) for name in left_out)


def test_a_damaged_source_does_not_stop_a_search(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    home.source("torn").mkdir()
    (home.source("torn") / "source.json").write_text("{")
    assert any("torn" in note for note in resolve_study(home, "dots", "quickstart").notes)


def test_a_resolution_without_sources_is_a_search_from_scratch_with_a_note(home: Home) -> None:
    images = np.random.default_rng(0).integers(0, 256, (20, 3, 128, 128), dtype=np.uint8)
    write_domain(home.domain("big"), images, np.zeros(20), np.arange(20) % 4 == 0, origin="test", resizer="none")
    resolved = resolve_study(home, "big", "quickstart")
    assert resolved.spec.sources == ()
    assert any("no source model of 128 pixels is on the shelf" in note for note in resolved.notes)


def test_a_space_is_told_how_many_images_there_are_to_train_on(
    home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    resolved = resolve_study(home, "dots", "transferring_gans", sources="seed-7", target_images=10)
    assert (resolved.spec.train_images, resolved.example.data.target_images) == (10, 10)


def test_a_space_may_say_which_target_images_and_the_user_has_the_last_word(
    home: Home, tiny_domain: str, tiny_source: SourceModel, tmp_path: Path
) -> None:
    space = tmp_path / "mine.py"
    space.write_text(
        "from spaces.suggest import Space, quickstart\n"
        "fewer = Space(quickstart, {'data/target_images': 12, 'data/seed': 5})\n"
    )
    said, own = (
        resolve_study(home, "dots", f"{space}:fewer", name="s", sources="seed-7", target_images=asked).spec
        for asked in (None, 10)
    )
    assert (said.base.data.target_images, said.base.data.seed, said.train_images) == (12, 5, 12)
    assert (own.base.data.target_images, own.base.data.seed, own.train_images) == (10, 5, 10)


def test_shots_are_of_each_class_in_every_trial_and_in_the_command(
    home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    resolved = resolve_study(home, "dots", "quickstart", sources="seed-7", shots=3)
    assert (resolved.spec.train_images, resolved.example.data.shots) == (6, 3)  # of two classes
    assert "--shots 3" in search_command(resolved.spec) and "--target-images" not in search_command(resolved.spec)
    with pytest.raises(UserError, match="two counts of the same images; give one"):
        resolve_study(home, "dots", "quickstart", sources="seed-7", shots=3, target_images=6)


def test_a_batch_that_workers_can_not_share_is_refused(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    with pytest.raises(UserError, match="a batch of 32 can't be shared equally by 5 workers"):
        resolve(home, workers_per_trial=5)


def test_an_own_space_is_known_by_its_whole_path_and_what_is_in_it(home: Home, new_study: New) -> None:
    _, spec = new_study()
    path = Path(spec.space.rpartition(":")[0])
    assert path.is_absolute()
    check_unchanged(home, spec)
    path.write_text(path.read_text() + "\n# another thought\n")
    with pytest.raises(UserError, match=r"space .*mine.py' has changed since it started"):
        check_unchanged(home, spec)


def test_a_second_process_does_not_begin_the_same_study(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    spec = resolve(home)
    with claim(home, "studies", spec.name), pytest.raises(UserError, match="being made by another process"):
        begin(home, spec)
    assert home.names("studies") == []


@pytest.mark.slow
def test_of_studies_begun_at_once_under_one_name_one_is_begun_and_the_others_say_so(
    home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    specs = [resolve(home, name="s", seed=seed) for seed in range(3)]
    with ThreadPoolExecutor(len(specs)) as pool:
        begun = [pool.submit(begin, home, spec) for spec in specs]
    ended = [future.exception() for future in begun]
    (winner,) = (spec for spec, error in zip(specs, ended, strict=True) if error is None)
    assert open_study(home, "s")[1].seed == winner.seed
    assert all(isinstance(error, UserError) for error in ended if error), ended


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused_unless_a_cluster_has_it(
    home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    with pytest.raises(UserError, match="this machine has no GPU"):
        resolve(home, gpus_per_worker=1.0)
    spec = resolve(home, gpus_per_worker=1.0, concurrency=8, on_cluster=True)
    assert (spec.gpus_per_worker, spec.base.optim.precision) == (1.0, "bfloat16")


def test_a_first_rung_before_the_scores_settle_is_named_in_generator_steps(
    home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    def notes(**settings: object) -> list[str]:
        resolved = resolve_study(home, tiny_domain, "quickstart", sources="seed-7", **settings)  # type: ignore[arg-type]
        return [note for note in resolved.notes if "generator steps" in note]

    (early,) = notes(max_images=9_216)
    assert "after 48 of 144 generator steps" in early
    assert notes(max_images=120_000) == notes(early_stopping=False) == []


def test_a_source_that_a_method_of_the_space_cant_use_is_left_out_with_a_line_and_refused_when_named(
    home: Home, tiny_domain: str, tiny_source: SourceModel, new_source: Callable[..., SourceModel]
) -> None:
    new_source("alone", critic=False)
    found = resolve_study(home, "dots", "from_a_source")
    why = "method 'minegan' can't be used: source 'alone' has no discriminator; it has: generator"
    assert f"source model 'alone' is left out: {why}" in found.notes
    assert "alone" not in found.spec.sources
    with pytest.raises(UserError) as refused:
        resolve_study(home, "dots", "from_a_source", sources="seed-7,alone")
    assert str(refused.value) == why
    assert "alone" in resolve_study(home, "dots", "methods", sources="seed-7,alone").spec.sources


def test_methods_that_train_no_conditional_gan_are_refused_for_one(
    home: Home, tiny_domain: str, tiny_source: SourceModel
) -> None:
    with pytest.raises(UserError, match="method 'minegan' trains no conditional GAN; leave --conditional out"):
        resolve_study(home, "dots", "from_a_source", sources="seed-7", conditional=True)
