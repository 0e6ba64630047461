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
from physcon.fv.unstructured.frame import turned
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
    """The states on the owner's and neighbour's side of every face, in its frame.

    Raises:
        ValueError: a reconstruction for grids only, such as `WENO`.
    """
    inner = unwrapped(reconstruct)
    if isinstance(inner, Constant):
        return in_frames(law, s, cells_first(u), (owner, s.far), Constant())
    if isinstance(inner, Positive):
        sides = _positive(inner, s, law, u)
        return in_frames(law, s, _flat(sides), (s.left, s.right), Constant())
    method = _linear_of(inner)
    sides = _linear(method, s, law, u)
    return in_frames(law, s, _flat(sides), (s.left, s.right), method)


@stage
def in_frames(
    law: Any,
    s: Stencil,
    table: Float[Array, "m c"],
    places: tuple[Int[Array, " f"], Int[Array, " f"]],
    method: "Linear | Constant",
) -> tuple[Float[Array, "c f"], Float[Array, "c f"]]:
    """The states of both sides of every face, in its frame, from a table of states.

    Args:
        table: states, or what `method` reconstructs.
        places: where the table has the left and right side of every face.
    """
    left, right = (_states(method, law, table[place].T) for place in places)
    return turned(law, left, s.frame), turned(law, right, s.frame)


@stage
def cells_first(u: Float[Array, "c n"]) -> Float[Array, "n c"]:
    """The state with its channels last: one read then fetches all of a cell."""
    return u.T


def _flat(sides: Float[Array, "k n c"]) -> Float[Array, "kn c"]:
    return sides.reshape(-1, sides.shape[-1])


def _states(method: "Linear | Constant", law: Any, w: Float[Array, "c *s"]) -> Array:
    """The states of what a method reconstructs."""
    if isinstance(method, Linear) and method.variables == "primitive":
        return law.conservative(w)
    return w


def _linear_of(reconstruct: Any) -> Linear:
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


def _linear(
    method: Linear, s: Stencil, law: Any, u: Float[Array, "c n"]
) -> Float[Array, "k n c"]:
    """The variables of `method` at the faces of every cell, from limited gradients."""
    w = primitive(law, u) if method.variables == "primitive" else u
    rows = cells_first(w)
    near = _neighbours(s, rows)
    gradient = _gradients(method, s, rows, near)
    share = _share(method, s, w, rows, gradient, near)
    return _at_faces(s, rows, gradient, share)


@stage
def _neighbours(s: Stencil, w: Float[Array, "n c"]) -> Float[Array, "k n c"]:
    """The values across each of the k faces of every cell."""
    return w[s.cell]


@stage
def _gradients(
    method: Linear, s: Stencil, w: Float[Array, "n c"], near: Float[Array, "k n c"]
) -> list[Float[Array, "n c"]]:
    """The gradient along each coordinate, from the values across the faces."""
    weights = s.weights if method.gradient == "least_squares" else s.mean_weights
    faces, directions, _ = weights.shape
    found = []
    for d in range(directions):
        parts = [weights[k, d][:, None] * (near[k] - w) for k in range(faces)]
        found.append(added(parts))
    return found


@stage
def _share(
    method: Linear, s: Stencil, w: Array, rows: Array, gradient: list[Array], near: Any
) -> Float[Array, "n c"]:
    """The share of the gradient that the limiter keeps."""
    if method.limiter == "none":
        return jnp.ones_like(rows)
    if method.limiter == "multidimensional":
        return smallest_share(at_vertices(s, rows, gradient), sharp)
    points = at_face_points(s, rows, gradient, near)
    if method.limiter == "barth_jespersen":
        return smallest_share(points, sharp)
    highest = jax.vmap(lambda x: largest(x, s.axes))(w)
    extent = highest + jax.vmap(lambda x: largest(-x, s.axes))(w)
    return smallest_share(points, smooth(method.threshold, extent))


@stage
def _at_faces(
    s: Stencil, w: Array, gradient: list[Array], share: Array
) -> Float[Array, "k n c"]:
    limited = [(share * g)[None] for g in gradient]
    arms = [s.arm[:, d, :, None] for d in range(len(gradient))]
    changes = [g * arm for g, arm in zip(limited, arms, strict=True)]
    return w[None] + added(changes)


def _positive(
    method: Positive, s: Stencil, law: Any, u: Float[Array, "c n"]
) -> Float[Array, "k n c"]:
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
        return jnp.broadcast_to(u.T, (len(s.cell), *u.T.shape))
    linear = _linear_of(inner)
    sides = _states(linear, law, jnp.moveaxis(_linear(linear, s, law, u), -1, 0))
    for k, mean in enumerate(quantities):
        least = jnp.min(law.positive(sides)[k], axis=0)
        keep = jnp.where(mean > 0, method.floor * mean, mean)
        short = least < keep
        share = jnp.where(short, safe.divide(mean - keep, mean - least), 1)
        share = jnp.where(mean > 0, share, 0)[None, None]
        sides = u[:, None] + share * (sides - u[:, None])
    return jnp.moveaxis(sides, 0, -1)
