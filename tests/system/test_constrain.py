"""`physcon constrain`: predictions of any model in, conservative ones out, or a clear
refusal.
"""

import json
import re

import numpy as np
import pytest
import xarray as xr

from physcon import constrain
from physcon.cli import main
from physcon.io import read_arrays, write_arrays

EPS = np.finfo(np.float32).eps


@pytest.fixture
def predictions(rng):
    """Two functions at four times on 101 unequally spaced nodes."""
    x = np.sort(rng.uniform(size=101))
    shape = (2, 4, 101)
    mean = rng.normal(1.0, 0.3, shape).astype(np.float32)
    std = np.exp(rng.normal(-2, 1, shape)).astype(np.float32)
    return {"mean": mean, "std": std, "x": x, "mass": np.array([0.5, 0.6, 0.7, 0.8])}


def run(tmp_path, arrays, *options, ending=".npz"):
    source, output = tmp_path / f"in{ending}", tmp_path / f"out{ending}"
    write_arrays(source, arrays, force=True)
    main(["constrain", str(source), "-o", str(output), *options])
    return read_arrays(output)


def trapezoid_error(out, mean):
    """(residual, scale) in float64 with the weights that float32 nodes give."""
    gaps = np.diff(out["x"]).astype(np.float32).astype(np.float64)
    w = 0.5 * (np.pad(gaps, (1, 0)) + np.pad(gaps, (0, 1)))
    mean = mean.astype(np.float64)
    return (mean * w).sum(-1), (np.abs(mean) * w).sum(-1)


@pytest.mark.parametrize("ending", [".npz", ".h5", ".nc"])
def test_one_mass_per_time(tmp_path, predictions, ending, capsys):
    out = run(tmp_path, predictions, "--integral", "mass", ending=ending)
    total, scale = trapezoid_error(out, out["mean"])
    mass = np.broadcast_to(predictions["mass"], total.shape)
    assert np.all(np.abs(total - mass) <= 8 * EPS * (scale + mass))
    assert set(out) == set(predictions)
    assert out["mean"].dtype == np.float32
    assert np.all(out["std"] <= predictions["std"] * (1 + EPS))
    assert "before" in capsys.readouterr().out


def test_equals_the_closed_form(tmp_path, predictions):
    """μ' = μ + v g (b - g·μ) / (g·v g),  v' = v - (v g)² / (g·v g) for one row."""
    wide = {k: v.astype(np.float64) for k, v in predictions.items()}
    out = run(tmp_path, wide, "--integral", "0.25")
    g = 0.5 * (np.pad(np.diff(wide["x"]), (1, 0)) + np.pad(np.diff(wide["x"]), (0, 1)))
    v = wide["std"] ** 2
    s = (g * v * g).sum(-1, keepdims=True)
    missing = 0.25 - (g * wide["mean"]).sum(-1, keepdims=True)
    np.testing.assert_allclose(
        out["mean"], wide["mean"] + v * g * missing / s, rtol=1e-12
    )
    np.testing.assert_allclose(
        out["std"] ** 2, v - (v * g) ** 2 / s, rtol=1e-9, atol=1e-15
    )


def test_cell_faces_and_variance_in_two_dimensions(tmp_path, rng):
    mean, variance = rng.normal(size=(3, 6, 5)), rng.uniform(0.1, 1, size=(3, 6, 5))
    x, y = np.linspace(0, 2, 7), np.sort(rng.uniform(size=6))
    arrays = {"mean": mean, "variance": variance, "x": x, "y": y}
    out = run(tmp_path, arrays, "--integral", "1.5", "--names.coordinates", '["x","y"]')
    volumes = np.diff(x)[:, None] * np.diff(y)[None]
    np.testing.assert_allclose((out["mean"] * volumes).sum((1, 2)), 1.5, rtol=1e-13)
    assert np.all(out["variance"] < variance)


def test_every_member_of_an_ensemble_conserves(tmp_path, rng):
    samples = rng.normal(size=(7, 4, 30))
    arrays = {"samples": samples, "x": np.linspace(0, 1, 30)}
    out = run(tmp_path, arrays, "--integral", "0.1")
    np.testing.assert_allclose(
        np.trapezoid(out["samples"], arrays["x"]), 0.1, rtol=1e-12
    )


