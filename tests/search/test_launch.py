from collections.abc import Callable
from typing import Any

import pytest

from search.launch import begin, resolve_study
from search.study import StudyPaths, StudySpec, open_study
from spaces.errors import UserError
from trainables.home import Home
from trainables.sources import SourceModel

New = Callable[..., tuple[StudyPaths, StudySpec]]


def resolve(home: Home, **settings: Any) -> StudySpec:
    return resolve_study(home, "dots", "quickstart", **({"sources": "seed-7"} | settings))[0]


def test_what_is_left_open_is_filled_in(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    spec = resolve(home)
    assert (spec.name, spec.metric, spec.direction, spec.trials) == ("dots-quickstart", "fd", "minimize", 24)
    assert spec.base.network == tiny_source.facts.network
    assert spec.digests == {"domain": spec.digests["domain"], "seed-7": tiny_source.facts.digest}


def test_max_images_keeps_the_number_of_evaluations(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    before, after = resolve(home).base.budget, resolve(home, max_images=900).base.budget
    assert after.images == 900
    assert after.images // after.eval_every_images == before.images // before.eval_every_images


def test_fid_brings_the_inception_extractor_along(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    protocol = resolve(home, metric="fid").base.protocol
    assert (protocol.metrics, protocol.extractor, protocol.input_size) == (("fid", "kid", "iw"), "inception", 299)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"trials": 0}, "search: trials: Input should be greater than 0, got 0"),
        ({"sources": "nope"}, "unknown source model 'nope'"),
        ({"metric": "lpips"}, "unknown metric 'lpips'"),
        ({"name": "../x"}, "name: String should match pattern"),
        ({"max_images": 0}, "budget/images"),
        ({"target_images": 41}, "40"),
        ({"sampler": "bayes"}, "sampler: Input should be 'tpe', 'random' or 'grid', got 'bayes'"),
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


def test_begin_writes_the_study_once_and_then_finds_it(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    begin(home, resolve(home))
    created = open_study(home, "dots-quickstart")[1]
    assert created.ranking["seed-7"] > 0
    assert begin(home, resolve(home)) == "dots-quickstart"
    assert open_study(home, "dots-quickstart")[1] == created


def test_a_taken_name_with_other_settings_is_refused(home: Home, tiny_domain: str, tiny_source: SourceModel) -> None:
    begin(home, resolve(home))
    with pytest.raises(UserError, match=r"another base \(it has 7200, asked for 900\).*--name"):
        begin(home, resolve(home, max_images=900))


def test_an_unknown_study_lists_the_known(home: Home, new_study: New) -> None:
    new_study()
    with pytest.raises(UserError, match=r"unknown study 'nope' in .*; known: s"):
        open_study(home, "nope")
