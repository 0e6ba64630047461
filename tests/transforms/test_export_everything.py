"""Every public numeric function exports for CPU, CUDA and TPU, with any batch size,
without host callbacks. One line each: a new public name without a line here fails
`test_table_is_complete`.
"""

import inspect
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import (
    conditioning,
    fv,
    inverse,
    linear_map,
    mesh,
    metrics,
    models,
    operators,
)
from physcon.fv import limiter
from physcon.kernels import matern32
from physcon.models.ensemble import make_ensemble
from physcon.serving import host_callbacks
from physcon.serving._export import PLATFORMS

N = 8
GRID = pc.Grid.uniform(0.0, 1.0, N)
SQUARE = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (2, 4))
NODES = pc.Grid.uniform(0.0, 1.0, N, location="nodes")
ENDS = pc.Boundary((pc.Dirichlet(0.0), pc.Neumann(1.0)))
CIRCLE = pc.Boundary(pc.Periodic())
T, DT = jnp.asarray(0.0), jnp.asarray(0.01)
KEY = jax.random.key(0)
FNO = operators.FNO.init(KEY, 1, 2, (3,), 4, 1, mlp=3, hidden=4, padding=(2,))
LATENT = models.OperatorRegressor(operators.FNO.init(KEY, 2, 2, (3,), 4, 1), latents=1)
EULER, WATER = fv.Euler(), fv.ShallowWater()


def prior(x):
    return pc.Gaussian.diagonal(x, 1 + x**2)


def mass(x):
    return pc.integral(GRID, jnp.sum(x))


def rows(x):
    """Enough rows for a Cholesky factor of their Gram matrix."""
    return conditioning.stack(pc.second_difference(GRID), mass(x))


def posterior(x):
    return pc.condition(prior(x), mass(x), throw=False).posterior


def derived(gaussian):
    """What can be asked of a posterior without its matrix."""
    places = jnp.array([[0], [3]])
    return (
        gaussian.root.mv(jnp.ones(N)),
        conditioning.covariance_apply(gaussian, jnp.ones(N)),
        conditioning.covariance_block(gaussian, places, places),
        conditioning.covariance_columns(gaussian, places),
        conditioning.linear_image(gaussian, pc.second_difference(GRID).operator),
        conditioning.total(gaussian, GRID),
        conditioning.values_at(gaussian, places),
        conditioning.quantile(gaussian, 0.9),
    )


def circle(x):
    return pc.NonlinearConstraint(
        lambda u: jnp.sum(u**2)[None], 1 + jnp.sum(x**2)[None]
    )


def block(x):
    """Balances of 2 times and 4 cells."""
    grid = pc.Grid.uniform(0.0, 1.0, 4)
    return pc.balance(grid, jnp.array([0.0, 0.5]), (jnp.zeros((1, 5)) + x[0],))


def state(x, law):
    """An admissible state of three (Euler) or two channels."""
    if isinstance(law, fv.ShallowWater):
        return jnp.stack([1 + x**2, x])
    return law.conservative(jnp.stack([1 + x**2, x, 1 + x**2]))


def faces(solver, law=EULER) -> Callable:
    return lambda x: solver(state(x, law), state(x[::-1], law), law)


def rate_of_change(law, reconstruct=None, channels=1) -> Callable:
    scheme = fv.Scheme() if reconstruct is None else fv.Scheme(reconstruct)
    boundary = ENDS if isinstance(law, fv.Diffusion) else CIRCLE

    def tendency(x):
        u = jnp.stack([1 + x**2] * channels) if channels != 3 else state(x, EULER)
        return fv.tendency(u, law, GRID, boundary, scheme)

    return tendency


def step(stepper, law=None, reconstruct=None) -> Callable:
    law = EULER if law is None else law
    boundary = ENDS if isinstance(law, fv.Diffusion) else CIRCLE
    scheme = fv.Scheme(fv.MUSCL() if reconstruct is None else reconstruct, step=stepper)
    problem = fv.Problem(law, GRID, boundary, scheme)
    return lambda x: stepper(
        problem, state(x, law) if isinstance(law, fv.Euler) else x[None], T, DT
    )


