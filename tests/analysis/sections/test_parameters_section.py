"""What the section of parameters says."""


def test_parameters_say_how_many_trials_importance_takes(found):
    assert found["parameters"].lead.startswith(
        "Not enough data for importance (6 trials with a score; it takes 8 trials"
    )
    assert [plot.heading for plot in found["parameters"].plots] == ["optim/lr_g"]
