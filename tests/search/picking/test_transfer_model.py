import numpy as np
import pytest
import scipy.stats

from search.picking.arms import SCRATCH_ARM, Arm
from search.picking.transfer_model import Case, _Design, _Fit, _Sums, _Told, posterior

RATE = 1e-3


def case(source=None, parts="both", target="t", lr_g=RATE, near=0.0, level=None) -> Case:
    arm = SCRATCH_ARM if source is None else Arm.finetuned(source, parts)
    return Case(level or target, target, arm, near, (lr_g, RATE))


CASES = [
    case(),
    case(),
    case("a"),
    case("a", near=0.3),
    case("b"),
    case("b", "generator"),
    case(target="u"),
    case("a", target="u"),
]


def test_for_given_spreads_it_is_the_textbook_posterior() -> None:
    design = _Design.of(CASES)
    x, y = design.matrix(CASES), np.random.default_rng(0).standard_normal(len(CASES))
    sigma, rho, tau, upsilon = 0.3, 0.25, 0.4, 0.2
    studies, errors = ["r", "r", "r", "s", "s", "t", None, None], np.array([0, 0.5, 0, 0, 0.2, 0, 0, 0])
    cases = [c._replace(study=s, error=e) for c, s, e in zip(CASES, studies, errors, strict=True)]
    fit = _Fit.of(_Sums.of(_Told(cases, x, y), design, sigma, rho), design, tau, upsilon)
    prior = np.diag(design.prior_sd(tau, upsilon) ** 2)
    same = np.array([[float(a == b) for a in studies] for b in studies])
    marginal = x @ prior @ x.T + np.diag(sigma**2 + errors**2) + rho**2 * same
    gain = prior @ x.T @ np.linalg.inv(marginal)
    drawn = fit.draw(40_000, np.random.default_rng(0))
    mean = x @ (design.prior_mean + gain @ (y - x @ design.prior_mean))
    assert (x @ drawn).mean(1) == pytest.approx(mean, abs=0.02)
    assert np.cov(x @ drawn) == pytest.approx(x @ (prior - gain @ x @ prior) @ x.T, abs=0.01)
    expected = scipy.stats.multivariate_normal(x @ design.prior_mean, marginal).logpdf(y)
    assert fit.log_evidence == pytest.approx(expected + len(y) / 2 * np.log(2 * np.pi))


def spread(cases, scores, asked) -> tuple[float, float]:
    """Mean of the gap between two asked cases, and its standard deviation."""
    drawn = posterior(cases, np.array(scores), asked, draws=2000, seed=0).mean
    gap = drawn[:, 1] - drawn[:, 0]
    return float(gap.mean()), float(gap.std())


def test_replicates_that_agree_narrow_the_gap_and_one_of_each_tells_little() -> None:
    asked = [case(), case("a")]
    single = spread([case(), case("a")], [7.0, 6.5], asked)
    many = spread([case(), case("a")] * 4, [7.0, 6.5, 7.02, 6.48, 6.98, 6.52, 7.0, 6.5], asked)
    assert many == (pytest.approx(-0.5, abs=0.05), pytest.approx(0.03, abs=0.03))
    assert single[1] > 0.3


def test_what_other_targets_show_is_believed_the_more_the_better_they_agree() -> None:
    targets = ["u", "v", "w", "x"]
    cases = [c for t in targets for c in (case(target=t), case(target=t), case("a", target=t), case("a", target=t))]
    alike = [v for _ in targets for v in (7.0, 7.02, 6.5, 6.52)]
    apart = [v for shift in (-0.6, 0.6, -0.3, 0.3) for v in (7.0, 7.02, 6.5 + shift, 6.52 + shift)]
    asked = [case(target="new"), case("a", target="new")]
    agreed, disagreed = spread(cases, alike, asked), spread(cases, apart, asked)
    assert agreed[0] == pytest.approx(-0.5, abs=0.1)
    assert disagreed[1] > 3 * agreed[1]


def test_a_source_nobody_tried_is_judged_by_its_ranking_alone() -> None:
    cases = [case(), case(), *(case(s, near=z) for s, z in (("a", -0.5), ("a", -0.5), ("b", 0.5), ("b", 0.5)))]
    near, far = case("new", near=-1.0), case("other", near=1.0)
    gap, sd = spread(cases, [7.0, 7.0, 6.2, 6.21, 6.6, 6.61], [near, far])
    assert 0.2 < gap < 1.5
    assert sd > 0.5  # and that is not much


def test_learning_rates_bend_the_score() -> None:
    rates = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2]
    cases = [case("a", lr_g=rate) for rate in rates for _ in range(2)]
    scores = [6 + 0.3 * np.log10(rate / 1e-3) ** 2 for rate in rates for _ in range(2)]
    drawn = posterior(cases, np.array(scores), [case("a", lr_g=rate) for rate in rates], draws=500, seed=0).mean
    assert int(drawn.mean(0).argmin()) == 2


def test_the_same_seed_gives_the_same_draws() -> None:
    first, again = (posterior(CASES, np.arange(8.0), CASES, draws=50, seed=3) for _ in range(2))
    assert (first.mean == again.mean).all() and (first.sigma == again.sigma).all()