def misfit(x) -> Callable:
    """Two readings of eight parameters."""
    return lambda theta: jnp.tanh(theta[:2]) - x[:2]


def boon(form):
    network = operators.BoundaryFNO(FNO, form=form, throw=False)
    return lambda x: network.mean_and_variance(x[None], ENDS, NODES)


def correct(form):
    weights = operators.init_spectral_weights(KEY, 1, 1, (3,))

    def conv(x):
        return operators.corrected_spectral_conv(
            weights, x[None], ENDS, NODES, form, throw=False
        )

    return conv


ANP = models.ANP(dim=1, size=4, heads=2, layers=1, key=KEY)
MEMBERS = make_ensemble(KEY, 2, dim=1, width=4, depth=1)


def contexts(x):
    return models.Observations(GRID.coordinates[0][:3, None], x[:3, None])


def every_model(x):
    points = GRID.coordinates[0][:, None]
    found = [
        models.NeuralProcess(ANP),
        models.GaussianProcess(),
        models.Ensemble(MEMBERS),
    ]
    priors = [m.draws(m.observe(contexts(x)), points, KEY, 2) for m in found]
    return [models.moments(prior) for prior in priors]


def every_metric(x):
    std, samples = 1 + x**2, jnp.stack([x, 2 * x, x**2])
    shocks = jax.vmap(metrics.shock_position, (None, 0))(GRID.coordinates[0], samples)
    pointwise = (
        metrics.gaussian_log_likelihood,
        metrics.gaussian_crps,
        metrics.standardized,
    )
    return (
        metrics.mean_squared_error(x, std),
        metrics.relative_l2(x, std),
        [score(x, std, 2 * x) for score in pointwise],
        metrics.energy_score(samples, std),
        metrics.interval_coverage(x, std, 2 * x),
        metrics.interval_width(std),
        metrics.probability_integral_transform(x, std, 2 * x),
        metrics.conservation_error(x, GRID.weights(), 1.0),
        metrics.shock_position_error(shocks, 0.5),
    )


def halves(x):
    """Means of the two halves, which see disjoint points."""
    return pc.block_means(GRID, 4, jnp.stack([x[0], x[7]]))


#: Eight triangles in a square, open on all sides.
TRIANGLES = mesh.triangles((0.0, 0.0), (1.0, 1.0), (2, 2))
SIDES = dict.fromkeys(TRIANGLES.patches, pc.Outflow())
#: A path of eight nodes: the flows of its seven edges balance at each node.
PATH = pc.incidence([(k, k + 1) for k in range(7)], 8)
#: The same sum at every point of two fields.
BOTH = pc.pointwise(jnp.ones((1, 2)), jnp.ones((1, 4)), shape=(4,))


def flows(x):
    """Flows along the path, of which some are lost on the way."""
    lossy = pc.LinearConstraint(PATH.operator, x - jnp.mean(x), jnp.full(N, 0.1))
    return pc.condition(
        pc.Gaussian.diagonal(x[:7], 1 + x[:7] ** 2),
        lossy,
        solver=pc.SparseCholesky(),
        throw=False,
    )


HIERARCHY = []
if find_spec("pyamg"):
    known = pc.Gaussian.diagonal(jnp.ones(7), jnp.ones(7))
    HIERARCHY = [conditioning.Multigrid.of(known, PATH)]


def iterated(x):
    """The flows by conjugate gradients with every preconditioner."""
    lossy = pc.LinearConstraint(PATH.operator, x - jnp.mean(x), jnp.full(N, 0.1))
    flows = pc.Gaussian.diagonal(x[:7], 1 + x[:7] ** 2)
    every = [conditioning.Jacobi(), conditioning.BlockJacobi(2)]
    return [
        pc.condition(
            flows,
            lossy,
            solver=conditioning.ConjugateGradient(preconditioner=preconditioner),
            throw=False,
        ).posterior.mean
        for preconditioner in every + HIERARCHY
    ]


def structured(x):
    """Disjoint rows, with a total over all points, and under an ensemble."""
    mass_too = pc.stack(halves(x), pc.integral(GRID, x[0], 0.1))
    members = pc.Gaussian.from_samples(jnp.stack([x, 2 * x, x**2]), jnp.ones(N))
    return (
        pc.condition(prior(x), halves(x), throw=False),
        pc.condition(prior(x), mass_too, throw=False),
        pc.condition(members, halves(x), throw=False),
    )


