"""Spectral convolution against dense matrices, band-limited fields, and its own other
path.
"""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.boundary import Boundary, Dirichlet, Neumann, Outflow
from physcon.operators.bases import bases_for, basis_conv, init_basis_weights
from physcon.operators.lowrank import CPWeights, TuckerWeights
from physcon.operators.spectral import (
    analyse,
    choose_method,
    dft,
    hermitian_weights,
    spectral_conv,
    wavenumbers,
)

conv = jax.jit(spectral_conv, static_argnames="method")


def random(rng, shape):
    return jnp.asarray(rng.normal(size=shape), dtype=float)


def random_weights(rng, channels_in, channels_out, modes):
    return random(
        rng, (2, channels_out, channels_in, *(2 * m for m in modes[:-1]), modes[-1])
    )


# space, modes (per axis; all but the last are kept on both ends): odd, even, full, with
# Nyquist
SHAPES = [
    ((16,), (9,)),
    ((15,), (8,)),
    ((31,), (4,)),
    ((12, 10), (6, 6)),
    ((9, 7), (2, 3)),
    ((6, 5, 8), (3, 2, 5)),
]


@pytest.mark.parametrize(("space", "modes"), SHAPES)
def test_both_paths_equal_the_definition(rng, space, modes):
    """Both paths equal NumPy's transform in complex128, mode by mode, to rounding."""
    weights = random_weights(rng, 2, 3, modes)
    u = random(rng, (2, *space))
    spectrum = np.fft.rfftn(np.asarray(u, np.float64), axes=range(1, u.ndim))
    out = np.zeros((3, *spectrum.shape[1:]), complex)
    kept = weights.shape[3:]
    kernel = np.asarray(weights[0], np.float64) + 1j * np.asarray(
        weights[1], np.float64
    )
    numbers = [wavenumbers(k, axis + 1 == len(kept)) for axis, k in enumerate(kept)]
    for index in itertools.product(*(range(k) for k in kept)):
        m = tuple(int(numbers[axis][i]) for axis, i in enumerate(index))
        out[(slice(None), *m)] = kernel[(..., *index)] @ spectrum[(slice(None), *m)]
    expected = np.fft.irfftn(out, s=space, axes=range(1, u.ndim))
    for method in ("fft", "matmul", "auto"):
        got = conv(weights, u, method)
        np.testing.assert_allclose(got, expected, atol=4e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("space", "modes"), SHAPES[3:5])
def test_paths_agree_in_float64_and_in_gradient(rng, x64, space, modes):
    weights = random_weights(rng, 2, 3, modes)
    u = random(rng, (2, *space))
    seed = random(rng, (3, *space))

    def loss(weights, u, method):
        return jnp.sum(spectral_conv(weights, u, method) * seed)

    both = jax.jit(
        lambda w, u: [
            jax.value_and_grad(loss, argnums=(0, 1))(w, u, m) for m in ("fft", "matmul")
        ]
    )
    (value, grads), (other, other_grads) = both(weights, u)
    np.testing.assert_allclose(value, other, rtol=1e-12)
    for a, b in zip(grads, other_grads, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12 * float(jnp.abs(a).max()))


def test_equals_its_circulant_matrix(rng):
    """K u = Σ_j k_{i-j} u_j with blocks k_s = (1/n) Re Σ_m w_m e^{2πi m s/n} W_m."""
    n, modes = 14, 5
    weights = random_weights(rng, 2, 3, (modes,))
    kernel = np.asarray(weights[0]) + 1j * np.asarray(weights[1])
    s = np.arange(n)
    wave = hermitian_weights(n, modes) * np.exp(
        2j * np.pi * np.outer(s, np.arange(modes)) / n
    )
    blocks = np.einsum("sm,oim->soi", wave, kernel).real / n
    u = np.asarray(random(rng, (2, n)))
    expected = np.einsum("abop,pb->oa", blocks[(s[:, None] - s[None, :]) % n], u)
    for method in ("fft", "matmul"):
        got = conv(weights, jnp.asarray(u), method)
        np.testing.assert_allclose(got, expected, atol=2e-6)


def test_translation_equivariance(rng):
    weights = random_weights(rng, 2, 3, (2, 3))
    u = random(rng, (2, 9, 8))
    moved = jnp.roll(u, (2, 3), (1, 2))
    expected = jnp.roll(spectral_conv(weights, u), (2, 3), (1, 2))
    np.testing.assert_allclose(conv(weights, moved), expected, atol=2e-6)


