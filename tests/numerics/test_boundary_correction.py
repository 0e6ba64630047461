"""Corrected kernels: exactness in one table, dense matrices, one transform pair,
gradients.
"""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.boundary import (
    Boundary,
    Dirichlet,
    Flux,
    Neumann,
    Outflow,
    Periodic,
    Robin,
)
from physcon.grid import Grid
from physcon.operators._correct import correct, corrected_spectral_conv
from physcon.operators.enforce import lift, overwrite, residuals
from physcon.operators.spectral import spectral_conv

SPACE = {1: (12,), 2: (11, 9), 3: (9, 8, 7)}
MODES = {1: (4,), 2: (3, 3), 3: (2, 3, 2)}
NODES = {
    n: Grid.uniform((0.0,) * n, (1.0, 2.0, 0.5)[:n], SPACE[n], "nodes")
    for n in (1, 2, 3)
}


def random(rng, shape):
    return jnp.asarray(rng.normal(size=shape), dtype=float)


def random_weights(rng, channels_in, channels_out, modes):
    return random(
        rng, (2, channels_out, channels_in, *(2 * m for m in modes[:-1]), modes[-1])
    )


def stencil(order, h):
    """Σ c_s s^k h^k = k δ_{k1}, in float64: the one-sided difference from its
    definition.
    """
    s = h * np.arange(order + 1)
    return np.linalg.solve(np.vander(s, increasing=True).T, np.eye(order + 1)[1])


def row_of(condition, side, n, h, order):
    """(row over the n nodes, value): independent of the library."""
    row = np.zeros(n)
    if isinstance(condition, Periodic):
        row[0], row[-1] = 1, -1
        return row, 0.0
    if isinstance(condition, Dirichlet):
        row[0] = 1
        value = condition.value
    else:
        difference = np.zeros(n)
        difference[: order + 1] = stencil(order, -h if side else h)
        if isinstance(condition, Neumann):
            row, value = difference, condition.derivative
        else:
            row = float(condition.b) * difference
            row[0] += float(condition.a)
            value = condition.value
    return (row[::-1] if side else row), np.asarray(value, np.float64)


def excess(u, boundary, grid, order, corners="strict"):
    """max |l(u) - α| / (Σ|c||u| + |α|) over all sides, in float64.

    Where two sides meet, the data of one enter the row of the other: corners can be
    "cut", or "scaled", judged by the largest sum on the face.
    """
    u, worst = np.asarray(u, np.float64), 0.0
    for axis, pair in enumerate(boundary.sides):
        h = float(grid.spacings[axis])
        for side, condition in enumerate(pair):
            if isinstance(condition, Outflow):
                continue
            row, value = row_of(condition, side, grid.shape[axis], h, order)
            lines = np.moveaxis(u, axis + 1, -1)
            size = np.abs(lines) @ np.abs(row) + np.abs(value)
            misfit = np.abs(lines @ row - value)
            if corners == "scaled":
                size = np.max(size)
            elif corners == "cut":
                inner = (slice(None), *(slice(1, -1),) * (misfit.ndim - 1))
                misfit, size = misfit[inner], size[inner]
            worst = max(worst, float(np.max(misfit / size)))
    return worst


def faces(rng, n, axis):
    shape = (2, *(m for k, m in enumerate(SPACE[n]) if k != axis))
    return random(rng, shape)


CONDITIONS = {
    "dirichlet": lambda f: (Dirichlet(f()), Dirichlet(f())),
    "neumann": lambda f: (Neumann(f()), Neumann(f())),
    "robin": lambda f: (Robin(1.0, -0.3, f()), Robin(2.0, 0.7, f())),
    "periodic": lambda f: Periodic(),
    "dirichlet-neumann": lambda f: (Dirichlet(f()), Neumann(f())),
    "robin-free": lambda f: (Robin(1.0, -0.3, f()), Outflow()),
    "free-dirichlet": lambda f: (Outflow(), Dirichlet(f())),
    "free-neumann": lambda f: (Outflow(), Neumann(f())),
}


TABLE = [
    (1, "float32", "lift"),
    (1, "float64", "eliminate"),
    (1, "float32", "overwrite"),
    (2, "float64", "lift"),
    (2, "float32", "eliminate"),
    (3, "float32", "lift"),
    (3, "float64", "overwrite"),
]