def every_map(x):
    spectrum = 2 + jnp.cos(jnp.arange(3.0))
    a, b = pc.Diagonal(x), pc.LowRank(jnp.stack([x, x**2]))
    maps = [
        linear_map.Circulant(spectrum, (2,), (4,)),
        linear_map.Sum(b, a),
        linear_map.Compose(pc.Rows(x[None]), a),
        linear_map.Kronecker(linear_map.Dense(jnp.ones((2, 2)), (2,)), b),
        linear_map.BlockDiagonal(a, a),
        linear_map.Difference(x),
        linear_map.Stencil(jnp.stack([x, x**2]), ((0,), (1,)), (N,)),
    ]
    split = linear_map.split_fields(x, ((2,), (2, 3)))
    return split, [m.rmv(m.mv(jnp.ones(m.in_shape))) for m in maps]


#: Name of the public thing -> a function of x (8 numbers).
TABLE: dict[str, Callable[[Any], Any]] = {
    # Distributions and linear maps
    "Gaussian": lambda x: (
        posterior(x).sample(KEY),
        posterior(x).log_prob(x),
        posterior(x).covariance(),
        pc.Gaussian.from_samples(jnp.stack([x, 2 * x, x**2]), jnp.ones(N)).std(),
        pc.Gaussian.from_mixture(jnp.stack([x, 2 * x]), jnp.ones((2, N))).variance(),
        pc.Gaussian.from_covariance(x, jnp.eye(N), throw=False).log_prob(2 * x),
        pc.Gaussian.from_variance(x, x**2).variance(),
    ),
    "LinearConstraint": lambda x: (mass(x).residual(x), mass(x).noise()),
    "LinearMap": lambda x: (rows(x).operator.mv(x), rows(x).operator.rmv(x[:7])),
    "Diagonal": lambda x: pc.Diagonal(x).solve(x),
    "LowRank": lambda x: pc.LowRank(jnp.stack([x, x**2])).mahalanobis(x, x),
    "Rows": lambda x: pc.Rows(x[None]).mv(x),
    "Grid": lambda x: (GRID.integrate(x), NODES.integrate(x)),
    # Constraints
    "integral": lambda x: mass(x).residual(x),
    "balance": lambda x: block(x).residual(x.reshape(2, 4)),
    "divergence_free": lambda x: pc.divergence_free(SQUARE),
    "boundary_values": lambda x: pc.boundary_values(NODES, ENDS).residual(x),
    "sensors": lambda x: pc.sensors(GRID, x[:2, None] ** 2 / 4, x[:2]).residual(x),
    "from_fn": lambda x: pc.from_fn(lambda u: jnp.sum(u)[None], (N,), x[0]).residual(x),
    "second_difference": lambda x: pc.second_difference(GRID).residual(x),
    "stack": lambda x: rows(x).residual(x),
    "NonlinearConstraint": lambda x: circle(x).fn(x),
    # Conditioning
    "condition": lambda x: pc.condition(prior(x), rows(x), throw=False),
    "bounded": lambda x: pc.bounded(prior(x), mass(x), 0.0, throw=False),
    "monotone": lambda x: pc.monotone(prior(x), mass(x), throw=False),
    "condition_nonlinear": lambda x: pc.condition_nonlinear(
        prior(x), circle(x), throw=False
    ),
    "reachable": lambda x: pc.reachable(prior(x), mass(x), 0.0, 1.0),
    "sample_bounded": lambda x: pc.sample_bounded(
        KEY, prior(x), mass(x), 0.0, throw=False
    ),
    "marginal_moments": lambda x: pc.marginal_moments(
        prior(x), mass(x), 0.0, throw=False
    ),
    "diffuse": lambda x: pc.diffuse(prior(x), 0.5, throw=False).variance(),
    "hard_c": lambda x: pc.hard_c(prior(x), mass(x), throw=False).mean,
    "prob_conserv": lambda x: pc.prob_conserv(prior(x), mass(x), throw=False).mean,
    "stationary": lambda x: (
        pc.condition(
            pc.stationary(x, matern32, GRID, 1.0, 0.1, throw=False),
            mass(x),
            throw=False,
        ).posterior.mean
    ),
    "ConjugateGradient": lambda x: pc.condition(
        pc.Gaussian.diagonal(x.reshape(2, 4), jnp.ones((2, 4))),
        block(x),
        solver=conditioning.ConjugateGradient(),
        throw=False,
    ),
    "conditioning.Jacobi, conditioning.BlockJacobi, conditioning.Multigrid, "
    "conditioning.Preconditioner": iterated,
    "Tridiagonal": lambda x: pc.condition(
        pc.Gaussian.diagonal(x.reshape(2, 4), jnp.ones((2, 4))), block(x), throw=False
    ),
    "Auto, DenseGram, Outcome, Root, linear_map.as_root, conditioning.Solver, "
    "conditioning.Factor, conditioning.DowndatedRoot, conditioning.MatheronRoot, "
    "conditioning.Downdate, conditioning.covariance_apply, "
    "conditioning.covariance_block, "
    "conditioning.covariance_columns, conditioning.linear_image, conditioning.total, "
    "conditioning.values_at, conditioning.quantile": lambda x: derived(posterior(x)),
    "conditioning.isotonic_blocks": lambda x: conditioning.isotonic_blocks(
        x, jnp.ones(N)
    ),
    "join_fields": lambda x: conditioning.join_fields(prior(x), prior(x)).mean,
    "conditioning.log_density": lambda x: conditioning.log_density(
        prior(x), circle(x), x
    ),
    "conditioning.shock_positions": lambda x: conditioning.shock_positions(
        posterior(x), GRID.coordinates[0], KEY, 2
    ),
    "conditioning.shock_position_quantile": lambda x: (
        conditioning.shock_position_quantile(
            posterior(x), GRID.coordinates[0], 0.9, KEY, 10
        )
    ),
    "conditioning.truncated_moments": lambda x: conditioning.truncated_moments(
        x, 1 + x**2, x - 1, x + 2
    ),
    # Many rows
    "DiagonalGram, Bordered, Woodbury, block_means, linear_map.Disjoint, "
    "linear_map.Blocks, linear_map.Stack": structured,
    "SparseCholesky, incidence, linear_map.Sparse": flows,
    "BlockGram, pointwise, linear_map.Pointwise": lambda x: pc.condition(
        pc.Gaussian.diagonal(x.reshape(2, 4), 1 + x.reshape(2, 4) ** 2),
        BOTH,
        throw=False,
    ),
    "totals, linear_map.Labelled": lambda x: pc.totals(
        np.arange(8) % 2, jnp.stack([x[0], x[7]]), throw=False
    ).residual(x),
    "from_matrix": lambda x: pc.from_matrix(np.eye(8)[:2], x[:2]).residual(x),
    "constrained": lambda x: pc.constrained(
        prior(x),
        halves(x),
        0.0,
        rows=pc.Rows(jnp.eye(2, 8)),
        row_upper=9.0,
        throw=False,
    ),
    "ordered": lambda x: pc.ordered(
        pc.Gaussian.diagonal(x.reshape(2, 4), jnp.ones((2, 4))), throw=False
    ),
    "simplex": lambda x: pc.simplex(
        pc.Gaussian.diagonal(x.reshape(2, 4), jnp.ones((2, 4))), throw=False
    ),
    "condition_relative": lambda x: pc.condition_relative(
        1 + x**2, halves(x), throw=False
    ),
    "diagnose": lambda x: pc.diagnose(prior(x), halves(x)),
    # Finite volumes
    "fv.Advection": rate_of_change(fv.Advection(1.0)),
    "fv.Burgers": rate_of_change(fv.Burgers()),
    "fv.Traffic": rate_of_change(fv.Traffic()),
    "fv.BuckleyLeverett": rate_of_change(fv.BuckleyLeverett()),
    "fv.Euler": rate_of_change(fv.Euler(), channels=3),
    "fv.ShallowWater": rate_of_change(WATER, channels=2),
    "fv.PassiveScalars": rate_of_change(
        fv.PassiveScalars(fv.ShallowWater()), channels=3
    ),
    "fv.Heat": rate_of_change(fv.Heat()),
    "fv.Layered": rate_of_change(fv.Layered(jnp.ones(N))),
    "fv.PorousMedium": rate_of_change(fv.PorousMedium(3.0)),
    "fv.Stefan": rate_of_change(fv.Stefan(face="shock")),
    "fv.Mixed": rate_of_change(fv.Mixed(fv.Burgers(), fv.Heat())),
    "fv.Constant": rate_of_change(fv.Burgers(), fv.Constant()),
    "fv.MUSCL": rate_of_change(EULER, fv.MUSCL(variables="characteristic"), 3),
    "fv.Linear, fv.MeshProblem, fv.mesh_problem": lambda x: fv.mesh_problem(
        fv.Burgers(), TRIANGLES, SIDES, fv.Scheme(fv.Linear())
    )(x[None], jnp.zeros(())),
    "fv.WENO": rate_of_change(EULER, fv.WENO(5, "z", "primitive"), 3),
    "fv.Positive": rate_of_change(EULER, fv.Positive(fv.MUSCL()), 3),
    "fv.Law": lambda x: EULER.max_speed(state(x, EULER)),
    "fv.rusanov": faces(fv.rusanov),
    "fv.hll": faces(fv.hll),
    "fv.hllc": faces(fv.hllc),
    "fv.roe": faces(fv.roe),
    "fv.godunov": lambda x: fv.godunov(x[None], x[None, ::-1], fv.BuckleyLeverett()),
    "fv.face_flux": lambda x: fv.face_flux(x[None], fv.Burgers(), GRID, CIRCLE),
    "fv.tendency": rate_of_change(fv.Burgers()),
    "fv.rate": lambda x: fv.rate(x[None], fv.Burgers(), GRID, CIRCLE),
    "fv.forward_euler": step(fv.forward_euler, fv.Burgers()),
    "fv.ssp_rk2": step(fv.ssp_rk2, fv.Burgers()),
    "fv.ssp_rk3": step(fv.ssp_rk3, fv.Burgers()),
    "fv.ssp_rk43": step(fv.ssp_rk43, fv.Burgers()),
    "fv.muscl_hancock": step(fv.muscl_hancock),
    "fv.implicit_euler": step(fv.implicit_euler, fv.PorousMedium(2.0)),
    "fv.sdirk2": step(fv.sdirk2, fv.PorousMedium(2.0)),
    "fv.Strang": lambda x: fv.Strang()(
        fv.Problem(fv.Mixed(fv.Burgers(), fv.Heat()), GRID, ENDS), x[None], T, DT
    ),
    "fv.Event, fv.Arrival": lambda x: (
        fv.solve(
            x[None],
            fv.Burgers(),
            GRID,
            CIRCLE,
            times=[0.1],
            event=fv.Arrival(GRID, 0.5, 1.0),
            throw=False,
        ).event
    ),
    "fv.solve": lambda x: fv.solve(
        x[None], fv.Burgers(), GRID, CIRCLE, times=[0.1, 0.2], throw=False
    ),
    **{
        f"fv.limiter.{name}": lambda x, name=name: getattr(limiter, name)(x, x[::-1])
        for name in ("koren", "mc", "minmod", "superbee", "van_leer")
    },
    "fv.limiter.symmetric": lambda x: limiter.symmetric(limiter.van_leer)(x, x[::-1]),
    # Inverse problems
    "inverse.least_squares": lambda x: inverse.least_squares(
        misfit(x), prior(x), throw=False
    ),
    "inverse.maximum_a_posteriori": lambda x: inverse.maximum_a_posteriori(
        lambda theta: jnp.sum(misfit(x)(theta) ** 2), prior(x), throw=False
    ),
    "inverse.evidence": lambda x: inverse.evidence(prior(x), mass(x), throw=False),
    "inverse.laplace_sample": lambda x: inverse.laplace_sample(
        KEY, misfit(x), prior(x), x, throw=False
    ),
    # Models and scores
    "models.ANP, models.predict, models.predict_samples": lambda x: models.predict(
        ANP, contexts(x), x[:, None], KEY, num_samples=2
    ),
    "models.NeuralProcess, models.GaussianProcess, models.Ensemble, models.moments": (
        every_model
    ),
    "models.OperatorRegressor, models.operator_prior, models.operator_loss": lambda x: (
        models.operator_prior(models.OperatorRegressor(FNO), x[None]).mean,
        models.operator_loss(models.OperatorRegressor(FNO), x[None], x[None]),
    ),
    "models.latent_prior, models.latent_loss": lambda x: (
        models.latent_prior(LATENT, x[None], key=KEY, samples=2).mean,
        models.latent_loss(LATENT, x[None], x[None], key=KEY, samples=2),
    ),
    "models.mixture_moments": lambda x: models.mixture_moments(
        x.reshape(2, 4), jnp.ones((2, 4))
    ),
    "metrics.mean_squared_error, metrics.relative_l2, metrics.gaussian_log_likelihood, "
    "metrics.gaussian_crps, metrics.standardized, metrics.energy_score, "
    "metrics.interval_coverage, "
    "metrics.interval_width, metrics.probability_integral_transform, "
    "metrics.conservation_error, metrics.shock_position, "
    "metrics.shock_position_error": every_metric,
    "linear_map.Circulant, linear_map.Sum, linear_map.Compose, Kronecker, "
    "linear_map.BlockDiagonal, linear_map.Dense, linear_map.Difference, "
    "linear_map.Stencil, "
    "linear_map.split_fields": every_map,
    # Operators
    "operators.FNO": lambda x: FNO(x[None]),
    "operators.BoundaryFNO": lambda x: [
        boon(form)(x) for form in ("lift", "overwrite")
    ],
    "operators.Normaliser": lambda x: operators.Normaliser(
        x[:1], x[1:2] ** 2 + 1
    ).encode(x[None]),
    "operators.mean_and_variance, operators.mean_and_std": lambda x: (
        operators.mean_and_variance(x.reshape(2, 4)),
        operators.mean_and_std(x.reshape(2, 4), max_std=2.0),
    ),
    "operators.spectral_conv": lambda x: [
        operators.spectral_conv(
            operators.init_spectral_weights(KEY, 1, 1, (3,)), x[None], method
        )
        for method in ("fft", "matmul")
    ],
    "operators.init_spectral_weights": lambda x: operators.init_spectral_weights(
        KEY, 1, 2, (3,)
    ),
    "operators.basis_conv": lambda x: operators.basis_conv(
        operators.init_basis_weights(KEY, 1, 1, (3,)), x[None], ("sine-cosine",)
    ),
    "operators.init_basis_weights": lambda x: operators.init_basis_weights(
        KEY, 1, 2, (3,)
    ),
    "operators.CPWeights": lambda x: operators.CPWeights.init(
        KEY, 1, 2, (3,), rank=2
    ).dense(),
    "operators.TuckerWeights": lambda x: operators.TuckerWeights.init(
        KEY, 1, 2, (3,), rank=0.5
    ).dense(),
    "operators.corrected_spectral_conv": lambda x: [
        correct(f)(x) for f in ("lift", "eliminate")
    ],
    "operators.correct": lambda x: operators.correct(
        jnp.tanh, ENDS, NODES, throw=False
    )(x[None]),
    "operators.lift": lambda x: operators.lift(x[None], ENDS, NODES, throw=False),
    "operators.overwrite": lambda x: operators.overwrite(
        x[None], ENDS, NODES, throw=False
    ),
    "operators.residuals": lambda x: [
        r.value for r in operators.residuals(x[None], ENDS, NODES)
    ],
}

