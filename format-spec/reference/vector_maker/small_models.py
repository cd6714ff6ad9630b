"""Model files of the vectors: random networks, as small as chapter 3 allows, that have every kind of layer.

`small` has tables like those of a real model. `edge` has the largest and most extreme values that 3.8 and 3.9 allow. `unusual` is the network
of `small`, written with every liberty that JSON and 3.2 leave to a writer.
"""

import copy
import functools
import hashlib
import json
import math
import random
import struct

import numpy as np

QUALITIES = 100
CY, CZ, CH, HIDDEN = 32, 8, 8, 8


class Parts:
    """Graph, tensors (name to array of int16 or int32) and metadata, to be changed before they are written."""

    def __init__(self, name):
        self.graph = {}
        self.tensors = {}
        self.metadata = {"format": "liif-model", "version": "1", "name": name}

    def copy(self):
        return copy.deepcopy(self)

    def write(self, listing=None, data=None):
        """Safetensors bytes. `listing(entries)` may change the list of tensors, `data` replaces their bytes."""
        entries, body, end = {}, b"", 0
        for name in sorted(self.tensors):
            array = self.tensors[name]
            kind = {2: "I16", 4: "I32"}[array.itemsize]
            entries[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [end, end + array.nbytes]}
            body += array.tobytes()
            end += array.nbytes
        body = body if data is None else data(body)
        if listing:
            listing(entries)
        graph = self.json(self.graph) if type(self.graph) is not str else self.graph
        digest = hashlib.sha256(graph.encode() + body).hexdigest()
        metadata = {"graph": graph, "hash": digest, **self.metadata}
        text = self.json({"__metadata__": metadata, **entries}).encode()
        text += b" " * (-len(text) % 8)
        return struct.pack("<Q", len(text)) + text + body

    def json(self, value):
        """The JSON text of the graph and of the list of tensors."""
        return json.dumps(value, separators=(",", ":"))


class _UnusualParts(Parts):
    """Parts whose JSON has whitespace everywhere, keys twice, escapes, numbers in every notation, and unknown keys."""

    def write(self, listing=None, data=None):
        def with_notes(entries):
            for entry in entries.values():
                entry["note"] = [math.inf, -0.5]
            if listing:
                listing(entries)

        return super().write(with_notes, data)

    def json(self, value):
        return _UnusualJson().text(value)


class _UnusualJson:
    """Takes the next notation for every value."""

    def __init__(self):
        self.turn = 0

    def text(self, value):
        self.turn += 1
        turn = self.turn
        space = ("", " ", "\t", "\n", "\r\n  ")[turn % 5]
        if type(value) is dict:
            pairs = [*reversed(value.items())]
            # "Of a key that occurs twice the last one counts."
            twice = [(key, None) for key in list(value)[:1]]
            inner = [f"{space}{self.text(key)}{space}:{space}{self.text(item)}" for key, item in twice + pairs]
            return "{" + ",".join(inner) + space + "}"
        if type(value) is list:
            return "[" + ",".join(f"{space}{self.text(item)}{space}" for item in value) + "]"
        if type(value) is int:
            return ("-0", "0.0", "0e5", "0")[turn % 4] if value == 0 else (f"{value}.0", f"{value}e0", f"{value}00E-2", f"{value}")[turn % 4]
        if type(value) is float:
            return "1e400" if math.isinf(value) else str(value)
        if type(value) is str and len(value) < 64 and turn % 2:
            units = struct.unpack(f">{len(value.encode('utf-16-be')) // 2}H", value.encode("utf-16-be"))
            return '"' + "".join(f"\\u{unit:04{'xX'[i % 2]}}" for i, unit in enumerate(units)) + '"'
        return json.dumps(value, ensure_ascii=False).replace("/", "\\/")


