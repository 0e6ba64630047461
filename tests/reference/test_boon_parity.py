"""Networks and layers of the published BOON code: 1e-5 of its results in float64."""

from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import published_numpy
import pytest

from physcon.operators.published import (
    PublishedBoundary,
    published_boon_fno,
    published_elimination,
    published_spectral_conv,
)
from physcon.operators.pytorch import fno_from_pytorch

KINDS = ("dirichlet", "neumann", "periodic")


def parameters(data):
    names = (".weight", ".bias", ".weights1", ".weights2")
    return {
        k: data[k] for k in data.files if k.endswith(names) and not k.startswith("grad")
    }


def channel_first(a):
    return jnp.moveaxis(jnp.asarray(a), -1, 1)


def published_boundary(data, kind, batch, line):
    """Values per sample, stencils shared; and the vmap axes that say so."""
    if kind == "periodic":
        return PublishedBoundary(kind), None
    sides = (data[f"bdy_{side}"] for side in ("left", "right"))
    values = [np.broadcast_to(v.reshape(-1, *line), (batch, *line)) for v in sides]
    names = ("stencil_left", "stencil_right")
    stencils = [jnp.asarray(data[k]) if k in data.files else None for k in names]
    boundary = PublishedBoundary(kind, values[0], values[1], stencils[0], stencils[1])
    shared = jax.tree.map(lambda _: None, boundary)
    leaf = lambda x: x is None  # noqa: E731
    return boundary, eqx.tree_at(
        lambda b: (b.left, b.right), shared, (0, 0), is_leaf=leaf
    )