#: Public names without arithmetic of their own: conditions, results, settings, files,
#: text.
NO_ARITHMETIC = {
    *(
        "Boundary",
        "Dirichlet",
        "Neumann",
        "Robin",
        "Flux",
        "Periodic",
        "Outflow",
        "Reflective",
    ),
    *(
        "Bounded",
        "conditioning.BoundedSamples",
        "Constrained",
        "Diagnosis",
        "Relative",
        "linear_map.Groups",
        "linear_map.Layout",
        "Conditioned",
        "Monotone",
        "Nonlinear",
        "fv.Solution",
        "operators.Residual",
    ),
    *("fv.Scheme", "fv.Problem", "fv.Diffusion"),
    *("inverse.Estimate", "inverse.Evidence"),
    *(
        "models.Model",
        "models.Observations",
        "models.Prediction",
        "models.Predictor",
        "metrics.ShockPosition",
    ),
    *("operators.fno_from_pytorch", "export", "load_exported", "citation"),
}

#: diffrax checks the saved times by host callbacks, whatever `throw` is; its docstring
#: says so.
NOT_EXPORTED = {"fv.solve_stiff"}


def public_names():
    """Functions and classes of ours, each under the first of its public names."""
    for part in (
        pc,
        conditioning,
        linear_map,
        limiter,
        fv,
        inverse,
        metrics,
        models,
        operators,
    ):
        prefix = (part.__name__ + ".").removeprefix("physcon.")
        home = "physcon." if hasattr(part, "__path__") else part.__name__
        for name, value in inspect.getmembers(part, callable):
            ours = value.__module__.startswith(home) and not name.startswith("_")
            if ours and (part is pc or getattr(pc, name, None) is not value):
                yield prefix + name


