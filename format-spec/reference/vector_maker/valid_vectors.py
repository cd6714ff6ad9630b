"""The files that every decoder must decode. Each is as small as what it tests allows."""

import math
import random
from fractions import Fraction

from container import chunk_places, latent_size
from file_writer import Parts, Raw, header_of, pack
from symbol_writer import symbols_by_table, write_chunk


def write_parts(model, width, height, *, seed=1, choose=None, sections=(), **changes):
    """A file of symbols drawn by chance: `choose` as in symbol_writer, by default by each table's own frequencies."""
    header = header_of(model, width, height, **changes)
    choose = choose or symbols_by_table(random.Random(seed))
    size = header["chunkSize"]
    chunks = []
    for level, _, row, column in chunk_places(header):
        rows, columns = latent_size(header, level)
        h, w = min(size, rows - row * size), min(size, columns - column * size)
        chunks.append(write_chunk(model, header["quality"], h, w, choose)[0])
    return Parts(header, chunks, list(sections))


def query(region, size, depth=8):
    return {"region": [str(Fraction(v)) for v in region], "size": list(size), "depth": depth}


def whole(width, height, depth=8):
    return query((0, 0, width, height), (width, height), depth)


class Catalogue:
    """`add` puts a vector in; `vectors` has (name, what it tests, clauses, model's file, bytes, queries)."""

    def __init__(self, models):
        self.models = models
        self.vectors = []

    def add(self, name, about, clause, queries, parts, model="small.safetensors"):
        number = len(self.vectors) + 1
        self.vectors.append((f"{number:02}-{name}", about, clause, model, parts.write(), queries))

    def add_sized(self, name, about, clause, width, height, queries, model="small.safetensors", **options):
        parts = write_parts(self.models[model], width, height, **options)
        self.add(name, about, clause, queries, parts, model)


def valid_vectors(models):
    catalogue = Catalogue(models)
    _sizes(catalogue)
    _kinds(catalogue)
    _chunks_and_levels(catalogue)
    _queries(catalogue)
    _containers(catalogue)
    _symbols(catalogue)
    _far(catalogue)
    _liberties(catalogue)
    return catalogue.vectors


def _sizes(catalogue):
    add = catalogue.add_sized
    outside = [query((-2, -2, 5, 5), (5, 5)), query((0, 0, 1, 1), (5, 3)), query((0, 0, 1, 1), (5, 3), 16)]
    add("one-pixel", "One pixel: one latent, one hyper latent", "1.3", 1, 1, [whole(1, 1), whole(1, 1, 16), *outside])
    add("one-column", "1 x 7 pixels", "1.3", 1, 7, [whole(1, 7), query((0, 2, 1, 4), (3, 12))], seed=2)
    add("one-row", "7 x 1 pixels", "1.3", 7, 1, [whole(7, 1), query((2, 0, 4, 1), (12, 3))], seed=3)
    add("odd-size", "17 x 33 pixels: latents that are mostly padding at the right and at the bottom", "3.4", 17, 33, [whole(17, 33)], seed=4)
    add(
        "partial-chunks", "511 x 513 pixels: a second chunk of one row of latents", "2.4", 511, 513,
        [whole(511, 513), query((500, 500, 11, 13), (22, 26)), query((0, 505, 40, 8), (40, 8), 16)], seed=5,
    )  # fmt: skip


def _kinds(catalogue):
    add = catalogue.add_sized
    for quality in (1, 34, 67, 100):
        about = f"Quality {quality}: its rows of steps, offsets, tables and biases"
        add(f"quality-{quality}", about, "3.1", 40, 24, [whole(40, 24)], seed=6, quality=quality)
    small = [query((0, 0, 40, 24), (20, 12)), query((0, 0, 40, 24), (9, 6), 16)]
    add("grey", "One channel", "4.6", 40, 24, [whole(40, 24), whole(40, 24, 16), *small], seed=7, channels=1)
    add("alpha", "Color and alpha", "1.3", 40, 24, [whole(40, 24), whole(40, 24, 16), *small], seed=8, alpha=True)
    add("grey-alpha", "Grey and alpha", "4.6", 40, 24, [whole(40, 24), query((3, 5, 9, 7), (27, 21), 16), *small], seed=9, channels=1, alpha=True)
    add("depth-16", "A source of 16 bits; both depths are decoded from it", "1.3", 40, 24, [whole(40, 24, 16), whole(40, 24)], seed=10, depth=16)


