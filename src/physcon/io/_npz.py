"""Arrays in .npz files, each member read or copied by itself; nothing is unpickled."""

import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from physcon.io._dtypes import describe, is_number

Arrays = dict[str, np.ndarray]


def names(path: Path) -> list[str]:
    """Return the names of the arrays."""
    with _opened(path) as archive:
        return [_name(member) for member in archive.namelist()]


def units(path: Path, wanted: Iterable[str]) -> dict[str, str]:
    """Return nothing: arrays have no attributes in this format."""
    return {}


def odd_names(path: Path) -> list[str]:
    """Return nothing: members are read one by one."""
    return []


def dimensions(path: Path, wanted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return nothing: axes have no names in this format."""
    return {}


def read(path: Path, wanted: Iterable[str] | None) -> Arrays:
    """Return the arrays named, or all arrays of numbers."""
    arrays: Arrays = {}
    with _opened(path) as archive:
        for member in archive.namelist():
            name = _name(member)
            if wanted is not None and name not in wanted:
                continue
            with archive.open(member) as stream:
                array = np.lib.format.read_array(stream, allow_pickle=False)
            if wanted is None and not is_number(array.dtype):
                continue
            if not is_number(array.dtype):
                raise ValueError(f"{name!r} holds {describe(array.dtype)}, not numbers")
            arrays[name] = array
    return arrays


def write(path: Path, arrays: Arrays, like: Path | None) -> None:
    """Write arrays, and copy all other members of `like` byte by byte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, allowZip64=True) as output:
        left = dict(arrays)
        if like is not None:
            with _opened(like) as source:
                for info in source.infolist():
                    array = left.pop(_name(info.filename), None)
                    new = zipfile.ZipInfo(info.filename, info.date_time)
                    new.compress_type = info.compress_type
                    new.external_attr = info.external_attr
                    with output.open(new, "w", force_zip64=True) as target:
                        if array is None:
                            with source.open(info) as stream:
                                shutil.copyfileobj(stream, target, 2**20)
                        else:
                            _write_array(target, array)
        for name, array in left.items():
            with output.open(name + ".npy", "w", force_zip64=True) as target:
                _write_array(target, array)


def _write_array(stream, array: np.ndarray) -> None:
    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=False)


def _opened(path: Path) -> zipfile.ZipFile:
    with path.open("rb") as stream:
        start = stream.read(6)
    if start == b"\x93NUMPY":
        raise ValueError(
            "it is a .npy file, one array without a name: "
            "save by np.savez(file, mean=..., x=...)"
        )
    return zipfile.ZipFile(path)


def _name(member: str) -> str:
    return member.removesuffix(".npy")
