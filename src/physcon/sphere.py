"""Areas of cells on a sphere: between parallels and meridians, and of polygons.

Angles are in degrees, as geographic files have them. Areas are in the square of the
unit of the radius. All functions take and return NumPy arrays of float64.
"""

from functools import lru_cache

import numpy as np

from physcon._require import require

#: Mean radius of the Earth in metres (IUGG).
EARTH_RADIUS = 6_371_008.8
_FIRST_ZERO = 2.404825557695773  # of the Bessel function J0
_GAUSSIAN_TOLERANCE = 1e-3  # degrees; many files round latitudes to three decimals


def zone_areas(latitudes: np.ndarray, radius: float = EARTH_RADIUS) -> np.ndarray:
    """Return the areas between pairs of parallels, per radian of longitude.

    R² (sin φ₂ - sin φ₁), computed without cancellation. Latitudes beyond a pole, which
    some files have as the bounds of polar cells, are taken as the pole.

    **Shapes**: latitudes ``(n, 2)`` in degrees; result ``(n,)``, positive.

    >>> float(zone_areas(np.array([[-90.0, 90.0]]), radius=1.0)[0])
    2.0
    """
    ends = np.clip(np.asarray(latitudes, np.float64), -90, 90)
    phi = np.deg2rad(ends.astype(np.longdouble))  # to the last bit of the result
    middle = 0.5 * (phi[:, 0] + phi[:, 1])
    half = 0.5 * (phi[:, 1] - phi[:, 0])
    zones = np.abs(2 * np.cos(middle) * np.sin(half))
    return radius**2 * zones.astype(np.float64)


def widths_of_longitude(longitudes: np.ndarray) -> np.ndarray:
    """Return the widths between pairs of meridians in radians.

    A pair that crosses the end of the circle, such as ``(350, 10)``, is 20 degrees
    wide in either order, unless it spans the whole circle.

    **Shapes**: longitudes ``(n, 2)`` in degrees; result ``(n,)``, positive.
    """
    pairs = np.asarray(longitudes, np.float64)
    gap = np.abs(pairs[:, 1] - pairs[:, 0])
    wrapped = np.where(gap > 360, np.mod(gap, 360), gap)
    if len(gap) > 1:  # one cell of several is narrower than half the circle
        wrapped = np.where(wrapped > 180, 360 - wrapped, wrapped)
    return np.deg2rad(wrapped)


def cell_areas(
    latitudes: np.ndarray, longitudes: np.ndarray, radius: float = EARTH_RADIUS
) -> np.ndarray:
    """Return the areas of cells between parallels and meridians.

    R² (sin φ₂ - sin φ₁) (λ₂ - λ₁).

    **Shapes**: latitudes ``(n, 2)`` and longitudes ``(m, 2)`` in degrees, any
    direction; result ``(n, m)``.

    >>> bounds = np.array([[-90.0, 0.0], [0.0, 90.0]])
    >>> halves = cell_areas(bounds, np.array([[0.0, 360.0]]), radius=1.0)
    >>> bool(np.allclose(halves, 2 * np.pi))
    True
    """
    zones = zone_areas(latitudes, radius)
    return zones[:, None] * widths_of_longitude(longitudes)[None]


