"""An HDF5 file on a disk that may become full.

The HDF5 library crashes the process if a write fails while a file is being closed. Here
it writes through a Python file which accepts everything; the first error is kept, and
raised after the library has closed the file in good order.
"""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from physcon._extras import needs


class _Forgiving(io.RawIOBase):
    """A file that remembers its first failed write instead of raising it."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b", buffering=0)
        self._end = os.fstat(self._file.fileno()).st_size
        self.error: OSError | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if whence == os.SEEK_END:
            return self._file.seek(self._end + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer; what a failed write left out is read as zeros."""
        view = memoryview(buffer).cast("B")
        count = 0
        while count < len(view):
            got = self._file.readinto(view[count:])
            if not got:
                break
            count += got
        if self.error is not None:
            view[count:] = bytes(len(view) - count)
            count = len(view)
        return count

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        start = self._file.tell()
        count = 0
        while count < len(view) and self.error is None:
            try:
                count += self._file.write(view[count:]) or 0
            except OSError as error:
                self.error = error
        self._end = max(self._end, start + len(view))
        self._file.seek(start + len(view))
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        size = self._file.tell() if size is None else size
        try:
            self._file.truncate(size)
        except OSError as error:
            self.error = self.error or error
        self._end = size
        return size

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def forgiving(path: str | os.PathLike, new: bool = False) -> Iterator[Any]:
    """Yield a Python file for the HDF5 library, and raise its first failed write.

    Raises:
        OSError: the disk is full, or the file can't be written for another reason.
    """
    path = Path(path)
    if new:
        path.write_bytes(b"")
    with _Forgiving(path) as stream:
        try:
            yield stream
        except Exception as error:
            if stream.error is None:
                raise
            raise stream.error from error
        if stream.error is not None:
            raise stream.error


@contextmanager
def open_hdf5(path: str | os.PathLike, mode: str) -> Iterator[Any]:
    """Yield an `h5py.File` for writing, with mode ``"w"`` or ``"r+"``.

    Raises:
        OSError: see `forgiving`.
    """
    with needs("data"):
        import h5py

    with forgiving(path, mode == "w") as stream, h5py.File(stream, mode) as file:
        yield file
