"""Values that have no meaning are refused, or make the result NaN under jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import conditioning, kernels, mesh, metrics
from physcon._status import Outcome
from physcon.models.scores import make_score
from physcon.operators.published_rows import PublishedBoundary
from physcon.operators.spectral import spectral_conv

GRID = pc.Grid.uniform(0.0, 1.0, 4)
ONE = jnp.ones(4)
PRIOR = pc.Gaussian.diagonal(ONE, ONE)
LAW = pc.integral(GRID, 0.5)
UPPER = jnp.triu(jnp.ones((4, 4)))
LOOP = [[0, 1], [1, 1]]

REFUSED = {
    "noise_std of zero or more": lambda: pc.integral(GRID, 0.5, -0.1),
    "noise_std of zero or more, got 2": lambda: pc.second_difference(4, 0.0, -1.0),
    "std of zero or more, got 4": lambda: pc.Gaussian.diagonal(ONE, -ONE),
    "std of zero or more": lambda: pc.Gaussian.from_samples(UPPER, -ONE),
    "stds of zero or more": lambda: pc.Gaussian.from_mixture(UPPER, UPPER - 0.5),
    "a variance of zero or more": lambda: pc.Gaussian.from_variance(ONE, -ONE),
    "a length of zero or more": lambda: pc.stationary(
        ONE, kernels.matern32, GRID, 1.0, -0.1
    ),
    "a lower triangular factor": lambda: pc.Gaussian.from_cholesky(ONE, UPPER),
    "a symmetric covariance": lambda: pc.Gaussian.from_covariance(ONE, UPPER),
    r"equal ends at edge\(s\) \[1\]": lambda: pc.incidence(LOOP, 2),
    "a capacity of zero or more": lambda: mesh.network([[0, 1]], 2, capacity=-1.0),
    "shares from 0 to 1, got values from 0 to 255": lambda: pc.integral(
        GRID, 0.5, where=np.array([0, 255, 255, 255], np.uint8)
    ),
    "kind: 'nll' or 'crps', got 'logs'": lambda: make_score("logs"),
    "kind: 'dirichlet', 'neumann' or 'periodic', got 'Neumann'": lambda: (
        PublishedBoundary("Neumann")
    ),
    "method: 'auto', 'fft' or 'matmul', got 'dft'": lambda: spectral_conv(
        jnp.ones((2, 1, 1, 2)), jnp.ones((1, 8)), method="dft"
    ),
    "shares from 0 to 1": lambda: pc.block_means(GRID, 2, 0.5, where=-ONE),
}


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize("words", REFUSED)
def test_a_value_without_a_meaning_is_refused(words):
    with pytest.raises(ValueError, match=words):
        REFUSED[words]()


def test_a_negative_noise_or_variance_under_jit_is_an_outcome():
    @jax.jit
    def run(noise, variance):
        prior = pc.Gaussian.from_variance(ONE, variance)
        found = pc.condition(prior, pc.integral(GRID, 0.5, noise), throw=False)
        return found.posterior.mean, found.outcome

    mean, outcome = run(0.5, ONE)
    assert bool(outcome == Outcome.good)
    assert np.all(np.isfinite(mean))
    for bad in ((-0.5, ONE), (0.5, ONE.at[1].set(-1.0))):
        mean, outcome = run(*bad)
        assert bool(outcome == Outcome.not_finite)
        assert np.all(np.isnan(mean))


def test_moments_between_disordered_bounds_are_refused_or_nan():
    """They were 0 with a standard deviation of 0."""
    with pytest.raises(RuntimeError, match="marginal_moments: expected lower <= upper"):
        pc.marginal_moments(PRIOR, LAW, 1.0, 0.0)
    with pytest.raises(RuntimeError, match="bounds that are numbers"):
        pc.marginal_moments(PRIOR, LAW, jnp.nan, 0.0)
    ends = jnp.array([0.0, 2.0, jnp.nan, 0.0]), ONE
    std = jnp.array([1.0, 1.0, 1.0, -1.0])
    mean, spread = conditioning.truncated_moments(ONE, std, *ends)
    assert np.isfinite(mean).tolist() == [True, False, False, False]
    assert np.isfinite(spread).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    "score",
    [
        metrics.gaussian_crps,
        metrics.gaussian_log_likelihood,
        metrics.calibration_factor,
        metrics.interval_coverage,
        metrics.probability_integral_transform,
    ],
)
def test_scores_of_a_negative_spread_are_nan(score):
    """The interval of a negative spread covered every truth."""
    assert np.all(np.isfinite(score(ONE, ONE, 0 * ONE)))
    assert np.any(np.isnan(score(ONE, ONE.at[2].set(-1.0), 0 * ONE)))
