"""Sections 3.2, 3.3, 3.8 and 3.9: a model file, checked, as plain objects.

Quotes are from format-spec/3-networks.md.
"""

import hashlib
import json
import re
import struct
from dataclasses import dataclass
from math import prod

import numpy as np

from errors import FormatError, UnsupportedError

QUALITIES = 100
SUM_LIMIT = 1 << 31  # 3.8: every accumulator stays below this


def check(condition, clause, message):
    """Refuses the model file unless the condition holds. 5.3: the first byte of the part is always a right offset."""
    if not condition:
        raise FormatError(clause, "model", 0, message)


# ---------------------------------------------------------------- 3.3 Layers, as data


@dataclass
class Conv:
    kernel: int
    inputs: int
    outputs: int
    weight: np.ndarray  # int16 (O, kernel, kernel, I)
    bias: np.ndarray  # int32 (O,) or (100, O)
    shift: int
    limit: int
    leaky: bool


@dataclass
class Residual:
    first: Conv
    second: Conv
    limit: int


@dataclass
class Unshuffle:
    factor: int


@dataclass
class Shuffle:
    factor: int


@dataclass
class Row:
    row: np.ndarray  # int32 (100, C)
    limit: int


@dataclass
class Table:
    """3.9: one CDF table. `cumulative` has one entry more than `frequency`; `bypass` is the index of the last frequency."""

    frequency: list
    cumulative: list
    minimum: int
    raw_bits: int
    empty: bool
    bypass: int


@dataclass
class Latent:
    """3.6: how symbols become latents."""

    limit: int
    step_bits: int
    step: np.ndarray  # int32 (100, Cy)
    deviation_shift: int
    deviation_offset: np.ndarray  # int32 (100, Cy)


@dataclass
class Hyper:
    """3.6: how symbols become hyper latents, and with which tables they are coded."""

    limit: int
    step_bits: int
    step: np.ndarray  # int32 (100, Cz)
    offset: np.ndarray  # int32 (100, Cz)
    table: np.ndarray  # int16 (100, Cz)


@dataclass
class Head:
    """Chapter 4: the last two layers, from P to samples."""

    hidden: int
    limit: int
    row_weight: np.ndarray  # int16 (hidden,), like the next three
    column_weight: np.ndarray
    cell_row_weight: np.ndarray
    cell_column_weight: np.ndarray
    cell_shift: int
    output_weight: np.ndarray  # int16 (3, hidden)
    output_bias: np.ndarray  # int32 (3,)
    output_shift: int


@dataclass
class Model:
    hash: bytes
    name: str
    latent_channels: int  # Cy
    hyper_channels: int  # Cz
    image_shift: int
    analysis: list  # of layers, as are the other lists but prior
    hyper_analysis: list
    hyper_synthesis: list
    prior: list  # four of (trunk, mean, deviation)
    synthesis: list
    latent: Latent
    hyper: Hyper
    precision: int
    tables: list  # of Table
    head: Head


# ---------------------------------------------------------------- 3.2 The file


