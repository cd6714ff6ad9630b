"""Model files that break one rule each, written as edits of a model that is right."""

import difflib
import json
import re
import struct

import numpy as np
from small_models import MODELS

SMALL, EDGE = "small.safetensors", "edge.safetensors"


def model_faults():
    """(name, about, clause, model's file, bytes) of each."""
    faults = [*_files(), *_grammar(), *_listings(), *_graphs(), *_layers(), *_chains(), *_bounds(), *_tables()]
    return [(f"model-{name}", *rest) for name, *rest in faults]


def unsupported_models():
    parts = MODELS[SMALL]()
    parts.metadata["version"] = "2"
    return [("model-version-2", "A model file of version 2", "3.2", SMALL, parts.write())]


# ---------------------------------------------------------------- 3.2 The file


def _files():
    parts = MODELS[SMALL]()
    good = parts.write()
    n = struct.unpack_from("<Q", good)[0]
    body = good[8 + n :]

    def with_text(text):
        return struct.pack("<Q", len(text)) + text + body

    def metadata(title, about, **changes):
        changed = parts.copy()
        changed.metadata.update(changes)
        return title, about, "3.2", SMALL, changed.write()

    yield "of-7-bytes", "A file of 7 bytes", "3.2", SMALL, good[:7]
    yield "ends-early", "The file ends within its data", "3.2", SMALL, good[:-1]
    yield "data-left", "Two bytes of data behind the last tensor, of which the hash knows", "3.2", SMALL, parts.write(data=lambda body: body + bytes(2))
    yield "byte-after-end", "A byte after the data", "3.2", SMALL, good + b"\0"
    yield "header-beyond-end", "N says more than the file has", "3.2", SMALL, struct.pack("<Q", len(good)) + good[8:]
    yield "header-2-64", "N is 2^64 - 1", "3.2", SMALL, b"\xff" * 8 + good[8:]
    yield "not-json", "The JSON is cut off", "3.2", SMALL, with_text(good[8 : 8 + n].rstrip()[:-1])
    yield "json-after-bom", "A byte order mark before the JSON", "3.2", SMALL, with_text(b"\xef\xbb\xbf" + good[8 : 8 + n])
    yield "json-not-utf8", "A byte of the JSON that is not UTF-8", "3.2", SMALL, with_text(good[8 : 8 + n].replace(b"liif-model", b"liif-m\xffdel"))
    yield "json-array", "The JSON is an array", "3.2", SMALL, with_text(b"[]")
    yield metadata("other-format", "format is another", format="liif")
    yield metadata("name-in-capitals", "A name with a capital letter", name="Small")
    yield metadata("name-too-long", "A name of 65 characters", name="x" * 65)
    yield metadata("hash", "A hash that is not the file's", hash="0" * 64)
    yield metadata("hash-in-capitals", "A hash in capital letters", hash=json.loads(good[8 : 8 + n])["__metadata__"]["hash"].upper())
    yield metadata("name-empty", "A name of no characters", name="")
    yield metadata("name-newline", "A name with a newline at its end", name="small\n")
    yield metadata("version-number", "A version that is a number", version=1)
    yield metadata("metadata-number", "An unknown key of __metadata__ that holds a number", note=1)
    yield metadata("metadata-null", "An unknown key of __metadata__ that holds null", note=None)
    yield metadata("unpaired-surrogate", "Half of a surrogate pair in a key that nobody knows", note="\ud83d")
    for key in ("name", "version", "format", "hash", "graph"):
        listing = json.loads(good[8 : 8 + n])
        del listing["__metadata__"][key]
        yield f"no-{key}", f"The {key} is missing", "3.2", SMALL, with_text(json.dumps(listing).encode())
    listing["__metadata__"] = ["liif-model"]
    yield "metadata-array", "__metadata__ is an array", "3.2", SMALL, with_text(json.dumps(listing).encode())
    del listing["__metadata__"]
    yield "no-metadata", "__metadata__ is missing", "3.2", SMALL, with_text(json.dumps(listing).encode())
    changed = parts.copy()
    changed.graph = "{"
    yield "graph-not-json", "The graph is not JSON", "3.2", SMALL, changed.write()


