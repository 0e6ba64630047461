"""Gradient descent that can be killed at any time and resumed.

The resumed run gives bitwise the same result.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from physcon._checks import require
from physcon._mesh import is_writer, shard
from physcon._show import shown
from physcon._typing import Array, Float, PRNGKeyArray, PyTree, Scalar
from physcon.training.checkpoint import load_checkpoint, save_checkpoint
from physcon.training.progress import progress_bar
from physcon.training.step import (
    Optimizer,
    TrainingState,
    compiled_chunk,
    initial_state,
)


class FitResult(NamedTuple):
    """Result of `fit`.

    Attributes:
        params: the trained parameters.
        opt_state: the state of the optimizer.
        losses: the loss before each step, ``(steps,)``.
    """

    params: PyTree
    opt_state: PyTree
    losses: Float[np.ndarray, " steps"]

    __repr__ = shown


def fit(
    loss_fn: Callable[[PyTree, PyTree, PRNGKeyArray], Scalar],
    params: PyTree,
    optimizer: Optimizer,
    batches: Callable[[PRNGKeyArray, Array], PyTree],
    steps: int,
    key: PRNGKeyArray,
    *,
    chunk: int = 10,
    checkpoint: str | os.PathLike | None = None,
    save_every: int = 100,
    resume: bool = False,
    config: dict[str, Any] | None = None,
    progress: bool = True,
    mesh: Mesh | None = None,
) -> FitResult:
    """Minimise ``loss_fn(params, batch, key)`` by `steps` steps of an optax optimizer.

    The batch and the key of a step are pure functions of (`key`, step). A resumed run
    therefore equals, bit for bit, one that was never interrupted (on the same machine,
    with the same versions).

    Args:
        params: a pytree, such as an Equinox module. Its floating-point arrays are
            trained, except in modules of a class with ``frozen = True``.
        batches: ``batches(key, step) -> batch`` under jit: `Minibatches`, or a sampler
            of tasks.
        chunk: steps per compiled call, after which the loss is checked for NaN.
        checkpoint: file that is written every `save_every` steps and at the end.
        resume: continue from `checkpoint` if it exists, instead of refusing it.
        config: JSON values that name the run; a checkpoint with others is refused.
        mesh: devices, also of other processes, that hold copies of the parameters and
            the optimizer; `loss_fn` and `batches` divide the work. A run may resume on
            another number of devices or processes.

    Raises:
        ValueError: the checkpoint is damaged, of another run, or beyond `steps`.
        FloatingPointError: if the loss is not finite; the last checkpoint is kept.
    """
    _check_numbers(steps, chunk, save_every)
    arrays, static = eqx.partition(params, _trained(params))
    identity = _identity(key, arrays, config)
    state = initial_state(arrays, optimizer)
    state, done = _resumed(state, steps, checkpoint, resume, identity)
    run = compiled_chunk(loss_fn, static, optimizer)
    losses = np.asarray(state.losses)
    state = _placed(state._replace(losses=jnp.zeros(chunk)), mesh)
    key = _placed(key, mesh)
    bar = progress_bar(steps, done, enabled=progress, unit="step", title="train")
    with bar:
        for start, stop in _chunks(done, steps, chunk, save_every):
            bounds = _placed((jnp.asarray(start), jnp.asarray(stop)), mesh)
            state = run((batches, key, *bounds), state)
            new = _finite(state.losses, start, stop)
            losses = np.concatenate([losses, new])
            bar.set_postfix(loss=f"{new.mean():.4g}", refresh=False)
            bar.update(stop - start)
            if stop % save_every == 0 or stop == steps:
                _save(checkpoint, state._replace(losses=losses), stop, identity)
    return FitResult(eqx.combine(state.arrays, static), state.opt_state, losses)


def _chunks(
    start: int, steps: int, chunk: int, save_every: int
) -> Iterator[tuple[int, int]]:
    """The first step and the end of each compiled call; a checkpoint ends one."""
    while start < steps:
        stop = min(start + chunk, steps, (start // save_every + 1) * save_every)
        yield start, stop
        start = stop


def _save(
    checkpoint: str | os.PathLike | None,
    state: TrainingState,
    step: int,
    identity: dict[str, Any],
) -> None:
    if checkpoint is not None and is_writer():
        save_checkpoint(checkpoint, state, step, identity)


def _placed(tree: PyTree, mesh: Mesh | None) -> PyTree:
    """The arrays on all devices of the mesh."""
    return tree if mesh is None else shard(tree, mesh, P())


def _identity(
    key: PRNGKeyArray, arrays: PyTree, config: dict[str, Any] | None
) -> dict[str, Any]:
    """The values by which a checkpoint recognises its run."""
    summary = _summary(arrays)
    return {"config": config or {}, "seed": _seed(key), "parameters": summary}


def _check_numbers(steps: int, chunk: int, save_every: int) -> None:
    require(steps >= 0, "steps >= 0", steps, "count them from the start of the run")
    require(
        chunk >= 1 and save_every >= 1,
        "chunk, save_every >= 1",
        (chunk, save_every),
        "pass positive numbers of steps",
    )


def _resumed(
    state: TrainingState,
    steps: int,
    checkpoint: str | os.PathLike | None,
    resume: bool,
    identity: dict[str, Any],
) -> tuple[TrainingState, int]:
    """The state of the checkpoint, if there is one, and the number of its steps."""
    if checkpoint is None or not Path(checkpoint).exists():
        return state, 0
    require(
        resume,
        f"no file at {checkpoint}",
        "a checkpoint of an earlier run",
        "resume it (resume=True), or remove it to start afresh",
    )
    state, start = load_checkpoint(
        checkpoint, lambda step: state._replace(losses=np.zeros(step)), identity
    )
    require(
        start <= steps,
        f"a checkpoint of at most {steps} steps",
        start,
        "pass a larger number of steps",
    )
    return state, start


def _trained(params: PyTree) -> PyTree:
    """True for the parts that are trained, as a prefix of `params`."""

    def is_frozen(node: Any) -> bool:
        return getattr(type(node), "frozen", False) is True

    return jax.tree.map(
        lambda node: not is_frozen(node) and eqx.is_inexact_array(node),
        params,
        is_leaf=is_frozen,
    )


def _finite(losses: Array, start: int, stop: int) -> np.ndarray:
    """The losses of the steps from `start` to `stop`, or an error."""
    new = np.asarray(losses, dtype=np.float64)[: stop - start]
    bad = np.flatnonzero(~np.isfinite(new))
    if bad.size:
        raise FloatingPointError(
            f"expected a finite loss, got {new[bad[0]]} at step "
            f"{start + int(bad[0])}; lower the learning rate or look for NaN in the "
            "data (an earlier checkpoint is untouched)"
        )
    return new


def _seed(key: PRNGKeyArray) -> list:
    return [
        str(jax.random.key_impl(key)),
        *np.asarray(jax.random.key_data(key)).tolist(),
    ]


def _summary(arrays: PyTree) -> str:
    leaves = jax.tree.leaves(arrays)
    dtypes = sorted({str(x.dtype) for x in leaves})
    numbers = sum(x.size for x in leaves)
    return f"{len(leaves)} arrays, {numbers} numbers, {'/'.join(dtypes)}"
