"""Chapter 1: Container. Bytes in; header, chunks and sections out, all of them checked.

Quotes are from format-spec/1-container.md.
"""

import struct
from dataclasses import dataclass

from errors import UnsupportedError, check

# ---------------------------------------------------------------- 1.1 Conventions


def _crc_table():
    # "CRC-32C [CRC]: reflected polynomial 0x82F63B78 ..."
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


CRC_TABLE = _crc_table()


def crc32c(data):
    # "... initial value and final xor 0xFFFFFFFF"
    crc = 0xFFFFFFFF
    table = CRC_TABLE
    for byte in data:
        crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def ceil_div(a, b):
    return -(-a // b)


# ---------------------------------------------------------------- 1.2 The file

MAGIC = bytes([0x89, 0x4C, 0x49, 0x49, 0x46, 0x0D, 0x0A, 0x1A])
VERSION = 1
ENTRY_BYTES = 16


@dataclass
class Chunk:
    """Where one chunk lies, in the file and in its plane. Rows and columns count chunks."""

    level: int
    plane: int
    row: int
    column: int
    offset: int
    length: int
    crc: int


@dataclass
class File:
    """An opened file. `chunks` are in the order of the index, `sections` maps type to (offset, length, crc)."""

    data: bytes
    header: dict
    chunks: list
    sections: dict


def open_file(data):
    """1.5: "magic; version; flags; N; CRC of the header; all of 1.3; the number of chunks; CRC of the index; all of 1.4, but for the limit of 2.1;
    the end of the file"
    """
    check(data[:8] == MAGIC[: len(data)], "1.2", "prefix", 0, "not a liif file: wrong magic")
    check(len(data) >= 16, "1.2", "prefix", 0, "the file ends within its first 16 bytes")
    version, flags, n = struct.unpack_from("<HHI", data, 8)
    # "A decoder MUST refuse any other version as unsupported"
    if version != VERSION:
        raise UnsupportedError(f"version {version} of the format (specification 1.2)")
    # "A decoder MUST refuse a file with any flag set as unsupported"
    if flags != 0:
        raise UnsupportedError(f"flags {flags:#06x} (specification 1.2)")
    check(1 <= n <= 65536, "1.2", "prefix", 12, f"header of {n} bytes")
    check(len(data) >= 20 + n, "1.2", "header", 16, "the file ends within its header")
    check(crc32c(data[: 16 + n]) == _u32(data, 16 + n), "1.2", "header", 16, "CRC of the header")
    header = read_header(data[16 : 16 + n])

    places = chunk_places(header)
    start = 20 + n
    index = data[start : start + ENTRY_BYTES * len(places)]
    end = start + len(index)
    whole = len(index) == ENTRY_BYTES * len(places) and len(data) >= end + 4
    check(whole, "1.2", "index", start, "the file ends within its index")
    check(crc32c(index) == _u32(data, end), "1.2", "index", start, "CRC of the index")
    chunks, end = read_index(index, start, places, end + 4)
    for chunk in chunks:
        check(len(data) >= chunk.offset + chunk.length, "1.2", "chunk", chunk.offset, "the file ends within a chunk")

    sections = {}
    for kind, length, crc in header["sections"]:
        check(len(data) >= end + length, "1.2", "section", end, f"the file ends within section {kind}")
        sections[kind] = (end, length, crc)
        end += length
    # "Bytes after that end make the file invalid."
    check(len(data) == end, "1.2", "section", end, "bytes after the last section")
    return File(data, header, chunks, sections)


def _u32(data, offset):
    return struct.unpack_from("<I", data, offset)[0]


# ---------------------------------------------------------------- 1.3 Header

MAX_SIZE = 1 << 24
MAX_LEVELS = 24


def check_header(condition, clause, message):
    check(condition, clause, "header", 16, message)


def read_header(data):
    """The checked header as a dict."""
    # "The header is one MessagePack [MSGPACK] map of exactly N bytes."
    reader = MessagePackReader(data)
    value = reader.value(1)
    check_header(type(value) is dict, "1.3", "the header is not a map")
    check_header(reader.at == len(data), "1.3", "bytes after the header's map")

    def integer(key, low, high):
        v = value[key]
        check_header(type(v) is int and low <= v <= high, "1.3", f"{key} must be an integer from {low} to {high}")

    # "All keys but `colorSpace` are required." "Unknown keys of the outermost map are ignored."
    for key in (
        "width", "height", "channels", "alpha", "depth", "quality", "model", "encoder", "chunkSize", "levels", "overviewFactor",
        "sections",
    ):  # fmt: skip
        check_header(key in value, "1.3", f"{key} is missing")
    integer("width", 1, MAX_SIZE)
    integer("height", 1, MAX_SIZE)
    integer("channels", 1, 3)
    check_header(value["channels"] != 2, "1.3", "channels must be 1 or 3")
    check_header(type(value["alpha"]) is bool, "1.3", "alpha must be a bool")
    integer("depth", 8, 16)
    check_header(value["depth"] in (8, 16), "1.3", "depth must be 8 or 16")
    # "A decoder MUST refuse any other str as unsupported."
    if "colorSpace" in value:
        check_header(type(value["colorSpace"]) is str, "1.3", "colorSpace must be a string")
        if value["colorSpace"] not in ("srgb", "display-p3"):
            raise UnsupportedError(f"color space {value['colorSpace']!r} (specification 1.3)")
    integer("quality", 1, 100)
    check_header(type(value["model"]) is bytes and len(value["model"]) == 32, "1.3", "model must be 32 bytes")
    # "name and version of the encoder, at most 64 bytes of UTF-8"
    check_header(type(value["encoder"]) is str and len(value["encoder"].encode()) <= 64, "1.3", "encoder must be a string of at most 64 bytes")
    # "latents on a chunk's side: 8 .. 64, a multiple of 8"
    integer("chunkSize", 8, 64)
    check_header(value["chunkSize"] % 8 == 0, "1.3", "chunkSize must be a multiple of 8")
    integer("levels", 1, MAX_LEVELS)
    integer("overviewFactor", 2, 4)
    check_header(value["overviewFactor"] in (2, 4), "1.3", "overviewFactor must be 2 or 4")
    check_header(type(value["sections"]) is list and len(value["sections"]) <= 16, "1.3", "sections must be an array of at most 16")
    kinds = set()
    for section in value["sections"]:
        check_header(type(section) is list and len(section) == 3, "1.3", "a section must be [type, length, crc]")
        kind, length, crc = section
        check_header(type(kind) is str and 1 <= len(kind.encode()) <= 16, "1.3", "a section's type must have 1 to 16 bytes")
        check_header(type(length) is int and 0 <= length <= 1 << 28, "1.3", f"length of section {kind}")
        check_header(type(crc) is int and 0 <= crc < 1 << 32, "1.3", f"crc of section {kind}")
        # "No two sections have the same type"
        check_header(kind not in kinds, "1.3", f"section {kind} occurs twice")
        kinds.add(kind)
    # "if `levels` is above 1, level `levels - 2` is larger than 1 x 1"
    if value["levels"] > 1:
        check_header(level_size(value, value["levels"] - 2) != (1, 1), "1.3", "a level beyond the first of 1x1 pixels")
    return value


def level_size(header, level):
    """(width, height) of a level. "it has ceil(width/F^n) x ceil(height/F^n) pixels" """
    reduction = header["overviewFactor"] ** level
    return ceil_div(header["width"], reduction), ceil_div(header["height"], reduction)


def latent_size(header, level):
    """(rows, columns) of a level's latents."""
    width, height = level_size(header, level)
    return ceil_div(height, 16), ceil_div(width, 16)


def plane_count(header):
    # "Plane 0 is color. Plane 1 is alpha, and exists if `alpha` is true."
    return 2 if header["alpha"] else 1


# ---------------------------------------------------------------- 1.4 Index and chunks

MAX_CHUNKS = 1 << 20


def chunk_places(header):
    """(level, plane, row, column) of every chunk, in the order of the index."""
    size = header["chunkSize"]
    grids = []
    total = 0
    for level in range(header["levels"]):
        rows, columns = latent_size(header, level)
        grids.append((ceil_div(rows, size), ceil_div(columns, size)))
        total += grids[level][0] * grids[level][1] * plane_count(header)
    # "A header that yields more than 2^20 chunks in all levels and planes is invalid."
    check_header(total <= MAX_CHUNKS, "1.4", f"{total} chunks")
    # "Chunks are ordered by level, the smallest level (the highest n) first; within a level by plane; within a plane by chunk row; within a
    # row by chunk column"
    return [
        (level, plane, row, column)
        for level in reversed(range(header["levels"]))
        for plane in range(plane_count(header))
        for row in range(grids[level][0])
        for column in range(grids[level][1])
    ]


def read_index(data, start, places, first_offset):
    """The chunks and the offset at which the last one ends. `start`: where the index begins."""
    expected = first_offset
    chunks = []
    for i, place in enumerate(places):
        offset, length, crc = struct.unpack_from("<QII", data, i * ENTRY_BYTES)
        # "The first chunk begins right after the CRC of the index. Every other chunk begins at the end of the chunk before it."
        check(offset == expected, "1.4", "index", start + i * ENTRY_BYTES, f"chunk {i} is at {offset}, not at {expected}")
        # "length of the chunk: even, 16 .. 142,606,352"
        fits = length % 2 == 0 and 16 <= length <= 142_606_352
        check(fits, "1.4", "index", start + i * ENTRY_BYTES + 8, f"chunk {i} has {length} bytes")
        chunks.append(Chunk(*place, offset, length, crc))
        expected += length
    return chunks, expected


def chunk_bytes(file, chunk):
    # 1.5: "before it uses a chunk"
    data = file.data[chunk.offset : chunk.offset + chunk.length]
    check(crc32c(data) == chunk.crc, "1.5", "chunk", chunk.offset, "CRC of the chunk")
    return data


def section_bytes(file, kind):
    offset, length, crc = file.sections[kind]
    data = file.data[offset : offset + length]
    check(crc32c(data) == crc, "1.5", "section", offset, f"CRC of section {kind}")
    return data


# ---------------------------------------------------------------- MessagePack, the part that 1.3 allows

MAX_DEPTH = 8


class MessagePackReader:
    """Reads values one after the other from `at` on. bin becomes bytes, nil None; integers, floats and bools stay apart by their Python types."""

    def __init__(self, data, at=0):
        self.data = data
        self.at = at

    def value(self, depth):
        """The next value. `depth`: that of a map or array here, 1 for the outermost."""
        kind = self._number(1)
        if kind <= 0x7F:
            return kind
        if kind <= 0x8F:
            return self._map(kind & 0x0F, depth)
        if kind <= 0x9F:
            return self._array(kind & 0x0F, depth)
        if kind <= 0xBF:
            return self._text(kind & 0x1F)
        if kind >= 0xE0:
            return kind - 256
        if kind == 0xC0:
            return None
        if kind in (0xC2, 0xC3):
            return kind == 0xC3
        if kind in (0xC4, 0xC5, 0xC6):
            return bytes(self._take(self._number(1 << (kind - 0xC4))))
        if kind in (0xCA, 0xCB):
            return struct.unpack(">f", self._take(4))[0] if kind == 0xCA else struct.unpack(">d", self._take(8))[0]
        if 0xCC <= kind <= 0xCF:
            return self._number(1 << (kind - 0xCC))
        if 0xD0 <= kind <= 0xD3:
            return self._number(1 << (kind - 0xD0), signed=True)
        if kind in (0xD9, 0xDA, 0xDB):
            return self._text(self._number(1 << (kind - 0xD9)))
        if kind in (0xDC, 0xDD):
            return self._array(self._number(2 << (kind - 0xDC)), depth)
        if kind in (0xDE, 0xDF):
            return self._map(self._number(2 << (kind - 0xDE)), depth)
        # "Extension types make the header invalid" (0xC1 is not used by MessagePack)
        check_header(False, "1.3", f"MessagePack type {kind:#x}")

    def _take(self, n):
        check_header(self.at + n <= len(self.data), "1.3", "the header's MessagePack is cut off")
        self.at += n
        return self.data[self.at - n : self.at]

    def _number(self, n, signed=False):
        return int.from_bytes(self._take(n), "big", signed=signed)

    def _text(self, n):
        try:
            return self._take(n).decode("utf-8")  # "A str is valid UTF-8"
        except UnicodeDecodeError:
            check_header(False, "1.3", "a string is not UTF-8")

    def _array(self, n, depth):
        # "Maps and arrays nest at most 8 deep, the outermost map included."
        check_header(depth <= MAX_DEPTH, "1.3", "more than 8 levels of nesting")
        return [self.value(depth + 1) for _ in range(n)]

    def _map(self, n, depth):
        check_header(depth <= MAX_DEPTH, "1.3", "more than 8 levels of nesting")
        result = {}
        for _ in range(n):
            key = self.value(depth + 1)
            check_header(type(key) is str, "1.3", "a key is not a string")  # "The keys of a map are str."
            check_header(key not in result, "1.3", f"key {key} occurs twice")  # "A key that occurs twice in a map makes the header invalid."
            result[key] = self.value(depth + 1)
        return result
