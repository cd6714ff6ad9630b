"""Files that break one rule each, and files that are right but for another decoder."""

import struct
from dataclasses import dataclass, replace

import entropy
from container import latent_size, open_file
from file_writer import Raw, pack
from networks import chunk_latents
from symbol_writer import SymbolWriter
from valid_vectors import write_parts

MODEL = "small.safetensors"


@dataclass
class Fault:
    """`part` and `offset` (first and last that a decoder may name) are those of a FormatError; None makes it an UnsupportedError."""

    name: str
    about: str
    clause: str
    data: bytes
    part: str | None
    offset: tuple | None


class _File:
    """A valid file, 40 x 24 pixels with alpha, two levels and two sections, to be broken."""

    def __init__(self, model):
        sections = [("icc", bytes(range(40))), ("text", b"hello")]
        self.model = model
        self.parts = write_parts(model, 40, 24, seed=100, alpha=True, levels=2, sections=sections, chunkSize=8)
        self.data = self.parts.write()
        file = open_file(self.data)
        self.n = struct.unpack_from("<I", self.data, 12)[0]
        self.index = 20 + self.n
        self.chunks = file.chunks
        self.first = file.chunks[0].offset
        self.sections = file.sections
        self.header = {**self.parts.header, "sections": [list(s) for s in file.header["sections"]]}

    def with_header(self, **changes):
        """The file with fields replaced; None leaves one out. Chunks stay as they are."""
        header = {key: value for key, value in {**self.header, **changes}.items() if value is not None}
        return replace(self.parts, header_bytes=pack(header)).write()

    def with_header_bytes(self, data, **changes):
        return replace(self.parts, header_bytes=data, **changes).write()

    def with_chunk(self, number, data):
        chunks = list(self.parts.chunks)
        chunks[number] = data
        return replace(self.parts, chunks=chunks).write()

    def with_entries(self, change):
        _, entries = self.parts.lay_out()
        entries = [list(entry) for entry in entries]
        change(entries)
        return replace(self.parts, entries=entries).write()


def invalid_vectors(models):
    file = _File(models[MODEL])
    faults = [*_prefix(file), *_header(file), *_sections_of_header(file), *_messagepack(file), *_index(file), *_chunks(file), *_ends(file), *_colors(file), *_types(file), *_crcs(file)]
    return [replace(fault, name=f"{i:02}-{fault.name}") for i, fault in enumerate(faults, 1)]


def _prefix(file):
    data = file.data

    def fault(name, about, data, offset):
        return Fault(name, about, "1.2", data, "prefix", offset)

    yield fault("empty", "No bytes at all", b"", (0, 0))
    yield fault("ends-in-magic", "Five bytes", data[:5], (0, 5))
    yield fault("ends-in-prefix", "15 bytes", data[:15], (0, 15))
    yield fault("magic", "A letter of the magic is another", b"\x89LIAF" + data[5:], (0, 15))
    yield fault("magic-as-text", "CR LF has become LF on the way", data[:5] + data[6:], (0, 15))
    yield fault("header-of-nothing", "A header of no bytes", replace(file.parts, header_length=0).write(), (0, 15))
    yield fault("header-too-long", "A header of 65,537 bytes", replace(file.parts, header_length=65537).write(), (0, 15))


