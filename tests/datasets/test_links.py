"""Nothing but the output changes: links and data that lie in other files."""

import hashlib

import h5py
import numpy as np
import pytest

from physcon.constrain import Law, constrain_file
from physcon.io import array_names, read_arrays, write_arrays

X = np.linspace(0, 1, 9)
MEAN = np.arange(8.0)
TOTAL = 2.0


@pytest.fixture
def parts(tmp_path):
    """A file of plain datasets that other files refer to, and its digest."""
    with h5py.File(tmp_path / "parts.h5", "w") as file:
        file["mean"] = MEAN
        file["std"] = np.ones(8)
        file["group/mean"] = MEAN
        file["group/std"] = np.ones(8)
        file["group/note"] = "kept"
    return tmp_path / "parts.h5"


def virtual(file, parts):
    for name in ("mean", "std"):
        layout = h5py.VirtualLayout((8,), "f8")
        layout[:] = h5py.VirtualSource(parts, name, (8,))
        file.create_virtual_dataset(name, layout)
    return "mean", "std"


def unlimited_virtual(file, parts):
    with h5py.File(parts.parent / "grow.h5", "w") as source:
        for name, values in (("mean", MEAN), ("std", np.ones(8))):
            source.create_dataset(name, data=values, maxshape=(None,))
    for name in ("mean", "std"):
        source = h5py.VirtualSource(
            parts.parent / "grow.h5", name, (8,), maxshape=(None,)
        )
        layout = h5py.VirtualLayout((8,), "f8", maxshape=(None,))
        unlimited = h5py.h5s.UNLIMITED
        layout[0:unlimited] = source[0:unlimited]
        file.create_virtual_dataset(name, layout)
    return "mean", "std"


def external_storage(file, parts):
    for name, values in (("mean", MEAN), ("std", np.ones(8))):
        raw = parts.parent / f"{name}.raw"
        raw.write_bytes(values.tobytes())
        file.create_dataset(name, (8,), "f8", external=[(str(raw), 0, 64)])
    return "mean", "std"


def external_links(file, parts):
    for name in ("mean", "std"):
        file[name] = h5py.ExternalLink(str(parts), name)
    return "mean", "std"


def external_group(file, parts):
    file["there"] = h5py.ExternalLink(str(parts), "group")
    return "there/mean", "there/std"


def soft_links(file, parts):
    file["data/a/mean"] = MEAN
    file["data/std"] = np.ones(8)
    file["mean"] = h5py.SoftLink("/data/a/mean")
    file["data/a/std"] = h5py.SoftLink("/data/std")
    file["std"] = h5py.SoftLink("data/a/std")
    return "mean", "std"


def soft_to_external(file, parts):
    file["far"] = h5py.ExternalLink(str(parts), "group")
    for name in ("mean", "std"):
        file[name] = h5py.SoftLink(f"far/{name}")
    return "mean", "std"


KINDS = [
    virtual,
    unlimited_virtual,
    external_storage,
    external_links,
    external_group,
    soft_links,
    soft_to_external,
]


def digests(folder):
    return {
        p.name: (hashlib.sha256(p.read_bytes()).hexdigest(), p.stat().st_mtime_ns)
        for p in folder.iterdir()
    }


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_output_changes(tmp_path, parts, kind):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        names = kind(file, parts)
        file["x"] = X
    before = digests(tmp_path)
    shown = read_arrays(tmp_path / "in.h5", names)
    np.testing.assert_array_equal(shown[names[0]], MEAN)
    shifted = MEAN + 1
    new = {names[0]: shifted, names[1]: np.full(8, 0.5)}
    write_arrays(tmp_path / "out.h5", new, like=tmp_path / "in.h5")
    after = digests(tmp_path)
    del after["out.h5"]
    assert after == before
    for path in tmp_path.iterdir():  # the output depends on no other file
        if path.name not in ("out.h5",):
            path.unlink()
    out = read_arrays(tmp_path / "out.h5", names)
    np.testing.assert_array_equal(out[names[0]], shifted)
    np.testing.assert_array_equal(out[names[1]], 0.5)


def test_soft_links_are_followed_and_not_replaced(tmp_path, parts):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        soft_links(file, parts)
        file["x"] = X
    constrain_file(tmp_path / "in.h5", tmp_path / "out.h5", Law(str(TOTAL)))
    with h5py.File(tmp_path / "out.h5") as file:
        assert isinstance(file.get("mean", getlink=True), h5py.SoftLink)
        assert file["data/a/mean"][()].sum() / 8 == pytest.approx(TOTAL, rel=1e-14)
        assert file["mean"] == file["data/a/mean"]


def test_a_copied_group_keeps_the_rest(tmp_path, parts):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        external_group(file, parts)
    write_arrays(tmp_path / "out.h5", {"there/mean": MEAN * 2}, like=tmp_path / "in.h5")
    with h5py.File(tmp_path / "out.h5") as file:
        assert file["there/note"][()] == b"kept"
        assert isinstance(file.get("there", getlink=True), h5py.HardLink)


def test_a_new_array_is_not_written_through_a_link(tmp_path, parts):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        external_group(file, parts)
    before = parts.read_bytes()
    write_arrays(tmp_path / "out.h5", {"there/new": MEAN}, like=tmp_path / "in.h5")
    assert parts.read_bytes() == before
    assert "there/new" in array_names(tmp_path / "out.h5") or np.array_equal(
        read_arrays(tmp_path / "out.h5", ["there/new"])["there/new"], MEAN
    )


def test_a_link_to_a_missing_file_is_named(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["x"] = X
        file["mean"] = h5py.ExternalLink("absent.h5", "mean")
        file["std"] = np.ones(8)
    with pytest.raises(ValueError, match="'mean'"):
        constrain_file(tmp_path / "in.h5", tmp_path / "out.h5", Law("1"))
    assert not (tmp_path / "out.h5").exists()


def test_one_dataset_with_two_names_cannot_take_two_results(tmp_path):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["mean"] = MEAN
        file["std"] = file["mean"]
    new = {"mean": MEAN + 1, "std": np.ones(8)}
    with pytest.raises(ValueError, match=r"of its own for 'std'.*'mean'"):
        write_arrays(tmp_path / "out.h5", new, like=tmp_path / "in.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["in.h5"]


@pytest.mark.parametrize("kind", ["symlink_to", "hardlink_to"])
def test_a_command_does_not_replace_its_input(tmp_path, kind):
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["mean"] = MEAN
        file["std"] = np.ones(8)
        file["x"] = X
    before = (tmp_path / "in.h5").read_bytes()
    getattr(tmp_path / "other.h5", kind)(tmp_path / "in.h5")
    for name in ("in.h5", "other.h5"):
        with pytest.raises(ValueError, match=r"other than the input.*same file"):
            constrain_file(tmp_path / "in.h5", tmp_path / name, Law("1"), force=True)
    assert (tmp_path / "in.h5").read_bytes() == before
