"""Laws across a face: systems turned into its frame, scalar ones by flux · normal."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import concrete, require
from physcon._typing import Array, Float
from physcon.fv.law import Law
from physcon.fv.unstructured.stencil import added


def turned(law: Any, u: Float[Array, "c f"], frame: Float[Array, "d d f"]) -> Array:
    """The state with vectors along the directions of a frame: the normal first."""
    if not hasattr(law, "rotate"):
        return u
    d = frame.shape[0]
    rows = [list(direction) for direction in frame]
    if d == 2:  # the second direction follows from the first, and need not be read
        rows[1] = [-rows[0][1], rows[0][0]]

    def along(*v: Array) -> list[Array]:
        return [sum(row[k] * v[k] for k in range(d)) for row in rows]  # type: ignore

    return law.rotate(u, along)


def turned_back(
    law: Any, u: Float[Array, "c f"], frame: Float[Array, "d d f"]
) -> Array:
    """The inverse of `turned`."""
    return turned(law, u, jnp.swapaxes(frame, 0, 1))


def tangential(law: Any, u: Float[Array, "c n"], up: Float[Array, "d n"]) -> Array:
    """The state with vectors projected to the surface whose normal is `up`."""
    if not hasattr(law, "rotate"):
        return u
    d = up.shape[0]

    def along(*v: Array) -> list[Array]:
        vertical = sum(up[k] * v[k] for k in range(d))
        return [v[k] - vertical * up[k] for k in range(d)]  # type: ignore

    return law.rotate(u, along)


def across(law: Any, normal: Float[Array, "d f"], channels: int) -> Any:
    """The law along the normals of faces, as axis 0.

    Raises:
        ValueError: a system of several channels without `rotate`.
    """
    if hasattr(law, "rotate"):
        return law
    require(
        channels == 1,
        f"`rotate` in {type(law).__name__}, a system of {channels} channels on a mesh",
        "none",
        "define rotate(self, u, turn): replace the components of each vector by "
        "turn(*components), and copy the rest",
    )
    return Across(law, normal)


class Across(Law):
    """A scalar law along the normals n of faces: the flux is Σ_k n_k F_k(u)."""

    law: Any
    normal: Float[Array, "d f"]

    def flux(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "c *s"]:
        """Σ_k n_k F_k(u)."""
        parts = [n[None] * self.law.flux(u, k) for k, n in enumerate(self.normal)]
        return added(parts)

    def bounds(
        self, u_left: Float[Array, "c *s"], u_right: Float[Array, "c *s"], axis: int = 0
    ) -> tuple[Float[Array, "*s"], Float[Array, "*s"]]:
        """The speeds of both states, or sums of the law's own bounds."""
        if type(self.law).bounds is Law.bounds:
            return super().bounds(u_left, u_right, axis)
        low = jnp.zeros_like(u_left[0])
        high = jnp.zeros_like(u_left[0])
        for k, n in enumerate(self.normal):
            slow, fast = self.law.bounds(u_left, u_right, k)
            low = low + jnp.minimum(n * slow, n * fast)
            high = high + jnp.maximum(n * slow, n * fast)
        return low, high

    def max_speed(self, u: Float[Array, "c *s"], axis: int = 0) -> Float[Array, "*s"]:
        """|Σ_k n_k F_k'(u)|, or a sum of the law's own largest speeds."""
        if type(self.law).max_speed is Law.max_speed:
            return super().max_speed(u, axis)
        parts = [
            jnp.abs(n) * self.law.max_speed(u, k) for k, n in enumerate(self.normal)
        ]
        return added(parts)

    def mirror(self, u: Float[Array, "c *s"], axis: int) -> Float[Array, "c *s"]:
        """The law's own mirror image."""
        return self.law.mirror(u, axis)

    def critical_points(self, axis: int = 0) -> tuple[Float[Array, ""], ...]:
        """The points of every axis where they are the same.

        Raises:
            ValueError: fluxes that turn at other points along other axes.
        """
        first = self.law.critical_points(0)
        known = [concrete(x) for x in first]
        for k in range(1, self.normal.shape[0]):
            other = [concrete(x) for x in self.law.critical_points(k)]
            require(
                known == other,
                "equal critical points along all axes",
                f"{known} and {other}",
                "use rusanov on a mesh",
            )
        return first


def at_faces(law: Any, cut: jax.Array) -> Any:
    """The law with its fields over all faces cut to some of them."""
    return jax.tree.map(lambda x: x[..., cut] if eqx.is_array(x) and x.ndim else x, law)
