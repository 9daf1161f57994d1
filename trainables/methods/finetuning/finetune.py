"""Fine-tuning: graft the source's networks, then train the whole GAN on the target (Wang et al., ECCV 2018)."""

import copy
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn

from spaces.config import SCRATCH, TrialConfig
from trainables.images.pixels import to_float
from trainables.machine.randomness import random_numbers
from trainables.networks.resnet import Generator, build_discriminator, build_generator, sample, set_standing_statistics
from trainables.sources.graft import GraftReport, graft_networks
from trainables.sources.shelf import SourceModel
from trainables.training.losses import LOSSES
from trainables.training.parallel import Group

_EMA_RAMP = 0.05
"""The moving average's half-life is at most this share of the images seen, so that short runs are not all past."""


class Finetune:
    """A GAN in training, with Adam for both networks and a moving average of the generator.

    All random numbers of iteration i are drawn from (config.seed, i), for the whole batch, and shared out over the
    workers, so a resumed run needs no generator state.
    """

    def __init__(self, config: TrialConfig, source: SourceModel | None, device: torch.device, group: Group) -> None:
        self.config, self.device, self.group = config, device, group
        self.iterations = 0
        self.generator = build_generator(config.network, seed=config.seed)
        self.discriminator = build_discriminator(config.network, seed=config.seed)
        self.grafted = GraftReport() if source is None else self._graft(source)
        self.origin = "random weights" if source is None else self.grafted.summary()
        layout = {"device": device, "memory_format": torch.channels_last}
        self.generator.to(**layout)  # type: ignore[call-overload]
        self.discriminator.to(**layout)  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.generator).requires_grad_(False)
        group.agree_on_statistics(self.generator)  # not the average's: the first worker samples from it alone
        optim = config.optim
        betas = (optim.beta1, optim.beta2)
        self.adam_g = torch.optim.Adam(self.generator.parameters(), lr=optim.lr_g, betas=betas, fused=True)
        trained = [p for p in self.discriminator.parameters() if p.requires_grad]
        self.adam_d = torch.optim.Adam(trained, lr=optim.lr_d, betas=betas, fused=True)

    def _graft(self, source: SourceModel) -> GraftReport:
        names = {"source_name": source.facts.name, "target_name": self.config.target}
        return graft_networks(self.generator, self.discriminator, source.weights(), self.config.transfer, **names)

    @property
    def images_per_iteration(self) -> int:
        """Real images shown to the critic in one iteration."""
        return self.config.optim.batch * self.config.loss.n_critic

    @property
    def images_seen(self) -> int:
        """Real images shown to the critic since the start."""
        return self.iterations * self.images_per_iteration

    def step(self, images: Tensor) -> dict[str, Tensor]:
        """One iteration: n_critic critic steps, then one generator step.

        `images` is uint8 (n_critic * batch, 3, R, R), on any device, the same on every worker. Returns the mean critic
        loss (penalty included) and the generator's loss, scalars on the learner's device.
        """
        draw = _Draw(self.config, self.iterations)
        reals = draw.real(images.to(self.device, non_blocking=True), self.config.augment.flip)
        losses = [self._critic_step(real, draw.z(), draw.mix()) for real in reals]
        loss_g = self._generator_step(draw.z())
        self.iterations += 1
        self._update_average()
        means = torch.stack([torch.stack(losses).mean(), loss_g])
        self.group.average_([means])
        return {"loss_d": means[0], "loss_g": means[1]}

    def _critic_step(self, real: Tensor, z: Tensor, mix: Tensor) -> Tensor:
        loss = LOSSES[self.config.loss.name]
        real, z, mix = (self._place(part) for part in (real, z, mix))
        with self._precision():
            with torch.no_grad():
                fake = self.generator(z).float()
            real_logits, fake_logits = self.discriminator(torch.cat([real, fake])).float().chunk(2)
            total = loss.discriminator(real_logits, fake_logits)
            if self.config.loss.penalty:
                total = total + self.config.loss.penalty * loss.penalty(self.discriminator, real, fake, mix)
        self.adam_d.zero_grad()
        total.backward(inputs=self.adam_d.param_groups[0]["params"])  # not the images', which the penalty asked for
        self._descend(self.adam_d)
        return total.detach()

    def _generator_step(self, z: Tensor) -> Tensor:
        trained = [p for p in self.discriminator.parameters() if p.requires_grad]
        with self._precision(), _held_fixed(trained):
            loss = LOSSES[self.config.loss.name].generator(self.discriminator(self.generator(self._place(z))).float())
            self.adam_g.zero_grad()
            loss.backward()
        self._descend(self.adam_g)
        return loss.detach()

    def _place(self, batch: Tensor) -> Tensor:
        return self.group.share(batch).to(self.device, non_blocking=True)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.optim.precision == "bfloat16")

    def _descend(self, adam: torch.optim.Adam) -> None:
        self.group.average_([p.grad for group in adam.param_groups for p in group["params"] if p.grad is not None])
        adam.step()

    @torch.no_grad()
    def _update_average(self) -> None:
        halflife = min(self.config.optim.ema_halflife_images, _EMA_RAMP * self.images_seen)
        keep = 0.5 ** (self.images_per_iteration / halflife)
        averages: list[Tensor] = list(self.average.parameters())
        torch._foreach_lerp_(averages, list(self.generator.parameters()), 1 - keep)

    def sampler(self) -> Generator:
        """The averaged generator with its standing statistics set: what is scored, sampled and exported."""
        set_standing_statistics(self.average)
        return self.average

    def sample(self, n: int, seed: int) -> Tensor:
        """uint8 (n, 3, R, R) on the CPU from the averaged generator; the same z for the same seed in every trial."""
        return sample(self.sampler(), n, seed)

    def state_dict(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs, by name."""
        modules = {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}
        state = {f"{part}.{name}": t for part, module in modules.items() for name, t in module.state_dict().items()}
        for part, adam in (("adam_g", self.adam_g), ("adam_d", self.adam_d)):
            for index, moments in adam.state_dict()["state"].items():
                state |= {f"{part}.{index}.{name}": tensor for name, tensor in moments.items()}
        return state | {"iterations": torch.tensor(self.iterations)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`, for a learner of the same config."""
        for part in ("generator", "discriminator", "average"):
            module: nn.Module = getattr(self, part)
            module.load_state_dict(dict(_below(state, part)))
        for part in ("adam_g", "adam_d"):
            adam: torch.optim.Adam = getattr(self, part)
            weights = adam.param_groups[0]["params"]
            moments: dict[int, dict[str, Tensor]] = {}
            for name, tensor in _below(state, part):
                index, _, key = name.partition(".")
                if tensor.ndim:  # fused Adam takes a weight and its moments to lie in memory alike
                    tensor = torch.empty_like(weights[int(index)]).copy_(tensor)
                moments.setdefault(int(index), {})[key] = tensor
            adam.load_state_dict({"state": moments, "param_groups": adam.state_dict()["param_groups"]})
        self.iterations = int(state["iterations"])


class _Draw:
    """The random numbers of one iteration, on the CPU, so that every device and worker sees the same."""

    def __init__(self, config: TrialConfig, iteration: int) -> None:
        self._batch, self._z_dim = config.optim.batch, config.network.z_dim
        self._random = random_numbers("training", config.seed, iteration)

    def real(self, images: Tensor, flip: bool) -> Sequence[Tensor]:
        """float32 in [-1, 1], one (batch, 3, R, R) a critic step, mirrored at random if asked."""
        real = to_float(images)
        if flip:
            mirrored = (torch.rand(len(real), generator=self._random) < 0.5).to(real.device)
            real[mirrored] = real[mirrored].flip(-1)
        return torch.split(real, self._batch)

    def z(self) -> Tensor:
        return torch.randn(self._batch, self._z_dim, generator=self._random)

    def mix(self) -> Tensor:
        return torch.rand(self._batch, 1, 1, 1, generator=self._random)


class _held_fixed:  # noqa: N801
    """No gradients of these parameters inside the block: the generator step has no use for the critic's."""

    def __init__(self, parameters: list[nn.Parameter]) -> None:
        self._parameters = parameters

    def __enter__(self) -> None:
        for parameter in self._parameters:
            parameter.requires_grad_(False)

    def __exit__(self, *_: object) -> None:
        for parameter in self._parameters:
            parameter.requires_grad_(True)


def _below(state: Mapping[str, Tensor], part: str) -> Iterator[tuple[str, Tensor]]:
    return ((name.removeprefix(f"{part}."), t) for name, t in state.items() if name.startswith(f"{part}."))


def build(config: TrialConfig, source: SourceModel | None, device: torch.device, group: Group) -> Finetune:
    """The learner of method "finetune"; `source` is None exactly if config.source is "scratch"."""
    assert (source is None) == (config.source == SCRATCH), f"{config.source=}, {source=}"
    return Finetune(config, source, device, group)
