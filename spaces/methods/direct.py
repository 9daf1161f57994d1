"""The settings of direct transformation without any constraint: the baseline of methods that hold the content."""

from typing import Literal

from spaces.methods.translation import PooledTranslationConfig
from spaces.networks import Translator


class DirectConfig(PooledTranslationConfig):
    """One shallow translator, which only has to look like the target to its critic: what it keeps is what its size makes it."""

    method: Literal["direct"] = "direct"
    translator: Translator = Translator(blocks=1)
