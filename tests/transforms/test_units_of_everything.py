"""Where the units of every public function are tested, or why it has none.

A new public name without an entry fails, and so does a file that does not name what it
is said to test.
"""

import re
from pathlib import Path

from test_export_everything import public_names

TESTS = Path(__file__).parents[1]

#: Names by the file that tests them at units of 1e-30 to 1e30, or at an offset.
TESTED = {
    "property/test_units_of_conditioning.py": """
        Gaussian condition integral balance stationary join_fields diffuse
        LinearConstraint Grid""",
    "property/test_units_of_solvers.py": """
        BlockGram Bordered ConjugateGradient DiagonalGram SparseCholesky Woodbury
        linear_map.Sparse totals pointwise incidence ordered simplex condition_relative
        diagnose stack""",
    "property/test_units_of_bounds.py": """
        bounded monotone condition_nonlinear NonlinearConstraint sample_bounded
        inverse.least_squares""",
    "property/test_units_of_the_rest.py": """
        LowRank Rows boundary_values sensors second_difference from_fn from_matrix
        block_means divergence_free Diagonal Kronecker DenseGram ColumnGram
        conditioning.covariance_apply conditioning.covariance_block
        conditioning.covariance_columns conditioning.linear_image conditioning.total
        conditioning.values_at conditioning.quantile marginal_moments reachable
        conditioning.truncated_moments conditioning.isotonic_blocks
        conditioning.shock_positions conditioning.shock_position_quantile
        conditioning.log_density
        hard_c prob_conserv constrained linear_map.BlockDiagonal linear_map.Compose
        linear_map.Dense linear_map.Sum linear_map.Stencil
        assimilation.ensemble_update assimilation.localisation
        assimilation.gaspari_cohn metrics.mean_squared_error metrics.standardized
        metrics.interval_width metrics.probability_integral_transform
        metrics.conservation_error metrics.shock_position
        metrics.shock_position_error models.mixture_moments
        inverse.maximum_a_posteriori inverse.laplace_sample inverse.evidence
        operators.lift operators.overwrite operators.residuals operators.correct
        operators.spectral_conv operators.basis_conv operators.Normaliser
        operators.corrected_spectral_conv""",
    "property/test_units_of_times.py": """
        fv.solve fv.Event fv.Arrival fv.solve_stiff fv.rate fv.face_flux
        fv.forward_euler fv.ssp_rk2 fv.ssp_rk3 fv.ssp_rk43 fv.muscl_hancock fv.Strang
        fv.Layered fv.PassiveScalars fv.Constant fv.Linear fv.mesh_problem""",
    "property/test_fv_units.py": """
        fv.Advection fv.Heat fv.Mixed fv.Scheme fv.MUSCL fv.WENO fv.Positive fv.Euler
        fv.ShallowWater fv.Stefan fv.PorousMedium fv.Burgers fv.Diffusion fv.tendency
        fv.rusanov fv.hll fv.hllc fv.roe fv.godunov fv.sdirk2 fv.implicit_euler
        fv.Problem fv.limiter.minmod fv.limiter.van_leer fv.limiter.superbee
        fv.limiter.koren""",
    "numerics/test_metrics.py": """
        metrics.relative_l2 metrics.gaussian_crps metrics.gaussian_log_likelihood
        metrics.interval_coverage metrics.energy_score
        metrics.calibration_factor""",
    "numerics/test_model_units.py": """
        models.OperatorRegressor models.operator_loss operators.mean_and_variance
        operators.FNO""",
}

#: Names without units, by the reason.
NONE = {
    "holds arrays and computes nothing": """
        Boundary Dirichlet Flux Neumann Robin Outflow Periodic Reflective Outcome
        LinearMap Root linear_map.as_root linear_map.split_fields linear_map.Layout
        linear_map.Groups linear_map.Labelled linear_map.Blocks linear_map.Stack
        models.Model models.Observations models.Prediction models.Predictor fv.Law
        fv.MeshProblem conditioning.Factor conditioning.Solver
        conditioning.Preconditioner conditioning.Downdate""",
    "the result of a function that is tested": """
        Bounded Conditioned Constrained Diagnosis Monotone Nonlinear Relative
        conditioning.BoundedSamples assimilation.Analysis inverse.Estimate
        inverse.Evidence metrics.ShockPosition operators.Residual fv.Solution""",
    "the root of a posterior, tested as its spread": """
        conditioning.DowndatedRoot conditioning.MatheronRoot""",
    "chosen by a function that is tested": """
        Auto Tridiagonal linear_map.Circulant linear_map.Difference linear_map.Disjoint
        linear_map.Pointwise""",
    "approximates an inverse, and changes no result": """
        conditioning.Jacobi conditioning.BlockJacobi conditioning.Multigrid""",
    "its state is a share between 0 and 1": "fv.Traffic fv.BuckleyLeverett",
    "the default of a scheme that is tested": "fv.limiter.mc",
    "acts on another limiter": "fv.limiter.symmetric",
    "weights of a network": """
        operators.init_spectral_weights operators.init_basis_weights
        operators.CPWeights operators.TuckerWeights operators.fno_from_pytorch""",
    "the name of a form": "operators.form_for",
    "a nonlinear network for normalised data, see Normaliser": """
        operators.BoundaryFNO operators.mean_and_std models.ANP models.NeuralProcess
        models.Ensemble models.predict models.predict_samples models.moments
        models.operator_prior models.latent_prior models.latent_loss""",
    "fitted and evaluated by gp_fit and gp_predictor, see test_model_units": """
        models.GaussianProcess""",
    "files and text": "export load_exported citation",
}


def listed(table):
    pairs = [(name, key) for key, names in table.items() for name in names.split()]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_every_public_name_has_an_entry():
    tested, none = listed(TESTED), listed(NONE)
    assert not set(tested) & set(none)
    assert set(tested) | set(none) == set(public_names())


def test_files_name_what_they_test():
    for name, file in listed(TESTED).items():
        text = (TESTS / file).read_text(encoding="utf-8")
        last = name.rpartition(".")[2]
        assert re.search(rf"\b{last}\b", text), f"{file} does not name {name}"
