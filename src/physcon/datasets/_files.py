"""Datasets in files and stores: open without decoding times, write what changed."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._files import check_output
from physcon._require import require
from physcon.datasets._constrain import audited
from physcon.datasets._groups import groups_of, store_groups, with_groups
from physcon.datasets._initial import with_first_targets
from physcon.datasets._journal import is_published
from physcon.datasets._laws import Laws
from physcon.datasets._marks import open_marked
from physcon.datasets._names import changed_names, check_names, spread_names
from physcon.datasets._report import Report
from physcon.datasets._stores import chunk_lengths, constrain_store, region
from physcon.datasets._watch import Watch
from physcon.datasets._words import lead_of
from physcon.datasets._work import Work, blocks_of, chunk_of, done, joined, work_on
from physcon.io import array_names, write_arrays
from physcon.io.predictions import odd_names, takes_blocks, write_blocks

_NETCDF = (".nc", ".nc4", ".cdf", ".h5", ".hdf5", ".he5")


def audit_file(path: str | Path, laws: Laws, watch: Watch | None = None) -> Report:
    """Return how far the dataset in a file is from obeying laws.

    Raises:
        ValueError: the file can't be read, or see `physcon.datasets.audit`.
    """
    watch = watch or Watch()
    with opened(path) as data:
        check_names(data, laws)
        stored = _stored_lengths(Path(path), data, changed_names(laws))
        report = audited(data, laws, watch, stored)
        lead = [f"File: {Path(path).name}. Nothing was changed."]
        lead += lead_of(laws, spread=False)
        watch.write(report, f"Audit of {Path(path).name}", lead)
    return report


def constrain_dataset_file(
    path: str | Path,
    output: str | Path,
    laws: Laws,
    *,
    force: bool = False,
    resume: bool = False,
    watch: Watch | None = None,
) -> Report:
    """Write a copy of a NetCDF file or Zarr store in which the laws hold.

    Only the variables that change are written; all else is copied. A store is read and
    written piece by piece, so that it may be larger than the memory.

    Args:
        path: the file or store.
        output: the file or store to write, with the same ending.
        laws: the laws.
        force: replace an existing output.
        resume: continue a store that a killed process left unfinished.
        watch: shows progress, and writes a report.

    Raises:
        ValueError: see `physcon.datasets.constrain`. Nothing is written then.
    """
    path, output = Path(path), Path(output)
    watch = watch or Watch()
    store = path.suffix.lower() == ".zarr"
    done = store and resume and is_published(output)
    check_output(output, path, force=force or done)
    require(
        output.suffix.lower() == path.suffix.lower(),
        f"the ending {path.suffix}",
        output.suffix,
        "keep the format of the input",
    )
    require(
        store or not resume,
        "a Zarr store for --resume",
        path.name,
        "leave out --resume: a NetCDF file is written anew",
    )
    with opened(path) as data:
        check_names(data, laws)
        data, laws = with_first_targets(data, laws)
        names = [*changed_names(laws), *spread_names(data, laws)]
        stored = _stored_lengths(path, data, names)
        work = work_on(data, laws, fixing=True, stored=stored, folder=output.parent)
        with watch.over(data, laws, work.outer, after=True):
            if store:
                report = constrain_store(path, output, work, watch, resume=resume)
            else:
                report = _constrain_netcdf(path, output, work, watch, force=force)
        files = f"File before: {path.name}. File after: {output.name}."
        watch.write(report, f"Correction of {path.name}", [files, *lead_of(laws)])
    return report


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """Yield the dataset of a NetCDF file, a Zarr store or a mesh file.

    Times stay numbers. Variables that are no numbers, such as text and records, are
    left out. Those in groups have names such as ``surface/ts``.
    """
    path = Path(path)
    ending = path.suffix.lower()
    options: Any = {}
    require(path.exists(), "a file or a store", f"no file at {path}", "check the path")
    if ending == ".zarr":
        with needs("data"):
            import zarr  # noqa: F401
        options["backend_kwargs"] = {"consolidated": False}
        options |= {"engine": "zarr", "chunks": None}
        with (
            open_marked(path, **options) as data,
            with_groups(data, path, store_groups(path), [], options) as whole,
        ):
            yield whole
        return
    if ending not in _NETCDF:
        from physcon.datasets import _mesh_files  # imports JAX

        if _mesh_files.is_mesh_file(path):
            yield _mesh_files.mesh_dataset(path)
            return
    require(
        ending in _NETCDF,
        f"a dataset with named dimensions: {', '.join((*_NETCDF, '.zarr'))}",
        f"{path.name!r}",
        "convert the file, or use --integral for arrays without named dimensions",
    )
    every = array_names(path)  # raises a sentence, if the file can't be read
    with path.open("rb") as stream:
        old = stream.read(3) == b"CDF"
    odd = odd_names(path)
    options["engine"] = "scipy" if old else "h5netcdf"
    groups = [] if old else groups_of(every)
    if not old:
        options["phony_dims"] = "sort"  # names for the axes of plain HDF5 datasets
    with warnings.catch_warnings():
        # Each of several marks is kept where it is.
        warnings.filterwarnings("ignore", ".*multiple fill values")
        data = open_marked(path, drop_variables=odd, **options)
        several = with_groups(data, path, groups, odd, options)
        with data, several as whole:
            yield whole


def _constrain_netcdf(
    path: Path, output: Path, work: Work, watch: Watch, *, force: bool
) -> Report:
    """Write a NetCDF file, in blocks where the format allows it."""
    names = [*changed_names(work.laws), *spread_names(work.data, work.laws)]
    reports: list[Report] = []
    blocks = _written(work, list(dict.fromkeys(names)), watch, reports)
    netcdf = path.suffix.lower() in _NETCDF
    if netcdf and takes_blocks(path, names):
        write_blocks(output, blocks, path, force=force)
        return work.whole(reports[0])
    arrays: dict[str, np.ndarray] = {}
    for block in blocks:
        for name, (here, values) in block.items():
            whole = arrays.setdefault(
                name, np.empty(work.data[name].shape, values.dtype)
            )
            whole[here] = values
    if netcdf:
        write_arrays(output, arrays, like=path, force=force)
    else:
        from physcon.datasets._mesh_files import write_mesh_file

        write_mesh_file(path, output, arrays)
    return work.whole(reports[0])


def _written(
    work: Work, names: list[str], watch: Watch, reports: list[Report]
) -> Iterator[dict[str, tuple[Any, Any]]]:
    """Yield constrained parts of variables; `reports` gets the one of all parts."""
    outer = work.outer
    stored = _stored_lengths(Path(), work.data, names)
    blocks = blocks_of(work, chunk_of(work, stored))
    count = 1 if outer is None else work.data.sizes[outer]
    work.prepare(blocks, lambda: watch.reading(count, outer or "block"))
    for where, _ in blocks:
        before, after, report = done(work, where)
        whole = reports.pop() if reports else None
        start = where.start or 0
        reports.append(joined(whole, report, outer, start))
        length = 1 if outer is None else after.sizes[outer]
        watch.block((before, after), outer, start, length)
        yield {
            name: (region(before[name].dims, outer, where), after[name].values)
            for name in names
        }


def _stored_lengths(path: Path, data: Any, names: list[str]) -> dict[str, int]:
    """Return the lengths of the chunks of variables in a file, by dimension."""
    if path.suffix.lower() == ".zarr":
        return chunk_lengths(path, data, names)
    lengths: dict[str, int] = {}
    for name in names:
        for dim, chunk in data[name].encoding.get("preferred_chunks", {}).items():
            lengths[str(dim)] = int(np.lcm(lengths.get(str(dim), 1), int(chunk)))
    return lengths
