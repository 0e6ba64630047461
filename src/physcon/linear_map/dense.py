"""Roots stored as arrays: a square matrix on the flattened field, or a few vectors."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require, require_shape
from physcon._numerics.blocked import LONG, combined_squares
from physcon._numerics.products import combine, gram, inner
from physcon._typing import Array, Float, Scalar, Shape
from physcon.linear_map.basic import ROUNDING, Root, size


class Dense(Root):
    """A square matrix on the flattened field, such as a Cholesky factor.

    Attributes:
        matrix: ``(n, n)``, where n is the size of a field of `shape`.
        lower: whether the matrix is lower triangular; the density then costs O(n²)
            instead of O(n³).
    """

    matrix: Float[Array, "n n"]
    shape: Shape = eqx.field(static=True)
    lower: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        n = size(self.shape)
        require(
            self.matrix.shape == (n, n),
            f"a matrix of shape {(n, n)} for fields of shape {self.shape}",
            self.matrix.shape,
            "use LowRank for a root with fewer columns",
        )

    @property
    def in_shape(self) -> Shape:
        return self.shape

    @property
    def out_shape(self) -> Shape:
        return self.shape

    def mv(self, x: Float[Array, "*x"]) -> Float[Array, "*x"]:
        require_shape(x, self.shape, "the latent field")
        y = jnp.matmul(self.matrix, x.reshape(-1), precision="highest")
        return y.reshape(self.shape)

    def rmv(self, y: Float[Array, "*x"]) -> Float[Array, "*x"]:
        require_shape(y, self.shape, "the field")
        x = jnp.matmul(y.reshape(-1), self.matrix, precision="highest")
        return x.reshape(self.shape)

    def rows(self) -> Float[Array, "m *x"]:
        return self.matrix.reshape(-1, *self.shape)

    def gram_diagonal(self) -> Float[Array, "*x"]:
        return jnp.sum(self.matrix**2, axis=1).reshape(self.shape)

    def unit(self) -> Scalar:
        return jnp.max(jnp.abs(self.matrix))

    def scaled(self, factor: Scalar) -> "Dense":
        return Dense(factor * self.matrix, self.shape, self.lower)

    def covariance_root_rank(self) -> int | Array:
        return self.matrix.shape[0]

    def solve(self, y: Float[Array, "*x"]) -> Float[Array, "*x"]:
        y = y.reshape(-1, 1)
        if self.lower:
            x = jax.lax.linalg.triangular_solve(
                self.matrix, y, left_side=True, lower=True
            )
        else:
            x = jnp.linalg.solve(self.matrix, y)
        return x.reshape(self.shape)

    def log_volume(self) -> Array:
        if self.lower:
            return jnp.sum(jnp.log(jnp.abs(jnp.diag(self.matrix))))
        return jnp.linalg.slogdet(self.matrix)[1]


class LowRank(Root):
    """A z = Σ_r z_r vectors_r, with r fields ``(r, *x)`` that span the errors; O(n r).

    The density, which is defined on the span, needs independent vectors.
    """

    vectors: Float[Array, "r *x"]

    def __check_init__(self) -> None:
        require(
            self.vectors.ndim >= 2,
            "vectors of shape (r, *x)",
            self.vectors.shape,
            "put the vector axis first: vectors[None] for one vector",
        )

    @property
    def in_shape(self) -> Shape:
        return self.vectors.shape[:1]

    @property
    def out_shape(self) -> Shape:
        return self.vectors.shape[1:]

    def mv(self, x: Float[Array, " r"]) -> Float[Array, "*x"]:
        require_shape(x, self.in_shape, "the latent vector")
        return combine(x, self.vectors)

    def rmv(self, y: Float[Array, "*x"]) -> Float[Array, " r"]:
        require_shape(y, self.out_shape, "the field")
        return inner(self.vectors, y)

    def rows(self) -> Float[Array, "m *x"]:
        return jnp.moveaxis(self.vectors, 0, -1).reshape(-1, self.vectors.shape[0])

    def gram_diagonal(self) -> Float[Array, "*x"]:
        return jnp.sum(self.vectors**2, axis=0)

    def gram_diagonal_in_blocks(
        self, b: Float[Array, "k r"] | None
    ) -> Float[Array, "*x"] | None:
        vectors = self.vectors
        if size(self.out_shape) < LONG or vectors.dtype != jnp.float64:
            return None
        b = jnp.zeros((0, vectors.shape[0]), vectors.dtype) if b is None else b
        flat = vectors.reshape(vectors.shape[0], -1)
        found = jax.lax.platform_dependent(
            b,
            flat,
            cpu=lambda b, v: combined_squares(b, v.astype(jnp.float32)),
            default=lambda b, v: jnp.sum(v**2, axis=0) - jnp.sum((b @ v) ** 2, axis=0),
        )
        return found.reshape(self.out_shape)

    def unit(self) -> Scalar:
        return jnp.max(jnp.abs(self.vectors), initial=0)

    def scaled(self, factor: Scalar) -> "LowRank":
        return LowRank(factor * self.vectors)

    def covariance_root_rank(self) -> int | Array:
        return min(self.vectors.shape[0], self.vectors[0].size)

    def _coordinates(self, y: Float[Array, "*x"]) -> Float[Array, " r"]:
        """Coordinates of the point of the span nearest to y, (F Fᵀ)⁻¹ F y."""
        return jnp.linalg.solve(gram(self.vectors), self.rmv(y)[:, None])[:, 0]

    def tangential(self, rows: Float[Array, "m *x"]) -> Float[Array, "m *x"]:
        return jax.vmap(lambda row: self.mv(self._coordinates(row)))(rows)

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        z = self._coordinates(e)
        size = scale + combine(jnp.abs(z), jnp.abs(self.vectors))
        off = jnp.abs(e - self.mv(z)) > ROUNDING * size
        return jnp.where(jnp.any(off), jnp.inf, jnp.sum(z**2))

    def log_volume(self) -> Array:
        return 0.5 * jnp.linalg.slogdet(gram(self.vectors))[1]
