"""Maps composed of other maps: sums, products, Kronecker products and blocks."""

from collections.abc import Callable
from functools import reduce
from typing import TypeAlias

import jax
import jax.numpy as jnp

from physcon._checks import require, require_shape
from physcon._numerics.products import gram
from physcon._numerics.small import cholesky
from physcon._typing import Array, Float, Scalar, Shape
from physcon.linear_map.basic import Diagonal, LinearMap, Root, as_root, size
from physcon.linear_map.dense import LowRank

Apply: TypeAlias = Callable[[Array], Array]


def split_fields(x: Float[Array, " n"], shapes: tuple[Shape, ...]) -> list[Array]:
    """Cut a flat concatenation into arrays of the given shapes."""
    fields, start = [], 0
    for shape in shapes:
        stop = start + size(shape)
        fields.append(x[start:stop].reshape(shape))
        start = stop
    return fields


def _flat(pieces: list[Array]) -> Float[Array, " n"]:
    return jnp.concatenate([p.reshape(-1) for p in pieces])


class Sum(Root):
    """A = [A_1 A_2 ...] on the concatenation of the flattened inputs.

    As a root, this is the sum of independent errors, A Aᵀ = Σ_k A_k A_kᵀ. As an
    operator, it is a law for several fields at once, A (x_1, x_2, ...) = Σ_k A_k x_k.
    """

    parts: tuple[LinearMap, ...]

    def __init__(self, *parts: LinearMap):
        self.parts = parts

    def __check_init__(self) -> None:
        shapes = [tuple(p.out_shape) for p in self.parts]
        require(
            len(set(shapes)) == 1, "maps onto one shape", shapes, "reshape the parts"
        )

    @property
    def in_shape(self) -> Shape:
        return (sum(size(p.in_shape) for p in self.parts),)

    @property
    def out_shape(self) -> Shape:
        return self.parts[0].out_shape

    def mv(self, x: Float[Array, " z"]) -> Array:
        require_shape(x, self.in_shape, "the concatenated input")
        pieces = split_fields(x, tuple(p.in_shape for p in self.parts))
        terms = [p.mv(z) for p, z in zip(self.parts, pieces, strict=True)]
        return sum(terms[1:], terms[0])

    def rmv(self, y: Array) -> Float[Array, " z"]:
        return _flat([p.rmv(y) for p in self.parts])

    def magnitude(self, x: Float[Array, " z"]) -> Array:
        pieces = split_fields(x, tuple(p.in_shape for p in self.parts))
        terms = [p.magnitude(z) for p, z in zip(self.parts, pieces, strict=True)]
        return sum(terms[1:], terms[0])

    def gram_diagonal(self) -> Array:
        terms = [as_root(p).gram_diagonal() for p in self.parts]
        return sum(terms[1:], terms[0])

    def unit(self) -> Scalar:
        return jnp.max(jnp.stack([jnp.asarray(as_root(p).unit()) for p in self.parts]))

    def scaled(self, factor: Scalar) -> "Sum":
        return Sum(*(as_root(p).scaled(factor) for p in self.parts))

    def _diagonal_and_vectors(self) -> tuple[Array, Array]:
        """(d, F) of D² + Fᵀ F, the only sum whose density has a closed form."""
        diagonals = [jnp.abs(p.diagonal) for p in self.parts if isinstance(p, Diagonal)]
        vectors = [p.vectors for p in self.parts if isinstance(p, LowRank)]
        if not diagonals or len(diagonals) + len(vectors) < len(self.parts):
            raise NotImplementedError(
                "Sum: a density needs a Diagonal part, and only LowRank parts besides; "
                "draw samples instead"
            )
        empty = jnp.zeros((0, *self.out_shape), diagonals[0].dtype)
        std = reduce(jnp.hypot, diagonals)
        return std, jnp.concatenate([empty, *vectors])

    def _inner_factor(self) -> tuple[Array, Array, Array]:
        """d, F / d, and the Cholesky factor of Woodbury's I + (F / d) (F / d)ᵀ."""
        d, vectors = self._diagonal_and_vectors()
        scaled = vectors / d[None]
        eye = jnp.eye(vectors.shape[0], dtype=d.dtype)
        return d, scaled, cholesky(eye + gram(scaled))

    def covariance_root_rank(self) -> int | Array:
        self._diagonal_and_vectors()
        return size(self.out_shape)

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        d, scaled, factor = self._inner_factor()
        white = e / d
        seen = LowRank(scaled).rmv(white)[:, None]
        seen = jax.lax.linalg.triangular_solve(factor, seen, left_side=True, lower=True)
        return jnp.sum(white**2) - jnp.sum(seen**2)

    def log_volume(self) -> Array:
        d, _, factor = self._inner_factor()
        return jnp.sum(jnp.log(d)) + jnp.sum(jnp.log(jnp.diag(factor)))


