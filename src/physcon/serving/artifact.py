"""One file that holds a predictor compiled for any platform: JSON, then a program.

    physcon-artifact
    {"version": 1, "sha256": ...}
    {"inputs": {"mean": {"shape": ["b", 200], "dtype": "float32"}, ...}, "outputs": ...}
    <StableHLO, as serialised by jax.export>

Weights and constraint are constants of the program. The checksum covers everything that
follows it: it finds damage, not intent. An artifact is a program, and must be trusted
like one; `load_exported` compares a digest that you know from elsewhere.
"""

import json
import os
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export

from physcon._checks import require
from physcon._extras import needs
from physcon._files import read_sealed, refuse, write_sealed
from physcon._typing import Array, ArrayLike

VERSION = 1
BATCH = "b"
#: JAX's backends by the names of the platforms that programs are exported for.
_NAMES = {"gpu": {"cuda", "rocm"}}
_64_BITS = {"float64", "int64", "uint64", "complex128"}
_AGAIN = "export the predictor again (physcon.export)"


@dataclass(frozen=True, repr=False)
class Artifact:
    """An exported predictor: ``artifact(mean=..., std=...) -> {"mean": ..., ...}``.

    Attributes:
        metadata: names, shapes ("b" is the batch) and dtypes of inputs and outputs;
            platforms; versions of physcon, JAX and its calling convention; description;
            BibTeX.
        program: the `jax.export.Exported`.
    """

    metadata: dict[str, Any]
    program: jax_export.Exported

    def __repr__(self) -> str:
        """The description that `physcon predict FILE` prints."""
        return self.describe()

    def __call__(self, **inputs: ArrayLike) -> dict[str, Array]:
        """The outputs by name. One compilation per batch size; works under jit.

        Inputs and outputs of 64 bits are kept, whether or not ``jax_enable_x64`` is on.

        Raises:
            ValueError: other names, shapes or dtypes than `metadata` says; a platform
                that the predictor was not exported for.
        """
        self._check(inputs)
        with jax.enable_x64(True) if self._has_64_bits else nullcontext():
            arrays = [jnp.asarray(inputs[name]) for name in self.metadata["inputs"]]
            return self._run(*arrays)

    @property
    def _has_64_bits(self) -> bool:
        specs = [*self.metadata["inputs"].values(), *self.metadata["outputs"].values()]
        return any(x["dtype"] in _64_BITS for x in specs)

    @cached_property
    def _run(self) -> Any:
        return jax.jit(self.program.call)

    def _check(self, inputs: dict[str, ArrayLike]) -> None:
        wanted = self.metadata["inputs"]
        platforms = self.metadata["platforms"]
        here = _NAMES.get(jax.default_backend(), {jax.default_backend()})
        if not here & set(platforms):
            expected = f"one of the platforms {', '.join(platforms)}"
            remedy = "export for it: physcon.export(..., platforms=...)"
            require(False, expected, jax.default_backend(), remedy)
        if wanted.keys() != inputs.keys():
            wrong = [f"no {name!r}" for name in wanted if name not in inputs]
            wrong += [f"an unknown {name!r}" for name in inputs if name not in wanted]
            require(
                False,
                f"inputs {', '.join(wanted)}",
                ", ".join(wrong),
                "rename the inputs",
            )
        sizes = {}
        for name, like in wanted.items():
            x = inputs[name]
            dtype = like["dtype"]
            shape = np.shape(x)
            # The array's own dtype, not the one that JAX would round it to.
            given = str(getattr(x, "dtype", None) or jnp.result_type(x))
            if not _fits(shape, like["shape"]):
                expected = f"{name} of shape {_shown(like['shape'])}"
                remedy = "one artifact serves one resolution, any batch size"
                require(False, expected, shape, remedy)
            if given != dtype:
                remedy = f"convert it: {name}.astype('{dtype}')"
                require(False, f"{name} of dtype {dtype}", given, remedy)
            if BATCH in like["shape"]:
                sizes[name] = shape[like["shape"].index(BATCH)]
        require(
            len(set(sizes.values())) <= 1,
            "one batch size",
            sizes,
            "give all inputs the same first axis",
        )

    def describe(self) -> str:
        """Inputs, outputs, platforms and versions as text."""
        m = self.metadata
        lines = [m["description"]] if m["description"] else []
        for kind in ("inputs", "outputs"):
            lines += [f"{kind}:"]
            lines += [
                f"  {n}: {x['dtype']} {_shown(x['shape'])}" for n, x in m[kind].items()
            ]
        lines += [f"platforms: {', '.join(m['platforms'])}"]
        return "\n".join(
            [*lines, f"written by: physcon {m['physcon']}, jax {m['jax']}"]
        )


