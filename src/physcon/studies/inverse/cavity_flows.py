"""The cavity of the inverse study: its settings, its flows, and the laws of no slip.

A flow has a known lid speed U, and nine unknown swirls in its initial state. The walls
do not slip. For the vorticity alone no slip is not a boundary value but a set of
integrals. For every harmonic φ, Green's identity with ψ = 0 and ψ_n equal to the
velocity of the walls gives

    ∫ω φ dA = -∫u φ dx along the lid.

φ = 1 is Stokes' theorem, the circulation. The harmonic polynomials up to the third
degree are harmonic for the five-point stencil too. The trapezoid sums of the solver's
states (Thom's formula on the walls) obey these seven laws to rounding.

Source:
    Quartapelle and Valz-Gris, Int. J. Numer. Methods Fluids 1 (1981) 129 (projection
    conditions on the vorticity).
"""

from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.boundary import Boundary, Dirichlet
from physcon.conditioning import Gaussian, LinearConstraint
from physcon.grid import Grid
from physcon.linear_map import Rows
from physcon.problems.cavity import LidDrivenCavity, swirl_std, vorticity
from physcon.quadrature import trapezoid
from physcon.studies.boon.data import study_grid
from physcon.studies.inverse.settings import InverseCavityConfig
from physcon.studies.sharing import solved

#: The laws on which a prediction is conditioned.
Laws: TypeAlias = Literal["none", "circulation", "no slip"]


def grid(config: InverseCavityConfig) -> Grid:
    """The nodes in (x, y, t) with t > 0."""
    return study_grid(config.network())


class Flows(NamedTuple):
    """Flows with their parameters.

    Shapes:
        Swirls θ are ``(*s, 9)``, lid speeds U ``(*s)``, and the vorticity is ``(*s, n,
        n, 1 + times)``.
    """

    theta: Float[Array, "*s 9"]
    lid: Float[Array, "*s"]
    vorticity: Float[Array, "*s n n t"]


def prior(config: InverseCavityConfig) -> Gaussian:
    """The prior of the swirls θ, as `LidDrivenCavity.sample` draws them."""
    std = swirl_std().ravel()
    return Gaussian.diagonal(jnp.zeros_like(std), std)


def flows(
    key: PRNGKeyArray,
    config: InverseCavityConfig,
    number: int,
    mesh: Mesh | None = None,
) -> Flows:
    """Solve random members of the family, shared among the devices of a mesh."""

    def one(key: PRNGKeyArray) -> Flows:
        cavity = LidDrivenCavity.sample(key, config.viscosity)
        states = cavity.states(
            jnp.asarray(config.time), config.times, config.nodes, refine=1
        )
        return Flows(cavity.swirls.ravel(), cavity.lid, jnp.moveaxis(states, 0, -1))

    return solved(one, jax.random.split(key, number), mesh, batch_size=64)


def cavity(
    theta: Float[Array, " 9"], lid: Scalar, config: InverseCavityConfig
) -> LidDrivenCavity:
    """The problem that describes the flow."""
    viscosity = jnp.asarray(config.viscosity, theta.dtype)
    return LidDrivenCavity(lid, theta.reshape(swirl_std().shape), viscosity)


def initial(
    theta: Float[Array, " 9"], lid: Scalar, config: InverseCavityConfig
) -> Float[Array, "n n"]:
    """The vorticity at t = 0."""
    x = grid(config).coordinates[0]
    problem = cavity(theta, lid, config)
    return vorticity(problem.stream(x, x), problem.lid_velocity(x))


def no_slip(lid: Scalar, config: InverseCavityConfig, laws: Laws) -> LinearConstraint:
    """∫ω φ dA == -∫u φ dx at every time.

    "circulation" uses φ = 1, and "no slip" uses all seven φ.
    """
    z = grid(config).coordinates[0]
    x, y = jnp.meshgrid(z, z, indexing="ij")
    harmonic = [jnp.ones_like(x)]
    if laws == "no slip":
        harmonic += [x, y, x * y, x**2 - y**2, x**3 - 3 * x * y**2, y**3 - 3 * x**2 * y]
    weights = trapezoid(jnp.diff(z))
    moving = weights * cavity(jnp.zeros(9), lid, config).lid_velocity(z)
    value = -jnp.stack([jnp.sum(moving * phi[:, -1]) for phi in harmonic])
    rows = jnp.stack(harmonic) * jnp.outer(weights, weights)[None]
    at = jnp.eye(config.times, dtype=rows.dtype)
    rows = jnp.einsum("rxy,st->srxyt", rows, at, precision="highest")
    rows = rows.reshape(-1, *grid(config).shape)
    return LinearConstraint(Rows(rows), jnp.tile(value, config.times))


def walls(vorticity: Float[Array, "n n t"]) -> Float[Array, "4 n t"]:
    """The vorticity on the left, right, bottom and lid walls."""
    w = vorticity
    return jnp.stack([w[0], w[-1], w[:, 0], w[:, -1]])


def boundary(walls: Float[Array, "4 n t"]) -> Boundary:
    """The vorticity on the walls as the boundary condition of the network."""
    left, right, bottom, top = (Dirichlet(w[None]) for w in walls)
    return Boundary((left, right), (bottom, top))