def relative(got, expected):
    return np.abs(np.asarray(got) - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("name", ["fno1d", "fno2d"])
def test_plain_fno(published, name):
    """The 1-D network of that code computes its last layer and drops it:
    `discard_last`.
    """
    data = published(f"boon/{name}.npz")
    fno = fno_from_pytorch(parameters(data), discard_last=name == "fno1d")
    out = eqx.filter_jit(eqx.filter_vmap(fno))(channel_first(data["x"]))
    assert relative(out, np.moveaxis(data["out64"], -1, 1)) <= 1e-5


def test_gradients_of_the_plain_fno(reference):
    """dL/dW of Σ out·cotangent; PyTorch's complex gradient is dL/dRe + i dL/dIm."""
    data = reference("boon/fno2d.npz")
    fno, x = fno_from_pytorch(parameters(data)), channel_first(data["x"])
    seed = channel_first(data["cotangent"])
    grads = eqx.filter_jit(eqx.filter_grad(lambda f: jnp.sum(jax.vmap(f)(x) * seed)))(
        fno
    )
    got = np.asarray(grads.blocks[1].spectral)
    got = np.swapaxes(got[0] + 1j * got[1], 0, 1)
    low, high = data["grad.conv1.weights1"], data["grad.conv1.weights2"]
    assert relative(got, np.concatenate([low, high], 2)) <= 1e-5
    assert relative(grads.lift.weight, data["grad64.fc0.weight"]) <= 1e-5


@pytest.mark.parametrize("ndim", [1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_boon_networks(published, kind, ndim):
    """Interior and boundary separately, because interior values are much smaller."""
    data = published(f"boon/boon_fno{ndim}d_{kind}.npz")
    fno, x = fno_from_pytorch(parameters(data)), channel_first(data["x"])
    boundary, axes = published_boundary(data, kind, x.shape[0], x.shape[3:])
    call = jax.vmap(published_boon_fno, in_axes=(None, 0, axes))
    out = eqx.filter_jit(call)(fno, x, boundary)
    expected = np.moveaxis(data["out64"], -1, 1)
    assert relative(out, expected) <= 1e-5
    assert relative(out[:, :, 6:-6], expected[:, :, 6:-6]) <= 1e-5


@pytest.mark.parametrize(
    "name",
    [
        "1d_dirichlet_spectral_c1",
        "1d_dirichlet_spectral_c8",
        "1d_neumann_spectral_c1",
        "1d_neumann_spectral_c8",
        "1d_periodic_spectral_c8",
        "2d_dirichlet_spectral",
        "2d_periodic_spectral",
    ],
)
def test_single_layers(published, name):
    data = published(f"boon/layer{name}.npz")
    kind = next(k for k in KINDS if k in name)
    corners = [data[k] for k in ("layer.weights1", "layer.weights2") if k in data.files]
    kernel = np.swapaxes(np.concatenate(corners, 2), 0, 1)
    weights = jnp.asarray(np.stack([np.real(kernel), np.imag(kernel)]))
    x = jnp.asarray(data["x"])
    boundary, axes = published_boundary(data, kind, x.shape[0], x.shape[3:])
    call = jax.vmap(published_spectral_conv, in_axes=(None, 0, axes))
    assert relative(jax.jit(call)(weights, x, boundary), data["out64"]) <= 1e-5
    for left, right in ((True, True), (False, True), (True, False), (False, False)):
        key = f"gauss_left{int(left)}_right{int(right)}_64"
        if key in data.files:
            raw = partial(published_elimination, weights, left=left, right=right)
            assert relative(jax.jit(jax.vmap(raw))(x), data[key]) <= 1e-5


def test_missing_parameters_are_named():
    with pytest.raises(ValueError, match=r"w0\.weight"):
        fno_from_pytorch({"conv0.weights1": np.zeros((1, 1, 2), complex)})


def test_padding_is_asked_for_by_number_or_by_name():
    names = {"fourier_1d": (0,), "fourier_2d": (9, 9), "fourier_3d": (0, 0, 6)}
    for ndim, (name, padding) in enumerate(names.items(), 1):
        parameters = random_parameters(ndim, 1 + ndim, "")
        assert fno_from_pytorch(parameters).padding == padding
        assert fno_from_pytorch(parameters, name).padding == padding
        chosen = (0.25,) * ndim
        assert fno_from_pytorch(parameters, chosen).padding == chosen
    with pytest.raises(ValueError, match="padding for 3 axes"):
        fno_from_pytorch(parameters, (9, 9))
    with pytest.raises(ValueError, match="fourier_3d"):
        fno_from_pytorch(parameters, "fourier_4d")


def random_parameters(ndim, inputs, prefix="base_no.", width=4, modes=(3, 3, 2)):
    """Parameters under the published names, of both signs."""
    rng = np.random.default_rng(ndim)
    kept = modes[-ndim:]
    found = {}
    for i in range(4):
        for j in range(2 ** (ndim - 1)):
            pair = rng.normal(size=(2, width, width, *kept)) / 2
            found[f"{prefix}conv{i}.weights{j + 1}"] = pair[0] + 1j * pair[1]
        found[f"{prefix}w{i}.weight"] = (
            rng.normal(size=(width, width, *(1,) * ndim)) / 2
        )
        found[f"{prefix}w{i}.bias"] = rng.normal(size=width)
    for name, shape in {
        "fc0": (width, inputs),
        "fc1": (7, width),
        "fc2": (1, 7),
    }.items():
        found[f"{name}.weight"] = rng.normal(size=shape) / 2
        found[f"{name}.bias"] = rng.normal(size=shape[0])
    return found


def test_boon_network_in_three_dimensions(rng, x64):
    """Against repeated kernel calls in NumPy, with faces that contradict each other."""
    parameters, space = random_parameters(3, 4), (9, 8, 6)
    u = rng.normal(size=(1, *space))
    faces = [rng.normal(size=shape) for shape in ((8, 6), (8, 6), (9, 6), (9, 6))]
    expected = published_numpy.network(parameters, u, faces)
    left, right, top, down = map(jnp.asarray, faces)
    boundary = PublishedBoundary("dirichlet", left, right, top=top, down=down)
    fno = fno_from_pytorch(parameters)
    got = jax.jit(published_boon_fno)(fno, jnp.asarray(u), boundary)
    assert relative(got, expected) <= 1e-10
    inner = (slice(None), slice(1, -1), slice(1, -1))
    assert relative(got[inner], expected[inner]) <= 1e-10


def test_published_corrections_that_do_not_exist():
    fno = fno_from_pytorch(random_parameters(3, 4))
    u = jnp.zeros((1, 9, 8, 6))
    with pytest.raises(ValueError, match="kind='dirichlet' in three dimensions"):
        published_boon_fno(fno, u, PublishedBoundary("periodic"))
    with pytest.raises(ValueError, match="top and down in three dimensions"):
        published_boon_fno(fno, u, PublishedBoundary("dirichlet"))
