"""States on both sides of every face of a mesh: constant, or limited linear."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._mesh import largest
from physcon._numerics import safe
from physcon._typing import Array, Float, Int
from physcon.fv._stage import stage
from physcon.fv.positivity import Positive
from physcon.fv.protocols import unwrapped
from physcon.fv.reconstruction import MUSCL, Constant, primitive
from physcon.fv.unstructured.limiting import (
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


def face_states(
    reconstruct: Any,
    s: Stencil,
    owner: Int[Array, " f"],
    law: Any,
    u: Float[Array, "c n"],
) -> tuple[Float[Array, "c f"], Float[Array, "c f"]]:
    """The states on the owner's and on the neighbour's side of every face."""
    if isinstance(unwrapped(reconstruct), Constant):
        return u[:, owner], u[:, s.far]
    flat = cell_sides(reconstruct, s, law, u).reshape(u.shape[0], -1)
    return flat[:, s.left], flat[:, s.right]


def cell_sides(
    reconstruct: Any, s: Stencil, law: Any, u: Float[Array, "c n"]
) -> Float[Array, "c k n"]:
    """The state at each of the k faces of every cell.

    Raises:
        ValueError: a reconstruction for grids only, such as `WENO`.
    """
    inner = unwrapped(reconstruct)
    if isinstance(inner, Positive):
        return _positive(inner, law, u, cell_sides(inner.reconstruct, s, law, u))
    if isinstance(inner, Constant):
        return jnp.repeat(u[:, None], len(s.cell), axis=1)
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
    return law.conservative(_linear(inner, s, primitive(law, u)))


def _linear(method: Linear, s: Stencil, w: Array) -> Float[Array, "c k n"]:
    """The variables at the faces of every cell, from limited gradients."""
    near = neighbours(s, w)
    gradient = gradients(method, s, w, near)
    share = _share(method, s, w, gradient, near)
    return _at_faces(s, w, gradient, share)


@stage
def neighbours(s: Stencil, w: Float[Array, "c n"]) -> Float[Array, "c k n"]:
    """The values across each of the k faces of every cell."""
    return w[:, s.cell]


@stage
def gradients(
    method: Linear, s: Stencil, w: Float[Array, "c n"], near: Float[Array, "c k n"]
) -> list[Float[Array, "c n"]]:
    """The gradient along each coordinate, from the values across the faces."""
    weights = s.weights if method.gradient == "least_squares" else s.mean_weights
    changes = [near[:, k] - w for k in range(near.shape[1])]
    directions = range(weights.shape[1])
    found = []
    for d in directions:
        parts = [weights[k, d][None] * change for k, change in enumerate(changes)]
        found.append(added(parts))
    return found


@stage
def _share(
    method: Linear, s: Stencil, w: Array, gradient: list[Array], near: Array
) -> Array:
    if method.limiter == "none":
        return jnp.ones_like(w)
    if method.limiter == "multidimensional":
        return smallest_share(at_vertices(s, w, gradient), sharp)
    points = at_face_points(s, w, gradient, near)
    if method.limiter == "barth_jespersen":
        return smallest_share(points, sharp)
    highest = jax.vmap(lambda x: largest(x, s.axes))(w)
    extent = highest + jax.vmap(lambda x: largest(-x, s.axes))(w)
    return smallest_share(points, smooth(method.threshold * extent[:, None]))


@stage
def _at_faces(
    s: Stencil, w: Array, gradient: list[Array], share: Array
) -> Float[Array, "c k n"]:
    limited = [(share * g)[:, None] for g in gradient]
    arms = [s.arm[None, :, d] for d in range(len(gradient))]
    changes = [g * arm for g, arm in zip(limited, arms, strict=True)]
    return w[:, None] + added(changes)


def _positive(
    method: Positive, law: Any, u: Float[Array, "c n"], sides: Float[Array, "c k n"]
) -> Float[Array, "c k n"]:
    """Sides scaled towards the average until the law's positive quantities are kept."""
    quantities = law.positive(u)
    require(
        len(quantities) > 0,
        f"`positive` in {type(law).__name__}, for Positive to keep",
        "no quantities",
        "define it, or use the reconstruction without Positive",
    )
    for k, mean in enumerate(quantities):
        least = jnp.min(law.positive(sides)[k], axis=0)
        keep = jnp.where(mean > 0, method.floor * mean, mean)
        short = least < keep
        share = jnp.where(short, safe.divide(mean - keep, mean - least), 1)
        share = jnp.where(mean > 0, share, 0)[None, None]
        sides = u[:, None] + share * (sides - u[:, None])
    return sides
