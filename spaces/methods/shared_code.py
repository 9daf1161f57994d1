"""The settings of translation by a common code: each domain has an encoder and a decoder, which share innermost blocks."""

from typing import Self

from pydantic import NonNegativeInt, model_validator

from spaces.methods.translation import PooledTranslationConfig
from spaces.networks import Translator


class SharedCodeConfig(PooledTranslationConfig):
    """Two autoencoders: an image is translated by its own domain's encoder and the other's decoder."""

    translator: Translator = Translator(blocks=4)
    """A domain's encoder and decoder, with half of the blocks each."""
    shared_blocks: NonNegativeInt = 1
    """Residual blocks on either side of the code that both domains share, as CoGAN's innermost layers; 0 shares none."""

    @model_validator(mode="after")
    def _shares_what_there_is(self) -> Self:
        if self.shared_blocks > (there := self.translator.blocks // 2):
            raise ValueError(
                f"shared_blocks={self.shared_blocks} is more than the {there} of an encoder; raise translator/blocks"
            )
        return self