def _chunks_and_levels(catalogue):
    add = catalogue.add_sized
    across = [query((120, 120, 16, 16), (16, 16)), query((250, 0, 12, 300), (6, 150))]
    add("many-chunks", "15 chunks of 8 x 8 latents and less", "1.4", 520, 300, [whole(520, 300), *across], seed=11, chunkSize=8)
    add("chunk-of-64", "A chunk wider than 32 latents", "2.4", 530, 40, [whole(530, 40)], seed=12, chunkSize=64)
    levels = [whole(150, 100), query((0, 0, 150, 100), (75, 50)), query((0, 0, 152, 104), (19, 13)), query((0, 0, 150, 100), (76, 50))]
    add(
        "overviews-by-2", "Four levels, each half of the one before; steps at, above and below a factor", "4.2", 150, 100,
        [*levels, query((10, 10, 100, 70), (11, 9)), query((0, 0, 150, 100), (1, 1))], seed=13, levels=4, overviewFactor=2,
    )  # fmt: skip
    add(
        "overviews-by-4", "Three levels with alpha, each a quarter of the one before", "4.2", 200, 150,
        [whole(200, 150), query((0, 0, 200, 152), (50, 38)), query((0, 0, 208, 160), (13, 10)), query((0, 0, 200, 150), (199, 9))],
        seed=14, levels=3, alpha=True,
    )  # fmt: skip
    add(
        "levels-to-one-pixel", "As many levels as 37 x 5 pixels can have", "1.3", 37, 5,
        [query((0, 0, 64, 64), (1, 1)), query((0, 0, 37, 5), (2, 1)), whole(37, 5)], seed=15, levels=7, overviewFactor=2,
    )  # fmt: skip


def _queries(catalogue):
    add = catalogue.add_sized
    w, h = 130, 70
    border = [query((x, y, 12, 8), (18, 12)) for y in (0, h - 8) for x in (0, 59, w - 12)]
    border += [query((x, 31, 12, 8), (18, 12)) for x in (0, w - 12)]
    beyond = [query((x, y, 10, 10), (15, 15)) for x, y in ((-5, 20), (w - 5, 20), (60, -5), (60, h - 5), (-7, -7), (w - 3, h - 3))]
    beyond += [query((x, y, 24, 24), (9, 10)) for x, y in ((-9, 20), (w - 7, 20), (60, -9), (60, h - 7), (-20, h - 2))]
    beyond += [query((-40, -30, 10, 10), (7, 7)), query((1000, 1000, 10, 10), (7, 7)), query((-w, -h, 3 * w, 3 * h), (78, 42))]
    add(
        "borders", "Regions at every border and corner, across it, and wholly outside", "4.3", w, h,
        [*border, *beyond], seed=16, chunkSize=8,
    )  # fmt: skip

    w, h = 48, 32
    scales = [Fraction(1, 16), Fraction(1, 5), Fraction(1, 4), Fraction(1, 3), Fraction(1, 2), 1, Fraction(3, 2), 2, Fraction(7, 3)]
    queries = [query((0, 0, w, h), (max(1, int(w * s)), max(1, int(h * s)))) for s in scales]
    for log2 in (3, 6, 20, 31, 53, 60, 100):
        side = Fraction(16, 1 << log2)
        queries.append(query((Fraction(64, 3), Fraction(47, 3), side, side), (16, 16), 16 if log2 % 2 else 8))
    queries.append(query((0, 0, w, h), (6, 128)))
    queries.append(query((0, 0, w, h), (192, 5), 16))
    add("scales", "Scales from 1/16 to 2^100, and different ones for rows and columns", "4.2", w, h, queries, seed=17)

    half, tiny = Fraction(1, 2), Fraction(1, 1 << 40)
    add(
        "ties", "Values that lie exactly between two others, or just beside", "4.2", 64, 48,
        [
            whole(64, 48),  # f = 0 everywhere
            query((half, half, 16, 16), (16, 16)),  # f = 2^13 everywhere
            query((half - tiny, half + tiny, 16, 16), (16, 16)),  # f = 2^13 - 1
            query((-tiny, -tiny, 16, 16), (16, 16)),  # f = 2^14 - 1 at the site before
            query((tiny, tiny, 16, 16), (16, 16)),
            query((0, 0, 8, 8), (16, 16)),  # f = 2^12 and 3 * 2^12
            query((Fraction(1, 128) + half, Fraction(1, 64) + half, 16, 16), (16, 16)),  # fr * fc halfway between integers
            query((0, 0, Fraction(16 * 8193, 8192), Fraction(16 * 8191, 8192)), (16, 16)),  # cells halfway between integers
            query((0, 0, 64 + tiny, 48 + tiny), (64, 48)),  # a step of a little more than 1: reduced
            query((0, 0, 64, 48), (32, 24)),  # of exactly 2
            query((0, 0, 64, 48), (16, 12)),  # of exactly 4
            query((0, 0, 64 + tiny, 48 + tiny), (16, 12)),  # a little more
            query((0, 0, Fraction(1, 2), Fraction(1, 2)), (2, 2)),  # a cell of exactly 1/4
            query((0, 0, 4, 4), (15, 17), 16),
        ],
        seed=18,
    )  # fmt: skip