@pytest.mark.parametrize(("n", "dtype", "form"), TABLE)
@pytest.mark.parametrize("name", CONDITIONS)
def test_exact_for_each_condition(name, n, dtype, form, rng):
    """|l(u) - α| <= 4 eps (Σ|c||u| + |α|) on one axis; values vary along the face."""
    with jax.enable_x64(dtype == "float64"):
        axis = n - 1
        grid = Grid.uniform((0.0,) * n, (1.0, 2.0, 0.5)[:n], SPACE[n], "nodes")
        sides = [Outflow()] * n
        sides[axis] = CONDITIONS[name](lambda: faces(rng, n, axis))
        boundary = Boundary(*sides)
        weights = random_weights(rng, 2, 2, MODES[n])
        u = 10 * random(rng, (2, *SPACE[n]))
        order = 1 + ("neumann", "robin", "free-neumann", name).index(name)
        call = eqx.filter_jit(partial(corrected_spectral_conv, form=form, order=order))
        out = call(weights, u, boundary, grid)
        assert out.dtype == dtype
        assert excess(out, boundary, grid, order) <= 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_stencils_of_every_order_on_unequal_gaps(order, rng):
    """A polynomial of the stencil's degree that meets the condition is unchanged."""
    x = np.cumsum(rng.uniform(0.5, 1.5, size=10)) / 10
    grid = Grid.nodes(x)
    p = np.polynomial.Polynomial(rng.normal(size=order + 1))
    u = jnp.asarray(p(x), jnp.float32)[None]
    slope = p.deriv()
    boundary = Boundary(
        (Neumann(slope(x[0])), Robin(1.0, 2.0, p(x[-1]) + 2 * slope(x[-1])))
    )
    both = eqx.filter_jit(
        lambda *args: [form(*args, order) for form in (lift, overwrite)]
    )
    for out in both(u, boundary, grid):
        np.testing.assert_allclose(out, u, atol=2e-5)


@pytest.mark.parametrize(("n", "form"), [(2, overwrite), (3, lift)])
def test_all_faces_at_once(n, form, rng):
    """Data cut from one field: every face holds, corners and edges included."""
    grid, field = NODES[n], np.asarray(random(rng, (2, *SPACE[n])), np.float64)
    kinds = [(Dirichlet, Neumann), (Robin, Dirichlet), (Neumann, Robin)][:n]
    sides = []
    for axis, pair in enumerate(kinds):
        row = []
        for side, kind in enumerate(pair):
            probe = {
                Dirichlet: Dirichlet(),
                Neumann: Neumann(),
                Robin: Robin(2.0, 0.3),
            }[kind]
            c, _ = row_of(probe, side, SPACE[n][axis], float(grid.spacings[axis]), 2)
            value = jnp.asarray(np.moveaxis(field, axis + 1, -1) @ c, jnp.float32)
            row.append(Robin(2.0, 0.3, value) if kind is Robin else kind(value))
        sides.append(tuple(row))
    boundary = Boundary(*sides)
    u = random(rng, (2, *SPACE[n]))
    call = eqx.filter_jit(form)
    out = call(u, boundary, grid)
    assert excess(out, boundary, grid, 2, corners="cut") <= 4 * np.finfo("float32").eps
    # In a corner two stencils with rounded data meet: their sums' rounding adds up.
    assert (
        excess(out, boundary, grid, 2, corners="scaled") <= 16 * np.finfo("float32").eps
    )
    np.testing.assert_allclose(call(out, boundary, grid), out, atol=2e-5)  # idempotent


@pytest.mark.parametrize("n", [12, 13])
def test_spectral_slopes_of_band_limited_fields_are_exact(n, rng):
    """On the circle of n nodes: l(u) = u'(x) at both ends, which no one-sided
    difference meets.
    """
    period, x = n / (n - 1), np.linspace(0, 1, n)
    m = np.arange(1, 6)
    a, b = rng.normal(size=(2, 5))
    phase = 2 * np.pi / period * np.outer(x, m)
    u = jnp.asarray(np.cos(phase) @ a + np.sin(phase) @ b, jnp.float32)[None]
    slope = 2 * np.pi / period * (np.cos(phase) @ (m * b) - np.sin(phase) @ (m * a))
    boundary = Boundary(
        (Neumann(slope[0]), Robin(2.0, 1.0, 2 * float(u[0, -1]) + slope[-1]))
    )
    grid = Grid.uniform(0.0, 1.0, n, "nodes")
    for order, least, most in (("spectral", 0.0, 2e-6), (4, 1e-2, 1e2)):
        for r in residuals(u, boundary, grid, order):
            assert least <= float(jnp.abs(r.value[0])) <= most * np.abs(slope).max()
    moved = lift(u + 0.3 * random(rng, (1, n)), boundary, grid, "spectral")
    for r in residuals(moved, boundary, grid, "spectral"):
        assert float(jnp.abs(r.value[0])) <= 1e-5 * np.abs(slope).max()
    with pytest.raises(ValueError, match="use form='lift'"):
        overwrite(u, boundary, grid, "spectral")


