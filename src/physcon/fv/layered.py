"""Diffusion in a medium that varies in space, u_t = (k(x) u_x)_x, on one axis."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float
from physcon.fv.diffusion.law import Diffusion


class Layered(Diffusion):
    """Heat in layers: one conductivity per cell, constant in time.

    The face between two cells takes their harmonic mean: the flux through two
    resistances in series, exact for layers that meet at the face (equal widths). k must
    be positive.

    Shapes: `conductivity` ``(n,)`` on an axis of n cells, one space axis, any channels.
    """

    conductivity: Float[Array, " n"]
    #: Whether `conductivity` includes the cells beyond both sides, as on a block of a
    #: divided axis.
    with_sides: bool = eqx.field(static=True, default=False)

    def on_block(self, cut: Callable[[Array], Array]) -> "Layered":
        """The law on a part of the grid; see `physcon.parallel.domain`."""
        return Layered(cut(self._at_values()), with_sides=True)

    def _at_values(self) -> Float[Array, " _"]:
        """k of the cells, and on each side k of the cell next to it."""
        k = self.conductivity
        return k if self.with_sides else jnp.pad(k, 1, mode="edge")

    def coefficient(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """k(x) at the cells and sides."""
        k = self._at_values()
        require(
            u.shape[1:] == k.shape,
            f"{k.size - 2} cells on one axis",
            u.shape[1:],
            "use Layered on one space axis",
        )
        return jnp.broadcast_to(k, u.shape)

    def potential(self, u: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """k(x) u."""
        return self.coefficient(u) * u

    def face_gradient_flux(
        self, u_left: Float[Array, "*s"], u_right: Float[Array, "*s"]
    ) -> Float[Array, "*s"]:
        """2 / (1/k_left + 1/k_right) (u_left - u_right)."""
        k = self._at_values()
        faces, got = k.size - 1, u_left.shape[1:]
        require(
            got == (faces,),
            f"{k.size - 2} cells on one axis",
            got,
            "pass one conductivity per cell",
        )
        mean = 2 / (1 / k[1:] + 1 / k[:-1])
        return jnp.broadcast_to(mean, u_left.shape) * (u_left - u_right)
