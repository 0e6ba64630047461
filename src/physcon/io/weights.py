"""PyTorch weights of the published attentive neural process, from .npz files.

A file holds one array per parameter under its PyTorch name, for example
``decoder.linears.0.linear_layer.weight`` ``(384, 384)``. Pickles are not read.
"""

import os
import zipfile

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.tree_util import GetAttrKey, SequenceKey

from physcon._checks import require
from physcon.models.anp import ANP

#: Field of our modules -> name in the published state dict, where they differ.
TORCH_NAMES = {
    "self_attention": "self_attentions",
    "cross_attention": "cross_attentions",
    "query_map": "encoder_query.linear_layer",
    "key_map": "encoder_key.linear_layer",
    "value_map": "encoder_value.linear_layer",
    "norm": "layer_norm",
    "input_map": "input_projection.linear_layer",
    "context_map": "context_projection.linear_layer",
    "target_map": "target_projection.linear_layer",
    "point_map": "target_projection.linear_layer",
    "hidden_map": "penultimate_layer.linear_layer",
    "mean_map": "mu.linear_layer",
    "log_variance_map": "log_sigma.linear_layer",  # it is a log variance
    "hidden_maps": "linears",
}


def torch_name(path: tuple) -> str:
    """The published name of the parameter at a path of `ANP`."""
    parts = []
    for entry in path:
        if isinstance(entry, SequenceKey):
            linear = parts[-1] == "linears"
            parts.append(f"{entry.idx}.linear_layer" if linear else str(entry.idx))
        elif isinstance(entry, GetAttrKey) and entry.name == "output_map":
            final = "final_projection" if parts == ["decoder"] else "final_linear"
            parts.append(f"{final}.linear_layer")
        else:
            parts.append(TORCH_NAMES.get(entry.name, entry.name))
    return ".".join(parts)


def load_torch_anp(
    path: str | os.PathLike, *, heads: int = 4, prefix: str | None = None
) -> ANP:
    """The published ANP from an .npz file of its PyTorch state dict.

    Sizes are read from the arrays; the number of heads is not in the file.

    Args:
        prefix: beginning of all names: ``"anp."`` in the SoftC checkpoint. None for
            ``"anp."`` if every name has it, else no prefix.

    Raises:
        ValueError: not an .npz file; names that are missing, unexpected, or of another
            shape (all are listed).

    Source: Hansen et al. 2023, appendix D; names of the authors' code.
    """
    arrays = _read_npz(path)
    if prefix is None:
        prefix = "anp." if all(name.startswith("anp.") for name in arrays) else ""
    arrays = {name.removeprefix(prefix): array for name, array in arrays.items()}

    first, last = (
        f"decoder.{n}.linear_layer.weight"
        for n in ("target_projection", "final_projection")
    )
    for name in (first, last):
        require(
            name in arrays,
            f"an array '{prefix}{name}'",
            sorted(arrays)[:3],
            "check the file, or pass prefix=...",
        )
    size, dim = arrays[first].shape
    channels = arrays[last].shape[0] // 2
    layers = len(
        {
            n.split(".")[2]
            for n in arrays
            if n.startswith("latent_encoder.self_attentions.")
        }
    )
    skeleton = eqx.filter_eval_shape(
        lambda: ANP(dim, channels, size, heads, layers, key=jax.random.key(0))
    )
    leaves, structure = jax.tree_util.tree_flatten_with_path(skeleton)
    expected = {torch_name(p): leaf.shape for p, leaf in leaves}
    _check_names(expected, {n: a.shape for n, a in arrays.items()}, path)
    return jax.tree.unflatten(
        structure, [jnp.asarray(arrays[torch_name(p)]) for p, _ in leaves]
    )


def _read_npz(path: str | os.PathLike) -> dict[str, np.ndarray]:
    try:
        # Opened here: np.load leaves the file open when it is no archive.
        with open(path, "rb") as file:
            archive = np.load(file, allow_pickle=False)
            if isinstance(archive, np.ndarray):
                raise ValueError("one array, as in an .npy file")
            return {name: archive[name] for name in archive.files}
    except (ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"expected an .npz file of plain arrays at {path}, got: {error}; "
            "save a state dict by numpy.savez(path, **{name: tensor.numpy()})"
        ) from error


def _check_names(expected: dict, got: dict, path: str | os.PathLike) -> None:
    wrong = [f"missing {n} {s}" for n, s in expected.items() if n not in got]
    wrong += [f"unexpected {n} {s}" for n, s in got.items() if n not in expected]
    wrong += [
        f"{n}: expected {s}, got {got[n]}"
        for n, s in expected.items()
        if n in got and got[n] != s
    ]
    if wrong:
        raise ValueError(
            f"expected the {len(expected)} parameters of the published ANP in {path}, "
            f"got {len(wrong)} differences:\n  "
            + "\n  ".join(wrong)
            + "\nload the weights of an ANP with equally many layers in every stack"
        )
