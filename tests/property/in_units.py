"""A program of a unit whose results have none, at units of 1e-30, 1 and 1e30."""

import jax
import jax.numpy as jnp
import numpy as np


def equal_in_all_units(case, x, tolerance):
    """Assert that results of ``case(unit, x)`` and their gradients are the same."""

    def flat(u, x):
        found = jax.tree.leaves(case(u, x))
        return jnp.concatenate([jnp.ravel(jnp.asarray(y, x.dtype)) for y in found])

    def both(u):
        found, pull = jax.vjp(lambda x: flat(u, x), jnp.asarray(x))
        return found, pull(jnp.cos(jnp.arange(found.size, dtype=found.dtype)))[0]

    # Not optimised: compiling is all that takes time here.
    plain = {"xla_backend_optimization_level": 0}
    run = jax.jit(both).lower(jnp.float32(1)).compile(compiler_options=plain)
    want = run(jnp.float32(1))
    assert all(np.all(np.isfinite(y)) for y in want)
    for unit in (1e-30, 1e30):
        for a, b in zip(run(jnp.float32(unit)), want, strict=True):
            size = tolerance * (1 + np.abs(b).max())
            np.testing.assert_allclose(a, b, rtol=0, atol=size, err_msg=str(unit))
