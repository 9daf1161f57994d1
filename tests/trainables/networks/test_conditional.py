"""Networks that are asked for a class, against closed forms."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from spaces.networks import Dcgan, Resnet, classes_of, told, unconditional
from trainables.networks.conditional import ConditionalNorm, labels_by
from trainables.networks.families import DISCRIMINATOR, GENERATOR, build_network, family_of
from trainables.networks.sampling import draw, set_standing_statistics
from trainables.training.losses import gradient_penalty

PLAIN = Resnet(resolution=32, width=2, z_dim=5)
BY_NORM = PLAIN.model_copy(update={"classes": 3})
BY_CONCAT = PLAIN.model_copy(update={"classes": 3, "conditioning": "concat"})
BOTH_FORMS = pytest.mark.parametrize("config", [BY_NORM, BY_CONCAT], ids=["norm", "concat"])


def generator_of(config: Resnet) -> nn.Module:
    generator = build_network(GENERATOR, config, seed=3)
    set_standing_statistics(generator, n=64)
    return generator


def test_a_conditional_norm_is_batch_norm_and_then_the_scale_and_shift_of_each_images_class() -> None:
    x, labels = (
        torch.randn(6, 4, 3, 3, generator=torch.Generator().manual_seed(0)) * 2 + 1,
        torch.tensor([0, 1, 2, 2, 1, 0]),
    )
    norm, plain = ConditionalNorm(3, 4), nn.BatchNorm2d(4)
    torch.testing.assert_close(norm(x, labels), plain(x), rtol=0, atol=1e-6)
    with torch.no_grad():
        norm.weight.copy_(torch.arange(12.0).view(3, 4))
        norm.bias.copy_(-torch.arange(12.0).view(3, 4))
    expected = torch.stack(
        [plain(x)[i] * norm.weight[k, :, None, None] + norm.bias[k, :, None, None] for i, k in enumerate(labels)]
    )
    torch.testing.assert_close(norm(x, labels), expected, rtol=1e-5, atol=1e-5)


def test_labels_follow_the_prior_and_are_never_of_a_class_without_images() -> None:
    prior = torch.tensor([0.0, 0.5, 0.0, 0.3, 0.2, 0.0])
    uniform = torch.rand(20_000, generator=torch.Generator().manual_seed(1))
    shares = torch.bincount(labels_by(prior, uniform), minlength=6) / 20_000
    assert shares[[0, 2, 5]].tolist() == [0, 0, 0]
    torch.testing.assert_close(shares, prior, rtol=0, atol=4 * (0.25 / 20_000) ** 0.5)
    ends = torch.tensor([0.0, torch.nextafter(torch.tensor(1.0), torch.tensor(0.0)).item()])
    assert labels_by(prior, ends).tolist() == [1, 4]


@BOTH_FORMS
def test_all_but_the_conditions_begins_as_in_the_unconditional_network(config: Resnet) -> None:
    for name in (GENERATOR, DISCRIMINATOR):
        ours, plain = (build_network(name, each, seed=3).state_dict() for each in (config, PLAIN))
        same = [key for key in plain if key in ours and ours[key].shape == plain[key].shape]
        assert all(torch.equal(ours[key], plain[key]) for key in same)
        assert any("conv1" in key for key in same)


def test_the_critic_differs_by_its_class_head_alone() -> None:
    ours, plain = (build_network(DISCRIMINATOR, each, seed=3) for each in (BY_NORM, PLAIN))
    assert ours.state_dict().keys() - plain.state_dict().keys() == {"to_class.weight", "to_class.bias"}
    assert not any(isinstance(layer, ConditionalNorm) for layer in ours.modules())
    images = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    logits, of_class = ours.judge(images)
    assert torch.equal(logits, plain(images)) and torch.equal(ours(images), plain(images))
    assert of_class.shape == (4, 3)


def test_the_penalty_is_the_critic_logits_alone() -> None:
    ours, plain = (build_network(DISCRIMINATOR, each, seed=3) for each in (BY_NORM, PLAIN))
    random = torch.Generator().manual_seed(0)
    real, fake, mix = (
        torch.rand(4, 3, 32, 32, generator=random),
        torch.rand(4, 3, 32, 32, generator=random),
        torch.rand(4, 1, 1, 1),
    )
    values = [gradient_penalty(critic, real, fake, mix) for critic in (ours, plain)]
    assert torch.equal(*values)
    values[0].backward()
    assert ours.to_class.weight.grad is None and ours.to_logit.weight.grad.abs().max() > 0


@BOTH_FORMS
def test_an_image_depends_on_its_label_and_labels_not_on_z(config: Resnet) -> None:
    generator = generator_of(config)
    with torch.no_grad():
        for name, tensor in generator.named_parameters():
            if tensor.shape[0] == 3 and "to_rgb" not in name:  # the tables; fresh ones are alike for each class
                tensor += torch.randn(tensor.shape, generator=torch.Generator().manual_seed(1))
    drawn = draw(generator, 64, seed=1, batch=7)
    assert torch.equal(draw(generator, 64, seed=1).images, drawn.images)
    alone = [draw(generator, 64, seed=1, label=label) for label in range(3)]
    assert [set(each.labels.tolist()) for each in alone] == [{0}, {1}, {2}]
    for i, label in enumerate(drawn.labels.tolist()):
        assert torch.equal(drawn.images[i], alone[label].images[i])
    assert not torch.equal(alone[0].images, alone[1].images)


def test_labels_of_samples_are_drawn_by_the_generators_prior() -> None:
    generator = generator_of(BY_NORM)
    assert generator.prior.tolist() == pytest.approx([1 / 3] * 3)
    generator.prior.copy_(torch.tensor([0.25, 0.75, 0.0]))
    shares = torch.bincount(draw(generator, 2000, seed=0).labels, minlength=3) / 2000
    torch.testing.assert_close(shares, generator.prior, rtol=0, atol=0.04)


@BOTH_FORMS
def test_the_config_of_a_conditional_generator_is_read_off_its_weights(config: Resnet) -> None:
    found = family_of(config).fields(build_network(GENERATOR, config, 0).state_dict())
    assert Resnet.parse(found, "test") == config
    assert family_of(config).fields(build_network(DISCRIMINATOR, config, 0).state_dict())["classes"] == 3


def test_a_config_says_what_it_is_conditional_on() -> None:
    assert (classes_of(BY_NORM), classes_of(PLAIN), classes_of(Dcgan())) == (3, None, None)
    assert unconditional(BY_CONCAT) == PLAIN and unconditional(Dcgan()) == Dcgan()
    assert told(BY_CONCAT) == f"{told(PLAIN)}, of 3 classes by concat"
    with pytest.raises(ValidationError, match="conditioning 'concat' means nothing without classes"):
        Resnet(conditioning="concat")
