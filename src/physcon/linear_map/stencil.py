"""Local maps, in which each output depends on a few neighbours; O(n) to apply."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require, require_shape
from physcon._typing import Array, ArrayLike, Float, Shape
from physcon.linear_map.basic import LinearMap


class Stencil(LinearMap):
    """(A u)_i = Σ_k coefficients_k[i] u_{i + offsets_k}, with u = 0 outside its array.

    Attributes:
        coefficients: one value per offset and output, ``(k, *y)``.
        offsets: one tuple per term, with an integer per axis.
        field_shape: shape of u, ``(*x)``, with as many axes as the output.
    """

    coefficients: Float[Array, "k *y"]
    offsets: tuple[tuple[int, ...], ...] = eqx.field(static=True)
    field_shape: Shape = eqx.field(static=True)

    def __check_init__(self) -> None:
        require(
            len(self.offsets) == self.coefficients.shape[0],
            "one offset per coefficient array",
            f"{len(self.offsets)} for {self.coefficients.shape[0]}",
            "put the term axis first",
        )
        ndim = len(self.field_shape)
        require(
            self.coefficients.ndim == ndim + 1
            and all(len(o) == ndim for o in self.offsets),
            f"{ndim} axes in outputs and offsets, as in the field",
            f"{self.coefficients.ndim - 1} axes, offsets {self.offsets}",
            "give an offset per axis",
        )

    @property
    def in_shape(self) -> Shape:
        return self.field_shape

    @property
    def out_shape(self) -> Shape:
        return self.coefficients.shape[1:]

    def _padding(self) -> tuple[tuple[int, int], ...]:
        """Width of the zero padding per axis that keeps every shifted window inside."""
        sizes = zip(
            self.field_shape,
            self.out_shape,
            zip(*self.offsets, strict=True),
            strict=True,
        )
        return tuple((max(0, -min(o)), max(0, max(o) + m - n)) for n, m, o in sizes)

    def mv(self, x: Float[Array, "*x"]) -> Float[Array, "*y"]:
        require_shape(x, self.in_shape, "the field")
        padding = self._padding()
        padded = jnp.pad(x, padding)
        total = jnp.zeros(self.out_shape, x.dtype)
        for c, offset in zip(self.coefficients, self.offsets, strict=True):
            starts = [o + p[0] for o, p in zip(offset, padding, strict=True)]
            window = tuple(
                slice(s, s + m) for s, m in zip(starts, self.out_shape, strict=True)
            )
            total = total + c * padded[window]
        return total

    def magnitude(self, x: Float[Array, "*x"]) -> Float[Array, "*y"]:
        size = Stencil(jnp.abs(self.coefficients), self.offsets, self.field_shape)
        return size.mv(jnp.abs(x))

    def rmv(self, y: Float[Array, "*y"]) -> Float[Array, "*x"]:
        require_shape(y, self.out_shape, "the row values")
        total = jnp.zeros(self.in_shape, y.dtype)
        for c, offset in zip(self.coefficients, self.offsets, strict=True):
            # Negative padding cuts off the part outside the field.
            ends = zip(offset, self.in_shape, self.out_shape, strict=True)
            total = total + _shifted(c * y, [(o, n - m - o) for o, n, m in ends])
        return total


class Difference(LinearMap):
    """Net outflow of each cell along an axis: (A q)_i = (area q)_{i+1} - (area q)_i.

    Attributes:
        area: factor of each face value, with the shape of the field, ``(*x)``.
        axis: the axis along which the faces separate the cells.
        ends: whether the field holds the first and the last face of the axis. A missing
            face counts as zero; its flux belongs to the right-hand side of the
            constraint.
        periodic: whether face 0 is also the last face; `ends` is then ignored.
    """

    area: Float[Array, "*x"]
    axis: int = eqx.field(static=True, default=0)
    ends: tuple[bool, bool] = eqx.field(static=True, default=(True, True))
    periodic: bool = eqx.field(static=True, default=False)

    @property
    def in_shape(self) -> Shape:
        return self.area.shape

    @property
    def out_shape(self) -> Shape:
        shape = list(self.area.shape)
        shape[self.axis] += 0 if self.periodic else 1 - sum(self.ends)
        return tuple(shape)

    def with_area(self, area: ArrayLike) -> "Difference":
        """The same differences with another factor of the face values."""
        area = jnp.broadcast_to(jnp.asarray(area, self.area.dtype), self.area.shape)
        return Difference(area, self.axis, self.ends, self.periodic)

    def _pad(self, x: Array, low: bool, high: bool) -> Array:
        widths = [(0, 0)] * x.ndim
        widths[self.axis] = (int(low), int(high))
        return jnp.pad(x, widths)

    def with_both_ends(self, x: Float[Array, "*x"]) -> Array:
        """Face values with zeros for a missing first or last face."""
        return self._pad(x, not self.ends[0], not self.ends[1])

    def mv(self, x: Float[Array, "*x"]) -> Float[Array, "*y"]:
        require_shape(x, self.in_shape, "the face values")
        x = self.area * x
        if self.periodic:
            return jnp.roll(x, -1, self.axis) - x
        return jnp.diff(self.with_both_ends(x), axis=self.axis)

    def rmv(self, y: Float[Array, "*y"]) -> Float[Array, "*x"]:
        require_shape(y, self.out_shape, "the cell values")
        if self.periodic:
            return self.area * (jnp.roll(y, 1, self.axis) - y)
        return -self.area * jnp.diff(self._pad(y, *self.ends), axis=self.axis)

    def magnitude(self, x: Float[Array, "*x"]) -> Float[Array, "*y"]:
        return self.both_sides(jnp.abs(self.area * x))

    def both_sides(self, w: Float[Array, "*x"]) -> Float[Array, "*y"]:
        """w_i + w_{i+1} over the two faces of each cell, the diagonal of D w Dᵀ."""
        if self.periodic:
            return jnp.roll(w, -1, self.axis) + w
        n = self.out_shape[self.axis]
        w = self.with_both_ends(w)
        low = jax.lax.slice_in_dim(w, 0, n, axis=self.axis)
        return low + jax.lax.slice_in_dim(w, 1, n + 1, axis=self.axis)


def _shifted(x: Array, padding: list[tuple[int, int]]) -> Array:
    """Pad `x` with zeros; a negative width cuts."""
    for axis, (low, high) in enumerate(padding):
        stop = x.shape[axis] + min(high, 0)
        x = (
            jnp.take(x, jnp.arange(max(-low, 0), stop), axis=axis)
            if low < 0 or high < 0
            else x
        )
        widths = [(0, 0)] * x.ndim
        widths[axis] = (max(low, 0), max(high, 0))
        x = jnp.pad(x, widths)
    return x
