"""What the parts of a finite-volume method may offer to each other.

A class takes part by having the methods; it need not inherit from anything here.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeAlias, runtime_checkable

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Scalar

#: ``riemann(u_left, u_right, law, axis)``, a numerical flux.
RiemannSolver: TypeAlias = Callable[..., Array]
#: ``step(problem, u, t, dt)``, the state after one time step.
Step: TypeAlias = Callable[..., Array]
#: ``source(u, t)``, a tendency of the shape of u.
Source: TypeAlias = Callable[[Array, Scalar], Array]
#: ``problem(u, t)``, the tendency.
Tendency: TypeAlias = Callable[[Array, Scalar], Array]


@runtime_checkable
class Reconstruction(Protocol):
    """``reconstruct(u, law, axis, widths)``: the left and right states of faces."""

    @property
    def ghosts(self) -> int:
        """Number of cells read beyond each side."""
        ...

    def __call__(self, u: Any, law: Any, axis: int, widths: Any) -> Any: ...


@runtime_checkable
class HasContact(Protocol):
    """A law with a middle wave between two star states, as `hllc` needs."""

    def contact_speed(
        self, u_left: Any, u_right: Any, low: Any, high: Any, axis: int
    ) -> Any:
        """Speed of the middle wave."""
        ...

    def star_state(self, u: Any, speed: Any, contact: Any, axis: int) -> Any:
        """State between an outer wave and the middle one."""
        ...


@runtime_checkable
class Turns(Protocol):
    """A system whose state holds vectors, as finite volumes on a mesh need it."""

    def rotate(self, u: Any, turn: Any) -> Any:
        """The state with each vector (v₁, ..., v_d) replaced by ``turn(v₁, ..., v_d)``.

        For shallow water: ``jnp.stack([u[0], *turn(*u[1:])])``.
        """
        ...


@runtime_checkable
class PushesSides(Protocol):
    """A law with a force on the cells that no flux carries, such as a bed's push."""

    def side_force(self, cell: Any, own: Any, other: Any) -> Any:
        """Force per area on a cell through one face, along the normal; None: none.

        Args:
            cell: the averages of the cells.
            own, other: the states on the cell's and on the other side of the face, in
                the frame of the face.
        """
        ...


@runtime_checkable
class TreatsImplicitly(Protocol):
    """A step whose size is limited by a part of the law only."""

    def limiting(self, law: Any) -> Any:
        """The part of the law that limits the step."""
        ...


@runtime_checkable
class HasStabilityLimit(Protocol):
    """An explicit step, unstable where dt times `physcon.fv.rate` exceeds a limit."""

    @property
    def cfl_limits(self) -> tuple[float, float] | None:
        """The limits for waves and for diffusion; None for a step without limits."""
        ...


@runtime_checkable
class Divisible(Protocol):
    """A law, source or event that holds arrays over the grid and can cut them."""

    def on_block(self, cut: Any) -> Any:
        """The same object for one block of a divided grid."""
        ...


def forcing(source: Source, u: Array, t: Scalar) -> Array:
    """The source's tendency, in the dtype of the state.

    Raises:
        ValueError: a tendency of another shape than the state.
    """
    forced = jnp.asarray(source(u, t))
    require(
        forced.shape == u.shape,
        f"source(u, t) of shape {u.shape}",
        forced.shape,
        "return a tendency of the shape of u",
    )
    return forced.astype(u.dtype)


def unwrapped(fn: Any) -> Any:
    """The function inside the `jax.tree_util.Partial` that a `Scheme` makes of it."""
    return fn.func if isinstance(fn, jax.tree_util.Partial) else fn


def is_symmetric(limiter: Any) -> bool:
    """Whether a limiter declares φ(a, b) = φ(b, a), by an attribute `symmetric`."""
    return bool(getattr(limiter, "symmetric", False))


def ghosts_of(reconstruct: Any) -> int:
    """The number of cells that a reconstruction reads beyond each side.

    Raises:
        ValueError: the reconstruction does not say so.
    """
    inner = unwrapped(reconstruct)
    require(
        isinstance(inner, Reconstruction),
        "a reconstruction with an attribute `ghosts`",
        repr(inner),
        "set it to the number of cells that it reads beyond each side",
    )
    return inner.ghosts


def cfl_limits_of(step: Any) -> tuple[float, float] | None:
    """The largest stable CFL numbers for waves and for diffusion, None if not known."""
    inner = unwrapped(step)
    return inner.cfl_limits if isinstance(inner, HasStabilityLimit) else None


def is_implicit(step: Any) -> bool:
    """Whether a step declares, by an attribute `implicit`, that it solves equations."""
    return bool(getattr(unwrapped(step), "implicit", False))


def limiting_part(step: Any, law: Any) -> Any:
    """The part of the law that limits the size of a step."""
    inner = unwrapped(step)
    return inner.limiting(law) if isinstance(inner, TreatsImplicitly) else law
