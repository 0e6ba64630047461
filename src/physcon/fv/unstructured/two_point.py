"""The symmetric matrix of two-point fluxes on a mesh, and its exact inverse.

A backward Euler step of u_t = div(∇Φ(u)), Φ' = k, linearised at v, couples cells i and
j through a face by g = |face| / (d · n):

    J = 1 + dt V⁻¹ L K,    (L w)_i = Σ_f g_f (w_i - w_j),    K = diag(k(v)).

J is not symmetric, but with s = √K it has the inverse of the symmetric positive
definite S = V + dt s L s, also where k vanishes: y = S⁻¹ s V r gives δ = J⁻¹ r by
s δ = y, or by δ = r - dt V⁻¹ L s y. The first loses digits where s is small, and the
second where dt k g is large against the volume.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._numerics import safe
from physcon._numerics.sparse import (
    Factored,
    Pattern,
    TooFull,
    analyse,
    factorise_definite,
    solve,
)
from physcon._typing import Array, Bool, Float, Int, Scalar
from physcon.boundary import Dirichlet, Robin
from physcon.fv.unstructured.diffusion import pairs
from physcon.fv.unstructured.patches import on_patch
from physcon.mesh import Mesh


class TwoPoint(eqx.Module):
    """The analysed pattern of S, and the faces that make its entries.

    Attributes:
        pattern: one row for each cell.
        face: the faces between the two cells of each entry below the diagonal.
        used: 1 for these faces, 0 for padding.
    """

    pattern: Pattern
    face: Int[Array, "e r"]
    used: Float[Array, "e r"]


def two_point(mesh: Mesh) -> TwoPoint | None:
    """The pattern of a mesh with known connections; None if its factor is too full."""
    owner = np.asarray(mesh.owner)
    neighbour = np.asarray(mesh.neighbour)
    inside = np.flatnonzero(neighbour >= 0)
    first = owner[inside]
    second = neighbour[inside]
    try:
        # Large leaves make fewer levels, each of which takes time to compile.
        pattern = analyse(mesh.size, first, second, leaf=48)
    except TooFull:
        return None
    row = np.asarray(pattern.row[mesh.size :]).astype(np.int64)
    column = np.asarray(pattern.column[mesh.size :]).astype(np.int64)
    keys = row * mesh.size + column
    own = np.maximum(first, second).astype(np.int64) * mesh.size
    entry = np.searchsorted(keys, own + np.minimum(first, second))
    order = np.argsort(entry, kind="stable")
    entry = entry[order]
    place = np.arange(entry.size) - np.searchsorted(entry, entry)
    face = np.zeros((keys.size, int(place.max(initial=0)) + 1), np.int32)
    used = np.zeros(face.shape)
    face[entry, place] = inside[order]
    used[entry, place] = 1
    return TwoPoint(pattern, jnp.asarray(face), jnp.asarray(used, float))


def conductances(problem: Any, u: Float[Array, "c n"]) -> Float[Array, "c f"]:
    """g at every face: 0 where the flux is known, and less than 1/gap at Robin's."""
    mesh = problem.grid
    between = pairs(problem, u)
    g = jnp.where(mesh.neighbour >= 0, mesh.area / between.distance, 0)
    g = jnp.broadcast_to(g[None], (u.shape[0], mesh.face_count))
    boundary = problem.boundary
    for condition, faces in zip(boundary.conditions, boundary.faces, strict=True):
        if not isinstance(condition, Dirichlet | Robin):
            continue
        gap = between.distance[faces][None]
        share = jnp.ones_like(gap)
        if isinstance(condition, Robin):
            a = on_patch(condition.a, u.shape[0], faces.size)
            b = on_patch(condition.b, u.shape[0], faces.size) / gap
            share = jnp.abs(safe.divide(a, a + b))
        share = share * mesh.area[faces][None] / gap
        g = g.at[:, faces].set(jnp.broadcast_to(share, (u.shape[0], faces.size)))
    return g


class Inverse(NamedTuple):
    """J⁻¹ and its transpose for states ``(c, n)``.

    Attributes:
        factor: of S, one for each channel; None: the diagonal of J is used instead.
        volume: of the cells.
        root: s, ``(c, n)``.
        conductance: dt g, ``(c, f)``.
        strong: where dt k Σ g exceeds the volume, ``(c, n)``.
        diagonal: of J, ``(c, n)``.
    """

    problem: Any
    factor: Factored | None
    volume: Float[Array, "1 n"]
    root: Float[Array, "c n"]
    conductance: Float[Array, "c f"]
    strong: Bool[Array, "c n"]
    diagonal: Float[Array, "c n"]

    def apply(self, r: Float[Array, "c n"]) -> Float[Array, "c n"]:
        """J⁻¹ r."""
        if self.factor is None:
            return r / self.diagonal
        y = _solved(self.factor, self.root * self.volume * r)
        weak = r - self._differences(self.root * y) / self.volume
        return jnp.where(self.strong, safe.divide(y, self.root), weak)

    def transposed(self, b: Float[Array, "c n"]) -> Float[Array, "c n"]:
        """J⁻ᵀ b."""
        if self.factor is None:
            return b / self.diagonal
        strong = safe.divide(jnp.where(self.strong, b, 0), self.root)
        weak = jnp.where(self.strong, 0, b)
        right = strong - self.root * self._differences(weak / self.volume)
        return weak + self.volume * self.root * _solved(self.factor, right)

    def _differences(self, w: Array) -> Array:
        """dt L w."""
        mesh = self.problem.grid
        tables = self.problem.tables
        beyond = jnp.where((mesh.neighbour >= 0)[None], w[:, tables.far], 0)
        through = self.conductance * (w[:, mesh.owner] - beyond)
        return tables.leaving(through.T).T


def _solved(factor: Factored, right: Float[Array, "c n"]) -> Float[Array, "c n"]:
    """S⁻¹ for each channel."""
    return jax.vmap(solve)(factor, right)


def inverse(problem: Any, v: Float[Array, "c n"], dt: Scalar) -> Inverse:
    """The inverse at the state v, where `problem` is at the time of the step."""
    tables = problem.tables
    k = problem.law.diffusion.coefficient(v)
    root = safe.sqrt(k)
    g = dt * conductances(problem, v)
    volume = problem.grid.volume[None]
    coupling = k * jax.vmap(tables.sum_over_faces)(g)
    diagonal = 1 + coupling / volume
    factor = None
    if problem.matrix is not None:
        factor = jax.vmap(_factor, in_axes=(None, 0, 0, 0))(
            problem.matrix, volume + coupling, root, g
        )
    strong = coupling > volume
    return Inverse(problem, factor, volume, root, g, strong, diagonal)


def _factor(
    matrix: TwoPoint,
    diagonal: Float[Array, " n"],
    root: Float[Array, " n"],
    g: Float[Array, " f"],
) -> Factored:
    """The factor of S for one channel."""
    pattern = matrix.pattern
    size = diagonal.size
    between = jnp.sum(g[matrix.face] * matrix.used, axis=1)
    ends = root[pattern.row[size:]] * root[pattern.column[size:]]
    return factorise_definite(pattern, jnp.concatenate([diagonal, -ends * between]))
