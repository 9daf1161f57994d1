"""From values to a trial's configuration: which methods there are, each with the config of its trials."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, SerializeAsAny

from spaces.config import TrialConfig
from spaces.errors import UserError, lookup
from spaces.methods.as_is import AsIsConfig
from spaces.methods.augmented import AugmentedConfig
from spaces.methods.cdc import CdcConfig
from spaces.methods.cogan import CoganConfig
from spaces.methods.combogan import ComboGanConfig
from spaces.methods.cyclegan import CycleGanConfig
from spaces.methods.dagan import DaganConfig
from spaces.methods.direct import DirectConfig
from spaces.methods.domain_confusion import DomainConfusionConfig
from spaces.methods.dtn import DtnConfig
from spaces.methods.f2gan import F2GanConfig
from spaces.methods.feature_consistency import FeatureConsistencyConfig
from spaces.methods.fewshot import FewshotConfig, LearnedFewshotConfig, UntrainedFewshotConfig
from spaces.methods.figr import FigrConfig, JointConfig
from spaces.methods.finetune import FinetuneConfig
from spaces.methods.funit import FunitConfig
from spaces.methods.gmn import GmnConfig
from spaces.methods.kernel_modulation import KernelModulationConfig
from spaces.methods.matchinggan import MatchingGanConfig
from spaces.methods.minegan import MineganConfig
from spaces.methods.mixture import MixtureConfig
from spaces.methods.projected import ProjectedConfig
from spaces.methods.stargan import StarGanConfig
from spaces.methods.translation import DomainConfig, TranslationConfig
from spaces.methods.unit import UnitConfig
from spaces.methods.untranslated import UntranslatedConfig
from spaces.methods.xgan import XganConfig
from spaces.plain_json import parse_json

DEFAULT_METHOD = "finetune"
"""What values without a method are of: files from before there was another."""

CONFIGS: Mapping[str, type[TrialConfig]] = {
    "finetune": FinetuneConfig,
    "as_is": AsIsConfig,
    "minegan": MineganConfig,
    "cdc": CdcConfig,
    "kernel_modulation": KernelModulationConfig,
    "projected": ProjectedConfig,
    "cyclegan": CycleGanConfig,
    "direct": DirectConfig,
    "feature_consistency": FeatureConsistencyConfig,
    "unit": UnitConfig,
    "domain_confusion": DomainConfusionConfig,
    "xgan": XganConfig,
    "dtn": DtnConfig,
    "cogan": CoganConfig,
    "stargan": StarGanConfig,
    "combogan": ComboGanConfig,
    "untranslated": UntranslatedConfig,
    "funit": FunitConfig,
    "dagan": DaganConfig,
    "matchinggan": MatchingGanConfig,
    "f2gan": F2GanConfig,
    "figr": FigrConfig,
    "joint": JointConfig,
    "gmn": GmnConfig,
    "mixture": MixtureConfig,
    "augmented": AugmentedConfig,
}
"""The config of every method's trials. `trainables.methods.registry` has what the methods do."""


def parse_trial(values: Mapping[str, Any], where: str) -> TrialConfig:
    """The config that `values` are of, by their method.

    UserError in one line that starts with `where`: for an unknown method, for settings of another method, and for
    fields that are unknown, missing or out of range.
    """
    name = values.get("method", DEFAULT_METHOD)
    if not isinstance(name, str) or name not in CONFIGS:
        raise UserError(f"{where}: unknown method {name!r}; known: {', '.join(sorted(CONFIGS))}")
    config = CONFIGS[name]
    if foreign := sorted(values.keys() & _settings_of_others(config)):
        raise UserError(
            f"{where}: {foreign[0]!r} is no setting of method {name!r}, which has: {', '.join(own_settings(config))}"
        )
    return config.parse(values, where)


def parse_trial_json(text: str, where: str) -> TrialConfig:
    """As `parse_trial`, from the JSON that a config was written as."""
    try:
        values = parse_json(text)
    except ValueError as error:
        raise UserError(f"{where} is not JSON ({error})") from None
    return parse_trial(values, where)


def translates(method: str) -> bool:
    """Whether trials of that method make their images from those of source domains; UserError for an unknown method."""
    return issubclass(lookup(CONFIGS, "method", method), TranslationConfig)


def makes_more(method: str) -> bool:
    """Whether trials of that method make more of a few images of each class."""
    return issubclass(lookup(CONFIGS, "method", method), FewshotConfig)


def trains(method: str) -> bool:
    """Whether trials of that method train anything; a baseline or a source as it is has one evaluation, after no image."""
    untrained = AsIsConfig | UntranslatedConfig | UntrainedFewshotConfig
    return not issubclass(lookup(CONFIGS, "method", method), untrained)


def makes_images(method: str) -> bool:
    """Whether trials of that method make images. One that hands on its source's, as they are, is there to be beaten: whatever its
    score, it is no answer.

    True of an unknown method, as those of later versions are.
    """
    return method not in CONFIGS or not issubclass(CONFIGS[method], UntranslatedConfig)


def takes_models(method: str) -> bool:
    """Whether trials of that method can start from a source model."""
    return not issubclass(lookup(CONFIGS, "method", method), DomainConfig | FewshotConfig)


def takes_domains(method: str) -> bool:
    """Whether trials of that method take the images of source domains, to translate or train on, or learn from their classes."""
    return issubclass(lookup(CONFIGS, "method", method), DomainConfig | LearnedFewshotConfig)


def takes_source(method: str) -> bool:
    """Whether trials of that method start from a source or learn from one: all but the baselines that copy the target's images.

    True of an unknown method, which whoever makes its config refuses.
    """
    return method not in CONFIGS or takes_models(method) or takes_domains(method)


def own_settings(config: type[TrialConfig]) -> list[str]:
    """The fields that a method's config adds to those of all."""
    return [name for name in config.model_fields if name not in TrialConfig.model_fields]


def _settings_of_others(config: type[TrialConfig]) -> set[str]:
    return {name for other in CONFIGS.values() for name in own_settings(other)} - config.model_fields.keys()


def _parsed(values: Any) -> Any:
    """What a field that holds any method's config takes."""
    if not isinstance(values, Mapping):
        return values
    try:
        return parse_trial(values, "trial")
    except UserError as error:
        raise ValueError(str(error)) from None


AnyTrial = Annotated[SerializeAsAny[TrialConfig], BeforeValidator(_parsed)]
"""The type of a record's field that holds the config of any method's trial."""
