"""Conservation laws on meshes and networks; called by `balance` and its kin."""

import jax.numpy as jnp
import numpy as np

from physcon._checks import require, require_shape
from physcon._typing import Array, ArrayLike, Float
from physcon.conditioning._law_of import law_of
from physcon.conditioning._mesh_rows import (
    Entries,
    Known,
    Pins,
    Volumes,
    active,
    joined,
    outflow_entries,
    pins,
    require_known,
)
from physcon.conditioning.constraint import LinearConstraint
from physcon.linear_map import Sparse


def mesh_divergence_free(
    domain: Volumes,
    boundary: Known | None,
    where: ArrayLike | None,
    noise_std: ArrayLike | None,
) -> LinearConstraint:
    """No source in any active cell: Σ_f ± |face| v_f = 0; then the known faces."""
    require_known(domain)
    inside = active(domain, where)
    cells = outflow_entries(domain, inside)
    known = pins(domain, boundary)
    value = jnp.zeros(domain.size, known.value.dtype)
    return _law(cells, value, known, (domain.face_count,), noise_std)


def mesh_balance(
    domain: Volumes,
    steps: Float[Array, " t"],
    fluxes: ArrayLike | None,
    boundary: Known | None,
    source: ArrayLike,
    where: ArrayLike | None,
    noise_std: ArrayLike | None,
) -> LinearConstraint:
    """|cell| (u^{n+1} - u^n) + Δt Σ_f ± |face| F = source, for active cells."""
    require_known(domain)
    inside = active(domain, where)
    windows = steps.size
    size = domain.size
    storage = _storage(domain, windows, inside)
    got = np.shape(source)
    require(
        got in ((), (size,), (windows, size)),
        f"a source of shape {(windows, size)}, {(size,)} or a scalar",
        got,
        "give the amount that appears in each cell during each window",
    )
    given = jnp.asarray(source, domain.volume.dtype)
    value = jnp.broadcast_to(given, (windows, size))
    field = (windows + 1) * size
    if fluxes is None:
        through = outflow_entries(domain, inside)
        flows = [
            through.times(steps[n]).shifted(n * size, field + n * domain.face_count)
            for n in range(windows)
        ]
        known = pins(domain, boundary, windows)
        column = known.entries.column + field
        known = known._replace(entries=known.entries._replace(column=column))
        shape = (field + windows * domain.face_count,)
        return _law(joined(storage, *flows), value.ravel(), known, shape, noise_std)
    require(
        boundary is None,
        "no boundary together with known fluxes",
        "both",
        "put the boundary fluxes into `fluxes`, which holds every face",
    )
    known_flux = jnp.asarray(fluxes, domain.area.dtype)
    require_shape(known_flux, (windows, domain.face_count), "the fluxes")
    left = domain.outflow(known_flux)
    value = value - steps[:, None] * left
    shape = (windows + 1, size)
    return _law(storage, value.ravel(), pins(domain, None), shape, noise_std)


def _storage(domain: Volumes, windows: int, inside: np.ndarray) -> Entries:
    """|cell| (u^{n+1} - u^n) for active cells."""
    size = domain.size
    cell = np.flatnonzero(inside)
    row = (np.arange(windows)[:, None] * size + cell).ravel()
    volume = jnp.tile(domain.volume[cell], windows)
    before = Entries(-volume, row, row)
    after = Entries(volume, row, row + size)
    return joined(before, after)


def _law(
    cells: Entries,
    value: Array,
    known: Pins,
    shape: tuple[int, ...],
    noise_std: ArrayLike | None,
) -> LinearConstraint:
    """The rows of the cells, which may be noisy, then the rows of the known faces."""
    rows = value.size
    every = joined(cells, known.entries.shifted(rows, 0))
    count = rows + known.value.size
    operator = Sparse.of(every.value, every.row, every.column, shape, count)
    noise = None
    if noise_std is not None:
        each = jnp.broadcast_to(jnp.asarray(noise_std, value.dtype).ravel(), (rows,))
        noise = jnp.concatenate([each, jnp.zeros_like(known.value)])
    values = jnp.concatenate([value, known.value])
    return law_of(operator, values, noise, operator.present(), "the source")
