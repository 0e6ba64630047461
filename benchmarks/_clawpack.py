"""The Euler cases of bench_fv.py with clawpack."""

from collections.abc import Callable

import numpy as np

from _fv_problems import quadrants, sod


def pyclaw(
    dimensions: int, size: int, end: float, sharp: bool, limiter: int | None = None
) -> Callable[[], int] | None:
    """The Euler cases with clawpack, float64; None where it is not installed."""
    try:
        from clawpack import pyclaw, riemann
    except ImportError:
        return None
    if sharp:
        tool = pyclaw.SharpClawSolver1D if dimensions == 1 else pyclaw.SharpClawSolver2D
    else:
        tool = pyclaw.ClawSolver1D if dimensions == 1 else pyclaw.ClawSolver2D
    names = {1: riemann.euler_hlle_1D, 2: riemann.euler_4wave_2D}
    u = np.asarray((sod if dimensions == 1 else quadrants)(size)[0], np.float64)

    def call():
        solver = tool(names[dimensions])
        if sharp:
            solver.time_integrator, solver.lim_type = "SSP33", limiter
            solver.weno_order, solver.char_decomp = 5, 0
            solver.cfl_desired, solver.cfl_max = 0.4, 0.5
        else:
            solver.limiters = pyclaw.limiters.tvd.MC
            solver.cfl_desired, solver.cfl_max = (0.8, 0.9)
            if dimensions == 2:
                solver.dimensional_split = True
        solver.all_bcs = pyclaw.BC.extrap
        domain = pyclaw.Domain(
            [0.0] * dimensions, [1.0] * dimensions, [size] * dimensions
        )
        state = pyclaw.State(domain, solver.num_eqn)
        state.problem_data.update(gamma=1.4, gamma1=0.4, efix=True)
        state.q[: len(u)] = u
        if solver.num_eqn > len(u):
            state.q[len(u) :] = 0
        solver.dt_initial = 0.1 / size
        solver.max_steps = 10**6
        solution = pyclaw.Solution(state, domain)
        solver.setup(solution)
        solver.evolve_to_time(solution, end)
        return size**dimensions * solver.status["numsteps"]

    return call