def test_lift_is_the_gain_of_a_smooth_prior(rng):
    """u + P lᵀ (l P lᵀ)⁻¹ (α - l(u)) with the whole Matérn-5/2 covariance P, in
    float64.
    """
    n, reach = SPACE[1][0], 0.25
    boundary = Boundary((Dirichlet(1.5), Neumann(-0.5)))
    u, x = np.asarray(random(rng, (1, n))), np.linspace(0, 1, n)
    r = np.sqrt(5) * np.abs(x[:, None] - x[None, :]) / reach
    prior = (1 + r + r**2 / 3) * np.exp(-r)
    h = float(NODES[1].spacings[0])
    rows = np.stack([row_of(c, i, n, h, 2)[0] for i, c in enumerate(boundary.sides[0])])
    gain = prior @ rows.T @ np.linalg.inv(rows @ prior @ rows.T)
    expected = u[0] + gain @ (np.array([1.5, -0.5]) - rows @ u[0])
    got = lift(jnp.asarray(u), boundary, NODES[1], reach=reach)[0]
    np.testing.assert_allclose(got, expected, atol=3e-6)


def test_lift_of_values_tends_to_overwriting_as_its_reach_vanishes(rng):
    boundary = Boundary((Dirichlet(1.5), Dirichlet(-0.5)))
    u = random(rng, (2, SPACE[1][0]))
    np.testing.assert_allclose(
        lift(u, boundary, NODES[1], reach=1e-3),
        overwrite(u, boundary, NODES[1]),
        atol=1e-5,
    )


def test_lift_does_not_grow_with_resolution(rng):
    """‖lift(u)‖ / ‖u‖ at the same data and n = 16 ... 1024: bounded, and converging."""
    boundary = Boundary((Neumann(1.0), Dirichlet(2.0)))
    sizes = []
    for n in (16, 128, 1024):
        grid = Grid.uniform(0.0, 1.0, n, "nodes")
        u = jnp.sin(3 * grid.coordinates[0])[None]
        sizes.append(float(jnp.abs(eqx.filter_jit(lift)(u, boundary, grid)).max()))
    assert max(sizes) < 5
    assert abs(sizes[2] - sizes[1]) < 0.02


def dense(kernel, channels, n, space=None):
    """The matrix of a linear kernel, (out n, in n), in the kernel's own arithmetic."""
    basis = jnp.eye(channels * n).reshape(-1, channels, *(space or (n,)))
    return np.asarray(jax.jit(jax.vmap(kernel))(basis).reshape(channels * n, -1).T)


@pytest.mark.parametrize("circulant", [True, False])
@pytest.mark.parametrize("sides", [(0,), (1,), (0, 1)])
def test_elimination_against_dense_matrices(circulant, sides, rng, x64):
    """K_bdy of a random kernel: boundary rows are d_r e_rᵀ, interior block the Schur
    complement.
    """
    c, n = 3, 9
    if circulant:
        kernel = partial(spectral_conv, random_weights(rng, c, c, (5,)))
    else:
        full = random(rng, (c, n, c, n))
        kernel = partial(jnp.einsum, "oaib,ib->oa", full)
    k = dense(kernel, c, n).reshape(c, n, c, n)
    lower, upper = (Dirichlet(0.0) if s in sides else Outflow() for s in (0, 1))
    grid = Grid.uniform(0.0, 1.0, n, "nodes")
    corrected = correct(kernel, Boundary((lower, upper)), grid, "eliminate")
    got = dense(corrected, c, n).reshape(c, n, c, n)
    at = [(0, n - 1)[s] for s in sides]
    inner = [i for i in range(n) if i not in at]
    block = lambda a, b: k[:, a][:, :, :, b].reshape(c * len(a), c * len(b))  # noqa: E731
    schur = block(inner, inner) - block(inner, at) @ np.linalg.solve(
        block(at, at), block(at, inner)
    )
    got_inner = got[:, inner][:, :, :, inner].reshape(c * len(inner), -1)
    np.testing.assert_allclose(got_inner, schur, atol=1e-9 * np.abs(schur).max())
    np.testing.assert_array_equal(got[:, at], 0.0)


