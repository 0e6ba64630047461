"""Condition on a law with one row per cell, with the cells divided among devices.

The system is solved by conjugate gradients. Each step exchanges one layer of cells with
every neighbour and needs two all-reduces of one or two float64 numbers.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

from physcon._checks import is_traced, require, require_shape
from physcon._mesh import Axes, by_device, check_axes, shifted
from physcon._show import shown
from physcon._status import Outcome, code, settle, severity
from physcon._typing import Array, Float, Int, PyTree
from physcon.conditioning import Gaussian, LinearConstraint
from physcon.conditioning._verdict import judged
from physcon.conditioning.constraint import misfit
from physcon.conditioning.solvers import ConjugateGradient
from physcon.conditioning.solvers.implicit import update
from physcon.conditioning.status import CODES, MESSAGES, excess
from physcon.linear_map import (
    BlockDiagonal,
    Diagonal,
    Difference,
    LinearMap,
    Sum,
    split_fields,
)
from physcon.linear_map.divided import DividedDifference


class Balanced(NamedTuple):
    """Result of `condition_balance`.

    Attributes:
        means: posterior means, one field per part of the law.
        multiplier: λ = S⁻¹ (b - G μ), one value per cell.
        outcome: an `Outcome`: `good`; `not_finite` if an input has a NaN or an
            infinity; or `not_solved` if `max_steps` were not enough.
        steps: number of steps of conjugate gradients.
    """

    means: tuple[Float[Array, "..."], ...]
    multiplier: Float[Array, "*y"]
    outcome: Outcome
    steps: Int[Array, ""]

    __repr__ = shown

    @property
    def status(self) -> Int[Array, ""]:
        """The integer status of version 0.1: 0 good, 1 not_finite, 4 not_solved."""
        return code(self.outcome, CODES)


def condition_balance(
    means: tuple[Float[Array, "..."], ...],
    stds: tuple[Float[Array, "..."], ...],
    law: LinearConstraint,
    *,
    mesh: Mesh,
    axes: Axes,
    rtol: float = 1e-8,
    max_steps: int = 2000,
    throw: bool = True,
) -> Balanced:
    """Condition independent errors on a law whose cells are divided among devices.

    Args:
        means, stds: one array per field of the law, in its order, in place of
            `join_fields`. The fields are u and then the fluxes of each axis for
            `balance`, and the components for `divergence_free`.
        law: the result of `balance` with unknown fluxes, or of `divergence_free`.
        axes: for each axis of the cells (`law.value`), the mesh axis that divides it,
            or None. An array with as many faces as cells (a torus, or one known side)
            is divided like the cells. An array of n - 1 or n + 1 faces is not divided:
            every device holds it whole and cuts its block from it. If a field fits in
            memory only when it is divided, leave one known side in it, with std 0: pass
            ``boundary=((None, 0.0), ...)`` with mean and std 0 at the lower wall.
        rtol, max_steps: settings of conjugate gradients; see `ConjugateGradient`.

    Raises:
        ValueError: for other laws, or if the devices do not divide the cells evenly.
        RuntimeError: under `throw` and outside jit, if a value is not finite or the
            tolerance is not reached.
    """
    cells = law.value.shape
    check_axes(mesh, axes, cells)
    operator = law.operator
    parts = operator.parts if isinstance(operator, Sum) else (operator,)
    require(
        all(isinstance(p, Difference) for p in parts),
        "a law made of differences: balance, divergence_free",
        [type(p).__name__ for p in parts],
        "use physcon.parallel.condition for a few rows",
    )
    require(
        len(parts) == len(means) == len(stds),
        f"{len(parts)} fields",
        (len(means), len(stds)),
        "one mean and one std per field of the law",
    )
    for part, mean, std in zip(parts, means, stds, strict=True):
        require_shape(mean, part.in_shape, "a mean")
        require_shape(std, part.in_shape, "a std")
    named = tuple(name for name in axes if name is not None)
    solver = ConjugateGradient(rtol, max_steps, named)
    found = _balance(means, stds, law, solver, mesh, axes)
    # Nothing is raised inside jit: an error in a callback on one of several devices
    # would end the whole process.
    throw = throw and not is_traced(severity(found.outcome))
    values = found.means, found.multiplier
    means, multiplier = settle(values, found.outcome, throw, MESSAGES)
    return found._replace(means=means, multiplier=multiplier)


@eqx.filter_jit
def _balance(
    means: tuple,
    stds: tuple,
    law: LinearConstraint,
    solver: ConjugateGradient,
    mesh: Mesh,
    axes: Axes,
) -> Balanced:
    parts: Any = (
        law.operator.parts if isinstance(law.operator, Sum) else (law.operator,)
    )
    faces = [_Faces(part, mesh, axes) for part in parts]

    def on_block(
        means: tuple, stds: tuple, areas: tuple, value: Array, noise: Array
    ) -> tuple:
        means, stds, areas = (
            tuple(f.closed(x) for f, x in zip(faces, xs, strict=True))
            for xs in (means, stds, areas)
        )
        own = [f.operator(area) for f, area in zip(faces, areas, strict=True)]
        flat = jnp.concatenate([m.reshape(-1) for m in means])
        root = BlockDiagonal(*(Diagonal(s) for s in stds))
        prior = Gaussian(flat, root)
        own_law = LinearConstraint(Sum(*own), value, noise)
        new = update(solver, prior, own_law)
        fields = split_fields(new.mean, tuple(m.shape for m in means))
        frozen = jax.lax.stop_gradient((prior, own_law, new))
        residual, size = misfit(own_law, frozen[2].mean)
        missed = excess(solver, *frozen, residual, size, divided=True)
        roundings = solver.largest(missed)[None]
        given = frozen[2].outcome, roundings, roundings, flat.size
        outcome = judged(*given, frozen[2].contradicted)
        fields = tuple(f.opened(x) for f, x in zip(faces, fields, strict=True))
        return fields, new.multiplier, outcome, new.steps

    blocks = tuple(f.spec for f in faces)
    cells = P(*axes)
    means, stds, areas = (
        tuple(f.blocks(x) for f, x in zip(faces, xs, strict=True))
        for xs in (means, stds, [part.area for part in parts])
    )
    in_specs = (blocks, blocks, blocks, cells, cells)
    out_specs = (blocks, cells, P(), P())
    found = by_device(on_block, mesh, in_specs, out_specs)
    fields, multiplier, outcome, steps = found(
        means, stds, areas, law.value, law.noise()
    )
    fields = tuple(f.whole(x) for f, x in zip(faces, fields, strict=True))
    return Balanced(fields, multiplier, outcome, steps)


class _Faces:
    """The faces of one `Difference`, as blocks of n + 1 faces for n cells.

    With as many faces as cells (a torus, or one known side of two) the faces are
    divided like the cells: each device holds n of them and receives the neighbour's
    nearest face. Otherwise the blocks are cut from whole arrays. The faces are whole if
    the axis is not divided.
    """

    def __init__(self, part: Difference, mesh: Mesh, axes: Axes):
        self.part = part
        self.name = axes[part.axis]
        if self.name is not None and mesh.shape[self.name] == 1:
            self.name = None
        self.spec = P(*axes)
        self.even = part.periodic or part.ends[0] != part.ends[1]
        self.cut = self.name is not None and not self.even
        #: Whether the faces of a block begin with the lower face of its first cell;
        #: otherwise they begin with its upper face.
        self.lower = part.periodic or part.ends[0]
        if not self.cut:
            return
        cells = part.out_shape[part.axis]
        devices = mesh.shape[self.name]
        n = cells // devices
        missing = int(not part.ends[0])
        size = part.in_shape[part.axis]
        index = np.arange(devices)[:, None] * n + np.arange(n + 1) - missing
        self.index = index.reshape(-1)
        self.exists = (self.index >= 0) & (self.index < size)
        # The block and the place in it from which each face is returned.
        first = np.arange(size) + missing
        block = np.minimum(first // n, devices - 1)
        self.back = block * (n + 1) + first - block * n

    def operator(self, area: Array) -> LinearMap:
        """The difference on the block of this device."""
        part = self.part
        if self.name is None:
            return Difference(area, part.axis, part.ends, part.periodic)
        return DividedDifference(area, part.axis, self.name, part.periodic)

    def blocks(self, x: PyTree) -> Array:
        """Cut the faces into blocks, with seam faces in both; a known face is zero."""
        if not self.cut:
            return x
        shape = [1] * x.ndim
        shape[self.part.axis] = -1
        index = np.clip(self.index, 0, x.shape[self.part.axis] - 1)
        taken = jnp.take(x, index, self.part.axis)
        return jnp.where(self.exists.reshape(shape), taken, 0)

    def whole(self, x: Array) -> Array:
        """Join the blocks, with each face once."""
        return jnp.take(x, self.back, self.part.axis) if self.cut else x

    def closed(self, x: Array) -> Array:
        """Add the neighbour's face, or zero, to a block of as many faces as cells."""
        if self.name is None or self.cut:
            return x
        axis = self.part.axis
        n = x.shape[axis]
        if self.lower:
            first = jax.lax.slice_in_dim(x, 0, 1, axis=axis)
            beyond = shifted(first, self.name, -1, self.part.periodic)
            return jnp.concatenate([x, beyond], axis)
        last = jax.lax.slice_in_dim(x, n - 1, n, axis=axis)
        return jnp.concatenate([shifted(last, self.name, 1, closed=False), x], axis)

    def opened(self, x: Array) -> Array:
        """The inverse of `closed`."""
        if self.name is None or self.cut:
            return x
        n = x.shape[self.part.axis] - 1
        start = 0 if self.lower else 1
        return jax.lax.slice_in_dim(x, start, start + n, axis=self.part.axis)