def load_model(data):
    """A checked model from the bytes of its file. Raises FormatError, or UnsupportedError for another version."""
    check(8 <= len(data) <= 1 << 28, "3.2", f"a model file of {len(data)} bytes")  # "It has at most 2^28 bytes"
    (n,) = struct.unpack_from("<Q", data)
    check(n <= 1 << 20 and 8 + n <= len(data), "3.2", f"a model header of {n} bytes")  # "N, the length of the JSON: at most 2^20"
    listing = _json(data[8 : 8 + n], "the model's header")
    body = data[8 + n :]
    check(type(listing) is dict, "3.2", "the model's header is not an object")

    metadata = listing.pop("__metadata__", None)
    check(type(metadata) is dict and all(type(v) is str for v in metadata.values()), "3.2", "__metadata__ must hold strings")
    # "without unpaired surrogates"
    check(not any("\ud800" <= c <= "\udfff" for v in metadata.values() for c in v), "3.2", "an unpaired surrogate in __metadata__")
    for key in ("format", "version", "name", "graph", "hash"):
        check(key in metadata, "3.2", f"__metadata__.{key} is missing")
    check(metadata["format"] == "liif-model", "3.2", "not a liif model")
    # "A loader MUST refuse another string as unsupported"
    if metadata["version"] != "1":
        raise UnsupportedError(f"version {metadata['version']!r} of model files (specification 3.2)")
    check(re.fullmatch("[a-z0-9.-]{1,64}", metadata["name"]), "3.2", "name of the model")
    # "SHA-256 [SHA] of the string graph in UTF-8 ... followed by the data; 64 lower-case hexadecimal digits"
    digest = hashlib.sha256(metadata["graph"].encode() + body)
    check(metadata["hash"] == digest.hexdigest(), "3.2", "hash of the model")

    graph = _json(metadata["graph"].encode(), "the graph")
    tensors = _Tensors(listing, body)
    model = _Graph(graph, tensors).read(digest.digest(), metadata["name"])
    # "The graph names each tensor exactly once."
    check(tensors.unused == set(), "3.2", f"tensors that the graph does not name: {sorted(tensors.unused)}")
    return model


def _json(data, what):
    def constant(name):
        raise ValueError(name)  # JSON has no NaN and no Infinity

    def number(text):
        # "A number counts by its value as an IEEE 754 double". Of any length: Python's int refuses more than 4300 digits.
        value = float(text)
        return int(value) if value.is_integer() else value

    try:
        return json.loads(data.decode("utf-8"), parse_constant=constant, parse_int=number, parse_float=number)
    except (ValueError, RecursionError) as error:
        check(False, "3.2", f"{what} is not JSON: {error}")


class _Tensors:
    """The file's tensors by name; remembers which of them nobody asked for."""

    TYPES = {"I16": np.dtype("<i2"), "I32": np.dtype("<i4")}

    def __init__(self, listing, body):
        self.arrays = {}
        end = 0
        # "Tensors lie in the order of their names, compared by bytes. The first begins at 0, every other at the end of the one before it"
        for name in sorted(listing, key=lambda name: name.encode("utf-8", "surrogatepass")):
            entry = listing[name]
            # "A name is 1 to 128 characters in ! .. ~ (printable ASCII without the space)."
            check(re.fullmatch("[!-~]{1,128}", name), "3.2", f"name of tensor {name!r}")
            check(type(entry) is dict, "3.2", f"entry of tensor {name}")
            kind = self.TYPES.get(entry.get("dtype")) if type(entry.get("dtype")) is str else None
            check(kind is not None, "3.2", f"dtype of tensor {name}")
            shape, offsets = entry.get("shape"), entry.get("data_offsets")
            check(_integers(shape, 0, 1 << 28) and 1 <= len(shape) <= 4, "3.2", f"shape of tensor {name}")
            check(_integers(offsets, 0, 1 << 28) and len(offsets) == 2, "3.2", f"data_offsets of tensor {name}")
            size = prod(shape) * kind.itemsize
            check(offsets == [end, end + size] and end + size <= len(body), "3.2", f"place of tensor {name}")
            self.arrays[name] = np.frombuffer(body, kind, prod(shape), end).reshape(shape)
            end += size
        check(end == len(body), "3.2", "data beyond the last tensor")
        self.unused = set(self.arrays)

    def take(self, name, kind, *shapes):
        check(type(name) is str and name in self.arrays, "3.2", f"no tensor {name!r}")
        array = self.arrays[name]
        check(array.dtype == self.TYPES[kind], "3.2", f"tensor {name} must be {kind}")
        if shapes:
            check(array.shape in shapes, "3.2", f"tensor {name} has shape {array.shape}, not {' or '.join(map(str, shapes))}")
        # "The graph names each tensor exactly once."
        check(name in self.unused, "3.2", f"tensor {name} is named twice")
        self.unused.remove(name)
        return array


