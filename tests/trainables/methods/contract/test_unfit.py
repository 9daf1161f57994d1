"""Which sources and domains a method can be used with, and why not with others."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from case_trials import CPU, files_in
from method_cases import EVERY_METHOD, RESNET, config_of

from spaces.errors import UserError
from trainables.images.domains import open_domain, write_domain
from trainables.methods.method import Given, Needs, unfit
from trainables.methods.registry import METHODS
from trainables.running.given import gather
from trainables.running.trial import run_trial
from trainables.sources.shelf import SourceModel
from trainables.storage.home import Home


def given_from(home: Home, source: SourceModel | None) -> Given:
    return Given(open_domain(home, "dots"), source)


@EVERY_METHOD
def test_a_method_fits_a_source_with_all_that_there_is(
    method: str, home: Home, new_source: Callable[..., SourceModel]
) -> None:
    if METHODS[method].needs.domains:
        assert unfit(METHODS[method], Given(open_domain(home, "dots"), domains=(open_domain(home, "many"),))) is None
        return
    for family in METHODS[method].needs.families or ("resnet", "dcgan"):
        assert unfit(METHODS[method], given_from(home, new_source("x", family=family))) is None


def test_why_domains_do_not_fit_is_said_in_a_line(home: Home) -> None:
    images = np.zeros((8, 3, 64, 64), np.uint8)
    write_domain(home.domain("large"), images, np.full(8, -1), np.arange(8) < 2, origin="test", resizer="none")
    target, large = open_domain(home, "dots"), open_domain(home, "large")
    reasons = {
        "it translates the images of source domains, and none is named; name some of the home's with --sources": (),
        "domain 'dots' is the target itself, and there is nothing to translate": (target,),
        "domain 'large' has 64 pixels, domain 'dots' 32; add one of them again with the other's --resolution": (large,),
    }
    for reason, domains in reasons.items():
        assert unfit(METHODS["cyclegan"], Given(target, domains=domains)) == reason


def test_why_a_method_is_unfit_is_said_in_a_line(home: Home, new_source: Callable[..., SourceModel]) -> None:
    as_is, source, dcgan = METHODS["as_is"], new_source("x", critic=False), new_source("y", family="dcgan")
    large, own = new_source("z", resolution=64), new_source("w", domain="dots")
    reasons = {
        "it needs a source, and source 'scratch' is none": (as_is.needs, None),
        "source 'x' has no discriminator; it has: generator": (Needs(networks=("generator", "discriminator")), source),
        "source 'y' is a dcgan; the method works on: resnet": (Needs(families=("resnet",)), dcgan),
        "the images of source 'x', domain 'lines', are not in the home": (Needs(source_images=True), source),
        "source 'z' has 64 pixels, domain 'dots' 32; add the domain again with --resolution 64": (as_is.needs, large),
    }
    for reason, (needs, each) in reasons.items():
        assert unfit(replace(as_is, needs=needs), given_from(home, each)) == reason
    there = gather(config_of("as_is", source="w"), home)
    assert there.source_images is not None, own
    assert unfit(replace(as_is, needs=Needs(source_images=True)), there) is None


def test_a_method_that_needs_labels_is_unfit_for_a_domain_without(home: Home) -> None:
    needs_labels = replace(METHODS["finetune"], needs=Needs(labels=True))
    assert unfit(needs_labels, given_from(home, None)) is None
    images, none = np.zeros((8, 3, 32, 32), np.uint8), np.full(8, -1)
    write_domain(home.domain("bare"), images, none, np.arange(8) < 2, origin="test", resizer="none")
    reason = unfit(needs_labels, Given(open_domain(home, "bare")))
    assert reason == "domain 'bare' has no classes; import it from class folders, two at least"


def test_a_trial_of_an_unfit_method_is_refused_in_a_line(
    home: Home, tmp_path: Path, new_source: Callable[..., SourceModel]
) -> None:
    new_source("large", resolution=64)
    with pytest.raises(UserError, match="method 'as_is' can't be used: source 'large' has 64 pixels") as refused:
        config = config_of("as_is", source="large", network={**RESNET, "resolution": 64})
        list(run_trial(config, home, files_in(tmp_path), CPU))
    assert len(str(refused.value).splitlines()) == 1
