"""Independent fields side by side, flattened and concatenated."""

import jax.numpy as jnp

from physcon._checks import require_shape
from physcon._typing import Array, Float, Scalar, Shape
from physcon.linear_map.basic import LinearMap, Root, as_root, size


def split_fields(x: Float[Array, " n"], shapes: tuple[Shape, ...]) -> list[Array]:
    """Cut a flat concatenation into arrays of the given shapes."""
    fields = []
    start = 0
    for shape in shapes:
        stop = start + size(shape)
        fields.append(x[start:stop].reshape(shape))
        start = stop
    return fields


def concatenated(pieces: list[Array]) -> Float[Array, " n"]:
    """The arrays, flattened, one after another."""
    return jnp.concatenate([p.reshape(-1) for p in pieces])


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
        return concatenated([p.mv(z) for p, z in zip(self.parts, pieces, strict=True)])

    def rmv(self, y: Float[Array, " n"]) -> Float[Array, " z"]:
        return concatenated(
            [p.rmv(f) for p, f in zip(self.parts, self.split(y), strict=True)]
        )

    def split(self, y: Float[Array, " n"]) -> list[Array]:
        """Cut a concatenated array into its fields."""
        require_shape(y, self.out_shape, "the concatenated field")
        return split_fields(y, tuple(p.out_shape for p in self.parts))

    def magnitude(self, x: Float[Array, " z"]) -> Float[Array, " n"]:
        pieces = split_fields(x, tuple(p.in_shape for p in self.parts))
        return concatenated(
            [p.magnitude(z) for p, z in zip(self.parts, pieces, strict=True)]
        )

    def gram_diagonal(self) -> Float[Array, " n"]:
        return concatenated([p.gram_diagonal() for p in self.parts])

    def unit(self) -> Scalar:
        return jnp.max(jnp.stack([jnp.asarray(p.unit()) for p in self.parts]))

    def scaled(self, factor: Scalar) -> "BlockDiagonal":
        return BlockDiagonal(*(p.scaled(factor) for p in self.parts))

    def covariance_root_rank(self) -> int | Array:
        return sum(p.covariance_root_rank() for p in self.parts)

    def solve(self, y: Float[Array, " n"]) -> Float[Array, " z"]:
        return concatenated(
            [p.solve(f) for p, f in zip(self.parts, self.split(y), strict=True)]
        )

    def mahalanobis(self, e: Array, scale: Array) -> Array:
        fields = zip(self.parts, self.split(e), self.split(scale), strict=True)
        return sum((p.mahalanobis(f, s) for p, f, s in fields), jnp.zeros((), e.dtype))

    def log_volume(self) -> Array:
        terms = [p.log_volume() for p in self.parts]
        return sum(terms[1:], terms[0])
