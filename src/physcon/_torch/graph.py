"""Wrapped functions as operators of PyTorch, so that whole graphs can be compiled.

`torch.compile` can't look into JAX. It sees one operator with a known result instead:
shapes and types come from `jax.eval_shape`, and the vector-Jacobian product is a second
operator, which computes the function once more.
"""
# Where PyTorch is absent, a static checker takes `import torch` for this file.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._extras import needs
from physcon._torch.box import Box, boxed
from physcon._torch.tensors import Call, check_usable, filled, is_tensor, to_jax
from physcon._typing import Array, PyTree

with needs("torch"):
    import torch

_calls: list[Call] = []


def in_graph(fn: Callable[..., PyTree], box: Box) -> Box:
    """Call a function by one operator, for tensors that may have no values yet."""
    leaves, treedef = jax.tree.flatten(box.values)
    tensors = [x for x in leaves if is_tensor(x)]
    check_usable(tensors)
    call = Call.of(fn, treedef, leaves)
    _calls.append(call)
    out = _shape_of(call, tensors)
    found = iter(torch.ops.physcon.call(len(_calls) - 1, tensors))
    return boxed(jax.tree.map(lambda x: next(found) if _is_shape(x) else x, out))


def _is_shape(x: Any) -> bool:
    return isinstance(x, jax.ShapeDtypeStruct)


def _shape_of(call: Call, tensors: list) -> PyTree:
    """Return the result with shapes in place of arrays."""
    shapes = [
        jax.ShapeDtypeStruct([int(n) for n in x.shape], _dtype(x)) for x in tensors
    ]
    return eqx.filter_eval_shape(lambda arrays: filled(call, arrays), shapes)


def _dtype(x: Any) -> str:
    return str(x.dtype).removeprefix("torch.")


def _empty(shape: Any, device: Any) -> Any:
    return torch.empty(
        shape.shape, dtype=getattr(torch, str(shape.dtype)), device=device
    )


def _inexact(call: Call, arrays: list[Array]) -> list[Array]:
    out = filled(call, arrays)
    return [x for x in jax.tree.leaves(out) if eqx.is_inexact_array(x)]


@eqx.filter_jit
def _values(call: Call, arrays: list[Array]) -> list[Array]:
    out = filled(call, arrays)
    return [jnp.copy(x) for x in jax.tree.leaves(out) if eqx.is_array(x)]


@eqx.filter_jit
def _gradients(call: Call, arrays: list[Array], cotangents: list[Array]) -> list[Array]:
    """Gradients as PyTorch defines them: for complex numbers the conjugate of JAX's."""
    moving, still = eqx.partition(arrays, eqx.is_inexact_array)

    def of(moving: list) -> list[Array]:
        return _inexact(call, eqx.combine(moving, still))

    _, pullback = jax.vjp(of, moving)
    (found,) = pullback([jnp.conj(c) for c in cotangents])
    return [jnp.conj(x) for x in jax.tree.leaves(found)]


@torch.library.custom_op("physcon::call", mutates_args=())
def _call(number: int, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    """Compute the result of a call from its tensors."""
    out = _values(_calls[number], [to_jax(x) for x in tensors])
    return [torch.from_dlpack(x) for x in jax.block_until_ready(out)]


@_call.register_fake
def _(number: int, tensors: list[torch.Tensor]) -> list[torch.Tensor]:
    out = _shape_of(_calls[number], tensors)
    shapes = [x for x in jax.tree.leaves(out) if _is_shape(x)]
    return [_empty(x, tensors[0].device) for x in shapes]


@torch.library.custom_op("physcon::pull_back", mutates_args=())
def _pull_back(
    number: int, tensors: list[torch.Tensor], cotangents: list[torch.Tensor]
) -> list[torch.Tensor]:
    """Compute the gradients of all floating-point tensors."""
    arrays = [to_jax(x) for x in tensors]
    found = _gradients(_calls[number], arrays, [to_jax(c) for c in cotangents])
    return [torch.from_dlpack(x) for x in jax.block_until_ready(found)]


@_pull_back.register_fake
def _(
    number: int, tensors: list[torch.Tensor], cotangents: list[torch.Tensor]
) -> list[torch.Tensor]:
    return [torch.empty_like(x) for x in tensors if _has_slope(x)]


def _has_slope(x: Any) -> bool:
    return x.is_floating_point() or x.is_complex()


def _keep(ctx: Any, inputs: tuple, output: list) -> None:
    ctx.number, tensors = inputs
    ctx.save_for_backward(*tensors)
    ctx.shapes = [(x.shape, x.dtype, x.device) for x in output if _has_slope(x)]
    ctx.inexact = [_has_slope(x) for x in output]


def _backward(ctx: Any, cotangents: list) -> tuple:
    tensors = list(ctx.saved_tensors)
    chosen = [c for c, good in zip(cotangents, ctx.inexact, strict=True) if good]
    for k, (shape, dtype, device) in enumerate(ctx.shapes):
        if chosen[k] is None:
            chosen[k] = torch.zeros(shape, dtype=dtype, device=device)
    found = iter(torch.ops.physcon.pull_back(ctx.number, tensors, chosen))
    return None, [next(found) if _has_slope(x) else None for x in tensors]


_call.register_autograd(_backward, setup_context=_keep)
