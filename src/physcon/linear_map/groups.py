"""Disjoint groups of the points of a field: blocks of a grid, or labelled regions."""

import abc
import math
from collections.abc import Callable, Sequence
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require_shape
from physcon._derivative_rules import WithDerivative
from physcon._typing import Array, Int, Shape


class Groups(eqx.Module):
    """A partition of some of the points; each point belongs to one group at most."""

    @property
    @abc.abstractmethod
    def in_shape(self) -> Shape:
        """Shape of the field."""

    @property
    @abc.abstractmethod
    def out_shape(self) -> Shape:
        """Shape of an array with one value per group."""

    @abc.abstractmethod
    def total(self, x: Array) -> Array:
        """The sum of x over each group."""

    def total_of(
        self, fn: Callable[..., Array], fields: Sequence[Array], *values: Array
    ) -> Array:
        """The sums over each group of ``fn(*fields, *values)``, without that field.

        Args:
            fn: elementwise; a function of a module, which has a hash.
            fields: ``(*x)``.
            values: one per group.
        """
        return self.total(fn(*fields, *map(self.spread, values)))

    @abc.abstractmethod
    def spread(self, y: Array) -> Array:
        """At every point the value of its group; zero outside of all groups."""

    def columns(self) -> "Columns | None":
        """Groups of equal size as the columns of an array; None for others."""
        return None

    @abc.abstractmethod
    def labels(self) -> Int[Array, "*x"]:
        """The number of every point's group in the flattened `out_shape`, -1: none."""


class Labelled(Groups):
    """Groups given by one label per point; labels outside of 0 to count - 1 are none.

    Attributes:
        label: ``(*x)``.
        count: the number of groups.
    """

    label: Int[Array, "*x"]
    count: int = eqx.field(static=True)

    @property
    def in_shape(self) -> Shape:
        return self.label.shape

    @property
    def out_shape(self) -> Shape:
        return (self.count,)

    def total(self, x: Array) -> Array:
        index = self._index().reshape(-1)
        sums = jax.ops.segment_sum(x.reshape(-1), index, self.count + 1)
        return sums[: self.count]

    def spread(self, y: Array) -> Array:
        return jnp.append(y, jnp.zeros(1, y.dtype))[self._index()]

    def labels(self) -> Int[Array, "*x"]:
        inside = (self.label >= 0) & (self.label < self.count)
        return jnp.where(inside, self.label, -1)

    def _index(self) -> Int[Array, "*x"]:
        """The label, or `count` outside of all groups."""
        label = self.labels()
        return jnp.where(label < 0, self.count, label)


class Blocks(Groups):
    """Blocks of `factor` points along each axis; the last one may hold fewer."""

    shape: Shape = eqx.field(static=True)
    factor: Shape = eqx.field(static=True)

    @property
    def in_shape(self) -> Shape:
        return self.shape

    @property
    def out_shape(self) -> Shape:
        return tuple(-(-n // k) for n, k in zip(self.shape, self.factor, strict=True))

    def cut(self) -> list[int]:
        """Number of blocks and points per block, axis after axis."""
        pairs = zip(self.out_shape, self.factor, strict=True)
        return [n for pair in pairs for n in pair]

    def total(self, x: Array) -> Array:
        require_shape(x, self.shape, "the field")
        within = tuple(range(1, 2 * len(self.shape), 2))
        return jnp.sum(self.padded(x).reshape(self.cut()), axis=within)

    def total_of(
        self, fn: Callable[..., Array], fields: Sequence[Array], *values: Array
    ) -> Array:
        return _sums(self, fn, tuple(fields), values)

    def padded(self, x: Array) -> Array:
        """x with zeros (False) that complete the last blocks."""
        ends = zip(self.shape, self.out_shape, self.factor, strict=True)
        missing = [(0, blocks * k - n) for n, blocks, k in ends]
        return jnp.pad(x, missing) if any(m for _, m in missing) else x

    def spread(self, y: Array) -> Array:
        require_shape(y, self.out_shape, "the values of the blocks")
        cut = self.cut()
        thin = [n for blocks in self.out_shape for n in (blocks, 1)]
        whole = jnp.broadcast_to(y.reshape(thin), cut)
        padded = [b * k for b, k in zip(self.out_shape, self.factor, strict=True)]
        return whole.reshape(padded)[tuple(slice(0, n) for n in self.shape)]

    def columns(self) -> "Columns":
        return Columns(self)

    def labels(self) -> Int[Array, "*x"]:
        count = math.prod(self.out_shape)
        numbers = jnp.arange(count).reshape(self.out_shape)
        return self.spread(numbers)


@partial(WithDerivative, static=(0, 1))
@partial(jax.jit, static_argnums=(0, 1))
def _sums(
    blocks: Blocks, fn: Callable[..., Array], fields: tuple, values: tuple
) -> Array:
    """As `Groups.total_of`, with the terms computed where they are added.

    XLA's library for sums reads its terms from memory: four fields in float64 for one
    conditioning. It is not used for a sum and a maximum together.
    """
    terms = blocks.padded(fn(*fields, *map(blocks.spread, values)))
    terms = terms.reshape(blocks.cut())

    def both(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
        return a[0] + b[0], jnp.maximum(a[1], b[1])

    zero = np.zeros((), terms.dtype)
    within = tuple(range(1, terms.ndim, 2))
    total, largest = jax.lax.reduce((terms, terms), (zero, zero), both, within)
    # The maximum is used, but changes nothing: the sum is NaN where it is NaN.
    return jnp.where(jnp.isnan(largest), jnp.nan, total)


@_sums.defjvp
def _(
    blocks: Blocks, fn: Callable[..., Array], primals: tuple, tangents: tuple
) -> tuple[Array, Array]:
    def summed(fields: tuple, values: tuple) -> Array:
        return Groups.total_of(blocks, fn, fields, *values)

    _, moved = jax.jvp(summed, primals, tangents)
    return _sums(blocks, fn, *primals), moved


class Columns(Groups):
    """The groups of `blocks` as the columns of an array ``(points, *groups)``.

    Sums over the first axis and its broadcasts are several times as fast as those over
    blocks, whose points are apart in memory.
    """

    blocks: Blocks

    @property
    def in_shape(self) -> Shape:
        return (math.prod(self.blocks.factor), *self.out_shape)

    @property
    def out_shape(self) -> Shape:
        return self.blocks.out_shape

    def total(self, x: Array) -> Array:
        return jnp.sum(x, axis=0)

    def spread(self, y: Array) -> Array:
        return jnp.broadcast_to(y[None], self.in_shape)

    def labels(self) -> Int[Array, "*x"]:
        return self.gathered(self.blocks.labels())

    def gathered(self, x: Array) -> Array:
        """A field in columns, completed by zeros."""
        d = len(self.blocks.shape)
        within = tuple(range(1, 2 * d, 2))
        apart = self.blocks.padded(x).reshape(self.blocks.cut())
        return apart.transpose(*within, *range(0, 2 * d, 2)).reshape(self.in_shape)

    def scattered(self, x: Array) -> Array:
        """The field of these columns."""
        d = len(self.blocks.shape)
        apart = x.reshape(*self.blocks.factor, *self.out_shape)
        order = [a for axis in range(d) for a in (d + axis, axis)]
        cut = self.blocks.cut()
        padded = [cut[2 * i] * cut[2 * i + 1] for i in range(d)]
        whole = apart.transpose(order).reshape(padded)
        return whole[tuple(slice(0, n) for n in self.blocks.shape)]
