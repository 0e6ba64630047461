"""The contract of a hyperbolic law, u_t + Σ_axis ∂F_axis(u)/∂x_axis = 0.

A scalar law needs `flux` only; every other method has a default. A system also defines
`speeds`, and what the chosen scheme and sides need: primitive variables, positive
quantities, waves, and the state behind a wall. All methods act pointwise on states of
any trailing shape, channels first.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._typing import Array, Bool, Float
from physcon.fv.protocols import RiemannSolver as RiemannSolver


def channels(u: Float[Array, "c *s"]) -> list[Array]:
    """The channels of a state, one array each.

    This is one split, whose transpose is one concatenation. The transpose of indexing
    is a sum of zero-padded arrays, which XLA's CPU backend does not vectorise.
    """
    return [jnp.squeeze(part, 0) for part in jax.lax.split(u, (1,) * u.shape[0])]


def mirrored(u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
    """The state with the momentum along `axis`, channel 1 + axis, negated."""
    return jnp.stack([-m if k == 1 + axis else m for k, m in enumerate(channels(u))])


def require_channels(u: Array, law: Any, dimensions: int) -> None:
    """Raise ValueError if a state lacks channels that a hyperbolic law needs."""
    least, names = law.least_channels(dimensions)
    require(
        u.shape[0] >= least,
        f"a state of {least} or more channels ({names}) for "
        f"{type(law).__name__} in {dimensions} dimension(s)",
        f"{u.shape[0]} channel(s)",
        "stack all conserved quantities along the first axis",
    )


class Law(eqx.Module):
    """A hyperbolic conservation law; subclass it and define `flux`.

    >>> class Burgers(Law):
    ...     def flux(self, u, axis=0):
    ...         return 0.5 * u**2
    >>> Burgers().speeds(jnp.array([[3.0]]))[1].tolist()
    [3.0]
    """

    def least_channels(self, dimensions: int) -> tuple[int, str]:
        """The smallest number of channels of a state, and what they are.

        A system whose state holds a vector of momenta overrides it.

        Args:
            dimensions: number of space axes.
        """
        return 1, "one quantity"

    @property
    def hyperbolic(self) -> "Law":
        """The hyperbolic part of the equation: the law itself."""
        return self

    @property
    def diffusion(self) -> None:
        """The diffusive part of the equation: none."""
        return None

    @abc.abstractmethod
    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """F_axis(u)."""

    def speeds(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """Smallest and largest eigenvalue of ∂F_axis/∂u; F' for a scalar law."""
        self._require_scalar(
            u, "speeds", "its wave speeds decide the flux and the step"
        )
        speed = self.eigenvalues(u, axis)[0]
        return speed, speed

    def eigenvalues(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> Float[Array, "c *s"]:
        """All eigenvalues of ∂F_axis/∂u, in the order of `waves`."""
        self._require_scalar(u, "eigenvalues", "roe needs all of them")
        return jax.jvp(lambda v: self.flux(v, axis), (u,), (jnp.ones_like(u),))[1]

    def bounds(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """Bounds of all wave speeds in the Riemann problem of two states.

        The default takes the speeds of the two states alone, which is enough where F'
        is monotone between them.

        Source: Davis, SIAM J. Sci. Stat. Comput. 9 (1988) 445.
        """
        low_left, high_left = self.speeds(u_left, axis)
        low_right, high_right = self.speeds(u_right, axis)
        return safe.smaller(low_left, low_right), safe.larger(high_left, high_right)

    def max_speed(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "*s"]:
        """Largest |eigenvalue|, for the time step."""
        low, high = self.speeds(u, axis)
        return safe.larger(jnp.abs(low), jnp.abs(high))

    def positive(self, u: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], ...]:
        """Quantities that must stay positive.

        Each must be concave in u where the ones before it are positive.
        """
        return ()

    def admissible(self, u: Float[Array, "c *s"]) -> Bool[Array, "*s"]:
        """Whether a state is finite and each of its positive quantities is positive."""
        holds = jnp.all(jnp.isfinite(u), axis=0)
        for quantity in self.positive(u):
            holds = holds & (quantity > 0)
        return holds

    def cleaned(self, u: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """The state after a step of `solve`, without what the law cannot carry.

        The default changes nothing. Shallow water removes momentum from dry cells.
        """
        return u

    def primitive(self, u: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """The variables that `MUSCL` limits by default; u itself unless defined."""
        return u

    def conservative(self, w: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """Inverse of `primitive`."""
        return w

    def mirror(self, u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
        """The state behind a solid wall normal to `axis`; needed by `Reflective`."""
        raise ValueError(
            f"expected `mirror` in {type(self).__name__}, got none; Reflective() needs "
            "the state behind the wall (negate the normal velocity, copy the rest). "
            "Use Flux(0.0) to close a side to every quantity, Outflow() to open it"
        )

    def critical_points(self, axis: int = 0) -> tuple[Float[Array, ""], ...]:
        """All u with F_axis'(u) = 0, for `godunov` (scalar laws)."""
        raise ValueError(
            f"expected `critical_points` in {type(self).__name__}, got none; godunov "
            "needs every u with F'(u) = 0 (return () for a monotone flux)"
        )

    def waves(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[tuple[Float[Array, "*s"], Float[Array, "c *s"]], ...]:
        """Roe's linearisation: pairs (speed, jump).

        The jumps add up to u_right - u_left, and speed times jump to F(u_right) -
        F(u_left). The default holds for a scalar law.
        """
        self._require_scalar(u_left, "waves", "use hll or rusanov without it")
        jump = u_right - u_left
        safe = jnp.where(jump == 0, 1, jump)
        secant = (self.flux(u_right, axis) - self.flux(u_left, axis)) / safe
        speed = jnp.where(jump == 0, self.eigenvalues(u_left, axis), secant)
        return ((speed[0], jump),)

    def strengths(
        self, dw: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Characteristic amplitudes of an increment dw of primitive variables w."""
        self._require_scalar(
            dw, "strengths", 'use variables="primitive" or "conservative" without it'
        )
        return dw

    def increment(
        self, strengths: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Inverse of `strengths`: the increment of the primitive variables."""
        self._require_scalar(
            w, "increment", 'use variables="primitive" or "conservative" without it'
        )
        return strengths

    def numerical_flux(
        self,
        riemann: RiemannSolver,
        u_left: Float[Array, "c *s"],
        u_right: Float[Array, "c *s"],
        axis: int = 0,
    ) -> Float[Array, "c *s"]:
        """The flux at faces; `PassiveScalars`, for one, adds to it."""
        return riemann(u_left, u_right, self, axis)

    def cell_force(
        self, u_left: Float[Array, "c *f"], u_right: Float[Array, "c *f"], axis: int = 0
    ) -> Float[Array, "c *x"] | None:
        """A force on each cell from the states at its faces, times the cell's width."""
        return None

    def _require_scalar(self, u: Array, method: str, why: str) -> None:
        """Raise ValueError where a default for scalar laws meets a system."""
        require(
            u.shape[0] == 1,
            f"`{method}` in {type(self).__name__}, a system of {u.shape[0]} channels",
            "none",
            f"define it: {why}",
        )
