"""Maps held as arrays: a square matrix on the flattened field, and a few vectors that span it."""

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require, require_shape
from physcon._linalg import combine, gram, inner
from physcon._typing import Array, Float, Shape
from physcon.linear_map.basic import LinearMap


class Dense(LinearMap):
    """A square matrix on the flattened field: a Cholesky factor of the covariance, or any root.

    Attributes:
        matrix: ``(n, n)``, n the size of a field of `shape`.
        lower: the matrix is lower triangular: its density costs O(n²), not O(n³).
    """

    matrix: Float[Array, "n n"]
    shape: Shape = eqx.field(static=True)
    lower: bool = eqx.field(static=True, default=False)

    def __check_init__(self) -> None:
        size = 1
        for n in self.shape:
            size *= n
        require(
            self.matrix.shape == (size, size),
            f"a matrix of shape {(size, size)} for fields of shape {self.shape}",
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
        return jnp.matmul(self.matrix, x.reshape(-1), precision="highest").reshape(self.shape)

    def rmv(self, y: Float[Array, "*x"]) -> Float[Array, "*x"]:
        require_shape(y, self.shape, "the field")
        return jnp.matmul(y.reshape(-1), self.matrix, precision="highest").reshape(self.shape)

    def rows(self) -> Float[Array, "m *x"]:
        return self.matrix.reshape(-1, *self.shape)

    def gram_diagonal(self) -> Float[Array, "*x"]:
        return jnp.sum(self.matrix**2, axis=1).reshape(self.shape)

    def covariance_root_rank(self) -> int | Array:
        return self.matrix.shape[0]

    def solve(self, y: Float[Array, "*x"]) -> Float[Array, "*x"]:
        y = y.reshape(-1, 1)
        if self.lower:
            x = jax.lax.linalg.triangular_solve(self.matrix, y, left_side=True, lower=True)
        else:
            x = jnp.linalg.solve(self.matrix, y)
        return x.reshape(self.shape)

    def log_volume(self) -> Array:
        if self.lower:
            return jnp.sum(jnp.log(jnp.abs(jnp.diag(self.matrix))))
        return jnp.linalg.slogdet(self.matrix)[1]


class LowRank(LinearMap):
    """A z = Σ_r z_r vectors_r: r fields ``(r, *x)`` that span the errors; O(n r).

    The density, on the span, needs independent vectors.
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

    def covariance_root_rank(self) -> int | Array:
        return min(self.vectors.shape[0], self.vectors[0].size)

    def normals(self) -> Float[Array, "k *x"]:
        raise NotImplementedError(
            "LowRank: a constrained low-rank prior has no cheap density; "
            "add a Diagonal, or ask for samples"
        )

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        # eᵀ (Fᵀ F)⁺ e = |c|² with c = F⁺ᵀ e the coordinates of e, e = Fᵀ c on the span.
        c = jnp.linalg.solve(gram(self.vectors), self.rmv(e)[:, None])[:, 0]
        rounding = 8 * jnp.finfo(jnp.float32).eps * scale
        on_span = jnp.all(
            jnp.abs(e - self.mv(c)) <= rounding + jnp.sqrt(self.gram_diagonal()) * 1e-6
        )
        return jnp.where(on_span, jnp.sum(c**2), jnp.inf)

    def log_volume(self) -> Array:
        return 0.5 * jnp.linalg.slogdet(gram(self.vectors))[1]