def _grammar():
    """What a lenient parser of JSON lets pass, in the list of tensors and in the graph."""
    parts = MODELS[SMALL]()
    good = parts.write()
    n = struct.unpack_from("<Q", good)[0]
    text, body = good[8 : 8 + n].rstrip(), good[8 + n :]

    def changed(name, about, text):
        return name, about, "3.2", SMALL, struct.pack("<Q", len(text)) + text + body

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

    graph = json.dumps(parts.graph, separators=(",", ":"))

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


def _listings():
    parts = MODELS[SMALL]()

    def listing(name, about, change):
        return name, about, "3.2", SMALL, parts.write(listing=change)

    def entry(name, about, tensor, key, value):
        def change(entries):
            entries[tensor][key] = value(entries[tensor][key])

        return listing(name, about, change)

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

    def no_entry(entries):
        entries["head.bias"] = None

    yield listing("tensor-null", "A tensor that is null", no_entry)
    for key in ("dtype", "shape", "data_offsets"):
        yield listing(f"tensor-no-{key.replace('_', '-')}", f"A tensor without {key}", lambda entries, key=key: entries["head.bias"].pop(key))

    def swapped(entries):
        first, second = entries["head.cellColumn"], entries["head.cellRow"]
        first["data_offsets"], second["data_offsets"] = second["data_offsets"], first["data_offsets"]

    yield listing("tensor-order", "Two tensors that do not lie in the order of their names", swapped)
    other = parts.copy()
    other.tensors["head.bias"] = other.tensors["head.bias"].astype("<i2")
    yield "tensor-of-16-bits", "A tensor that is stored with 16 bits where 32 are needed", "3.2", SMALL, other.write()
    other = parts.copy()
    other.tensors["head.row"] = other.tensors["head.row"].astype("<i4")
    yield "tensor-of-32-bits", "A tensor that is stored with 32 bits where 16 are needed", "3.2", SMALL, other.write()

    def renamed(entries):
        entries["a b"] = entries.pop("a0.bias")

    yield listing("tensor-name", "A name with a space", renamed)
    names = (
        ("tensor-name-spaced", "A name with a space, which the graph uses", "a b"), ("tensor-name-long", "A name of 129 characters", "a" * 129),
        ("tensor-name-not-ascii", "A name with a letter that is not ASCII", "a\u00e4"), ("tensor-name-newline", "A name with a newline at its end", "a\n"),
    )  # fmt: skip
    for name, about, tensor in names:
        other = parts.copy()
        other.tensors[tensor] = other.tensors.pop("a0.bias")
        other.graph["analysis"][1]["bias"] = tensor
        yield name, about, "3.2", SMALL, other.write()
    changed = parts.copy()
    changed.tensors["unused"] = np.zeros(2, "<i2")
    yield "tensor-unused", "A tensor that the graph does not name", "3.2", SMALL, changed.write()
    changed = parts.copy()
    changed.graph["head"]["cellRowWeight"] = "head.cellColumn"
    del changed.tensors["head.cellRow"]
    yield "tensor-twice", "The graph names a tensor in two places", "3.2", SMALL, changed.write()
    changed = parts.copy()
    changed.graph["head"]["outputBias"] = "head.nothing"
    yield "tensor-missing", "The graph names a tensor that is not there", "3.2", SMALL, changed.write()


# ---------------------------------------------------------------- 3.2 The graph, 3.3 Layers


def _change(model, name, about, clause, change):
    parts = MODELS[model]()
    change(parts.graph, parts.tensors)
    return name, about, clause, model, parts.write()


def _set(name, about, path, value, clause="3.2"):
    """One field of the graph replaced; None takes it out."""

    def change(graph, _):
        *way, last = path
        place = graph
        for step in way:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return _change(SMALL, name, about, clause, change)


