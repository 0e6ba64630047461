"""Forms of the boundary correction of a network: what each does, and where.

A form says which convolution the network uses, which correction its features get in
every block, and how its output is completed. docs/boundary_forms.md compares them.
"""

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, TypeAlias, cast

from physcon._checks import require
from physcon._typing import Array, Shape
from physcon.boundary import Boundary, Dirichlet, Outflow, Periodic
from physcon.boundary_rows import Rows
from physcon.grid import Grid
from physcon.operators.bases import bases_for, basis_conv
from physcon.operators.elimination import eliminated_spectral_conv
from physcon.operators.enforce import (
    complete_lift,
    complete_overwrite,
    overwrite_rows,
)
from physcon.operators.fno import Convolve
from physcon.operators.gains import (
    BASIS_SLOPE_REACH,
    Gains,
    lift_gains,
    smooth_lift,
)
from physcon.operators.spectral import spectral_conv

NetworkForm: TypeAlias = Literal["lift", "eliminate", "overwrite", "basis"]
AnyForm: TypeAlias = Literal["auto", "lift", "eliminate", "overwrite", "basis"]


class Form(NamedTuple):
    """One way to make the output of a network meet its boundary conditions.

    Attributes:
        convolution: from the boundary, its rows and the shape of the field to the
            convolution of every block.
        gains: from the rows, the grid and the reach to the lift functions, one array
            per axis, or None where the form needs none.
        in_block: the correction of the features ``(u, rows, gains)``, or None.
        finish: the correction of the output ``(u, rows, gains, throw)``, which makes
            the conditions hold to rounding.
        fourier: whether the spectral weights belong to Fourier modes, for which the
            ends of an axis are neighbours unless it is padded.
    """

    convolution: Callable[[Boundary, Rows, Shape], Convolve]
    gains: Callable[[Rows, Grid, float | None], Gains]
    in_block: Callable[[Array, Rows, Gains], Array] | None
    finish: Callable[[Array, Rows, Gains, bool], Array]
    fourier: bool = True


def eliminated_sides(rows: Rows, ndim: int) -> tuple[tuple[int, ...], ...]:
    """Per axis the sides with a condition; a periodic axis has none to eliminate."""
    free = ((),) * (ndim - len(rows))
    sides = tuple(tuple(int(t.upper) for t in r if not t.periodic) for r in rows)
    return sides + free


def _fourier(boundary: Boundary, rows: Rows, space: Shape) -> Convolve:
    return spectral_conv


def _eliminated(boundary: Boundary, rows: Rows, space: Shape) -> Convolve:
    sides = eliminated_sides(rows, len(space))
    if not any(sides):
        return spectral_conv
    return partial(eliminated_spectral_conv, sides=sides, points=space)


def _bases(boundary: Boundary, rows: Rows, space: Shape) -> Convolve:
    return partial(basis_conv, bases=bases_for(boundary, len(space)))


def _no_gains(rows: Rows, grid: Grid, reach: float | None) -> Gains:
    return (None,) * len(rows)


def _basis_gains(rows: Rows, grid: Grid, reach: float | None) -> Gains:
    return lift_gains(rows, grid, reach, BASIS_SLOPE_REACH)


def _set_nodes(u: Array, rows: Rows, gains: Gains) -> Array:
    return overwrite_rows(u, rows)


def _overwrite(u: Array, rows: Rows, gains: Gains, throw: bool) -> Array:
    return complete_overwrite(u, rows, throw)


_FORMS: dict[str, Form] = {
    "lift": Form(_fourier, lift_gains, smooth_lift, complete_lift),
    "overwrite": Form(_fourier, _no_gains, None, _overwrite),
    "eliminate": Form(_eliminated, _no_gains, _set_nodes, _overwrite),
    "basis": Form(_bases, _basis_gains, smooth_lift, complete_lift, fourier=False),
}


def form_for(boundary: Boundary) -> NetworkForm:
    """The form that suits the conditions: "lift" for values, "basis" for slopes.

    A closed axis takes "lift" too, since it has no basis of its own; the network then
    lives on the circle of its distinct nodes. If some sides have values and others
    slopes, the form is "basis", because a slope that is far off, as in a network that
    is not trained yet, moves the interior less there. Sides under `Outflow` are free.
    Only the kinds of the conditions matter, not their values, which may be batched.

    >>> from physcon import Boundary, Neumann
    >>> form_for(Boundary(Neumann(0.0)))
    'basis'

    The choice was made by the studies in docs/boundary_forms.md.
    """
    conditions = [condition for pair in boundary.sides for condition in pair]
    if any(isinstance(condition, Periodic) for condition in conditions):
        return "lift"
    free_or_value = (Dirichlet, Outflow)
    values = all(isinstance(condition, free_or_value) for condition in conditions)
    return "lift" if values else "basis"


def chosen_form(form: AnyForm, boundary: Boundary | None) -> NetworkForm:
    """The form itself, or for "auto" the one that suits the boundary."""
    require(
        (form == "auto") == (boundary is not None),
        "a boundary together with form='auto'",
        f"form={form!r} and {'no' if boundary is None else 'a'} boundary",
        "pass both, or the name of a form alone",
    )
    if form == "auto" and boundary is not None:
        return form_for(boundary)
    return cast(NetworkForm, form)


def default_padding(
    fourier: bool, boundary: Boundary | None, axes: int
) -> tuple[int | float, ...]:
    """A quarter of every axis for Fourier weights, but nothing on a closed axis."""
    sides = () if boundary is None else boundary.sides
    closed = [isinstance(pair[0], Periodic) for pair in sides]
    closed += [False] * (axes - len(closed))
    return tuple(0.25 if fourier and not c else 0 for c in closed)


def form_named(name: str) -> Form:
    """The form of that name.

    Raises: ValueError for a name that does not exist.
    """
    require(
        name in _FORMS,
        f"one of the forms {', '.join(map(repr, _FORMS))}",
        repr(name),
        "see docs/boundary_forms.md",
    )
    return _FORMS[name]
