"""AdAM: filters that matter for the target are kept and modulated, the rest is fine-tuned (Zhao et al., NeurIPS 2022).

It differs from fine-tuning by which weights train. First a probe: every filter W_o of both networks becomes
W_o (1 + v_o u), a modulation of rank one, and only v and u train, with the critic's last layer. Then, with nothing in
training, a filter's importance is measured: the mean squared gradient of one image's loss in its weights (Fisher
information). Then the networks are the source's again: important filters are modulated, all else is fine-tuned.

The networks hold W (1 + v u) itself, so they compute, are averaged and penalised as ever; the chain rule by v and u is
applied to their gradients. In the authors' code v_o belongs to no filter o of a convolution, by a transposed reshape.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from spaces.methods.kernel_modulation import KernelModulationConfig
from trainables.images.batches import Batch
from trainables.images.pixels import to_float
from trainables.machine.randomness import random_numbers
from trainables.methods.finetuning.families import real_batches
from trainables.methods.finetuning.finetune import Finetune
from trainables.methods.method import Given, Method, Needs
from trainables.networks.families import DISCRIMINATOR, GENERATOR, family_of
from trainables.networks.sampling import ZSampler
from trainables.training.draws import Draws
from trainables.training.fixed import trained
from trainables.training.parallel import Group

_FILTERS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)


class ModulatedFilters(nn.Module):
    """The filters of one layer: those that are held are W (1 + v u), with W the source's; the others are the layer's own."""

    v: nn.Parameter
    u: nn.Parameter
    held: Tensor
    fisher: Tensor

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self._layer = [layer]  # not to be a part of it
        self._dim = 1 if isinstance(layer, nn.ConvTranspose2d) else 0  # which one counts the filters
        self._source = self._rows(self.weight.detach()).clone()
        filters, taps = self._source.shape
        self.v, self.u = nn.Parameter(torch.zeros(filters)), nn.Parameter(torch.zeros(taps))
        self.register_buffer("held", torch.ones(filters, dtype=torch.bool))
        self.register_buffer("fisher", torch.zeros(filters))

    @property
    def weight(self) -> nn.Parameter:
        """The layer's."""
        return self._layer[0].get_parameter("weight")

    def _rows(self, weight: Tensor) -> Tensor:
        """A row a filter, (filters, taps)."""
        return weight.movedim(self._dim, 0).flatten(1)

    @torch.no_grad()
    def begin(self, held: Tensor, start: float, random: torch.Generator) -> None:
        """Hold these filters, (filters,), at the source's weights, with a modulation of next to nothing."""
        self.held.copy_(held)
        for vector in (self.v, self.u):
            vector.copy_(torch.randn(vector.shape, generator=random) * start)
        self.write()

    @torch.no_grad()
    def pass_gradient(self) -> None:
        """Take the gradient of held filters over to v and u, whose it is by the chain rule."""
        assert self.weight.grad is not None, "a layer without a gradient"
        gradient = self._rows(self.weight.grad)
        by_modulation = gradient * self._source * self.held[:, None]  # d / d (v_o u_j)
        self.v.grad, self.u.grad = by_modulation @ self.u, self.v @ by_modulation
        self.weight.grad = self._like_weight(gradient * ~self.held[:, None])

    @torch.no_grad()
    def write(self) -> None:
        """Let the layer have what v and u say of the filters that are held."""
        modulated = self._source * (1 + torch.outer(self.v, self.u))
        rows = torch.where(self.held[:, None], modulated, self._rows(self.weight))
        self.weight.copy_(self._like_weight(rows))

    @torch.no_grad()
    def measure(self, gradient: Tensor, share: float) -> None:
        """Add one image's squared gradient, of the weight's shape, to the mean over images and taps; it is `share` of it."""
        self.fisher += share * self._rows(gradient).square().mean(1)

    def _like_weight(self, rows: Tensor) -> Tensor:
        shape = self.weight.movedim(self._dim, 0).shape
        return rows.view(shape).movedim(0, self._dim).contiguous(memory_format=_memory_format(self.weight))


def _memory_format(weight: Tensor) -> torch.memory_format:
    return torch.channels_last if weight.ndim == 4 else torch.contiguous_format


