"""Arguments of a wrapped function with their tensors apart, and what JAX takes."""
# Where PyTorch is absent, a static checker takes `import torch` for this file.
# pyright: reportAttributeAccessIssue=false

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from physcon._checks import require
from physcon._extras import needs
from physcon._typing import Array, PyTree

with needs("torch"):
    import torch

_TENSOR = "a tensor's place"


class Call(NamedTuple):
    """A call of a function without its tensors.

    Attributes:
        fn: the function.
        treedef: structure of its arguments.
        rest: the leaves of this structure, with a mark in place of each tensor.
    """

    fn: Callable[..., PyTree]
    treedef: Any
    rest: list[Any]

    @classmethod
    def of(cls, fn: Callable, treedef: Any, leaves: list[Any]) -> "Call":
        """Return a call from all leaves of its arguments."""
        return cls(fn, treedef, [_TENSOR if is_tensor(x) else x for x in leaves])


def filled(call: Call, arrays: list[Array]) -> PyTree:
    """Return the result of a call for JAX arrays in place of tensors."""
    given = iter(arrays)
    leaves = [next(given) if x is _TENSOR else x for x in call.rest]
    args, kwargs = jax.tree.unflatten(call.treedef, leaves)
    return call.fn(*args, **kwargs)


def is_tensor(x: Any) -> bool:
    """Whether this is a tensor of PyTorch."""
    return isinstance(x, torch.Tensor)


def to_jax(x: Any) -> Array:
    """Return a tensor as an array of JAX; one without gaps shares its memory."""
    return jax.dlpack.from_dlpack(x.detach().resolve_conj().resolve_neg().contiguous())


def check_usable(tensors: list[torch.Tensor]) -> None:
    """Refuse tensors that JAX would change, or does not see."""
    require(
        len(tensors) > 0,
        "a torch.Tensor among the arguments",
        "none",
        "call the function without wrap",
    )
    devices = sorted({str(x.device) for x in tensors})
    require(
        len(devices) == 1,
        "tensors on one device",
        ", ".join(devices),
        "move the tensors to one device by x.to(device)",
    )
    platform = "gpu" if tensors[0].is_cuda else tensors[0].device.type
    known = sorted({"cpu", *(d.platform for d in jax.devices())})
    require(
        platform in known,
        f"a device that JAX sees ({', '.join(known)})",
        devices[0],
        "pass x.cpu(), or install JAX for that device",
    )
    for x in tensors:
        require(
            x.layout == torch.strided,
            "strided tensors",
            str(x.layout),
            "pass x.to_dense()",
        )
        _require_dtype(x)


def _require_dtype(x: torch.Tensor) -> None:
    """Refuse a dtype that JAX would change: it rounds float64 to float32 silently."""
    name = str(x.dtype).removeprefix("torch.")
    try:
        kept = jax.dtypes.canonicalize_dtype(name).name
    except TypeError:
        kept = "unknown"
    remedy = f"convert it: x.to(torch.{kept})"
    if kept == "unknown":
        remedy = "convert it: x.to(torch.float32)"
    elif kept != name:
        remedy += ", or keep 64 bits: jax.config.update('jax_enable_x64', True)"
    require(kept == name, "a tensor of a dtype that JAX keeps", f"{x.dtype}", remedy)