def test_table_is_complete():
    names = set(public_names())
    assert len(names) > 100
    listed = {name for line in TABLE for name in line.split(", ")}
    assert names - NO_ARITHMETIC - NOT_EXPORTED - listed == set(), "add a line to TABLE"
    assert listed | NO_ARITHMETIC | NOT_EXPORTED == names
    assert not listed & NO_ARITHMETIC


def compiled_anew(one, other):
    """The parts of a function that a second call outside of jit compiles again.

    Outside of jit each operation is a program, which is kept by its name and
    settings. One that holds a function (a loop, a branch, a compiled function) is kept
    by the identity of that function.
    """
    found = set()
    for (name, first), (_, second) in zip(held(one), held(other), strict=True):
        if first is not second:
            found.add(name)
    return found


def held(program):
    """(name, program) of the compiled functions, loops and branches of a program."""
    made_by = {x: e for e in program.jaxpr.eqns for x in e.outvars}

    def only_when_traced(equation):
        """A stage of a finite-volume scheme, see physcon.fv._stage."""
        index = equation.invars[0]
        while index in made_by and len(made_by[index].invars) == 1:
            if made_by[index].primitive.name == "optimization_barrier":
                return True
            index = made_by[index].invars[0]
        return False

    for equation in program.jaxpr.eqns:
        kind, params = equation.primitive.name, equation.params
        inner = [x for x in jax.tree.leaves(list(params.values())) if is_program(x)]
        if kind in (
            "custom_jvp_call",
            "custom_jvp_with_rule",
            "custom_vjp_call",
            "float64",
        ):
            for x in inner:  # run operation by operation
                yield from held(x)
        elif kind == "cond" and only_when_traced(equation):
            yield from held(inner[-1])
        else:
            yield from ((params.get("name", kind), x) for x in inner)


