import time

import numpy as np
import psutil
import pytest

from spaces.errors import UserError
from trainables.machine.memory import MemoryLimit

MIB = 2**20


def test_a_peak_between_two_checks_is_seen() -> None:
    limit = psutil.Process().memory_info().rss + 560 * MIB
    with MemoryLimit(limit).watched() as memory:
        memory.check()
        much = np.ones(1120 * MIB, np.uint8)  # more than freed memory that the process may have kept
        time.sleep(0.5)
        del much
        with pytest.raises(UserError, match=r"over its memory limit.*--memory-per-trial allows"):
            memory.check()


def test_below_its_limit_nothing_is_said() -> None:
    with MemoryLimit(psutil.Process().memory_info().rss + 500 * MIB).watched() as memory:
        memory.check()
