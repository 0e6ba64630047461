"""Every public numeric function exports for CPU, CUDA and TPU, with any batch size,
without host callbacks. One line each in the tables of `test_export_*.py`: a new public
name without a line fails `test_table_is_complete`.
"""

import inspect

import jax
import jax.numpy as jnp
import test_export_conditioning
import test_export_fv
import test_export_models
import test_export_operators
import test_export_rows
from exporting import N, mass, prior

import physcon as pc
from physcon import (
    assimilation,
    conditioning,
    fv,
    inverse,
    linear_map,
    metrics,
    models,
    operators,
)
from physcon.fv import limiter
from physcon.serving import host_callbacks

#: All lines of all packages.
TABLE = {
    **test_export_conditioning.TABLE,
    **test_export_rows.TABLE,
    **test_export_fv.TABLE,
    **test_export_models.TABLE,
    **test_export_operators.TABLE,
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
    *("assimilation.Analysis", "inverse.Estimate", "inverse.Evidence"),
    *(
        "models.Model",
        "models.Observations",
        "models.Prediction",
        "models.Predictor",
        "metrics.ShockPosition",
    ),
    *("operators.fno_from_pytorch", "operators.form_for"),
    *("export", "load_exported", "citation"),
}

#: diffrax checks the saved times by host callbacks, whatever `throw` is; its docstring
#: says so.
NOT_EXPORTED = {"fv.solve_stiff"}


def public_names():
    """Functions and classes of ours, each under the first of its public names."""
    for part in (
        pc,
        assimilation,
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
            ours = ours and not value.__module__.startswith("physcon._arguments")
            if ours and (part is pc or getattr(pc, name, None) is not value):
                yield prefix + name


def test_table_is_complete():
    names = set(public_names())
    assert len(names) > 100
    listed = {name for line in TABLE for name in line.split(", ")}
    assert names - NO_ARITHMETIC - NOT_EXPORTED - listed == set(), "add a line to TABLE"
    assert listed | NO_ARITHMETIC | NOT_EXPORTED == names
    assert not listed & NO_ARITHMETIC


def test_a_callback_is_seen():
    fn = jax.jit(jax.vmap(lambda x: pc.condition(prior(x), mass(x)).posterior.mean))
    assert "pure_callback" in set(host_callbacks(fn.trace(jnp.ones((2, N))).jaxpr))
