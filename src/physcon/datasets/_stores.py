"""Zarr stores: written block by block under another name, resumable, then renamed."""

import os
import secrets
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.datasets._batches import batch_dim
from physcon.datasets._constrain import constrain_with_report, joined, parts
from physcon.datasets._journal import Journal
from physcon.datasets._laws import Laws
from physcon.datasets._names import changed_names, spread_names
from physcon.datasets._report import Report
from physcon.datasets._watch import Watch

_PACKING = ("scale_factor", "add_offset", "_Unsigned")


def constrain_store(
    path: Path, output: Path, data: Any, laws: Laws, watch: Watch, *, resume: bool
) -> Report:
    """Copy a store, overwrite the changed variables block by block, and rename it.

    All of this happens in a folder next to the output. A killed run leaves that folder,
    and a run with `resume` continues after the blocks that it lists as finished.

    Raises:
        ValueError: an unfinished folder exists and `resume` is False, or it belongs to
            another run; or see `physcon.datasets.constrain`.
    """
    outer = batch_dim(data, laws, changed_names(laws))
    names = list(dict.fromkeys([*changed_names(laws), *spread_names(data, laws)]))
    least = 1 if outer is None else _least(path, data, names, outer)
    partial = output.with_name(f"{output.name}.partial")
    with Journal.open(partial, path, laws, resume=resume) as journal:
        if not journal.ready:
            _copied(path, journal.store, data, names)
            journal.start()
        whole = _write_blocks(data, laws, outer, names, least, journal, watch)
        _replace_folder(journal.store, output)
    return whole


def region(dims: Sequence[Any], outer: str | None, where: slice) -> tuple[slice, ...]:
    """Return the part of an array that belongs to a block."""
    return tuple(where if d == outer else slice(None) for d in dims)


def _write_blocks(
    data: Any,
    laws: Laws,
    outer: str | None,
    names: list[str],
    least: int,
    journal: Journal,
    watch: Watch,
) -> Report:
    """Write all blocks that are not finished, and return the report of all blocks."""
    with needs("data"):
        import xarray as xr
        import zarr

    store = zarr.open_group(journal.store, mode="r+")
    whole: Report | None = None
    for where, part in parts(data, laws, outer, least):
        start = where.start or 0
        count = 1 if outer is None else part.sizes[outer]
        report = journal.finished(start, count)
        if report is None:
            fixed, report = constrain_with_report(part, laws)
            for name in names:
                target: Any = store[name]
                here = region(data[name].dims, outer, where)
                target[here] = _encoded(fixed[name], target)
            journal.add(start, count, report)
            watch.block((part, fixed), outer, start, count)
        elif watch.needs_values:
            options: Any = {"decode_times": False, "decode_timedelta": False}
            options["backend_kwargs"] = {"consolidated": False}
            new = xr.open_dataset(journal.store, engine="zarr", chunks=None, **options)
            after = new if outer is None else new.isel({outer: where})
            watch.block((part, after), outer, start, count)
        else:
            watch.block((), outer, start, count)
        whole = joined(whole, report, outer, start)
    assert whole is not None
    return whole


def _least(path: Path, data: Any, names: list[str], outer: str) -> int:
    """Return the length of whole chunks of all changed variables along a dimension."""
    with needs("data"):
        import zarr

    store: Any = zarr.open_group(path, mode="r")
    lengths = []
    for name in names:
        array = store[name]
        chunks = getattr(array, "shards", None) or array.chunks
        lengths.append(int(chunks[data[name].dims.index(outer)]))
    return int(np.lcm.reduce(lengths))


def _copied(path: Path, new: Path, data: Any, names: list[str]) -> None:
    """Copy a store, with empty arrays for the variables that will be written."""
    with needs("data"):
        import zarr

    changed = {path / name for name in names}

    def skipped(folder: str, entries: list[str]) -> set[str]:
        if Path(folder) not in changed:
            return set()
        return {e for e in entries if not e.startswith(".z") and e != "zarr.json"}

    shutil.copytree(path, new, ignore=skipped, dirs_exist_ok=True)
    store = zarr.open_group(new, mode="r+")
    anew = [name for name in names if _is_packed(store[name])]
    for name in anew:
        _unpack(store, name, data[name])
    if anew and (path / ".zmetadata").exists():
        zarr.consolidate_metadata(new, zarr_format=2)


def _is_packed(array: Any) -> bool:
    return array.dtype.kind != "f" or any(k in array.attrs for k in _PACKING)


def _unpack(store: Any, name: str, values: Any) -> None:
    """Replace a packed array by an empty one of floating-point numbers."""
    old = store[name]
    dtype = values.dtype if values.dtype.kind == "f" else np.dtype(np.float64)
    drop = (*_PACKING, "_FillValue", "missing_value", "valid_min", "valid_max")
    drop = (*drop, "valid_range", "actual_range")
    kept = {k: v for k, v in dict(old.attrs).items() if k not in drop}
    layout: dict[str, Any] = {"shape": old.shape, "chunks": old.chunks, "dtype": dtype}
    if old.metadata.zarr_format == 2:
        layout["compressors"] = old.compressors or None
        layout["chunk_key_encoding"] = {
            "name": "v2",
            "separator": old.metadata.dimension_separator,
        }
    else:
        layout["compressors"] = old.compressors
        layout["dimension_names"] = old.metadata.dimension_names
    store.create_array(
        name, **layout, fill_value=np.nan, attributes=kept, overwrite=True
    )


def _encoded(array: Any, target: Any) -> Any:
    """Return values as the store holds them, with its mark for missing ones."""
    from xarray.conventions import encode_cf_variable

    known = ("_FillValue", "missing_value")
    plain = array.variable.copy()
    unpacked = any(k in array.encoding for k in _PACKING)
    unpacked = unpacked or np.dtype(array.encoding.get("dtype", "f8")).kind != "f"
    kept = {} if unpacked else {k: v for k, v in array.encoding.items() if k in known}
    plain.encoding = kept
    return encode_cf_variable(plain).values.astype(target.dtype)


def _replace_folder(new: Path, output: Path) -> None:
    if output.exists():
        old = output.with_name(f"{output.name}.{secrets.token_hex(8)}.old")
        os.rename(output, old)
        os.rename(new, output)
        shutil.rmtree(old)
    else:
        os.rename(new, output)
