import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spaces.networks import Resnet
from trainables.machine.randomness import random_numbers
from trainables.networks.families import build_discriminator, build_generator
from trainables.networks.resnet import stages
from trainables.networks.sampling import sample, set_standing_statistics

TINY = Resnet(resolution=32, width=2, z_dim=4)


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_parameters_at_the_papers_size_are_as_many_as_in_the_reference_code():
    paper = Resnet(resolution=64, width=64, z_dim=128)
    assert parameters(build_generator(paper, 0)) == 8_540_483
    assert parameters(build_discriminator(paper, 0)) == 7_491_841


def test_each_doubling_of_the_resolution_adds_one_block():
    networks = [Resnet(resolution=resolution, width=1) for resolution in (32, 64, 128)]
    assert [len(build_generator(network, 0).blocks) for network in networks] == [3, 4, 5]
    assert [len(build_discriminator(network, 0).blocks) for network in networks] == [3, 4, 5]


def test_block_convolutions_start_with_he_and_all_else_with_glorot_std():
    discriminator = build_discriminator(Resnet(resolution=32, width=32), seed=0)
    block = discriminator.blocks[1]  # 64 -> 128 channels
    for layer, variance in (
        (block.conv1, 4 / (64 * 9 + 64 * 9)),
        (block.conv2, 4 / (64 * 9 + 128 * 9)),
        (block.shortcut, 2 / (64 + 128)),
        (discriminator.to_logit, 2 / (256 * 16 + 1)),
    ):
        assert layer.weight.std().item() == pytest.approx(math.sqrt(variance), rel=0.05)
        assert layer.weight.abs().max().item() <= math.sqrt(3 * variance)
        assert layer.bias is None or not layer.bias.any()


def test_up_block_is_upsample_then_convolve_on_both_paths():
    block = build_generator(TINY, seed=0).blocks[1].eval()
    x = torch.randn(2, 8, 4, 4)
    up = nn.Upsample(scale_factor=2, mode="nearest")
    h = block.conv2(F.relu(block.norm2(block.conv1(up(F.relu(block.norm1(x)))))))
    torch.testing.assert_close(block(x), h + block.shortcut(up(x)))


def test_down_block_is_convolve_then_pool_and_pool_then_shortcut():
    block = build_discriminator(TINY, seed=0).blocks[1]
    x = torch.randn(2, 4, 8, 8)

    def norm(x):
        return F.layer_norm(x, x.shape[1:])

    h = block.conv2(F.relu(norm(block.conv1(F.relu(norm(x))))))
    torch.testing.assert_close(block(x), F.avg_pool2d(h, 2) + block.shortcut(F.avg_pool2d(x, 2)))


def test_batch_statistics_would_make_samples_depend_on_the_batch():
    generator = build_generator(TINY, seed=0).train()
    z = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert (generator(z)[:8] - generator(z[:8])).abs().max() > 1 / 127.5


def test_standing_statistics_are_those_of_the_layers_inputs():
    generator = build_generator(TINY, seed=0)
    set_standing_statistics(generator, seed=5, n=2048)
    with torch.no_grad():
        z = torch.randn(2048, 4, generator=random_numbers("standing statistics", 5))
        first = generator.from_z(z).view(2048, 16, 4, 4)
    norm = generator.blocks[0].norm1
    torch.testing.assert_close(norm.running_mean, first.mean((0, 2, 3)), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(norm.running_var, first.var((0, 2, 3)), rtol=0.01, atol=0)


def test_standing_statistics_keep_the_mode_and_the_momentum():
    fresh, used = build_generator(TINY, seed=0), build_generator(TINY, seed=0).train()
    for generator in (fresh.eval(), used):
        set_standing_statistics(generator, n=16)
    assert used.training
    assert not fresh.training
    assert used.norm.momentum == nn.BatchNorm2d(1).momentum


def test_sampling_keeps_the_mode_and_the_weights():
    generator = build_generator(TINY, seed=0).train()
    before = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
    sample(generator, 4, seed=0)
    assert generator.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in generator.state_dict().items())


def test_stages_are_counted_from_the_image_side_and_leave_the_last_layer():
    discriminator = build_discriminator(TINY, seed=0)
    first, *rest = stages(discriminator)
    assert first == [discriminator.from_rgb, discriminator.blocks[0]]
    assert rest == [[discriminator.blocks[1]], [discriminator.blocks[2]]]


def test_channels_last_gives_the_same_and_stays_so():
    discriminator, images = build_discriminator(TINY, seed=0), torch.randn(4, 3, 32, 32)
    expected = discriminator(images)
    seen = []
    discriminator.to(memory_format=torch.channels_last)
    discriminator.blocks[-1].register_forward_hook(lambda module, args, out: seen.append(out))
    torch.testing.assert_close(discriminator(images.contiguous(memory_format=torch.channels_last)), expected)
    assert seen[0].is_contiguous(memory_format=torch.channels_last)