def _graphs():
    yield _set("99-qualities", "99 qualities", ["qualities"], 99)
    yield _set("latent-stride-8", "A latent stride of 8", ["latentStride"], 8)
    yield _set("hyper-stride-2", "A hyper stride of 2", ["hyperStride"], 2)
    yield _set("latent-channels-48", "48 channels of latents, no multiple of 32", ["latentChannels"], 48)
    yield _set("hyper-channels-12", "12 channels of hyper latents, no multiple of 8", ["hyperChannels"], 12)
    yield _set("image-shift-1", "imageShift 1", ["imageShift"], 1)
    yield _set("image-shift-16", "imageShift 16", ["imageShift"], 16)
    yield _set("no-head", "No head", ["head"], None)
    yield _set("hidden-12", "12 hidden units, no multiple of 8", ["head", "hidden"], 12)
    yield _set("no-synthesis", "A list of no layers", ["synthesis"], [])
    yield _set("step-bits-0", "stepBits 0", ["latent", "stepBits"], 0)
    yield _set("step-bits-25", "stepBits 25", ["hyper", "stepBits"], 25)
    yield _set("deviation-shift-16", "deviationShift 16", ["latent", "deviationShift"], 16)
    yield _set("cell-shift-0", "cellShift 0", ["head", "cellShift"], 0)
    yield _set("output-shift-8", "outputShift 8", ["head", "outputShift"], 8)
    yield _set("output-shift-31", "outputShift 31", ["head", "outputShift"], 31)
    yield _set("limit-0", "A limit of 0", ["latent", "limit"], 0)
    yield _set("limit-32768", "A limit of 32768", ["head", "limit"], 32768)

    for value, kind in ((True, "bool"), ("16", "text"), ([16], "array")):
        yield _set(f"latent-stride-{kind}", f"latentStride is {json.dumps(value)}", ["latentStride"], value)
    for key in ("prior", "analysis", "hyperAnalysis", "tables", "latent", "hyper"):
        yield _set(f"no-{key}".lower(), f"No {key}", [key], None)
    yield _set("synthesis-object", "A list of layers that is an object", ["synthesis"], {"op": "row"})
    yield _set("step-array", "A step of the prior that is an array", ["prior", 1], [])
    yield _set("no-trunk", "A step of the prior without a trunk", ["prior", 1, "trunk"], None)
    yield _set("no-mean", "A step of the prior without a mean", ["prior", 1, "mean"], None)
    yield _set("tensor-number", "A number where the name of a tensor belongs", ["head", "rowWeight"], 0)

    def three_steps(graph, tensors):
        for name in [name for name in tensors if name.startswith("p3.")]:
            del tensors[name]
        graph["prior"].pop()

    yield _change(SMALL, "three-steps", "A prior of three steps", "3.2", three_steps)

    def many(graph, tensors):
        graph["hyperSynthesis"] += [graph["hyperSynthesis"][-1]] * 60

    yield _change(SMALL, "65-layers", "A list of 65 layers", "3.2", many)


