"""The published boundary correction with repeated kernel calls, in NumPy and float64.

Written from the description of the algorithm (docs/boundary_forms.md and the module
`physcon.operators.published`), to check the closed form in three dimensions, for which
no arrays of the original code are shipped.
"""

import numpy as np
from scipy.special import erf


def spectral(weights, x):
    """irfftn(W · rfftn(x)) for complex weights (in, out, *modes), low modes first."""
    space = x.shape[1:]
    axes = tuple(range(1, x.ndim))
    modes = np.fft.rfftn(x, axes=axes)
    kept = [np.r_[0 : k // 2, -(k // 2) : 0] for k in weights.shape[2:-1]]
    kept.append(np.arange(weights.shape[-1]))
    known = modes[np.ix_(np.arange(x.shape[0]), *kept)]
    out = np.zeros((weights.shape[1], *modes.shape[1:]), complex)
    mixed = np.einsum("i...,io...->o...", known, weights)
    out[np.ix_(np.arange(weights.shape[1]), *kept)] = mixed
    return np.fft.irfftn(out, s=space, axes=axes)


def eliminated(kernel, x):
    """Seven kernel calls in three dimensions; pivots of channel 0 on the line y = 0."""
    at_left, at_right = np.zeros_like(x), np.zeros_like(x)
    at_left[:, 0], at_right[:, -1] = 1, 1
    k00, kn0 = kernel(at_left)[0, 0, 0], kernel(at_left)[0, -1, 0]
    k0n, knn = kernel(at_right)[0, 0, 0], kernel(at_right)[0, -1, 0]
    k00, knn = safe(k00), safe(knn)
    schur = safe(k00 - kn0 * k0n / knn)
    kx, left = kernel(x), x.copy()
    left[:, 0] = (
        2 * x[:, 0] - (kx[:, 0] - kx[:, -1] * k0n / knn + k0n * x[:, -1]) / schur
    )
    ky, right = kernel(left), left.copy()
    right[:, -1] = 2 * left[:, 0] - ky[:, -1] / knn
    return kernel(right)


def safe(pivot):
    return np.where(np.abs(pivot) < 1e-4, 1e-4, pivot)


def set_faces(x, left, right, top, down):
    """The faces in the published order: the faces of y come last."""
    x = x.copy()
    x[:, 0], x[:, -1] = left, right
    x[:, :, 0], x[:, :, -1] = top, down
    return x


def linear(weight, bias, x):
    shape = (-1,) + (1,) * (x.ndim - 1)
    return np.einsum("oi,i...->o...", weight, x) + bias.reshape(shape)


def gelu_inside(x):
    """On nodes that no face contains."""
    x = x.copy()
    inside = x[:, 1:-1, 1:-1]
    x[:, 1:-1, 1:-1] = 0.5 * inside * (1 + erf(inside / np.sqrt(2)))
    return x


def network(parameters, u, faces, padding=6):
    """The published network in (x, y, t), from its named parameters."""
    p = {k: np.asarray(v, np.complex128 if np.iscomplexobj(v) else np.float64)
         for k, v in parameters.items()}  # fmt: skip
    grid = np.meshgrid(*(np.linspace(0, 1, n) for n in u.shape[1:]), indexing="ij")
    v = linear(p["fc0.weight"], p["fc0.bias"], np.concatenate([u, np.stack(grid)]))
    v = np.pad(v, [(0, 0)] * 3 + [(0, padding)])
    padded = [np.pad(face, [(0, 0), (0, padding)]) for face in faces]
    for i in range(4):
        w = joined([p[f"base_no.conv{i}.weights{j}"] for j in (1, 2, 3, 4)])
        first = set_faces(eliminated(lambda x, w=w: spectral(w, x), v), *padded)
        weight, bias = p[f"base_no.w{i}.weight"], p[f"base_no.w{i}.bias"]
        second = set_faces(linear(weight[:, :, 0, 0, 0], bias, v), *padded)
        v = first + second
        if i < 3:
            v = gelu_inside(v)
    v = gelu_inside(linear(p["fc1.weight"], p["fc1.bias"], v[..., :-padding]))
    return set_faces(linear(p["fc2.weight"], p["fc2.bias"], v), *faces)


def joined(corners):
    """(low, low), (high, low), (low, high), (high, high) of the first two axes."""
    low = np.concatenate(corners[:2], 2)
    return np.concatenate([low, np.concatenate(corners[2:], 2)], 3)
