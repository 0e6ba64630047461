"""`correct`: any linear kernel -> a kernel whose output meets the boundary conditions.

Three forms, the same exactness, different interiors:

- "lift": K x + Σ_r φ_r (α_r - l_r(K x)) with smooth φ. Bounded for every kernel, independent of
  the resolution, any dimension and number of faces and channels.
- "eliminate": the paper's K T x with matrix pivots, then the boundary nodes are set. Square
  channels; several axes in turn. Its pivots shrink with the resolution where the two ends of an
  axis are neighbours on the FFT's circle (G_00 - G_01 G_11⁻¹ G_10 = O(n⁻²) without padding).
- "overwrite": K x with the boundary nodes set.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

from physcon._checks import require
from physcon._typing import Array, Float
from physcon.boundary import Boundary
from physcon.grid import Grid
from physcon.operators.elimination import eliminate, eliminated_spectral_conv
from physcon.operators.enforce import lift, overwrite
from physcon.operators.spectral import Method, Weights, spectral_conv
from physcon.operators.trace import Order, Trace, traces

Form: TypeAlias = Literal["lift", "eliminate", "overwrite"]
Kernel: TypeAlias = Callable[[Float[Array, "i *x"]], Float[Array, "o *x"]]


def correct(
    kernel: Kernel,
    boundary: Boundary,
    grid: Grid,
    form: Form = "lift",
    order: Order = 2,
    throw: bool = True,
) -> Kernel:
    """The kernel with its output corrected: l_r(correct(K)(x)) == α_r on every side r.

    Shapes: kernel ``(in, *x) -> (out, *x)`` on the grid's nodes, linear (unchecked);
    values of the boundary broadcast to ``(out, *face)``. Affine in x and in the values.

    Args:
        form: see the module. "eliminate" of an arbitrary kernel is for one dimension.
        order: of the one-sided differences in Neumann and Robin conditions.

    Raises:
        ValueError: a form that does not exist for this kernel; see also `traces`.
    """
    _check_form(form)

    def corrected(x: Float[Array, "i *x"]) -> Float[Array, "o *x"]:
        if form == "eliminate":
            require(grid.ndim == 1, "one dimension", grid.ndim, "use form='lift', or the closed "
                    "form of corrected_spectral_conv")  # fmt: skip
            (sides,) = eliminated_sides(traces(boundary, grid, order), 1)
            y = eliminate(kernel, x, sides) if sides else kernel(x)
        else:
            y = kernel(x)
        finish = lift if form == "lift" else overwrite
        return finish(y, boundary, grid, order, throw=throw)

    return corrected


def corrected_spectral_conv(
    weights: Weights,
    x: Float[Array, "i *x"],
    boundary: Boundary,
    grid: Grid,
    form: Form = "lift",
    order: Order = 2,
    method: Method = "auto",
    throw: bool = True,
) -> Float[Array, "o *x"]:
    """`correct` of a spectral convolution in closed form: one transform pair, as
    without it.

    In one dimension and for "lift" and "overwrite" equal to
    ``correct(partial(spectral_conv, weights), boundary, grid, form, order)(x)``.

    Raises:
        ValueError: "eliminate" with unequal channels.
    """
    _check_form(form)
    sides = ()
    if form == "eliminate":
        sides = eliminated_sides(traces(boundary, grid, order), grid.ndim)
    if any(sides):
        y = eliminated_spectral_conv(weights, x, sides, method)
    else:
        y = spectral_conv(weights, x, method)
    finish = lift if form == "lift" else overwrite
    return finish(y, boundary, grid, order, throw=throw)


def eliminated_sides(
    rows: tuple[tuple[Trace, ...], ...], ndim: int
) -> tuple[tuple[int, ...], ...]:
    """Per axis the sides that have a condition; a periodic axis has nothing to free."""
    free = ((),) * (ndim - len(rows))
    return tuple(tuple(int(t.upper) for t in r if not t.periodic) for r in rows) + free


def _check_form(form: str) -> None:
    require(
        form in ("lift", "eliminate", "overwrite"),
        "'lift', 'eliminate' or 'overwrite'",
        repr(form),
        "physcon.operators.published has the published code's scalar variant",
    )
