"""What the section of the search says: what its trials took."""


def test_the_search_tells_what_early_stopping_saved_and_when_the_best_was_found(found):
    assert found["search"].lead == (
        "8 trials took 0.07333 core-hours; early stopping ended 2 of them, so the search cost 69% of what all trials to the "
        "end would have; the best one was found by trial 0, after 18% of the cost."
    )
    assert found["search"].sheets[0].rows == [
        ["0", "8", "0", "1"],
        ["100", "7", "1", "0"],
        ["300", "5", "1", "1"],
        ["400", "3", "0", "0"],
    ]
