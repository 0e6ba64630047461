"""Public operator data: layouts, finer grids, the exact solution; the study and its
messages.
"""

import json

import numpy as np
import pytest

from physcon.cli import main
from physcon.io import write_arrays
from physcon.studies.operators.data import (
    Samples,
    burgers_solution,
    fourier_interpolant,
    read_samples,
    refined,
    with_axes,
    within,
)


def wave(n, k=3):
    return np.cos(2 * np.pi * k * np.arange(n) / n) + 0.5 * np.sin(
        2 * np.pi * np.arange(n) / n
    )


def test_fourier_interpolant_of_a_band_limited_row_is_exact():
    np.testing.assert_allclose(
        fourier_interpolant(wave(8)[None], 24)[0], wave(24), atol=1e-12
    )
    nyquist = np.array([[1.0, -1.0, 1.0, -1.0]])
    got = fourier_interpolant(nyquist, 8)[0]
    np.testing.assert_allclose(got, np.cos(np.pi * np.arange(8) / 2), atol=1e-12)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_finer_inputs_hold_the_coarse_ones(factor, rng):
    """Every factor-th node of field and coordinates is a node of the old grid."""
    rows = np.stack([wave(8), wave(8, 2)])
    burgers = Samples(with_axes(rows, "burgers", (5, 8)), np.zeros((2, 1, 5, 8)))
    fine = refined(burgers, "burgers", factor)
    assert fine.shape == (2, 2, 4 * factor + 1, 8 * factor)
    np.testing.assert_allclose(
        fine[:, :, ::factor, ::factor], burgers.inputs, atol=1e-6
    )
    cells = rng.integers(0, 2, (2, 4, 4)).astype(float)
    darcy = Samples(with_axes(cells, "darcy", (4, 4)), np.zeros((2, 1, 4, 4)))
    fine = refined(darcy, "darcy", factor)
    np.testing.assert_allclose(fine[:, :, ::factor, ::factor], darcy.inputs, atol=1e-6)
    assert set(np.unique(fine[:, 0])) == {0.0, 1.0}


def test_finer_files_are_cut_to_the_box_of_the_training(rng):
    """The public 32 x 32 nodes hold the 16 x 16 ones, and reach farther."""
    x = rng.integers(0, 2, (3, 8, 8)).astype(np.float32)
    y = rng.normal(size=(3, 1, 8, 8)).astype(np.float32)
    fine = Samples(with_axes(x, "darcy", (8, 8)), y)
    few = with_axes(x[:, ::2, ::2], "darcy", (4, 4))
    coarse = Samples(few, y[:, :, ::2, ::2])
    found = within(coarse, fine)
    np.testing.assert_array_equal(found.answers, y[:, :, :7, :7])
    np.testing.assert_array_equal(found.inputs[:, 0], x[:, :7, :7])
    np.testing.assert_allclose(found.inputs[:, :, ::2, ::2], few, atol=1e-7)
    others = Samples(few, rng.normal(size=(3, 1, 4, 4)))
    assert within(others, fine) is fine


def test_exact_solution_reproduces_the_public_one(reference):
    """The data are u_t + u u_x = 0.01 u_xx on [0, 1), t in [0, 1]: 1.3 % apart on
    average.
    """
    arrays = reference("operators/burgers_test_16.npz")
    x, y = arrays["x"][:40], arrays["y"][:40]
    exact = burgers_solution(with_axes(x, "burgers", (17, 16)))[:, 0]
    apart = np.linalg.norm(exact - y, axis=(1, 2)) / np.linalg.norm(y, axis=(1, 2))
    assert apart.mean() < 0.015
    np.testing.assert_allclose(exact[:, 0], x, atol=2e-5)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny set of one's own: the pressure is the permeability seen through a smooth
    kernel.
    """
    path, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    s = np.sin(np.pi * np.linspace(0, 1, 16))
    for role, n in (("train", 16), ("test", 4)):
        x = rng.integers(0, 2, (n, 16, 16)).astype(bool)
        y = x.mean(axis=(1, 2))[:, None, None] * s[:, None] * s[None, :]
        write_arrays(path / f"darcy_{role}_16.npz", {"x": x, "y": y.astype(np.float32)})
    return path


def test_study_writes_its_table_for_every_grid(folder, tmp_path, capsys):
    config = tmp_path / "darcy.yaml"
    config.write_text("study: operator\nproblem: darcy\n")
    out = tmp_path / "run"
    sizes = [
        "--modes=[2,2]",
        "--width=4",
        "--depth=1",
        "--batch=8",
        "--refine=[1,2]",
        "--epochs=5",
    ]
    options = ["--data", str(folder), "--output", str(out), "--quiet", *sizes]
    main(["run", str(config), *options])
    rows = json.loads((out / "table.json").read_text())
    assert [(r["grid"], r["truth"]) for r in rows] == [
        ("16x16", "public"),
        ("31x31", "public"),
    ]
    assert all(len(r["relative_l2"]) == 1 and 0 < r["relative_l2"][0] < 1 for r in rows)
    assert (out / "fields.png").stat().st_size > 5000
    assert "16x16  public" in capsys.readouterr().out


def test_messages_say_what_the_file_must_hold(folder, tmp_path):
    with pytest.raises(
        ValueError, match=r"--data FOLDER with darcy_train_16\.npz.*permeability"
    ):
        read_samples(None, "darcy", "train")
    with pytest.raises(
        ValueError, match=r"burgers_train_16\.npz, got none.*initial state"
    ):
        read_samples(folder, "burgers", "train")
    write_arrays(
        tmp_path / "burgers_test_16.npz",
        {"x": np.ones((2, 16)), "y": np.ones((2, 5, 8))},
    )
    with pytest.raises(ValueError, match=r"x \(n, points\).*\(2, 5, 8\)"):
        read_samples(tmp_path, "burgers", "test")
