"""TensorBoard's event files, written without TensorBoard: curves of numbers need forty lines of its format.

    Event {wall_time, step, values by tag}  →  protocol buffer  →  record {length, crc, bytes, crc}  →  tfevents file

A file an attempt. One that begins after step N first says so (a session that starts at step N + 1): readers then drop
what earlier files hold of later steps, so that steps which are done again are there once. Layout: TFRecord framing and
the fields of tensorboard/compat/proto/event.proto and summary.proto; CRC-32C of RFC 3720, masked as TFRecord asks.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path

CASTAGNOLI = 0x82F63B78
"""The polynomial of CRC-32C, its bits reversed."""
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types of protocol buffers."""
FORMAT = "brain.Event:2"
SESSION_STARTS = b"\x08\x01"
"""SessionLog {status: START}."""


def make_crc_table() -> tuple[int, ...]:
    """The remainder of every byte."""
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (CASTAGNOLI if byte & 1 else 0)
        table.append(byte)
    return tuple(table)


CRC_TABLE = make_crc_table()


class EventFile:
    """The curves of one attempt."""

    id = "tensorboard"
    """Its folder."""

    def __init__(self, folder: Path, attempt: int, first_step: int) -> None:
        """`first_step`: steps that are done already, and stay as earlier files have them."""
        folder.mkdir(parents=True, exist_ok=True)
        # readers take the files of a folder in the order of their names
        name = f"events.out.tfevents.{attempt:010d}.{socket.gethostname()}"
        self.file = (folder / name).open("ab", buffering=0)
        self.add(bytes_field(3, FORMAT.encode()))
        if first_step:
            self.add(varint_field(2, first_step + 1) + bytes_field(7, SESSION_STARTS))

    def write(self, step: int, figures: Mapping[str, float]) -> None:
        """One point of every curve."""
        values = b"".join(
            bytes_field(
                1, bytes_field(1, tag.encode()) + key(2, FIXED32) + struct.pack("<f", value)
            )
            for tag, value in figures.items()
        )
        self.add(varint_field(2, step) + bytes_field(5, values))

    def add(self, fields: bytes) -> None:
        """One record, in the file at once."""
        self.file.write(record(key(1, FIXED64) + struct.pack("<d", time.time()) + fields))

    def close(self, failed: bool) -> None:
        """Ends the file."""
        self.file.close()


def record(content: bytes) -> bytes:
    """Framed: length, its checksum, content, its checksum."""
    length = struct.pack("<Q", len(content))
    return length + checksum(length) + content + checksum(content)


def checksum(content: bytes) -> bytes:
    """The masked CRC-32C, little-endian."""
    crc = crc32c(content)
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    return struct.pack("<I", masked)


def crc32c(content: bytes) -> int:
    """CRC-32C; a step's record takes some 30 µs."""
    crc, table = 0xFFFFFFFF, CRC_TABLE
    for byte in content:
        crc = table[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ 0xFFFFFFFF


# ---- protocol buffers -------------------------------------------------------------------------------


def key(number: int, wire_type: int) -> bytes:
    """What stands before a field's value."""
    return varint(number << 3 | wire_type)


def varint_field(number: int, value: int) -> bytes:
    """A whole number, not negative."""
    return key(number, VARINT) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """A text or a message."""
    return key(number, BYTES) + varint(len(value)) + value


def varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the eighth says that more follow."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)
