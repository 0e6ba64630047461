"""States on both sides of every face of a mesh: constant, or limited linear."""

from typing import Any, Literal, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.fv._stage import stage
from physcon.fv.positivity import Positive
from physcon.fv.protocols import unwrapped
from physcon.fv.reconstruction import MUSCL, Constant, primitive
from physcon.fv.unstructured.limiting import (
    along,
    at_face_points,
    at_vertices,
    sharp,
    smallest_share,
    smooth,
)
from physcon.fv.unstructured.stencil import Stencil, added

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
        for name, value, choices in (
            ("limiter", self.limiter, Limiter),
            ("gradient", self.gradient, Gradient),
            ("variables", self.variables, Variables),
        ):
            require(
                value in choices.__args__,
                f"{name}: one of {choices.__args__}",
                repr(value),
                "choose one",
            )

    def __call__(self, *_: Any) -> Any:
        """Raise: this reconstruction needs a mesh."""
        raise ValueError(
            "expected a mesh for fv.Linear, got a Grid; use fv.MUSCL() on a grid, or "
            "mesh.from_grid(grid)"
        )


class Sides(NamedTuple):
    """States at the faces of every cell, ``(k, c, n)`` as a list over k."""

    values: list[Array]

    def of_faces(self, s: Stencil) -> tuple[Float[Array, "c f"], Float[Array, "c f"]]:
        """The states on the owner's and on the neighbour's side of every face."""
        flat = jnp.concatenate(self.values, axis=1)
        return flat[:, s.left], flat[:, s.right]


def cell_sides(
    reconstruct: Any, s: Stencil, law: Any, u: Float[Array, "c n"]
) -> list[Float[Array, "c n"]]:
    """The state at each of the k faces of every cell.

    Raises:
        ValueError: a reconstruction for grids only, such as `WENO`.
    """
    inner = unwrapped(reconstruct)
    if isinstance(inner, Positive):
        return _positive(inner, law, u, cell_sides(inner.reconstruct, s, law, u))
    if isinstance(inner, Constant):
        return [u] * len(s.cell)
    if isinstance(inner, MUSCL):
        variables = "conservative" if inner.variables == "conservative" else "primitive"
        inner = Linear(variables=variables)
    require(
        isinstance(inner, Linear),
        "Constant, Linear, MUSCL or Positive of one of them, on a mesh",
        type(inner).__name__,
        "use fv.Linear()",
    )
    if inner.variables == "conservative":
        return _linear(inner, s, u)
    sides = _linear(inner, s, primitive(law, u))
    return [law.conservative(side) for side in sides]


def _linear(method: Linear, s: Stencil, w: Array) -> list[Array]:
    """The variables at the faces of every cell, from limited gradients."""
    near = neighbours(s, w)
    gradient = gradients(method, s, w, near)
    share = _share(method, s, w, gradient, near)
    return _at_faces(s, w, gradient, share)


@stage
def neighbours(s: Stencil, w: Float[Array, "c n"]) -> list[Float[Array, "c n"]]:
    """The values across each of the k faces of every cell."""
    return [w[:, cell] for cell in s.cell]


@stage
def gradients(
    method: Linear, s: Stencil, w: Float[Array, "c n"], near: list[Array]
) -> list[Float[Array, "c n"]]:
    """The gradient along each coordinate, from the values across the faces."""
    weights = s.weights if method.gradient == "least_squares" else s.mean_weights
    changes = [value - w for value in near]
    directions = range(weights.shape[1])
    found = []
    for d in directions:
        parts = [weights[k, d][None] * change for k, change in enumerate(changes)]
        found.append(added(parts))
    return found


@stage
def _share(
    method: Linear, s: Stencil, w: Array, gradient: list[Array], near: list[Array]
) -> Array:
    if method.limiter == "none":
        return jnp.ones_like(w)
    if method.limiter == "multidimensional":
        return smallest_share(at_vertices(s, w, gradient), sharp)
    points = at_face_points(s, w, gradient, near)
    if method.limiter == "barth_jespersen":
        return smallest_share(points, sharp)
    extent = jnp.max(w, axis=1) - jnp.min(w, axis=1)
    return smallest_share(points, smooth(method.threshold * extent[:, None]))


@stage
def _at_faces(s: Stencil, w: Array, gradient: list[Array], share: Array) -> list[Array]:
    limited = [share * g for g in gradient]
    return [w + along(limited, arm) for arm in s.arm]


def _positive(
    method: Positive, law: Any, u: Float[Array, "c n"], sides: list[Array]
) -> list[Array]:
    """Sides scaled towards the average until the law's positive quantities are kept."""
    quantities = law.positive(u)
    require(
        len(quantities) > 0,
        f"`positive` in {type(law).__name__}, for Positive to keep",
        "no quantities",
        "define it, or use the reconstruction without Positive",
    )
    for k, mean in enumerate(quantities):
        found = [law.positive(side)[k] for side in sides]
        least = found[0]
        for value in found[1:]:
            least = jnp.minimum(least, value)
        keep = jnp.where(mean > 0, method.floor * mean, mean)
        short = least < keep
        share = jnp.where(short, safe.divide(mean - keep, mean - least), 1)
        share = jnp.where(mean > 0, share, 0)[None]
        sides = [u + share * (side - u) for side in sides]
    return sides
