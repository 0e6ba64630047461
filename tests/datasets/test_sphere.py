"""Areas of cells on a sphere against closed forms."""

import numpy as np
import pytest

from physcon import sphere


def test_cells_of_any_direction_cover_the_sphere():
    lat = sphere.midpoint_bounds(np.linspace(90, -90, 73))  # with half cells at poles
    lon = sphere.midpoint_bounds(np.arange(144) * 2.5)
    areas = sphere.cell_areas(lat, lon, radius=2.0)
    assert areas.shape == (73, 144)
    assert areas.min() > 0
    assert areas.sum() == pytest.approx(16 * np.pi, rel=1e-14)
    one = 4 * (np.sin(np.deg2rad(41.25)) - np.sin(np.deg2rad(38.75))) * np.deg2rad(2.5)
    assert areas[20, 7] == pytest.approx(one, rel=1e-13)


def test_longitudes_that_wrap():
    pairs = np.array([[350.0, 10.0], [10.0, 30.0], [-10.0, 5.0], [179.0, -179.0]])
    widths = np.rad2deg(sphere.widths_of_longitude(pairs))
    np.testing.assert_allclose(widths, [20, 20, 15, 2], rtol=1e-14)
    np.testing.assert_allclose(
        sphere.unwrapped(np.array([340.0, 350.0, 0.0, 10.0])), [340, 350, 360, 370]
    )


def test_an_octant_and_small_triangles():
    octant = sphere.polygon_areas(np.array([0.0, 0, 90]), np.array([0.0, 90, 0]), 1.0)
    assert octant == pytest.approx(np.pi / 2, rel=1e-15)
    h = 1e-4  # degrees: the area is the same as in the plane, and no digits are lost
    side = np.deg2rad(h)
    small = sphere.polygon_areas(np.array([0, 0, h]), np.array([50.0, 50 + h, 50]), 1.0)
    assert small == pytest.approx(side**2 / 2, rel=1e-7)


def test_polygons_cover_the_sphere_whatever_their_shape(rng):
    """Corners of a distorted grid: neighbours share edges, so that nothing is lost."""
    u, v = np.linspace(-1, 1, 9), np.linspace(0, 2, 13)
    lat = np.tile(np.rad2deg(np.arcsin(u))[:, None], (1, 13))
    lon = 180 * v[None] + 10 * np.sin(np.pi * u)[:, None]
    lat[1:-1] += rng.uniform(-2, 2, (7, 1))
    corners = [
        np.stack([a[:-1, :-1], a[:-1, 1:], a[1:, 1:], a[1:, :-1]], -1)
        for a in (lat, lon)
    ]
    areas = sphere.polygon_areas(*corners, radius=1.0)
    assert areas.min() > 0
    # Rings of great-circle arcs between exact meridian ends close up at the poles.
    assert areas.sum() == pytest.approx(4 * np.pi, rel=1e-12)


def test_rectangles_given_by_corners_lie_between_parallels():
    lat, lon = np.array([60.0, 60, 70, 70]), np.array([358.0, 4, 4, 358])
    zone = sphere.cell_areas(np.array([[60.0, 70]]), np.array([[0.0, 6]]), 1.0)
    found = sphere.polygon_areas(lat, lon, 1.0)
    assert found == pytest.approx(zone[0, 0], rel=1e-14)


def test_gaussian_latitudes_get_gaussian_weights():
    nodes, weights = np.polynomial.legendre.leggauss(32)
    lat = np.round(np.rad2deg(np.arcsin(nodes))[::-1], 3)  # as files have them
    np.testing.assert_allclose(sphere.gaussian_zones(lat), weights[::-1])
    assert sphere.gaussian_zones(np.linspace(-88, 88, 32)) is None


def test_nodes_integrate_linear_functions_of_latitude_exactly():
    """∫ φ cos φ dφ from 10 to 50 degrees, in closed form."""
    for lat in (np.array([10.0, 12, 30, 50]), np.array([50.0, 33, 10])):
        a, b = np.deg2rad([10, 50])
        weights = sphere.node_zones(lat)
        assert weights.sum() == pytest.approx(np.sin(b) - np.sin(a), rel=1e-14)
        exact = b * np.sin(b) + np.cos(b) - a * np.sin(a) - np.cos(a)
        assert weights @ np.deg2rad(lat) == pytest.approx(exact, rel=1e-13)
