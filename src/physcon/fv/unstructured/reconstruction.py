"""States on both sides of every face of a mesh: constant, or limited linear."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require, require_choice
from physcon._mesh import largest
from physcon._numerics import safe
from physcon._typing import Array, Float, Int
from physcon.fv._stage import stage
from physcon.fv.positivity import Positive
from physcon.fv.protocols import unwrapped
from physcon.fv.reconstruction import MUSCL, Constant
from physcon.fv.unstructured.limiting import (
    at_face_points,
    at_vertices,
    sharp,
    smooth,
)
from physcon.fv.unstructured.stencil import Stencil, added, by_row, taken

Limiter = Literal["venkatakrishnan", "barth_jespersen", "multidimensional", "none"]
Gradient = Literal["least_squares", "green_gauss"]
Variables = Literal["primitive", "conservative"]


class Linear(eqx.Module):
    """Limited linear reconstruction on a mesh: second order in smooth flow.

    On a mesh `MUSCL()` means ``Linear()`` with its variables.

    Attributes:
        limiter: ``"multidimensional"`` (bounds at the vertices; the least diffusive on
            triangles), ``"venkatakrishnan"`` (smooth; small changes are not limited),
            ``"barth_jespersen"`` (no new extremum at the faces), or ``"none"``.
        gradient: ``"least_squares"``, exact for linear fields on any mesh, or
            ``"green_gauss"``, the mean over the faces.
        variables: which variables are limited, as in `MUSCL`.
        threshold: changes below this share of the range of a variable, over the whole
            mesh, are hardly limited by ``"venkatakrishnan"``.

    Source: Barth and Jespersen, AIAA 89-0366 (1989); Venkatakrishnan, J. Comput. Phys.
    118 (1995) 120; Park, Yoon and Kim, J. Comput. Phys. 229 (2010) 788.
    """

    limiter: Limiter = eqx.field(static=True, default="multidimensional")
    gradient: Gradient = eqx.field(static=True, default="least_squares")
    variables: Variables = eqx.field(static=True, default="primitive")
    threshold: float = eqx.field(static=True, default=0.02)
    ghosts: int = eqx.field(static=True, default=1, init=False)

    def __check_init__(self) -> None:
        require_choice(self.limiter, Limiter, "limiter")
        require_choice(self.gradient, Gradient, "gradient")
        require_choice(self.variables, Variables, "variables")

    def __call__(self, *_: Any) -> Any:
        """Raise: this reconstruction needs a mesh."""
        raise ValueError(
            "expected a mesh for fv.Linear, got a Grid; use fv.MUSCL() on a grid, or "
            "mesh.from_grid(grid)"
        )


@stage
def by_cell(law: Any, u: Float[Array, "c n"], primitive: bool) -> Float[Array, "n c"]:
    """States or primitive variables, channels last: one read fetches all of a cell."""
    return by_row(law.primitive(u) if primitive else u)


def linear_of(reconstruct: Any) -> Linear:
    """The reconstruction on a mesh that a reconstruction on a grid stands for."""
    if isinstance(reconstruct, MUSCL):
        conservative = reconstruct.variables == "conservative"
        return Linear(variables="conservative" if conservative else "primitive")
    require(
        isinstance(reconstruct, Linear),
        "Constant, Linear, MUSCL or Positive of one of them, on a mesh",
        type(reconstruct).__name__,
        "use fv.Linear()",
    )
    return reconstruct


def linear(
    method: Linear, s: Stencil, law: Any, u: Float[Array, "c n"]
) -> Float[Array, "n k c"]:
    """The variables of `method` at the faces of every cell, from limited gradients."""
    rows = by_cell(law, u, method.variables == "primitive")
    gradient = _gradients(method, s, rows)
    share = _share(method, s, rows, gradient)
    return _at_faces(s, rows, gradient, share)


def _gradients(
    method: Linear, s: Stencil, w: Float[Array, "n c"]
) -> list[Float[Array, "n c"]]:
    """The gradient along each coordinate, from the values across the faces."""
    weights = s.weights if method.gradient == "least_squares" else s.mean_weights
    return [_slope(s.cell, weights, d, w) for d in range(weights.shape[1])]


@stage
def _slope(
    cell: Int[Array, "k n"],
    weights: Float[Array, "k d n"],
    d: int,
    w: Float[Array, "n c"],
) -> Float[Array, "n c"]:
    """The gradient along one coordinate.

    Neighbours are read again for each coordinate: a stage that needs them twice would
    store them.
    """
    pairs = zip(cell, weights[:, d], strict=True)
    return added([weight[:, None] * (taken(w, near) - w) for near, weight in pairs])


@stage
def _share(
    method: Linear, s: Stencil, w: Float[Array, "n c"], gradient: list[Array]
) -> Float[Array, "n c"]:
    """The share of the gradient that the limiter keeps."""
    if method.limiter == "none":
        return jnp.ones_like(w)
    if method.limiter == "multidimensional":
        return sharp(at_vertices(s, w, gradient))
    points = at_face_points(s, w, gradient)
    if method.limiter == "barth_jespersen":
        return sharp(points)
    highest = jax.vmap(lambda x: largest(x, s.axes), in_axes=1)(w)
    extent = highest + jax.vmap(lambda x: largest(-x, s.axes), in_axes=1)(w)
    return smooth(points, method.threshold, extent)


@stage
def _at_faces(
    s: Stencil, w: Array, gradient: list[Array], share: Array
) -> Float[Array, "n k c"]:
    """The values on the cell's side of each of its faces."""
    changes = []
    for d, slope in enumerate(gradient):
        limited = share * slope
        changes.append(limited[:, None] * s.arm[:, d].T[:, :, None])
    return w[:, None] + added(changes)


def positive(
    method: Positive, s: Stencil, law: Any, u: Float[Array, "c n"]
) -> Float[Array, "n k c"]:
    """Sides scaled towards the average until the law's positive quantities are kept."""
    inner = unwrapped(method.reconstruct)
    quantities = law.positive(u)
    require(
        len(quantities) > 0,
        f"`positive` in {type(law).__name__}, for Positive to keep",
        "no quantities",
        "define it, or use the reconstruction without Positive",
    )
    if isinstance(inner, Constant):
        rows = u.T[:, None]
        return jnp.broadcast_to(rows, (len(rows), len(s.cell), len(u)))
    method_inside = linear_of(inner)
    sides = jnp.moveaxis(linear(method_inside, s, law, u), -1, 0)
    if method_inside.variables == "primitive":
        sides = law.conservative(sides)
    for k, mean in enumerate(quantities):
        least = jnp.min(law.positive(sides)[k], axis=1)
        keep = jnp.where(mean > 0, method.floor * mean, mean)
        short = least < keep
        share = jnp.where(short, safe.divide(mean - keep, mean - least), 1)
        share = jnp.where(mean > 0, share, 0)[None, :, None]
        sides = u[:, :, None] + share * (sides - u[:, :, None])
    return jnp.moveaxis(sides, 0, -1)
