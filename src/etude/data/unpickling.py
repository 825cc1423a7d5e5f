"""Pickles that hold data and nothing else."""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etude.errors import UserError

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True, eq=False)
class CSR:
    """A sparse matrix by rows: row r has the entries from ``starts[r]`` to ``starts[r + 1]``."""

    shape: tuple[int, int]
    starts: Array
    columns: Array
    values: Array


def read_pickle(content: bytes, path: Path | str) -> dict[str, Any]:
    """The dictionary in a pickle, of what :func:`read_value` can read.

    Raises
    ------
    UserError
        if the pickle asks for anything else, is damaged, or holds no dictionary
    """
    value = read_value(content, path)
    if not isinstance(value, dict):
        raise UserError(f"{path} should hold a dictionary, and holds a {type(value).__name__}")
    return {
        _text(key): each.values if isinstance(each, _Array) else each for key, each in value.items()
    }


def read_value(content: bytes, path: Path | str) -> Any:
    """What is in a pickle: NumPy arrays, SciPy matrices by rows, containers, numbers and texts.

    Byte strings of Python 2 stay bytes.

    A pickle is a program. This reader knows only the words that rebuild a plain numeric array, as
    NumPy 1 and 2 spell them, and gives each a meaning of its own, so that no code of the pickle's
    choice runs, and no part of NumPy that trusts its input; at any other word it stops. The arrays
    are not writable. `path` is for the message.

    Raises
    ------
    UserError
        if the pickle asks for anything else, or is damaged
    """
    try:
        _check_lengths(content)
        value = _DataOnly(io.BytesIO(content), encoding="bytes").load()
    except _Refused as error:
        raise UserError(
            f"{path} is refused: it should hold arrays and plain values only, and asks for {error}"
        ) from error
    except Exception as error:  # a damaged pickle can fail in any way
        raise UserError(
            f"{path} is damaged: its pickle cannot be read ({type(error).__name__}: {error})"
        ) from error
    return (
        value.values
        if isinstance(value, _Array)
        else value.matrix
        if isinstance(value, _Matrix)
        else value
    )


def _check_lengths(content: bytes) -> None:
    """Raise a ValueError where a part of the pickle claims to be longer than what is there; room is
    made only then.
    """
    for word, argument, _ in pickletools.genops(content):  # which checks all lengths but these
        if word.name in ("PUT", "LONG_BINPUT") and not 0 <= (argument or 0) <= len(content):
            raise ValueError(f"it numbers a value {argument:,} and has {len(content):,} bytes")


def _text(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


class _Refused(Exception):
    pass


class _DataOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        match module.replace("numpy._core", "numpy.core"), name:
            case "numpy", "ndarray":
                return "numpy.ndarray"  # named only as what `_reconstruct` makes
            case "numpy", "dtype":
                return _dtype
            case "numpy.core.multiarray", "_reconstruct":
                return _reconstruct
            case "numpy.core.numeric", "_frombuffer":  # protocol 5
                return _frombuffer
            case "scipy.sparse.csr" | "scipy.sparse._csr", "csr_matrix":
                return _Matrix
            case "collections", "defaultdict":
                return _plain_dictionary
            case "__builtin__" | "builtins", "list":
                return "list"  # named only as what a defaultdict makes
            case "_codecs", "encode":  # how Python 3 writes bytes for protocol 2
                return _latin_1
        raise _Refused(f"{module}.{name}")


class _Number:
    """Stands for a ``dtype``; of the state that follows it, the byte order alone is taken."""

    def __init__(self, name: str) -> None:
        self.dtype: np.dtype[Any] = np.dtype(name)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = _text(state[1])
        if order not in "<>|=":
            raise _Refused(f"the byte order {order!r}")
        self.dtype = self.dtype.newbyteorder(order)  # type: ignore[arg-type]


class _Array:
    """Stands for an ``ndarray``: empty, until its state brings shape, type and bytes."""

    def __init__(self) -> None:
        self.values: Array = np.empty(0, np.int8)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, number, fortran, content = state
        self.fill(content, number, shape, "F" if fortran else "C")

    def fill(self, content: Any, number: Any, shape: Any, order: Any) -> None:
        if not isinstance(number, _Number) or not isinstance(content, bytes | bytearray):
            raise _Refused("an array of other things than numbers")
        if min(shape, default=0) < 0 or math.prod(shape) * number.dtype.itemsize != len(content):
            raise ValueError(f"{len(content):,} bytes for an array of shape {shape}")
        self.values = np.frombuffer(content, number.dtype).reshape(
            shape, order="F" if _text(order) == "F" else "C"
        )


class _Matrix:
    """Stands for a ``csr_matrix``: of its state, shape and the three arrays are taken, if they fit
    together.
    """

    matrix: CSR

    def __setstate__(self, state: dict[Any, Any]) -> None:
        parts = {_text(key): value for key, value in state.items()}
        arrays = [parts.get(name) for name in ("indptr", "indices", "data")]
        rows, columns = parts["_shape"]
        if not all(isinstance(array, _Array) and array.values.ndim == 1 for array in arrays):
            raise ValueError("a sparse matrix without its arrays")
        starts, places, values = (array.values for array in arrays)  # type: ignore[union-attr]
        if (
            starts.dtype.kind not in "iu"
            or places.dtype.kind not in "iu"
            or len(starts) != rows + 1
        ):
            raise ValueError("a sparse matrix whose rows are not told")
        if (
            starts[0] != 0
            or (np.diff(starts) < 0).any()
            or not starts[-1] == len(places) == len(values)
        ):
            raise ValueError("a sparse matrix whose rows do not add up")
        if len(places) and not 0 <= places.min() <= places.max() < columns:
            raise ValueError("a sparse matrix with an entry outside")
        self.matrix = CSR((rows, columns), starts, places, values)


def _plain_dictionary(kind: object) -> dict[Any, Any]:
    if kind != "list":
        raise _Refused("a dictionary that makes other things than lists")
    return {}


def _reconstruct(kind: object, shape: object, typecode: object) -> _Array:
    if kind != "numpy.ndarray":
        raise _Refused("an array of another class")
    return _Array()


def _frombuffer(content: object, number: object, shape: object, order: object) -> _Array:
    array = _Array()
    array.fill(content, number, shape, order)
    return array


def _dtype(name: object, align: object, copy: object) -> _Number:
    text = _text(name)
    if len(text) != 2 or text[0] not in "biuf" or text[1] not in "1248":
        raise _Refused(f"numbers of the type {text!r}")
    return _Number(text)


def _latin_1(text: object, encoding: object) -> bytes:
    if _text(encoding) != "latin1" or not isinstance(text, str):
        raise _Refused("an encoding other than latin1")
    return text.encode("latin-1")