def _header(file):
    def fault(name, about, data, clause="1.3"):
        n = struct.unpack_from("<I", data, 12)[0]
        return Fault(name, about, clause, data, "header", (16, min(len(data), 20 + n)))

    def field(name, about, **changes):
        return fault(name, about, file.with_header(**changes))

    yield fault("header-ends-early", "The file ends within its header", file.data[: 16 + file.n // 2], "1.2")
    flipped = bytearray(file.data)
    flipped[file.data.index(b"vector maker")] ^= 1  # a letter: all else is right
    yield fault("header-crc", "A bit of the header is another than its CRC says", bytes(flipped), "1.2")
    for key in file.header:
        missing = {k: v for k, v in file.header.items() if k != key}
        yield fault(f"no-{key}".lower(), f"{key} is missing", file.with_header_bytes(pack(missing)))
    yield field("width-0", "A width of 0", width=0)
    yield field("height-0", "A height of 0", height=0)
    yield field("width-too-large", "A width of 2^24 + 1", width=(1 << 24) + 1)
    yield field("width-negative", "A width of -1", width=-1)
    yield field("width-2-64", "A width of 2^64 - 1", width=(1 << 64) - 1)
    yield field("width-float", "A width of 40.0: a float is no integer", width=40.0)
    yield field("width-text", "A width that is a string", width="40")
    yield field("channels-2", "Two channels", channels=2)
    yield field("channels-4", "Four channels", channels=4)
    yield field("alpha-integer", "alpha is 1, not true", alpha=1)
    yield field("alpha-nil", "alpha is nil", alpha=Raw(b"\xc0"))
    yield field("depth-10", "10 bits", depth=10)
    yield field("quality-0", "Quality 0", quality=0)
    yield field("quality-101", "Quality 101", quality=101)
    yield field("model-short", "A hash of 31 bytes", model=bytes(31))
    yield field("model-text", "A hash as a string", model="0" * 32)
    yield field("encoder-long", "An encoder's name of 65 bytes, 33 characters", encoder="\u00e4" * 32 + "x")
    yield field("encoder-binary", "An encoder's name as bin", encoder=b"x")
    yield field("chunk-size-0", "Chunks of 0 latents", chunkSize=0)
    yield field("chunk-size-12", "Chunks of 12 latents, no multiple of 8", chunkSize=12)
    yield field("chunk-size-72", "Chunks of 72 latents", chunkSize=72)
    yield field("levels-0", "No level", levels=0)
    yield field("levels-25", "25 levels", levels=25)
    yield field("levels-beyond-one-pixel", "A level beyond the first of one pixel", levels=5)
    yield field("factor-3", "Overviews reduced by 3", overviewFactor=3)
    too_many = file.with_header(width=1 << 17, height=(1 << 17) + 128, levels=1, alpha=False)
    yield fault("too-many-chunks", "2^20 + 2^10 chunks", too_many, "1.4")


def _sections_of_header(file):
    def fault(name, about, sections):
        data = file.with_header(sections=sections)
        return Fault(name, about, "1.3", data, "header", (16, 20 + struct.unpack_from("<I", data, 12)[0]))

    icc, text = file.header["sections"]
    yield fault("sections-17", "17 sections", [icc, text, *([f"{i}", 0, 0] for i in range(15))])
    yield fault("sections-map", "Sections that are a map", {"icc": icc})
    yield fault("section-of-4", "A section of four values", [icc, [*text, 0]])
    yield fault("section-type-empty", "A type of no bytes", [icc, ["", *text[1:]]])
    yield fault("section-type-long", "A type of 17 bytes", [icc, ["x" * 17, *text[1:]]])
    yield fault("section-type-binary", "A type that is bin", [icc, [b"text", *text[1:]]])
    yield fault("section-twice", "A type twice", [icc, ["icc", *text[1:]]])
    yield fault("section-too-long", "A section of 2^28 + 1 bytes", [icc, ["text", (1 << 28) + 1, text[2]]])
    yield fault("section-crc-negative", "A CRC below 0", [icc, ["text", text[1], -1]])
    yield fault("section-crc-too-large", "A CRC of 2^32", [icc, ["text", text[1], 1 << 32]])


def _messagepack(file):
    good = pack(file.header)

    def fault(name, about, data):
        data = file.with_header_bytes(data)
        return Fault(name, about, "1.3", data, "header", (16, 20 + struct.unpack_from("<I", data, 12)[0]))

    def later(name, about, raw):
        return fault(name, about, pack({**file.header, "later": Raw(raw)}))

    yield fault("not-a-map", "The header is an array", pack(list(file.header.values())))
    yield fault("after-the-map", "A byte after the header's map", good + b"\xc0")
    yield fault("map-cut", "The header's map is not complete", good[:-1])
    yield later("array-of-2-32", "An array that says it has 2^32 - 1 values", b"\xdd\xff\xff\xff\xff")
    yield later("text-of-4-gib", "A string that says it has 4 GiB", b"\xdb\xff\xff\xff\xff")
    twice = bytearray(good + pack("width") + pack(40))
    twice[0] += 1
    yield fault("key-twice", "width twice", bytes(twice))
    yield later("key-twice-deep", "A key twice in a map of an unknown key", b"\x82\xa1a\x01\xa1a\x01")
    yield later("key-integer", "A key that is no string", b"\x81\x01\x01")
    yield later("key-not-utf8", "A key that is not UTF-8", b"\x81\xa1\xff\x01")
    yield later("text-not-utf8", "A string that is not UTF-8", b"\xa1\xff")
    yield later("text-surrogate", "A string with a surrogate, which is not UTF-8", b"\xa3\xed\xa0\x80")
    yield later("extension", "An extension type", b"\xd4\x01\x00")
    yield later("type-c1", "The type that MessagePack does not use", b"\xc1")
    yield later("nested-9-deep", "Arrays nested 9 deep, the map included", b"\x91" * 7 + b"\x90")


def _index(file):
    entries = len(file.chunks)

    def fault(name, about, data, clause="1.4"):
        return Fault(name, about, clause, data, "index", (file.index, min(len(data), file.first)))

    yield fault("index-ends-early", "The file ends within its index", file.data[: file.index + 20], "1.2")
    yield fault("index-crc", "The CRC of the index is another", replace(file.parts, index_crc=0).write(), "1.2")

    def entry(name, about, number, position, change):
        def apply(entries):
            entries[number][position] = change(entries[number][position])

        return fault(name, about, file.with_entries(apply))

    yield entry("first-chunk-late", "The first chunk begins two bytes late", 0, 0, lambda v: v + 2)
    yield entry("chunk-gap", "A gap before a chunk", 1, 0, lambda v: v + 2)
    yield entry("chunk-overlap", "A chunk that begins in the one before", entries - 1, 0, lambda v: v - 2)
    yield entry("chunk-offset-2-63", "A chunk at 2^63", 2, 0, lambda v: v | 1 << 63)
    yield entry("chunk-length-odd", "A chunk of odd length", entries - 1, 1, lambda v: v - 1)
    yield entry("chunk-length-14", "A chunk of 14 bytes", entries - 1, 1, lambda v: 14)
    yield entry("chunk-too-long", "A chunk of 142,606,354 bytes", entries - 1, 1, lambda v: 142_606_354)


def _chunks(file):
    last = file.chunks[-1]
    number = len(file.chunks) - 1
    good = file.parts.chunks[-1]

    def fault(name, about, clause, data, end=None):
        return Fault(name, about, clause, data, "chunk", (last.offset, end or last.offset + len(good) + 2))

    def broken(name, about, clause, chunk):
        return fault(name, about, clause, file.with_chunk(number, chunk), last.offset + len(chunk))

    flipped = bytearray(file.data)
    flipped[last.offset + 16] ^= 1
    yield fault("chunk-crc", "A bit of a chunk is another than its CRC says", "1.5", bytes(flipped))
    rows, columns = latent_size(file.header, 0)
    symbols = rows * columns * file.model.latent_channels + -(-rows // 4) * -(-columns // 4) * file.model.hyper_channels
    long = good + bytes(16 + 8 * symbols + 2 - len(good))
    yield broken("chunk-beyond-limit", "A chunk of 16 + 8 n + 2 bytes", "2.1", long)
    low = _again(file, rows, columns).finish(begin_low=True)
    yield broken("state-below-range", "A state begins below 2^16, and comes into range with its first symbol", "2.2", low)
    yield broken("word-missing", "The last word of a chunk is missing", "2.2", good[:-2])
    yield broken("states-alone", "All words of a chunk are missing", "2.2", good[:16])
    yield broken("word-left", "A word more than the symbols need", "2.2", good + b"\0\0")
    yield broken("final-state", "The first state ends at 2^16 + 1", "2.2", _again(file, rows, columns).finish([entropy.LOW + 1, *[entropy.LOW] * 3]))


def _again(file, rows, columns):
    """A writer of the symbols of the last chunk."""
    reader = entropy.SymbolReader(file.parts.chunks[-1], 1 << 20, file.model.precision, 0)
    writer = SymbolWriter(file.model.precision)

    def copy(channel, table, _mean):
        n = reader.symbol(channel, table)
        writer.symbol(channel, table, n)
        return n

    chunk_latents(file.model, file.header["quality"], rows, columns, copy)
    return writer


def _ends(file):
    data = file.data
    last = file.chunks[-1]
    text, length, _ = file.sections["text"]
    icc = file.sections["icc"][0]
    yield Fault("ends-in-chunk", "The file ends within its last chunk", "1.2", data[: last.offset + 6], "chunk", (last.offset, last.offset + 6))
    yield Fault("ends-in-section", "The file ends within its last section", "1.2", data[:-2], "section", (icc, len(data) - 2))
    flipped = bytearray(data)
    flipped[text] ^= 1
    yield Fault("section-crc", "A bit of a section is another than its CRC says", "1.5", bytes(flipped), "section", (text, text + length))
    yield Fault("bytes-after-end", "A byte after the last section", "1.2", data + b"\0", "section", (len(data), len(data) + 1))


def _colors(file):
    data = file.with_header(colorSpace=1)
    yield Fault("color-space-integer", "A color space that is no string", "1.3", data, "header", (16, 20 + struct.unpack_from("<I", data, 12)[0]))


def _types(file):
    """Types and encodings that a lenient MessagePack library lets pass."""
    icc, text = file.header["sections"]

    def fault(name, about, data):
        return Fault(name, about, "1.3", data, "header", (16, 20 + struct.unpack_from("<I", data, 12)[0]))

    def field(name, about, **changes):
        return fault(name, about, file.with_header(**changes))

    def later(name, about, raw):
        return field(name, about, later=Raw(raw))

    for key in ("height", "channels", "depth", "quality", "chunkSize", "levels", "overviewFactor"):
        as_float = Raw(b"\xca" + struct.pack(">f", file.header[key]))
        yield field(f"{key}-float".lower(), f"{key} is a float of 32 bits", **{key: as_float})
    yield field("section-length-float", "The length of a section is a float", sections=[icc, [text[0], float(text[1]), text[2]]])
    yield field("section-crc-float", "The CRC of a section is a float", sections=[icc, [*text[:2], float(text[2])]])
    yield field("width-bool", "A width of true: a bool is no integer", width=True)
    yield field("channels-bool", "channels is true", channels=True)
    yield field("section-length-bool", "The length of an empty section is false", sections=[icc, text, ["later", False, 0]])
    yield field("sections-nil", "sections is nil", sections=Raw(b"\xc0"))
    yield field("section-map", "A section that is a map", sections=[icc, {"type": "text", "length": text[1], "crc": text[2]}])
    yield field("color-space-nil", "A color space of nil: a key that may be left out has no nil", colorSpace=Raw(b"\xc0"))
    yield field("encoder-not-utf8", "An encoder's name that is not UTF-8", encoder=Raw(b"\xa2\xc3\x28"))
    pairs = bytearray(pack(file.header))
    yield fault("key-twice-encodings", "width twice, in two encodings of a str", file.with_header_bytes(_one_more(pairs) + b"\xd9\x05width\x28"))
    yield fault("pair-missing", "A map that says it has a pair more", file.with_header_bytes(bytes(_one_more(pairs))))
    yield fault("value-missing", "A map that ends with a key", file.with_header_bytes(_one_more(pairs) + pack("later")))
    yield fault("key-binary", "A key that is bin", file.with_header_bytes(_one_more(pairs) + pack(b"later") + b"\xc0"))
    yield fault("key-nil", "A key that is nil", file.with_header_bytes(_one_more(pairs) + b"\xc0\xc0"))
    yield fault("second-map", "A second map behind the header's", file.with_header_bytes(bytes(pairs) + b"\x80"))
    yield later("map-of-2-32", "A map that says it has 2^32 - 1 pairs", b"\xdf\xff\xff\xff\xff")
    yield later("binary-of-4-gib", "A bin that says it has 4 GiB", b"\xc6\xff\xff\xff\xff")
    yield later("float-cut", "The header ends within a float", b"\xcb\x3f\xf0")
    yield later("maps-9-deep", "Maps nested 9 deep, the outermost included", b"\x81\xa0" * 7 + b"\x80")
    yield later("text-overlong", "A string with an overlong encoding, which is not UTF-8", b"\xa2\xc0\xaf")
    yield later("text-beyond-unicode", "A string with a code point beyond U+10FFFF", b"\xa4\xf4\x90\x80\x80")
    yield later("text-cut", "A string that ends within a character", b"\xa2\xe2\x82")
    yield later("extension-of-0", "An extension type of no bytes", b"\xc7\x00\x00")
    yield later("extension-of-16", "An extension type of 16 bytes", b"\xd8\x01" + bytes(16))
    yield later("timestamp", "A timestamp, which is an extension type", b"\xd6\xff\x00\x00\x00\x00")
    yield later("extension-deep", "An extension type in an array of an unknown key", b"\x91\xd4\x01\x00")


def _crcs(file):
    """The bytes are right, their CRC is another."""

    def wrong(entries):
        entries[-1][2] ^= 1

    last = file.chunks[-1]
    data = file.with_entries(wrong)
    yield Fault("chunk-crc-alone", "The index has another CRC than that of a chunk that is right", "1.5", data, "chunk", (last.offset, last.offset + last.length))
    icc, (kind, length, crc) = file.header["sections"]
    data = file.with_header(sections=[icc, [kind, length, crc ^ 1]])
    first = len(data) - length
    yield Fault("section-crc-alone", "The header has another CRC than that of a section that is right", "1.5", data, "section", (first, len(data)))


def _one_more(header):
    """The bytes of a header whose map says that it has a pair more."""
    return bytes([header[0] + 1]) + header[1:]


def unsupported_vectors(models):
    file = _File(models[MODEL])
    parts = file.parts
    faults = [
        ("version-0", "Version 0", "1.2", replace(parts, version=0).write()),
        ("version-2", "Version 2", "1.2", replace(parts, version=2).write()),
        ("version-2-alone", "Version 2, and nothing else that version 1 knows", "1.2", parts.magic + b"\2\0" + b"\xff" * 20),
        ("flag-0", "The lowest flag", "1.2", replace(parts, flags=1).write()),
        ("flag-15", "The highest flag", "1.2", replace(parts, flags=0x8000).write()),
        ("unknown-model", "A model that nobody has", "3.2", file.with_header(model=bytes(32))),
        ("color-space", "Colors of a space that nobody knows", "1.3", file.with_header(colorSpace="rec2100-pq")),
    ]
    return [Fault(f"{i:02}-{name}", about, clause, data, None, None) for i, (name, about, clause, data) in enumerate(faults, 1)]
