"""A picture's pixels where the decoder left them: no copy, no library.

Pillow keeps an RGB picture as four bytes a pixel, and an array made through the buffer of its encoder is a copy that
takes longer than PDQ does. Since 11.2 it exports the block itself through the Arrow C data interface
(https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html), two capsules that hold one structure
each. This module reads the few fields of them that matter and makes an array of what they point to.

The structures come from the decoder's library and not from the file, and yet every field is compared with what the
picture's mode and size promise: whatever looks different is copied, as is a picture that lies in several blocks
(over 16 MiB, by Pillow's defaults) or one of a Pillow without the interface.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["copied", "shared"]


class _Schema(ctypes.Structure):
    """``struct ArrowSchema``."""


class _Array(ctypes.Structure):
    """``struct ArrowArray``."""


_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_void_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]
_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.c_void_p),
    ("release", ctypes.c_void_p),
    ("private_data", ctypes.c_void_p),
]

#: Mode -> format of the Arrow type, of its child, and bytes of a pixel.
_LAYOUT = {"L": (b"C", None, 1), "RGB": (b"+w:4", b"C", 4)}


def _pointer_of_capsule() -> Any:
    try:
        function = ctypes.pythonapi.PyCapsule_GetPointer
    except AttributeError:  # an interpreter without CPython's functions
        return None
    function.restype = ctypes.c_void_p
    function.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return function


_get_pointer = _pointer_of_capsule()


class _Shared:
    """What an array keeps as its base: the capsule, which owns the block, and where the block is."""

    __slots__ = ("__array_interface__", "_capsule")

    def __init__(self, capsule: object, address: int, shape: tuple[int, ...]) -> None:
        self._capsule = capsule
        # True: read-only, as Arrow demands of those that an array is exported to.
        self.__array_interface__ = {"version": 3, "typestr": "|u1", "shape": shape, "data": (address, True)}


def shared(image: Any) -> NDArray[np.uint8] | None:
    """The block of ``image``, a picture of Pillow in mode RGB or L: read-only, and alive as long as the array is.

    Returns:
        ``uint8[height, width, 4]`` for RGB, the fourth byte without meaning, ``uint8[height, width]`` for L, both
        C-contiguous; None where the picture cannot be had without a copy.
    """
    export = getattr(image, "__arrow_c_array__", None)
    if export is None or _get_pointer is None or image.mode not in _LAYOUT:
        return None
    try:
        schema_capsule, capsule = export()
    except (ValueError, MemoryError):  # ValueError: the rows lie in several blocks
        return None
    wanted, inner, size = _LAYOUT[image.mode]
    width, height = image.size
    schema = _Schema.from_address(_get_pointer(schema_capsule, b"arrow_schema"))
    array = _Array.from_address(_get_pointer(capsule, b"arrow_array"))
    if schema.format != wanted or array.length != width * height or array.offset:
        return None
    if inner is not None:
        if schema.n_children != 1 or array.n_children != 1:
            return None
        schema, array = schema.children[0].contents, array.children[0].contents
        if schema.format != inner or array.length != width * height * size or array.offset:
            return None
    # A first buffer says which items are missing; none may be.
    if array.n_buffers != 2 or array.buffers[0] is not None or not array.buffers[1]:
        return None
    shape = (height, width) if size == 1 else (height, width, size)
    return np.asarray(_Shared(capsule, array.buffers[1], shape))


def copied(image: Any) -> NDArray[np.uint8]:
    """The pixels of ``image``, a picture of Pillow in mode RGB or L: ``uint8[h, w, 3]`` or ``uint8[h, w]``."""
    return np.asarray(image, dtype=np.uint8)