def test_parseval(rng):
    """All modes kept, unit weights: Σ u² = (1/n) Σ w_m |û_m|², and the layer is the
    identity.
    """
    n = 12
    u = random(rng, (1, n))
    modes = analyse(u, (n // 2 + 1,), "matmul")
    energy = jnp.sum(hermitian_weights(n, n // 2 + 1) * jnp.abs(modes[0]) ** 2) / n
    np.testing.assert_allclose(energy, jnp.sum(u**2), rtol=2e-6)
    identity = jnp.zeros((2, 1, 1, n // 2 + 1)).at[0].set(1.0)
    np.testing.assert_allclose(conv(identity, u), u, atol=1e-6)


@pytest.mark.parametrize("method", ["fft", "matmul"])
def test_resolution_transfer_of_a_band_limited_field(method, rng):
    """The same weights on 16 and on 48 points: equal at the shared points, exactly
    band-limited.
    """
    weights = jnp.asarray(rng.normal(size=(2, 1, 1, 6, 3)), jnp.float32)

    def field(n):
        x = 2 * np.pi * np.arange(n) / n
        y = np.cos(2 * x)[:, None] * np.sin(x)[None, :] + np.sin(x)[:, None] + 0.3
        return jnp.asarray(y, jnp.float32)[None]

    coarse = conv(weights, field(16), method)
    fine = conv(weights, field(48), method)
    np.testing.assert_allclose(fine[:, ::3, ::3], coarse, atol=1e-5)


def test_dft_of_a_long_axis_keeps_its_digits():
    """Phases are reduced in integers: e^{-2πi jm/n} has modulus 1 and period n."""
    wave = dft(2**20, 4, True)
    np.testing.assert_allclose(wave[2**18, 1], -1j, atol=1e-15)
    np.testing.assert_allclose(wave[3 * 2**18, 3], -1j, atol=1e-15)


def test_automatic_choice():
    assert choose_method((4096,), (16,), "cpu") == "matmul"
    assert choose_method((64,), (33,), "gpu") == "fft"


def test_errors_say_what_to_do(rng):
    weights = random_weights(rng, 2, 3, (5,))
    with pytest.raises(ValueError, match="keep fewer modes or refine"):
        spectral_conv(weights, jnp.zeros((2, 7)))
    with pytest.raises(ValueError, match=r"batch with jax\.vmap"):
        spectral_conv(weights, jnp.zeros((4, 2, 16)))
    with pytest.raises(ValueError, match="2 channels"):
        spectral_conv(weights, jnp.zeros((3, 16)))


def test_low_rank_weights_are_products_of_their_factors(rng):
    cp = CPWeights.init(jax.random.key(1), 2, 3, (4, 5), rank=3)
    a, o, i, m, q = (np.asarray(f) for f in cp.factors)
    expected = np.einsum("az,oz,iz,mz,qz->aoimq", a, o, i, m, q)
    dense = jax.jit(lambda w: w.dense())
    np.testing.assert_allclose(dense(cp), expected, atol=1e-6)
    assert expected.shape == random_weights(rng, 2, 3, (4, 5)).shape
    tucker = TuckerWeights.init(jax.random.key(1), 2, 4, (4, 5), rank=0.5)
    assert tucker.core.shape == (2, 2, 1, 4, 2)
    o, i, m, q = (np.asarray(f) for f in tucker.factors)
    expected = np.einsum("arstu,or,is,mt,qu->aoimq", tucker.core, o, i, m, q)
    np.testing.assert_allclose(dense(tucker), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("pair", "function"),
    [
        ((Dirichlet(), Dirichlet()), lambda x: np.sin(2 * np.pi * x)),
        ((Neumann(), Outflow()), lambda x: np.cos(3 * np.pi * x)),
        ((Dirichlet(), Neumann()), lambda x: np.sin(1.5 * np.pi * x)),
        ((Neumann(), Dirichlet()), lambda x: np.cos(2.5 * np.pi * x)),
    ],
)
def test_bases_reproduce_their_own_functions(pair, function, rng):
    """With unit weights the convolution is a projection; on its own functions, the
    identity.
    """
    bases = bases_for(Boundary(pair), 2)
    assert bases[1] == "cosine"
    x = np.linspace(0, 1, 17)
    u = jnp.asarray(
        function(x)[:, None] * np.cos(np.pi * np.linspace(0, 1, 9))[None, :]
    )
    u = u[None].astype(jnp.float32)
    ones = jnp.ones((1, 1, 4, 3))
    project = jax.jit(lambda w, u: basis_conv(w, u, bases))
    np.testing.assert_allclose(project(ones, u), u, atol=1e-6)
    weights = init_basis_weights(jax.random.key(1), 1, 2, (4, 3))
    noise = random(rng, (1, 17, 9))
    out = project(weights, noise)
    for side, index in enumerate((0, -1)):
        if isinstance(pair[side], Dirichlet):
            assert float(jnp.abs(out[:, index]).max()) < 2e-6 * float(
                jnp.abs(out).max()
            )
    projected = project(ones, noise)
    np.testing.assert_allclose(project(ones, projected), projected, atol=2e-6)
