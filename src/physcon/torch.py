"""physcon's functions on PyTorch tensors, compiled, with gradients.

    conserve = physcon.torch.wrap(lambda mean, std: condition(...).posterior.mean)
    loss(conserve(mean, std)).backward()

Tensors are passed by DLPack, without a copy. The vector-Jacobian product that JAX forms
is a `torch.autograd.Function`. Under `torch.compile` a wrapped function is one operator
of the graph: PyTorch compiles the code around it, JAX the function itself.
"""
# Where PyTorch is absent, a static checker takes `import torch` for this file.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable
from functools import wraps
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._extras import needs
from physcon._torch.box import Box, boxed, can_be_boxed
from physcon._torch.graph import in_graph
from physcon._torch.tensors import Call, check_usable, filled, is_tensor, to_jax
from physcon._typing import Array, PyTree

with needs("torch"):
    import torch


def wrap(fn: Callable[..., PyTree]) -> Callable[..., PyTree]:
    """`fn`, compiled by JAX, as a differentiable function of PyTorch tensors.

    Arguments and results are pytrees. Tensors among the arguments reach `fn` as JAX
    arrays, and arrays in its result come back as tensors on the same device. All other
    arguments (JAX arrays, Equinox modules, numbers, strings) are passed as they are.
    Numbers are static: each new value compiles again, so pass a tensor for a number
    that changes, and for one number per sample.

    Gradients flow to every floating-point tensor with ``requires_grad``, to first order
    (take higher derivatives by JAX, inside `fn`). Tensors with gaps between their
    elements are copied; all others share their memory, and PyTorch refuses ``backward``
    after such a tensor was changed in place. Batch with `jax.vmap` inside `fn`.

    Under `torch.compile` a call is one operator, also with ``fullgraph=True``, if its
    arguments are tensors, numbers and text in dictionaries, lists and tuples, or
    results of an earlier call; its gradient computes `fn` once more. With other
    arguments, such as JAX arrays, PyTorch breaks the graph there: bind them first, for
    example by `functools.partial`.

    Raises:
        ValueError: no tensor among the arguments; a tensor of a dtype that JAX would
            change (float64 and int64, unless ``jax_enable_x64`` is on), not strided, or
            on a device that JAX does not see; tensors on several devices; a Python
            number that `fn` maps over by `jax.vmap`; in ``backward``:
            ``create_graph=True``.
    """

    @wraps(fn)
    def call(*args: Any, **kwargs: Any) -> PyTree:
        leaves, treedef = jax.tree.flatten((args, kwargs))
        tensors = [x for x in leaves if is_tensor(x)]
        check_usable(tensors)
        traced = [x.requires_grad and torch.is_grad_enabled() for x in tensors]
        result: list[Any] = []  # what fn returned: PyTorch passes on tensors only
        request = Call.of(fn, treedef, leaves)
        try:
            outputs = _Function.apply((request, traced), result, *tensors)
        except ValueError as error:
            _explain_numbers(error, args, kwargs)
            raise
        remaining = iter(outputs)
        return jax.tree.map(
            lambda x: next(remaining) if eqx.is_array(x) else x, result[0]
        )

    alone = torch.compiler.disable(call)

    @torch._dynamo.nonstrict_trace
    def operator(box: Box) -> Box:
        return in_graph(fn, box)

    @wraps(fn)
    def either(*args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_dynamo_compiling() and can_be_boxed((args, kwargs)):
            return operator(boxed((args, kwargs))).values
        return alone(*args, **kwargs)

    return either


def _explain_numbers(error: ValueError, args: tuple, kwargs: dict) -> None:
    """Raise in the caller's terms if `jax.vmap` was given a Python number."""
    if "vmap" not in str(error):
        return
    arguments = {f"argument {i + 1}": x for i, x in enumerate(args)} | kwargs
    numbers = {
        name: x for name, x in arguments.items() if isinstance(x, int | float | complex)
    }
    if numbers:
        shown = ", ".join(f"{name} = {x}" for name, x in numbers.items())
        raise ValueError(
            "expected tensors for all arguments that jax.vmap maps over, got Python "
            f"numbers: {shown}; pass a tensor with one value per sample, for example "
            "torch.full((batch,), value), or give the argument in_axes=None"
        ) from error


@eqx.filter_jit
def _forward(
    call: Call, traced: list[bool], arrays: list[Array]
) -> tuple[PyTree, Callable]:
    """The result, and the pullback of its cotangent to the traced arrays."""

    def of(moving: list[Array]) -> PyTree:
        chosen = iter(moving)
        pairs = zip(arrays, traced, strict=True)
        out = filled(call, [next(chosen) if wanted else x for x, wanted in pairs])
        # Copied, so that no result shares the memory of an argument, which PyTorch may
        # change in place.
        return jax.tree.map(lambda x: jnp.copy(x) if eqx.is_array(x) else x, out)

    wanted = [x for x, moves in zip(arrays, traced, strict=True) if moves]
    return eqx.filter_vjp(of, wanted)


@eqx.filter_jit
def _pull_back(pullback: Callable, cotangent: PyTree) -> list[Array]:
    """Gradients as PyTorch defines them: for complex numbers the conjugate of JAX's."""
    (gradients,) = pullback(jax.tree.map(jnp.conj, cotangent))
    return [jnp.conj(x) for x in gradients]


class _Function(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        request: tuple[Call, list[bool]],
        result: list[Any],
        *tensors: torch.Tensor,
    ) -> Any:
        out, pullback = _forward(*request, [to_jax(x) for x in tensors])
        # PyTorch may change a tensor in place as soon as this returns.
        jax.block_until_ready(eqx.filter((out, pullback), eqx.is_array))
        result.append(out)
        arrays = [x for x in jax.tree.leaves(out) if eqx.is_array(x)]
        given = tuple(torch.from_dlpack(x) for x in arrays)
        inexact = [eqx.is_inexact_array(x) for x in arrays]
        ctx.mark_non_differentiable(
            *(t for t, i in zip(given, inexact, strict=True) if not i)
        )
        # Saved not to be read, but for PyTorch's check that they have not changed
        # before `backward`.
        ctx.save_for_backward(*tensors)
        ctx.pullback = pullback
        ctx.traced = request[1]
        ctx.inexact = inexact
        ctx.like = eqx.filter(out, eqx.is_inexact_array)
        return given

    @staticmethod
    def backward(ctx: Any, *cotangents: torch.Tensor) -> Any:
        require(
            not torch.is_grad_enabled(),
            "first derivatives",
            "create_graph=True",
            "take higher derivatives by JAX, inside the wrapped function",
        )
        _ = ctx.saved_tensors
        chosen = [to_jax(g) for g, i in zip(cotangents, ctx.inexact, strict=True) if i]
        cotangent = jax.tree.unflatten(jax.tree.structure(ctx.like), chosen)
        gradients = jax.block_until_ready(_pull_back(ctx.pullback, cotangent))
        remaining = iter(gradients)
        wanted = (torch.from_dlpack(next(remaining)) if t else None for t in ctx.traced)
        return None, None, *wanted
