"""Tensor-product grids in one to three dimensions, and integrals of arrays on them.

An array holds either *cell averages* (finite volumes: the sum over cells of volume
times average is the integral, exactly) or *nodal values* (point values: an integral is
a quadrature and has an error). The grid says which of the two it is.

Positions may be large compared with the spacing: metres in a national map projection,
seconds since 1970. Rounded to float32 such positions coincide. All arithmetic on
positions is therefore done here, on the gaps between points, which are differences of
float64 input.
"""

from typing import cast

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._numerics.axis import Axis, Location, axis_through, uniform_axis
from physcon._numerics.positions import cumulative, distance, two_parts
from physcon._typing import Array, ArrayLike, Float, Scalar
from physcon.quadrature import RULES as RULES
from physcon.quadrature import Rule, axis_weights, checked_rule, weighted_sum


class Grid(eqx.Module):
    """A tensor-product grid; build it by `Grid.uniform`, `Grid.cells` or `Grid.nodes`.

    Attributes:
        coordinates: per axis the cell centres or the nodes, ``(n,)``, for evaluating
            functions. Don't subtract them: use `gaps` and `offsets`.
        spacings: per axis a scalar if uniform; else the cell widths ``(n,)`` ("cells")
            or the gaps between nodes ``(n - 1,)`` ("nodes"). Array leaves: a changed
            domain never recompiles.
        location: ``"cells"`` (cell averages) or ``"nodes"`` (point values).
        origin: per axis the lower end of the domain as a float64 number in two parts,
            ``(2,)``: the rounded position and the rest. None: from the coordinates.
    """

    coordinates: tuple[Float[Array, " _"], ...]
    spacings: tuple[Float[Array, "..."], ...]
    location: Location = eqx.field(static=True)
    origin: tuple[Float[Array, " 2"], ...] | None = None

    @classmethod
    def uniform(
        cls,
        lower: ArrayLike | tuple[ArrayLike, ...],
        upper: ArrayLike | tuple[ArrayLike, ...],
        shape: int | tuple[int, ...],
        location: Location = "cells",
    ) -> "Grid":
        """`shape` equal cells on the box [lower, upper], or nodes including both ends.

        A scalar bound applies to all axes.

        >>> Grid.uniform(0.0, 1.0, 4).coordinates[0].tolist()
        [0.125, 0.375, 0.625, 0.875]
        >>> Grid.uniform(0.0, 1.0, 3, location="nodes").coordinates[0].tolist()
        [0.0, 0.5, 1.0]
        """
        sizes = np.atleast_1d(np.asarray(shape, dtype=int))
        require(
            bool(np.all(sizes == shape)),
            "whole numbers as shape",
            shape,
            "pass the number of cells or nodes of each axis",
        )
        _check_location(location)
        _check_sizes(tuple(sizes.tolist()), location)
        lowers = _per_axis(lower, sizes.size)
        uppers = _per_axis(upper, sizes.size)
        boxes = zip(lowers, uppers, sizes.tolist(), strict=True)
        axes = [uniform_axis(a, b, n, location) for a, b, n in boxes]
        return cls._of(axes, location)

    @classmethod
    def cells(cls, *faces: ArrayLike) -> "Grid":
        """Cells between the given face positions, ``(n + 1,)`` per axis, increasing."""
        return cls._from_points(faces, "cells")

    @classmethod
    def nodes(cls, *positions: ArrayLike) -> "Grid":
        """Nodes at the given positions, ``(n,)`` per axis, increasing."""
        return cls._from_points(positions, "nodes")

    @classmethod
    def _from_points(cls, points: tuple[ArrayLike, ...], location: Location) -> "Grid":
        grid = cls._of([axis_through(p, location) for p in points], location)
        _check_sizes(grid.shape, location)
        return grid

    @classmethod
    def _of(cls, axes: list[Axis], location: Location) -> "Grid":
        coordinates = tuple(a.coordinates for a in axes)
        spacings = tuple(a.spacing for a in axes)
        return cls(coordinates, spacings, location, tuple(a.origin for a in axes))

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of cells or nodes per axis."""
        return tuple(c.shape[0] for c in self.coordinates)

    @property
    def ndim(self) -> int:
        """Number of space axes."""
        return len(self.coordinates)

    @property
    def size(self) -> int:
        """Number of cells or nodes."""
        return int(np.prod(self.shape))

    def is_uniform(self, axis: int = 0) -> bool:
        """Whether the spacing of an axis is one number."""
        return self.spacings[axis].ndim == 0

    def widths(self, axis: int = 0) -> Float[Array, " n"]:
        """Cell widths of an axis; for nodes the widths of their control volumes."""
        rule = checked_rule(None, self.location)
        return axis_weights(self.spacings[axis], self._intervals(axis), rule)

    def faces(self, axis: int = 0) -> Float[Array, " _"]:
        """Face positions of an axis (of the control volumes, for nodes)."""
        high, low = self.lower_end(axis)
        inner = jnp.pad(cumulative(self.widths(axis)), (1, 0))
        return high + (low + inner)

    def gaps(self, axis: int = 0) -> Float[Array, " _"]:
        """Distances between neighbouring points (cell centres or nodes), ``(n - 1,)``.

        >>> Grid.cells(jnp.array([0.0, 1.0, 3.0])).gaps().tolist()
        [1.5]
        """
        if self.location == "cells":
            widths = self.widths(axis)
            return 0.5 * (widths[1:] + widths[:-1])
        return jnp.broadcast_to(self.spacings[axis], (self.shape[axis] - 1,))

    def offsets(self, axis: int = 0) -> Float[Array, " n"]:
        """Distances of the points from the lower end of the domain.

        Sums of the gaps: accurate at any distance of the domain from zero.

        >>> Grid.uniform(4.5e6, 4.5e6 + 1.0, 4).offsets().tolist()
        [0.125, 0.375, 0.625, 0.875]
        """
        return cumulative(jnp.append(self.margin(axis), self.gaps(axis)))

    def margin(self, axis: int = 0, end: int = 0) -> Scalar:
        """Distance of the outermost point from its end of the domain (end 0 or -1)."""
        if self.location == "nodes":
            return jnp.zeros((), self.spacings[axis].dtype)
        return 0.5 * self.widths(axis)[end]

    def relative(self, positions: ArrayLike, axis: int = 0) -> Float[Array, "*s"]:
        """Positions measured from the lower end of the domain.

        Differences of float64 input (NumPy arrays, Python numbers) are exact to the
        rounding of the result.

        >>> Grid.uniform(4.5e6, 4.5e6 + 1.0, 4).relative(4.5e6 + 0.1).item()
        0.10000000149011612
        """
        return distance(two_parts(positions), self.lower_end(axis))

    def lower_end(self, axis: int = 0) -> Float[Array, " 2"]:
        """The lower end of the domain as float64 in two parts; see `origin`."""
        if self.origin is None:
            lower = self.coordinates[axis][0] - self.margin(axis)
            return jnp.stack([lower, jnp.zeros_like(lower)])
        return self.origin[axis]

    def mesh(self) -> tuple[Float[Array, "*x"], ...]:
        """Coordinates as full arrays of the grid's shape, with ``indexing="ij"``."""
        return tuple(jnp.meshgrid(*self.coordinates, indexing="ij"))

    def weights(self, rule: Rule | None = None) -> Float[Array, "*x"]:
        """Quadrature weights: the sum of weights times values is the integral.

        Shapes: the grid's shape; the outer product over the axes.

        Args:
            rule: for cells ``"midpoint"`` only, the cell volumes, which is exact; for
                nodes ``"trapezoid"`` (default), ``"simpson"`` or ``"spline"``, see
                `physcon.quadrature`.
        """
        rule = checked_rule(rule, self.location)
        weights = jnp.ones(())
        for axis in range(self.ndim):
            row = axis_weights(self.spacings[axis], self._intervals(axis), rule)
            weights = weights[..., None] * row.reshape((1,) * axis + (-1,))
        return weights

    def volumes(self) -> Float[Array, "*x"]:
        """Volumes of the cells, or of the nodes' control volumes."""
        return self.weights()

    def integrate(
        self, u: Float[Array, "*c_x"], rule: Rule | None = None
    ) -> Float[Array, "*c"]:
        """Integral over the trailing space axes, summed in float64."""
        got = u.shape[u.ndim - self.ndim :]
        require(
            got == self.shape,
            f"trailing axes {self.shape}",
            got,
            "move the space axes to the end",
        )
        return weighted_sum(u, self.weights(rule).astype(u.dtype))

    def _intervals(self, axis: int) -> int:
        """Number of spacings of an axis, also where they are stored as one number."""
        return self.shape[axis] - (self.location == "nodes")


def _per_axis(bound: ArrayLike | tuple[ArrayLike, ...], axes: int) -> tuple:
    """One bound per axis; a scalar applies to all axes."""
    given = tuple(bound) if np.ndim(bound) else (bound,) * axes  # type: ignore[arg-type]
    require(
        len(given) == axes,
        f"a scalar or {axes} bounds, one per axis",
        len(given),
        "pass one bound for each axis of shape",
    )
    return given


def _check_location(location: str) -> None:
    require(
        location in ("cells", "nodes"),
        "'cells' or 'nodes'",
        repr(location),
        "pass one of these locations",
    )


def _check_sizes(shape: tuple[int, ...], location: Location) -> None:
    least = 1 if location == "cells" else 2
    require(
        1 <= len(shape) <= 3, "1 to 3 axes", len(shape), "use a product of grids beyond"
    )
    require(
        min(shape) >= least,
        f"at least {least} {cast(str, location)} per axis",
        shape,
        "refine the grid",
    )