class Compose(Root):
    """The product A B, which applies `inner` first and `outer` second.

    A correlation multiplied by a standard deviation is ``Compose(Diagonal(std),
    root)``.
    """

    outer: LinearMap
    inner: LinearMap

    def __check_init__(self) -> None:
        require(
            tuple(self.outer.in_shape) == tuple(self.inner.out_shape),
            f"an inner map onto shape {tuple(self.outer.in_shape)}",
            tuple(self.inner.out_shape),
            "the inner map acts first",
        )

    @property
    def in_shape(self) -> Shape:
        return self.inner.in_shape

    @property
    def out_shape(self) -> Shape:
        return self.outer.out_shape

    def mv(self, x: Array) -> Array:
        return self.outer.mv(self.inner.mv(x))

    def rmv(self, y: Array) -> Array:
        return self.inner.rmv(self.outer.rmv(y))

    def gram_diagonal(self) -> Array:
        if isinstance(self.outer, Diagonal):
            return self.outer.diagonal**2 * as_root(self.inner).gram_diagonal()
        return super().gram_diagonal()

    def magnitude(self, x: Array) -> Array:
        return self.outer.magnitude(self.inner.magnitude(x))

    def unit(self) -> Scalar | float:
        inner = as_root(self.inner).unit()
        if isinstance(self.outer, Diagonal):
            return self.outer.unit() * inner
        return inner

    def scaled(self, factor: Scalar) -> "Compose":
        if isinstance(self.outer, Diagonal):
            return Compose(self.outer.scaled(factor), self.inner)
        return Compose(self.outer, as_root(self.inner).scaled(factor))

    def covariance_root_rank(self) -> int | Array:
        outer, _ = self._square()
        return outer.covariance_root_rank()

    def solve(self, y: Array) -> Array:
        outer, inner = self._square()
        return inner.solve(outer.solve(y))

    def log_volume(self) -> Array:
        outer, inner = self._square()
        return outer.log_volume() + inner.log_volume()

    def _square(self) -> tuple[Root, Root]:
        """Both maps; volumes multiply because the inner range is its whole space."""
        outer, inner = as_root(self.outer), as_root(self.inner)
        rank = inner.covariance_root_rank()
        if not isinstance(rank, int) or rank < size(outer.in_shape):
            raise NotImplementedError(
                "Compose: no density for an inner map without full range; draw samples "
                "instead"
            )
        return outer, inner


