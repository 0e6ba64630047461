"""Laws on meshes and networks: those of a grid where the mesh is one, and exact."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.sparse import csr_array

import physcon as pc
from physcon import mesh
from physcon.boundary import Dirichlet, Neumann, Robin
from physcon.conditioning import balance, divergence_free, integral, join_fields

GRID = pc.Grid.cells(np.array([0.0, 1.0, 1.5, 3.0]), np.array([0.0, 0.5, 1.5, 2.0]))


def _faces(box):
    """The face of the mesh for every face of GRID, and its direction."""
    centre = np.asarray(box.centroid)[box.owner] + np.asarray(box.to_owner)
    axes = [GRID.faces(0), GRID.faces(1)]
    middles = [0.5 * (f[1:] + f[:-1]) for f in axes]
    found, sign = [], []
    for axis in range(2):
        places = np.meshgrid(
            *(axes[k] if k == axis else middles[k] for k in range(2)), indexing="ij"
        )
        place = np.stack(places, -1).reshape(-1, 2)
        distance = np.abs(place[:, None] - centre[None]).sum(-1)
        face = distance.argmin(axis=1)
        assert distance.min(axis=1).max() < 1e-5
        found.append(face)
        sign.append(np.asarray(box.normal)[face, axis])
    return np.concatenate(found), np.round(np.concatenate(sign))


def _prior(rng, size):
    mean = jnp.asarray(rng.normal(size=size), jnp.result_type(float))
    std = jnp.asarray(np.exp(0.4 * rng.normal(size=size)), jnp.result_type(float))
    return pc.Gaussian.diagonal(mean, std)


def test_a_solenoidal_field_is_the_same_on_a_grid_and_on_its_mesh(rng):
    box = mesh.from_grid(GRID)
    face, sign = _faces(box)
    on_grid = _prior(rng, 24)
    mean = jnp.zeros(24).at[face].set(sign * on_grid.mean)
    std = jnp.zeros(24).at[face].set(on_grid.std())
    one = pc.condition(on_grid, divergence_free(GRID))
    two = pc.condition(pc.Gaussian.diagonal(mean, std), divergence_free(box))
    back = sign * two.posterior.mean[face]
    np.testing.assert_allclose(back, one.posterior.mean, rtol=2e-5, atol=2e-6)
    spread = two.posterior.std()[face]
    np.testing.assert_allclose(spread, one.posterior.std(), rtol=2e-4)
    dense = np.zeros((9, 24))
    for k, row in enumerate(np.eye(24)):
        dense[:, k] = box.outflow(jnp.asarray(row))
    gram = dense * np.asarray(std, float) ** 2 @ dense.T
    missing = -dense @ np.asarray(mean, float)
    distance = missing @ np.linalg.solve(gram, missing)
    log_det = np.linalg.slogdet(2 * np.pi * gram)[1]
    np.testing.assert_allclose(two.log_evidence, -0.5 * (distance + log_det), rtol=1e-5)
    assert np.abs(box.outflow(two.posterior.mean)).max() < 2e-6


@pytest.mark.parametrize("known", [True, False])
def test_a_balance_is_the_same_on_a_grid_and_on_its_mesh(rng, known):
    times = np.array([0.0, 0.1, 0.3])
    box = mesh.from_grid(GRID)
    face, sign = _faces(box)
    fluxes = [_prior(rng, (2, *shape)) for shape in ((4, 3), (3, 4))]
    flat = [jnp.concatenate([f.mean[n].ravel() for f in fluxes]) for n in range(2)]
    spread = [jnp.concatenate([f.std()[n].ravel() for f in fluxes]) for n in range(2)]
    on_mesh = jnp.stack([jnp.zeros(24).at[face].set(sign * f) for f in flat])
    std = jnp.stack([jnp.zeros(24).at[face].set(f) for f in spread])
    u = _prior(rng, (3, 3, 3))
    source = jnp.asarray(rng.normal(size=(2, 3, 3)), jnp.result_type(float))
    amount = source.reshape(2, 9)
    v = pc.Gaussian.diagonal(u.mean.reshape(3, 9), u.std().reshape(3, 9))
    if known:
        law = balance(GRID, times, tuple(f.mean for f in fluxes), source=source)
        one = pc.condition(u, law).posterior.mean.ravel()
        two = pc.condition(
            v, balance(box, times, on_mesh, source=amount)
        ).posterior.mean
        np.testing.assert_allclose(two.ravel(), one, rtol=2e-5, atol=5e-6)
        return
    one = pc.condition(join_fields(u, *fluxes), balance(GRID, times, source=source))
    prior = join_fields(v, pc.Gaussian.diagonal(on_mesh, std))
    two = pc.condition(prior, balance(box, times, source=amount))
    np.testing.assert_allclose(
        two.posterior.mean[:27], one.posterior.mean[:27], rtol=2e-5, atol=5e-6
    )
    # Every cell, and so the whole domain, holds what entered it.
    u_new = two.posterior.mean[:27].reshape(3, 9)
    flux = two.posterior.mean[27:].reshape(2, 24)
    steps = jnp.diff(jnp.asarray(times))[:, None]
    gained = np.asarray(box.volume) * np.diff(u_new, axis=0)
    missed = gained + np.asarray(steps * box.outflow(flux) - amount)
    assert np.abs(missed).max() < 3e-6


def test_windows_between_dates_in_seconds_keep_their_lengths():
    seconds = np.array([0.0, 0.25, 1.0])
    for domain in (GRID, mesh.from_grid(GRID)):
        there = balance(domain, 1.7e9 + seconds)
        here = balance(domain, seconds)
        u = jnp.sin(jnp.arange(float(np.prod(here.operator.in_shape))))
        np.testing.assert_array_equal(there.residual(u), here.residual(u))


def test_known_faces_and_inactive_cells(rng):
    """Flow past a block of inactive cells: what enters on the left leaves right."""
    box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (12, 6), distortion=0.2)
    centre = np.asarray(box.centroid)
    block = (np.abs(centre[:, 0] - 1.0) < 0.2) & (np.abs(centre[:, 1] - 0.5) < 0.2)
    walls = {"bottom": 0.0, "top": 0.0, "left": -1.0}
    law = divergence_free(box, boundary=walls, where=~block)
    prior = _prior(rng, box.face_count)
    post = pc.condition(prior, law)
    left = np.asarray(box.outflow(post.posterior.mean))
    assert np.abs(left[~block]).max() < 2e-6
    for name, value in walls.items():
        faces = box.boundary_faces(name)
        np.testing.assert_allclose(post.posterior.mean[faces], value, atol=1e-6)
    right = box.boundary_faces("right")
    out = np.sum(np.asarray(post.posterior.mean * box.area)[right], dtype=float)
    assert abs(out - left[block].sum(dtype=float) - 1.0) < 5e-6


def test_a_closed_surface_has_one_redundant_row(rng):
    """On a sphere all rows add to zero: the law is solved, and says so."""
    ball = mesh.cubed_sphere(6)
    prior = _prior(rng, ball.face_count)
    post = pc.condition(prior, divergence_free(ball))
    assert post.outcome == pc.Outcome.redundant
    assert np.abs(ball.outflow(post.posterior.mean)).max() < 2e-6
    dense = np.zeros((ball.size, ball.face_count))
    face = np.arange(ball.face_count)
    area = np.asarray(ball.area, float)
    dense[np.asarray(ball.owner), face] = area
    dense[np.asarray(ball.neighbour), face] = -area
    square = np.asarray(prior.std(), float) ** 2
    gram = dense * square @ dense.T
    gain = square[:, None] * dense.T @ np.linalg.pinv(gram, hermitian=True)
    mean = np.asarray(prior.mean, float)
    np.testing.assert_allclose(
        post.posterior.mean, mean - gain @ dense @ mean, atol=1e-5
    )


@pytest.mark.parametrize("distortion", [0.0, 0.2])
def test_a_closed_box_whose_rounded_inflow_and_outflow_balance(rng, distortion):
    """Areas in float32 miss the balance of the known fluxes by some eps."""
    box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (9, 7), distortion=distortion)
    known = {"left": -1.0, "right": 1.0, "bottom": 0.0, "top": 0.0}
    prior = _prior(rng, box.face_count)
    post = pc.condition(prior, divergence_free(box, boundary=known))
    assert post.outcome == pc.Outcome.redundant
    assert np.abs(box.outflow(post.posterior.mean)).max() < 1e-6
    known["right"] = 1.001
    failed = pc.condition(prior, divergence_free(box, boundary=known), throw=False)
    assert failed.outcome == pc.Outcome.contradiction


def test_rounded_inflows_of_a_ring_balance_outside_of_meshes(rng):
    """Rows of a matrix: pipes around a ring, and known inflows, some of them zero."""
    n = 12
    around = np.eye(n) - np.roll(np.eye(n), 1, axis=0)
    rows = np.block([[around, np.eye(n)], [np.zeros((n, n)), np.eye(n)]])
    inflow = rng.normal(size=n)
    inflow[::3] = 0
    inflow[1] -= inflow.sum()
    value = np.concatenate([np.zeros(n), inflow]).astype(np.float32)
    value[n + 1] = np.nextafter(value[n + 1], np.inf, dtype=np.float32)
    prior = _prior(rng, 2 * n)
    post = pc.condition(prior, pc.from_matrix(csr_array(rows), jnp.asarray(value)))
    assert post.outcome == pc.Outcome.redundant
    np.testing.assert_allclose(post.posterior.mean[n::3], 0, atol=1e-16)
    value[2 * n - 1] += 1e-4
    law = pc.from_matrix(csr_array(rows), jnp.asarray(value))
    failed = pc.condition(prior, law, throw=False)
    assert failed.outcome == pc.Outcome.contradiction


def test_the_integral_over_a_mesh_is_exact_far_from_the_origin(rng):
    box = mesh.triangles((1e5, 1e5), (1e5 + 2, 1e5 + 1), (6, 5), distortion=0.25)
    law = integral(box, 3.0, where=np.asarray(box.centroid)[:, 0] < 1e5 + 1)
    post = pc.condition(_prior(rng, box.size), law)
    west = np.asarray(box.centroid)[:, 0] < 1e5 + 1
    total = np.sum(np.asarray(post.posterior.mean * box.volume, float)[west])
    assert abs(total - 3.0) < 2e-6


@pytest.mark.parametrize("shift", [0.0, 2.0**20])
def test_boundary_rows_are_exact_for_linear_fields(shift):
    """u = 2 + 3x - y: its values and outward slopes, in corner cells too."""
    make = partial(mesh.triangles, shape=(6, 5), distortion=0.25)
    here = make((0.0, 0.0), (2.0, 1.0))
    there = make((shift, 0.0), (shift + 2.0, 1.0))
    centre = np.asarray(here.centroid, float)
    u = jnp.asarray(2 + 3 * centre[:, 0] - centre[:, 1], jnp.result_type(float))
    height = (centre[here.owner] + np.asarray(here.to_owner))[:, 1]
    left = jnp.asarray(2 - height[here.boundary_faces("left")])
    right = jnp.asarray(8 - height[here.boundary_faces("right")])
    conditions = {
        "left": Dirichlet(left),
        "top": Neumann(-1.0),
        "right": Robin(1.0, 2.0, right + 6),
        "bottom": Neumann(1.0),
    }
    law = pc.boundary_values(there, conditions)
    assert law.value.shape == (5 + 6 + 5 + 6,)
    np.testing.assert_allclose(law.residual(u), 0, atol=3e-5)


def test_derivatives_with_respect_to_boundary_values(rng):
    box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (3, 3), distortion=0.2)
    prior = _prior(rng, box.face_count)

    @jax.jit
    def out(speed):
        law = divergence_free(box, boundary={"left": -speed, "top": 0.0, "bottom": 0.0})
        post = pc.condition(prior, law, throw=False)
        return jnp.sum((post.posterior.mean * box.area)[box.boundary_faces("right")])

    # All that enters on the left must leave on the right.
    np.testing.assert_allclose(jax.grad(out)(0.7), 1.0, rtol=1e-5)


def test_a_network_keeps_every_node_in_balance(rng):
    edges = [[-1, 0], [0, 1], [1, 2], [0, 2], [2, -1]]
    river = mesh.network(
        edges, 3, storage=np.array([2.0, 1.0, 1.0]), patches={"inlet": np.array([0])}
    )
    times = np.array([0.0, 1.0, 1.5])
    law = balance(river, times, boundary={"inlet": 3.0})
    post = pc.condition(join_fields(_prior(rng, (3, 3)), _prior(rng, (2, 5))), law)
    u = post.posterior.mean[:9].reshape(3, 3)
    flow = post.posterior.mean[9:].reshape(2, 5)
    np.testing.assert_allclose(flow[:, 0], 3.0, rtol=1e-6)
    gained = np.asarray(river.volume) * np.diff(u, axis=0)
    steps = jnp.array([[1.0], [0.5]])
    np.testing.assert_allclose(gained, -steps * river.outflow(flow), atol=2e-6)
    held = np.sum(np.asarray(river.volume * (u[2] - u[0])), dtype=float)
    outlet = np.asarray(flow[:, 4], float) @ [1.0, 0.5]
    np.testing.assert_allclose(held, 4.5 - outlet, atol=5e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: mesh.network([[0, 3]], 2), r"other numbers in edge\(s\) \[0\]"),
        (lambda: mesh.network([[1, 1]], 2), "equal ends"),
        (lambda: mesh.network([[0, 1]], 2, storage=0.0), "positive storage"),
        (
            lambda: mesh.network([[0, 1]], 2, patches={"a": np.array([0])}),
            "one end outside",
        ),
        (
            lambda: divergence_free(mesh.from_grid(GRID), boundary={"wall": 0.0}),
            "one of",
        ),
        (
            lambda: divergence_free(
                mesh.from_grid(GRID), boundary={"left": np.zeros(1)}
            ),
            "each of 3 faces of 'left'",
        ),
        (lambda: divergence_free(GRID, where=np.ones(9, bool)), "where with a Grid"),
        (
            lambda: balance(mesh.from_grid(GRID), np.arange(2.0), where=np.ones(9)),
            "true or false for each of 9 cells",
        ),
        (
            lambda: pc.boundary_values(
                mesh.from_grid(GRID), {"left": Dirichlet(lambda t: t)}
            ),
            "does not depend on time",
        ),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_large_closed_box_has_one_redundant_row(rng):
    """The pivot that is left of the redundant row is NaN, one among many thousands."""
    box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (70, 70))
    walls = ("left", "right", "bottom", "top")
    prior = _prior(rng, box.face_count)
    law = divergence_free(box, boundary=dict.fromkeys(walls, 0.0))
    post = pc.condition(prior, law, throw=False)
    assert post.outcome == pc.Outcome.redundant
    outflow = np.abs(box.outflow(post.posterior.mean)).max()
    assert outflow < 4e-6 * float(jnp.abs(post.posterior.mean * box.area).max())