def test_published_order_of_the_pivots(rng, x64):
    """Before the rows are set, e_rᵀ K T = d_r e_rᵀ: d_0 = K_00 - K_0N K_NN⁻¹ K_N0, d_N
    = K_NN.
    """
    from physcon.operators.elimination import eliminated_spectral_conv

    c, n = 2, 10
    weights = random_weights(rng, c, c, (6,))
    k = dense(partial(spectral_conv, weights), c, n).reshape(c, n, c, n)
    kt = dense(
        partial(eliminated_spectral_conv, weights, sides=((0, 1),)), c, n
    ).reshape(c, n, c, n)
    first = k[:, 0, :, 0] - k[:, 0, :, -1] @ np.linalg.solve(
        k[:, -1, :, -1], k[:, -1, :, 0]
    )
    expected = np.zeros((2, c, c, n))
    expected[0, :, :, 0], expected[1, :, :, -1] = first, k[:, -1, :, -1]
    np.testing.assert_allclose(kt[:, 0], expected[0], atol=1e-9)
    np.testing.assert_allclose(kt[:, -1], expected[1], atol=1e-9)


@pytest.mark.parametrize("sides", [(0,), (0, 1)])
def test_closed_form_equals_the_generic_elimination(sides, rng, x64):
    """One pair of transforms or many probes: the same kernel."""
    lower, upper = (Dirichlet(0.5) if s in sides else Outflow() for s in (0, 1))
    boundary = Boundary((lower, upper))
    weights = random_weights(rng, 2, 2, MODES[1])
    u = random(rng, (2, *SPACE[1]))
    expected = correct(
        partial(spectral_conv, weights), boundary, NODES[1], "eliminate"
    )(u)
    got = corrected_spectral_conv(weights, u, boundary, NODES[1], "eliminate")
    np.testing.assert_allclose(got, expected, atol=1e-9)


BOX = (5, 6, 4)


@pytest.fixture(scope="module")
def box_kernel():
    """A random kernel on a box, an even axis kept whole; its matrix (out n, in n) in
    float64.
    """
    weights = np.random.default_rng(3).normal(size=(2, 2, 2, 4, 6, 2))
    with jax.enable_x64(True):
        return weights, dense(
            partial(spectral_conv, jnp.asarray(weights)), 2, np.prod(BOX), BOX
        )


@pytest.mark.parametrize(
    ("axis", "sides", "kind"),
    [(0, (1,), Neumann), (1, (0, 1), Dirichlet), (2, (0, 1), Neumann)],
)
def test_elimination_in_three_dimensions_against_dense_matrices(
    axis, sides, kind, box_kernel, rng, x64
):
    """K_II - K_IB G⁺ K_BI inside for the faces B of one axis; what K T does to the
    faces is left to the condition, whose row sees the interior. G = K_BB has the rank
    of the kept modes.
    """
    weights, k = box_kernel
    at = np.zeros(BOX, bool)
    np.moveaxis(at, axis, 0)[[(0, -1)[s] for s in sides]] = True
    face = np.tile(at.ravel(), 2)
    inner = ~face
    g_inverse = np.linalg.pinv(k[np.ix_(face, face)], rcond=1e-10)
    schur = (
        k[np.ix_(inner, inner)]
        - k[np.ix_(inner, face)] @ g_inverse @ k[np.ix_(face, inner)]
    )
    pair = tuple(kind(0.0) if s in sides else Outflow() for s in (0, 1))
    boundary = Boundary(*(Outflow() if a != axis else pair for a in range(3)))
    grid = Grid.uniform((0.0,) * 3, (1.0, 2.0, 0.5), BOX, "nodes")
    corrected = partial(
        corrected_spectral_conv, jnp.asarray(weights), boundary=boundary, grid=grid,
        form="eliminate", order=1,
    )  # fmt: skip
    got = dense(corrected, 2, np.prod(BOX), BOX)
    np.testing.assert_allclose(
        got[np.ix_(inner, inner)], schur, atol=1e-8 * np.abs(schur).max()
    )
    u = jax.jit(corrected)(random(rng, (2, *BOX)))
    assert (
        max(float(jnp.abs(r.value).max()) for r in residuals(u, boundary, grid, 1))
        < 1e-10
    )


