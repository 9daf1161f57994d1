import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spaces.networks import Resnet
from trainables.networks.families import build_discriminator
from trainables.networks.pooling import convolve_and_pool
from trainables.networks.tangents import Sweep, norm_relu
from trainables.training.losses import gradient_penalty


def draw(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.fixture
def norm():
    layer = nn.GroupNorm(1, 4).double()
    with torch.no_grad():
        layer.weight.copy_(draw(4, seed=1))
        layer.bias.copy_(draw(4, seed=2))
    return layer


def plain(norm, x):
    return F.relu(norm(x))


def test_norm_relu_is_group_norm_then_relu(norm):
    x = draw(3, 4, 5, 5)
    torch.testing.assert_close(norm_relu(norm, x), plain(norm, x))


def swept(norm, x, t, cotangent):
    """The tangent behind norm_relu, and the derivative of sum(cotangent . tangent) in x and in the norm's scale."""
    trace, sweep = [], Sweep()
    y = norm_relu(norm, x, trace)
    before, normed = torch.autograd.grad((y * cotangent).sum(), (trace[0].x, trace[0].normed), retain_graph=True)
    with torch.no_grad():
        tangent = sweep.norm_relu(t, trace[0], before, normed)
    return tangent, torch.autograd.grad(sweep.result(torch.zeros(())), (x, norm.weight))


def test_tangent_is_the_derivative_along_it(norm):
    x, t = draw(3, 4, 5, 5).requires_grad_(), draw(3, 4, 5, 5, seed=3)
    _, expected = torch.func.jvp(lambda x: plain(norm, x), (x.detach(),), (t,))
    torch.testing.assert_close(swept(norm, x, t, torch.ones_like(x))[0], expected)


def test_tangent_is_differentiable_in_the_norms_input_and_scale(norm):
    x, t, cotangent = draw(3, 4, 5, 5).requires_grad_(), draw(3, 4, 5, 5, seed=3), draw(3, 4, 5, 5, seed=4)
    _, tangent = torch.func.jvp(lambda x: plain(norm, x), (x,), (t,))
    expected = torch.autograd.grad((tangent * cotangent).sum(), (x, norm.weight))
    torch.testing.assert_close(swept(norm, x, t, cotangent)[1], expected)


@pytest.mark.parametrize(("factor", "stride", "padding"), [(1, 1, 1), (0.25, 2, 0)])
def test_a_convolutions_share_is_its_derivative_in_the_weight(factor, stride, padding):
    weight, t = draw(5, 4, 3, 3).requires_grad_(), draw(2, 4, 7, 7, seed=1)
    expected = F.conv2d(t, factor * weight, stride=stride, padding=padding)
    cotangent, sweep = draw(*expected.shape, seed=2), Sweep()
    with torch.no_grad():
        tangent = sweep.convolve(t, weight, cotangent, factor=factor, stride=stride, padding=padding)
    torch.testing.assert_close(tangent, expected.detach())
    (ours,) = torch.autograd.grad(sweep.result(torch.zeros(())), weight)
    torch.testing.assert_close(ours, torch.autograd.grad((expected * cotangent).sum(), weight)[0])


def test_what_needs_no_gradient_gets_none():
    weight, sweep = draw(5, 4, 3, 3), Sweep()
    sweep.convolve(draw(2, 4, 7, 7), weight, draw(2, 5, 5, 5))
    assert not sweep.result(torch.zeros(())).requires_grad


def test_convolve_and_pool_is_convolution_then_mean_pooling():
    x, weight, bias = draw(2, 3, 6, 6).requires_grad_(), draw(5, 3, 3, 3, seed=1).requires_grad_(), draw(5, seed=2)
    expected = F.avg_pool2d(F.conv2d(x, weight, bias, padding=1), 2)
    ours = convolve_and_pool(x, weight, bias)
    torch.testing.assert_close(ours, expected)
    assert torch.autograd.gradcheck(convolve_and_pool, (x, weight, bias))
    sums = [torch.autograd.grad(y.square().sum(), (x, weight)) for y in (ours, expected)]
    torch.testing.assert_close(*sums)


def test_penalty_has_the_derivatives_of_backpropagation_through_a_backward_pass():
    critic = build_discriminator(Resnet(resolution=32, width=2), seed=0).double()
    with torch.no_grad():
        for index, p in enumerate(critic.parameters()):
            p += 0.3 * draw(*p.shape, seed=index)
    real, fake, mix = draw(3, 3, 32, 32), draw(3, 3, 32, 32, seed=1), draw(3, 1, 1, 1, seed=2).sigmoid()
    weights = [p for name, p in critic.named_parameters() if name != "to_logit.bias"]
    ours = torch.autograd.grad(gradient_penalty(critic, real, fake, mix), weights, allow_unused=True)

    between = torch.lerp(real, fake, mix).requires_grad_()
    (gradients,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    penalty = (gradients.flatten(1).norm(dim=1) - 1).square().mean()
    twice = torch.autograd.grad(penalty, weights, allow_unused=True)
    for one, other in zip(ours, twice, strict=True):  # None or 0: the penalty does not depend on it
        torch.testing.assert_close(*(torch.zeros(1).double() if g is None or not g.any() else g for g in (one, other)))
