"""What holds on devices whose matrix products round to TF32 or bfloat16, and what is
not copied.
"""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import physcon as pc
from helpers import CONSTRAINTS, SHAPE, exact_residual, gaussian
from physcon import fv, parallel
from physcon.studies.solver._run import advance
from physcon.training import Minibatches
from physcon.training.loop import compiled_chunk, initial_state


@pytest.mark.parametrize("law", ["2 rows", "5 noisy rows"])
def test_every_product_of_the_constraint_algebra_asks_for_full_precision(law, rng):
    """In the value, float64 (which no device rounds) or HIGHEST; in the gradient,
    HIGHEST: also where the default is bfloat16, in what is asked of the posterior, and
    of a divided field.
    """
    prior, constraint = gaussian(rng, "ensemble and noise"), CONSTRAINTS[law](rng)
    mesh = jax.make_mesh((1,), ("x",), devices=jax.devices()[:1])

    def score(prior, constraint):
        total = 0.0
        divided = parallel.condition(
            prior, constraint, mesh=mesh, axes=("x", None), throw=False
        )
        for found in (pc.condition(prior, constraint, throw=False), divided):
            posterior = found.posterior
            latent = posterior.root.rmv(posterior.mean)
            evidence = jnp.sum(jnp.asarray(found.log_evidence))
            total += evidence + jnp.sum(found.residual**2)
            total += jnp.sum(posterior.root.mv(latent) ** 2) + jnp.sum(
                posterior.variance()
            )
        return total

    with jax.default_matmul_precision("bfloat16"):
        program = jax.jit(jax.value_and_grad(score, argnums=(0, 1))).lower(
            prior, constraint
        )
    products = [
        p for p in program.as_text().splitlines() if "stablehlo.dot_general" in p
    ]
    float32 = [line for line in products if re.search(r"xf32>|tensor<f32>", line)]
    assert len(float32) > 3
    assert [line for line in float32 if "HIGHEST, HIGHEST" not in line] == []


@pytest.mark.parametrize("law", ["2 rows", "5 moments"])
def test_a_prediction_in_bfloat16_is_conserved_in_float32(law, rng):
    """What comes out of reduced-precision layers is corrected to float32's rounding,
    not theirs.
    """
    prior, constraint = gaussian(rng, "diagonal"), CONSTRAINTS[law](rng)
    mean, std = (x.astype(jnp.bfloat16) for x in (prior.mean, prior.root.diagonal))
    rounded = pc.Gaussian.diagonal(mean.astype(jnp.float32), std.astype(jnp.float32))
    with jax.default_matmul_precision("bfloat16"):
        found = jax.jit(lambda p, c: pc.condition(p, c, throw=False))(
            rounded, constraint
        )
    eps = float(jnp.finfo(jnp.float32).eps)
    assert exact_residual(constraint, found.posterior.mean).max() < eps
    assert mean.shape == SHAPE
    # The prediction itself was far from the law.
    assert exact_residual(constraint, rounded.mean).max() > 1e-2


def test_training_updates_its_state_in_place():
    """The compiled chunk hands the memory of parameters and optimizer on to its
    results.
    """
    optimizer = optax.adam(0.1)
    state = initial_state(jnp.ones(1000), optimizer)._replace(losses=jnp.zeros(5))
    run = compiled_chunk(
        lambda w, batch, key: jnp.sum((w - batch[0]) ** 2), None, optimizer
    )
    batches = Minibatches(jnp.zeros((4, 1000)), 1)
    inputs = (batches, jax.random.key(0), jnp.asarray(0), jnp.asarray(5))
    memory = run.lower(inputs, state).compile().compiled.memory_analysis()
    assert memory.alias_size_in_bytes >= sum(
        x.nbytes for x in jax.tree.leaves(state) if x.size > 9
    )
    out = run(inputs, state)
    assert np.isfinite(out.losses).all()
    assert state.arrays.is_deleted()


def test_stepping_updates_its_state_in_place():
    """From snapshot to snapshot `physcon solve` keeps the state in the same memory."""
    grid, u = pc.Grid.uniform(0.0, 1.0, 1000), jnp.ones((1, 1000))
    scheme = fv.Scheme(fv.Constant(), step=fv.forward_euler)
    problem = fv.Problem(fv.Burgers(), grid, pc.Boundary(pc.Periodic()), scheme)
    clock = {"times": jnp.array([0.1]), "cfl": 0.4, "dt": None, "max_steps": 1000}
    inputs = problem, clock, None
    memory = advance.lower(inputs, u).compile().compiled.memory_analysis()
    assert memory.alias_size_in_bytes >= u.nbytes
    later, *_ = advance(inputs, u)
    assert u.is_deleted()
    np.testing.assert_array_equal(later, 1)
