from collections.abc import Callable

import numpy as np
import pytest

from search.records.inputs import check_unclaimed
from search.records.study import StudyPaths, StudySpec
from search.running.ledger import Ledger
from spaces.errors import UserError
from trainables.images.domains import write_domain
from trainables.storage.home import Home

New = Callable[..., tuple[StudyPaths, StudySpec]]
DATA = pytest.mark.parametrize(("kind", "name"), [("domain", "dots"), ("source", "seed-7")])


@DATA
def test_what_an_unfinished_study_needs_is_kept_for_it_and_force_says_which_ends(
    home: Home, new_study: New, kind: str, name: str
) -> None:
    study = new_study(trials=2)
    ledger = Ledger(*study)
    ledger.finish(*(ledger.ask() or pytest.fail("nothing to do")), "failed", "why")
    ledger.ask()
    with pytest.raises(UserError, match=rf"{name}' is what an unfinished .*: s \(1 of 2 trials .*resume s, .*--force$"):
        check_unclaimed(home, kind, name, force=False)  # type: ignore[arg-type]
    said = check_unclaimed(home, kind, name, force=True)  # type: ignore[arg-type]
    assert said is not None and said.endswith("this ends: s (1 of 2 trials is through)")


@DATA
def test_a_study_that_is_through_and_one_of_other_data_need_nothing(
    home: Home, new_study: New, kind: str, name: str
) -> None:
    images = np.zeros((8, 3, 32, 32), np.uint8)
    write_domain(home.domain("other"), images, np.zeros(8), np.arange(8) < 2, origin="test", resizer="none")
    ledger = Ledger(*new_study(trials=2))
    assert check_unclaimed(home, "domain", "other", force=False) is None
    for _ in range(2):
        ledger.finish(*(ledger.ask() or pytest.fail("nothing to do")), "failed", "why")
    assert check_unclaimed(home, kind, name, force=False) is None  # type: ignore[arg-type]


def test_a_damaged_trial_is_not_through_and_a_damaged_study_keeps_nothing(home: Home, new_study: New) -> None:
    paths, spec = new_study(trials=1)
    ledger = Ledger(paths, spec)
    ledger.finish(*(ledger.ask() or pytest.fail("nothing to do")), "failed", "why")
    paths.evaluation(0).write_bytes(b"PAR1 and then nothing")
    with pytest.raises(UserError, match="0 of 1 trial is"):
        check_unclaimed(home, "domain", "dots", force=False)
    paths.spec.write_text("{")
    assert check_unclaimed(home, "domain", "dots", force=False) is None
