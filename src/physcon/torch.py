"""physcon's functions on PyTorch tensors, with gradients, without copies.

    project = physcon.torch.wrap(lambda mean, std: physcon.condition(...).posterior.mean)
    loss = torch_loss(project(mean, std)); loss.backward()

Tensors pass by DLPack (the same memory, on CPU and GPU); the function runs compiled by JAX, and its
vector-Jacobian product is a `torch.autograd.Function`.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import PyTree

try:
    import torch
except ImportError as error:
    raise ImportError(
        "physcon.torch: expected PyTorch (2.1 or newer), got none; pip install torch"
    ) from error


def wrap(fn: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`fn`, compiled, as a function of PyTorch tensors; differentiable by `Tensor.backward`.

    Arguments and results are pytrees. Tensors among the arguments become JAX arrays, arrays among
    the results become tensors on the same device; all else (JAX arrays, Equinox modules, numbers,
    strings) is passed on. Gradients flow to floating-point tensors with ``requires_grad``, once:
    JAX forms higher derivatives inside of `fn`, PyTorch doesn't see them. Non-contiguous tensors
    are copied, all others shared; changing one in place between forward and backward is an error
    of PyTorch's, as for its own functions. Batch with `jax.vmap` inside of `fn`.

    Raises:
        TypeError: a tensor of a dtype that JAX would change (float64 without ``jax_enable_x64``).
        ValueError: sparse tensors, tensors on several devices, a device that JAX doesn't see.
    """
    forward = eqx.filter_jit(_forward)

    @wraps(fn)
    def call(*args: Any, **kwargs: Any) -> PyTree:
        leaves, treedef = jax.tree.flatten((args, kwargs))
        which = tuple(isinstance(leaf, torch.Tensor) for leaf in leaves)
        tensors = [leaf for leaf, is_tensor in zip(leaves, which, strict=True) if is_tensor]
        require(
            len(tensors) > 0, "a torch.Tensor among the arguments", "none", "call fn directly"
        )
        _require_one_device(tensors)
        rest = [None if is_tensor else leaf for leaf, is_tensor in zip(leaves, which, strict=True)]
        result: list[Any] = []  # filled by forward: the structure of the outputs

        def run(arrays: list, differentiable: tuple[bool, ...]) -> Any:
            return forward(fn, _Arguments(treedef, which, rest), arrays, differentiable)

        tensors_out = _Function.apply(run, result, *tensors)
        structure, other = result
        filled = iter(tensors_out)
        out = [next(filled) if is_array else x for is_array, x in other]
        return jax.tree.unflatten(structure, out)

    return call


class _Arguments(NamedTuple):
    """What `fn` is called with, tensors apart."""

    treedef: Any
    which: tuple[bool, ...]
    rest: list[Any]

    def filled(self, arrays: list) -> tuple[tuple, dict]:
        tensors = iter(arrays)
        leaves = [
            next(tensors) if is_tensor else x
            for is_tensor, x in zip(self.which, self.rest, strict=True)
        ]
        return jax.tree.unflatten(self.treedef, leaves)


def _forward(
    fn: Callable, arguments: _Arguments, arrays: list, differentiable: tuple[bool, ...]
) -> tuple[PyTree, Callable | None]:
    """The outputs, and the function from their cotangents to those of the differentiable arrays."""

    def of(chosen: list) -> tuple[list, PyTree]:
        chosen_iter = iter(chosen)
        pairs = zip(arrays, differentiable, strict=True)
        args, kwargs = arguments.filled([next(chosen_iter) if d else a for a, d in pairs])
        out = fn(*args, **kwargs)
        inexact, other = eqx.partition(out, eqx.is_inexact_array)
        return inexact, other

    chosen = [a for a, d in zip(arrays, differentiable, strict=True) if d]
    if not chosen:
        return eqx.combine(*of(chosen)), None
    inexact, pullback, other = jax.vjp(of, chosen, has_aux=True)
    return eqx.combine(inexact, other), pullback


@eqx.filter_jit
def _pull_back(pullback: Callable, cotangents: PyTree) -> list:
    return pullback(cotangents)[0]
