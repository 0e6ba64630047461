"""Adaptive high-order time stepping for stiff diffusion, by diffrax, with tridiagonal
solves.

Kvaerno's implicit Runge-Kutta methods for a diffusion, Kennedy and Carpenter's additive
ones for waves (explicit) with diffusion (implicit). The stages' Newton systems I - γ dt
J couple neighbours only: J is never formed beyond its three diagonals.
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx

from physcon._checks import require
from physcon._extras import needs
from physcon._numerics.float64 import cast
from physcon._typing import Array, ArrayLike, Float
from physcon.boundary import Boundary
from physcon.fv._solve import (
    MAX_STEPS,
    NOT_FINITE,
    OK,
    STALLED,
    Solution,
    increasing,
    raise_failure,
)
from physcon.fv.diffusion import Diffusion, Mixed
from physcon.fv.ghost import is_periodic
from physcon.fv.semidiscrete import DEFAULT, Problem, Scheme, Source, rate
from physcon.fv.splitting import parts
from physcon.fv.tridiagonal import Bands, bands, solve_bands
from physcon.grid import Grid

with needs("stiff"):
    import diffrax

_IMPLICIT = {3: diffrax.Kvaerno3, 4: diffrax.Kvaerno4, 5: diffrax.Kvaerno5}
_ADDITIVE = {3: diffrax.KenCarp3, 4: diffrax.KenCarp4, 5: diffrax.KenCarp5}


class Neighbours(lx.AbstractLinearSolver[Bands]):
    """Lineax solver for operators on states ``(c, n)`` that couple neighbours only:
    three applications of the operator give its diagonals.
    """

    def init(
        self, operator: lx.AbstractLinearOperator, options: dict[str, Any]
    ) -> Bands:
        """The diagonals."""
        like = operator.in_structure()
        return bands(operator.mv, jnp.zeros(like.shape, like.dtype), 0)

    def compute(
        self, state: Bands, vector: Float[Array, "c n"], options: dict[str, Any]
    ) -> tuple[Float[Array, "c n"], lx.RESULTS, dict[str, Any]]:
        """One tridiagonal solve per channel."""
        return solve_bands(state, vector, 0), lx.RESULTS.successful, {}

    def transpose(
        self, state: Bands, options: dict[str, Any]
    ) -> tuple[Bands, dict[str, Any]]:
        """Lower and upper diagonals change places."""
        lower, middle, upper = state
        return (jnp.roll(upper, 1, -1), middle, jnp.roll(lower, -1, -1)), options

    def conj(
        self, state: Bands, options: dict[str, Any]
    ) -> tuple[Bands, dict[str, Any]]:
        """The same: all is real."""
        return state, options

    def assume_full_rank(self) -> bool:
        """I - γ dt J is regular."""
        return True


def solve_stiff(
    u: Float[Array, "c *x"],
    law: Any,
    grid: Grid,
    boundary: Boundary,
    scheme: Scheme = DEFAULT,
    *,
    times: ArrayLike | Sequence[ArrayLike],
    start: ArrayLike = 0.0,
    order: Literal[3, 4, 5] = 5,
    rtol: float = 1e-4,
    atol: float = 1e-6,
    dt: ArrayLike | None = None,
    source: Source | None = None,
    max_steps: int = 10_000,
    throw: bool = True,
) -> Solution:
    """Integrate a diffusion, or waves with diffusion, from `start` and save it at
    `times`.

    Unlike `solve` the step follows the error in time, not a CFL number; where there are
    waves, a too long step is rejected by that error. Mass is conserved to rounding:
    stages are solved by Newton steps that conserve it, converged or not.

    Forward and reverse derivatives exist, but in reverse the adjoint of each stage is a
    dense solve: `sdirk2` and `Strang` are better there. They are for export, too:
    diffrax checks `times` by host callbacks, whatever `throw` is.

    Args:
        u, law, grid, boundary, times, start, source, throw: as in `solve`, in one dimension. With
            waves the source is explicit, else implicit (then it may couple neighbours at most).
        scheme: reconstruction and Riemann solver of the waves.
        order: of the method.
        rtol, atol: error per step.
        dt: a fixed step instead.
        max_steps: in all.

    Shapes: u ``(c, n)``; the result ``(k, c, n)``.

    Raises:
        ValueError: a law without diffusion, two dimensions, or a periodic axis (`sdirk2` and
            `Strang` split axes; explicit steps are periodic).
        RuntimeError: at run time under `throw`, a failed status.

    Source: Kvaerno, BIT 44 (2004) 489; Kennedy and Carpenter, Appl. Numer. Math. 44
        (2003) 139.
    """
    kind = type(law).__name__
    require(
        isinstance(law, Diffusion | Mixed),
        "a Diffusion or Mixed law",
        kind,
        "use solve",
    )
    require(
        grid.ndim == 1, "one dimension", grid.ndim, "use solve with sdirk2 or Strang"
    )
    require(
        not is_periodic(boundary.sides[0]),
        "no periodic axis",
        "axis 0",
        "use explicit steps",
    )
    require(order in (3, 4, 5), "order 3, 4 or 5", order, "choose one")
    problem = cast(Problem(law, grid, boundary, scheme, source), u.dtype)
    times, start = increasing(times, u.dtype), jnp.asarray(start, u.dtype)
    fixed = None if dt is None else jnp.asarray(dt, u.dtype)
    solution = _solve(problem, u, times, start, order, rtol, atol, fixed, max_steps)
    return raise_failure(solution) if throw else solution


@eqx.filter_jit
def _solve(
    problem: Problem,
    u: Array,
    times: Array,
    start: Array,
    order: int,
    rtol: float,
    atol: float,
    dt: Array | None,
    max_steps: int,
) -> Solution:
    def term(problem: Problem) -> diffrax.ODETerm:
        return diffrax.ODETerm(lambda t, u, args: problem(u, jnp.asarray(t)))

    # Newton's unknowns are tendencies, which carry the rounding of u times the rate of
    # diffusion; a fixed step has no error to be better than.
    eps = float(jnp.finfo(u.dtype).eps)
    rounding = (
        8
        * eps
        * jnp.max(rate(u, *problem.parts()[:3], start))
        * jnp.max(jnp.abs(u) + 1)
    )
    floor = jax.lax.stop_gradient(rounding)
    errors: Any = (rtol, jnp.maximum(atol, floor)) if dt is None else (eps**0.5, floor)
    # Not diffrax's VeryChord: with the additive methods of diffrax 0.7.2 it diverges
    # even for two linear equations, and a Jacobian kept over a step rejects most steps
    # of a front.
    root_finder = optx.Newton(*errors, linear_solver=Neighbours())
    if isinstance(problem.law, Mixed):
        waves, diffusion = parts(problem)
        terms: Any = diffrax.MultiTerm(term(waves), term(diffusion))
        method = _ADDITIVE[order](root_finder=root_finder)
    else:
        terms, method = term(problem), _IMPLICIT[order](root_finder=root_finder)
    controller: diffrax.AbstractStepSizeController = diffrax.ConstantStepSize()
    if dt is None:
        adaptive = diffrax.PIDController(rtol, atol)
        controller = diffrax.ClipStepSizeController(adaptive, step_ts=times)
    found = diffrax.diffeqsolve(
        terms,
        method,
        start,
        times[-1],
        dt,
        u,
        saveat=diffrax.SaveAt(ts=times),
        stepsize_controller=controller,
        max_steps=max_steps,
        throw=False,
    )
    assert found.ys is not None
    saved = found.ys
    failed = found.result != diffrax.RESULTS.successful
    status = jnp.where(failed, STALLED, OK)
    status = jnp.where(
        found.result == diffrax.RESULTS.max_steps_reached, MAX_STEPS, status
    )
    finite = jnp.isfinite(saved).all(axis=tuple(range(1, saved.ndim)))
    status = jnp.where((status == OK) & ~finite.all(), NOT_FINITE, status)
    shown = finite.reshape((-1,) + (1,) * (saved.ndim - 1))
    reached = jnp.max(jnp.where(finite, times, start))
    steps = jnp.asarray(found.stats["num_steps"], jnp.int32)
    return Solution(times, jnp.where(shown, saved, jnp.nan), steps, status, reached)
