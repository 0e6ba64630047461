"""Ways to make a predicted map obey its block means.

Each takes the raw outputs of a network and returns the mean and the standard deviation
of the map. The corrections of published downscaling networks (additive, multiplicative
and softmax) change the mean alone; conditioning changes both.

Source:
    Harder et al., J. Mach. Learn. Res. 24 (2023) 365, sec. 3 (additive, multiplicative
    and softmax layers).
"""

from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.conditioning import Gaussian, LinearConstraint, bounded, condition
from physcon.studies.evidence.maps import Region
from physcon.studies.evidence.settings import Quantity

MapArray: TypeAlias = Float[Array, "y x"]
Layer: TypeAlias = Callable[
    [MapArray, MapArray, LinearConstraint, Region], tuple[MapArray, MapArray]
]


def on_cells(coarse: Float[Array, "b a"], region: Region) -> MapArray:
    """The value of its block for every cell."""
    return jnp.repeat(jnp.repeat(coarse, region.factor, 0), region.factor, 1)


def unconstrained(
    raw: MapArray, std: MapArray, law: LinearConstraint, region: Region
) -> tuple[MapArray, MapArray]:
    """The block mean of every cell plus the output of the network."""
    return on_cells(law.value, region) + raw, std


def additive(
    raw: MapArray, std: MapArray, law: LinearConstraint, region: Region
) -> tuple[MapArray, MapArray]:
    """Add the same number to all cells of a block."""
    mean = on_cells(law.value, region) + raw
    return mean + on_cells(law.residual(mean), region), std


def multiplicative(
    raw: MapArray, std: MapArray, law: LinearConstraint, region: Region
) -> tuple[MapArray, MapArray]:
    """Multiply all cells of a block by the same number."""
    positive = jax.nn.softplus(raw)
    factors = safe.divide(law.value, law.operator.mv(positive))
    return positive * on_cells(factors, region), std


def softmax(
    raw: MapArray, std: MapArray, law: LinearConstraint, region: Region
) -> tuple[MapArray, MapArray]:
    """Divide the total of a block among its cells by a softmax."""
    shares = jnp.exp(jnp.clip(raw, -20.0, 20.0))
    factors = safe.divide(law.value, law.operator.mv(shares))
    return shares * on_cells(factors, region), std


def conditioned(
    raw: MapArray, std: MapArray, law: LinearConstraint, region: Region
) -> tuple[MapArray, MapArray]:
    """Condition on the block means: `physcon.condition` with the network's spread."""
    prior = Gaussian.diagonal(on_cells(law.value, region) + raw, std)
    posterior = condition(prior, law, throw=False).posterior
    return posterior.mean, posterior.std()


def conditioned_within_bounds(
    raw: MapArray, std: MapArray, law: LinearConstraint, region: Region
) -> tuple[MapArray, MapArray]:
    """Condition on the block means and on u >= 0: `physcon.bounded`."""
    prior = Gaussian.diagonal(on_cells(law.value, region) + raw, std)
    result = bounded(prior, law, lower=0.0, throw=False)
    return result.mean, result.posterior.std()


#: The layers that are trained for each quantity.
LAYERS: dict[Quantity, dict[str, Layer]] = {
    "anomaly": {
        "unconstrained": unconstrained,
        "additive": additive,
        "condition": conditioned,
    },
    "positive": {
        "unconstrained": unconstrained,
        "additive": additive,
        "multiplicative": multiplicative,
        "softmax": softmax,
        "condition": conditioned,
        "bounded": conditioned_within_bounds,
    },
}

#: What is done with the unconstrained network after its training.
AFTERWARDS: dict[Quantity, tuple[str, Layer]] = {
    "anomaly": ("condition, afterwards", conditioned),
    "positive": ("bounded, afterwards", conditioned_within_bounds),
}
