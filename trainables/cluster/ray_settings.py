"""The settings that Ray reads from the environment, put there where the user has not set them.

Ray reads some of them when it is imported, so a module that imports Ray imports this one first. A process that Ray
starts gets the driver's values of those that matter there, through Ray Train.
"""

import os

_SETTINGS = {
    "RAY_AUTH_MODE": "token",
    "RAY_USAGE_STATS_ENABLED": "0",  # Ray would report what it is used for
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S": "0.2",  # how soon a worker's report, end or loss is noticed
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",  # a process more; a lost node's workers start again anyway
    "RAY_TRAIN_METRICS_ENABLED": "0",
    # A training waits for its turn as long as that takes; whether the cluster could hold it is asked before.
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": str(7 * 24 * 3600),
}

for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)
