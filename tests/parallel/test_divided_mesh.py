"""Finite volumes on a divided mesh: the numbers of one device, and one exchange."""

import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import LINE, run, same

from physcon import fv, mesh, parallel
from physcon.boundary import Dirichlet, Neumann, Outflow, Reflective, Robin
from physcon.mesh.partition import bisected, partition

BOX = mesh.triangles((0.0, 0.0), (2.0, 1.0), (8, 6), distortion=0.25)
RING = mesh.triangles((0.0, 0.0), (2.0, 1.0), (8, 6), distortion=0.25, periodic=True)
BALL = mesh.cubed_sphere(4)
WHERE = {"mesh": LINE, "axes": ("x",)}


def gas(rng, box):
    w = np.exp(0.3 * rng.normal(size=(4, box.size)))
    return fv.Euler().conservative(jnp.asarray(w, jnp.float32))


def walls(rng):
    inflow = rng.uniform(1, 2, (4, BOX.boundary_faces("left").size))
    inflow[3] += 5
    given = Dirichlet(jnp.asarray(inflow, jnp.float32))
    return {
        "left": given,
        "right": Outflow(),
        "bottom": Reflective(),
        "top": Neumann(0.1),
    }


def warm(rng):
    size = BOX.boundary_faces("top").size
    given = Robin(1.0, 2.0, jnp.asarray(rng.normal(size=(1, size)), jnp.float32))
    return {
        "left": Dirichlet(lambda t: 1 + t),
        "right": Outflow(),
        "bottom": Neumann(1.0),
        "top": given,
    }


CASES = {
    "gas": (BOX, fv.Euler(), gas, walls, fv.Scheme(fv.Linear(), fv.hllc)),
    "smooth": (
        RING,
        fv.Euler(),
        gas,
        lambda rng: {},
        fv.Scheme(fv.Positive(fv.Linear("venkatakrishnan", "green_gauss")), fv.hll),
    ),
    "diffusion": (
        BOX,
        fv.PorousMedium(1.0),
        lambda rng, box: jnp.asarray(rng.uniform(1, 2, (1, box.size)), jnp.float32),
        warm,
        fv.Scheme(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_tendency_is_the_one_of_one_device(name, rng, monkeypatch):
    """Parts by pymetis where it is installed; the smooth case by bisection."""
    if name == "smooth":
        monkeypatch.setitem(sys.modules, "pymetis", None)
    box, law, state, sides, scheme = CASES[name]
    u = state(rng, box)
    rest = (law, box, sides(rng), scheme, 0.5)
    one = jax.jit(lambda u: fv.tendency(u, *rest))(u)
    got, sent = run(lambda u: parallel.tendency(u, *rest, **WHERE), u)
    same(got, one, 1e-6)
    assert sent.pop("all-to-all") == 1
    assert set(sent) <= {"all-reduce", "all-gather"}


def waves():
    """Shallow water on a sphere."""
    height = jnp.asarray(1 + 0.1 * BALL.centroid[:, 0])
    u = jnp.zeros((4, BALL.size)).at[0].set(height)
    scheme = fv.Scheme(fv.Linear("none"), fv.hllc, fv.forward_euler)
    return u, (fv.ShallowWater(1.0), BALL, {}, scheme)


def test_a_run_takes_the_steps_of_one_device():
    """With a source, in steps of the CFL number."""
    u, rest = waves()
    more = {"times": [0.1, 0.3], "source": lambda u, t: -0.1 * u}
    one = fv.solve(u, *rest, **more)
    got = parallel.solve(u, *rest, **more, **WHERE)
    assert int(got.steps) == int(one.steps) > 2
    same(got.u, one.u, 1e-6)


def test_the_gradient_is_the_one_of_one_device():
    u, rest = waves()

    def slope(tendency, **where):
        return jax.jit(jax.grad(lambda u: jnp.sum(tendency(u, *rest, **where) ** 2)))

    same(slope(parallel.tendency, **WHERE)(u), slope(fv.tendency)(u), 1e-5)


def test_parts_are_balanced_and_compact():
    box = mesh.triangles((0.0, 0.0), (2.0, 1.0), (12, 12), distortion=0.1)
    inside = np.asarray(box.neighbour) >= 0
    ends = np.asarray(box.owner)[inside], np.asarray(box.neighbour)[inside]
    for parts in (3, 8):
        by_place = bisected(np.asarray(box.centroid, float), parts)
        assert np.ptp(np.bincount(by_place)) <= 1
        for part in (by_place, partition(box, parts)):
            assert np.bincount(part, minlength=parts).min() > 0.8 * box.size / parts
            cut = np.sum(part[ends[0]] != part[ends[1]])
            assert cut < 0.3 * inside.sum()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"axes": ("x", None)}, "axes with one name"),
        ({"axes": ("y",)}, "axes with one name"),
        ({"source": lambda u, t: u - jnp.mean(u)}, "acts point by point"),
    ],
)
def test_a_division_that_is_impossible_is_refused(more, message):
    given = {**WHERE, **more}
    with pytest.raises(ValueError, match=message):
        parallel.tendency(jnp.ones((1, RING.size)), fv.Burgers(), RING, {}, **given)


def test_an_implicit_step_is_refused():
    scheme = fv.Scheme(step=fv.implicit_euler)
    rest = (fv.Heat(1.0), RING, {}, scheme)
    with pytest.raises(ValueError, match="on one device"):
        parallel.solve(jnp.ones((1, RING.size)), *rest, **WHERE, times=[1.0], dt=0.1)
