"""Columns of a snapshot that are written as they come: ``.npy`` files whose length is known at the end."""

from pathlib import Path

import numpy as np

_REMAP_ROWS = 4_000_000


class Growing:
    """An ``.npy`` file of one dimension whose length is known when it is closed."""

    def __init__(self, path: Path, dtype: np.dtype) -> None:
        self._file, self._dtype, self._n = path.open("wb"), dtype, 0
        self._write_header()

    def append(self, array: np.ndarray) -> None:
        self._file.write(np.ascontiguousarray(array, self._dtype).data)
        self._n += len(array)

    def close(self) -> None:
        self._file.seek(0)
        self._write_header()  # numpy leaves room for the longest length
        self._file.close()

    def _write_header(self) -> None:
        header = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._n,),
        }
        np.lib.format.write_array_header_1_0(self._file, header)


def remap(path: Path, final: np.ndarray) -> None:
    """Replace each code in a file by ``final[code]``."""
    codes = np.load(path, mmap_mode="r")
    offset = path.stat().st_size - codes.nbytes
    with path.open("r+b") as file:  # written, not mapped: a full disk is an error then, and no signal
        file.seek(offset)
        for start in range(0, len(codes), _REMAP_ROWS):
            file.write(final[codes[start : start + _REMAP_ROWS]].astype(codes.dtype, copy=False).data)
