"""Weight surgery: a source model's weights into a trial's networks, by name and shape, and what is held fixed.

Optimiser state is not transferred, as in the reference code of Wang et al., "Transferring GANs", ECCV 2018: Adam starts
from zero moments.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from spaces.counts import plural
from spaces.errors import UserError
from spaces.methods.finetune import Transfer
from trainables.networks.conditional import ConditionalNorm
from trainables.networks.families import DISCRIMINATOR, GENERATOR
from trainables.networks.family import Family

Fields = Callable[[Mapping[str, Tensor]], Mapping[str, int | str]]

TRANSFERRED: Mapping[str, tuple[str, ...]] = {
    "none": (),
    "generator": (GENERATOR,),
    "discriminator": (DISCRIMINATOR,),
    "both": (GENERATOR, DISCRIMINATOR),
}
"""The networks that each value of transfer/parts stands for."""


class TransferError(UserError):
    """The source does not fit the target, or the settings of the transfer contradict each other."""


@dataclass(frozen=True)
class GraftReport:
    """What a graft did, as names of tensors: "generator.blocks.0.conv1.weight"."""

    copied: tuple[str, ...] = ()
    reinitialised: tuple[str, ...] = ()
    """Tensors of the transferred networks that kept their own fresh values, for want of a fitting source tensor."""
    unused: tuple[str, ...] = ()
    """Tensors of the source that have no place, or no fitting one, in the target."""
    frozen: tuple[str, ...] = ()

    def summary(self) -> str:
        """One line: "grafted 40 generator and 26 discriminator tensors, re-initialised 2, left 2 unused, froze 14"."""
        counts = {part: sum(name.startswith(part) for name in self.copied) for part in TRANSFERRED["both"]}
        grafted = " and ".join(f"{count} {part}" for part, count in counts.items() if count) or "no"
        return (
            f"grafted {grafted} tensors, re-initialised {len(self.reinitialised)}, left {len(self.unused)} unused, "
            f"froze {len(self.frozen)}"
        )


def graft(
    target: nn.Module,
    source: Mapping[str, Tensor],
    *,
    where: str,
    on_mismatch: Literal["error", "reinit"],
    fields: Fields | None = None,
    new: Collection[str] = (),
) -> GraftReport:
    """Copy the parameters and buffers in `source` into `target` in place, by name and shape.

    `fields` reads a network's config off its tensors, for the way out of a refusal. With "reinit", a tensor of the target
    that finds none of its name and shape keeps its own, fresh values; those of names in `new` do in any case.

    Raises TransferError, which starts with `where`, before anything is copied: with "error" if a tensor differs in
    shape, is missing or is left over; always if no matrix or convolution fits, for biases and counters are no transfer.
    """
    own = {name: tensor for name, tensor in target.state_dict().items() if not name.endswith(".prior")}  # the data's
    copied = [name for name, tensor in own.items() if name in source and source[name].shape == tensor.shape]
    misfits = _misfits({name: tensor for name, tensor in own.items() if name not in new}, source)
    fits = any(own[name].dim() > 1 for name in copied)
    if misfits and (on_mismatch == "error" or not fits):
        more = f" and {len(misfits) - 1} more" if len(misfits) > 1 else ""
        raise TransferError(f"{where}: {misfits[0]}{more}; {_way_out(own, source, fields, reinit=fits)}")
    with torch.no_grad():
        for name in copied:
            own[name].copy_(source[name])
    return GraftReport(
        copied=tuple(copied),
        reinitialised=tuple(name for name in own if name not in copied),
        unused=tuple(name for name in source if name not in copied),
    )


def graft_networks(
    networks: Mapping[str, nn.Module],
    family: Family,
    source: Mapping[str, Mapping[str, Tensor]],
    transfer: Transfer,
    *,
    source_name: str,
    target_name: str,
    new: Collection[str] = (),
) -> GraftReport:
    """Copy what `transfer.parts` names out of `source` into `networks` ("generator" and "discriminator"), then freeze.

    The first `transfer.freeze_d` stages of the critic, from the image side, or as many layers as `transfer.freeze_layers`
    says, no longer require gradients (FreezeD, arXiv:2002.10964); with `transfer.train` "norms" all of the generator but
    its norms' scales and shifts neither.

    Raises TransferError as `graft` does; if there are fewer stages; or if random weights would be frozen, which no
    later training could mend.
    """
    layers = _layers_to_freeze(family, networks[DISCRIMINATOR], transfer)
    where = f"source {source_name!r} does not fit target {target_name!r}"
    reports = []
    for part in TRANSFERRED[transfer.parts]:
        if part not in source:
            raise TransferError(f"{where}: it has no {part}; set transfer/parts to {' or '.join(map(repr, source))}")
        named = {f"{part}.{name}": tensor for name, tensor in source[part].items()}
        target = nn.ModuleDict({part: networks[part]})
        how = transfer.on_mismatch
        reports.append(graft(target, named, where=where, on_mismatch=how, fields=family.fields, new=new))
    frozen = _freeze(networks[DISCRIMINATOR], layers)
    if transfer.train == "norms":
        frozen = (*_freeze_all_but_norms(networks[GENERATOR]), *frozen)
    report = GraftReport(
        copied=tuple(name for each in reports for name in each.copied),
        reinitialised=tuple(name for each in reports for name in each.reinitialised),
        unused=tuple(name for each in reports for name in each.unused),
        frozen=frozen,
    )
    field = "freeze_layers" if transfer.freeze_layers else "freeze_d"
    told = f"transfer/{field}={getattr(transfer, field)}"
    if random := [name for name in frozen if name in report.reinitialised]:
        raise TransferError(
            f"{where}: {told} would freeze {random[0]}, which was re-initialised; "
            f"lower {told.partition('=')[0]} or take a source that fits"
            if random[0].startswith(DISCRIMINATOR)
            else f"{where}: transfer/train={transfer.train!r} would freeze {random[0]}, which was re-initialised; "
            "set transfer/train='all' or take a source that fits"
        )
    return report


def _layers_to_freeze(family: Family, critic: nn.Module, transfer: Transfer) -> list[nn.Module]:
    """The critic's layers that are held fixed; TransferError if there are fewer, or if they were random."""
    stages = family.stages(critic)
    _check_freezing("freeze_d", transfer.freeze_d, plural(len(stages), "stage"), len(stages), transfer)
    if not transfer.freeze_layers:
        return [layer for stage in stages[: transfer.freeze_d] for layer in stage]
    layers = [] if family.layers is None else list(family.layers(critic))
    _check_freezing("freeze_layers", transfer.freeze_layers, plural(len(layers), "layer"), len(layers), transfer)
    return layers[: transfer.freeze_layers]


