"""What a conservation law must say about itself: u_t + Σ_axis ∂F_axis(u)/∂x_axis = 0.

A scalar law needs `flux` only; all the rest has a default. A system adds `speeds`, and
whatever the chosen scheme asks for: primitive variables, positive quantities, waves.
All methods act pointwise on states of any trailing shape, channels first.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Bool, Float

#: `riemann(u_left, u_right, law, axis)`, a numerical flux.
RiemannSolver = Callable[..., Array]


def channels(u: Float[Array, "c *s"]) -> list[Array]:
    """The channels of a state, one array each.

    As one split, whose transpose is one concatenation: that of indexing is a sum of
    zero-padded arrays, which XLA's CPU backend does not vectorise.
    """
    return [jnp.squeeze(part, 0) for part in jax.lax.split(u, (1,) * u.shape[0])]


def mirrored(u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
    """The momentum along `axis`, channel 1 + axis, changes its sign."""
    return jnp.stack([-m if k == 1 + axis else m for k, m in enumerate(channels(u))])


class Law(eqx.Module):
    """A hyperbolic conservation law; subclass it and define `flux`.

    >>> class Burgers(Law):
    ...     def flux(self, u, axis=0):
    ...         return 0.5 * u**2
    >>> Burgers().speeds(jnp.array([[3.0]]))[1].tolist()
    [3.0]
    """

    @abc.abstractmethod
    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """F_axis(u)."""

    def speeds(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """Smallest and largest eigenvalue of ∂F_axis/∂u; by default F' of a scalar law."""
        speed = self.eigenvalues(u, axis)[0]
        return speed, speed

    def eigenvalues(
        self, u: Float[Array, "c *s"], axis: int = 0
    ) -> Float[Array, "c *s"]:
        """All eigenvalues of ∂F_axis/∂u, in the order of `waves`."""
        require(
            u.shape[0] == 1,
            "one channel",
            u.shape[0],
            "a system defines its own `speeds`",
        )
        return jax.jvp(lambda v: self.flux(v, axis), (u,), (jnp.ones_like(u),))[1]

    def bounds(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """Bounds of all wave speeds in the Riemann problem of two states.

        By default those of the two states alone (Davis, SIAM J. Sci. Stat. Comput. 9
        (1988) 445), enough where F' is monotone between them.
        """
        low_left, high_left = self.speeds(u_left, axis)
        low_right, high_right = self.speeds(u_right, axis)
        return jnp.minimum(low_left, low_right), jnp.maximum(high_left, high_right)

    def max_speed(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "*s"]:
        """Largest |eigenvalue|, for the time step."""
        low, high = self.speeds(u, axis)
        return jnp.maximum(jnp.abs(low), jnp.abs(high))

    def positive(self, u: Float[Array, "c *s"]) -> tuple[Float[Array, "*s"], ...]:
        """Quantities that must stay positive, each concave in u given the ones before
        it.
        """
        return ()

    def admissible(self, u: Float[Array, "c *s"]) -> Bool[Array, "*s"]:
        """Whether a state is finite and each of its positive quantities is positive."""
        holds = jnp.all(jnp.isfinite(u), axis=0)
        for quantity in self.positive(u):
            holds = holds & (quantity > 0)
        return holds

    def primitive(self, u: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """Variables in which limiting does least harm; by default u itself."""
        return u

    def conservative(self, w: Float[Array, "c *s"]) -> Float[Array, "c *s"]:
        """Inverse of `primitive`."""
        return w

    def mirror(self, u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
        """The state behind a solid wall normal to `axis`."""
        return u

    def critical_points(self, axis: int = 0) -> tuple[Float[Array, ""], ...]:
        """All u with F_axis'(u) = 0, for `godunov` (scalar laws)."""
        raise ValueError(
            f"expected `critical_points` in {type(self).__name__}, got none; godunov needs every "
            "u with F'(u) = 0 (return () for a monotone flux)"
        )

    def waves(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[tuple[Float[Array, "*s"], Float[Array, "c *s"]], ...]:
        """Roe's linearisation: pairs (speed, jump) with Σ jump = u_right - u_left and
        Σ speed jump = F(u_right) - F(u_left). By default that of a scalar law.
        """
        jump = u_right - u_left
        safe = jnp.where(jump == 0, 1, jump)
        secant = (self.flux(u_right, axis) - self.flux(u_left, axis)) / safe
        speed = jnp.where(jump == 0, self.eigenvalues(u_left, axis), secant)
        return ((speed[0], jump),)

    def strengths(
        self, dw: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Characteristic amplitudes of an increment dw of the primitive variables at w."""
        return dw

    def increment(
        self, strengths: Float[Array, "c *s"], w: Float[Array, "c *s"], axis: int
    ) -> Float[Array, "c *s"]:
        """Inverse of `strengths`: the increment of the primitive variables."""
        return strengths

    def numerical_flux(
        self,
        riemann: RiemannSolver,
        u_left: Float[Array, "c *s"],
        u_right: Float[Array, "c *s"],
        axis: int = 0,
    ) -> Float[Array, "c *s"]:
        """The flux at faces; a law with further structure (passive scalars) refines it."""
        return riemann(u_left, u_right, self, axis)

    def cell_force(
        self, u_left: Float[Array, "c *f"], u_right: Float[Array, "c *f"], axis: int = 0
    ) -> Float[Array, "c *x"] | None:
        """A force on each cell that depends on the states at its faces, times the
        cell's width.
        """
        return None