def is_program(x):
    return isinstance(x, jax.extend.core.ClosedJaxpr)


@pytest.mark.parametrize("name", TABLE, ids=lambda line: line.partition(", ")[0])
def test_exports_for_every_platform(name):
    with jax.numpy_dtype_promotion("strict"):
        export(name)


def export(name):
    def arrays(x):
        return jax.tree.leaves(TABLE[name](x))

    def again(x):  # JAX would remember the trace of the function above
        return arrays(x)

    (batch,) = jax.export.symbolic_shape("b")
    fn, spec = jax.jit(jax.vmap(arrays)), jax.ShapeDtypeStruct((batch, N), np.float32)
    traced = fn.trace(spec).jaxpr
    assert not list(host_callbacks(traced))
    anew = compiled_anew(traced, jax.jit(jax.vmap(again)).trace(spec).jaxpr)
    assert anew == set()
    exported = jax.export.export(fn, platforms=PLATFORMS)(spec)
    assert exported.platforms == PLATFORMS
    assert len(exported.serialize()) > 0
    assert all(
        x.shape[0] == batch and x.dtype != np.float64 for x in exported.out_avals
    )


def test_a_callback_is_seen():
    fn = jax.jit(jax.vmap(lambda x: pc.condition(prior(x), mass(x)).posterior.mean))
    assert "pure_callback" in set(host_callbacks(fn.trace(jnp.ones((2, N))).jaxpr))
