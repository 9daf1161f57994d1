"""What the section of transferred networks says."""


def test_networks_are_ordered_by_the_median_over_sources(found):
    assert found["networks"].lead == (
        "From best to worst, by the median over sources of the mean over trials: generator only (130), both networks (131.2), "
        "nothing transferred (205); 3 of 3 cells with transfer beat scratch (205)."
    )