def _containers(catalogue):
    size = dict(width=20, height=12, seed=19)
    queries = [whole(20, 12)]
    sections = [("icc", bytes(range(128))), ("exif", b"Exif\0\0II*\0"), ("xmp", b"<x:xmpmeta/>"), ("text", "Ein Bär.".encode())]
    catalogue.add_sized("sections", "Every known section", "1.3", **size, queries=queries, sections=sections)
    sections = [("text", b""), ("later", b"\0\1\2"), ("\u00e4" * 8, b"x"), *((f"unknown {i}", bytes(i)) for i in range(13))]
    catalogue.add_sized("unknown-sections", "16 sections: an empty one, and types of later versions", "1.3", **size, queries=queries, sections=sections)

    model = catalogue.models["small.safetensors"]
    parts = write_parts(model, **size)
    parts.header_bytes = _unusual_header(parts.header)
    catalogue.add("header-encodings", "Longer encodings than needed, keys in another order, and unknown keys", "1.3", queries, parts)
    parts = write_parts(model, **size)
    parts.header["later"] = "x" * (65536 - 400)
    catalogue.add("longest-header", "A header of 65,536 bytes", "1.2", queries, _with_header_of(parts, 65536))


def _unusual_header(header):
    """The same header, written as badly as MessagePack allows."""

    def text(value):
        data = value.encode()
        return b"\xdb" + len(data).to_bytes(4, "big") + data

    fields = {key: Raw(b"\xcf" + value.to_bytes(8, "big")) for key, value in header.items() if type(value) is int}
    fields["quality"] = Raw(b"\xd3" + header["quality"].to_bytes(8, "big"))
    fields["chunkSize"] = Raw(b"\xd0" + header["chunkSize"].to_bytes(1, "big"))
    fields["alpha"] = Raw(b"\xc2")
    fields["model"] = Raw(b"\xc6" + (32).to_bytes(4, "big") + header["model"])
    fields["encoder"] = Raw(b"\xda\0\x07" + "M\u00e4ker".encode() + b"\0")
    fields["sections"] = Raw(b"\xdd\0\0\0\0")
    seven = Raw(b"\x91" * 6 + b"\x90")  # with the header itself, 8 deep
    fields.update({"later": 0.5, "": None, "nested": {"a": [1, {"a": [-5, 2.5]}], "b": b"\xff"}, "deep": seven, "__proto__": 1})
    fields["width of 3.0"] = 3.0
    body = b"".join(text(key) + pack(fields[key]) for key in sorted(fields, reverse=True))
    return b"\xdf" + len(fields).to_bytes(4, "big") + body


def _with_header_of(parts, size):
    excess = len(parts.lay_out()[0]) - size
    parts.header["later"] = "x" * (len(parts.header["later"]) - excess)
    assert len(parts.lay_out()[0]) == size
    return parts