def test_faces_depend_on_themselves_alone_for_the_last_eliminated_axis(box_kernel, x64):
    """e_rᵀ K T (1 - e_r e_rᵀ) = 0 for both faces of one axis, and for the last of two
    axes.
    """
    from physcon.operators.elimination import eliminated_spectral_conv

    weights, _ = box_kernel
    free = partial(eliminated_spectral_conv, jnp.asarray(weights))
    for sides, axis in ((((0, 1), (), ()), 0), (((1,), (), (0, 1)), 2)):
        kt = dense(partial(free, sides=sides), 2, np.prod(BOX), BOX).reshape(
            2, *BOX, 2, *BOX
        )
        for s in (0, -1):
            row = np.moveaxis(np.take(kt, s, axis=axis + 1), axis + 4, 0)
            others = np.delete(row, s % BOX[axis], axis=0)
            assert np.abs(others).max() < 1e-9 * np.abs(row).max()


def test_elimination_trains_in_float32(box_kernel, rng):
    """The gradient of a batch, as in training, equals the gradient in float64."""
    from physcon.operators.elimination import eliminated_spectral_conv

    u, seed = rng.normal(size=(2, 2, 2, *BOX))

    def gradient(weights):
        def loss(w):
            out = jax.vmap(lambda u: eliminated_spectral_conv(w, u, ((0,), (), (0, 1))))
            return jnp.sum(out(jnp.asarray(u, w.dtype)) * jnp.asarray(seed, w.dtype))

        return jax.jit(jax.grad(loss))(weights)

    got = gradient(jnp.asarray(box_kernel[0], jnp.float32))
    with jax.enable_x64(True):
        expected = np.asarray(gradient(jnp.asarray(box_kernel[0])))
    np.testing.assert_allclose(got, expected, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("form", ["lift", "eliminate", "overwrite"])
def test_affine_in_input_and_values(form, rng):
    """f(x + s y; α + s β) = f(x; α) + s f(y; β)."""
    weights = random_weights(rng, 2, 2, MODES[1])
    x, y = random(rng, (2, 12)), random(rng, (2, 12))
    call = eqx.filter_jit(
        lambda x, a, b: corrected_spectral_conv(
            weights, x, Boundary((Dirichlet(a), Neumann(b))), NODES[1], form
        )
    )
    s = 0.7
    left = call(x + s * y, jnp.float32(1.0 + s * 2.0), jnp.float32(-1.0 + s * 0.5))
    right = call(x, jnp.float32(1.0), jnp.float32(-1.0)) + s * call(
        y, jnp.float32(2.0), jnp.float32(0.5)
    )
    np.testing.assert_allclose(left, right, atol=2e-5 * float(jnp.abs(left).max()))


def test_more_channels_out_than_in(rng):
    """Any kernel and any channels: 2 in, 3 out, a value for each."""
    value = random(rng, (3,))
    boundary = Boundary((Dirichlet(value), Neumann(-value)))
    out = corrected_spectral_conv(
        random_weights(rng, 2, 3, (4,)), random(rng, (2, 12)), boundary, NODES[1]
    )
    np.testing.assert_array_equal(out[:, 0], value)
    assert all(
        float(jnp.abs(r.value).max()) < 1e-4 for r in residuals(out, boundary, NODES[1])
    )


@pytest.mark.parametrize("form", ["lift", "eliminate", "overwrite"])
@pytest.mark.parametrize("n", [1, 2])
def test_one_transform_pair(n, form, rng):
    """The lowered program holds one FFT and one inverse FFT, corrected or not."""
    weights, u = random_weights(rng, 2, 2, MODES[n]), random(rng, (2, *SPACE[n]))
    boundary = Boundary((Dirichlet(1.0), Neumann(2.0)))
    plain = jax.jit(partial(spectral_conv, method="fft")).lower(weights, u).as_text()
    fixed = partial(corrected_spectral_conv, form=form, method="fft")
    text = eqx.filter_jit(fixed).lower(weights, u, boundary, NODES[n]).as_text()
    assert plain.count("stablehlo.fft ") == text.count("stablehlo.fft ") == 2


@pytest.mark.parametrize("form", ["lift", "eliminate", "overwrite"])
def test_gradient_with_respect_to_boundary_values(form, rng, x64):
    """Reverse mode against central differences, values on both sides at once."""
    weights, u = random_weights(rng, 2, 2, MODES[2]), random(rng, (2, *SPACE[2]))
    grid = Grid.uniform((0.0, 0.0), (1.0, 2.0), SPACE[2], "nodes")
    seed = random(rng, (2, *SPACE[2]))

    @jax.jit
    def loss(values):
        boundary = Boundary((Dirichlet(values[0]), Robin(1.0, 0.5, values[1])))
        return jnp.sum(
            seed * corrected_spectral_conv(weights, u, boundary, grid, form) ** 2
        )

    values, step = random(rng, (2, 2, SPACE[2][1])), random(rng, (2, 2, SPACE[2][1]))
    slope = (loss(values + 1e-6 * step) - loss(values - 1e-6 * step)) / 2e-6
    np.testing.assert_allclose(jnp.vdot(jax.grad(loss)(values), step), slope, rtol=1e-6)


def test_batch_of_boundary_values_and_no_recompilation(rng):
    """vmap over samples and their boundary values equals the loop; new values, same
    program.
    """
    weights, u = random_weights(rng, 2, 2, MODES[1]), random(rng, (3, 2, 12))
    values = random(rng, (3,))
    traced = []

    @jax.jit
    def one(u, value):
        traced.append(1)
        boundary = Boundary((Dirichlet(value), Neumann(0.0)))
        return corrected_spectral_conv(weights, u, boundary, NODES[1])

    loop = jnp.stack([one(*pair) for pair in zip(u, values, strict=True)])
    assert len(traced) == 1
    np.testing.assert_allclose(jax.jit(jax.vmap(one))(u, values), loop, atol=1e-5)


def test_time_varying_values():
    """A function of time at a row of times is the value along a trailing time axis."""
    grid = NODES[2]
    t = grid.coordinates[1]
    boundary = Boundary((Dirichlet(jnp.sin), Neumann(0.0))).at(t)
    out = lift(jnp.ones((1, *SPACE[2])), boundary, grid)
    np.testing.assert_array_equal(out[0, 0], jnp.sin(t))


def test_contradictory_corners_are_named():
    grid = NODES[2]
    lid = Boundary(Dirichlet(0.0), (Dirichlet(0.0), Dirichlet(1.0)))
    with pytest.raises(
        Exception, match="lower side of axis 0 and the upper side of axis 1"
    ):
        jax.block_until_ready(overwrite(jnp.zeros((1, *SPACE[2])), lid, grid))
    out = overwrite(jnp.zeros((1, *SPACE[2])), lid, grid, throw=False)
    np.testing.assert_array_equal(out[0, :, -1], 1.0)  # the later axis wins
    slopes = Boundary(Neumann(0.0), (Dirichlet(0.0), Dirichlet(grid.coordinates[0])))
    with pytest.raises(Exception, match="axis 0 and the upper side of axis 1"):
        jax.block_until_ready(lift(jnp.zeros((1, *SPACE[2])), slopes, grid))


@pytest.mark.parametrize(
    ("boundary", "grid", "message"),
    [
        (Boundary(Flux(1.0)), NODES[1], "got Flux on the lower side of axis 0"),
        (
            Boundary(Dirichlet(jnp.sin)),
            NODES[1],
            r"evaluate the boundary by boundary\.at\(t\)",
        ),
        (Boundary(Dirichlet(0.0)), Grid.uniform(0.0, 1.0, 12), 'location="nodes"'),
        (Boundary(Neumann(0.0)), Grid.uniform(0.0, 1.0, 3, "nodes"), "refine the grid"),
        (Boundary(Dirichlet(), Dirichlet()), NODES[1], "drop the surplus axes"),
        (Boundary(Dirichlet(jnp.ones(5))), NODES[1], "on the lower side of axis 0"),
    ],
)
def test_bad_input_says_what_to_do(boundary, grid, message):
    with pytest.raises(ValueError, match=message):
        lift(jnp.zeros((1, *grid.shape)), boundary, grid)


def test_forms_that_do_not_exist(rng):
    weights, both = (
        random_weights(rng, 2, 3, MODES[2]),
        Boundary(Dirichlet(), Dirichlet()),
    )
    with pytest.raises(ValueError, match="use form='lift'"):
        corrected_spectral_conv(
            weights, jnp.zeros((2, *SPACE[2])), both, NODES[2], "eliminate"
        )
    with pytest.raises(ValueError, match=r"batch with jax\.vmap"):
        lift(jnp.zeros((4, 1, 12)), Boundary(Dirichlet()), NODES[1])


def test_a_robin_condition_that_determines_nothing():
    """a + b c_0 = 0: the boundary node drops out of the row."""
    h = float(NODES[1].spacings[0])
    boundary = Boundary((Robin(1.0, h, 1.0), Outflow()))
    with pytest.raises(Exception, match=r"a \+ b c_0 = 0"):
        jax.block_until_ready(overwrite(jnp.ones((1, 12)), boundary, NODES[1], order=1))
