"""A source model's weights made to fit networks of other classes: of none, of more, or of others, by their names.

Unconditional to conditional is the recipe of the authors of Wang et al., "Transferring GANs", ECCV 2018: scale and shift of
each batch norm are copied once per class, and the critic's class head is new. So every class starts as the source as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from spaces.errors import UserError
from spaces.networks import AnyNetwork, Resnet, StyleGAN2Config, classes_of
from trainables.networks.families import DISCRIMINATOR, GENERATOR

EMBEDDING = "mapping.embed.weight"
"""Of a StyleGAN2's mapping networks, (w_dim, classes)."""

HEAD = ("to_class.weight", "to_class.bias")
"""The critic's class head, a row a class."""
_TABLES = ("weight", "bias")

State = dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Fitted:
    """Weights that fit the classes wanted, and what was done for that."""

    weights: Mapping[str, State]
    note: str | None = None
    """What became of the classes, in a line; None where neither side has any."""
    new: frozenset[str] = frozenset()
    """Tensors that are no source's, as "discriminator.to_class.weight": they keep the fresh values that they have."""


def fit_classes(
    weights: Mapping[str, Mapping[str, Tensor]],
    theirs: AnyNetwork,
    names_there: Sequence[str],
    own: AnyNetwork,
    names_here: Sequence[str],
    fresh: Mapping[str, Tensor],
) -> Fitted:
    """Make a source's `weights` those of the classes of `own`, whose critic has the fresh weights `fresh`.

    A class of a name that the source has starts as there; any other at the mean of the source's classes, by their prior,
    with a fresh row of the class head. Without classes, all is that mean, and the head is dropped.
    """
    here, there = classes_of(own), classes_of(theirs)
    fitted = {part: dict(state) for part, state in weights.items()}
    if here is None and there is None:
        return Fitted(fitted)
    places = {name: i for i, name in enumerate(names_there)}
    match = [places.get(name) for name in names_here] or [None] * (here or 0)
    if isinstance(own, StyleGAN2Config):
        return _of_embeddings(fitted, here, there, match)
    if GENERATOR in fitted:
        fitted[GENERATOR] = _generator(fitted[GENERATOR], theirs, own, match)
    new: set[str] = set()
    if DISCRIMINATOR in fitted:
        fitted[DISCRIMINATOR] = _critic(fitted[DISCRIMINATOR], match if here else [], fresh)
        new = {f"{DISCRIMINATOR}.{name}" for name in HEAD if here and name not in fitted[DISCRIMINATOR]}
    return Fitted(fitted, _told(here, there, match), frozenset(new))


def _of_embeddings(
    fitted: dict[str, State], here: int | None, there: int | None, match: Sequence[int | None]
) -> Fitted:
    """Of a StyleGAN2, where a class is a column of the embeddings in both mapping networks: matching ones, else the mean.

    UserError where but one side is conditional: with a class beside z the mapping network is another.
    """
    if here is None or there is None:
        which = (
            f"the source's is of {there} classes, the trial's of none" if there else f"the trial's is of {here} classes"
        )
        raise UserError(
            f"a conditional stylegan2 and an unconditional one have other mapping networks, and {which}; search with "
            f"{'--conditional' if there else 'no --conditional'}, or take another source"
        )
    for state in fitted.values():
        columns = state[EMBEDDING].T  # (classes, w_dim)
        state[EMBEDDING] = _by_class(columns, columns.mean(0), match).T.contiguous()
        state.pop("prior", None)
    return Fitted(fitted, _told(here, there, match))


def _told(here: int | None, there: int | None, match: Sequence[int | None]) -> str:
    if here is None:
        return f"mean of the source's {there} classes by their prior, class head dropped"
    if there is None:
        return f"scales and shifts copied to each of {here} classes, class head new"
    known = sum(place is not None for place in match)
    return f"{known} of {here} classes as in the source, {here - known} new at the mean of its {there}"


def _generator(state: State, theirs: AnyNetwork, own: AnyNetwork, match: Sequence[int | None]) -> State:
    prior = state.pop("prior", None)
    form_there, form_here = _form(theirs), _form(own)
    rows = state.pop("from_label.weight").T if form_there == "concat" else None  # (classes, c)
    norms = sorted({name.rpartition(".")[0].removesuffix(".norm") for name in state if name.endswith(".running_mean")})
    tables = {f"{norm}.{table}": state.pop(f"{norm}.{table}") for norm in norms for table in _TABLES}
    state = _renamed(state, norms, conditional=form_here == "norm")
    for name, table in tables.items():
        mean = table if prior is None or form_there != "norm" else _mean(table, prior)
        state[name] = _by_class(table if form_there == "norm" else None, mean, match) if form_here == "norm" else mean
    if rows is not None:
        assert prior is not None, "a conditional generator has a prior"
        mean = _mean(rows, prior)
        if form_here == "concat":
            state["from_label.weight"] = _by_class(rows, mean, match).T.contiguous()
        else:
            state["from_z.bias"] = state["from_z.bias"] + mean
    elif form_here == "concat":
        state["from_label.weight"] = torch.zeros(len(state["from_z.bias"]), len(match))
    return state


def _critic(state: State, match: Sequence[int | None], fresh: Mapping[str, Tensor]) -> State:
    head = {name: state.pop(name) for name in HEAD if name in state}
    if head and any(place is not None for place in match):
        for name, rows in head.items():
            state[name] = fresh[name].clone()
            for row, place in enumerate(match):
                if place is not None:
                    state[name][row] = rows[place]
    return state


def _form(network: AnyNetwork) -> str | None:
    return network.conditioning if isinstance(network, Resnet) and network.classes else None


def _mean(table: Tensor, prior: Tensor) -> Tensor:
    """Of a row a class, (classes, c) -> (c,)."""
    return (table * (prior / prior.sum())[:, None]).sum(0)


def _by_class(table: Tensor | None, mean: Tensor, match: Sequence[int | None]) -> Tensor:
    """A row a class: that of `table` which it matches, else the mean."""
    return torch.stack([mean if place is None or table is None else table[place] for place in match])


def _renamed(state: Mapping[str, Tensor], norms: Sequence[str], *, conditional: bool) -> State:
    """Batch norm's statistics under the names that they have in a conditional norm, or in a plain one."""
    renamed = dict(state)
    for norm in norms:
        for name in [name for name in state if name.startswith(f"{norm}.")]:
            leaf = name.rpartition(".")[2]
            renamed[f"{norm}.norm.{leaf}" if conditional else f"{norm}.{leaf}"] = renamed.pop(name)
    return renamed
