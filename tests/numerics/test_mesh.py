"""Meshes measure what geometry says: volumes, closed cells, exact divergence."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import mesh
from physcon.mesh.renumber import in_order

BOXES = {
    "triangles": lambda shift: mesh.triangles(
        (shift, shift), (shift + 2.0, shift + 1.0), (6, 5), distortion=0.25
    ),
    "periodic triangles": lambda shift: mesh.triangles(
        (shift, shift),
        (shift + 2.0, shift + 1.0),
        (6, 5),
        distortion=0.25,
        periodic=True,
    ),
    "hexahedra": lambda shift: mesh.from_grid(
        pc.Grid.uniform((shift, shift, 0.0), (shift + 2.0, shift + 1.0, 1.0), (4, 3, 2))
    ),
}


@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("name", BOXES)
def test_volumes_and_gauss_theorem_wherever_the_origin_lies(name, shift):
    box = BOXES[name](shift)
    u = jnp.ones(box.size)
    np.testing.assert_allclose(box.integrate(u), 2.0, rtol=1e-6)
    # A constant vector field leaves no cell: the outward normals sum to zero.
    for component in range(box.ndim):
        through = box.outflow(box.normal[:, component])
        np.testing.assert_allclose(through, 0, atol=1e-6)
    # The field x - x_cell has divergence d: d V = Σ (x_face - x_cell) · n |face|.
    near = np.sum(box.to_owner * box.normal, axis=1) * box.area
    far = -np.sum(box.to_neighbour * box.normal, axis=1) * box.area
    inside = np.asarray(box.neighbour) >= 0
    volume = np.bincount(box.owner, near, box.size)
    volume += np.bincount(box.neighbour[inside], far[inside], box.size)
    np.testing.assert_allclose(volume / box.ndim, box.volume, rtol=1e-5)


def test_a_shifted_mesh_is_the_same_mesh():
    here, there = (BOXES["triangles"](shift) for shift in (0.0, 2.0**20))
    for name in ("volume", "area", "normal", "to_owner", "to_neighbour"):
        a, b = getattr(here, name), getattr(there, name)
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_renumbered_cells_are_the_same_cells_near_their_neighbours(rng):
    box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (12, 7), distortion=0.2)
    mixed = in_order(box, rng.permutation(box.size)).mesh
    new, order, back = mesh.renumbered(mixed)

    def reach(m):
        inside = m.neighbour >= 0
        return np.abs(np.where(inside, m.owner - m.neighbour, 0)).max()

    assert reach(new) < 20 < 100 < reach(mixed)
    np.testing.assert_array_equal(new.volume, mixed.volume[order])
    np.testing.assert_array_equal(order[back], np.arange(box.size))
    # ∇·(x², y²) by the values at the centres of faces
    places = [m.centroid[m.owner] + m.to_owner for m in (mixed, new)]
    one, two = (
        m.outflow(jnp.sum(m.normal * x**2, axis=1))
        for m, x in zip((mixed, new), places, strict=True)
    )
    np.testing.assert_allclose(two, one[order], atol=1e-6)
    for name in box.patches:
        assert new.boundary_faces(name).size == box.boundary_faces(name).size


def test_a_flux_that_leaves_one_cell_enters_its_neighbour(rng):
    box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (5, 4), periodic=True)
    flux = jnp.asarray(rng.normal(size=box.face_count), jnp.float32)
    left = box.outflow(flux)
    assert np.abs(left).max() > 0.01
    assert abs(np.sum(np.asarray(left, np.float64))) < 1e-6


def test_cells_of_a_grid_keep_their_order_and_patches():
    grid = pc.Grid.cells(np.array([0.0, 1.0, 3.0]), np.array([0.0, 0.5, 0.6, 2.0]))
    box = mesh.from_grid(grid)
    np.testing.assert_allclose(box.volume, grid.volumes().ravel(), rtol=1e-6)
    centres = np.stack([m.ravel() for m in grid.mesh()], axis=1)
    np.testing.assert_allclose(box.centroid, centres, rtol=1e-6)
    assert box.patches == ("left", "right", "bottom", "top")
    lengths = {p: float(box.area[box.boundary_faces(p)].sum()) for p in box.patches}
    assert lengths == pytest.approx({"left": 2, "right": 2, "bottom": 3, "top": 3})
    outward = box.normal[box.boundary_faces("left")]
    np.testing.assert_array_equal(outward, [[-1, 0]] * 3)


def test_tetrahedra_fill_the_cube():
    corners = np.array(np.meshgrid([0, 1], [0, 1], [0, 1], indexing="ij")).reshape(3, 8)
    # Kuhn's six tetrahedra around the diagonal from node 0 to node 7.
    cells = [[0, 4, 6, 7], [0, 6, 2, 7], [0, 2, 3, 7]]
    cells += [[0, 3, 1, 7], [0, 1, 5, 7], [0, 5, 4, 7]]
    turned = [c if _volume(corners.T[c]) > 0 else [*c[:2], c[3], c[2]] for c in cells]
    cube = mesh.from_cells(corners.T, turned)
    np.testing.assert_allclose(cube.volume, 1 / 6, rtol=1e-6)
    assert cube.face_count == 18
    np.testing.assert_allclose(cube.area[cube.boundary_faces()].sum(), 6, rtol=1e-6)


def _volume(p):
    return np.dot(np.cross(p[1] - p[0], p[2] - p[0]), p[3] - p[0]) / 6


def test_a_wedge_and_a_pyramid_have_their_textbook_volume_and_centroid():
    wedge = [[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 2], [1, 0, 2], [0, 1, 2]]
    order = [0, 2, 1, 3, 5, 4]  # VTK: the first triangle's normal points outward
    found = mesh.from_cells(np.array(wedge), [order])
    np.testing.assert_allclose(found.volume, 1.0)
    np.testing.assert_allclose(found.centroid, [[1 / 3, 1 / 3, 1]], rtol=1e-6)
    pyramid = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 0.5, 3]]
    found = mesh.from_cells(np.array(pyramid), [[0, 1, 2, 3, 4]])
    np.testing.assert_allclose(found.volume, 1.0)
    np.testing.assert_allclose(found.centroid, [[0.5, 0.5, 0.75]], rtol=1e-6)


def test_the_cubed_sphere_has_the_area_of_the_sphere():
    sphere = mesh.cubed_sphere(6, radius=2.0)
    assert (sphere.size, sphere.face_count) == (216, 432)
    np.testing.assert_allclose(sphere.volume.sum(), 16 * np.pi, rtol=1e-6)
    radial = sphere.to_owner + sphere.centroid[sphere.owner]
    np.testing.assert_allclose(np.sum(radial * sphere.normal, axis=1), 0, atol=1e-6)
    # Solid rotation has no divergence: x × k is tangent, its potential is z.
    middle = np.asarray(radial)
    ends = _arc_heights(sphere)
    flux = ends / np.asarray(sphere.area)
    assert np.abs(flux).max() > 0.5
    np.testing.assert_allclose(sphere.outflow(jnp.asarray(flux)), 0, atol=1e-5)
    wind = np.stack([-middle[:, 1], middle[:, 0], 0 * middle[:, 0]], axis=1)
    exact = np.sum(wind * np.asarray(sphere.normal), axis=1)
    np.testing.assert_allclose(flux, exact, atol=0.05)


def _arc_heights(sphere):
    """∫ (k × x) · n dl along each arc: the radius times the change of z."""
    corners = np.asarray(sphere.corners)
    ends = {}
    for cell in corners:
        for a, b in zip(cell, np.roll(cell, -1), strict=True):
            ends.setdefault(frozenset((a, b)), (a, b))
    # Faces come in the order of their owners' edges.
    flux = np.zeros(sphere.face_count)
    points = np.asarray(sphere.points, np.float64)
    centre = np.asarray(sphere.to_owner + sphere.centroid[sphere.owner], np.float64)
    for a, b in ends.values():
        middle = points[a] + points[b]
        middle *= 2.0 / np.linalg.norm(middle)
        face = np.argmin(np.linalg.norm(centre - middle, axis=1))
        turn = np.sign(np.dot(np.cross(points[a], points[b]), sphere.normal[face]))
        flux[face] = 2.0 * turn * -(points[b, 2] - points[a, 2])
    return flux


def test_another_mesh_of_the_same_sizes_does_not_recompile():
    count = 0

    @jax.jit
    def total(box, u):
        nonlocal count
        count += 1
        return box.integrate(u)

    for seed in (0, 1):
        box = mesh.triangles((0.0, 0.0), (1.0, 1.0), (4, 4), distortion=0.2, seed=seed)
        np.testing.assert_allclose(total(box, jnp.ones(box.size)), 1, rtol=1e-6)
    assert count == 1


SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("points", "cells", "message"),
    [
        (SQUARE, [[0, 1, 4]], r"other numbers in cell\(s\) \[0\]"),
        (SQUARE, [[0, 1, 1]], "positive volume"),
        (SQUARE, [[0, 1, 2], [0, 1, 2], [0, 1, 3]], "one or two cells"),
        (SQUARE[:, :1], [[0, 1]], r"\(p, 2\) or \(p, 3\)"),
        (SQUARE * np.nan, [[0, 1, 2]], "finite node positions"),
        (np.eye(3), [[0, 1, 2]], "4, 5, 6 or 8 nodes"),
    ],
)
def test_bad_meshes_are_refused_by_index(points, cells, message):
    with pytest.raises(ValueError, match=message):
        mesh.from_cells(points, cells)


def test_patches_are_named_and_disjoint():
    edges = {"floor": np.array([[0, 1]]), "lid": lambda centre: centre[:, 1] > 0.99}
    box = mesh.from_cells(SQUARE, [[0, 1, 2, 3]], edges)
    assert box.patches == ("floor", "lid", "boundary")
    assert [len(box.boundary_faces(p)) for p in box.patches] == [1, 1, 2]
    with pytest.raises(ValueError, match="one of"):
        box.boundary_faces("wall")
    with pytest.raises(ValueError, match="every boundary face in one patch"):
        mesh.from_cells(
            SQUARE, [[0, 1, 2, 3]], {"a": np.array([[0, 1]]), "b": np.array([[1, 0]])}
        )
    with pytest.raises(ValueError, match="boundary faces in patch 'a'"):
        mesh.from_cells(SQUARE, [[0, 1, 2, 3]], {"a": np.array([[0, 2]])})