def _check_freezing(field: str, count: int, told: str, most: int, transfer: Transfer) -> None:
    if count > most:
        raise TransferError(f"transfer/{field}={count}, but the critic has {told}; set it to 0 ... {most}")
    if count and DISCRIMINATOR not in TRANSFERRED[transfer.parts]:
        raise TransferError(
            f"transfer/{field}={count} with transfer/parts={transfer.parts!r} would freeze random "
            f"weights; set transfer/parts to 'discriminator' or 'both', or transfer/{field} to 0"
        )


def _freeze(discriminator: nn.Module, layers: Sequence[nn.Module]) -> tuple[str, ...]:
    for layer in layers:
        layer.requires_grad_(False)
    return tuple(f"discriminator.{name}" for name, p in discriminator.named_parameters() if not p.requires_grad)


def _freeze_all_but_norms(generator: nn.Module) -> tuple[str, ...]:
    generator.requires_grad_(False)
    for layer in generator.modules():
        if isinstance(layer, nn.BatchNorm2d | nn.GroupNorm | ConditionalNorm):
            layer.requires_grad_(True)
    return tuple(f"{GENERATOR}.{name}" for name, p in generator.named_parameters() if not p.requires_grad)


def _misfits(own: Mapping[str, Tensor], source: Mapping[str, Tensor]) -> list[str]:
    """One complaint a tensor: different shapes first, then what the source lacks, then what it has too much."""
    shapes = [
        f"{name} is {tuple(source[name].shape)} there, {tuple(tensor.shape)} here"
        for name, tensor in own.items()
        if name in source and source[name].shape != tensor.shape
    ]
    missing = [f"{name} is missing there" for name in own if name not in source]
    surplus = [f"{name} has no place here" for name in source if name not in own]
    return shapes + missing + surplus


def _way_out(own: Mapping[str, Tensor], source: Mapping[str, Tensor], fields: Fields | None, *, reinit: bool) -> str:
    here, there = (fields(own), fields(source)) if fields else ({}, {})
    ways = ['transfer/on_mismatch="reinit"'] if reinit else []
    ways += [f"network/{field}={there[field]}" for field in there if there[field] != here.get(field)]
    return f"set {' or '.join(ways)}" if ways else "take another source"
