"""Which source models a study takes: named ones or all that fit, of one family, one resolution and one network."""

from collections import Counter
from collections.abc import Sequence

from search.ranking import of_resolution
from spaces.errors import UserError, lookup
from spaces.networks import AnyNetwork, Dcgan, StyleGAN2Config, classes_of, told, unconditional
from spaces.networks import conditional as conditional_on
from spaces.presets import FAMILY_PRESETS
from spaces.suggest import Space
from trainables.images.domains import Domain
from trainables.methods.method import Given, unfit
from trainables.methods.registry import METHODS
from trainables.sources.shelf import SourceModel, open_source
from trainables.storage.home import Home


def named_models(
    home: Home, domain: Domain, names: Sequence[str], space: Space, classes: int | None, family: str | None
) -> list[SourceModel]:
    """Open the source models of these names; UserError if one is of another family, or a method of the space can't use it."""
    models = [open_source(home, name) for name in names]
    for model in models:
        if reason := _of_another(model, family) or _without_form(model, classes):
            raise UserError(f"source model {model.facts.name!r} can't be in the study: {reason}")
        if model.facts.network.resolution == domain.facts.resolution and (reason := _unfit(domain, model, space)):
            raise UserError(reason)
    return models


def fitting_models(
    home: Home, domain: Domain, space: Space, classes: int | None, family: str | None
) -> tuple[list[SourceModel], tuple[str, ...]]:
    """List the source models of the domain's resolution with the commonest network, and a line for each left out.

    Of `family` alone where one is given. Conditional models go with unconditional ones: their weights fit each other's
    networks.
    """
    found, notes = of_resolution(home, domain)
    reasons = {
        model.facts.name: _of_another(model, family) or _unfit(domain, model, space) or _without_form(model, classes)
        for model in found
    }
    notes += [f"source model {name!r} is left out: {reason}" for name, reason in reasons.items() if reason]
    fitting = [model for model in found if not reasons[model.facts.name]]
    if not fitting:
        of_family = f" --family {family}" if family else ""
        notes.append(
            f"no source model of {domain.facts.resolution} pixels is on the shelf, so every trial starts from scratch; "
            f"train one with: understock sources train DOMAIN{of_family}"
        )
        return [], tuple(notes)
    common = Counter(unconditional(model.facts.network) for model in fitting).most_common(1)[0][0]
    for model in fitting:
        network, name = model.facts.network, model.facts.name
        if reason := _of_another(model, common.family):
            notes.append(f"source model {name!r} is left out: {reason}")
        elif unconditional(network) != common:
            notes.append(
                f"source model {name!r} is left out: its network ({told(network)}) is not the commonest ({told(common)}); "
                f"search with --sources {name} for it"
            )
    return [model for model in fitting if unconditional(model.facts.network) == common], tuple(notes)


def common_network(
    domain: Domain, models: Sequence[SourceModel], classes: int | None, family: str | None
) -> AnyNetwork | None:
    """The network that all source models have, conditional on so many classes; without any that of the family's small preset.

    None where no family and no classes are asked for. UserError if they differ, or if the domain has another resolution.
    """
    networks = {unconditional(model.facts.network): model.facts.name for model in models}
    if len(networks) > 1:
        listed = "; ".join(
            f"{name!r}: {n.family}, {n.resolution} pixels, width {n.width}, z {n.z_dim}" for n, name in networks.items()
        )
        raise UserError(
            f"the sources have different networks, and trials would not compare ({listed}); a study holds one family and "
            "resolution: search them apart"
        )
    network = next(iter(networks), None)
    if network and network.resolution != domain.facts.resolution:
        raise UserError(
            f"source model {networks[network]!r} has {network.resolution} pixels, domain {domain.facts.name!r} "
            f"{domain.facts.resolution}; add the domain again with --resolution {network.resolution}"
        )
    if network is None and family:
        presets = lookup(FAMILY_PRESETS, "family of networks to start from scratch with", family)
        network = lookup(presets, "preset", "small")(domain.facts.name, domain.facts.resolution).network
    if classes is None:
        return network
    plain = FAMILY_PRESETS["resnet"]["small"](domain.facts.name, domain.facts.resolution).network
    return conditional_on(network or plain, classes)


def _of_another(model: SourceModel, family: str | None) -> str | None:
    """Why a source model is not for a study of the family, in a line; None if it is, or where any will do."""
    own = model.facts.network.family
    if family is None or own == family:
        return None
    return (
        f"it is a {own}, and a study holds one family and resolution, here {family}; search with --family {own} for it, "
        "and compare the studies"
    )


def _unfit(domain: Domain, model: SourceModel, space: Space) -> str | None:
    """Why a method of the space can't use a source model, in a line; None if all of them can."""
    using = [name for name in space.methods if not METHODS[name].needs.domains]
    reasons = ((name, unfit(METHODS[name], Given(domain, model))) for name in using)
    found = next(((name, reason) for name, reason in reasons if reason), None)
    return f"method {found[0]!r} can't be used: {found[1]}" if found else None


def _without_form(model: SourceModel, classes: int | None) -> str | None:
    """Why a source model can't start a GAN of so many classes, or one without; None if it can."""
    network = model.facts.network
    if isinstance(network, Dcgan) and network.classes is not None:
        return f"it is a {told(network)}, which is ranked and sampled, and not trained"
    if isinstance(network, StyleGAN2Config) and (classes_of(network) is None) != (classes is None):
        own, others = ("unconditional", "conditional") if classes else ("conditional", "unconditional")
        return f"it is {own}, and a stylegan2's mapping network is another in the study's {others} GANs"
    if classes is not None:
        try:
            conditional_on(network, classes)
        except UserError as error:
            return str(error)
    return None
