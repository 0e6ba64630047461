"""Maps composed of other maps: sums and products."""

from functools import reduce

import jax
import jax.numpy as jnp

from physcon._arguments import check_fields
from physcon._checks import require, require_shape
from physcon._numerics.products import gram
from physcon._numerics.small import cholesky
from physcon._typing import Array, Float, Scalar, Shape
from physcon.linear_map.basic import LinearMap, Root, as_root, size
from physcon.linear_map.blocks import concatenated, split_fields
from physcon.linear_map.dense import LowRank
from physcon.linear_map.diagonal import Diagonal


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
            len(set(shapes)) == 1,
            "maps onto one shape",
            shapes,
            "reshape the outputs of the parts",
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
        return concatenated([p.rmv(y) for p in self.parts])

    def magnitude(self, x: Float[Array, " z"]) -> Array:
        pieces = split_fields(x, tuple(p.in_shape for p in self.parts))
        terms = [p.magnitude(z) for p, z in zip(self.parts, pieces, strict=True)]
        return sum(terms[1:], terms[0])

    def gram_diagonal(self) -> Array:
        terms = [as_root(p).gram_diagonal() for p in self.parts]
        return sum(terms[1:], terms[0])

    def gram_diagonal_in_blocks(self, b: Array | None) -> Array | None:
        if b is not None:
            return None
        roots = [as_root(p) for p in self.parts]
        terms = [root.gram_diagonal_in_blocks(None) for root in roots]
        if all(term is None for term in terms):
            return None
        pairs = zip(terms, roots, strict=True)
        found = [root.gram_diagonal() if x is None else x for x, root in pairs]
        return sum(found[1:], found[0])

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
                "Sum: a density needs Diagonal and LowRank parts, at least one of them "
                "Diagonal; draw samples instead"
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
        check_fields(self)
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
        return as_root(self.outer).unit() * as_root(self.inner).unit()

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
        outer = as_root(self.outer)
        inner = as_root(self.inner)
        rank = inner.covariance_root_rank()
        if not isinstance(rank, int) or rank < size(outer.in_shape):
            raise NotImplementedError(
                "Compose: no density for an inner map without full range; draw samples "
                "instead"
            )
        return outer, inner
