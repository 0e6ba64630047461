"""Files that can't be read or written end in one sentence, and leave nothing behind."""

import os
import subprocess
import sys
import zipfile

import h5py
import numpy as np
import pytest

from physcon._files import atomic_path, atomic_write
from physcon.cli import main
from physcon.constrain import Law, constrain_file
from physcon.io import read_arrays, write_arrays
from physcon.io._storage import open_hdf5

FACES = np.linspace(0, 1, 11)
FIELDS = {"mean": np.ones(10), "std": np.ones(10), "x": FACES}


def test_arrays_that_are_not_needed_are_not_read(tmp_path):
    """A small file that declares 8 TB: an error only for those who ask for them."""
    path = tmp_path / "in.h5"
    write_arrays(path, FIELDS)
    with h5py.File(path, "r+") as file:
        file.create_dataset("huge", (10**12,), "f8", chunks=(1000,))
    constrain_file(path, tmp_path / "out.h5", Law("2"))
    assert (tmp_path / "out.h5").stat().st_size < 2**20
    with pytest.raises(ValueError, match="'huge' declares 8e"):
        read_arrays(path, ["huge"])


def test_a_huge_member_of_an_archive_is_refused(tmp_path):
    path = tmp_path / "in.npz"
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**15,)}
    with zipfile.ZipFile(path, "w") as archive, archive.open("mean.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
    with pytest.raises(ValueError, match="does not fit in the memory"):
        read_arrays(path)


@pytest.mark.parametrize(
    ("ending", "method"),
    [
        (".npz", zipfile.ZIP_DEFLATED),
        (".npz", zipfile.ZIP_LZMA),
        (".h5", None),
        (".nc", None),
    ],
)
def test_flipped_and_missing_bytes_end_in_one_sentence(tmp_path, rng, ending, method):
    """Damaged bytes give either a right file or a sentence, for every parser error."""
    path = tmp_path / f"in{ending}"
    if ending == ".npz":
        with zipfile.ZipFile(path, "w", method) as archive:
            for name, array in FIELDS.items():
                with archive.open(name + ".npy", "w") as stream:
                    np.lib.format.write_array(stream, array)
    else:
        write_arrays(path, FIELDS)
    whole = path.read_bytes()
    messages = []
    for k in range(60):
        damaged = bytearray(whole)
        if k % 3:
            damaged[rng.integers(len(whole))] ^= 1 << rng.integers(8)
        else:
            del damaged[rng.integers(1, len(whole)) :]
        path.write_bytes(damaged)
        try:
            read_arrays(path)
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) >= 15
    assert not [message for message in messages if "\n" in message]