class KernelModulation(Finetune):
    """Fine-tuning that holds the filters that matter for the target, and modulates them."""

    def __init__(self, config: KernelModulationConfig, given: Given, device: torch.device, group: Group) -> None:
        super().__init__(config.finetuning, given.source, device, group)
        self.modulation = config.modulation
        self._source = {GENERATOR: _copied(self.generator), DISCRIMINATOR: _copied(self.discriminator)}
        stages = family_of(config.network).stages(self.discriminator)
        before_last = nn.ModuleList(part for stage in stages for part in stage)
        self.filters = {
            GENERATOR: _filters_of(self.generator, device),
            DISCRIMINATOR: _filters_of(before_last, device),
        }
        self._last = {id(p) for p in self.discriminator.parameters()} - {id(p) for p in before_last.parameters()}
        """The parameters of the critic's last layer, which train in the probe too."""
        self._begin("probe", [torch.ones_like(filters.held) for filters in self._all_filters])

    @property
    def _all_filters(self) -> list[ModulatedFilters]:
        return [*_listed(self.filters[GENERATOR]), *_listed(self.filters[DISCRIMINATOR])]

    def _begin(self, stage: str, held: Sequence[Tensor]) -> None:
        """Hold these filters of the source's weights, and modulate them anew; Adam starts at zero."""
        random = random_numbers(f"modulation in the {stage}", self.config.seed)
        for filters, each in zip(self._all_filters, held, strict=True):
            filters.begin(each, self.modulation.start, random)
        generator = [*self.generator.parameters(), *self.filters[GENERATOR].parameters()]
        critic = [*trained(self.discriminator), *self.filters[DISCRIMINATOR].parameters()]
        self.adam_g = self._adam(generator, self.config.optim.lr_g, self._lazy_g)
        self.adam_d = self._adam(critic, self.config.optim.lr_d, self._lazy_d)

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One iteration, as of fine-tuning; of the measure of importance, one that trains nothing."""
        if not self.modulation.probe_steps <= self.iterations < self.modulation.steps_before:
            return super().step(batch)
        losses = self._measure(batch)
        self.iterations += 1
        if self.iterations == self.modulation.steps_before:
            self._adapt()
        return losses

    def _descend(self, adam: torch.optim.Adam, *, lazily: bool = False) -> None:
        modulated = self.filters[GENERATOR if adam is self.adam_g else DISCRIMINATOR]
        for filters in _listed(modulated):
            filters.pass_gradient()
        if self.iterations < self.modulation.probe_steps:
            training = self._last | {id(vector) for vector in modulated.parameters()}
            for parameter in adam.param_groups[0]["params"]:
                if id(parameter) not in training:
                    parameter.grad = None
        super()._descend(adam, lazily=lazily)
        for filters in _listed(modulated):
            filters.write()

    def _measure(self, batch: Batch) -> dict[str, Tensor]:
        """Add to the importance of every filter, by a few images that all workers take, and that are shown as they are."""
        draws, images = Draws(self.config.seed, self.iterations), self.modulation.fisher_images
        real = to_float(batch.images[:images].to(self.device))
        if self.config.augment.flip:
            real = draws.mirrored(real)
        fake = self.generator(draws.normal(images, self.config.network.z_dim).to(self.device))
        of_real, of_fake = self.discriminator(real), self.discriminator(fake.detach())
        judged = self.discriminator(fake) - of_real.detach() if self.loss.paired else self.discriminator(fake)
        losses_g = [self.loss.generator(logit) for logit in judged.split(1)]
        losses_d = [self.loss.discriminator(*pair) for pair in zip(of_real.split(1), of_fake.split(1), strict=True)]
        for network, losses in ((GENERATOR, losses_g), (DISCRIMINATOR, losses_d)):
            self._add_squares(_listed(self.filters[network]), losses)
        return self.group.means({"loss_d": torch.stack(losses_d).mean(), "loss_g": torch.stack(losses_g).mean()})

    def _add_squares(self, modulated: Sequence[ModulatedFilters], losses: Sequence[Tensor]) -> None:
        weights, share = [each.weight for each in modulated], 1 / (len(losses) * self.modulation.fisher_steps)
        for loss in losses:
            gradients = torch.autograd.grad(loss, weights, retain_graph=True)
            for filters, gradient in zip(modulated, gradients, strict=True):
                filters.measure(gradient, share)

    def _adapt(self) -> None:
        """Choose the filters to hold, and go back to the source's networks with them."""
        for name, weights in self._source.items():
            self._networks[name].load_state_dict(weights)
        self.average.load_state_dict(self._source[GENERATOR])
        self._standing = (-1, 0)
        self._begin("adaptation", self._chosen())

    def _chosen(self) -> list[Tensor]:
        """Of each layer, which filters are held: one cut for the generator's convolutions, one for its linear layers, one for the
        critic's."""
        random = random_numbers("random filters", self.config.seed)
        found: dict[int, Tensor] = {}
        for group in _groups(self.filters):
            scores = torch.cat([filters.fisher for filters in group])
            if self.modulation.filters == "random":
                scores = torch.rand(len(scores), generator=random).to(scores.device)
            held = torch.zeros_like(scores, dtype=torch.bool)
            held[scores.topk(round(len(scores) * (1 - self.modulation.percentile / 100))).indices] = True
            parts = held.split([len(filters.fisher) for filters in group])
            found |= {id(filters): part for filters, part in zip(group, parts, strict=True)}
        return [found[id(filters)] for filters in self._all_filters]

    @property
    def _kept(self) -> dict[str, nn.Module]:
        return {**super()._kept, "modulation": nn.ModuleDict(self.filters)}


def _filters_of(network: nn.Module, device: torch.device) -> nn.ModuleList:
    layers = [layer for layer in network.modules() if isinstance(layer, _FILTERS)]
    return nn.ModuleList(ModulatedFilters(layer) for layer in layers).to(device)


def _listed(filters: nn.ModuleList) -> list[ModulatedFilters]:
    return [each for each in filters if isinstance(each, ModulatedFilters)]


def _groups(filters: Mapping[str, nn.ModuleList]) -> list[list[ModulatedFilters]]:
    """The layers that share a cut: the generator's convolutions, its linear layers, the critic's layers."""
    of_generator = _listed(filters[GENERATOR])
    linear = [each for each in of_generator if each.weight.ndim == 2]
    convolutions = [each for each in of_generator if each.weight.ndim == 4]
    return [group for group in (convolutions, linear, _listed(filters[DISCRIMINATOR])) if group]


def _copied(network: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def build(config: KernelModulationConfig, given: Given, device: torch.device, group: Group) -> KernelModulation:
    """The source's networks, before the probe."""
    return KernelModulation(config, given, device, group)


KERNEL_MODULATION = Method(
    config=KernelModulationConfig,
    needs=Needs(source=True, networks=(GENERATOR, DISCRIMINATOR), families=("resnet", "dcgan")),
    batches=real_batches,
    build=build,
    sampler=ZSampler,
)
