"""Public operator data at their own resolution and at finer resolutions.

The problems are viscous Burgers and Darcy flow. Both data sets come from the
neuraloperator project (MIT licence), with 16 points per axis:

    burgers   u_0 on the circle [0, 1)  ->  u(t, x) at t = 0, 1/16 .. 1
              u_t + u u_x = 0.01 u_xx
    darcy     a two-valued permeability on [0, 1]²  ->  the pressure
              -∇·(a ∇u) = 1, u = 0 around a box that is 1.07 wide

The input of a network holds the field and the coordinates on which its answer may
depend: t for Burgers, whose solutions move with x, and both coordinates for Darcy. An
input therefore has the same meaning on every grid.

Source:
    Li et al., Fourier neural operator, ICLR 2021, sec. 5.1 and 5.2.
"""

from pathlib import Path
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Float
from physcon.io import read_arrays
from physcon.problems.viscous_burgers import BurgersPeriodic
from physcon.studies.operators.settings import Problem

#: The axes are samples, channels, and two grid axes.
Fields: TypeAlias = Float[np.ndarray, "_ _ _ _"]

#: The required content of a file, for messages; samples come first.
_LAYOUT = {
    "burgers": "x (n, points), the initial state, "
    "and y (n, times, points), the solution",
    "darcy": "x (n, points, points), the permeability, "
    "and y of the same shape, the pressure",
}


class Samples(NamedTuple):
    """Inputs with their coordinates, and answers."""

    inputs: Fields
    answers: Fields


def read_samples(
    folder: Path | None, problem: Problem, role: str, points: int = 16
) -> Samples:
    """Read ``{problem}_{role}_{points}.npz`` from the folder.

    Raises:
        ValueError: if there is no folder or no such file, or if its arrays have other
            names or shapes. The message says what the file has to hold.
    """
    name = f"{problem}_{role}_{points}.npz"
    remedy = (
        f"it holds the arrays {_LAYOUT[problem]}, in NumPy's npz format without pickles"
    )
    require(folder is not None, f"--data FOLDER with {name}", "no folder", remedy)
    path = Path(str(folder)) / name
    require(path.is_file(), f"a file {path}", "none", remedy)
    arrays = read_arrays(path)
    got = {key: arrays[key].shape for key in ("x", "y") if key in arrays}
    x, y = (got.get(key, ()) for key in ("x", "y"))
    fits = len(y) == 3 and (x == y if problem == "darcy" else x == (y[0], y[2]))
    require(
        fits,
        f"{_LAYOUT[problem]}, in {path}",
        got or sorted(arrays),
        "choose a folder with such files",
    )
    return Samples(
        with_axes(np.asarray(arrays["x"], np.float32), problem, y[1:]),
        np.asarray(arrays["y"], np.float32)[:, None],
    )


def with_axes(
    x: Float[np.ndarray, "n ..."], problem: Problem, space: tuple[int, int]
) -> Fields:
    """Fields and coordinates as the channels of an input on the grid of the answers."""
    first, second = np.meshgrid(*(np.linspace(0, 1, n) for n in space), indexing="ij")
    if problem == "burgers":
        x = np.broadcast_to(x[:, None, :], (x.shape[0], *space))
    axes = [first] if problem == "burgers" else [first, second]
    channels = [x, *(np.broadcast_to(a, x.shape) for a in axes)]
    return np.stack(channels, axis=1).astype(np.float32)


def refined(samples: Samples, problem: Problem, factor: int) -> Fields:
    """The inputs on a grid `factor` times finer.

    The finer grid contains the nodes of the old one. An initial state of Burgers'
    equation becomes its Fourier interpolant. A permeability takes the value of the
    nearest node. If the factor is even, some nodes lie midway between two old nodes and
    take the value of the lower one, so interfaces move by half a fine cell.
    """
    field = samples.inputs[:, 0]
    a, b = samples.inputs.shape[2:]
    if problem == "burgers":
        space = ((a - 1) * factor + 1, b * factor)
        return with_axes(fourier_interpolant(field[:, 0], space[1]), problem, space)
    space = ((a - 1) * factor + 1, (b - 1) * factor + 1)
    rows, columns = (np.ceil(np.arange(n) / factor - 0.5).astype(int) for n in space)
    return with_axes(field[:, rows][:, :, columns], problem, space)


def within(coarse: Samples, fine: Samples) -> Samples:
    """The part of finer samples that lies on the box of the coarse ones.

    The public Darcy files don't reach the far walls: each has the first nodes of one
    long grid, of which 32 x 32 nodes reach half a coarse spacing farther than 16 x 16
    do. The nodes of the coarse grid are then every second one of the fine grid, and a
    network knows the 31 x 31 nodes between them. Samples whose nodes are not shared
    are returned as they are, on [0, 1]².
    """
    few, many = (samples.answers.shape for samples in (coarse, fine))
    factor = many[-1] // few[-1]
    shared = fine.answers[..., ::factor, ::factor]
    if shared.shape != few or not np.allclose(shared, coarse.answers, atol=1e-5):
        return fine
    points = [(n - 1) * factor + 1 for n in few[2:]]
    rows, columns = (slice(n) for n in points)
    field = fine.inputs[:, 0, rows, columns]
    space = (points[0], points[1])
    return Samples(with_axes(field, "darcy", space), fine.answers[..., rows, columns])


def fourier_interpolant(
    u: Float[np.ndarray, "n a"], points: int
) -> Float[np.ndarray, "n b"]:
    """The trigonometric interpolant of a periodic row on more points."""
    modes = np.fft.rfft(u, axis=-1)
    if u.shape[-1] % 2 == 0 and points > u.shape[-1]:
        modes[..., -1] /= 2  # the Nyquist mode is shared by +m and -m
    return np.fft.irfft(modes, points, axis=-1) * (points / u.shape[-1])


def burgers_solution(inputs: Fields, viscosity: float = 0.01) -> Fields:
    """Exact answers (Cole and Hopf) for the initial states on the grid of the inputs.

    They are computed in float64. On the grid of the public data they differ from the
    public answers by 1.3 % of their norm on average.
    """
    times, points = inputs.shape[2:]
    modes = np.fft.rfft(inputs[:, 0, 0].astype(np.float64), axis=-1) / points
    if points % 2 == 0:
        modes[..., -1] /= 2
    pairs = np.stack([modes.real, modes.imag], axis=1)
    with jax.enable_x64(True):
        x = jnp.arange(points) / points
        t = jnp.linspace(0.0, 1.0, times)
        nu = viscosity

        def solution(pair: jax.Array) -> jax.Array:
            problem = BurgersPeriodic(pair, jnp.asarray(nu))
            return jax.vmap(lambda t: problem.solution(t, x))(t)

        return np.asarray(jax.jit(jax.vmap(solution))(pairs), np.float32)[:, None]
