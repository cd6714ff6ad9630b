"""Model files that break one rule of 3.2 outside of the graph: the file, its JSON, its list of tensors.

Each function yields (name, about, clause, model's file, bytes).
"""

import json
import struct

import numpy as np
from small_models import MODELS, SMALL


def file_faults():
    yield from _files()
    yield from _grammar()
    yield from _graph_grammar()
    yield from _metadata()
    yield from _entries()
    yield from _names()


def _small():
    """(parts, file, JSON, data) of the model that is right."""
    parts = MODELS[SMALL]()
    good = parts.write()
    (n,) = struct.unpack_from("<Q", good)
    return parts, good, good[8 : 8 + n], good[8 + n :]


def _joined(text, data):
    return struct.pack("<Q", len(text)) + text + data


def _files():
    parts, good, text, data = _small()
    yield "of-7-bytes", "A file of 7 bytes", "3.2", SMALL, good[:7]
    yield "ends-early", "The file ends within its data", "3.2", SMALL, good[:-1]
    yield "data-left", "Two bytes after the last tensor; the hash covers them", "3.2", SMALL, parts.write(data=lambda right: right + bytes(2))
    yield "byte-after-end", "A byte after the data", "3.2", SMALL, good + b"\0"
    yield "header-beyond-end", "N says more than the file has", "3.2", SMALL, struct.pack("<Q", len(good)) + good[8:]
    yield "header-2-64", "N is 2^64 - 1", "3.2", SMALL, b"\xff" * 8 + good[8:]
    yield "header-2-20", "N is 2^20 + 8: the JSON ends with spaces", "3.2", SMALL, _joined(text.ljust(2**20 + 8), data)
    yield "not-json", "The JSON is cut off", "3.2", SMALL, _joined(text.rstrip()[:-1], data)
    yield "json-after-bom", "A byte order mark before the JSON", "3.2", SMALL, _joined(b"\xef\xbb\xbf" + text, data)
    yield "json-not-utf8", "A byte of the JSON that is not UTF-8", "3.2", SMALL, _joined(text.replace(b"liif-model", b"liif-m\xffdel"), data)
    yield "json-array", "The JSON is an array", "3.2", SMALL, _joined(b"[]", data)
    changed = parts.copy()
    changed.graph = "{"
    yield "graph-not-json", "The graph is not JSON", "3.2", SMALL, changed.write()


def _metadata():
    parts, _, text, data = _small()

    def metadata(fault, about, **changes):
        changed = parts.copy()
        changed.metadata.update(changes)
        return fault, about, "3.2", SMALL, changed.write()

    def listed(listing):
        return _joined(json.dumps(listing).encode(), data)

    yield metadata("other-format", "format is another", format="liif")
    yield metadata("name-in-capitals", "A name with a capital letter", name="Small")
    yield metadata("name-too-long", "A name of 65 characters", name="x" * 65)
    yield metadata("hash", "A hash that is not the file's", hash="0" * 64)
    yield metadata("hash-in-capitals", "A hash in capital letters", hash=json.loads(text)["__metadata__"]["hash"].upper())
    yield metadata("name-empty", "A name of no characters", name="")
    yield metadata("name-newline", "A name with a newline at its end", name="small\n")
    yield metadata("version-number", "A version that is a number", version=1)
    yield metadata("metadata-number", "An unknown key of __metadata__ that holds a number", note=1)
    yield metadata("metadata-null", "An unknown key of __metadata__ that holds null", note=None)
    yield metadata("unpaired-surrogate", "Half of a surrogate pair in a key that nobody knows", note="\ud83d")
    for key in ("name", "version", "format", "hash", "graph"):
        listing = json.loads(text)
        del listing["__metadata__"][key]
        yield f"no-{key}", f"The {key} is missing", "3.2", SMALL, listed(listing)
    listing["__metadata__"] = ["liif-model"]
    yield "metadata-array", "__metadata__ is an array", "3.2", SMALL, listed(listing)
    del listing["__metadata__"]
    yield "no-metadata", "__metadata__ is missing", "3.2", SMALL, listed(listing)


