"""FNO weights with the parameter names of the original PyTorch code, as an `FNO`.

The functions take plain arrays (an ``.npz`` file, or ``{k: v.numpy() for k, v in
model.state_dict().items()}``), so that PyTorch is not needed.
"""

from collections.abc import Mapping
from functools import partial

import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._deprecation import accepts_old_positions
from physcon._typing import Array
from physcon.operators.fno import FNO
from physcon.operators.layers import Block, Perceptron, Pointwise

#: Points of zeros that a published network appends to each axis.
PADDING: dict[str, tuple[int, ...]] = {
    "fourier_1d": (0,),
    "fourier_2d": (9, 9),
    "fourier_3d": (0, 0, 6),
}


@accepts_old_positions
def fno_from_pytorch(
    parameters: Mapping[str, np.ndarray],
    padding: tuple[int | float, ...] | str | None = None,
    *,
    discard_last: bool = False,
) -> FNO:
    """The network with these parameters; its output equals the original to rounding.

    Shapes: ``fc0|fc1|fc2.weight`` (out, in), ``w{i}.weight`` (out, in, 1, ...), complex
    ``conv{i}.weights{j}`` (in, out, *modes), where j counts the corners of the spectrum
    (low or high on each axis but the last, the first axis running fastest). Names under
    ``base_no.`` (the BOON networks) are found too; the outer fc0, fc1, fc2, which those
    networks use, take precedence.

    Args:
        padding: points (int) or fraction (float) of zeros that the network appends to
            each axis, or the name of a published architecture. Weights do not tell how
            a network pads, so pass what yours does. None is the published network of
            Li et al. in as many dimensions: "fourier_1d" pads nothing, "fourier_2d" 9
            points on both axes, "fourier_3d" 6 points on the last axis (time).
        discard_last: reproduces a fault: the one-dimensional FNO published with Saad et
            al. computes its last Fourier layer and does not use the result.

    Raises:
        ValueError: a parameter is missing; padding for another number of axes.

    Source: the parameter names of Li et al. (2021), and of Saad et al. (2023).
    """
    blocks = _blocks(parameters)
    linear = partial(_linear, parameters)
    return FNO(
        linear("fc0"),
        tuple(blocks[:-1] if discard_last else blocks),
        Perceptron(linear("fc1"), linear("fc2")),
        None,
        None,
        _padding(padding, blocks[0].weights().ndim - 3),
        coordinates=True,
        activate_last=discard_last,
    )


def _find(parameters: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    for key in (name, f"base_no.{name}"):
        if key in parameters:
            return np.asarray(parameters[key])
    raise ValueError(
        f"expected a parameter {name!r} or 'base_no.{name}', got "
        f"{sorted(parameters)}; pass the whole state dict"
    )


def _linear(parameters: Mapping[str, np.ndarray], name: str) -> Pointwise:
    weight = _find(parameters, f"{name}.weight")
    weight = weight.reshape(weight.shape[:2])
    bias = _find(parameters, f"{name}.bias")
    return Pointwise(jnp.asarray(weight), jnp.asarray(bias))


def _blocks(parameters: Mapping[str, np.ndarray]) -> list[Block]:
    """The Fourier layers, as many as the parameters have."""
    known = {name.removeprefix("base_no.") for name in parameters}
    blocks = []
    while f"conv{len(blocks)}.weights1" in known:
        i = len(blocks)
        number = 2 ** (_find(parameters, f"conv{i}.weights1").ndim - 3)
        corners = [_find(parameters, f"conv{i}.weights{j + 1}") for j in range(number)]
        blocks.append(Block(_spectral(corners), _linear(parameters, f"w{i}"), None))
    require(
        len(blocks) > 0,
        "parameters conv0.weights1 and so on",
        sorted(parameters),
        "pass the state dict of an FNO",
    )
    return blocks


def _spectral(corners: list[np.ndarray]) -> Array:
    """Weights ``(2, out, in, *modes)`` from the corners of the spectrum."""
    for axis in range(corners[0].ndim - 3):  # the first axis runs fastest
        pairs = zip(corners[::2], corners[1::2], strict=True)
        corners = [np.concatenate(pair, axis + 2) for pair in pairs]
    kernel = np.swapaxes(corners[0], 0, 1)
    return jnp.asarray(np.stack([np.real(kernel), np.imag(kernel)]))


def _padding(given: tuple | str | None, ndim: int) -> tuple[int | float, ...]:
    name = f"fourier_{ndim}d" if given is None else given
    if isinstance(name, str):
        require(
            name in PADDING,
            f"one of {', '.join(PADDING)}",
            repr(name),
            "pass the points of padding per axis",
        )
        name = PADDING[name]
    require(
        len(name) == ndim,
        f"padding for {ndim} axes",
        name,
        "pass one number per axis",
    )
    return tuple(name)