class Kronecker(Root):
    """left ⊗ right on fields ``(*left, *right)``, for example time ⊗ space.

    Nest it for more factors. Variances multiply: (L Lᵀ) ⊗ (R Rᵀ) = (L ⊗ R)(L ⊗ R)ᵀ. The
    cost is one map per line, without an n-by-n array.
    """

    left: Root
    right: Root

    @property
    def in_shape(self) -> Shape:
        return (*self.left.in_shape, *self.right.in_shape)

    @property
    def out_shape(self) -> Shape:
        return (*self.left.out_shape, *self.right.out_shape)

    def mv(self, x: Array) -> Array:
        require_shape(x, self.in_shape, "the latent field")
        return _each(self.left.mv, self.right.mv, x, len(self.left.in_shape))

    def rmv(self, y: Array) -> Array:
        require_shape(y, self.out_shape, "the field")
        return _each(self.left.rmv, self.right.rmv, y, len(self.left.out_shape))

    def gram_diagonal(self) -> Array:
        return jnp.multiply.outer(self.left.gram_diagonal(), self.right.gram_diagonal())

    def unit(self) -> Scalar | float:
        return self.left.unit() * self.right.unit()

    def scaled(self, factor: Scalar) -> "Kronecker":
        return Kronecker(self.left.scaled(factor), self.right)

    def covariance_root_rank(self) -> int | Array:
        return self.left.covariance_root_rank() * self.right.covariance_root_rank()

    def solve(self, y: Array) -> Array:
        return _each(self.left.solve, self.right.solve, y, len(self.left.out_shape))

    def log_volume(self) -> Array:
        left = self.left.covariance_root_rank()
        right = self.right.covariance_root_rank()
        return right * self.left.log_volume() + left * self.right.log_volume()


def _each(left: Apply, right: Apply, x: Array, split: int) -> Array:
    """Apply `right` along the trailing axes of x, then `left` along the first ones."""
    lead, trail = x.shape[:split], x.shape[split:]
    y = jax.vmap(right)(x.reshape(-1, *trail))
    tail = y.shape[1:]
    y = jnp.moveaxis(y.reshape(*lead, -1), -1, 0)
    z = jax.vmap(left)(y)
    return jnp.moveaxis(z, 0, -1).reshape(*z.shape[1:], *tail)


class BlockDiagonal(Root):
    """Independent fields, flattened and concatenated, such as u and its fluxes."""

    parts: tuple[Root, ...]

    def __init__(self, *parts: LinearMap):
        self.parts = tuple(as_root(p) for p in parts)

    @property
    def in_shape(self) -> Shape:
        return (sum(size(p.in_shape) for p in self.parts),)

    @property
    def out_shape(self) -> Shape:
        return (sum(size(p.out_shape) for p in self.parts),)

    def mv(self, x: Float[Array, " z"]) -> Float[Array, " n"]:
        require_shape(x, self.in_shape, "the concatenated latent")
        pieces = split_fields(x, tuple(p.in_shape for p in self.parts))
        return _flat([p.mv(z) for p, z in zip(self.parts, pieces, strict=True)])

    def rmv(self, y: Float[Array, " n"]) -> Float[Array, " z"]:
        return _flat([p.rmv(f) for p, f in zip(self.parts, self.split(y), strict=True)])

    def split(self, y: Float[Array, " n"]) -> list[Array]:
        """Cut a concatenated array into its fields."""
        require_shape(y, self.out_shape, "the concatenated field")
        return split_fields(y, tuple(p.out_shape for p in self.parts))

    def magnitude(self, x: Float[Array, " z"]) -> Float[Array, " n"]:
        pieces = split_fields(x, tuple(p.in_shape for p in self.parts))
        return _flat([p.magnitude(z) for p, z in zip(self.parts, pieces, strict=True)])

    def gram_diagonal(self) -> Float[Array, " n"]:
        return _flat([p.gram_diagonal() for p in self.parts])

    def unit(self) -> Scalar:
        return jnp.max(jnp.stack([jnp.asarray(p.unit()) for p in self.parts]))

    def scaled(self, factor: Scalar) -> "BlockDiagonal":
        return BlockDiagonal(*(p.scaled(factor) for p in self.parts))

    def covariance_root_rank(self) -> int | Array:
        return sum(p.covariance_root_rank() for p in self.parts)

    def solve(self, y: Float[Array, " n"]) -> Float[Array, " z"]:
        return _flat(
            [p.solve(f) for p, f in zip(self.parts, self.split(y), strict=True)]
        )

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        fields = zip(self.parts, self.split(e), self.split(scale), strict=True)
        return sum((p.mahalanobis(f, s) for p, f, s in fields), jnp.zeros((), e.dtype))

    def log_volume(self) -> Array:
        terms = [p.log_volume() for p in self.parts]
        return sum(terms[1:], terms[0])
