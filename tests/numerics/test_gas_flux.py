"""The flux from primitive face states is the one from conserved states, to rounding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import mesh
from physcon.boundary import Boundary, Dirichlet, Neumann, Outflow, Reflective
from physcon.fv import (
    MUSCL,
    WENO,
    Constant,
    Euler,
    Linear,
    Scheme,
    _gas_flux,
    hllc,
    limiter,
    mesh_problem,
    rusanov,
    tendency,
)
from physcon.fv.unstructured.fluxes import keeps_primitive
from physcon.grid import Grid

RECONSTRUCTIONS = {
    "primitive": MUSCL(),
    "characteristic": MUSCL(variables="characteristic"),
    "weno5": WENO(variables="primitive"),
}


def by_states(riemann):
    """The same solver as a function of the user's own, which takes conserved states."""
    return lambda *args: riemann(*args)


def gas(shape):
    """Supersonic flow in all directions, with jumps."""
    rng = np.random.default_rng(0)
    rho, p = np.exp(rng.uniform(-0.2, 0.2, (2, *shape)))
    turn = np.sin(np.arange(np.prod(shape)).reshape(shape) / 5)
    v = 3 * turn + rng.uniform(-0.2, 0.2, (len(shape), *shape))
    return Euler().conservative(jnp.asarray([rho, *v, p]))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("name", "riemann", "shape"),
    [
        ("primitive", hllc, (9, 8)),
        ("characteristic", hllc, (40,)),
        ("weno5", rusanov, (40,)),
    ],
)
def test_both_forms_have_the_same_tendency_and_gradient(name, riemann, shape):
    u = gas(shape)
    grid = Grid.uniform((0.0,) * len(shape), (1.0,) * len(shape), shape)
    sides = Boundary(*[(Outflow(), Reflective())] * len(shape))
    weights = jnp.asarray(np.random.default_rng(1).normal(size=u.shape))

    @eqx.filter_jit
    def both(scheme, u):
        def weighted(u):
            change = tendency(u, Euler(), grid, sides, scheme)
            return jnp.sum(weights * change), change

        return jax.grad(weighted, has_aux=True)(u)

    reconstruct = RECONSTRUCTIONS[name]
    fast = Scheme(reconstruct, riemann)
    textbook = Scheme(reconstruct, by_states(riemann))
    assert _gas_flux.applies(fast, Euler())
    assert not _gas_flux.applies(textbook, Euler())
    for found, expected in zip(both(fast, u), both(textbook, u), strict=True):
        scale = float(jnp.max(jnp.abs(expected)))
        np.testing.assert_allclose(found, expected, atol=1e-12 * scale, rtol=0)


def test_stretched_cells_are_allowed():
    u = gas((40,)).astype(jnp.float32)
    edges = jnp.linspace(0.0, 1.0, 41) ** 1.5
    grid, sides = Grid.cells(edges), Boundary(Outflow())
    # This limiter has another slope at each face of a cell.
    schemes = [
        Scheme(MUSCL(limiter.koren), riemann) for riemann in (hllc, by_states(hllc))
    ]

    @jax.jit
    def both(u):
        return [tendency(u, Euler(), grid, sides, scheme) for scheme in schemes]

    fast, textbook = both(u)
    np.testing.assert_allclose(fast, textbook, rtol=1e-4, atol=1e-2)


def test_a_law_of_the_users_own_keeps_its_own_flux():
    class Still(Euler):
        """A gas whose flux is zero."""

        def flux(self, u, axis=0):
            return jnp.zeros_like(u)

    assert not _gas_flux.applies(Scheme(MUSCL(), hllc), Still())
    assert not _gas_flux.applies(Scheme(MUSCL(variables="conservative"), hllc), Euler())


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("reconstruct", "riemann"), [(Linear(), hllc), (Constant(), rusanov)]
)
def test_on_a_mesh_both_forms_have_the_same_tendency_and_gradient(reconstruct, riemann):
    """Conditions are given for conserved states, whatever the faces hold."""
    box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (4, 3), distortion=0.2)
    u = gas((2, box.size // 2)).reshape(4, box.size)
    sides = {
        "left": Dirichlet(u[:, 0]),
        "right": Outflow(),
        "bottom": Reflective(),
        "top": Neumann(0.1),
    }
    weights = jnp.asarray(np.random.default_rng(1).normal(size=u.shape))

    @eqx.filter_jit
    def both(problem, u):
        def weighted(u):
            change = problem(u, jnp.zeros(()))
            return jnp.sum(weights * change), change

        return jax.grad(weighted, has_aux=True)(u)

    schemes = [Scheme(reconstruct, r) for r in (riemann, by_states(riemann))]
    assert [keeps_primitive(scheme, Euler()) for scheme in schemes] == [True, False]
    fast, textbook = (mesh_problem(Euler(), box, sides, s) for s in schemes)
    for found, expected in zip(both(fast, u), both(textbook, u), strict=True):
        scale = float(jnp.max(jnp.abs(expected)))
        np.testing.assert_allclose(found, expected, atol=1e-12 * scale, rtol=0)
