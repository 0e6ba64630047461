"""The porous-medium data and masses that the published ProbConserv code made."""

import jax
import jax.numpy as jnp
import numpy as np

from physcon.problems import PorousMedium


def test_published_values_are_the_exact_solution(reference):
    data = reference("probconserv/pme_test.npz")
    problems = jax.vmap(lambda m: PorousMedium(m, throw=False))(data["params"][:, 0])
    solve = jax.jit(jax.vmap(lambda p, i: p.solution(i[:, 0], i[:, 1])))
    for part in ("contexts", "targets"):
        u = solve(problems, data[f"input_{part}"])
        # their power and ours, each within a few units of float32
        np.testing.assert_allclose(u, data[f"output_{part}"][..., 0], rtol=4e-6, atol=1e-7)


def test_published_masses_are_the_exact_ones(reference):
    data = reference("probconserv/parity_pme.npz")
    t, x = jnp.asarray(data["t"]), jnp.asarray(data["x"])
    problems = jax.vmap(lambda m: PorousMedium(m, throw=False))(data["params"][:, 0])
    mass = jax.vmap(lambda p: p.mass(t))(problems)
    np.testing.assert_allclose(mass, data["mass_rhs"], rtol=1e-6, atol=1e-9)
    truth = jax.vmap(lambda p: p.solution(t[:, None], x[None]))(problems)
    np.testing.assert_allclose(truth, data["truth"], rtol=4e-6, atol=1e-7)
