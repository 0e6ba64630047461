"""Fourier neural operators whose output meets boundary conditions for any weights.

The correction is applied to what every block computes, before its activation, and last
to the output. In the blocks it carries the boundary data into the network: feature j
takes the (normalised) condition of output channel j modulo the number of outputs. The
last correction makes the conditions hold to rounding.

Which form trains best depends on the conditions: the lift for values, bases of sines
and cosines for slopes (docs/boundary_forms.md compares all forms).
`BoundaryFNO.init(..., form="auto", boundary=...)` makes that choice. The lift works
with any FNO, including one that is already trained, and next to periodic axes, so it is
the form of `BoundaryFNO(fno)`. Elimination, the article's form with exact pivots,
trained badly throughout.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from physcon._arguments import check_fields
from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, Shape
from physcon.boundary import Boundary, Dirichlet
from physcon.boundary_rows import Rows
from physcon.boundary_stencils import Order
from physcon.grid import Grid
from physcon.operators.bases import init_basis_weights
from physcon.operators.enforce import check_shape
from physcon.operators.feature_rows import feature_rows, without_last
from physcon.operators.fno import FNO
from physcon.operators.forms import (
    AnyForm,
    NetworkForm,
    chosen_form,
    default_padding,
    form_named,
)
from physcon.operators.gains import Gains
from physcon.operators.layers import Field
from physcon.operators.normaliser import mean_and_std
from physcon.operators.rows import node_rows
from physcon.operators.spectral import init_spectral_weights, spectral_conv


class BoundaryFNO(eqx.Module):
    """An `FNO` whose output meets `boundary` to rounding: ``(in, *x) -> (out, *x)``.

    Attributes:
        fno: the network; form "basis" needs spectral weights as from
            `init_basis_weights`.
        form: "lift", "eliminate" or "overwrite" (see `physcon.operators.correct`), or
            "basis" (sine and cosine bases, lifted).
        every_block: whether the features of every block are corrected, or the output
            only.
        order: of the one-sided differences in Neumann and Robin conditions.
        reach: correlation length of the lift, as a fraction of the axis; None takes
            0.3 on an axis with values only, and on an axis with a slope 0.03, or 0.1 in
            form "basis".
        throw: whether contradictory corner data raise an error at run time; each call
            can override it. Pass ``throw=False`` to a call that is exported.

    A periodic axis whose last node repeats the first is closed exactly: the network
    sees the circle of distinct nodes, and the last node is a copy of the first.

    Source: Saad et al., ICLR 2023, sec. 3, for correcting every block; Li et al., ICLR
    2021, for the network.
    """

    fno: FNO
    form: NetworkForm = eqx.field(static=True, default="lift")
    every_block: bool = eqx.field(static=True, default=True)
    order: Order = eqx.field(static=True, default=2)
    reach: float | None = eqx.field(static=True, default=None)
    throw: bool = eqx.field(static=True, default=True)

    def __check_init__(self) -> None:
        check_fields(self)

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
        form: AnyForm = "basis",
        boundary: Boundary | None = None,
        every_block: bool = True,
        order: Order = 2,
        reach: float | None = None,
        throw: bool = True,
        padding: tuple[int | float, ...] | None = None,
        **options: Any,
    ) -> "BoundaryFNO":
        """A random network whose spectral weights suit the form.

        Args:
            modes: kept per axis: Fourier modes, or functions of the basis. With "auto"
                they are Fourier modes, and a basis gets twice as many functions, which
                are half waves: the same wave numbers, and as many weights.
            form: see the class. "auto" takes the form that suits `boundary`.
            boundary: with "auto", the boundary, or one with the same kinds of
                conditions; its values do not matter.
            padding: as in `FNO`, for Fourier weights. The default is a quarter of every
                axis, which is right unless an axis is periodic: without padding the two
                ends of an axis are neighbours. An axis that `boundary` declares
                periodic gets none.
            options: further arguments of `FNO.init`.

        Raises:
            ValueError: "auto" without a boundary, or a boundary with another form.
        """
        form = chosen_form(form, boundary)
        fourier = form_named(form).fourier
        if padding is None:
            padding = default_padding(fourier, boundary, len(modes))
        if boundary is not None and not fourier:
            modes = tuple(2 * m for m in modes)
        weights = init_spectral_weights if fourier else init_basis_weights
        fno = FNO.init(
            key, in_channels, out_channels, modes, width, depth,
            padding=padding, init_weights=weights, **options,
        )  # fmt: skip
        return cls(fno, form, every_block, order, reach, throw)

    def __call__(
        self,
        u: Float[Array, "i *x"],
        boundary: Boundary,
        grid: Grid,
        *,
        throw: bool | None = None,
    ) -> Field:
        """The output in physical units; l_r(output) == value_r on every side r.

        Args:
            throw: whether contradictory corner data raise an error at run time; None
                takes the module's own setting.
        """
        plan = self._plan(boundary, grid)
        raw = self._raw(u, boundary, grid, plan)
        outputs = self.fno.outputs
        decoded = raw if outputs is None else outputs.decode(raw)
        return self._finish(decoded, plan, throw)

    def mean_and_std(
        self,
        u: Float[Array, "i *x"],
        boundary: Boundary,
        grid: Grid,
        *,
        throw: bool | None = None,
        max_std: float | None = None,
    ) -> tuple[Field, Field]:
        """A network with 2 c outputs as a Gaussian whose mean meets the conditions.

        The std is zero on Dirichlet sides, where the value is known.

        Args:
            throw: as in a call.
            max_std: see `physcon.operators.mean_and_std`.
        """
        plan = self._plan(boundary, grid)
        raw = self._raw(u, boundary, grid, plan)
        mean, std = mean_and_std(raw, self.fno.outputs, max_std=max_std)
        known = _dirichlet_nodes(boundary, std.shape[1:])
        std = jnp.where(known[None], jnp.zeros((), std.dtype), std)
        return self._finish(mean, plan, throw), std

    def mean_and_variance(
        self,
        u: Float[Array, "i *x"],
        boundary: Boundary,
        grid: Grid,
        *,
        throw: bool | None = None,
        max_std: float | None = None,
    ) -> tuple[Field, Field]:
        """`mean_and_std` with the std squared."""
        mean, std = self.mean_and_std(u, boundary, grid, throw=throw, max_std=max_std)
        return mean, std**2

    def without_checks(self) -> "BoundaryFNO":
        """The same network with ``throw=False``, as `physcon.export` needs it."""
        return dataclasses.replace(self, throw=False)

    def raw(self, u: Float[Array, "i *x"], boundary: Boundary, grid: Grid) -> Field:
        """The network's normalised output, before the last correction."""
        return self._raw(u, boundary, grid, self._plan(boundary, grid))

    def _plan(self, boundary: Boundary, grid: Grid) -> tuple[Rows, Gains]:
        """The rows and lift functions of one call."""
        rows = node_rows(boundary, grid, self.order)
        return rows, form_named(self.form).gains(rows, grid, self.reach)

    def _finish(self, u: Field, plan: tuple[Rows, Gains], throw: bool | None) -> Field:
        throw = self.throw if throw is None else throw
        return form_named(self.form).finish(u, *plan, throw)

    def _raw(
        self,
        u: Float[Array, "i *x"],
        boundary: Boundary,
        grid: Grid,
        plan: tuple[Rows, Gains],
    ) -> Field:
        check_shape(u, grid)
        rows, gains = plan
        form = form_named(self.form)
        require(
            form.fourier or not any(self.fno.padding),
            "a network without padding",
            self.fno.padding,
            f"form={self.form!r} needs none: build the FNO with padding=None",
        )
        closed = [axis for axis, r in enumerate(rows) if r and r[0].periodic]
        u = without_last(u, closed)
        convolve = spectral_conv
        correct = None
        if self.every_block or not form.fourier:
            convolve = form.convolution(boundary, rows, u.shape[1:])
        if self.every_block and form.in_block is not None and any(rows):
            hidden = feature_rows(self.fno, rows, grid.shape, closed)
            in_block = form.in_block
            correct = lambda v: in_block(v, hidden, gains)  # noqa: E731
        out = self.fno.raw(u, convolve, correct)
        for axis in closed:
            first = jnp.take(out, jnp.array([0]), axis=axis + 1)
            out = jnp.concatenate([out, first], axis + 1)
        return out


def _dirichlet_nodes(boundary: Boundary, space: Shape) -> Array:
    """The nodes whose value is known from a Dirichlet condition, ``(*x)``."""
    known = jnp.zeros(space, bool)
    for axis, pair in enumerate(boundary.sides):
        for end, condition in zip((0, -1), pair, strict=True):
            if isinstance(condition, Dirichlet):
                nodes = jnp.arange(space[axis]) == end % space[axis]
                shape = (1,) * axis + (-1,) + (1,) * (len(space) - axis - 1)
                known = known | nodes.reshape(shape)
    return known
