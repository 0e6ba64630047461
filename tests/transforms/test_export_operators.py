"""Exports of neural operators, see `test_export_everything`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest
from exporting import ENDS, FNO, KEY, NODES, export

from physcon import operators


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


#: Name of the public thing -> a function of x (8 numbers).
TABLE: dict[str, Callable[[Any], Any]] = {
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


@pytest.mark.parametrize("name", TABLE, ids=lambda line: line.partition(", ")[0])
def test_exports_for_every_platform(name):
    with jax.numpy_dtype_promotion("strict"):
        export(TABLE[name])
