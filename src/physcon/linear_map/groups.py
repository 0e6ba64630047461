"""Disjoint groups of the points of a field: blocks of a grid, or labelled regions."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require_shape
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

    @abc.abstractmethod
    def spread(self, y: Array) -> Array:
        """At every point the value of its group; zero outside of all groups."""

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

    def _cut(self) -> list[int]:
        """Number of blocks and points per block, axis after axis."""
        pairs = zip(self.out_shape, self.factor, strict=True)
        return [n for pair in pairs for n in pair]

    def total(self, x: Array) -> Array:
        require_shape(x, self.shape, "the field")
        ends = zip(self.shape, self.out_shape, self.factor, strict=True)
        missing = [(0, blocks * k - n) for n, blocks, k in ends]
        whole = jnp.pad(x, missing) if any(m for _, m in missing) else x
        within = tuple(range(1, 2 * len(self.shape), 2))
        return jnp.sum(whole.reshape(self._cut()), axis=within)

    def spread(self, y: Array) -> Array:
        require_shape(y, self.out_shape, "the values of the blocks")
        cut = self._cut()
        thin = [n for blocks in self.out_shape for n in (blocks, 1)]
        whole = jnp.broadcast_to(y.reshape(thin), cut)
        padded = [b * k for b, k in zip(self.out_shape, self.factor, strict=True)]
        return whole.reshape(padded)[tuple(slice(0, n) for n in self.shape)]

    def labels(self) -> Int[Array, "*x"]:
        count = 1
        for n in self.out_shape:
            count *= n
        numbers = jnp.arange(count).reshape(self.out_shape)
        return self.spread(numbers)
