"""A store whose writing was killed is not there; the same command completes it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from physcon.cli import main
from physcon.datasets import _journal, _stores, _work, laws

LAW = "mean: {of: tas, equals: 280, weights: equal}"
TIED = "mean: {of: tas, over: [time, lat, lon], equals: 280, weights: equal}"
KILLED = """
import os, signal, sys
from physcon.cli import main
from physcon.datasets import _journal, _work
_work.VALUES_AT_ONCE = 100
if sys.argv[1] == "copying":
    import physcon.datasets._stores as stores
    copy = stores._copied
    stores._copied = lambda *a: (copy(*a), os.kill(os.getpid(), signal.SIGKILL))
else:
    add = _journal.Journal.add
    def count(self, start, *rest):
        if start == 4:  # written, but not yet listed
            os.kill(os.getpid(), signal.SIGKILL)
        add(self, start, *rest)
    _journal.Journal.add = count
main(sys.argv[2:])
"""


@pytest.fixture
def store(tmp_path, rng):
    """Eight times in chunks of two, and a variable that stays."""
    tas = rng.normal(281, 3, (8, 5, 10)).astype("f4")
    tas[:, 0, 0] = np.nan
    data = xr.Dataset(
        {"tas": (("time", "lat", "lon"), tas), "other": ("k", np.arange(3))}
    )
    path = tmp_path / "in.zarr"
    packing = {"tas": {"chunks": (2, 5, 10)}}
    data.to_zarr(path, encoding=packing, zarr_format=2, consolidated=True)
    return path


def contents(folder):
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in Path(folder).rglob("*")
        if p.is_file()
    }


def command(store, output, *more, law=LAW):
    words = ["constrain", store, law, "--spread", "1", "-o", output, *more]
    return [str(w) for w in words]


@pytest.mark.parametrize("when", ["copying", "a chunk"])
def test_a_killed_run_resumes(tmp_path, store, when, monkeypatch):
    monkeypatch.setattr(_work, "VALUES_AT_ONCE", 100)
    output, whole = tmp_path / "out.zarr", tmp_path / "whole.zarr"
    reports = [tmp_path / name for name in ("whole.json", "resumed.json")]
    main(command(store, whole, "--report", str(reports[0])))
    words = command(store, output)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, when, *words],
        env=os.environ | {"JAX_PLATFORMS": "cpu"},
        timeout=240,
    )
    assert done.returncode == -signal.SIGKILL
    assert not output.exists()
    with pytest.raises(SystemExit, match="--resume"):
        main(words)
    if when == "a chunk":
        other = command(store, output, "--resume", law=LAW.replace("280", "281"))
        with pytest.raises(SystemExit, match="other settings"):
            main(other)
    calls = []
    solve = _stores.done
    monkeypatch.setattr(_stores, "done", lambda *a: calls.append(1) or solve(*a))
    main([*words, "--resume", "--report", str(reports[1])])
    assert len(calls) == (4 if when == "copying" else 2)
    assert contents(output) == contents(whole)
    assert json.loads(reports[0].read_text()) == json.loads(reports[1].read_text())
    assert sorted(p.name for p in tmp_path.glob("*.zarr*")) == [
        "in.zarr",
        "out.zarr",
        "whole.zarr",
    ]


@pytest.mark.parametrize("force", [False, True])
def test_a_run_killed_after_it_renamed_the_store_resumes(
    tmp_path, store, monkeypatch, force
):
    """The store is complete then, and what the run kept is still there."""
    words = command(store, tmp_path / "out.zarr")
    main(command(store, tmp_path / "whole.zarr"))
    if force:
        main(command(store, tmp_path / "out.zarr", law=LAW.replace("280", "270")))
        words.append("--force")

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(_journal, "set_aside", killed)
        with pytest.raises(SystemExit):
            main(words)
    assert contents(tmp_path / "out.zarr") == contents(tmp_path / "whole.zarr")
    main([*words[:7], "--resume"])
    assert contents(tmp_path / "out.zarr") == contents(tmp_path / "whole.zarr")
    left = sorted(p.name for p in tmp_path.glob("*.zarr*"))
    assert left == ["in.zarr", "out.zarr", "whole.zarr"]


def test_a_page_of_a_resumed_run_shows_all_blocks(tmp_path, store, monkeypatch, capsys):
    """Also the errors of a law that ties all blocks together."""
    monkeypatch.setattr(_work, "VALUES_AT_ONCE", 100)
    pages = []
    for name in ("a", "b"):
        output = tmp_path / f"{name}.zarr"
        report = tmp_path / f"{name}.html"
        words = command(store, output, "--report", report, law=TIED)
        if name == "b":

            def interrupted(journal, start, *rest, add=_stores.Journal.add):
                add(journal, start, *rest)
                if start == 4:
                    raise KeyboardInterrupt

            with monkeypatch.context() as patch:
                patch.setattr(_stores.Journal, "add", interrupted)
                with pytest.raises(SystemExit):
                    main(words)
            words.append("--resume")
        main(words)
        text = (tmp_path / f"{name}.html").read_text()
        pages.append(text.replace(f"{name}.zarr", "out.zarr"))
    assert pages[0] == pages[1]
    assert contents(tmp_path / "a.zarr") == contents(tmp_path / "b.zarr")
    main(["audit", str(output), TIED])
    assert "0 of 1 rows violated" in capsys.readouterr().out


@pytest.mark.parametrize("version", [2, 3])
def test_packed_stores_are_unpacked(tmp_path, rng, version):
    tas = rng.normal(281, 3, (2, 5, 10)).round(2)
    tas[0, 0, 0] = np.nan
    attributes = {"units": "K", "valid_min": np.int16(-30000)}
    data = xr.Dataset({"tas": (("time", "lat", "lon"), tas, attributes)})
    packing = {
        "dtype": "i2",
        "scale_factor": 0.01,
        "add_offset": 280.0,
        "_FillValue": np.int16(-32768),
        "chunks": (1, 5, 5),
    }
    source, output = tmp_path / "in.zarr", tmp_path / "out.zarr"
    data.to_zarr(
        source, encoding={"tas": packing}, zarr_format=version, consolidated=False
    )
    main(command(source, output))
    with xr.open_zarr(output, consolidated=False) as found:
        values = found.tas.values
        assert values.dtype.kind == "f"
        np.testing.assert_array_equal(np.isnan(values), np.isnan(tas))
        eps = np.finfo(values.dtype).eps
        np.testing.assert_allclose(np.nanmean(values, (1, 2)), 280, rtol=2 * eps)
        assert found.tas.attrs == {"units": "K"}
        assert found.tas.encoding["chunks"] == (1, 5, 5)
        assert found.tas.dims == ("time", "lat", "lon")
    main(["audit", str(output), LAW])


def test_two_runs_never_write_the_same_store(tmp_path, store):
    output = tmp_path / "out.zarr"
    with (
        _stores.Journal.open(output, store, laws(LAW), resume=False),
        pytest.raises(SystemExit, match="another process"),
    ):
        main(command(store, output, "--resume"))