def directions(longitude: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Return unit vectors ``(*places, 3)`` of places given in degrees."""
    east, north = np.deg2rad(longitude), np.deg2rad(latitude)
    across = np.stack([np.cos(east), np.sin(east)], -1) * np.cos(north)[..., None]
    return np.concatenate([across, np.sin(north)[..., None]], -1)


def polygon_areas(
    latitudes: np.ndarray, longitudes: np.ndarray, radius: float = EARTH_RADIUS
) -> np.ndarray:
    """Return the areas of polygons whose edges are arcs of great circles.

    Repeated corners, as in triangles stored with four corners, add nothing. Cells that
    lie between two parallels and two meridians are recognised, and get the area
    between these.

    **Shapes**: corners ``(*cells, k)`` in degrees; result ``(*cells,)``, positive.

    **Source**: Van Oosterom and Strackee (1983), solid angle of a plane triangle.
    """
    lat = np.asarray(latitudes, np.float64)
    lon = np.asarray(longitudes, np.float64)
    require(
        lat.shape == lon.shape and lat.ndim >= 1,
        "corners of the same shape",
        (lat.shape, lon.shape),
        "pass latitudes and longitudes of the same corners",
    )
    corners = directions(lon, lat)
    first = corners[..., 0, :]
    angle = np.zeros(lat.shape[:-1])
    for k in range(1, lat.shape[-1] - 1):
        a = corners[..., k, :] - first  # differences: small cells lose no digits
        b = corners[..., k + 1, :] - first
        volume = np.sum(first * np.cross(a, b), -1)
        second = corners[..., k, :]
        third = corners[..., k + 1, :]
        scale = 1 + np.sum(first * second + second * third + third * first, -1)
        angle += 2 * np.arctan2(volume, scale)
    area = np.abs(angle)
    rectangles = _rectangles(lat, lon)
    if rectangles is not None:
        area = np.where(rectangles[0], rectangles[1], area)
    return np.asarray(radius**2 * area)


def _rectangles(lat: np.ndarray, lon: np.ndarray) -> tuple[np.ndarray, ...] | None:
    """Return which quadrilaterals lie between parallels and meridians; their areas."""
    if lat.shape[-1] != 4:
        return None
    low = lat.min(-1)
    high = lat.max(-1)
    around = np.mod(lon - lon[..., :1] + 180, 360) - 180
    west = around.min(-1)
    east = around.max(-1)
    on_parallel = np.all((lat == low[..., None]) | (lat == high[..., None]), -1)
    on_meridian = (around == west[..., None]) | (around == east[..., None])
    is_one = on_parallel & np.all(on_meridian, -1) & (low < high) & (west < east)
    pairs = np.stack([low, high], -1).reshape(-1, 2)
    zones = zone_areas(pairs, 1.0).reshape(low.shape)
    areas = zones * np.deg2rad(east - west)
    return np.asarray(is_one), np.asarray(areas)


def midpoint_bounds(centres: np.ndarray) -> np.ndarray:
    """Return bounds ``(n, 2)`` half-way between neighbours; end cells are symmetric."""
    x = np.asarray(centres, np.float64)
    require(
        x.size >= 2,
        "two or more centres, or explicit bounds",
        f"{x.size}",
        "add a variable of bounds to the file",
    )
    middle = 0.5 * (x[1:] + x[:-1])
    first = x[0] - (middle[0] - x[0])
    last = x[-1] + (x[-1] - middle[-1])
    edges = np.concatenate([[first], middle, [last]])
    return np.stack([edges[:-1], edges[1:]], -1)


def unwrapped(longitudes: np.ndarray) -> np.ndarray:
    """Return longitudes without jumps, such as 350, 360, 370 for 350, 0, 10."""
    return np.rad2deg(np.unwrap(np.deg2rad(np.asarray(longitudes, np.float64))))


def gaussian_zones(latitudes: np.ndarray) -> np.ndarray | None:
    """Return the weights of a Gaussian grid, or None if latitudes are not such a grid.

    The weights sum to 2 and are the areas of the zones on the unit sphere, per radian.
    """
    phi = np.asarray(latitudes, np.float64)
    if phi.size < 4:
        return None
    # The outermost angle from a pole, to a few per cent; the nodes take a second.
    expected = np.rad2deg(_FIRST_ZERO / (phi.size + 0.5))
    if abs(90.0 - np.abs(phi).max() - expected) > 0.05 * expected:
        return None
    nodes, weights = _gauss(phi.size)
    if phi[0] > phi[-1]:
        nodes = nodes[::-1]
    same = np.abs(np.rad2deg(np.arcsin(nodes)) - phi).max() < _GAUSSIAN_TOLERANCE
    return weights.copy() if same else None


@lru_cache(maxsize=8)
def _gauss(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes and weights of a Gaussian grid."""
    return np.polynomial.legendre.leggauss(count)


def node_zones(latitudes: np.ndarray) -> np.ndarray:
    """Return the weights of point values at latitudes, per radian, on the unit sphere.

    They integrate the field, interpolated linearly between the nodes, times cos φ, from
    the first to the last node.
    """
    phi = np.deg2rad(np.asarray(latitudes, np.float64))
    a = phi[:-1]
    b = phi[1:]
    gap = b - a
    # ∫ (φ - a)/(b - a) cos φ dφ over [a, b], and the rest of the zone for the other.
    upper = np.sin(b) - 2 * np.sin(0.5 * (a + b)) * np.sin(0.5 * gap) / gap
    whole = 2 * np.cos(0.5 * (a + b)) * np.sin(0.5 * gap)
    weights = np.zeros(phi.size)
    weights[1:] += upper
    weights[:-1] += whole - upper
    return np.abs(weights)
