"""The settings of DAGAN (Antoniou et al., "Data augmentation generative adversarial networks", 2017)."""

from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat

from spaces.methods.fewshot import SetConfig, SetTraining


class DaganConfig(SetConfig):
    """One image of a class and noise make another one; a critic sees both beside each other."""

    method: Literal["dagan"] = "dagan"
    training: SetTraining = SetTraining(batch=32, n_critic=5)
    z_dim: Annotated[int, Field(ge=0, le=1024)] = 100
    """Numbers of noise; 0 for none, which leaves one image to each image."""
    penalty: NonNegativeFloat = 10.0
    """Weight of the critic's gradient penalty."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    """The share of the encoder's numbers that is put to 0 in training."""
