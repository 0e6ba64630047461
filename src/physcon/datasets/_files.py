"""Datasets in files and stores: open without decoding times, write what changed."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from physcon._checks import require
from physcon._extras import needs
from physcon.datasets._batches import batch_dim
from physcon.datasets._constrain import audit, block_length, constrain_with_report
from physcon.datasets._laws import Laws
from physcon.datasets._names import changed_names, check_names, spread_names
from physcon.datasets._report import Report
from physcon.io import array_names, write_arrays
from physcon.io.predictions import odd_names, takes_blocks, write_blocks

with needs("data"):
    import xarray as xr

_NETCDF = (".nc", ".nc4", ".cdf")


def audit_file(path: str | Path, laws: Laws) -> Report:
    """Return how far the dataset in a file is from obeying laws.

    Raises:
        ValueError: the file can't be read, or see `physcon.datasets.audit`.
    """
    with opened(path) as data:
        return audit(data, laws)


def constrain_dataset_file(
    path: str | Path, output: str | Path, laws: Laws, force: bool = False
) -> Report:
    """Write a copy of a NetCDF file or Zarr store in which the laws hold.

    Only the variables that change are written; all else is copied. A store is read and
    written piece by piece, so that it may be larger than the memory.

    Raises:
        ValueError: see `physcon.datasets.constrain`. Nothing is written then.
    """
    path, output = Path(path), Path(output)
    require(
        force or not output.exists(),
        "a new file",
        f"{output} exists",
        "choose another name, or replace the file by --force",
    )
    require(
        output.suffix.lower() == path.suffix.lower(),
        f"the ending {path.suffix}",
        output.suffix,
        "keep the format of the input",
    )
    with opened(path) as data:
        check_names(data, laws)
        names = [*changed_names(laws), *spread_names(data, laws)]
        if path.suffix.lower() == ".zarr":
            return _constrain_store(path, output, data, laws, names)
        outer = batch_dim(data, laws, changed_names(laws))
        if outer is not None and takes_blocks(path):
            reports: list[Report] = []
            blocks = _fixed_blocks(data, laws, outer, names, reports)
            write_blocks(output, blocks, path, force)
            return Report.joined(reports)
        fixed, report = constrain_with_report(data, laws)
        arrays = {name: fixed[name].values for name in dict.fromkeys(names)}
    write_arrays(output, arrays, like=path, force=force)
    return report


@contextmanager
def opened(path: str | Path) -> Iterator[Any]:
    """Yield the dataset of a NetCDF file or Zarr store, read when it is needed.

    Times stay numbers. Variables that are no numbers, such as text and records, are
    left out.
    """
    path = Path(path)
    ending = path.suffix.lower()
    options: Any = {"decode_times": False, "decode_timedelta": False}
    require(path.exists(), "a file or a store", f"no file at {path}", "check the path")
    if ending == ".zarr":
        with needs("data"):
            import zarr  # noqa: F401
        options["backend_kwargs"] = {"consolidated": False}
        with xr.open_dataset(path, engine="zarr", chunks=None, **options) as data:
            yield data
        return
    require(
        ending in _NETCDF,
        f"a dataset with named dimensions: {', '.join((*_NETCDF, '.zarr'))}",
        f"{path.name!r}",
        "convert the file, or use --integral for arrays without named dimensions",
    )
    array_names(path)  # a sentence, if the file can't be read
    with path.open("rb") as stream:
        old = stream.read(3) == b"CDF"
    odd = odd_names(path)
    engine: Any = "scipy" if old else "h5netcdf"
    with xr.open_dataset(path, engine=engine, drop_variables=odd, **options) as data:
        yield data


def _fixed_blocks(
    data: Any, laws: Laws, outer: str, names: list[str], reports: list[Report]
) -> Iterator[dict[str, tuple[Any, Any]]]:
    """Yield constrained parts of variables; their reports are appended."""
    step = block_length(data, laws, outer)
    for start in range(0, data.sizes[outer], step):
        block = slice(start, start + step)
        fixed, report = constrain_with_report(data.isel({outer: block}), laws)
        reports.append(report)
        parts = {}
        for name in dict.fromkeys(names):
            dims = data[name].dims
            where = tuple(block if d == outer else slice(None) for d in dims)
            parts[name] = (where, fixed[name].values)
        yield parts


def _constrain_store(
    path: Path, output: Path, data: Any, laws: Laws, names: list[str]
) -> Report:
    """Copy a store, overwrite the changed variables block by block, and rename it."""
    with needs("data"):
        import zarr

    outer = batch_dim(data, laws, changed_names(laws))
    partial = output.with_name(f"{output.name}.{secrets.token_hex(8)}.partial")
    try:
        shutil.copytree(path, partial)
        store = zarr.open_group(partial, mode="r+")
        reports = []
        for block in _blocks(data, laws, outer, store, names):
            part = data if outer is None else data.isel({outer: block})
            fixed, report = constrain_with_report(part.load(), laws)
            reports.append(report)
            for name in names:
                target: Any = store[name]
                where = tuple(
                    block if d == outer else slice(None) for d in data[name].dims
                )
                target[where] = _encoded(fixed[name], target)
        _replace_folder(partial, output)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Report.joined(reports)


def _blocks(
    data: Any, laws: Laws, outer: str | None, store: Any, names: list[str]
) -> Iterator[slice]:
    """Yield slices of the outer dimension that hold whole chunks of the store."""
    if outer is None:
        yield slice(None)
        return
    step = block_length(data, laws, outer)
    name = names[0]
    chunk = store[name].chunks[data[name].dims.index(outer)]
    step = max(chunk, step - step % chunk)
    for start in range(0, data.sizes[outer], step):
        yield slice(start, start + step)


def _encoded(array: Any, target: Any) -> Any:
    """Return values as the store holds them: scaled, with its mark for missing ones."""
    from xarray.conventions import encode_cf_variable

    encoding = {
        k: v
        for k, v in array.encoding.items()
        if k in ("_FillValue", "missing_value", "scale_factor", "add_offset")
    }
    packed = target.dtype.kind != "f"
    require(
        not packed,
        f"floating-point numbers in {array.name!r} of a store",
        str(target.dtype),
        "unpack the variable first: packed integers would round the result",
    )
    plain = array.variable.copy()
    plain.encoding = encoding
    return encode_cf_variable(plain).values.astype(target.dtype)


def _replace_folder(partial: Path, output: Path) -> None:
    if output.exists():
        old = output.with_name(f"{output.name}.{secrets.token_hex(8)}.old")
        os.rename(output, old)
        os.rename(partial, output)
        shutil.rmtree(old)
    else:
        os.rename(partial, output)
