"""`correct`: a linear kernel whose output meets the boundary conditions.

There are three forms, which are equally exact at the boundary and differ inside:

- "lift": K x + Σ_r φ_r (value_r - l_r(K x)) with smooth φ. It is bounded for every
  kernel, independent of the resolution, and works in any dimension, for any number of
  faces and channels, on equal or unequal spacings.
- "eliminate": the kernel correction K T x of Saad et al. with matrix pivots; then the
  boundary nodes are set. It needs square channels. Its pivots shrink with the
  resolution where the two ends of an axis are neighbours on the circle of the FFT
  (G_00 - G_01 G_11⁻¹ G_10 = O(n⁻²) without padding).
- "overwrite": K x with the boundary nodes set.
"""

from collections.abc import Callable
from typing import Literal, TypeAlias

from physcon._checks import require
from physcon._deprecation import accepts_old_positions
from physcon._typing import Array, Float
from physcon.boundary import Boundary
from physcon.boundary_rows import Rows
from physcon.boundary_stencils import Order
from physcon.grid import Grid
from physcon.operators.elimination import eliminate, eliminated_spectral_conv
from physcon.operators.enforce import check_shape
from physcon.operators.forms import eliminated_sides, form_named
from physcon.operators.rows import node_rows
from physcon.operators.spectral import Method, Weights, spectral_conv

CorrectionForm: TypeAlias = Literal["lift", "eliminate", "overwrite"]
Kernel: TypeAlias = Callable[[Float[Array, "i *x"]], Float[Array, "o *x"]]


@accepts_old_positions
def correct(
    kernel: Kernel,
    boundary: Boundary,
    grid: Grid,
    form: CorrectionForm = "lift",
    *,
    order: Order = 2,
    throw: bool = True,
) -> Kernel:
    """The kernel with its output corrected: l_r(correct(K)(x)) == value_r on each side.

    Shapes: kernel ``(in, *x) -> (out, *x)`` on the grid's nodes, linear (not checked);
    boundary values broadcast to ``(out, *face)``. Affine in x and in the values.

    Args:
        form: see the module. "eliminate" of an arbitrary kernel is for one dimension.
        order: of the one-sided differences in Neumann and Robin conditions.
        throw: as in `physcon.operators.lift`.

    Raises:
        ValueError: a form that does not exist for this kernel; see also
            `physcon.operators.rows.node_rows`.
    """
    _check_form(form)

    def corrected(x: Float[Array, "i *x"]) -> Float[Array, "o *x"]:
        rows = node_rows(boundary, grid, order)
        if form == "eliminate":
            require(
                grid.ndim == 1,
                "a kernel in one dimension for form='eliminate'",
                f"{grid.ndim} dimensions",
                "use form='lift', or corrected_spectral_conv for a spectral kernel",
            )
            (sides,) = eliminated_sides(rows, 1)
            y = eliminate(kernel, x, sides) if sides else kernel(x)
        else:
            y = kernel(x)
        return _finished(y, rows, grid, form, throw)

    return corrected


@accepts_old_positions
def corrected_spectral_conv(
    weights: Weights,
    x: Float[Array, "i *x"],
    boundary: Boundary,
    grid: Grid,
    form: CorrectionForm = "lift",
    *,
    order: Order = 2,
    method: Method = "auto",
    throw: bool = True,
) -> Float[Array, "o *x"]:
    """`correct` of a spectral convolution in closed form, with one transform pair.

    In one dimension, and for "lift" and "overwrite" in any dimension, equal to
    ``correct(partial(spectral_conv, weights), boundary, grid, form, order=order)(x)``.

    Raises:
        ValueError: "eliminate" with unequal channels; see also `correct`.
    """
    _check_form(form)
    rows = node_rows(boundary, grid, order)
    sides = eliminated_sides(rows, grid.ndim) if form == "eliminate" else ()
    if any(sides):
        y = eliminated_spectral_conv(weights, x, sides, method)
    else:
        y = spectral_conv(weights, x, method)
    return _finished(y, rows, grid, form, throw)


def _finished(y: Array, rows: Rows, grid: Grid, form: str, throw: bool) -> Array:
    check_shape(y, grid)
    chosen = form_named(form)
    return chosen.finish(y, rows, chosen.gains(rows, grid, None), throw)


def _check_form(form: str) -> None:
    require(
        form in ("lift", "eliminate", "overwrite"),
        "'lift', 'eliminate' or 'overwrite'",
        repr(form),
        "use physcon.operators.published for the scalar variant of the published code",
    )
