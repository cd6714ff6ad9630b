"""Chapter 1 in the other direction: a file from its parts, each of which can be replaced by a wrong one while the CRCs stay right."""

import struct
from dataclasses import dataclass, field

from container import MAGIC, VERSION, chunk_places, crc32c


def pack(value):
    """MessagePack of None, bool, int, float, str, bytes, list, dict, in the shortest encodings; Raw goes in as it is."""
    if isinstance(value, Raw):
        return value.data
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        if -32 <= value < 128:
            return struct.pack(">b", value)
        for code, form, low, high in (
            (0xCC, "B", 0, 1 << 8), (0xCD, "H", 0, 1 << 16), (0xCE, "I", 0, 1 << 32), (0xCF, "Q", 0, 1 << 64),
            (0xD0, "b", -1 << 7, 0), (0xD1, "h", -1 << 15, 0), (0xD2, "i", -1 << 31, 0), (0xD3, "q", -1 << 63, 0),
        ):  # fmt: skip
            if low <= value < high:
                return bytes([code]) + struct.pack(">" + form, value)
        raise ValueError(value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return _sized(len(value), None, 0xC4) + value
    if isinstance(value, str):
        data = value.encode()
        return _sized(len(data), (0xA0, 32), 0xD9) + data
    if isinstance(value, list):
        return _sized(len(value), (0x90, 16), 0xDB) + b"".join(map(pack, value))
    if isinstance(value, dict):
        return _sized(len(value), (0x80, 16), 0xDD) + b"".join(pack(k) + pack(v) for k, v in value.items())
    raise TypeError(type(value))


def _sized(n, short, code):
    """Prefix of a str, bin, array or map; arrays and maps have no 8-bit length, and `code` is one below their 16-bit one."""
    if short and n < short[1]:
        return bytes([short[0] | n])
    if n < 256 and code in (0xC4, 0xD9):
        return bytes([code, n])
    return bytes([code + 1]) + struct.pack(">H", n) if n < 65536 else bytes([code + 2]) + struct.pack(">I", n)


@dataclass
class Raw:
    """Bytes in the place of a value."""

    data: bytes


@dataclass
class Parts:
    """What a file is made of. Every `None` is worked out; anything else goes into the file as given."""

    header: dict
    chunks: list
    sections: list = field(default_factory=list)  # (type, bytes)
    magic: bytes = MAGIC
    version: int = VERSION
    flags: int = 0
    header_bytes: bytes | None = None
    header_length: int | None = None
    header_crc: int | None = None
    section_entries: list | None = None
    entries: list | None = None  # (offset, length, crc)
    index_crc: int | None = None
    trailing: bytes = b""

    def lay_out(self):
        """(header bytes, index entries)."""
        header = dict(self.header)
        entries = [[kind, len(data), crc32c(data)] for kind, data in self.sections]
        header.setdefault("sections", entries if self.section_entries is None else self.section_entries)
        header_bytes = pack(header) if self.header_bytes is None else self.header_bytes
        offset = 20 + len(header_bytes) + 16 * len(self.chunks) + 4
        entries = []
        for data in self.chunks:
            entries.append((offset, len(data), crc32c(data)))
            offset += len(data)
        return header_bytes, entries

    def write(self):
        header_bytes, entries = self.lay_out()
        n = len(header_bytes) if self.header_length is None else self.header_length
        head = self.magic + struct.pack("<HHI", self.version, self.flags, n) + header_bytes
        index = b"".join(struct.pack("<QII", *entry) for entry in (entries if self.entries is None else self.entries))
        head += struct.pack("<I", crc32c(head) if self.header_crc is None else self.header_crc)
        index += struct.pack("<I", crc32c(index) if self.index_crc is None else self.index_crc)
        return head + index + b"".join(self.chunks) + b"".join(data for _, data in self.sections) + self.trailing


def header_of(model, width, height, **changes):
    header = {
        "width": width,
        "height": height,
        "channels": 3,
        "alpha": False,
        "depth": 8,
        "quality": 50,
        "model": model.hash,
        "encoder": "vector maker 1",
        "chunkSize": 32,
        "levels": 1,
        "overviewFactor": 4,
        **changes,
    }
    assert chunk_places({**header, "sections": []})
    return header