def _layers():
    def layer(name, about, path, value):
        return _set(name, about, path, value, "3.3")

    yield layer("op-unknown", "A layer that is not known", ["synthesis", 0, "op"], "pool")
    yield layer("kernel-2", "A kernel of 2", ["synthesis", 2, "kernel"], 2)
    yield layer("shift-31", "A shift of 31", ["synthesis", 2, "shift"], 31)
    yield layer("shift-negative", "A shift of -1", ["synthesis", 2, "shift"], -1)
    yield layer("shift-fraction", "A shift of 9.5", ["synthesis", 2, "shift"], 9.5)
    yield layer("leaky-1", "leaky is 1, not true", ["synthesis", 2, "leaky"], 1)
    yield layer("inputs-30", "A layer for fewer channels than it gets", ["synthesis", 2, "inputs"], 30)
    yield layer("residual-not-leaky", "The first conv of a residual is not leaky", ["synthesis", 1, "first", "leaky"], False)
    yield layer("residual-leaky", "The second conv of a residual is leaky", ["synthesis", 1, "second", "leaky"], True)
    yield layer("mean-leaky", "A mean that is leaky", ["prior", 0, "mean", "leaky"], True)
    yield layer("factor-3", "A shuffle by 3", ["synthesis", 3, "factor"], 3)

    def twelve_outputs(graph, tensors):
        graph["prior"][0]["trunk"][0]["outputs"] = 12
        for name, axis in (("p0.trunk.weight", 0), ("p0.trunk.bias", 0), ("p0.mean.weight", 3), ("p0.deviation.weight", 3)):
            tensors[name] = np.concatenate([tensors[name], tensors[name]], axis).take(range(12), axis)
        graph["prior"][0]["mean"]["inputs"] = graph["prior"][0]["deviation"]["inputs"] = 12

    yield _change(SMALL, "12-outputs", "A conv to 12 channels, no multiple of 8", "3.3", twelve_outputs)

    def bare_shuffle(graph, tensors):
        first, shuffle, *rest = graph["hyperSynthesis"]
        row = {"op": "row", "row": "extra", "limit": 14000}
        tensors["extra"] = np.zeros((100, 32), "<i4")
        graph["hyperSynthesis"] = [first, row, shuffle, *rest]

    yield _change(SMALL, "bare-shuffle", "A shuffle that does not follow a 1x1 conv", "3.3", bare_shuffle)

    def bare_unshuffle(graph, tensors):
        unshuffle, *rest = graph["hyperAnalysis"]
        row = {"op": "row", "row": "extra", "limit": 18000}
        tensors["extra"] = np.zeros((100, 128), "<i4")
        graph["hyperAnalysis"] = [unshuffle, row, *rest]

    yield _change(SMALL, "bare-unshuffle", "An unshuffle that no 1x1 conv follows", "3.3", bare_unshuffle)

    def down_and_up(graph, tensors):
        """Latents by 2 down, and by 2 up again: the resolution is right at the end."""
        shape = (32, 1, 1, 128), (128, 1, 1, 32)
        convs = []
        for name, (outputs, _, _, inputs) in zip(("extra0", "extra1"), shape):
            tensors[f"{name}.weight"] = np.ones((outputs, 1, 1, inputs), "<i2")
            tensors[f"{name}.bias"] = np.zeros(outputs, "<i4")
            convs.append({
                "op": "conv", "kernel": 1, "inputs": inputs, "outputs": outputs, "weight": f"{name}.weight", "bias": f"{name}.bias",
                "shift": 6, "limit": 14000, "leaky": False,
            })  # fmt: skip
        around = [{"op": "unshuffle", "factor": 2}, convs[0], convs[1], {"op": "shuffle", "factor": 2}]
        graph["synthesis"] = [*around, *graph["synthesis"]]

    yield _change(SMALL, "down-and-up", "An unshuffle in synthesis", "3.3", down_and_up)

    def trunk_shuffle(graph, tensors):
        trunk = graph["prior"][1]["trunk"]
        tensors["extra.weight"] = np.ones((32, 1, 1, 8), "<i2")
        tensors["extra.bias"] = np.zeros(32, "<i4")
        trunk.append({
            "op": "conv", "kernel": 1, "inputs": 8, "outputs": 32, "weight": "extra.weight", "bias": "extra.bias", "shift": 3,
            "limit": 14000, "leaky": False,
        })  # fmt: skip
        trunk.append({"op": "shuffle", "factor": 2})

    yield _change(SMALL, "trunk-shuffle", "A trunk that changes the resolution", "3.3", trunk_shuffle)

    def no_last_shuffle(graph, tensors):
        del graph["hyperSynthesis"][1:3]
        del tensors["c1.weight"], tensors["c1.bias"]
        graph["hyperSynthesis"][1]["inputs"] = 32
        tensors["c2.weight"] = np.repeat(tensors["c2.weight"], 4, axis=3)

    yield _change(SMALL, "resolution", "hyperSynthesis that doubles the resolution only", "3.2", no_last_shuffle)


# ---------------------------------------------------------------- 3.3 Layers that do not fit each other


