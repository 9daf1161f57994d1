"""StyleGAN2's networks: beside the reference's own outputs and gradients, and what their parts have to be."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from spaces.networks import StyleGAN2Config
from trainables.networks.families import FAMILIES, build_discriminator, build_generator
from trainables.networks.stylegan2 import layers
from trainables.networks.stylegan2_critic import StyleGAN2Critic, spread
from trainables.networks.stylegan2_generator import StyleGAN2Generator
from trainables.networks.stylegan2_layers import EPS, double, modulated, smooth
from trainables.training.losses import LOSSES, r1

GOLDEN = Path(__file__).parents[4] / "shared" / "golden"
"""Random networks with what the reference makes of them; beside the checkout."""

CASES = pytest.mark.parametrize("case", ["cifarlike-orig-32", "cond-clamp-64", "resnet-skip-16", "skip-resnet-32"])
NEAR = 1e-5
FILTER = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64


class Golden:
    """A file of the reference's, and our networks with its weights."""

    def __init__(self, case: str) -> None:
        path = GOLDEN / f"{case}.safetensors"
        if not path.is_file():
            pytest.skip(f"{path} is not there: the reference's outputs lie beside the checkout")
        self.tensors = load_file(path)
        with safe_open(path, "pt") as file:
            told = json.loads(file.metadata()["config"])
        channels = min(told["cb"] // told["res"], told["cm"])
        self.config = StyleGAN2Config(
            resolution=told["res"],
            width=channels,
            channel_max=told["cm"],
            z_dim=told["z"],
            w_dim=told["w"],
            classes=told["c"] or None,
            mapping_layers=told["L"],
            generator_architecture=told["ag"],
            critic_architecture=told["ad"],
            conv_clamp=told["cl"],
            minibatch_group=told["mb"],
        )
        self.generator, self.critic = StyleGAN2Generator(self.config), StyleGAN2Critic(self.config)
        missing, unknown = self.generator.load_state_dict(self.below("G."), strict=False)
        assert unknown == []
        assert missing == (["prior"] if told["c"] else [])
        self.critic.load_state_dict(self.below("D."))
        one_hot = self.tensors["c"]
        self.labels = one_hot.argmax(1) if told["c"] else None
        self.w = self.generator.mapping(self.tensors["z"], self.labels)

    def below(self, prefix: str) -> dict[str, Tensor]:
        return {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}

    def without_noise(self) -> Tensor:
        return self.generator.images(self.w, torch.zeros(len(self.w), self.generator.synthesis.noise_size))


@cache
def golden(case: str) -> Golden:
    return Golden(case)


def assert_near(found: Tensor, expected: Tensor) -> None:
    assert float((found - expected).detach().abs().max()) <= NEAR * max(1.0, float(expected.detach().abs().max()))


def assert_gradients(network: torch.nn.Module, expected: dict[str, Tensor]) -> None:
    assert expected
    for name, reference in expected.items():
        gradient = network.get_parameter(name).grad
        assert gradient is not None
        assert float((gradient - reference).norm() / reference.norm()) < NEAR, name


@CASES
def test_the_mapping_gives_the_references_w_and_truncates_it(case: str) -> None:
    reference, average = golden(case).tensors, golden(case).generator.mapping.w_avg
    assert_near(golden(case).w, reference["w"])
    assert_near(average + 0.5 * (golden(case).w - average), reference["w_psi0.5"])
    images = golden(case).generator(reference["z"], golden(case).labels, truncation=0.5)
    assert_near(images, golden(case).generator.images(reference["w_psi0.5"]))


@CASES
def test_the_generator_gives_the_references_images(case: str) -> None:
    reference = golden(case).tensors
    assert_near(golden(case).generator(reference["z"], golden(case).labels), reference["image_const_noise"])
    assert_near(golden(case).without_noise(), reference["image_no_noise"])


@CASES
def test_the_critic_gives_the_references_logits(case: str) -> None:
    logits = golden(case).critic(golden(case).tensors["image_const_noise"], golden(case).labels)
    assert_near(logits, golden(case).tensors["logits"].squeeze(1))


@CASES
def test_the_generators_loss_has_the_references_gradients(case: str) -> None:
    generator, labels = Golden(case).generator, golden(case).labels
    noise = torch.zeros(len(golden(case).w), generator.synthesis.noise_size)
    images = generator.images(generator.mapping(golden(case).tensors["z"], labels), noise)
    LOSSES["nonsaturating"].generator(golden(case).critic(images, labels)).backward()
    assert_gradients(generator, golden(case).below("grad.Gmain."))


@CASES
def test_the_critics_loss_has_the_references_gradients(case: str) -> None:
    critic, labels = Golden(case).critic, golden(case).labels
    of_real, of_fake = (
        critic(images, labels) for images in (golden(case).tensors["real"], golden(case).without_noise().detach())
    )
    LOSSES["nonsaturating"].discriminator(of_real, of_fake).backward()
    assert_gradients(critic, golden(case).below("grad.Dmain."))


@CASES
def test_r1_has_the_references_values_and_gradients(case: str) -> None:
    critic, labels, reference = Golden(case).critic, golden(case).labels, golden(case).tensors
    penalty = 2 * r1(lambda images: critic(images, labels), reference["real"])
    mean = reference["r1_penalty"].mean()
    torch.testing.assert_close(penalty.detach(), mean, rtol=NEAR, atol=0)
    penalty.backward()
    assert_gradients(critic, golden(case).below("grad.Dreg."))


@CASES
def test_the_config_is_read_off_the_references_names(case: str) -> None:
    for prefix in ("G.", "D."):
        found = FAMILIES["stylegan2"].fields(golden(case).below(prefix))
        assert {field: getattr(golden(case).config, field) for field in found} == found
        assert {"resolution", "width", "channel_max"} <= found.keys()


def grouped(x: Tensor, weight: Tensor, style: Tensor, *, demodulate: bool, up: bool) -> Tensor:
    """The modulated convolution as the paper writes it: a kernel for each sample, and one convolution in as many groups."""
    n, inputs, side, _ = x.shape
    kernels = weight * style[:, None, :, None, None]  # (N, out, in, k, k)
    if demodulate:
        kernels = kernels * (kernels.square().sum((2, 3, 4), keepdim=True) + EPS).rsqrt()
    x = x.reshape(1, n * inputs, side, side)
    if not up:
        y = F.conv2d(x, kernels.flatten(0, 1), padding=weight.shape[-1] // 2, groups=n)
        return y.view(n, -1, side, side)
    y = F.conv_transpose2d(x, kernels.transpose(1, 2).flatten(0, 1), stride=2, groups=n)
    return smooth(y.view(n, -1, 2 * side + 1, 2 * side + 1), padding=1, gain=4)


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize("demodulate", [False, True])
def test_scaling_what_goes_in_and_out_is_scaling_the_kernels(demodulate: bool, up: bool) -> None:
    torch.manual_seed(0)
    x, weight, style = torch.randn(3, 5, 8, 8), torch.randn(4, 5, 3, 3), torch.randn(3, 5)
    given = [each.requires_grad_() for each in (x, weight, style)]
    found = []
    for each in (modulated, grouped):
        y = each(x, weight, style, demodulate=demodulate, up=up)
        found.append([y, *torch.autograd.grad(y.square().sum(), given)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_doubling_by_a_convolution_is_zeros_between_pixels_a_true_convolution_and_the_filter() -> None:
    torch.manual_seed(0)
    x, weight = torch.randn(2, 3, 4, 4), torch.randn(5, 3, 3, 3)
    spaced = torch.zeros(2, 3, 7, 7)
    spaced[:, :, ::2, ::2] = x
    turned = weight.flip(2, 3)  # a true convolution turns its kernel about
    convolved = F.conv2d(F.pad(spaced, (2, 2, 2, 2)), turned)  # 9 pixels
    filtered = F.conv2d(F.pad(convolved, (1, 1, 1, 1)), (4 * FILTER).expand(5, 1, 4, 4), groups=5)
    ones = torch.ones(2, 3)
    torch.testing.assert_close(modulated(x, weight, ones, demodulate=False, up=True), filtered, rtol=1e-5, atol=1e-5)


def test_doubling_is_zeros_between_pixels_and_the_filter() -> None:
    x = torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    spaced = torch.zeros(2, 3, 8, 8)
    spaced[:, :, ::2, ::2] = x
    expected = F.conv2d(F.pad(spaced, (2, 1, 2, 1)), (4 * FILTER).expand(3, 1, 4, 4), groups=3)
    torch.testing.assert_close(double(x), expected)


def test_a_doubled_constant_is_that_constant_inside() -> None:
    torch.testing.assert_close(double(torch.full((1, 2, 8, 8), 3.0))[:, :, 2:-2, 2:-2], torch.full((1, 2, 12, 12), 3.0))


def test_demodulated_output_has_unit_variance_for_unit_input() -> None:
    torch.manual_seed(0)
    x, weight, style = torch.randn(8, 32, 32, 32), torch.randn(16, 32, 3, 3), 5 * torch.randn(8, 32)
    inside = modulated(x, weight, style)[:, :, 1:-1, 1:-1]  # at the border zeros take part
    torch.testing.assert_close(inside.var((0, 2, 3)), torch.ones(16), rtol=0.1, atol=0)


def test_equal_images_are_apart_by_the_epsilon_alone() -> None:
    same = torch.randn(1, 6, 4, 4).expand(8, -1, -1, -1)
    torch.testing.assert_close(spread(same, 4, 2), torch.full((8, 2, 4, 4), EPS**0.5), rtol=1e-3, atol=0)


def test_the_images_of_a_group_lie_as_far_apart_as_there_are_groups() -> None:
    x = torch.arange(8.0)[:, None, None, None].expand(-1, 2, 4, 4)
    x = torch.where(x % 2 == 0, x, 7.0)  # of two groups the even rows differ, and the odd ones are alike
    apart = spread(x, 4, 1)[:, 0, 0, 0]
    assert torch.allclose(apart[1::2], torch.full((4,), 1e-4))
    assert torch.allclose(apart[::2], torch.tensor([0.0, 2, 4, 6]).std(correction=0))
    assert spread(x[:6], 4, 1).shape == (6, 1, 4, 4)  # groups of 3


SMALL = StyleGAN2Config(resolution=32, width=4, channel_max=8, z_dim=6, w_dim=6)


def test_noise_is_the_layers_own_unless_some_is_given() -> None:
    generator = build_generator(SMALL, seed=0)
    z = torch.randn(2, 6)
    with torch.no_grad():
        for name, parameter in generator.named_parameters():
            if name.endswith("noise_strength"):
                parameter.fill_(1.0)
    w = generator.mapping(z)
    own = torch.cat([t.flatten() for name, t in generator.named_buffers() if name.endswith("noise_const")])
    assert generator.synthesis.noise_size == len(own)
    torch.testing.assert_close(generator(z), generator.images(w, own.expand(2, -1)))
    assert not torch.allclose(generator(z), generator.images(w, torch.randn(2, len(own))))


def test_styles_are_mixed_from_a_layer_on() -> None:
    generator = build_generator(SMALL, seed=0)
    w, other = generator.mapping(torch.randn(3, 6)), generator.mapping(torch.randn(3, 6))
    assert generator.synthesis.num_ws == 8
    cut = torch.tensor([0, 8, 3])
    mixed, of_one, of_other = generator.images(w, None, other, cut), generator.images(w), generator.images(other)
    torch.testing.assert_close(mixed[0], of_other[0])
    torch.testing.assert_close(mixed[1], of_one[1])
    assert not torch.allclose(mixed[2], of_one[2])
    assert not torch.allclose(mixed[2], of_other[2])


@pytest.mark.parametrize("architecture", ["skip", "resnet", "orig"])
def test_layers_are_counted_from_the_image_side_as_freezed_counts_them(architecture: str) -> None:
    critic = build_discriminator(SMALL.model_copy(update={"critic_architecture": architecture}), seed=0)
    names = {module: name for name, module in critic.named_modules()}
    found = [names[layer] for layer in layers(critic)]
    of_a_block: dict[str, list[str]] = {
        "skip": ["fromrgb", "conv0", "conv1"],
        "resnet": ["conv0", "conv1", "skip"],
        "orig": ["conv0", "conv1"],
    }
    first = ["b32.fromrgb"] if architecture != "skip" else []
    blocks = [f"b{side}.{name}" for side in (32, 16, 8) for name in of_a_block[architecture]]
    last = ["b4.fromrgb"] if architecture == "skip" else []
    assert found == [*first, *blocks, *last, "b4.conv", "b4.fc"]


def networks_by(**fields: Any) -> tuple[StyleGAN2Generator, StyleGAN2Critic]:
    config = SMALL.model_copy(update=fields)
    return build_generator(config, 0), build_discriminator(config, 0)  # type: ignore[return-value]


def test_a_conditional_network_heeds_the_class() -> None:
    generator, critic = networks_by(classes=3)
    z, images = torch.randn(1, 6).expand(3, -1), torch.randn(1, 3, 32, 32).expand(3, -1, -1, -1)
    labels = torch.arange(3)
    assert generator(z, labels).std(0).max() > 1e-3
    assert critic(images, labels).std() > 1e-3
    assert torch.equal(generator.get_buffer("prior"), torch.full((3,), 1 / 3))


def test_a_new_generators_images_are_of_order_one() -> None:
    generator, critic = networks_by(width=16, channel_max=64, z_dim=64, w_dim=64)
    images = generator(torch.randn(16, 64))
    assert 0.1 < float(images.std()) < 10
    assert float(critic(images).abs().max()) < 100
