"""The hand-written C loop of euler_muscl.c, compiled on the spot; absent without cc."""

import ctypes
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

#: The last two change no result: they allow vectors of square roots and of selections.
FLAGS = ("-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math")


def c_loop(
    u: np.ndarray, end: float, cfl: float
) -> tuple[Callable[[], int], np.ndarray] | None:
    """A closure that runs one solve on the unit interval or square and returns its cell
    steps; and the final state, written by the last call. None where there is no C
    compiler.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    dimensions, size = u.ndim - 1, u.shape[-1]
    real, number = {"f": ("float", ctypes.c_float), "d": ("double", ctypes.c_double)}[
        u.dtype.char
    ]
    source = Path(__file__).with_name("euler_muscl.c")
    with tempfile.TemporaryDirectory() as folder:
        library = str(Path(folder) / "euler.so")
        options = [*FLAGS, "-shared", "-fPIC", f"-Dreal={real}", f"-DD={dimensions}"]
        subprocess.run(
            [compiler, *options, str(source), "-o", library, "-lm"], check=True
        )
        euler = ctypes.CDLL(library).euler
    euler.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_int,
        number,
        number,
        number,
    ]
    # The first axis is columns in the C loop and rows here.
    order = [0, 2, 1, 3] if dimensions == 2 else [0, 1, 2]
    start = np.ascontiguousarray(u[order])
    state, final = start.copy(), np.empty_like(u)

    def call() -> int:
        state[...] = start
        rows = size if dimensions == 2 else 1
        steps = euler(state.ctypes.data, size, rows, 1 / size, end, cfl)
        final[order] = state
        return size**dimensions * steps

    return call, final
