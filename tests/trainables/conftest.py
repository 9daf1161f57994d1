from pathlib import Path

import pytest

from trainables.training.trial_files import TrialFiles


@pytest.fixture
def files(tmp_path: Path) -> TrialFiles:
    return TrialFiles(tmp_path / "trial", tmp_path / "samples")
