"""Tensor-product grids in one to three dimensions, and integrals of arrays on them.

An array holds either *cell averages* (finite volumes: the sum over cells of volume
times average is the integral, exactly) or *nodal values* (point values: an integral is
a quadrature and has an error). The grid says which of the two it is.

Positions may be large compared with the spacing: metres in a national map projection,
seconds since 1970. Rounded to float32 such positions coincide. All arithmetic on
positions is therefore done here, on the gaps between points, which are differences of
float64 input.
"""

from typing import Literal, cast

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._checks import concrete, is_traced, require
from physcon._numerics.float64 import float64_primal
from physcon._typing import Array, ArrayLike, Float, Scalar
from physcon.quadrature import RULES, Rule

Location = Literal["cells", "nodes"]


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
        _check_location(location)
        _check_sizes(tuple(sizes.tolist()), location)
        coordinates, spacings, origin = [], [], []
        for n, a, b in zip(
            sizes.tolist(),
            _per_axis(lower, sizes.size),
            _per_axis(upper, sizes.size),
            strict=True,
        ):
            if not is_traced(a) and not is_traced(b):
                require(bool(a < b), "lower < upper", f"[{a}, {b}]", "swap the bounds")
            intervals = n if location == "cells" else n - 1
            start, stop = (0.5, n - 0.5) if location == "cells" else (0.0, n - 1.0)
            # In NumPy's float64 until the one rounding at the end, unless traced.
            fraction = np.linspace(start, stop, n) / intervals
            coordinates.append(jnp.asarray(a + (b - a) * fraction, dtype=float))
            spacings.append(jnp.asarray((b - a) / intervals, dtype=float))
            origin.append(two_parts(a))
        return cls(tuple(coordinates), tuple(spacings), location, tuple(origin))

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
        coordinates, spacings, origin = [], [], []
        for p in points:
            require(
                np.ndim(p) == 1,
                "one 1-D array per axis",
                f"ndim {np.ndim(p)}",
                "pass each axis",
            )
            p = jnp.asarray(p) if is_traced(p) else np.asarray(p, np.float64)
            mid = p[:-1] + 0.5 * (p[1:] - p[:-1])
            gaps = p[1:] - p[:-1]
            if not is_traced(gaps):
                require(
                    bool(np.all(gaps > 0)),
                    "strictly increasing positions without NaN",
                    f"smallest gap {gaps.min() if gaps.size else None}",
                    "sort them and remove repeated points",
                )
            coordinates.append(
                jnp.asarray(mid if location == "cells" else p, dtype=float)
            )
            spacings.append(jnp.asarray(gaps, dtype=float))
            origin.append(two_parts(p[0]))
        grid = cls(tuple(coordinates), tuple(spacings), location, tuple(origin))
        _check_sizes(grid.shape, location)
        return grid

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
        return self._weights_1d(
            axis, "midpoint" if self.location == "cells" else "trapezoid"
        )

    def faces(self, axis: int = 0) -> Float[Array, " _"]:
        """Face positions of an axis (of the control volumes, for nodes)."""
        high, low = self.lower_end(axis)
        inner = jnp.pad(_cumulative(self.widths(axis)), (1, 0))
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
        return _cumulative(jnp.append(self.margin(axis), self.gaps(axis)))

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
        return _difference(two_parts(positions), self.lower_end(axis))

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
        if rule is None:
            rule = "midpoint" if self.location == "cells" else "trapezoid"
        allowed = (
            ("midpoint",)
            if self.location == "cells"
            else ("trapezoid", "simpson", "spline")
        )
        require(
            rule in allowed,
            f"a rule for {self.location}: one of {allowed}",
            repr(rule),
            "an array of cell averages has one exact rule, its volumes",
        )
        weights = jnp.ones(())
        for axis in range(self.ndim):
            row = self._weights_1d(axis, rule)
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
            "space axes come last",
        )
        return _weighted_sum(u, self.weights(rule).astype(u.dtype))

    def _weights_1d(self, axis: int, rule: Rule) -> Float[Array, " n"]:
        gaps = self.spacings[axis]
        n = self.shape[axis]
        if gaps.ndim == 0:
            gaps = jnp.broadcast_to(gaps, (n if self.location == "cells" else n - 1,))
        return RULES[rule](gaps)


@float64_primal
def _weighted_sum(u: Float[Array, "*c_x"], w: Float[Array, "*x"]) -> Float[Array, "*c"]:
    channels = u.ndim - w.ndim
    return jnp.sum(
        u * w.reshape((1,) * channels + w.shape), axis=tuple(range(channels, u.ndim))
    )


@float64_primal
def _cumulative(gaps: Float[Array, " n"]) -> Float[Array, " n"]:
    return jnp.cumsum(gaps)


@float64_primal
def _difference(a: Float[Array, "2 *s"], b: Float[Array, " 2"]) -> Float[Array, "*s"]:
    return difference(a, b)


def difference(a: Float[Array, "2 *s"], b: Float[Array, " 2"]) -> Float[Array, "*s"]:
    """a - b of positions in two parts; call it in float64."""
    return (a[0] - b[0]) + (a[1] - b[1])


def two_parts(position: ArrayLike) -> Float[Array, "2 *s"]:
    """A float64 position as the sum of two numbers of the default dtype."""
    exact = concrete(position)
    if exact is None:
        position = jnp.asarray(position, dtype=float)
        return jnp.stack([position, jnp.zeros_like(position)])
    high = np.asarray(exact, jnp.zeros(()).dtype)
    return jnp.asarray(np.stack([high, exact - high]), dtype=float)


def _per_axis(bound: ArrayLike | tuple[ArrayLike, ...], axes: int) -> tuple:
    """One bound per axis; a scalar applies to all axes."""
    given = tuple(bound) if np.ndim(bound) else (bound,) * axes  # type: ignore[arg-type]
    require(
        len(given) == axes,
        f"a scalar or {axes} bounds, one per axis",
        len(given),
        "see shape",
    )
    return given


def _check_location(location: str) -> None:
    require(
        location in ("cells", "nodes"),
        "'cells' or 'nodes'",
        repr(location),
        "choose one",
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
        "refine",
    )