def _chains():
    """Weights and `inputs` agree in each: what is wrong is the layer before."""

    def chain(name, about, change, clause="3.3"):
        return _change(SMALL, name, about, clause, change)

    def narrow(place, channels, *, rows=False):
        """Takes a conv down to so many inputs, or with `rows` outputs, its weights with it."""

        def change(graph, tensors):
            conv = graph
            for step in place:
                conv = conv[step]
            conv["outputs" if rows else "inputs"] = channels
            tensors[conv["weight"]] = tensors[conv["weight"]].take(range(channels), 0 if rows else 3)
            if rows:
                tensors[conv["bias"]] = tensors[conv["bias"]].take(range(channels), -1)

        return change

    yield chain("inputs-after-conv", "A conv for fewer channels than the conv before it makes", narrow(["hyperSynthesis", 3], 6))
    yield chain("inputs-after-residual", "A conv for fewer channels than the residual before it makes", narrow(["synthesis", 2], 30))
    yield chain("inputs-after-shuffle", "A conv for fewer channels than the shuffle before it makes", narrow(["hyperSynthesis", 2], 6))
    yield chain("inputs-after-unshuffle", "A conv for fewer channels than the unshuffle before it makes", narrow(["analysis", 1], 46))
    yield chain("inputs-of-hyper-latents", "hyperSynthesis for fewer channels than z has", narrow(["hyperSynthesis", 0], 6))
    yield chain("inputs-of-trunk", "The second trunk reads h alone", narrow(["prior", 1, "trunk", 0], 8))
    yield chain("inputs-of-mean", "A mean for fewer channels than its trunk makes", narrow(["prior", 1, "mean"], 6))
    yield chain("inputs-of-residual", "A residual for fewer channels than it gets", narrow(["synthesis", 1, "first"], 30))
    yield chain("inputs-of-second", "A second conv for fewer channels than the first makes", narrow(["synthesis", 1, "second"], 6))

    def narrow_second(graph, tensors):
        narrow(["synthesis", 1, "second"], 24, rows=True)(graph, tensors)
        narrow(["synthesis", 2], 24)(graph, tensors)

    yield chain("outputs-of-second", "A residual whose second conv makes fewer channels than the first reads", narrow_second)
    yield chain("outputs-of-analysis", "analysis that does not end with Cy channels", narrow(["analysis", -1], 24, rows=True), "3.2")
    yield chain("outputs-of-deviation", "A deviation of fewer than Cy channels", narrow(["prior", 2, "deviation"], 24, rows=True))

    def wide_synthesis(graph, tensors):
        conv = graph["synthesis"][-1]
        conv["outputs"] = 16
        for key, axis in (("weight", 0), ("bias", -1)):
            tensors[conv[key]] = np.concatenate([tensors[conv[key]]] * 2, axis)

    yield chain("outputs-of-synthesis", "synthesis that ends with more channels than the head reads", wide_synthesis, "3.2")

    def wide_hyper(graph, tensors):
        conv = graph["hyperAnalysis"][-1]
        conv["outputs"] = 16
        for key in ("weight", "bias"):
            tensors[conv[key]] = np.concatenate([tensors[conv[key]]] * 2)

    yield chain("outputs-of-hyper-analysis", "hyperAnalysis that does not end with Cz channels", wide_hyper, "3.2")

    def narrow_row(graph, tensors):
        tensors["s0"] = tensors["s0"][:, :24]

    yield chain("row-of-24", "A row for fewer channels than it gets", narrow_row)

    def narrow_shuffle(graph, tensors):
        narrow(["synthesis", 5], 64, rows=True)(graph, tensors)
        narrow(["synthesis", 7], 4)(graph, tensors)

    yield chain("shuffle-to-4", "A shuffle that makes 4 channels, no multiple of 8", narrow_shuffle)

    def odd_inputs(graph, tensors):
        tensors["extra.weight"], tensors["extra.bias"] = np.ones((8, 1, 1, 3), "<i2"), np.zeros(8, "<i4")
        extra = {"op": "conv", "kernel": 1, "inputs": 3, "outputs": 8, "weight": "extra.weight", "bias": "extra.bias", "shift": 2, "limit": 8192, "leaky": False}
        graph["analysis"].insert(0, extra)
        graph["analysis"][2]["inputs"] = 128
        tensors["a0.weight"] = np.ones((8, 1, 1, 128), "<i2")

    yield chain("inputs-3", "A conv of the picture's 3 channels: an odd number", odd_inputs)

    def bare_unshuffle(graph, tensors):
        """hyperAnalysis that ends with an unshuffle of 2 channels to Cz = 8."""
        narrow(["hyperAnalysis", 1], 2, rows=True)(graph, tensors)
        graph["hyperAnalysis"].pop()
        del tensors["b1.weight"], tensors["b1.bias"]

    yield chain("unshuffle-last", "A list that ends with an unshuffle", bare_unshuffle)

    def analysis_by_8(graph, tensors):
        graph["analysis"][2]["factor"] = 2
        narrow(["analysis", 3], 32)(graph, tensors)

    def hyper_analysis_by_2(graph, tensors):
        del graph["hyperAnalysis"][2]
        narrow(["hyperAnalysis", 2], 8)(graph, tensors)

    def synthesis_by_8(graph, tensors):
        narrow(["synthesis", 5], 32, rows=True)(graph, tensors)
        graph["synthesis"][6]["factor"] = 2

    yield chain("analysis-by-8", "analysis that reduces by 8", analysis_by_8, "3.2")
    yield chain("hyper-analysis-by-2", "hyperAnalysis that reduces by 2", hyper_analysis_by_2, "3.2")
    yield chain("synthesis-by-8", "synthesis that enlarges by 8", synthesis_by_8, "3.2")

    def without(name, about, path, *tensors_of):
        def change(graph, tensors):
            *way, last = path
            place = graph
            for step in way:
                place = place[step]
            removed = place.pop(last)
            for key in tensors_of:
                del tensors[removed[key]]

        return chain(name, about, change)

    yield without("residual-no-first", "A residual without first", ["synthesis", 1, "first"], "weight", "bias")
    yield without("residual-no-second", "A residual without second", ["synthesis", 1, "second"], "weight", "bias")
    yield without("residual-no-limit", "A residual without a limit", ["synthesis", 1, "limit"])
    yield without("row-no-limit", "A row without a limit", ["synthesis", 0, "limit"])
    yield without("conv-no-limit", "A conv without a limit", ["synthesis", 2, "limit"])
    yield without("conv-no-leaky", "A conv that does not say whether it is leaky", ["synthesis", 2, "leaky"])
    yield without("conv-no-shift", "A conv without a shift", ["synthesis", 2, "shift"])
    yield without("shuffle-no-factor", "A shuffle without a factor", ["synthesis", 3, "factor"])
    yield without("layer-no-op", "A layer without an op", ["synthesis", 2, "op"])

    def first_null(graph, tensors):
        for key in ("weight", "bias"):
            del tensors[graph["synthesis"][1]["first"][key]]
        graph["synthesis"][1]["first"] = None

    yield chain("residual-first-null", "A residual whose first is null", first_null)

    def kernel_of(name, about, place, kernel):
        def change(graph, tensors):
            conv = graph
            for step in place:
                conv = conv[step]
            conv["kernel"] = kernel
            weight = tensors[conv["weight"]]
            tensors[conv["weight"]] = np.ascontiguousarray(np.broadcast_to(weight[:, :1, :1], (weight.shape[0], kernel, kernel, weight.shape[3])) // 9)

        return chain(name, about, change)

    yield kernel_of("residual-first-1x1", "A residual whose first conv is 1x1", ["synthesis", 1, "first"], 1)
    yield kernel_of("residual-second-1x1", "A residual whose second conv is 1x1", ["synthesis", 1, "second"], 1)
    yield kernel_of("mean-3x3", "A mean that is 3x3", ["prior", 0, "mean"], 3)
    yield kernel_of("shuffle-after-3x3", "A shuffle that follows a 3x3 conv", ["hyperSynthesis", 3], 3)
    yield kernel_of("unshuffle-before-3x3", "An unshuffle that a 3x3 conv follows", ["hyperAnalysis", 3], 3)
    yield kernel_of("kernel-2-whole", "A kernel of 2 with weights of that shape", ["synthesis", 7], 2)
    yield kernel_of("kernel-5", "A kernel of 5", ["synthesis", 7], 5)
    yield _set("kernel-bool", "A kernel of true", ["synthesis", 2, "kernel"], True, "3.3")
    yield _set("residual-as-conv", "A residual in the place of a residual's first conv", ["synthesis", 1, "first", "op"], "residual", "3.3")
    yield chain("layer-null", "A layer that is null", lambda graph, _: graph["synthesis"].insert(2, None))


# ---------------------------------------------------------------- 3.8 Bounds, 3.9 Tables


def _bounds():
    def bound(name, about, change, model=SMALL):
        return _change(model, name, about, "3.8", change)

    def more_bias(graph, tensors):
        bias = tensors[graph["synthesis"][1]["first"]["bias"]]
        bias[0] += 1 if bias[0] > 0 else -1

    yield bound("conv-overflow", "An accumulator that can reach 2^31: a bias is 1 larger than it may be", more_bias, EDGE)

    def set_item(name, index, value):
        def change(_, tensors):
            tensors[name][index] = value

        return change

    row = (1 << 31) - 1
    yield bound("row-overflow", "A row that can leave 32 bits", set_item("s0", (57, 3), row))
    yield bound("row-overflow-negative", "A row of -2^31", set_item("s0", (57, 3), -(1 << 31)))
    yield bound("latent-step-0", "A step of 0", set_item("latent.step", (99, 31), 0))
    yield bound("latent-step-65536", "A step of 65536", set_item("latent.step", (0, 0), 65536))
    yield bound("hyper-step-negative", "A step of -1", set_item("hyper.step", (99, 7), -1))

    def hyper_offset(_, tensors):
        tensors["hyper.step"][0, 0] = 65000
        tensors["hyper.offset"][0, 0] = (1 << 31) - 32768 * 65000 - 8

    yield bound("hyper-overflow", "A hyper latent that can reach 2^31", hyper_offset)
    yield bound("deviation-overflow", "A table index that can leave 32 bits", set_item("latent.offset", (4, 5), (1 << 31) - 4000))

    def output_overflow(_, tensors):
        tensors["head.bias"][1] = (1 << 31) - 1 - (1 << 13) - 32767 * int(np.abs(tensors["head.output"][1].astype(int)).sum()) + 1

    yield bound("output-overflow", "A sample's accumulator that can reach 2^31", output_overflow)
    yield _set("mean-limit", "A limit of the mean above that of latents", ["prior", 2, "mean", "limit"], 18001, "3.8")
    yield _set("analysis-limit", "A limit of the analysis output that is not that of latents", ["analysis", -1, "limit"], 17999, "3.8")
    yield _set("synthesis-limit", "A limit of P that is not the head's", ["synthesis", -1, "limit"], 19999, "3.8")


def _tables():
    def table(name, about, change, clause="3.9"):
        return _change(SMALL, name, about, clause, change)

    def replaced(name, index, value):
        def change(_, tensors):
            tensors[f"tables.{name}"][index] = value

        return change

    yield table("table-start-1", "The first table begins at 1", replaced("start", 0, 1))
    yield table("table-start-decreases", "A table that ends before it begins", replaced("start", 3, 0))
    yield table("table-of-1", "A table of one frequency", replaced("start", 1, 1))
    yield table("frequency-0", "A frequency of 0, in a table of the right sum", _frequency_zero)
    yield table("frequency-sum", "A table whose sum is one too small", _frequency_sum)
    yield table("precision-15", "15 bits of precision", lambda graph, _: graph["tables"].update(precision=15))
    yield table("precision-11", "11 bits of precision", lambda graph, _: graph["tables"].update(precision=11))
    yield table("raw-bits-13", "13 raw bits", replaced("rawBits", 1, 13))
    yield table("raw-bits-negative", "-1 raw bits", replaced("rawBits", 1, -1))
    yield table("symbol-32768", "A table that can yield 32768", replaced("minimum", 1, 32767), "2.3")
    yield table("symbol-below", "A table that can yield less than -32768", replaced("minimum", -1, -32768), "2.3")

    def hyper_table(_, tensors):
        tensors["hyper.table"][50, 2] = 14

    yield table("hyper-table", "A hyper latent's table that is not there", hyper_table)

    def no_table(_, tensors):
        tensors["tables.start"] = np.zeros(1, "<i4")
        for name, kind in (("frequency", "<i2"), ("minimum", "<i2"), ("rawBits", "<i2")):
            tensors[f"tables.{name}"] = np.zeros(0, kind)

    yield table("no-table", "No table at all", no_table)

    def many_tables(_, tensors):
        more = 257 - len(tensors["tables.minimum"])
        start = tensors["tables.start"]
        tensors["tables.start"] = np.concatenate([start, np.full(more, start[-1], "<i4")])
        for name in ("minimum", "rawBits"):
            tensors[f"tables.{name}"] = np.concatenate([tensors[f"tables.{name}"], np.zeros(more, "<i2")])

    yield table("257-tables", "257 tables", many_tables)

    def long_table(_, tensors):
        tensors["tables.start"] = np.array([0, 1025], "<i4")
        tensors["tables.frequency"] = np.array([1] * 1024 + [(1 << 14) - 1024], "<i2")
        tensors["tables.minimum"], tensors["tables.rawBits"] = np.array([-500], "<i2"), np.zeros(1, "<i2")
        tensors["hyper.table"][:] = 0

    yield table("1025-frequencies", "A table of 1025 frequencies", long_table)


def _frequency_zero(_, tensors):
    frequency = tensors["tables.frequency"]
    frequency[1] += frequency[0]
    frequency[0] = 0


def _frequency_sum(_, tensors):
    tensors["tables.frequency"][1] -= 1


# ---------------------------------------------------------------- Edits


def edits_between(old, new):
    """Edits as specification 5.2 has them, that make `new` of `old`. Not the shortest there are."""
    edits = []
    n = struct.unpack_from("<Q", old)[0]
    m = struct.unpack_from("<Q", new.ljust(8, b"\0"))[0]
    if len(new) < 8 or 8 + m > len(new):
        return [_edit(0, old, new)] if len(new) < 8 else [_edit(0, old[:8], new[:8])] + _tail(8, old[8:], new[8:])
    if old[:8] != new[:8]:
        edits.append(_edit(0, old[:8], new[:8]))
    a, b = (re.findall(rb"[^,{}]*[,{}]?", data) for data in (old[8 : 8 + n], new[8 : 8 + m]))
    # difflib is slow, so only what lies between the first and the last difference is given to it.
    first, last = _common(a, b), _common(a[::-1], b[::-1])
    last = min(last, len(a) - first, len(b) - first)
    a_middle, b_middle = a[first : len(a) - last], b[first : len(b) - last]
    offset = 8 + len(b"".join(a[:first]))
    for kind, i, j, k, l in difflib.SequenceMatcher(None, a_middle, b_middle, autojunk=False).get_opcodes():
        old_text, new_text = b"".join(a_middle[i:j]), b"".join(b_middle[k:l])
        if kind != "equal":
            edits.append(_edit(offset, old_text, new_text))
        offset += len(old_text)
    return edits + _tail(8 + n, old[8 + n :], new[8 + m :])


def _edit(offset, old, new):
    return {"offset": offset, "remove": len(old), "insert": new.hex()}


def _tail(offset, old, new):
    """One edit between the bytes that both begin with and those that both end with."""
    if old == new:
        return []
    start, end = _common(old, new), _common(old[::-1], new[::-1])
    end = min(end, len(old) - start, len(new) - start)
    return [_edit(offset + start, old[start : len(old) - end], new[start : len(new) - end])]


def _common(a, b):
    """How many items both begin with."""
    return next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
