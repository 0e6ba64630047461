"""Spectral convolution, and the FNO, of a field that is divided among devices.

The last axis is whole on every device. One axis may be divided (slabs), or two in three
dimensions (pencils). From the last axis to the first, each axis is transformed and its
low modes are kept. A divided axis is first made whole by one `all_to_all`, which
divides the kept modes of the next axis instead. The modes are mixed locally, and the
same steps run in reverse afterwards. Only kept modes are sent.

Source:
    The transpose algorithm (Grama et al., Introduction to Parallel Computing, 2003,
    sec. 13.3).
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from physcon._checks import require
from physcon._mesh import Axes, by_device, check_axes
from physcon._typing import Array, Float, PyTree
from physcon.operators.fno import FNO, with_coordinates
from physcon.operators.spectral import Modes, Weights, check_modes, lowest, mix, widened


def spectral_conv(
    weights: Weights, u: Float[Array, "c *x"], *, mesh: Mesh, axes: Axes
) -> Float[Array, "o *x"]:
    """`physcon.operators.spectral_conv` of a divided field, equal to it up to rounding.

    Args:
        axes: for each space axis, the mesh axis that divides it; None for the last
            axis.

    Raises:
        ValueError: if the last axis is divided, or if the devices do not divide an axis
            evenly.
    """
    _check(u, mesh, axes)
    field = P(None, *axes)

    def on_block(weights: Array, u: Array) -> Array:
        return _convolve(weights, u, axes)

    return by_device(on_block, mesh, (P(), field), field)(weights, u)


def fno(
    model: FNO, u: Float[Array, "i *x"], *, mesh: Mesh, axes: Axes
) -> Float[Array, "o *x"]:
    """Apply ``model(u)`` to a divided field, equal to the original up to rounding.

    Args:
        axes: as in `spectral_conv`.

    Raises:
        ValueError: as in `spectral_conv`, and for a model that pads its field.
    """
    _check(u, mesh, axes)
    require(
        not any(model.padding),
        "a model without padding",
        model.padding,
        "pad the field before the call",
    )
    u = u if model.inputs is None else model.inputs.encode(u)
    u = with_coordinates(u, model.coordinates)
    inner = dataclasses.replace(model, inputs=None, outputs=None, coordinates=False)
    arrays, static = eqx.partition(inner, eqx.is_array)
    field = P(None, *axes)

    def on_block(arrays: PyTree, u: Array) -> Array:
        return eqx.combine(arrays, static).raw(u, lambda w, v: _convolve(w, v, axes))

    raw = by_device(on_block, mesh, (P(), field), field)(arrays, u)
    return raw if model.outputs is None else model.outputs.decode(raw)


def _check(u: Array, mesh: Mesh, axes: Axes) -> None:
    check_axes(mesh, axes, u.shape[1:])
    require(
        axes[-1] is None,
        "None for the last axis",
        axes,
        "divide the other axes: one (slabs) or two (pencils)",
    )


def _convolve(weights: Weights, u: Array, axes: Axes) -> Array:
    """Convolve the block of each device."""
    kept = weights.shape[3:]
    local = u.shape[1:]
    space = tuple(n * _devices(name) for n, name in zip(local, axes, strict=True))
    check_modes(kept, space)
    modes = jnp.fft.rfft(u)[..., : kept[-1]]
    for k in reversed(range(len(axes) - 1)):
        modes = _swap(modes, axes[k], split=k + 2, join=k + 1)
        modes = lowest(jnp.fft.fft(modes, axis=k + 1), kept[k], k + 1)
    modes = mix(_own_modes(weights, axes), modes)
    for k in range(len(axes) - 1):
        modes = jnp.fft.ifft(widened(modes, space[k], k + 1), axis=k + 1)
        modes = _swap(modes, axes[k], split=k + 1, join=k + 2)
        modes = jax.lax.slice_in_dim(modes, 0, kept[k + 1], axis=k + 2)
    short = space[-1] // 2 + 1 - modes.shape[-1]
    modes = jnp.pad(modes, [(0, 0)] * (modes.ndim - 1) + [(0, short)])
    return jnp.fft.irfft(modes, space[-1])


def _own_modes(weights: Array, axes: Axes) -> Array:
    """The weights of this device's modes, divided like the field one axis earlier."""
    for k, name in enumerate(axes[:-1]):
        if name is not None:
            axis = weights.ndim - len(axes) + k + 1
            share = -(-weights.shape[axis] // _devices(name))
            extra = share * _devices(name) - weights.shape[axis]
            widths = [(0, extra if a == axis else 0) for a in range(weights.ndim)]
            start = jax.lax.axis_index(name) * share
            weights = jax.lax.dynamic_slice_in_dim(
                jnp.pad(weights, widths), start, share, axis
            )
    return weights


def _devices(name: str | None) -> int:
    return 1 if name is None else jax.lax.axis_size(name)


def _swap(modes: Modes, name: str | None, *, split: int, join: int) -> Modes:
    """Make axis `join` whole and divide axis `split`, which is padded to fit."""
    if name is None:
        return modes
    extra = -modes.shape[split] % _devices(name)
    widths = [(0, extra if axis == split else 0) for axis in range(modes.ndim)]
    return jax.lax.all_to_all(jnp.pad(modes, widths), name, split, join, tiled=True)
