"""FNO weights in the naming of the original PyTorch code, as a `FNO`.

Takes plain arrays (a ``.npz`` file, or ``{k: v.numpy() for k, v in
model.state_dict().items()}``), so that PyTorch itself is not needed.
"""

from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon.operators.fno import FNO, Block, Perceptron, Pointwise


def fno_from_pytorch(
    parameters: Mapping[str, np.ndarray],
    padding: tuple[int | float, ...] | None = None,
    discard_last: bool = False,
) -> FNO:
    """The network with these parameters; its output equals the original's to rounding.

    Shapes: ``fc0|fc1|fc2.weight`` (out, in), ``w{i}.weight`` (out, in, 1, ...), complex
    ``conv{i}.weights{j}`` (in, out, *modes), j over the corners of the spectrum (low or
    high on each axis but the last, the first axis running fastest). Names under
    ``base_no.`` (the BOON networks) are found too; the outer fc0, fc1, fc2, which those
    networks use, come first.

    Args:
        padding: points per axis; the original pads 9 points in two dimensions, 0 in one.
        discard_last: compatibility with a fault: the one-dimensional FNO published with Saad et al.
            computes its last Fourier layer and drops the result.

    Raises:
        ValueError: a parameter that is missing.

    Source: the parameter names of Li et al. (2021), and of Saad et al. (2023).
    """

    def find(name: str) -> np.ndarray:
        for key in (name, f"base_no.{name}"):
            if key in parameters:
                return np.asarray(parameters[key])
        raise ValueError(
            f"expected a parameter {name!r} or 'base_no.{name}', got {sorted(parameters)}; "
            "pass the whole state dict"
        )

    def linear(name: str) -> Pointwise:
        weight = find(f"{name}.weight")
        weight = weight.reshape(weight.shape[:2])
        return Pointwise(jnp.asarray(weight), jnp.asarray(find(f"{name}.bias")))

    blocks = []
    while any(
        f"{prefix}conv{len(blocks)}.weights1" in parameters
        for prefix in ("", "base_no.")
    ):
        i = len(blocks)
        ndim = find(f"conv{i}.weights1").ndim - 2
        corners = [find(f"conv{i}.weights{j + 1}") for j in range(2 ** (ndim - 1))]
        for axis in range(
            ndim - 1
        ):  # corner numbers are binary, the first axis fastest
            pairs = zip(corners[::2], corners[1::2], strict=True)
            corners = [np.concatenate(pair, axis + 2) for pair in pairs]
        kernel = np.swapaxes(corners[0], 0, 1)
        spectral = jnp.asarray(np.stack([np.real(kernel), np.imag(kernel)]))
        blocks.append(Block(spectral, linear(f"w{i}"), None))
    require(
        len(blocks) > 0,
        "conv0.weights1 and so on",
        sorted(parameters),
        "pass a state dict",
    )
    ndim = blocks[0].spectral.ndim - 3
    if padding is None:
        padding = (9, 9) if ndim == 2 else (0,) * ndim
    return FNO(
        linear("fc0"),
        tuple(blocks[:-1] if discard_last else blocks),
        Perceptron(linear("fc1"), linear("fc2")),
        None,
        None,
        tuple(padding),
        coordinates=True,
        activate_last=discard_last,
    )