def test_a_way_to_compress_that_python_does_not_read(tmp_path):
    path = tmp_path / "in.npz"
    np.savez(path, **FIELDS)
    whole = bytearray(path.read_bytes())
    for start in (b"PK\x03\x04", b"PK\x01\x02"):
        at = whole.index(start) + (8 if start[2] == 3 else 10)
        whole[at : at + 2] = (97).to_bytes(2, "little")
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="compressed in a way"):
        read_arrays(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("array.npz", b"\x93NUMPY\x01\x00", "it is a .npy file"),
        ("a.nc", b"CDF\x05" + bytes(30), "nccopy -k nc4"),
        ("a.NC", b"text", "neither NetCDF4"),
    ],
)
def test_the_message_says_what_the_file_is(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_arrays(tmp_path / name)


def test_endings_may_be_capital(tmp_path):
    write_arrays(tmp_path / "a.NC", FIELDS)
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.NC")["x"], FACES)


def test_a_planted_link_is_not_followed(tmp_path):
    """The former temporary name, as a link to a file of someone else."""
    victim = tmp_path / "victim.txt"
    victim.write_text("untouched")
    (tmp_path / "a.npz.partial").symlink_to(victim)
    write_arrays(tmp_path / "a.npz", FIELDS)
    assert victim.read_text() == "untouched"


def test_an_output_that_is_a_link_leaves_its_target(tmp_path):
    victim = tmp_path / "victim.txt"
    victim.write_text("untouched")
    (tmp_path / "a.npz").symlink_to(victim)
    write_arrays(tmp_path / "a.npz", FIELDS, force=True)
    assert victim.read_text() == "untouched"
    assert not (tmp_path / "a.npz").is_symlink()


def test_two_writers_never_share_a_temporary_file(tmp_path):
    path = tmp_path / "a.txt"
    with atomic_path(path) as first, atomic_path(path) as second:
        assert first != second
        first.write_text("one")
        second.write_text("two")
    assert path.read_text() == "one"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_what_a_killed_process_left_is_removed(tmp_path):
    """Temporary files of running processes stay."""
    code = (
        "import os\nfrom physcon._files import atomic_path\n"
        "with atomic_path('a.txt') as p:\n p.write_text('half'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert len(list(tmp_path.glob("a.txt.*.partial"))) == 1
    with atomic_path(tmp_path / "a.txt") as running:
        with atomic_write(tmp_path / "a.txt", "w") as file:
            file.write("whole")
        assert sorted(p.name for p in tmp_path.iterdir()) == ["a.txt", running.name]
        running.write_text("later")
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def test_a_full_disk_is_an_error_and_no_crash(tmp_path):
    """HDF5 ends the process if a write fails while it closes a file."""
    code = (
        "import os, sys\nimport numpy as np\nimport physcon.io._storage as s\n"
        "import io\n"
        "class Full(s._Forgiving):\n"
        "    def write(self, data):\n"
        "        if self._end > 4000 and self.error is None:\n"
        "            self.error = OSError(28, 'No space left on device')\n"
        "        return super().write(data)\n"
        "s._Forgiving = Full\n"
        "try:\n"
        "    with s.open_hdf5(sys.argv[1], 'w') as file:\n"
        "        for k in range(20): file[f'g{k}/a'] = np.ones(3000)\n"
        "except OSError as error:\n"
        "    print('refused:', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.h5")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("refused: [Errno 28]")


def test_too_little_space_is_said_before_anything_is_written(tmp_path, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match="free space"):
        write_arrays(tmp_path / "a.h5", FIELDS)
    assert os.listdir(tmp_path) == []


def test_files_are_written_through_python(tmp_path):
    """The same file as h5py's own driver writes."""
    with open_hdf5(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", data=np.arange(1e4), chunks=(100,), compression=9)
    with open_hdf5(tmp_path / "a.h5", "r+") as file:
        file["a"][:] += 1
        file["b"] = 3
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["a"], np.arange(1e4) + 1)


@pytest.mark.parametrize("total", ["-1e-3", "-.5", "-2E+1", "-7"])
def test_negative_numbers_on_the_command_line(tmp_path, total):
    np.savez(tmp_path / "in.npz", **FIELDS)
    files = [str(tmp_path / "in.npz"), "-o", str(tmp_path / "out.npz")]
    main(["constrain", *files, "--integral", total, "--lower", "-1e3"])
    found = read_arrays(tmp_path / "out.npz")["mean"].mean()
    assert found == pytest.approx(float(total), rel=1e-12)


@pytest.mark.parametrize("words", [["x,y"], ["x", "y"], ["[x, y]"]])
def test_names_of_axes_on_the_command_line(tmp_path, words):
    plane = {"mean": np.ones((10, 4)), "std": np.ones((10, 4)), "x": FACES}
    np.savez(tmp_path / "in.npz", y=np.arange(5.0), **plane)
    files = [str(tmp_path / "in.npz"), "-o", str(tmp_path / "out.npz")]
    main(["constrain", *files, "--names.coordinates", *words, "--integral", "8"])
    np.testing.assert_allclose(read_arrays(tmp_path / "out.npz")["mean"], 2, 1e-14)