def save(path: str | os.PathLike, artifact: Artifact) -> None:
    """Write an artifact, whole or not at all."""
    with needs("serve"):
        import_module("flatbuffers")
    metadata = json.dumps(artifact.metadata).encode()
    payload = metadata + b"\n" + bytes(artifact.program.serialize())
    write_sealed(path, "artifact", VERSION, {}, payload)


def load_exported(path: str | os.PathLike, *, sha256: str | None = None) -> Artifact:
    """The predictor in a file of `physcon.export`.

    Nothing is unpickled, and the code that made it is not needed. An artifact is a
    program that runs with your rights: load only files that you trust.

    Args:
        sha256: the digest that the file must have, as `sha256sum FILE` prints it. Get
            it from the author of the file by another way than the file itself.

    Raises:
        ValueError: no such file, another digest, not an artifact, cut off, damaged, or
            written by a version of JAX whose programs this one does not read.
    """
    with needs("serve"):
        import_module("flatbuffers")
    _, payload = read_sealed(path, "artifact", VERSION, _AGAIN, sha256)
    line, _, program = payload.partition(b"\n")
    metadata = json.loads(line)
    convention = metadata["calling_convention"]
    low = jax_export.minimum_supported_calling_convention_version
    high = jax_export.maximum_supported_calling_convention_version
    if not low <= convention <= high:
        got = f"version {convention}, written by jax {metadata['jax']}"
        versions = f"calling convention {low} to {high} (jax {jax.__version__})"
        expected = f"an artifact of {versions}"
        refuse(path, expected, got, f"install jax {metadata['jax']}, or {_AGAIN}")
    try:
        exported = jax_export.deserialize(bytearray(program))
        if _numbers(metadata["jax"]) > _numbers(jax.__version__):
            exported.mlir_module()  # fails now, and more clearly than when called
    except Exception as error:
        got = f"one written by jax {metadata['jax']} that it does not ({error})"
        remedy = f"install jax {metadata['jax']} or newer, or {_AGAIN}"
        refuse(path, f"a program that jax {jax.__version__} reads", got, remedy)
    return Artifact(metadata, exported)


def compile_cache(folder: str | os.PathLike, max_size: int | None = None) -> None:
    """Set JAX's configuration to keep compiled programs in `folder`.

    Args:
        folder: made if it does not exist.
        max_size: largest size of the folder in bytes, beyond which the programs that
            were used longest ago are removed; this needs the package filelock. None:
            unlimited.
    """
    size = -1 if max_size is None else max_size
    jax.config.update("jax_compilation_cache_dir", os.fspath(folder))
    jax.config.update("jax_compilation_cache_max_size", size)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)


def _numbers(version: str) -> list[int]:
    return [int(part) for part in version.split(".") if part.isdigit()]


def _fits(shape: tuple[int, ...], like: list) -> bool:
    """Whether a shape is the symbolic one, with one sample or more."""
    pairs = zip(shape, like, strict=False)
    return len(shape) == len(like) and all(
        n == m or (m == BATCH and n > 0) for n, m in pairs
    )


def _shown(shape: list) -> str:
    return f"({', '.join(map(str, shape))}{',' * (len(shape) == 1)})"