def _grammar():
    """What a lenient JSON parser lets pass, in the list of tensors."""
    _, _, text, data = _small()
    text = text.rstrip()

    def changed(name, about, text):
        return name, about, "3.2", SMALL, _joined(text, data)

    def noted(name, about, value):
        """An unknown key of a tensor; its value is not JSON."""
        return changed(name, about, text.replace(b'"dtype"', b'"note":' + value + b',"dtype"', 1))

    def sized(name, about, size):
        """The one size of the shape of head.bias, written otherwise."""
        return changed(name, about, text.replace(b'"shape":[3]', b'"shape":[' + size + b"]", 1))

    yield changed("json-empty", "JSON of no bytes", b"")
    yield changed("json-comma-at-end", "A comma after the last pair", text[:-1] + b",}")
    yield changed("json-comment", "A comment before the JSON", b"/**/" + text)
    yield changed("json-single-quotes", "A key in single quotes", text.replace(b'"dtype"', b"'dtype'", 1))
    yield changed("json-bare-key", "A key without quotes", text.replace(b'"dtype"', b"dtype", 1))
    yield changed("json-twice", "A second value after the JSON", text + b"{}")
    yield changed("json-nul-at-end", "Zeros fill up the JSON, not spaces", text + b"\0" * 8)
    yield sized("number-leading-zero", "A number that begins with 0", b"03")
    yield sized("number-plus", "A number with a plus", b"+3")
    yield sized("number-point-at-end", "A number that ends with a point", b"3.")
    yield sized("number-point-first", "A number that begins with a point", b".3e1")
    yield sized("number-no-exponent", "A number whose exponent has no digits", b"3e")
    yield sized("number-hexadecimal", "A hexadecimal number", b"0x3")
    yield sized("number-spaced", "A number with a space after its sign", b"- 0,3")
    yield noted("json-nan", "NaN as the value of an unknown key", b"NaN")
    yield noted("json-infinity", "-Infinity as the value of an unknown key", b"-Infinity")
    yield noted("json-true-capital", "True, not true", b"True")
    yield noted("json-nothing", "A key without a value", b"")
    yield noted("string-tab", "A tab in a string that is not an escape", b'"\t"')
    yield noted("string-newline", "A newline in a string that is not an escape", b'"\n"')
    yield noted("string-escape-x", "An escape that JSON does not have", b'"\\x41"')
    yield noted("string-escape-quote", "An escaped single quote", b'"\\\'"')
    yield noted("string-escape-short", "An escape of two hexadecimal digits", b'"\\u41"')
    yield noted("string-overlong", "A string with an overlong encoding, which is not UTF-8", b'"\xc0\xaf"')
    yield noted("string-surrogate", "A string with a surrogate in UTF-8", b'"\xed\xa0\x80"')


def _graph_grammar():
    """The same in the text of the graph."""
    parts = MODELS[SMALL]()
    graph = parts.json(parts.graph)

    def graphed(name, about, text):
        other = parts.copy()
        other.graph = text
        return f"graph-{name}", about, "3.2", SMALL, other.write()

    yield graphed("array", "The graph is an array", "[" + graph + "]")
    yield graphed("null", "The graph is null", "null")
    yield graphed("empty", "The graph has no bytes", "")
    yield graphed("after-bom", "A byte order mark before the graph", "\ufeff" + graph)
    yield graphed("comma-at-end", "A comma after the graph's last pair", graph[:-1] + ",}")
    yield graphed("comment", "A comment in the graph", graph[:-1] + "/**/}")
    yield graphed("nan", "NaN as the value of a key of the graph that is unknown", graph[:-1] + ',"note":NaN}')
    yield graphed("twice", "A second value after the graph", graph + "{}")
    yield graphed("last-key-counts", "A key of the graph twice: the last one is wrong", graph[:-1] + ',"qualities":99}')


def _listed(name, about, change):
    """`change` is made to the entries of the list of tensors."""
    return name, about, "3.2", SMALL, MODELS[SMALL]().write(listing=change)


