"""Maps of a field that is divided among devices, for use inside `jax.shard_map` only.

Each device holds its block of the field. Every device holds all row values of
`DividedRows`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require_shape
from physcon._mesh import shifted
from physcon._numerics.products import combine, inner, inner_and_size
from physcon._typing import Array, Float, PyTree, Scalar, Shape
from physcon.linear_map.basic import DividedMap, LinearMap, Root


class DividedRows(DividedMap):
    """A few dense rows, (G u)_r = Σ_devices Σ weights_r u.

    Attributes:
        weights: the weights of all rows on the block of this device.
    """

    weights: Float[Array, "m *x"]
    mesh_axes: tuple[str, ...] = eqx.field(static=True)

    @property
    def in_shape(self) -> Shape:
        return self.weights.shape[1:]

    @property
    def out_shape(self) -> Shape:
        return self.weights.shape[:1]

    def mv(self, x: Float[Array, "*x"]) -> Float[Array, " m"]:
        return self.total(inner(self.weights, x))

    def rmv(self, y: Float[Array, " m"]) -> Float[Array, "*x"]:
        return combine(y, self.weights)

    def rows(self) -> Float[Array, "m *x"]:
        return self.weights

    def magnitude(self, x: Float[Array, "*x"]) -> Float[Array, " m"]:
        return self.total(inner(jnp.abs(self.weights), jnp.abs(x)))

    def measured(self, x: Float[Array, "*x"]) -> tuple[Array, Array]:
        return self.total(inner_and_size(self.weights, x))

    def total(self, x: PyTree) -> PyTree:
        return jax.lax.psum(x, self.mesh_axes)


class DividedLowRank(Root):
    """A z = D^{-1/2} Σ_devices Σ_r z_r vectors_r, with separate latents on each device.

    This is the root F of r fields. With D devices and independent latents, A Aᵀ = F Fᵀ,
    and all inner products of latents are sums over devices, as for a divided field.
    """

    vectors: Float[Array, "r *x"]
    mesh_axes: tuple[str, ...] = eqx.field(static=True)

    @property
    def in_shape(self) -> Shape:
        return self.vectors.shape[:1]

    @property
    def out_shape(self) -> Shape:
        return self.vectors.shape[1:]

    def mv(self, x: Float[Array, " r"]) -> Float[Array, "*x"]:
        return combine(self._shared(x), self.vectors)

    def rmv(self, y: Float[Array, "*x"]) -> Float[Array, " r"]:
        return self._shared(inner(self.vectors, y))

    def gram_diagonal(self) -> Float[Array, "*x"]:
        return jnp.sum(self.vectors**2, axis=0)

    def scaled(self, factor: Scalar) -> "DividedLowRank":
        return DividedLowRank(factor * self.vectors, self.mesh_axes)

    def _shared(self, z: Array) -> Array:
        return (
            jax.lax.psum(z, self.mesh_axes) * jax.lax.axis_size(self.mesh_axes) ** -0.5
        )


class DividedDifference(LinearMap):
    """`Difference` along a divided axis.

    A block of n cells holds all of its n + 1 faces. Both neighbouring blocks hold the
    faces at a seam, with equal values. A face whose flux is known has area 0.
    """

    area: Float[Array, "*x"]
    axis: int = eqx.field(static=True)
    mesh_axis: str = eqx.field(static=True)
    periodic: bool = eqx.field(static=True)

    @property
    def in_shape(self) -> Shape:
        return self.area.shape

    @property
    def out_shape(self) -> Shape:
        return tuple(n - (k == self.axis) for k, n in enumerate(self.area.shape))

    def mv(self, x: Float[Array, "*x"]) -> Float[Array, "*y"]:
        require_shape(x, self.in_shape, "the face values")
        return jnp.diff(self.area * x, axis=self.axis)

    def magnitude(self, x: Float[Array, "*x"]) -> Float[Array, "*y"]:
        size = jnp.moveaxis(jnp.abs(self.area * x), self.axis, 0)
        return jnp.moveaxis(size[1:] + size[:-1], 0, self.axis)

    def rmv(self, y: Float[Array, "*y"]) -> Float[Array, "*x"]:
        n = y.shape[self.axis]
        name = self.mesh_axis
        first = jax.lax.slice_in_dim(y, 0, 1, axis=self.axis)
        last = jax.lax.slice_in_dim(y, n - 1, n, axis=self.axis)
        before = shifted(last, name, 1, self.periodic)
        after = shifted(first, name, -1, self.periodic)
        return -self.area * jnp.diff(
            jnp.concatenate([before, y, after], self.axis), axis=self.axis
        )
