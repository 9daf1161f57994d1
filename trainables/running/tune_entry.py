"""What Ray Tune starts on a worker: it imports nothing of ours until it can say that the import failed."""

from collections.abc import Mapping
from typing import Any

import trainables.cluster.ray_settings  # noqa: F401 (before Ray)

# isort: split
from ray import tune

from trainables.machine.imports import not_imported


def tune_trial(parameters: Mapping[str, Any]) -> None:
    """The trainable given to Tune. An exception out of it is a loss of infrastructure, to be retried."""
    try:
        from trainables.running.tune_trial import train_trial
    except ImportError as error:
        tune.report(not_imported(error))
    else:
        train_trial(parameters)