def _entries():
    def entry(name, about, tensor, key, value):
        def change(entries):
            entries[tensor][key] = value(entries[tensor][key])

        return _listed(name, about, change)

    yield entry("tensor-float", "A tensor of floats", "head.bias", "dtype", lambda _: "F32")
    yield entry("tensor-other-type", "A tensor of 16 bits where 32 are needed", "head.bias", "dtype", lambda _: "I16")
    yield entry("tensor-shape", "A shape that needs more bytes than are there", "head.bias", "shape", lambda _: [4])
    yield entry("tensor-shape-transposed", "A shape in another order", "head.output", "shape", lambda shape: shape[::-1])
    yield entry("tensor-shape-negative", "A negative size", "head.bias", "shape", lambda _: [-3])
    yield entry("tensor-shape-fraction", "A size of 2.5", "head.bias", "shape", lambda _: [2.5])
    yield entry("tensor-5-dimensions", "Five dimensions", "head.bias", "shape", lambda _: [1, 1, 1, 1, 3])
    yield entry("tensor-offset", "A tensor that begins two bytes late", "head.bias", "data_offsets", lambda at: [at[0] + 2, at[1] + 2])
    yield entry("tensor-type-small", "A type in small letters", "head.bias", "dtype", lambda _: "i32")
    yield entry("tensor-type-null", "A type that is no string", "head.bias", "dtype", lambda _: None)
    yield entry("tensor-shape-number", "A shape that is a number", "head.bias", "shape", lambda _: 3)
    yield entry("tensor-shape-text", "A size that is a string", "head.bias", "shape", lambda _: ["3"])
    yield entry("tensor-shape-bool", "A size that is true", "head.bias", "shape", lambda _: [3, True])
    yield entry("tensor-shape-of-1", "A second dimension of 1", "head.bias", "shape", lambda _: [3, 1])
    yield entry("tensor-no-dimensions", "No dimensions", "head.bias", "shape", lambda _: [])
    yield entry("tensor-offsets-of-3", "Three offsets", "head.bias", "data_offsets", lambda at: [*at, at[1]])
    yield entry("tensor-offset-text", "An offset that is a string", "head.bias", "data_offsets", lambda at: [at[0], str(at[1])])

    # The same bytes as a tensor of another shape.
    for tensor in ("a1.weight", "c3", "s5.bias", "latent.step", "latent.offset", "hyper.step", "hyper.offset", "hyper.table"):
        fault = f"shape-of-{tensor.replace('.', '-')}"
        yield entry(fault, f"The sizes of {tensor} in the other order", tensor, "shape", lambda shape: shape[::-1])
    for tensor in ("a1.bias", "tables.minimum", "tables.rawBits", "head.row", "head.column", "head.cellRow", "head.cellColumn"):
        fault = f"shape-of-{tensor.replace('.', '-')}".lower()
        yield entry(fault, f"{tensor} with a second dimension of 1", tensor, "shape", lambda shape: [*shape, 1])

    def no_entry(entries):
        entries["head.bias"] = None

    yield _listed("tensor-null", "A tensor that is null", no_entry)
    for key in ("dtype", "shape", "data_offsets"):
        yield _listed(f"tensor-no-{key.replace('_', '-')}", f"A tensor without {key}", lambda entries, key=key: entries["head.bias"].pop(key))

    def swapped(entries):
        first, second = entries["head.cellColumn"], entries["head.cellRow"]
        first["data_offsets"], second["data_offsets"] = second["data_offsets"], first["data_offsets"]

    yield _listed("tensor-order", "Two tensors that do not lie in the order of their names", swapped)

    for bits, tensor, kind in ((16, "head.bias", "<i2"), (32, "head.row", "<i4")):
        other = MODELS[SMALL]()
        other.tensors[tensor] = other.tensors[tensor].astype(kind)
        yield f"tensor-of-{bits}-bits", f"A tensor that is stored with {bits} bits, not {48 - bits}", "3.2", SMALL, other.write()


def _names():
    def renamed(entries):
        entries["a b"] = entries.pop("a0.bias")

    yield _listed("tensor-name", "A name with a space", renamed)
    for name, about, tensor in (
        ("spaced", "with a space, which the graph uses", "a b"),
        ("long", "of 129 characters", "a" * 129),
        ("not-ascii", "with a letter that is not ASCII", "a\u00e4"),
        ("newline", "with a newline at its end", "a\n"),
    ):
        other = MODELS[SMALL]()
        other.tensors[tensor] = other.tensors.pop("a0.bias")
        other.graph["analysis"][1]["bias"] = tensor
        yield f"tensor-name-{name}", f"A name {about}", "3.2", SMALL, other.write()
    changed = MODELS[SMALL]()
    changed.tensors["unused"] = np.zeros(2, "<i2")
    yield "tensor-unused", "A tensor that the graph does not name", "3.2", SMALL, changed.write()
    changed = MODELS[SMALL]()
    changed.graph["head"]["cellRowWeight"] = "head.cellColumn"
    del changed.tensors["head.cellRow"]
    yield "tensor-twice", "The graph names a tensor in two places", "3.2", SMALL, changed.write()
    changed = MODELS[SMALL]()
    changed.graph["head"]["outputBias"] = "head.nothing"
    yield "tensor-missing", "The graph names a tensor that is not there", "3.2", SMALL, changed.write()
