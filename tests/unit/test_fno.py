"""The FNO and its boundary-corrected form: shapes, resolution, normalisers, heads,
messages.
"""

from functools import lru_cache, partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.boundary import Boundary, Dirichlet, Neumann, Outflow, Periodic
from physcon.grid import Grid
from physcon.operators.boon import BoundaryFNO
from physcon.operators.enforce import residuals
from physcon.operators.fno import FNO
from physcon.operators.forms import form_for, form_named
from physcon.operators.layers import Pointwise, gelu
from physcon.operators.lowrank import CPWeights, TuckerWeights
from physcon.operators.normaliser import Normaliser, mean_and_variance
from physcon.operators.padding import appended_points, padded
from physcon.operators.rows import node_rows

KEY = jax.random.key(0)
call = eqx.filter_jit(lambda network, *args: network(*args))


def random(rng, shape):
    return jnp.asarray(rng.normal(size=shape), dtype=float)


def test_pieces(rng):
    u = random(rng, (2, 5, 4))
    layer = Pointwise(random(rng, (3, 2)), random(rng, (3,)))
    expected = (
        np.einsum("oi,ixy->oxy", layer.weight, u)
        + np.asarray(layer.bias)[:, None, None]
    )
    np.testing.assert_allclose(layer(u), expected, atol=1e-5)
    np.testing.assert_allclose(gelu(u), jax.nn.gelu(u, approximate=False), atol=1e-6)
    samples = 3 + 2 * random(rng, (7, 2, 50))
    norm = Normaliser.fit(samples)
    encoded = jax.vmap(norm.encode)(samples)
    np.testing.assert_allclose(jnp.mean(encoded, (0, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(jnp.std(encoded, (0, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(jax.vmap(norm.decode)(encoded), samples, atol=1e-5)


def test_shapes_and_gradients_of_all_parameters(rng):
    fno = FNO.init(KEY, 2, 3, (3, 4), 6, 2, mlp=5, hidden=7, padding=(0.25, 2))
    u = random(rng, (2, 8, 9))
    assert fno.padded_points((8, 9)) == (2, 2)
    value_and_grad = eqx.filter_value_and_grad(
        lambda f: (jnp.sum(f(u) ** 2), f(u)), has_aux=True
    )
    (_, out), grads = eqx.filter_jit(value_and_grad)(fno)
    assert out.shape == (3, 8, 9)
    assert all(float(jnp.abs(g).max()) > 0 for g in jax.tree.leaves(grads))


@pytest.mark.parametrize("n", [9, 13, 3])
def test_padding_of_another_grid_is_that_of_the_training(n, rng):
    """It has the same period, and interpolates the padded training field linearly."""
    own = (5, 6)  # nodes, of which the first axis is padded by 3
    first = np.asarray(random(rng, (2, *own)), float)
    trained = padded(jnp.asarray(first), appended_points((3, 0), own, own), own)
    assert np.array_equal(trained, np.pad(first, [(0, 0), (0, 3), (0, 0)]))

    def between(field, places):  # linearly, on a circle
        before = np.floor(places).astype(int)
        part = (places - before)[:, None]
        after = (before + 1) % field.shape[1]
        return (1 - part) * field[:, before] + part * field[:, after]

    inside = between(first, np.linspace(0, 4, n - 1, endpoint=False))
    inside = np.concatenate([inside, first[:, -1:]], axis=1)
    appended = appended_points((3, 0), (n, 6), own)
    whole = padded(jnp.asarray(inside, jnp.float32), appended, own)
    count = 2 * (n - 1)  # the period is twice the length of the box
    assert whole.shape == (2, count, 6)
    expected = between(np.asarray(trained), 8 * np.arange(count) / count)
    np.testing.assert_allclose(whole, expected, atol=1e-6)


def test_network_keeps_the_padding_of_its_training(rng):
    options = {"modes": (3, 3), "width": 4, "depth": 2, "padding": (0.25, 0)}
    plain = FNO.init(KEY, 1, 1, **options)
    fno = FNO.init(KEY, 1, 1, **options, points=(9, 8))
    assert fno.padded_points((17, 16)) == (5, 0)  # 11 spacings of the training grid
    u = random(rng, (1, 9, 8))
    np.testing.assert_array_equal(fno(u), plain(u))
    with pytest.raises(ValueError, match="points of 2 axes"):
        FNO.init(KEY, 1, 1, **options, points=(9,))


@pytest.mark.parametrize("kind", [CPWeights, TuckerWeights])
def test_low_rank_network_equals_the_dense_one(kind, rng):
    init = partial(kind.init, rank=4 if kind is CPWeights else 0.5)
    fno = FNO.init(KEY, 1, 1, (4,), 6, 1, init_weights=init)
    whole = eqx.tree_at(lambda f: f.blocks[0].spectral, fno, fno.blocks[0].weights())
    u = random(rng, (1, 12))
    np.testing.assert_allclose(fno(u), whole(u), atol=1e-6)


def test_resolution_invariance():
    """Periodic band-limited input, no coordinates: 16, 32, 64 points agree at the
    shared points.
    """
    fno = FNO.init(KEY, 1, 1, (3,), 8, 3, coordinates=False)
    out = {}
    for n in (16, 32, 64):
        x = 2 * np.pi * np.arange(n) / n
        out[n] = call(
            fno, jnp.asarray(np.sin(x) + 0.5 * np.cos(2 * x), jnp.float32)[None]
        )
    # The GELU's harmonics alias less and less.
    coarse = float(jnp.abs(out[32][:, ::2] - out[16]).max())
    fine = float(jnp.abs(out[64][:, ::2] - out[32]).max())
    assert coarse < 2e-2
    assert fine < 0.25 * coarse + 1e-5


def test_periodic_network_is_equivariant(rng):
    """No padding, no coordinates: rolling the input rolls the output."""
    fno = FNO.init(KEY, 1, 2, (3, 3), 5, 1, coordinates=False)
    u = random(rng, (1, 8, 10))
    moved = call(fno, jnp.roll(u, (3, 4), (1, 2)))
    np.testing.assert_allclose(moved, jnp.roll(call(fno, u), (3, 4), (1, 2)), atol=1e-5)


def test_a_network_commutes_with_shifts_of_the_axes_without_positions(rng):
    fno = FNO.init(KEY, 1, 2, (3, 3), 5, 1, coordinates=(False, True))
    u = random(rng, (1, 8, 10))
    before = call(fno, u)
    moved = call(fno, jnp.roll(u, 3, 1))
    np.testing.assert_allclose(moved, jnp.roll(before, 3, 1), atol=1e-5)
    other = call(fno, jnp.roll(u, 4, 2))
    assert np.abs(other - jnp.roll(before, 4, 2)).max() > 1e-2
    with pytest.raises(ValueError, match="one boolean per axis"):
        FNO.init(KEY, 1, 2, (3, 3), 5, 1, coordinates=(False,))


BOUNDARIES = {
    "x in (x, t)": Boundary((Dirichlet(jnp.linspace(1.0, 3.0, 10)), Neumann(2.0))),
    "one side": Boundary(Outflow(), (Neumann(-1.0), Outflow())),
    "closed": Boundary(Periodic(), (Dirichlet(1.0), Neumann(0.0))),
    "all faces": Boundary(Dirichlet(2.0), Dirichlet(2.0)),
}


@lru_cache
def network(form):
    return BoundaryFNO.init(
        KEY, 2, 3, (3, 3), 4, 2, form=form,
        padding=(0, 0) if form == "basis" else (2, 0.25),
        outputs=Normaliser(jnp.array([1.0, -5.0, 0.0]), jnp.array([1.0, 10.0, 0.1])),
    )  # fmt: skip


def test_default_form_and_padding():
    """Bases, which need no padding; Fourier weights get a quarter of each axis."""
    best = BoundaryFNO.init(KEY, 1, 1, (3,), 4, 1)
    assert (best.form, best.fno.padding) == ("basis", (0,))
    assert best.fno.blocks[0].spectral.shape == (4, 4, 3)
    assert BoundaryFNO.init(KEY, 1, 1, (3,), 4, 1, form="lift").fno.padding == (0.25,)


@pytest.mark.parametrize(
    ("boundary", "form", "modes", "padding"),
    [
        (Boundary(Dirichlet(jnp.ones(7))), "lift", (6, 2), (0.25, 0.25)),
        (Boundary((Outflow(), Dirichlet(1.0))), "lift", (6, 2), (0.25, 0.25)),
        (Boundary(Neumann(0.0)), "basis", (6, 4), (0, 0)),
        (Boundary((Dirichlet(1.0), Neumann(0.0))), "basis", (6, 4), (0, 0)),
        (Boundary(Periodic(), Neumann(0.0)), "lift", (6, 2), (0, 0.25)),
    ],
)
def test_form_that_suits_the_conditions(boundary, form, modes, padding):
    """Values are lifted, slopes get bases, and a closed axis has none of its own."""
    net = BoundaryFNO.init(KEY, 1, 1, (3, 2), 4, 1, form="auto", boundary=boundary)
    assert net.form == form_for(boundary) == form
    assert net.fno.blocks[0].spectral.shape[-2:] == modes
    assert net.fno.padding == padding


def test_a_form_is_chosen_for_a_boundary_only():
    for options in ({"form": "auto"}, {"boundary": Boundary(Neumann())}):
        with pytest.raises(ValueError, match="boundary together with form='auto'"):
            BoundaryFNO.init(KEY, 1, 1, (3,), 4, 1, **options)


@pytest.mark.parametrize(
    ("condition", "form", "reach"),
    [
        (Dirichlet(1.0), "lift", 0.3),
        (Dirichlet(1.0), "basis", 0.3),
        (Neumann(1.0), "lift", 0.03),
        (Neumann(1.0), "basis", 0.1),
    ],
)
def test_reach_follows_from_the_kind_of_the_conditions(condition, form, reach):
    """k(d) and k'(d) of the Matérn-5/2 covariance, at distances in units of the reach.

    The first falls to one half at d = 1.04, the second is largest at d = 0.72.
    """
    grid = Grid.uniform(0.0, 1.0, 401, "nodes")
    rows = node_rows(Boundary((condition, Outflow())), grid)
    (gain,) = form_named(form).gains(rows, grid, None)
    assert gain is not None
    (x,) = grid.coordinates
    if isinstance(condition, Dirichlet):
        assert np.interp(-0.5, -gain[0], x) == pytest.approx(1.04 * reach, rel=0.01)
    else:
        assert x[jnp.argmax(gain[0])] == pytest.approx(0.72 * reach, rel=0.05)


# Bases are for axes that are not periodic.
PAIRS = [
    *(("lift", name) for name in BOUNDARIES),
    ("overwrite", "closed"),
    ("eliminate", "closed"),
    ("eliminate", "all faces"),
    ("basis", "x in (x, t)"),
    ("basis", "all faces"),
]


@pytest.mark.parametrize(("form", "name"), PAIRS)
def test_boundary_network_meets_its_conditions(form, name, rng):
    """For random weights, units and paddings."""
    boundary = BOUNDARIES[name]
    grid = Grid.uniform((0.0, 0.0), (1.0, 2.0), (12, 10), "nodes")
    u = random(rng, (2, 12, 10))
    out = call(network(form), u, boundary, grid)
    assert out.shape == (3, 12, 10)
    for r in residuals(out, boundary, grid):
        assert float(jnp.abs(r.value).max()) <= 2e-5 * (1 + float(jnp.abs(out).max()))
    if name == "closed":  # periodic with all that the network computes
        np.testing.assert_array_equal(out[:, 0], out[:, -1])


def test_every_block_sees_the_boundary_values(rng):
    """The data enter the network: the interior depends on them, not on the last step
    alone.
    """
    grid = Grid.uniform(0.0, 1.0, 16, "nodes")
    fno, u = FNO.init(KEY, 1, 1, (4,), 6, 2), random(rng, (1, 16))
    for form in ("lift", "eliminate"):
        both = [
            eqx.filter_jit(BoundaryFNO(fno, form, every)) for every in (True, False)
        ]
        inner = [
            f(u, Boundary(Dirichlet(a)), grid)[:, 8] for f in both for a in (0.0, 1.0)
        ]
        assert abs(float(inner[0][0] - inner[1][0])) > 1e-3
        if (
            form == "eliminate"
        ):  # overwriting the output alone leaves the interior as it was
            np.testing.assert_array_equal(inner[2], inner[3])


def test_heteroscedastic_head(rng):
    """Mean meets the condition, variance is positive inside and zero on Dirichlet
    sides.
    """
    grid = Grid.uniform(0.0, 1.0, 16, "nodes")
    fno = FNO.init(
        KEY, 1, 2, (4,), 6, 2, outputs=Normaliser(jnp.array([2.0]), jnp.array([3.0]))
    )
    boundary = Boundary((Dirichlet(1.5), Neumann(0.0)))
    mean, variance = eqx.filter_jit(BoundaryFNO.mean_and_variance)(
        BoundaryFNO(fno), random(rng, (1, 16)), boundary, grid
    )
    assert mean.shape == variance.shape == (1, 16)
    assert float(mean[0, 0]) == 1.5
    assert float(variance[0, 0]) == 0.0
    assert float(variance[0, 1:].min()) > 0
    raw = jnp.stack([jnp.ones(4), jnp.log(jnp.full(4, 0.25))])
    m, v = mean_and_variance(raw, fno.outputs)
    np.testing.assert_allclose(m, 5.0)
    np.testing.assert_allclose(v, 2.25, rtol=1e-6)


def test_messages(rng):
    grid = Grid.uniform((0.0, 0.0), (1.0, 1.0), (12, 10), "nodes")
    fno = FNO.init(KEY, 1, 1, (3, 3), 4, 1)
    with pytest.raises(ValueError, match=r"batch with jax\.vmap"):
        BoundaryFNO(fno)(jnp.zeros((5, 1, 12, 10)), BOUNDARIES["all faces"], grid)
    with pytest.raises(ValueError, match="suits axis 0"):
        BoundaryFNO(fno, "basis")(jnp.zeros((1, 12, 10)), BOUNDARIES["closed"], grid)
    with pytest.raises(ValueError, match="padding for 2 axes"):
        FNO.init(KEY, 1, 1, (3, 3), padding=(1,))
