"""Every public name of version 0.1 is still there, and `dir` shows nothing else.

The list is written out, not computed, so that a name cannot vanish from both sides. A
name may leave it one minor release after its deprecation (docs/stability.md).
"""

import inspect
from importlib import import_module
from importlib.util import find_spec

import jax.numpy as jnp
import pytest

import physcon

NAMES = {
    "physcon": """
        Boundary Bounded Conditioned Diagonal Dirichlet Flux Gaussian Grid
        LinearConstraint LinearMap LowRank Monotone Neumann Nonlinear
        NonlinearConstraint Outflow Periodic Reflective Robin Rows balance
        boundary_values bounded citation condition condition_nonlinear diffuse
        divergence_free export from_fn hard_c integral load_exported marginal_moments
        monotone prob_conserv reachable sample_bounded second_difference sensors stack
        stationary
    """,
    "physcon.conditioning": """
        Bounded Conditioned ConjugateGradient Downdate Gaussian LinearConstraint METHODS
        Monotone Nonlinear NonlinearConstraint Tridiagonal balance boundary_values
        bounded condition condition_nonlinear covariance_apply covariance_block
        covariance_columns diffuse divergence_free from_fn hard_c integral
        isotonic_blocks join_fields linear_image log_density marginal_moments monotone
        prob_conserv quantile reachable sample_bounded second_difference sensors
        shock_position_quantile shock_positions stack stationary total truncated_moments
        values_at
    """,
    "physcon.linear_map": """
        BlockDiagonal Circulant Compose Dense Diagonal Difference Kronecker LinearMap
        LowRank ROUNDING Rows Stencil Sum split_fields
    """,
    "physcon.grid": "Grid RULES",
    "physcon.boundary": """
        Boundary Dirichlet Flux Neumann Outflow Periodic Reflective Robin Seam
        one_sided_derivative
    """,
    "physcon.kernels": "covariance matern12 matern32 matern52 squared_exponential",
    "physcon.quadrature": "RULES midpoint simpson spline trapezoid",
    "physcon.metrics": """
        ShockPosition calibration_factor conservation_error energy_score gaussian_crps
        gaussian_log_likelihood interval_coverage interval_width mean_squared_error
        probability_integral_transform relative_l2 shock_position shock_position_error
        standardized
    """,
    "physcon.fv": """
        Advection Arrival BuckleyLeverett Burgers Constant Diffusion Euler Event Heat
        Law Layered MUSCL Mixed PassiveScalars PorousMedium Positive Problem STATUS
        Scheme ShallowWater Solution Stefan Strang Traffic WENO face_flux forward_euler
        godunov hll hllc implicit_euler muscl_hancock rate roe rusanov sdirk2 solve
        solve_stiff ssp_rk2 ssp_rk3 ssp_rk43 tendency
    """,
    "physcon.fv.limiter": "SYMMETRIC koren mc minmod superbee symmetric van_leer",
    "physcon.inverse": """
        Estimate Evidence evidence laplace_sample least_squares maximum_a_posteriori
    """,
    "physcon.operators": """
        BoundaryFNO CPWeights FNO Normaliser Residual TuckerWeights basis_conv correct
        corrected_spectral_conv fno_from_pytorch init_basis_weights
        init_spectral_weights lift mean_and_variance overwrite residuals spectral_conv
    """,
    "physcon.operators.published": """
        PublishedBoundary published_boon_fno published_elimination
        published_spectral_conv
    """,
    "physcon.problems": """
        Advection Burgers Heat PROBLEMS Points PorousMedium Problem Settings Stefan Task
        evaluation_problems sample_task sample_tasks training_problems
    """,
    "physcon.models": """
        ANP Observations OperatorRegressor Prediction Predictor latent_loss latent_prior
        mixture_moments operator_loss operator_prior predict predict_samples
    """,
    "physcon.models.gp": """
        Hyperparameters LEAST_NOISE REACH gp_fit gp_log_evidence gp_posterior
        gp_predictor gp_start
    """,
    "physcon.models.ensemble": """
        SetRegressor ensemble_loss ensemble_members ensemble_predict ensemble_prior
        make_ensemble
    """,
    "physcon.parallel": """
        Balanced condition condition_balance fno mean_over_tasks shard solve
        spectral_conv tendency vmap
    """,
    "physcon.training": "FitResult Minibatches fit",
    "physcon.serving": "Artifact compile_cache export host_callbacks load_exported",
    "physcon.flax": "Constant FromLinen FromNNX Linen NNX",
    "physcon.torch": "wrap",
    "physcon.io": "load_torch_anp read_arrays read_dimensions write_arrays",
    "physcon.report": """
        BoundaryRow Row boundary_table comparison_figure error_figure fields_animation
        fields_figure loss_figure mass_figure profile_figure resolutions_figure
        rows_text shock_figure summarize table_text training_figure wall_figure
        write_boundary_tables write_csv write_rows write_tables
    """,
    "physcon.studies": "PRESETS StudyConfig",
    "physcon.constrain": "Law Names Report constrain_file",
}

PACKAGES = [name for name in NAMES if find_spec(name).submodule_search_locations]


@pytest.mark.parametrize("module", NAMES)
def test_names_of_version_0_1_are_still_there(module):
    if module == "physcon.torch":
        pytest.importorskip("torch")
    found = import_module(module)
    missing = [name for name in NAMES[module].split() if not hasattr(found, name)]
    assert not missing


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_export_by_all(package):
    found = import_module(package)
    exported = found.__all__
    assert len(set(exported)) == len(exported)
    assert set(NAMES[package].split()) <= set(exported)
    assert all(hasattr(found, name) for name in exported)


def test_dir_shows_public_names_only():
    private = [name for name in dir(physcon) if name.startswith("_")]
    assert private == ["__version__"]
    assert not {"Any", "import_module", "find_spec"} & set(dir(physcon))


def exported_functions():
    """Every public function and method, with a name to show."""
    for package in PACKAGES:
        for name in import_module(package).__all__:
            found = getattr(import_module(package), name)
            if inspect.isfunction(found):
                yield f"{package}.{name}", found
            elif inspect.isclass(found) and found.__module__.startswith("physcon"):
                for part, method in inspect.getmembers(found, callable):
                    if not part.startswith("_") and hasattr(method, "__code__"):
                        yield f"{package}.{name}.{part}", method


def test_switches_are_passed_by_keyword():
    """A True among the positional arguments of a call does not say what it switches."""
    positional = {
        name
        for name, fn in exported_functions()
        for p in inspect.signature(fn).parameters.values()
        if isinstance(p.default, bool) and p.kind is not p.KEYWORD_ONLY
    }
    assert not positional


def test_old_positions_work_with_a_warning():
    x, u = jnp.linspace(0.0, 1.0, 3), jnp.array([1.0, 0.5, -0.5])
    with pytest.warns(DeprecationWarning, match=r"pass interpolate=\.\.\. by keyword"):
        old = physcon.metrics.shock_position(x, u, 0.0, True)
    new = physcon.metrics.shock_position(x, u, 0.0, interpolate=True)
    assert old.position == new.position == 0.75
    with pytest.raises(TypeError, match="positional"):
        physcon.metrics.shock_position(x, u, 0.0, True, 1)
    with pytest.warns(DeprecationWarning, match="throw"), pytest.raises(RuntimeError):
        physcon.Gaussian.from_covariance(jnp.zeros(2), -jnp.eye(2), True).std()
