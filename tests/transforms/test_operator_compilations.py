"""A second eager call with equal shapes compiles nothing, for operators and models."""

import jax
import jax.numpy as jnp
import pytest

import physcon as pc
from physcon import operators
from physcon.models import Observations
from physcon.models.gp import (
    gp_fit,
    gp_log_evidence,
    gp_posterior,
    gp_predictor,
    gp_start,
)

GRID = pc.Grid.uniform(0.0, 1.0, 12, location="nodes")
ENDS = pc.Boundary((pc.Dirichlet(1.0), pc.Neumann(0.5)))
POINTS = jnp.linspace(0.0, 1.0, 7)[:, None]
DATA = Observations(POINTS, jnp.sin(4 * POINTS))
START = gp_start(DATA)
PREDICT = gp_predictor()
KEY = jax.random.key(0)

CALLS = {
    "lift": lambda u: operators.lift(u, ENDS, GRID),
    "overwrite": lambda u: operators.overwrite(u, ENDS, GRID),
    "eliminate": lambda u: operators.corrected_spectral_conv(
        jnp.ones((2, 2, 2, 3)), u, ENDS, GRID, "eliminate"
    ),
    "boundary_values": lambda u: pc.boundary_values(GRID, ENDS),
    "gp_log_evidence": lambda u: gp_log_evidence(START, DATA),
    "gp_fit": lambda u: gp_fit(DATA, max_steps=3),
    "gp_predictor": lambda u: PREDICT(START, DATA, POINTS + 0.01, KEY),
    "gp_posterior": lambda u: gp_posterior(START, DATA, POINTS + 0.01),
}


@pytest.fixture
def compiled():
    """The durations of compilations since the test began."""
    found = []

    def listen(event, duration, **_):
        if "backend_compile" in event:
            found.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield found
    jax.monitoring.unregister_event_duration_listener(listen)


@pytest.mark.parametrize("name", CALLS)
def test_second_call_compiles_nothing(name, compiled):
    u = jnp.ones((2, 12))
    CALLS[name](u)
    jax.block_until_ready(jax.jit(lambda x: 2 * x)(u))
    assert compiled  # so compilations are noticed
    compiled.clear()
    jax.block_until_ready(CALLS[name](u))
    assert not compiled