class _Maker:
    def __init__(self, name, seed):
        self.parts = Parts(name)
        self.random = random.Random(seed)

    def tensor(self, name, kind, shape, value):
        size = int(np.prod(shape))
        self.parts.tensors[name] = np.array([value(i) for i in range(size)], kind).reshape(shape)
        return name

    def between(self, low, high):
        return lambda _: self.random.randrange(low, high + 1)

    def conv(self, name, kernel, inputs, outputs, *, gain=1.0, bias=1500, shift=10, limit=14000, leaky=False, by_quality=False):
        spread = max(1, round(1.732 * gain * (1 << shift) / (kernel * kernel * inputs) ** 0.5))
        shape = (QUALITIES, outputs) if by_quality else (outputs,)
        return {
            "op": "conv",
            "kernel": kernel,
            "inputs": inputs,
            "outputs": outputs,
            "weight": self.tensor(f"{name}.weight", "<i2", (outputs, kernel, kernel, inputs), self.between(-spread, spread)),
            "bias": self.tensor(f"{name}.bias", "<i4", shape, self.between(-bias << shift, bias << shift)),
            "shift": shift,
            "limit": limit,
            "leaky": leaky,
        }

    def residual(self, name, channels, inner, limit):
        return {
            "op": "residual",
            "first": self.conv(f"{name}.first", 3, channels, inner, leaky=True, gain=1.3),
            "second": self.conv(f"{name}.second", 3, inner, channels, gain=0.5),
            "limit": limit,
        }

    def row(self, name, channels, reach, limit):
        return {"op": "row", "row": self.tensor(name, "<i4", (QUALITIES, channels), self.between(-reach, reach)), "limit": limit}

    def networks(self, latent_limit, hyper_limit, head_limit):
        up = {"op": "shuffle", "factor": 2}
        up4 = {"op": "shuffle", "factor": 4}
        down = {"op": "unshuffle", "factor": 2}
        down4 = {"op": "unshuffle", "factor": 4}
        self.parts.graph = {
            "qualities": QUALITIES,
            "latentStride": 16,
            "hyperStride": 4,
            "latentChannels": CY,
            "hyperChannels": CZ,
            "imageShift": 3,
            "analysis": [down4, self.conv("a0", 1, 48, 8), down4, self.conv("a1", 1, 128, CY, limit=latent_limit)],
            "hyperAnalysis": [down, self.conv("b0", 1, 4 * CY, 8, leaky=True), down, self.conv("b1", 1, 32, CZ, limit=hyper_limit)],
            "hyperSynthesis": [
                self.conv("c0", 1, CZ, 32, leaky=True),
                up,
                self.conv("c1", 3, 8, 8, leaky=True),
                self.conv("c2", 1, 8, 4 * CH),
                up,
                self.row("c3", CH, 1500, 14000),
            ],
            "prior": [
                {
                    "trunk": [self.conv(f"p{t}.trunk", 3, CH if t == 0 else CH + CY, 8, leaky=True, gain=1.3)],
                    "mean": self.conv(f"p{t}.mean", 1, 8, CY, limit=latent_limit - 100, gain=0.7),
                    "deviation": self.conv(f"p{t}.deviation", 1, 8, CY, gain=0.03, bias=60, limit=4000),
                }
                for t in range(4)
            ],
            "synthesis": [
                self.row("s0", CY, 1500, 14000),
                self.residual("s1", CY, 8, 15000),
                self.conv("s2", 1, CY, 128),
                up4,
                self.residual("s3", 8, 8, 16000),
                self.conv("s4", 1, 8, 128),
                up4,
                self.conv("s5", 3, 8, HIDDEN, limit=head_limit, gain=1.3, by_quality=True),
            ],
        }

    def quantizers(self, latent_limit, hyper_limit, table_count, *, first_step, first_hyper_step):
        def steps(first, ratio, channels):
            by_quality = [first * ratio**q for q in range(QUALITIES)]
            jitter = [0.7 + 0.6 * self.random.random() for _ in range(channels)]
            return lambda i: min(65535, max(1, round(by_quality[i // channels] * jitter[i % channels])))

        def offset(i):
            # From about table 1.5 at quality 1 to the last ones at 100.
            return round(64 * (1.5 + (table_count - 3.5) * (i // CY) / (QUALITIES - 1))) + self.random.randrange(-80, 81)

        self.parts.graph["latent"] = {
            "limit": latent_limit,
            "stepBits": 3,
            "step": self.tensor("latent.step", "<i4", (QUALITIES, CY), steps(first_step, 0.9546, CY)),
            "deviationShift": 6,
            "deviationOffset": self.tensor("latent.offset", "<i4", (QUALITIES, CY), offset),
        }
        self.parts.graph["hyper"] = {
            "limit": hyper_limit,
            "stepBits": 4,
            "step": self.tensor("hyper.step", "<i4", (QUALITIES, CZ), steps(first_hyper_step, 0.966, CZ)),
            "offset": self.tensor("hyper.offset", "<i4", (QUALITIES, CZ), self.between(-8000, 8000)),
            "table": self.tensor(
                "hyper.table", "<i2", (QUALITIES, CZ), lambda i: 0 if i % 11 == 3 else self.random.randrange(table_count)
            ),
        }

    def tables(self, precision, tables):
        """`tables`: (frequencies, minimum, raw bits) of each."""
        start = [0]
        for frequencies, _, _ in tables:
            start.append(start[-1] + len(frequencies))
        joined = [f for frequencies, _, _ in tables for f in frequencies]
        self.parts.graph["tables"] = {
            "precision": precision,
            "start": self.tensor("tables.start", "<i4", (len(start),), lambda i: start[i]),
            "frequency": self.tensor("tables.frequency", "<i2", (len(joined),), lambda i: joined[i]),
            "minimum": self.tensor("tables.minimum", "<i2", (len(tables),), lambda i: tables[i][1]),
            "rawBits": self.tensor("tables.rawBits", "<i2", (len(tables),), lambda i: tables[i][2]),
        }

    def head(self, limit, *, position, cell, output):
        self.parts.graph["head"] = {
            "hidden": HIDDEN,
            "limit": limit,
            "rowWeight": self.tensor("head.row", "<i2", (HIDDEN,), self.between(-position, position)),
            "columnWeight": self.tensor("head.column", "<i2", (HIDDEN,), self.between(-position, position)),
            "cellRowWeight": self.tensor("head.cellRow", "<i2", (HIDDEN,), self.between(-cell, cell)),
            "cellColumnWeight": self.tensor("head.cellColumn", "<i2", (HIDDEN,), self.between(-cell, cell)),
            "cellShift": 12,
            "outputWeight": self.tensor("head.output", "<i2", (3, HIDDEN), self.between(-output, output)),
            "outputBias": self.tensor("head.bias", "<i4", (3,), lambda _: self.random.randrange(90, 160) << 14),
            "outputShift": 14,
        }


def frequencies(shape, total):
    """Integers of at least 1 with sum `total`, in about the given proportions."""
    free = total - len(shape)
    result = [1 + int(free * s / sum(shape)) for s in shape]
    result[result.index(max(result))] += total - sum(result)
    return result


def _bell(width, reach):
    return [1 / (1 + (k / width) ** 4) for k in range(-reach, reach + 1)]


def small_model():
    maker = _Maker("small", 1)
    tables = [([], 0, 0)]
    width = 0.25
    for _ in range(13):
        bits = 0
        while width > 6 << bits:
            bits += 1
        reach = max(1, int(3 * width / (1 << bits)))
        tables.append((frequencies([*_bell(width / (1 << bits), reach), 0.01], 1 << 14), -reach, bits))
        width *= 1.6
    maker.networks(18000, 12000, 20000)
    maker.quantizers(18000, 12000, len(tables), first_step=48000, first_hyper_step=48000)
    maker.tables(14, tables)
    maker.head(20000, position=6000, cell=1500, output=110)
    return maker.parts


def edge_model():
    maker = _Maker("edge", 2)
    one = 1 << 12
    tables = [
        ([], 0, 0),
        ([one - 1, 1], 0, 0),  # a certain symbol and the rarest bypass
        ([1, one - 1], 0, 0),  # the other way round
        ([4] * 1024, -512, 0),  # the most frequencies
        ([one // 32] * 16 + [one // 2], -8, 12),  # the most raw bits, all of 16 bits in reach
        ([1] * 1023 + [one - 1023], 31745, 0),  # up to 32767
        ([1] * 1023 + [one - 1023], -32768, 0),  # down to -32768
        ([1, one - 2, 1], -1, 1),
    ]
    while len(tables) < 256:  # the most tables
        reach = 1 + len(tables) % 40
        tables.append((frequencies([*_bell(1 + len(tables) % 13, reach), 0.05], one), -reach, len(tables) % 5))
    maker.networks(32767, 32767, 32767)
    maker.quantizers(32767, 32767, len(tables), first_step=60000, first_hyper_step=49000)
    # Deviations that reach every table, beyond both ends.
    maker.parts.graph["latent"]["deviationShift"] = 0
    offset = maker.parts.tensors["latent.offset"]
    offset[:] = np.arange(100)[:, None] * 3 - 20 + np.arange(CY)[None, :] % 7
    for step in maker.parts.graph["prior"]:
        step["deviation"]["shift"] = 14
    # One at which no symbol is coded, and tables that code something at the largest steps.
    offset[2] = -5000
    offset[0] = 60 + np.arange(CY)
    maker.parts.tensors["hyper.table"][2] = 0
    # The largest steps that 3.8 allows, at the lowest quality: 32768*65535 + 4 < 2^31.
    maker.parts.tensors["latent.step"][0, :] = 65535
    maker.parts.tensors["hyper.step"][0, :] = 65000
    maker.tables(12, tables)
    maker.head(32767, position=32767, cell=32767, output=110)
    # Cell terms that saturate, both ways.
    maker.parts.tensors["head.cellRow"][:2] = (32767, -32768)
    maker.parts.tensors["head.cellColumn"][:2] = (32767, -32768)
    # A conv whose proof is met by nothing more than it needs: max |bias| + sum |weight|*A + half = 2^31 - 1.
    first = maker.parts.graph["synthesis"][1]["first"]
    first["shift"] = 16
    sums = np.abs(maker.parts.tensors[first["weight"]].astype(np.int64)).sum(axis=(1, 2, 3)) * 14000
    room = (1 << 31) - 1 - (1 << 15) - sums
    maker.parts.tensors[first["bias"]][:] = room * np.where(np.arange(len(room)) % 2, 1, -1)
    first["limit"] = 32767
    return maker.parts


def unusual_model():
    parts = _UnusualParts("")
    parts.graph, parts.tensors = (copy.deepcopy(part) for part in (small_model().graph, small_model().tensors))
    parts.metadata["name"] = ("unusual." + "0123456789-" * 6)[:64]
    parts.metadata["note"] = "\0/\U0001f600"
    # Names that sort otherwise by letters than by bytes, that need escapes, and that mean something to a language.
    names = {"a0.bias": "~", "a0.weight": "!", "a1.bias": "Z", "b0.bias": '"', "b0.weight": "\\", "b1.bias": "__proto__", "b1.weight": "x" * 128}
    for old, new in names.items():
        parts.tensors[new] = parts.tensors.pop(old)
    for layer in parts.graph["analysis"] + parts.graph["hyperAnalysis"]:
        for key in ("weight", "bias"):
            if layer.get(key) in names:
                layer[key] = names[layer[key]]
    deep = []
    for _ in range(98):  # with the graph itself, 100 deep
        deep = [deep]
    parts.graph.update({"later": deep, "__proto__": {"qualities": 99}, "Qualities": 99})
    return parts


@functools.cache
def _made(make):
    return make()


SMALL, EDGE, UNUSUAL = "small.safetensors", "edge.safetensors", "unusual.safetensors"
# Each call gives parts of its own.
MODELS = {
    SMALL: lambda: _made(small_model).copy(),
    EDGE: lambda: _made(edge_model).copy(),
    UNUSUAL: lambda: _made(unusual_model).copy(),
}
