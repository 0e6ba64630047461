"""Links of an HDF5 file, and how to write without following them out of the file."""

from typing import Any

from physcon._extras import needs

_MOST_LINKS = 64


def owned(file: Any, source: Any, name: str) -> str:
    """Return the path at which an object of `name` belongs to `file` itself.

    Soft links inside the file are followed. An external link on the way is replaced by
    a copy of its target, read from `source`: the same file opened for reading. The
    file that the link names is never opened for writing.

    Args:
        file: the output, an open `h5py.File`, at first a copy of the input.
        source: the input, opened with mode ``"r"``.
        name: path of the object, which must exist in `source`.
    """
    with needs("data"):
        import h5py

    left = [part for part in name.split("/") if part]
    done: list[str] = []
    copied = False  # below a copy, absolute links would start at another root
    for _ in range(_MOST_LINKS + len(left)):
        if not left:
            return "/".join(done)
        part = left.pop(0)
        here = "/" + "/".join(done)
        link = file[here].get(part, getlink=True)
        if isinstance(link, h5py.SoftLink) and not copied:
            target = link.path
            start = [] if target.startswith("/") else done
            parts = [p for p in target.split("/") if p and p != "."]
            left = [*start, *parts, *left]
            done = []
            continue
        done.append(part)
        if not isinstance(link, h5py.HardLink):
            target = source["/".join(done)]
            del file[here][part]
            file.copy(target, file[here], name=part)
            copied = True
    raise ValueError(f"{name!r} is a chain of more than {_MOST_LINKS} links")


def is_elsewhere(dataset: Any) -> bool:
    """Whether the numbers of a dataset lie in other files."""
    return bool(dataset.external) or dataset.is_virtual
