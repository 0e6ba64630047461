"""The porous-medium data and masses that the published ProbConserv code made."""

import jax
import jax.numpy as jnp
import numpy as np

from physcon.problems import PorousMedium


def test_published_values_are_the_exact_solution(reference):
    data = reference("probconserv/pme_test.npz")
    solve = jax.jit(
        jax.vmap(lambda m, i: PorousMedium(m, False).solution(i[:, 0], i[:, 1]))
    )
    for part in ("contexts", "targets"):
        u = solve(data["params"][:, 0], data[f"input_{part}"])
        # their power and ours, each within a few units of float32
        np.testing.assert_allclose(
            u, data[f"output_{part}"][..., 0], rtol=4e-6, atol=1e-7
        )


def test_published_masses_are_the_exact_ones(reference):
    data = reference("probconserv/parity_pme.npz")
    t, x = jnp.asarray(data["t"]), jnp.asarray(data["x"])

    @jax.jit
    @jax.vmap
    def answers(m):
        problem = PorousMedium(m, throw=False)
        return problem.mass(t), problem.solution(t[:, None], x[None])

    mass, truth = answers(data["params"][:, 0])
    np.testing.assert_allclose(mass, data["mass_rhs"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(truth, data["truth"], rtol=4e-6, atol=1e-7)