def test_bounds_and_mass_together(tmp_path, predictions, capsys):
    options = ("--integral", "0.3", "--lower", "0", "--upper", "1")
    out = run(tmp_path, predictions, *options)
    assert out["mean"].min() >= 0
    assert out["mean"].max() <= 1
    total, scale = trapezoid_error(out, out["mean"])
    assert np.all(np.abs(total - 0.3) <= 8 * EPS * (scale + 0.3))
    assert "out of bounds" in capsys.readouterr().out


def broken(name):
    def change(arrays, rng):
        mean, std, x = arrays["mean"], arrays["std"], arrays["x"]
        changes = {
            "no coordinates": {"x": None},
            "unsorted": {"x": x[::-1]},
            "repeated": {"x": np.concatenate([x[:1], x[:-1]])},
            "NaN": {"mean": np.where(mean > 1.5, np.nan, mean)},
            "infinite std": {"std": np.where(std > 0.3, np.inf, std)},
            "zero std": {"std": 0 * std},
            "negative std": {"std": -std},
            "shapes": {"std": std[:, :, :-1]},
            "wrong x": {"x": x[:-2]},
            "no std": {"std": None},
            "no mean": {"mean": None},
            "mass shape": {"mass": arrays["mass"][:3]},
            "NaN mass": {"mass": np.full(4, np.nan)},
        }
        return {k: v for k, v in (arrays | changes[name]).items() if v is not None}

    return change


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("no coordinates", "coordinates 'x'"),
        ("unsorted", "increasing coordinates"),
        ("repeated", "increasing coordinates"),
        ("NaN", "finite values in 'mean'"),
        ("infinite std", "finite values in 'std'"),
        ("zero std", "positive 'std'"),
        ("negative std", "positive 'std'"),
        ("shapes", "'std' of shape"),
        ("wrong x", r"coordinates of \(101,\)"),
        ("no std", "'std' or 'variance'"),
        ("no mean", "'mean' or 'samples'"),
        ("mass shape", "broadcasts"),
        ("NaN mass", "finite integral"),
    ],
)
def test_refuses_bad_files_and_writes_nothing(
    tmp_path, predictions, rng, case, message
):
    with pytest.raises(SystemExit, match=message):
        run(tmp_path, broken(case)(predictions, rng), "--integral", "mass")
    assert not (tmp_path / "out.npz").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--integral", "weight"), "array 'weight'"),
        (("--integral", "5", "--lower", "0", "--upper", "1"), "reach"),
        (("--integral", "1", "--lower", "1", "--upper", "0"), "lower < upper"),
    ],
)
def test_refuses_impossible_laws(tmp_path, predictions, options, message):
    with pytest.raises(SystemExit, match=message):
        run(tmp_path, predictions, *options)
    assert not (tmp_path / "out.npz").exists()


def test_a_mean_and_its_members_both_obey(tmp_path, rng):
    """Without bounds the mean of the new members is the new mean."""
    samples = rng.normal(1, 0.2, (6, 3, 10))
    std = samples.std(0, ddof=1)
    arrays = {"samples": samples, "mean": samples.mean(0), "std": std}
    found = run(tmp_path, arrays | {"x": np.linspace(0, 1, 11)}, "--integral", "1.3")
    np.testing.assert_allclose(found["samples"].mean(-1), 1.3, rtol=1e-14)
    np.testing.assert_allclose(found["samples"].mean(0), found["mean"], rtol=1e-12)
    assert np.all(found["std"] < std)


@pytest.mark.parametrize("ending", ["html", "json", "txt"])
def test_points_at_a_bound_are_certain_in_the_next_law(tmp_path, rng, ending):
    """The output of one law is the input of the next, and has a report."""
    x = np.linspace(0, 1, 41)
    mean = 0.3 + rng.normal(0, 0.3, (3, 40))
    arrays = {"mean": mean, "std": np.full((3, 40), 0.3), "x": x}
    run(tmp_path, arrays, "--integral", "0.4", "--lower", "0")
    first = dict(np.load(tmp_path / "out.npz"))
    certain = first["std"] == 0
    assert certain.any()
    report = tmp_path / f"report.{ending}"
    words = ("--integral", "0.5", "--lower", "0", "--force", "--report", str(report))
    run(tmp_path, first, *words)
    second = dict(np.load(tmp_path / "out.npz"))
    np.testing.assert_allclose(second["mean"].mean(-1), 0.5, rtol=1e-14)
    np.testing.assert_array_equal(second["mean"][certain], first["mean"][certain])
    assert second["mean"].min() >= 0
    text = report.read_text()
    if ending == "json":
        assert json.loads(text)["error_before"] == pytest.approx(0.1)
    elif ending == "html":
        numbers = json.loads(re.search(r'id="numbers">(.*?)</script>', text)[1])
        curves = {c["name"]: c["values"] for c in numbers[0]["charts"][0]["curves"]}
        np.testing.assert_allclose(curves["after"], second["mean"], atol=1e-4)
        np.testing.assert_allclose(curves["before"], first["mean"], atol=1e-4)


