"""Fourier neural operators whose output meets boundary conditions, whatever the
weights.

The correction is applied to what every block computes, before its activation, and last
to the output. In the blocks it carries the boundary data into the network: feature j
takes the (normalised) condition of output channel j modulo the number of outputs. The
last one makes the conditions hold to rounding.

Which form trains best (quick presets of configs/boon_*.yaml: one step in time, the same
budget and number of weights, 2 seeds, relative L2; docs/boundary_forms.md has all of
it):

                     plain    overwrite  lift     eliminate  basis
    Stokes           0.087    0.085      0.0101   0.16       0.0108    Dirichlet
    Burgers, shock   0.0031   0.0029     0.0025   0.031      0.0021    Dirichlet
    heated rod       0.0049   0.0050     0.0057   0.24       0.0043    Neumann
    wave             0.028    0.028      0.026    0.50       0.0079    Neumann

"basis" is best for slopes and on average, so `BoundaryFNO.init` builds it. The lift is
the better one for values over time; it works with any FNO, also one that is trained
already, and beside periodic axes: it is what `BoundaryFNO(fno)` does. Elimination, the
article's form with exact pivots, trained badly throughout.
"""

from functools import partial
from typing import Any, Literal, TypeAlias

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, Shape
from physcon.boundary import Boundary, Dirichlet
from physcon.grid import Grid
from physcon.operators._correct import eliminated_sides
from physcon.operators.bases import bases_for, basis_conv, init_basis_weights
from physcon.operators.elimination import eliminated_spectral_conv
from physcon.operators.enforce import (
    REACH,
    check_shape,
    lift,
    lift_gains,
    overwrite,
    overwrite_rows,
    smooth_lift,
)
from physcon.operators.fno import FNO, Convolve, Field, Normaliser, mean_and_variance
from physcon.operators.spectral import init_spectral_weights, spectral_conv
from physcon.operators.trace import Order, Trace, broadcast_value, traces

NetworkForm: TypeAlias = Literal["lift", "eliminate", "overwrite", "basis"]
Rows: TypeAlias = tuple[tuple[Trace, ...], ...]