def _symbols(catalogue):
    add = catalogue.add_sized
    queries = [whole(40, 24), query((7, 3, 10, 10), (40, 40), 16)]
    add("bypass", "Every symbol that is coded is a bypass", "2.3", 40, 24, queries, choose=symbols_by_table(random.Random(20), bypass=1))
    edge = "edge.safetensors"
    add("empty-tables", "No symbol is coded: a chunk of its four states alone", "2.3", 40, 24, queries, edge, quality=3)
    add(
        "largest-tables", "256 tables, 1024 frequencies, 12 raw bits, frequencies of 1 and of 4095, 12 bits of precision", "3.9", 130, 90,
        [whole(130, 90)], edge, seed=21, quality=50,
    )  # fmt: skip
    extremes = random.Random(22)

    def extreme(channel, table, _mean):
        if table.empty:
            return 0
        return (-32768 if (channel + extremes.randrange(4)) % 2 else 32767), True

    add("saturation", "The largest symbols times the largest steps: every clamp is met", "3.6", 40, 24, queries, edge, choose=extreme, quality=1)
    add("saturation-by-quality", "The same at the smallest steps", "3.6", 40, 24, queries, edge, choose=extreme, quality=100)
    flags = random.Random(23)

    def needless(_channel, table, _mean):
        return 0 if table.empty else (0, flags.random() < 0.5)

    add("needless-bypass", "Symbols coded as a bypass that their tables could express", "2.3", 40, 24, queries, choose=needless)


def _far(catalogue):
    w, h = 40, 24
    scales = [query((-(3 << k) - 5, -(1 << k), 6 << k, 5 << k), (6, 5), 16 if k % 7 == 0 else 8) for k in (11, 14, 16, 18, 19, 21)]
    scales.append(query((-(1 << 27), 3, 1 << 28, 18), (4, 3)))
    scales.append(query((0, -(7 << 20) - Fraction(1, 3), 40, 9 << 20), (80, 6), 16))
    catalogue.add_sized(
        "far-reductions", "A picture that is a speck of its region: blocks of up to 2^36 grid pixels, of which nearly all are border", "4.7", w, h,
        scales, seed=24, alpha=True, levels=2, overviewFactor=2,
    )  # fmt: skip

    third = Fraction(1, 3)
    catalogue.add_sized(
        "one-axis-reduced", "Regions across the border whose rows or columns alone are reduced: the border counts for both", "4.7", w, h,
        [
            query((-9 - third, 0, 15, h), (30, 6)), query((w - 6, 2, 15, 20), (40, 9), 16),
            query((0, -7 - third, w, 12), (9, 24)), query((0, h - 5, w, 12 + third), (3, 30), 16),
        ],
        seed=25,
    )  # fmt: skip


def _liberties(catalogue):
    third = Fraction(1, 3)
    catalogue.add_sized(
        "cell-saturation", "Cell terms beyond 16 bits, between sites: each sat16 of 4.4 that can show", "4.4", 40, 24,
        [query((third, 1 - third, 30, 20), (30, 20)), query((third, 1 - third, 30, 20), (30, 20), 16)], "edge.safetensors", seed=26,
    )  # fmt: skip

    parts = write_parts(catalogue.models["small.safetensors"], 20, 12, seed=27)
    bom = "\ufeff"
    parts.header["encoder"] = bom + "\U0001f600\0" + "x" * 56
    # Each of these is another key than any of 1.3, and none equals another.
    parts.header.update({bom + "width": 0, "Width": 0, "width\0": 0, "\u00e9": 0, "e\u0301": 1, "constructor": -1})
    parts.header["floats"] = [math.nan, math.inf, -0.0]
    numbers = [(1 << 64) - 1, -(1 << 63), Raw(b"\xca\x7f\xc0\0\0"), Raw(b"\xd3" + b"\xff" * 8), Raw(b"\xc6\0\0\0\0"), Raw(b"\xdf\0\0\0\0")]
    six = {}
    for _ in range(5):
        six = {"": six}
    parts.header.update({"numbers": numbers, "deep": {"": six}, "utf-8": "\x7f\x80\u07ff\u0800\ud7ff\ue000\uffff\U00010000\U0010ffff"})
    parts.sections = [("icc", b"\0"), (bom + "icc", b"\1"), ("ICC", b"")]
    catalogue.add("header-liberties", "Values of unknown keys that are easily refused, and names that are easily taken for one", "1.3", [whole(20, 12)], parts)

    catalogue.add_sized(
        "unusual-model", "A model file with every liberty that JSON and 3.2 leave to a writer", "3.2", 20, 12, [whole(20, 12)], "unusual.safetensors",
        seed=27,
    )  # fmt: skip