def test_refuses_to_replace_an_output_without_force(tmp_path, predictions):
    run(tmp_path, predictions, "--integral", "mass")
    with pytest.raises(SystemExit, match="--force"):
        run(tmp_path, predictions, "--integral", "mass")
    run(tmp_path, predictions, "--integral", "mass", "--force")


def test_integers_in_hdf5_are_not_rounded_to_again(tmp_path, predictions):
    """Temperatures stored as whole hundredths: conserved ones are not whole numbers."""
    whole = predictions | {"mean": np.round(100 * predictions["mean"]).astype(np.int32)}
    out = run(tmp_path, whole, "--integral", "mass", ending=".h5")
    total, scale = trapezoid_error(out, out["mean"])
    assert np.all(np.abs(total - predictions["mass"]) <= 8 * EPS * scale)


def test_netcdf_packed_as_integers_is_unpacked(tmp_path, predictions):
    names = {
        "mean": ("time", "x"),
        "std": ("time", "x"),
        "x": ("x",),
        "mass": ("time",),
    }
    first = predictions | {
        k: predictions[k][0].astype(np.float64) for k in ("mean", "std")
    }
    data = xr.Dataset({k: (names[k], v) for k, v in first.items()})
    packing = {"dtype": "int16", "scale_factor": 1e-4, "_FillValue": -32768}
    data.to_netcdf(tmp_path / "in.nc", engine="h5netcdf", encoding={"mean": packing})
    main(
        [
            "constrain",
            str(tmp_path / "in.nc"),
            "-o",
            str(tmp_path / "out.nc"),
            "--integral=mass",
        ]
    )
    out = read_arrays(tmp_path / "out.nc")
    np.testing.assert_allclose(
        trapezoid_error(out, out["mean"])[0], out["mass"], rtol=1e-6
    )


def test_netcdf_axes_in_another_order_are_refused(tmp_path, rng):
    """As many times as points: only the names tell which axis is space."""
    square = {
        "mean": (("x", "time"), rng.normal(size=(5, 5))),
        "std": (("x", "time"), np.ones((5, 5))),
    }
    data = xr.Dataset(square, {"x": np.arange(5.0), "time": np.arange(5.0)})
    data.to_netcdf(tmp_path / "in.nc", engine="h5netcdf")
    with pytest.raises(
        SystemExit, match=r"expected last axes \('x',\), got \('x', 'time'\)"
    ):
        main(
            [
                "constrain",
                str(tmp_path / "in.nc"),
                "-o",
                str(tmp_path / "o.nc"),
                "--integral",
                "1",
            ]
        )


def test_many_fields_go_in_groups(tmp_path, predictions, monkeypatch, capsys):
    """The same answer where the file is too large to be conditioned at once."""
    options = ("--integral", "mass", "--lower", "0", "--names.coordinates", "x")
    whole = run(tmp_path, predictions, *options)
    (tmp_path / "out.npz").unlink()
    monkeypatch.setattr(constrain, "_POINTS_AT_ONCE", 303)  # three fields of eight
    out = run(tmp_path, predictions, *options)
    np.testing.assert_allclose(out["mean"], whole["mean"], rtol=1e-6)
    np.testing.assert_allclose(out["std"], whole["std"], rtol=1e-6)
    assert "units" not in capsys.readouterr().out


def test_a_wrong_unit_is_said(tmp_path, predictions, capsys):
    run(tmp_path, predictions, "--integral", "1000")
    assert "check the units" in capsys.readouterr().out
