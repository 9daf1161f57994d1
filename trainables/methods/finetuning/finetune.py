"""Fine-tuning: graft the source's networks, then train the whole GAN on the target (Wang et al., ECCV 2018)."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn

from spaces.errors import UserError
from spaces.methods.finetune import FinetuneConfig
from trainables.images.batches import Batch
from trainables.images.pixels import to_float
from trainables.images.samples import Samples
from trainables.methods.finetuning.classes import Classes, judged, judged_fakes
from trainables.networks.conditional import labels_by
from trainables.networks.families import DISCRIMINATOR, GENERATOR, IN_TRAINING, build_network, family_of
from trainables.networks.models import Model
from trainables.networks.sampling import DRAFT, STANDING, draw, set_standing_statistics
from trainables.sources.classes import fit_classes
from trainables.sources.graft import TRANSFERRED, GraftReport, TransferError, graft, graft_networks
from trainables.sources.shelf import SourceModel
from trainables.training.anchors import Anchor, fisher
from trainables.training.augmentation.ada import Strength
from trainables.training.augmentation.sight import sight_of
from trainables.training.average import averaging, follow
from trainables.training.draws import Draws
from trainables.training.fixed import held_fixed, trained
from trainables.training.lecam import LeCam
from trainables.training.losses import LOSSES, Critic
from trainables.training.parallel import Group
from trainables.training.state import load_state, state_of


class Finetune:
    """A GAN in training, with Adam for both networks and a moving average of the generator."""

    def __init__(
        self,
        config: FinetuneConfig,
        source: SourceModel | None,
        device: torch.device,
        group: Group,
        classes: Classes | None = None,
    ) -> None:
        self.classes = classes
        self.config, self.device, self.group = config, device, group.of_batch(config.optim.batch)
        self.iterations = 0
        self.loss = LOSSES[config.loss.name]
        check_penalty(config)
        self.generator = build_network(GENERATOR, config.network, config.seed)
        self.discriminator = build_network(DISCRIMINATOR, config.network, config.seed)
        self.grafted = GraftReport()
        self._averaged: nn.Module | None = None
        """The source's moving average of the generator, where it brings one beside what its training left."""
        self.origin = "random weights" if source is None else self._graft(source)
        self.average = averaging(self.generator if self._averaged is None else self._averaged)
        if classes is not None:
            for network in (self.generator, self.average):
                network.get_buffer("prior").copy_(classes.prior)
        layout = {"device": device, "memory_format": torch.channels_last}
        for network in (self.generator, self.average, self.discriminator):
            network.to(**layout)  # type: ignore[call-overload]
        self._standing = (-1, 0)
        """After how many iterations the average's standing statistics were taken, and over how many z."""
        for network in (self.generator, self.discriminator):  # not the average: the first worker samples from it alone
            self.group.agree_on_statistics(network)
        self.adam_g = self._adam(trained(self.generator), config.optim.lr_g, self._lazy_g)
        self.adam_d = self._adam(trained(self.discriminator), config.optim.lr_d, self._lazy_d)
        self._add_knobs()

    def _adam(self, parameters: Iterable[nn.Parameter], rate: float, lazy: int = 1) -> torch.optim.Adam:
        """Adam that takes `lazy` + 1 steps in as many iterations as it would `lazy` without a lazy regulariser."""
        share = lazy / (lazy + 1) if lazy > 1 else 1.0
        betas = (self.config.optim.beta1**share, self.config.optim.beta2**share)
        return torch.optim.Adam(parameters, lr=rate * share, betas=betas, fused=True)

    @property
    def _lazy_g(self) -> int:
        """Iterations between two steps of the generator's lazy regulariser; 1 for none."""
        return 1

    @property
    def _lazy_d(self) -> int:
        """The same of the critic's."""
        return self.config.loss.penalty_every if self.config.loss.penalty else 1

    def _add_knobs(self) -> None:
        """What helps where the target has few images; each is None, or does nothing, where the config has it at 0."""
        config, group = self.config, self.group
        augment, loss, rows = config.augment, config.loss, config.optim.batch
        images = augment.ada_images or max(1, config.budget.images // 2)
        self.ada = Strength(augment.ada_target, images, rows, group) if augment.ada_target else None
        self.lecam = (
            LeCam(loss.lecam, loss.lecam_decay, loss.lecam_start_images, group).to(self.device) if loss.lecam else None
        )
        self.sight = sight_of(augment, self.ada, rows, config.seed, group)
        self._anchors = {self.adam_g: self._anchors_of(GENERATOR), self.adam_d: self._anchors_of(DISCRIMINATOR)}

    def _anchors_of(self, part: str) -> list[Anchor]:
        """What pulls the weights that this network has from the source back to them."""
        transfer, network = self.config.transfer, self._networks[part]
        named = [(f"{part}.{name}", weight) for name, weight in network.named_parameters() if weight.requires_grad]
        idle = () if self.config.classifier.critic else (f"{DISCRIMINATOR}.to_class.",)  # no loss moves it then
        weights = [weight for name, weight in named if name in self.grafted.copied and not name.startswith(idle)]
        anchors = [Anchor(weights, transfer.l2_sp)] if transfer.l2_sp and weights else []
        if transfer.ewc and part == GENERATOR and weights:
            importance = fisher(self.generator, self.discriminator, weights, self.config.seed)
            anchors.append(Anchor(weights, transfer.ewc, importance))
        return anchors

    def _graft(self, source: SourceModel) -> str:
        """Graft, and say in a line what was."""
        own, transfer = self.config.network, self.config.transfer
        for part in TRANSFERRED[transfer.parts]:
            theirs = source.facts.networks.get(part, own)
            if theirs.family != own.family:
                raise TransferError(
                    f"source {source.facts.name!r} is a {theirs.family}, the trial's network a {own.family}; set "
                    f"network/family={theirs.family!r} or take another source"
                )
        networks = {GENERATOR: self.generator, DISCRIMINATOR: self.discriminator}
        model, names_here = source.model(), self.classes.names if self.classes else ()
        weights, theirs = dict(model.weights), source.facts.network
        in_training = weights.pop(IN_TRAINING, None)
        fresh = self.discriminator.state_dict()
        fitted = fit_classes(weights, theirs, model.classes, own, names_here, fresh)
        named = {"source_name": source.facts.name, "target_name": self.config.target}
        self.grafted = graft_networks(networks, family_of(own), fitted.weights, transfer, **named, new=fitted.new)
        if in_training is not None and GENERATOR in TRANSFERRED[transfer.parts]:
            self._averaged = averaging(self.generator)
            left = fit_classes({GENERATOR: in_training}, theirs, model.classes, own, names_here, fresh).weights[
                GENERATOR
            ]
            graft(self.generator, left, where=f"source {source.facts.name!r}", on_mismatch=transfer.on_mismatch)
        return "; ".join(filter(None, [self.grafted.summary(), fitted.note]))

    @property
    def images_per_iteration(self) -> int:
        """Real images shown to the critic in one iteration."""
        return self.config.optim.batch * self.config.loss.n_critic

    def step(self, batch: Batch) -> dict[str, Tensor]:
        """One iteration: n_critic critic steps, then one generator step.

        `batch` has n_critic * batch images, on any device, the same on every worker. Returns the mean critic loss (penalty
        included) and the generator's loss, scalars on the learner's device; of a conditional GAN both include the auxiliary
        classifier's, `class_d` and `class_g`, as they are weighted.
        """
        draws, size = Draws(self.config.seed, self.iterations), self.config.optim.batch
        reals = to_float(batch.images.to(self.device, non_blocking=True))
        if self.config.augment.flip:
            reals = draws.mirrored(reals)
        self.sight.at(self.iterations)
        losses = []
        for number, real in enumerate(torch.split(reals, size)):
            z, mix = self._noise(draws, size), draws.uniform(size, 1, 1, 1)
            labels = () if self.classes is None else (_labels(batch)[number * size : (number + 1) * size],)
            losses.append(self._critic_step(real, self._asked(z, draws), mix, *labels))
        of_generator = self._generator_step(self._asked(self._noise(draws, size), draws), reals[-size:])
        self.iterations += 1
        self._follow()
        of_critic = {name: torch.stack([each[name] for each in losses]).mean() for name in losses[0]}
        found = {**of_critic, **of_generator}
        return self.group.means(found)

    def _follow(self, *, ramp: bool = True) -> None:
        """Move the average towards the generator as it is now."""
        follow(
            self.average,
            self.generator,
            images=self.images_per_iteration,
            images_seen=self.iterations * self.images_per_iteration,
            halflife=self.config.optim.ema_halflife_images,
            ramp=ramp,
        )

    def _noise(self, draws: Draws, size: int) -> Tensor:
        """z for so many images."""
        return draws.normal(size, self.config.network.z_dim)

    def _asked(self, z: Tensor, draws: Draws) -> tuple[Tensor, ...]:
        """What the generator takes: z, and of a conditional GAN labels by the data's prior."""
        return (z,) if self.classes is None else (z, labels_by(self.classes.prior, draws.uniform(len(z))))

    def _generated(self, asked: Sequence[Tensor]) -> Tensor:
        """The generator's images of what it is asked."""
        images: Tensor = self.generator(*asked)
        return images

    def _critic(self, labels: Tensor | None) -> Critic:
        """The critic of images of these classes."""
        return self.discriminator

    def _critic_step(
        self, real: Tensor, asked: tuple[Tensor, ...], mix: Tensor, labels: Tensor | None = None
    ) -> dict[str, Tensor]:
        real, mix, *asked_here = (self._place(part) for part in (real, mix, *asked))
        labels = None if labels is None else self._place(labels)
        loss = self.config.loss
        with self._precision():
            with torch.no_grad():
                fake = self._generated(asked_here).float()
            of_real, of_fake, entropy = self._judged(self.sight(real), self.sight(fake), labels, asked_here)
            total = self.loss.discriminator(of_real, of_fake)
            if entropy is not None:
                total = total + entropy
            if loss.penalty and loss.penalty_every == 1:
                total = total + self._penalty(real, fake, mix, labels)
            if self.lecam is not None:
                total = total + self.lecam(of_real, of_fake, self.iterations * self.images_per_iteration)
            if self.ada is not None:
                self.ada.learn(of_real)
        self.adam_d.zero_grad()
        total.backward(inputs=self.adam_d.param_groups[0]["params"])  # not the images', which the penalty asked for
        self._descend(self.adam_d)
        if loss.penalty and loss.penalty_every > 1 and self.iterations % loss.penalty_every == 0:
            self._penalty_step(real, fake, mix, labels)
        return {"loss_d": total.detach()} | ({} if entropy is None else {"class_d": entropy.detach()})

    def _penalty(self, real: Tensor, fake: Tensor, mix: Tensor, labels: Tensor | None) -> Tensor:
        critic = self.sight.critic(self._critic(labels))
        return self.config.loss.penalty * self.loss.penalty(critic, real, fake, mix)

    def _penalty_step(self, real: Tensor, fake: Tensor, mix: Tensor, labels: Tensor | None) -> None:
        """A step on the penalty alone, which weighs as much as it would at every iteration until the next one."""
        with self._precision():
            total = self.config.loss.penalty_every * self._penalty(real, fake, mix, labels)
        self.adam_d.zero_grad()
        total.backward(inputs=self.adam_d.param_groups[0]["params"])
        self._descend(self.adam_d, lazily=True)

    def _judged(
        self, real: Tensor, fake: Tensor, labels: Tensor | None, asked: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Logits of real and generated images, float32 (n,) each, and what the critic's classifier adds to its loss."""
        weight = self.config.classifier.critic
        if labels is None or not weight:
            return *self._logits(real, fake), None
        of_real, of_fake, entropy = judged(self.discriminator, real, fake, labels)
        return of_real, of_fake, weight * entropy

    def _logits(self, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of real and generated images, float32 (n,) each; in one pass where no image sees the others."""
        if family_of(self.config.network).critic_sees_batch:
            return self.discriminator(real).float(), self.discriminator(fake).float()
        of_real, of_fake = self.discriminator(torch.cat([real, fake])).float().chunk(2)
        return of_real, of_fake

    def _generator_step(self, asked: tuple[Tensor, ...], real: Tensor) -> dict[str, Tensor]:
        """A step on what the whole batch asks for; `real` images of the same number are for losses that judge in pairs."""
        asked_here = [self._place(part) for part in asked]
        with self._precision(), held_fixed(trained(self.discriminator)):
            fake = self._seen(self._generated(asked_here), len(asked_here[0]))
            logits, entropy = self._judged_fakes(fake, asked_here)
            if self.loss.paired:
                beside = self.discriminator(self.sight(self._place(real))).float()
                logits = logits - beside.repeat(len(logits) // len(beside))
            loss = self.loss.generator(logits)
            if entropy is not None:
                loss = loss + entropy
            self.adam_g.zero_grad()
            loss.backward()
        self._descend(self.adam_g)
        return {"loss_g": loss.detach()} | ({} if entropy is None else {"class_g": entropy.detach()})

    def _seen(self, images: Tensor, asked: int) -> Tensor:
        """Generated images as the critic sees them; of several generators each set of so many is a batch of its own."""
        sets = [self.sight(each) for each in images.split(asked)]
        return sets[0] if len(sets) == 1 else torch.cat(sets)

    def _judged_fakes(self, fake: Tensor, asked: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
        """Logits of generated images, float32 (n,), and what the critic's classifier adds to the generator's loss."""
        weight = self.config.classifier.generator
        if self.classes is None or not weight:
            return self.discriminator(fake).float(), None
        logits, entropy = judged_fakes(self.discriminator, fake, asked[1])
        return logits, weight * entropy

    def _place(self, batch: Tensor) -> Tensor:
        return self.group.share(batch).to(self.device, non_blocking=True)

    def _precision(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.config.optim.precision == "bfloat16")

    def _descend(self, adam: torch.optim.Adam, *, lazily: bool = False) -> None:
        """A step by the gradients that there are; one of a lazy regulariser is not pulled back to the source."""
        self.group.average_([p.grad for group in adam.param_groups for p in group["params"] if p.grad is not None])
        for anchor in () if lazily else self._anchors.get(adam, ()):
            anchor.pull()
        adam.step()

    def sample(self, n: int, seed: int) -> Samples:
        """`n` images of the averaged generator with its standing statistics; equal seeds take equal z in every trial, and equal
        labels in every conditional one on the same images."""
        at_rung = n <= (self.config.protocol.n_rung or 0) and n < self.config.protocol.n_fake
        return draw(self._with_statistics(DRAFT if at_rung else STANDING), n, seed)

    def model(self) -> Model:
        """The averaged generator with its standing statistics, and the critic."""
        as_scored = self._standing[0] == self.iterations
        networks = {
            GENERATOR: self._with_statistics(DRAFT if as_scored else STANDING),
            DISCRIMINATOR: self.discriminator,
        }
        weights = {name: module.state_dict() for name, module in networks.items()}
        names = self.classes.names if self.classes else ()
        return Model(dict.fromkeys(networks, self.config.network), weights, names)

    def _with_statistics(self, least: int) -> nn.Module:
        """The average with the standing statistics of its weights as they are now, over so many z or more."""
        since, z = self._standing
        if since != self.iterations or z < least:
            set_standing_statistics(self.average, n=least)
            self._standing = (self.iterations, least)
        return self.average

    @property
    def _networks(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "discriminator": self.discriminator, "average": self.average}

    @property
    def _kept(self) -> dict[str, nn.Module]:
        """The networks, and the statistics that the knobs go by."""
        statistics = {"ada": self.ada, "lecam": self.lecam}
        return self._networks | {name: each for name, each in statistics.items() if each is not None}

    @property
    def _optimisers(self) -> dict[str, torch.optim.Optimizer]:
        return {"adam_g": self.adam_g, "adam_d": self.adam_d}

    def state_dict(self) -> dict[str, Tensor]:
        """Every tensor that a resumed run needs, by name."""
        return state_of(self._kept, self._optimisers, self.iterations)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """The inverse of `state_dict`, for a learner of the same config."""
        self.iterations = load_state(state, self._kept, self._optimisers)
        self._standing = (-1, 0)


def _labels(batch: Batch) -> Tensor:
    assert batch.labels is not None, "a conditional GAN's domain has labels"
    return batch.labels


def check_penalty(config: FinetuneConfig) -> None:
    """UserError where the critic has no gradient of one image, and the config would penalise it."""
    family = family_of(config.network)
    if config.loss.penalty and family.critic_sees_batch and not family.penalised_together:
        raise UserError(
            f"loss/penalty={config.loss.penalty:g}: the critic of a {config.network.family} normalises over its batch, so no "
            "image has a gradient of its own to penalise; set loss/penalty=0, with loss/name='nonsaturating' or 'hinge'"
        )