def _integers(value, low, high):
    return type(value) is list and all(type(v) is int and low <= v <= high for v in value)


# ---------------------------------------------------------------- the graph


class _Graph:
    """Reads the graph and proves 3.8 on the way: `limits` is A(in), one integer for each channel."""

    def __init__(self, graph, tensors):
        check(type(graph) is dict, "3.2", "the graph is not an object")
        self.graph = graph
        self.tensors = tensors

    def read(self, digest, name):
        graph = self.graph
        for key, value in (("qualities", QUALITIES), ("latentStride", 16), ("hyperStride", 4)):
            check(_integer(graph, key, 1, 1 << 16) == value, "3.2", f"{key} must be {value}")
        cy = _integer(graph, "latentChannels", 32, 4096)
        check(cy % 32 == 0, "3.2", "latentChannels must be a multiple of 32")
        cz = _integer(graph, "hyperChannels", 8, 4096)
        check(cz % 8 == 0, "3.2", "hyperChannels must be a multiple of 8")
        image_shift = _integer(graph, "imageShift", 2, 15)

        precision, tables = self._tables(_object(graph, "tables"))
        latent = self._latent(_object(graph, "latent"), cy)
        hyper = self._hyper(_object(graph, "hyper"), cz, len(tables))
        head = self._head(_object(graph, "head"))
        latents = np.full(cy, latent.limit)  # A(in) of y and of the analysis output

        analysis, out, scale = self._layers(_list(graph, "analysis"), np.full(3, 1 << (16 - image_shift)), "down")
        check(len(out) == cy and scale == 16, "3.2", "analysis must map (H,W,3) to (H/16,W/16,Cy)")
        check(out[0] == latent.limit, "3.8", "the limit of the last layer of analysis must be latent.limit")

        hyper_analysis, out, scale = self._layers(_list(graph, "hyperAnalysis"), latents, "down")
        check(len(out) == cz and scale == 4, "3.2", "hyperAnalysis must map (h,w,Cy) to (h/4,w/4,Cz)")

        hyper_synthesis, h, scale = self._layers(_list(graph, "hyperSynthesis"), np.full(cz, hyper.limit), "up")
        check(scale == 4, "3.2", "hyperSynthesis must map (h/4,w/4,Cz) to (h,w,Ch)")

        steps = graph.get("prior")
        check(type(steps) is list and len(steps) == 4, "3.2", "prior must have 4 steps")
        prior = []
        for t, step in enumerate(steps):
            check(type(step) is dict, "3.2", "a step of the prior is not an object")
            # 3.6: "The trunk reads h for t = 0. For t > 0 it reads the channels of h followed by those of y."
            trunk, out, _ = self._layers(_list(step, "trunk"), h if t == 0 else np.concatenate([h, latents]), "level")
            mean = self._conv(_object(step, "mean"), out)
            deviation = self._conv(_object(step, "deviation"), out)
            for conv in (mean, deviation):
                # 3.3: "mean and deviation are 1x1 and not leaky"
                check(conv.kernel == 1 and not conv.leaky and conv.outputs == cy, "3.3", "mean and deviation must be 1x1 to Cy")
            # 3.8: "The limit of each mean is at most latent.limit."
            check(mean.limit <= latent.limit, "3.8", "the limit of mean")
            # 3.8: "deviation: max |offset| + limit < 2^31"
            check(_peak(latent.deviation_offset) + deviation.limit < SUM_LIMIT, "3.8", "deviation can overflow")
            prior.append((trunk, mean, deviation))

        synthesis, out, scale = self._layers(_list(graph, "synthesis"), latents, "up")
        check(len(out) == head.hidden and scale == 16, "3.2", "synthesis must map (h,w,Cy) to (16h,16w,hidden)")
        # 3.8: "The limit of the last layer of synthesis equals head.limit."
        check(out[0] == head.limit, "3.8", "the limit of the last layer of synthesis must be head.limit")

        return Model(
            digest, name, cy, cz, image_shift, analysis, hyper_analysis, hyper_synthesis, prior, synthesis, latent, hyper, precision,
            tables, head,
        )  # fmt: skip

    # ---- 3.3 Layers

    def _layers(self, layers, limits, direction):
        """(layers, A(out) by channel, change of resolution) of a list; direction is the way its shuffles go."""
        check(1 <= len(layers) <= 64, "3.2", "a list must have 1 to 64 layers")
        result, scale = [], 1
        for i, layer in enumerate(layers):
            check(type(layer) is dict, "3.3", "a layer is not an object")
            op = layer.get("op")
            if op == "conv":
                conv = self._conv(layer, limits)
                limits = np.full(conv.outputs, conv.limit)
                result.append(conv)
            elif op == "residual":
                first = self._conv(_object(layer, "first"), limits)
                second = self._conv(_object(layer, "second"), np.full(first.outputs, first.limit))
                # "first and second are 3x3. first is leaky, second is not. The outputs of second equal the inputs of first"
                check(first.leaky and not second.leaky, "3.3", "of a residual's convs the first is leaky, the second is not")
                check(first.kernel == 3 and second.kernel == 3, "3.3", "a residual's convs are 3x3")
                check(second.outputs == first.inputs, "3.3", "a residual keeps its channels")
                limit = _integer(layer, "limit", 1, 32767, "3.3")
                limits = np.full(second.outputs, limit)
                result.append(Residual(first, second, limit))
            elif op == "unshuffle":
                factor = self._factor(layer)
                check(direction == "down", "3.3", "unshuffle occurs in analysis and hyperAnalysis only")
                # "An unshuffle is followed by a 1x1 conv."
                after = layers[i + 1] if i + 1 < len(layers) else None
                check(_is_pointwise(after), "3.3", "unshuffle must be followed by a 1x1 conv")
                limits = np.tile(limits, factor * factor)
                scale *= factor
                result.append(Unshuffle(factor))
            elif op == "shuffle":
                factor = self._factor(layer)
                check(direction == "up", "3.3", "shuffle occurs in hyperSynthesis and synthesis only")
                # "A shuffle follows a 1x1 conv, and the C that it makes is a multiple of 8."
                check(i > 0 and _is_pointwise(layers[i - 1]), "3.3", "shuffle must follow a 1x1 conv")
                check(len(limits) % (8 * factor * factor) == 0, "3.3", "channels of a shuffle")
                limits = limits[: len(limits) // (factor * factor)]
                scale *= factor
                result.append(Shuffle(factor))
            elif op == "row":
                row = self.tensors.take(layer.get("row"), "I32", (QUALITIES, len(limits)))
                limit = _integer(layer, "limit", 1, 32767, "3.3")
                # 3.8: "row: max |row| + A(in) < 2^31"
                check(int((np.abs(row.astype(np.int64)) + limits).max()) < SUM_LIMIT, "3.8", "a row can overflow")
                limits = np.full(len(limits), limit)
                result.append(Row(row, limit))
            else:
                check(False, "3.3", f"unknown layer {op!r}")
            check(len(limits) <= 4096, "3.2", "a tensor of more than 4096 channels")
        return result, limits, scale

    def _factor(self, layer):
        factor = _integer(layer, "factor", 2, 4, "3.3")
        check(factor != 3, "3.3", "factor must be 2 or 4")
        return factor

    def _conv(self, layer, limits):
        check(layer.get("op") == "conv", "3.3", "a conv must be a conv")
        kernel = _integer(layer, "kernel", 1, 3, "3.3")
        check(kernel != 2, "3.3", "kernel must be 1 or 3")
        inputs, outputs = _integer(layer, "inputs", 1, 4096), _integer(layer, "outputs", 1, 4096)
        check(inputs == len(limits), "3.3", f"a conv of {inputs} inputs gets {len(limits)}")
        # "I is the number of channels of the tensor that the layer reads, and is even. O is a multiple of 8."
        check(outputs % 8 == 0 and inputs % 2 == 0, "3.3", f"a conv from {inputs} to {outputs} channels")
        weight = self.tensors.take(layer.get("weight"), "I16", (outputs, kernel, kernel, inputs))
        bias = self.tensors.take(layer.get("bias"), "I32", (outputs,), (QUALITIES, outputs))
        # "s is in 0 .. 30." "Every limit of the graph is in 1 .. 32767."
        shift, limit = _integer(layer, "shift", 0, 30, "3.3"), _integer(layer, "limit", 1, 32767, "3.3")
        check(type(layer.get("leaky")) is bool, "3.3", "leaky must be a boolean")
        # 3.8: "conv: max |bias| + sum |weight|*A(in) + (1 << s >> 1) < 2^31"
        sums = np.abs(weight.astype(np.int64)).sum(axis=(1, 2)) @ limits.astype(np.int64)
        worst = int((np.abs(bias.astype(np.int64)) + sums).max()) + (1 << shift >> 1)
        check(worst < SUM_LIMIT, "3.8", f"a conv can reach {worst}")
        return Conv(kernel, inputs, outputs, weight, bias, shift, limit, layer["leaky"])

    # ---- 3.6 Latents

    def _latent(self, latent, cy):
        bits = _integer(latent, "stepBits", 1, 24)
        step = self.tensors.take(latent.get("step"), "I32", (QUALITIES, cy))
        # 3.8: "latent: 32768*max step + (1 << K >> 1) < 2^31, step >= 1"
        check(step.min() >= 1 and 32768 * _peak(step) + (1 << bits >> 1) < SUM_LIMIT, "3.8", "a step of the latents")
        return Latent(
            limit=_integer(latent, "limit", 1, 32767),
            step_bits=bits,
            step=step,
            deviation_shift=_integer(latent, "deviationShift", 0, 15),
            deviation_offset=self.tensors.take(latent.get("deviationOffset"), "I32", (QUALITIES, cy)),
        )

    def _hyper(self, hyper, cz, table_count):
        bits = _integer(hyper, "stepBits", 1, 24)
        step = self.tensors.take(hyper.get("step"), "I32", (QUALITIES, cz))
        offset = self.tensors.take(hyper.get("offset"), "I32", (QUALITIES, cz))
        table = self.tensors.take(hyper.get("table"), "I16", (QUALITIES, cz))
        # 3.8: "hyper: 32768*max step + max |offset| + (1 << K >> 1) < 2^31, step >= 1"
        # "for every output channel", and max "is over the qualities"
        worst = 32768 * step.max(axis=0).astype(np.int64) + np.abs(offset.astype(np.int64)).max(axis=0) + (1 << bits >> 1)
        check(step.min() >= 1 and int(worst.max()) < SUM_LIMIT, "3.8", "a step of the hyper latents")
        check(table.min() >= 0 and table.max() < table_count, "3.9", "hyper.table names a table that is not there")
        return Hyper(_integer(hyper, "limit", 1, 32767), bits, step, offset, table)

    # ---- 3.9 CDF tables

    def _tables(self, tables):
        precision = _integer(tables, "precision", 12, 14, "3.9")
        start = self.tensors.take(tables.get("start"), "I32")
        frequency = self.tensors.take(tables.get("frequency"), "I16")
        check(start.ndim == 1 and frequency.ndim == 1, "3.9", "tables.start and tables.frequency have one dimension")
        # "tables has 1 to 256 tables."
        count = len(start) - 1
        check(1 <= count <= 256, "3.9", f"{count} tables")
        minimum = self.tensors.take(tables.get("minimum"), "I16", (count,))
        raw_bits = self.tensors.take(tables.get("rawBits"), "I16", (count,))
        # "the first is 0, none is less than the one before, the last is the number of frequencies"
        check(start[0] == 0 and start[-1] == len(frequency), "3.9", "tables.start must run from 0 to the number of frequencies")
        check(all(int(a) <= int(b) for a, b in zip(start, start[1:])), "3.9", "tables.start decreases")
        result = []
        for i in range(count):
            f = [int(v) for v in frequency[start[i] : start[i + 1]]]
            m, b = int(minimum[i]), int(raw_bits[i])
            check(0 <= b <= 12, "3.9", f"rawBits of table {i}")
            if f:
                # "Any other table has 2 to 1024 frequencies. Each of them is at least 1, and their sum is exactly 2^precision."
                check(2 <= len(f) <= 1024, "3.9", f"table {i} has {len(f)} frequencies")
                check(min(f) >= 1, "3.9", f"a frequency of table {i} is below 1")
                check(sum(f) == 1 << precision, "3.9", f"the frequencies of table {i} have sum {sum(f)}")
                # "Every symbol that a table can express is in -32768 .. 32767."
                largest = ((m + len(f) - 2) << b) + (1 << b) - 1
                check(m << b >= -32768 and largest <= 32767, "3.9", f"table {i} can yield symbols beyond 16 bits")
            cumulative = [0]
            for v in f:
                cumulative.append(cumulative[-1] + v)
            result.append(Table(f, cumulative, m, b, not f, len(f) - 1))
        return precision, result

    # ---- chapter 4

    def _head(self, head):
        hidden = _integer(head, "hidden", 8, 4096)
        check(hidden % 8 == 0, "3.2", "head.hidden must be a multiple of 8")
        keys = ("rowWeight", "columnWeight", "cellRowWeight", "cellColumnWeight")
        row, column, cell_row, cell_column = (self.tensors.take(head.get(key), "I16", (hidden,)) for key in keys)
        weight = self.tensors.take(head.get("outputWeight"), "I16", (3, hidden))
        bias = self.tensors.take(head.get("outputBias"), "I32", (3,))
        cell_shift, output_shift = _integer(head, "cellShift", 1, 24), _integer(head, "outputShift", 9, 30)
        # 3.8: "cell: (|cellRowWeight| + |cellColumnWeight|)*2^14 + (1 << k >> 1) < 2^31"
        cell = np.abs(cell_row.astype(np.int64)) + np.abs(cell_column.astype(np.int64))
        check(int(cell.max()) * (1 << 14) + (1 << cell_shift >> 1) < SUM_LIMIT, "3.8", "the cell's term can overflow")
        # 3.8: "output: max |outputBias| + sum |outputWeight|*32767 + (1 << k >> 1) < 2^31"
        sums = np.abs(bias.astype(np.int64)) + 32767 * np.abs(weight.astype(np.int64)).sum(axis=1)
        check(int(sums.max()) + (1 << output_shift >> 1) < SUM_LIMIT, "3.8", "the output can overflow")
        limit = _integer(head, "limit", 1, 32767)
        return Head(hidden, limit, row, column, cell_row, cell_column, cell_shift, weight, bias, output_shift)


def _is_pointwise(layer):
    return type(layer) is dict and layer.get("op") == "conv" and layer.get("kernel") == 1


def _peak(array):
    return int(np.abs(array.astype(np.int64)).max())


def _integer(source, key, low, high, clause="3.2"):
    value = source.get(key)
    check(type(value) is int and low <= value <= high, clause, f"{key} must be an integer from {low} to {high}")
    return value


def _object(source, key):
    value = source.get(key)
    check(type(value) is dict, "3.2", f"{key} must be an object")
    return value


def _list(source, key):
    value = source.get(key)
    check(type(value) is list, "3.2", f"{key} must be an array")
    return value