class BoundaryFNO(eqx.Module):
    """An `FNO` whose output meets `boundary` to rounding: ``(in, *x) -> (out, *x)``.

    Attributes:
        fno: the network; for form "basis" its spectral weights are those of `init_basis_weights`.
        form: "lift", "eliminate" or "overwrite" (see `physcon.operators.correct`), or "basis" (sine
            and cosine bases, lifted).
        every_block: whether the features are corrected too, or the output alone.
        order: of the one-sided differences in Neumann and Robin conditions.
        reach: of the lift, as a fraction of the axis.
        throw: whether contradictory corner data raise at run time.

    A periodic axis whose last node repeats the first is closed exactly: the network
    sees the circle of distinct nodes, and the end is copied.

    Source: Saad et al., ICLR 2023, sec. 3, for correcting every block; Li et al., ICLR
    2021, for the network.
    """

    fno: FNO
    form: NetworkForm = eqx.field(static=True, default="lift")
    every_block: bool = eqx.field(static=True, default=True)
    order: Order = eqx.field(static=True, default=2)
    reach: float = eqx.field(static=True, default=REACH)
    throw: bool = eqx.field(static=True, default=True)

    @classmethod
    def init(
        cls,
        key: PRNGKeyArray,
        in_channels: int,
        out_channels: int,
        modes: Shape,
        width: int = 64,
        depth: int = 4,
        *,
        form: NetworkForm = "basis",
        every_block: bool = True,
        order: Order = 2,
        reach: float = REACH,
        throw: bool = True,
        padding: tuple[int | float, ...] | None = None,
        **options: Any,
    ) -> "BoundaryFNO":
        """A network whose spectral weights suit the form.

        Args:
            padding: as of `FNO`, for Fourier weights; by default a quarter of every axis, which is
                right unless an axis is periodic. Without it both ends are neighbours.
            options: further ones of `FNO.init`.
        """
        of_basis = form == "basis"
        if padding is None:
            padding = (0,) * len(modes) if of_basis else (0.25,) * len(modes)
        weights = init_basis_weights if of_basis else init_spectral_weights
        fno = FNO.init(
            key, in_channels, out_channels, modes, width, depth,
            padding=padding, init_weights=weights, **options,
        )  # fmt: skip
        return cls(fno, form, every_block, order, reach, throw)

    def __call__(
        self, u: Float[Array, "i *x"], boundary: Boundary, grid: Grid
    ) -> Field:
        """The output in physical units; l_r(output) == α_r on every side r."""
        raw = self.raw(u, boundary, grid)
        decoded = raw if self.fno.outputs is None else self.fno.outputs.decode(raw)
        return self._finish(decoded, boundary, grid)

    def mean_and_variance(
        self, u: Float[Array, "i *x"], boundary: Boundary, grid: Grid
    ) -> tuple[Field, Field]:
        """A network with 2 c outputs as a Gaussian: its mean meets the conditions.

        The variance is zero on Dirichlet sides, where the value is known.
        """
        mean, variance = mean_and_variance(
            self.raw(u, boundary, grid), self.fno.outputs
        )
        known = [
            tuple(c if isinstance(c, Dirichlet) else None for c in pair)
            for pair in boundary.sides
        ]
        for axis, pair in enumerate(known):
            where = jnp.arange(variance.shape[axis + 1])
            where = where.reshape(
                (1,) * (axis + 1) + (-1,) + (1,) * (variance.ndim - axis - 2)
            )
            ends = (where == 0, where == variance.shape[axis + 1] - 1)
            for condition, end in zip(pair, ends, strict=True):
                if condition is not None:
                    variance = jnp.where(end, jnp.zeros((), variance.dtype), variance)
        return self._finish(mean, boundary, grid), variance

    def raw(self, u: Float[Array, "i *x"], boundary: Boundary, grid: Grid) -> Field:
        """The network's normalised output, its features corrected, before the last
        correction.
        """
        check_shape(u, grid)
        rows = traces(boundary, grid, self.order)
        closed = [axis for axis, r in enumerate(rows) if r and r[0].periodic]
        u = _without_last(u, closed)
        convolve, step = self._convolution(boundary, rows, u.shape[1:]), None
        if self.every_block and any(rows):
            hidden = self._hidden_rows(rows, grid.shape, closed)
            if self.form in ("lift", "basis"):
                step = partial(
                    smooth_lift, rows=hidden, gains=lift_gains(hidden, grid, self.reach)
                )
            elif self.form == "eliminate":
                step = partial(overwrite_rows, rows=hidden)
        out = self.fno.raw(u, convolve, step)
        for axis in closed:
            first = jnp.take(out, jnp.array([0]), axis=axis + 1)
            out = jnp.concatenate([out, first], axis + 1)
        return out

    def _convolution(self, boundary: Boundary, rows: Rows, space: Shape) -> Convolve:
        if self.form == "basis":
            require(
                not any(self.fno.padding),
                "no padding",
                self.fno.padding,
                "bases need none",
            )
            return partial(basis_conv, bases=bases_for(boundary, len(space)))
        if self.form == "eliminate" and self.every_block:
            sides = eliminated_sides(rows, len(space))
            if any(sides):
                return partial(eliminated_spectral_conv, sides=sides, points=space)
        return spectral_conv

    def _hidden_rows(self, rows: Rows, space: Shape, closed: list[int]) -> Rows:
        """The rows for features: values normalised, repeated over channels, periodic
        ends cut.

        l((u - mean) / std) = (l(u) - mean l(1)) / std, with l(1) = Σ_s c_s.
        """
        width, outputs = self.fno.lift.weight.shape[0], self.fno.outputs
        channels = self.fno.projection.second.weight.shape[0]
        channels = channels if outputs is None else outputs.mean.shape[0]
        hidden = []
        for axis, axis_rows in enumerate(rows):
            if axis in closed:
                hidden.append(())
                continue
            face = (channels, *space[:axis], *space[axis + 1 :])
            cut = [c if c < axis else c - 1 for c in closed]
            new = []
            for t in axis_rows:
                value = broadcast_value(t.value, face, t.name)
                value = _normalised(value, jnp.sum(t.row), outputs)
                value = _without_last(value, cut)[jnp.arange(width) % channels]
                new.append(eqx.tree_at(lambda t: t.value, t, value))
            hidden.append(tuple(new))
        return tuple(hidden)

    def _finish(self, u: Field, boundary: Boundary, grid: Grid) -> Field:
        if self.form in ("lift", "basis"):
            return lift(u, boundary, grid, self.order, self.reach, self.throw)
        return overwrite(u, boundary, grid, self.order, self.throw)


def _normalised(value: Array, of_one: Array, outputs: Normaliser | None) -> Array:
    if outputs is None:
        return value
    mean, std = outputs.along(value)
    return (value - mean * of_one.astype(value.dtype)) / std


def _without_last(u: Array, axes: list[int]) -> Array:
    limits = [n - (i - 1 in axes) if i else n for i, n in enumerate(u.shape)]
    return u[tuple(slice(0, n) for n in limits)]
