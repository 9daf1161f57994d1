"""The methods that there are. A new one is a file of its own, its config in `spaces`, and a line in both registries."""

from collections.abc import Mapping
from pathlib import Path

from spaces.errors import lookup
from trainables.methods.as_is import AS_IS
from trainables.methods.finetuning.finetune import FINETUNE
from trainables.methods.method import Method, Sampler
from trainables.methods.translation.cyclegan import CYCLEGAN
from trainables.methods.translation.direct import DIRECT
from trainables.methods.translation.untranslated import UNTRANSLATED
from trainables.networks.models import read_model


def method_of(name: str) -> Method:
    """The method of that name; UserError with the known ones otherwise."""
    return lookup(METHODS, "method", name)


def open_sampler(path: Path) -> Sampler:
    """What draws from the model in a folder, or in a generator's one file as earlier versions left it.

    UserError if there is none.
    """
    model, facts = read_model(path)
    return method_of(facts.method).sampler(model)


METHODS: Mapping[str, Method] = {
    "finetune": FINETUNE,
    "as_is": AS_IS,
    "cyclegan": CYCLEGAN,
    "direct": DIRECT,
    "untranslated": UNTRANSLATED,
}
