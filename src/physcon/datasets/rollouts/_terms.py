"""One variable in the rows of a law: its coefficients, which may follow a pressure."""

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._extras import needs
from physcon._typing import Array
from physcon.datasets._laws import Laws, Weights
from physcon.datasets._layers import HybridLayers, gravity_of, hybrid_layers
from physcon.datasets._where import cell_sizes
from physcon.datasets.rollouts._fields import Named, aligned

with needs("data"):
    import xarray as xr


class Layers(eqx.Module):
    """Hybrid layers whose mass per area is ``a + b ps``.

    Attributes:
        a, b: along the dimension of the levels.
        pressure: name of the surface pressure.
        dimension: of the levels.
        water: names of the water that is not counted as air.
    """

    a: Any
    b: Any
    pressure: str = eqx.field(static=True)
    dimension: str = eqx.field(static=True)
    water: tuple[str, ...] = eqx.field(static=True, default=())

    @classmethod
    def of(cls, found: HybridLayers, laws: Laws, water: Sequence[str] = ()) -> "Layers":
        """Return the layers of a dataset."""
        g = gravity_of(laws)
        slope = found.b * found.factor / g
        return cls(found.a / g, slope, found.pressure, found.dimension, tuple(water))

    def mass(self, look: Named, dims: Sequence[str]) -> Array:
        """Return the mass of each layer, which broadcasts against `dims`."""
        own = (self.dimension,)
        pressure = look.along(self.pressure, dims)
        return aligned(self.a, own, dims) + aligned(self.b, own, dims) * pressure

    def dry(self, look: Named, dims: Sequence[str]) -> tuple[Array, Array]:
        """Return c and s of the dry air in a column, ``c + s ps``."""
        deep = (self.dimension, *dims)
        share = jnp.ones((), jnp.asarray(self.a).dtype)
        for name in self.water:
            share = share - look.along(name, deep)
        own = (self.dimension,)
        constant = jnp.sum(aligned(self.a, own, deep) * share, axis=0)
        slope = jnp.sum(aligned(self.b, own, deep) * share, axis=0)
        return constant, slope


class Term(eqx.Module):
    """One variable in the rows of a law.

    Attributes:
        sizes: coefficients of the entries, before the mass of layers; zero where the
            variable is missing.
        row: number of the row of each entry.
        column: place of each entry's value in the flattened variable.
        layers: what the coefficients depend on, or None.
        name: of the variable.
        own: its dimensions.
        dims: of the entries.
        given: whether the variable is certain.
    """

    sizes: Any
    row: Any
    column: Any
    layers: Layers | None
    name: str = eqx.field(static=True)
    own: tuple[str, ...] = eqx.field(static=True)
    dims: tuple[str, ...] = eqx.field(static=True)
    given: bool = eqx.field(static=True, default=False)

    def coefficients(self, look: Named) -> Any:
        """Return the coefficients of all entries."""
        if self.layers is None:
            return self.sizes
        if self.layers.water:
            return self.sizes * self.layers.dry(look, self.dims)[1]
        return self.sizes * self.layers.mass(look, self.dims)

    def entries(self, look: Callable) -> Array:
        """Return the value at each entry; zero where it is missing."""
        value = aligned(look(self.name), self.own, self.dims)
        return jnp.where(self.sizes != 0, value, 0)


def term(
    data: Any,
    name: str,
    sizes: Any,
    rows: dict[str, int],
    over: Sequence[str],
    layers: Layers | None = None,
    given: bool = False,
    number: Any = None,
) -> Term:
    """Return a term whose entries lie along its own dimensions and those of the rows.

    Args:
        data: the template, at one time.
        name: of the variable.
        sizes: a DataArray of coefficients.
        rows: names and sizes of the dimensions along which there is a row each.
        over: dimensions that are summed over.
        layers: what the coefficients depend on.
        given: whether the variable is certain.
        number: number of the row at each entry, if that is not the index of `rows`.
    """
    array = data[name]
    own = tuple(map(str, array.dims))
    dims = (*(d for d in own if d in over or number is not None), *rows)
    dims = tuple(dict.fromkeys(dims)) if number is None else own
    lengths = {d: (rows[d] if d in rows else data.sizes[d]) for d in dims}
    shape = tuple(lengths.values())
    if number is None:
        count = np.arange(int(np.prod(list(rows.values()), dtype=int)))
        number = aligned(count.reshape(tuple(rows.values())), tuple(rows), dims)
    place = aligned(np.arange(array.size).reshape(array.shape), own, dims)
    inside = ~np.isnan(np.asarray(array.values, np.float64))
    filled = xr.DataArray(sizes).fillna(0.0)
    coefficient = aligned(
        np.asarray(filled.values, np.float64), tuple(map(str, filled.dims)), dims
    )
    coefficient = np.where(aligned(inside, own, dims), coefficient, 0.0)
    return Term(
        np.broadcast_to(coefficient, shape).copy(),
        np.broadcast_to(number, shape).astype(np.int32),
        np.broadcast_to(place, shape).astype(np.int32),
        layers,
        name,
        own,
        dims,
        given,
    )


def sizes_and_layers(
    data: Any, name: str, over: Sequence[str], weights: Weights, laws: Laws
) -> tuple[Any, Layers | None]:
    """Return the fixed sizes of cells, and the layers that follow a pressure."""
    if weights is not None:
        return cell_sizes(data, name, over, weights, laws), None
    found = {d: hybrid_layers(data, d) for d in over}
    hybrid = [layers for layers in found.values() if layers is not None]
    flat = [d for d in over if found[d] is None]
    sizes = cell_sizes(data, name, flat, None, laws) if flat else xr.DataArray(1.0)
    return sizes, Layers.of(hybrid[0], laws) if hybrid else None
