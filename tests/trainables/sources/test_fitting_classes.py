"""Weights across sets of classes: what each class starts as, against closed forms."""

from itertools import product

import pytest
import torch
from torch import Tensor

from spaces.methods.finetune import Transfer
from spaces.networks import Resnet
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_network, family_of
from trainables.networks.models import Model
from trainables.networks.sampling import draw, set_standing_statistics
from trainables.sources.classes import Fitted, fit_classes
from trainables.sources.graft import GraftReport, graft_networks

PLAIN = Resnet(resolution=32, width=2, z_dim=5)
THREE = PLAIN.model_copy(update={"classes": 3})
FOUR = PLAIN.model_copy(update={"classes": 4})
THREE_CONCAT, FOUR_CONCAT = (each.model_copy(update={"conditioning": "concat"}) for each in (THREE, FOUR))
PRIOR = torch.tensor([0.5, 0.3, 0.2])
ABC, CXAY = ("a", "b", "c"), ("c", "x", "a", "y")


def source_of(config: Resnet) -> dict[str, dict[str, Tensor]]:
    """A source's weights, its classes all different, with statistics of batch norm."""
    networks = {name: build_network(name, config, seed=1) for name in (GENERATOR, DISCRIMINATOR)}
    random = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, tensor in networks[GENERATOR].named_parameters():
            if "norm" in name or name == "from_label.weight":
                tensor += 0.3 * torch.randn(tensor.shape, generator=random)
        if config.classes:
            networks[GENERATOR].prior.copy_(PRIOR)
    set_standing_statistics(networks[GENERATOR], n=64)
    return {name: dict(network.state_dict()) for name, network in networks.items()}


def fitted(
    weights: dict[str, dict[str, Tensor]], theirs: Resnet, own: Resnet, here: tuple[str, ...]
) -> tuple[Fitted, Model, GraftReport]:
    """What a trial of classes `here` begins with; the report is of a graft that refuses whatever is missing."""
    networks = {name: build_network(name, own, seed=9) for name in (GENERATOR, DISCRIMINATOR)}
    found = fit_classes(weights, theirs, ABC if theirs.classes else (), own, here, networks[DISCRIMINATOR].state_dict())
    names = {"source_name": "x", "target_name": "y"}
    report = graft_networks(networks, family_of(own), found.weights, Transfer(parts="both"), **names, new=found.new)
    return found, Model(dict.fromkeys(networks, own), {name: n.state_dict() for name, n in networks.items()}), report


def images(weights: dict[str, dict[str, Tensor]] | Model, config: Resnet, label: int | None = None) -> Tensor:
    model = weights if isinstance(weights, Model) else Model({GENERATOR: config}, weights)
    return draw(model.network(GENERATOR), 8, seed=4, label=label).images.int()


@pytest.mark.parametrize("own", [FOUR, FOUR_CONCAT], ids=["norm", "concat"])
def test_from_an_unconditional_source_every_class_starts_as_the_source_as_it_is(own: Resnet) -> None:
    weights = source_of(PLAIN)
    found, model, report = fitted(weights, PLAIN, own, CXAY)
    for label in range(4):
        assert (images(model, own, label) - images(weights, PLAIN)).abs().max() <= 1
    assert report.reinitialised == ("discriminator.to_class.weight", "discriminator.to_class.bias")
    fresh = build_network(DISCRIMINATOR, own, seed=9).to_class.weight
    assert torch.equal(model.weights[DISCRIMINATOR]["to_class.weight"], fresh)
    assert torch.equal(model.weights[DISCRIMINATOR]["to_logit.weight"], weights[DISCRIMINATOR]["to_logit.weight"])
    assert found.note == "scales and shifts copied to each of 4 classes, class head new"


@pytest.mark.parametrize(("theirs", "own"), [(THREE, FOUR), (THREE_CONCAT, FOUR_CONCAT)], ids=["norm", "concat"])
def test_classes_of_the_same_name_start_as_in_the_source_and_others_at_the_mean(theirs: Resnet, own: Resnet) -> None:
    weights = source_of(theirs)
    found, model, report = fitted(weights, theirs, own, CXAY)
    for here, there in ((0, 2), (2, 0)):
        assert torch.equal(images(model, own, here), images(weights, theirs, there))
        for name in ("to_class.weight", "to_class.bias"):
            assert torch.equal(model.weights[DISCRIMINATOR][name][here], weights[DISCRIMINATOR][name][there])
    assert torch.equal(images(model, own, 1), images(model, own, 3))
    fresh = build_network(DISCRIMINATOR, own, seed=9).to_class.weight
    assert torch.equal(model.weights[DISCRIMINATOR]["to_class.weight"][[1, 3]], fresh[[1, 3]])
    if own.conditioning == "norm":
        for name in ("norm.weight", "blocks.0.norm2.bias"):
            mean = PRIOR @ weights[GENERATOR][name]
            torch.testing.assert_close(model.weights[GENERATOR][name][1], mean)
    assert report.reinitialised == () and found.note == "2 of 4 classes as in the source, 2 new at the mean of its 3"


def test_classes_of_other_names_are_all_new() -> None:
    found, model, report = fitted(source_of(THREE), THREE, FOUR, ())
    assert torch.equal(images(model, FOUR, 0), images(model, FOUR, 3))
    assert (
        len(report.reinitialised) == 2 and found.note == "0 of 4 classes as in the source, 4 new at the mean of its 3"
    )


def test_without_classes_scales_and_shifts_are_the_mean_by_the_sources_prior() -> None:
    weights = source_of(THREE)
    found, model, report = fitted(weights, THREE, PLAIN, ())
    for name in ("norm.weight", "norm.bias", "blocks.1.norm1.weight"):
        torch.testing.assert_close(model.weights[GENERATOR][name], PRIOR @ weights[GENERATOR][name])
    assert torch.equal(model.weights[GENERATOR]["norm.running_var"], weights[GENERATOR]["norm.norm.running_var"])
    assert report.unused == report.reinitialised == ()
    assert found.note == "mean of the source's 3 classes by their prior, class head dropped"


def test_without_classes_a_label_beside_z_becomes_the_mean_of_its_bias() -> None:
    weights = source_of(THREE_CONCAT)
    bias = weights[GENERATOR]["from_z.bias"] + weights[GENERATOR]["from_label.weight"] @ PRIOR
    _, model, _ = fitted(weights, THREE_CONCAT, PLAIN, ())
    torch.testing.assert_close(model.weights[GENERATOR]["from_z.bias"], bias)


def test_every_form_fits_every_other_and_the_sources_own_weights_stay_as_they_are() -> None:
    for theirs, own in product((PLAIN, THREE, THREE_CONCAT), (PLAIN, FOUR, FOUR_CONCAT)):
        weights = source_of(theirs)
        before = {name: tensor.clone() for name, tensor in weights[GENERATOR].items()}
        found, _, report = fitted(weights, theirs, own, CXAY)
        assert report.unused == () and (found.note is None) == (theirs == own == PLAIN)
        assert all(torch.equal(before[name], tensor) for name, tensor in weights[GENERATOR].items())


def test_the_prior_is_the_datas_and_no_sources() -> None:
    _, model, _ = fitted(source_of(THREE), THREE, THREE, ABC)
    assert model.weights[GENERATOR]["prior"].tolist() == pytest.approx([1 / 3] * 3)
