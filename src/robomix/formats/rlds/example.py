"""`tf.train.Example` messages, read from their bytes without TensorFlow.

    Example  { Features features = 1; }            Features { map<string, Feature> feature = 1; }
    Feature  { BytesList = 1 | FloatList = 2 | Int64List = 3 }     each of them { repeated value = 1; }

An episode is one such message, of megabytes. This reader makes views of the bytes and arrays of the numbers; the
protobuf package would make a Python object of every number. Wire format: https://protobuf.dev/programming-guides/encoding
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

_KINDS: dict[int, Literal["bytes", "float", "int"]] = {1: "bytes", 2: "float", 3: "int"}
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5


class MalformedError(ValueError):
    """Bytes that are no such message."""


@dataclass(frozen=True)
class Values:
    """The list of values of one feature, still in its bytes."""

    kind: Literal["bytes", "float", "int"]
    body: memoryview

    def blobs(self) -> list[memoryview]:
        """The entries of a list of bytes."""
        return [_view(value) for field, value in _fields(self.body) if field == 1]

    def floats(self) -> np.ndarray:
        """(n,) float32."""
        parts = [np.frombuffer(_whole(_view(value), 4), "<f4") for field, value in _fields(self.body) if field == 1]
        return _joined(parts, np.float32)

    def ints(self) -> np.ndarray:
        """(n,) int64."""
        parts = []
        for field, value in _fields(self.body):
            if field == 1:
                parts.append(np.array([_signed(value)]) if isinstance(value, int) else _varints(value))
        return _joined(parts, np.int64)


def parse_example(data: memoryview) -> dict[str, Values]:
    """The features of a message by name; features without a list are left out. Raises MalformedError."""
    found: dict[str, Values] = {}
    for field, features in _fields(data):
        if field != 1:
            continue
        for inner, entry in _fields(_view(features)):
            if inner == 1:
                name, values = _entry(_view(entry))
                found.pop(name, None)
                if values is not None:
                    found[name] = values
    return found


def _entry(data: memoryview) -> tuple[str, Values | None]:
    name, values = "", None
    for field, value in _fields(data):
        if field == 1:
            try:
                name = bytes(_view(value)).decode()
            except UnicodeDecodeError as error:
                raise MalformedError("the name of a feature is not UTF-8") from error
        elif field == 2:
            for kind, body in _fields(_view(value)):
                if kind in _KINDS:
                    values = Values(_KINDS[kind], _view(body))
    return name, values


def _fields(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """(number, value) of each field of a message: an integer, or the bytes."""
    place, size = 0, len(data)
    while place < size:
        tag, place = _varint(data, place)
        number, wire = tag >> 3, tag & 7
        if wire == _VARINT:
            value, place = _varint(data, place)
            yield number, value
            continue
        if wire == _LENGTH:
            length, place = _varint(data, place)
        elif wire in (_FIXED32, _FIXED64):
            length = 4 if wire == _FIXED32 else 8
        else:
            raise MalformedError(f"a field has the unknown wire type {wire}")
        if place + length > size:
            raise MalformedError(f"a field of {length} bytes reaches beyond its end")
        yield number, data[place : place + length]
        place += length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, lowest first, and where the next byte is."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFFFFFFFFFFFFFF, place
    raise MalformedError("an integer does not end")


def _varints(data: memoryview) -> np.ndarray:
    """A run of such integers, (n,) int64."""
    raw = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(raw < 0x80)
    if len(ends) == len(raw):
        return raw.astype(np.int64)
    lengths = np.diff(ends, prepend=-1)
    if not len(ends) or ends[-1] != len(raw) - 1 or lengths.max() > 10:
        raise MalformedError("an integer does not end")
    starts = ends - lengths + 1
    values = np.zeros(len(ends), np.uint64)
    for byte in range(lengths.max()):
        longer = lengths > byte
        values[longer] |= (raw[starts[longer] + byte] & 0x7F).astype(np.uint64) << np.uint64(7 * byte)
    return values.view(np.int64)


def _view(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise MalformedError("an integer stands where bytes are expected")
    return value


def _whole(data: memoryview, size: int) -> memoryview:
    if len(data) % size:
        raise MalformedError(f"{len(data)} bytes stand where numbers of {size} bytes are expected")
    return data


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


def _joined(parts: list[np.ndarray], dtype: type) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, dtype), *parts]).astype(dtype, copy=False)
