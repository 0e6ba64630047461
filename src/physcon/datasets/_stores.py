"""Zarr stores: written block by block under another name, resumable, then renamed."""

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.datasets._journal import Journal, set_aside
from physcon.datasets._marks import open_marked
from physcon.datasets._names import changed_names, spread_names
from physcon.datasets._report import Report
from physcon.datasets._tied import Tied
from physcon.datasets._watch import Watch
from physcon.datasets._work import Work, blocks_of, done, joined, pieces_of

_PACKING = ("scale_factor", "add_offset", "_Unsigned")


def constrain_store(
    path: Path,
    output: Path,
    work: Work,
    watch: Watch,
    *,
    resume: bool,
) -> Report:
    """Copy a store, overwrite the changed variables block by block, and rename it.

    All of this happens in a folder next to the output. A killed run leaves that folder,
    and a run with `resume` continues after the blocks that it lists as finished.

    Raises:
        ValueError: an unfinished folder exists and `resume` is False, or it belongs to
            another run; or see `physcon.datasets.constrain`.
    """
    data = work.data
    laws = work.laws
    names = list(dict.fromkeys([*changed_names(laws), *spread_names(data, laws)]))
    with Journal.open(output, path, laws, resume=resume) as journal:
        if not journal.ready:
            _copied(path, journal.store, data, names)
            journal.start()
        whole = _write_blocks(path, work, names, journal, watch)
        _replace_folder(journal.store, output)
    return whole


def region(dims: Sequence[Any], outer: str | None, where: slice) -> tuple[slice, ...]:
    """Return the part of an array that belongs to a block."""
    return tuple(where if d == outer else slice(None) for d in dims)


def _write_blocks(
    path: Path, work: Work, names: list[str], journal: Journal, watch: Watch
) -> Report:
    """Write all blocks that are not finished, and return the report of all blocks."""
    with needs("data"):
        import zarr

    outer = work.outer
    lengths = chunk_lengths(path, work.data, names)
    blocks = blocks_of(work, 1 if outer is None else lengths[outer])
    count = 1 if outer is None else work.data.sizes[outer]
    work.prepare(blocks, lambda: watch.reading(count, outer or "block"))
    store = zarr.open_group(journal.store, mode="r+", use_consolidated=False)
    whole: Report | None = None
    for where, _ in blocks:
        start = where.start or 0
        count = 1 if outer is None else (where.stop or 0) - start
        report = journal.finished(start, count)
        if report is None:
            before, after, report = done(work, where)
            for name in names:
                target: Any = store[name]
                here = region(before[name].dims, outer, where)
                target[here] = _encoded(after[name], target)
            journal.add(start, count, report)
            watch.block((before, after), outer, start, count)
        else:
            _note_finished(work, journal, where, watch)
        whole = joined(whole, report, outer, start)
    assert whole is not None
    return work.whole(whole)


def _note_finished(work: Work, journal: Journal, where: slice, watch: Watch) -> None:
    """Take note of a block that an earlier run has written."""
    outer = work.outer
    start = where.start or 0
    count = 1 if outer is None else (where.stop or 0) - start
    if not (watch.needs_values or isinstance(work, Tied)):
        watch.block((), outer, start, count)
        return
    options: Any = {"backend_kwargs": {"consolidated": False}, "engine": "zarr"}
    with open_marked(journal.store, chunks=None, **options) as new:
        for piece in pieces_of(work, where):
            work.note(piece, new if outer is None else new.isel({outer: piece}))
        both: Any = (work.data, new) if watch.needs_values else ()
        if outer is not None:
            both = tuple(d.isel({outer: where}) for d in both)
        watch.block(both, outer, start, count)


def chunk_lengths(path: Path, data: Any, names: list[str]) -> dict[str, int]:
    """Return the lengths of whole chunks of all changed variables, by dimension."""
    with needs("data"):
        import zarr

    store: Any = zarr.open_group(path, mode="r", use_consolidated=False)
    lengths: dict[str, int] = {}
    for name in names:
        array = store[name]
        chunks = getattr(array, "shards", None) or array.chunks
        for dim, chunk in zip(map(str, data[name].dims), chunks, strict=True):
            lengths[dim] = int(np.lcm(lengths.get(dim, 1), int(chunk)))
    return lengths


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
    store = zarr.open_group(new, mode="r+", use_consolidated=False)
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
    marks = {} if unpacked else {k: v for k, v in array.encoding.items() if k in known}
    plain.encoding = dict([*marks.items()][:1])  # one for all, as xarray wants it
    return encode_cf_variable(plain).values.astype(target.dtype)


def _replace_folder(new: Path, output: Path) -> None:
    """Rename a folder, and remove what it replaces."""
    if new != output:
        if output.exists():
            set_aside(output, output)
        os.rename(new, output)
    replaced = re.compile(re.escape(output.name) + r"\.[0-9a-f]{16}\.old")
    for path in output.parent.iterdir():
        if replaced.fullmatch(path.name):
            shutil.rmtree(path)
