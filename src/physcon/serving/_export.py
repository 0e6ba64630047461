"""Write a constrained predictor, with its weights, to one file for every platform."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import export as jax_export
from jax.extend import core as jax_core

from physcon._checks import require
from physcon._citation import citation
from physcon._status import Outcome, severity
from physcon._typing import Array, ArrayLike, PyTree
from physcon._version import __version__
from physcon.serving.artifact import BATCH, Artifact, save

PLATFORMS = ("cpu", "cuda", "tpu")


def export(
    fn: Callable[..., PyTree],
    path: str | os.PathLike,
    inputs: Mapping[str, ArrayLike | jax.ShapeDtypeStruct],
    *,
    shared: Sequence[str] = (),
    platforms: Sequence[str] = PLATFORMS,
    description: str = "",
    cite: Sequence[Any] = (),
    force: bool = False,
) -> Artifact:
    """Write ``vmap(fn)``, for every batch size and platform, to a file.

        def predict(u):  # one sample; weights and law are closed over
            prior = Gaussian.diagonal(*network(u))
            return {"mean": condition(prior, law, throw=False).posterior.mean}

        physcon.export(predict, "heat.physcon", {"u": jnp.zeros((2, 200))})

    Run the file by ``physcon predict heat.physcon input.npz -o output.npz``, or by
    `load_exported`, with this version of JAX or a newer one. All sizes but the batch
    are fixed. The program contains the names of source files, for its error messages.

    Args:
        fn: called as ``fn(**inputs)`` with one sample. It returns an array ("out"), or
            a pytree of arrays, which are named by their paths: "mean",
            "posterior.mean". An `Outcome` is written as its integer severity. A
            `BoundaryFNO` that is `fn`, or a part of a module `fn`, is exported with
            ``throw=False``; pass that to a network that `fn` closes over.
        inputs: one sample of each input: an array, or its `jax.ShapeDtypeStruct`.
        shared: names of inputs that all samples of a batch have in common; they have no
            batch axis.
        platforms: out of "cpu", "cuda", "rocm", "tpu".
        description: printed by ``physcon predict FILE``.
        cite: what `physcon.citation` shall cite in the artifact.
        force: replace an existing file.

    Returns:
        The artifact, as `load_exported` would return it.

    Raises:
        ValueError: the file exists; names or dtypes that do not fit; a host callback in
            `fn` (`jax.debug.print`, and most functions under ``throw=True``).
    """
    _check_request(path, inputs, shared, force)
    one = {
        n: jax.ShapeDtypeStruct(np.shape(x), jnp.result_type(x))
        for n, x in inputs.items()
    }
    require(callable(fn), "a function", type(fn).__name__, "pass one of a sample")
    unchecked = _without_checks(fn)

    def named(given: dict[str, Any]) -> dict[str, Any]:
        return _named(unchecked(**given))

    _refuse_callbacks(jax.jit(named).trace(one).jaxpr)
    program, specs = _program(named, one, shared, platforms)
    artifact = Artifact(_metadata(program, specs, description, cite), program)
    save(path, artifact)
    return artifact


def _check_request(
    path: str | os.PathLike, inputs: Any, shared: Sequence[str], force: bool
) -> None:
    require(
        force or not Path(path).exists(),
        "a new file",
        f"{path} exists",
        "choose another name, or pass force=True",
    )
    by_name = isinstance(inputs, Mapping)
    require(
        by_name,
        "inputs by name",
        type(inputs).__name__,
        'pass one sample of each, for example {"u": u[0]}',
    )
    unknown = set(shared) - set(inputs)
    require(
        not unknown,
        f"shared names out of {list(inputs)}",
        sorted(unknown),
        "write the names of inputs",
    )


def _refuse_callbacks(jaxpr: Any) -> None:
    found = sorted(set(host_callbacks(jaxpr)))
    require(
        not found,
        "a function without host callbacks",
        ", ".join(found),
        "pass throw=False to physcon's functions and networks, and return their "
        "status; remove eqx.error_if, jax.debug.print and io_callback",
    )


def _program(
    named: Callable[[dict[str, Any]], dict[str, Any]],
    one: dict[str, jax.ShapeDtypeStruct],
    shared: Sequence[str],
    platforms: Sequence[str],
) -> tuple[jax_export.Exported, dict[str, jax.ShapeDtypeStruct]]:
    """The program for every batch size, and the shapes of its inputs.

    Args:
        one: the shape of one sample of each input.
    """
    (batch,) = jax_export.symbolic_shape(BATCH)
    axes = {name: None if name in shared else 0 for name in one}
    specs = {
        n: x if n in shared else jax.ShapeDtypeStruct((batch, *x.shape), x.dtype)
        for n, x in one.items()
    }
    all_shared = len(set(shared)) == len(one)
    batched = named if all_shared else jax.vmap(named, in_axes=(axes,))

    def run(*arrays: Array) -> dict[str, Any]:
        return batched(dict(zip(one, arrays, strict=True)))

    exported = jax_export.export(jax.jit(run), platforms=tuple(platforms))
    return exported(*specs.values()), specs


def _metadata(
    program: jax_export.Exported,
    specs: dict[str, jax.ShapeDtypeStruct],
    description: str,
    cite: Sequence[Any],
) -> dict[str, Any]:
    """The description of the program that the file holds."""
    outputs = jax.tree.unflatten(program.out_tree, program.out_avals)
    return {
        "description": description,
        "inputs": {name: _spec(x) for name, x in specs.items()},
        "outputs": {name: _spec(x) for name, x in outputs.items()},
        "platforms": list(program.platforms),
        "physcon": __version__,
        "jax": jax.__version__,
        "calling_convention": program.calling_convention_version,
        "bibtex": str(citation(*cite)) if cite else "",
    }


def host_callbacks(jaxpr: Any) -> Iterator[str]:
    """Names of the primitives that call back to Python, in a jaxpr and inside it."""
    jaxpr = jaxpr.jaxpr if isinstance(jaxpr, jax_core.ClosedJaxpr) else jaxpr
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if "callback" in name or name == "debug_print":
            yield name
        for leaf in jax.tree.leaves(
            equation.params,
            is_leaf=lambda x: isinstance(x, jax_core.Jaxpr | jax_core.ClosedJaxpr),
        ):
            if isinstance(leaf, jax_core.Jaxpr | jax_core.ClosedJaxpr):
                yield from host_callbacks(leaf)


def _without_checks(fn: Any) -> Any:
    """`fn` with every module inside it that has run-time checks without them."""

    def has_checks(x: Any) -> bool:
        return hasattr(x, "without_checks")

    return jax.tree.map(
        lambda x: x.without_checks() if has_checks(x) else x, fn, is_leaf=has_checks
    )


def _named(out: PyTree) -> dict[str, Any]:
    """Arrays of a result by their paths."""
    is_outcome = lambda x: isinstance(x, Outcome)  # noqa: E731
    leaves = jax.tree_util.tree_leaves_with_path(out, is_leaf=is_outcome)
    require(
        len(leaves) > 0,
        "arrays from the function",
        "none",
        "return an array or a pytree of arrays",
    )
    return {
        jax.tree_util.keystr(p, simple=True, separator=".") or "out": (
            severity(x) if is_outcome(x) else x
        )
        for p, x in leaves
    }


def _spec(x: Any) -> dict[str, Any]:
    return {
        "shape": [n if isinstance(n, int) else str(n) for n in x.shape],
        "dtype": str(x.dtype),
    }
