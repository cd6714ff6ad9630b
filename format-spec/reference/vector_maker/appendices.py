"""Appendix A from A.3 on, and appendix B: what can be computed is, so that it is right."""

import hashlib
import json
import struct
from fractions import Fraction

import entropy
import networks
import numpy as np
from container import _CRC_TABLE, open_file, read_messagepack
from model import load_model
from networks import chunk_latents, conv, run, synthesize
from rendering import axis, ensemble_weights, hidden_terms, render_color, sat16

MARK = "<!-- What follows is written by reference/vector_maker/appendices.py. -->\n"


def write_appendices(spec, released, example, example_model):
    """`spec`: folder of the specification. `released`: (file name, bytes) of each released model. `example`: the file of appendix B."""
    path = spec / "appendix-a-tables.md"
    text = path.read_text(encoding="utf-8")
    path.write_text(text[: text.index(MARK) + len(MARK)] + tables_text(released), encoding="utf-8")
    (spec / "appendix-b-walkthrough.md").write_text(walkthrough(example, load_model(example_model)), encoding="utf-8")


def _sha256(data):
    return hashlib.sha256(data).hexdigest()


# ---------------------------------------------------------------- Appendix A


def tables_text(released):
    lines = ["", "## A.3 CRC-32C", ""]
    lines += ["Remainders of the bytes 0 to 255: `crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]`. SHA-256 of the table as 1024 little-endian bytes:"]
    lines += [f"`{_sha256(struct.pack('<256I', *_CRC_TABLE))}`.", "", "```"]
    for i in range(0, 256, 8):
        lines.append(" ".join(f"{value:08X}" for value in _CRC_TABLE[i : i + 8]))
    lines += ["```", ""]
    for number, (name, data) in enumerate(released, 4):
        lines += _model_text(number, name, data)
    return "\n".join(lines)


def _model_text(number, name, data):
    (n,) = struct.unpack_from("<Q", data)
    listing = json.loads(data[8 : 8 + n])
    model = load_model(data)
    body = data[8 + n :]
    lines = [f"## A.{number} Model `{name}`", ""]
    lines += [f"{len(data):,} bytes, SHA-256 `{_sha256(data)}`. Its hash, by which files name it (3.2):", f"`{model.hash.hex()}`.", ""]
    lines += [f"Cy = {model.latent_channels}, Cz = {model.hyper_channels}, hidden = {model.head['hidden']}, precision {model.precision}. The file is the machine-readable"]
    lines += ["copy of all tables; these are the tensors behind quantizers, tables and head, with the SHA-256 of their bytes.", "", "| tensor | type | shape | SHA-256 |", "|---|---|---|---|"]
    graph = json.loads(listing["__metadata__"]["graph"])
    for part in ("latent", "hyper", "tables", "head"):
        for key, tensor in graph[part].items():
            entry = listing.get(tensor) if type(tensor) is str else None
            if entry:
                first, end = entry["data_offsets"]
                lines.append(f"| {part}.{key} | {entry['dtype']} | {entry['shape']} | `{_sha256(body[first:end])}` |")
    lines += ["", "Its CDF tables: F frequencies, the smallest high part, raw bits, and the frequencies of the most frequent one and of the bypass.", ""]
    lines += ["| table | F | minimum | rawBits | largest | bypass |", "|---:|---:|---:|---:|---:|---:|"]
    for i, table in enumerate(model.tables):
        if table.empty:
            lines.append(f"| {i} | 0 | | | | |")
        else:
            lines.append(f"| {i} | {len(table.frequency)} | {table.minimum} | {table.raw_bits} | {max(table.frequency)} | {table.frequency[-1]} |")
    return [*lines, ""]


# ---------------------------------------------------------------- Appendix B


def walkthrough(data, model):
    file = open_file(data)
    header = file.header
    lines = [
        "# Appendix B. One pixel, byte by byte",
        "",
        f"`vectors/valid/01-one-pixel.liif` has {len(data)} bytes and one pixel. Its model is `vectors/models/small.safetensors`: 8 hyper channels, 32 latent channels,",
        "8 hidden units, random weights. So the picture means nothing, but every step is the same as in a real one.",
        "",
        "## B.1 Container",
        "",
        "| offset | bytes | meaning |",
        "|---:|---|---|",
        *_container_rows(data, file),
        "",
        "1 x 1 pixel is 1 x 1 latent and 1 x 1 hyper latent, so there is one chunk. The CRC of the header is that of all bytes before it.",
        "",
    ]
    chunk = file.chunks[0]
    body = data[chunk.offset : chunk.offset + chunk.length]
    lines += _symbol_lines(model, header["quality"], body)
    lines += _pixel_lines(model, header["quality"], body)
    return "\n".join(lines) + "\n"


def _hex(data):
    return " ".join(f"{byte:02X}" for byte in data)


def _container_rows(data, file):
    n = struct.unpack_from("<I", data, 12)[0]

    def row(offset, size, meaning):
        return f"| {offset} | `{_hex(data[offset : offset + size])}` | {meaning} |"

    yield row(0, 8, "magic")
    yield row(8, 2, "version 1")
    yield row(10, 2, "no flags")
    yield row(12, 4, f"header of {n} bytes")
    yield row(16, 1, f"map of {data[16] & 15} pairs")
    at = 17
    while at < 16 + n:
        key, after_key = read_messagepack(data, at, 2)
        value, end = read_messagepack(data, after_key, 2)
        shown = "32 bytes" if type(value) is bytes else json.dumps(value)
        yield row(at, end - at, f"`{key}`: {shown}")
        at = end
    yield row(at, 4, "CRC of bytes 0 to %d" % (at - 1))
    chunk = file.chunks[0]
    yield row(at + 4, 8, f"index: the chunk begins at {chunk.offset}")
    yield row(at + 12, 4, f"and has {chunk.length} bytes")
    yield row(at + 16, 4, "CRC of the chunk")
    yield row(at + 20, 4, "CRC of the index")
    yield row(chunk.offset, 16, "chunk: states 0 to 3")
    yield row(chunk.offset + 16, chunk.length - 16, f"{(chunk.length - 16) // 2} words")


class _TracingReader(entropy.SymbolReader):
    """Keeps what each symbol was decoded from."""

    trace = None

    def symbol(self, channel, table):
        before, position = self.states[channel & 3], self.position
        n = super().symbol(channel, table)
        self.trace.append((channel, table, before, n, self.states[channel & 3], self.words[position : self.position]))
        return n


def _symbol_lines(model, quality, body):
    q = quality - 1
    reader = _TracingReader(body, 1000, model.precision, 0)
    reader.trace = []
    means = []

    def next_symbol(channel, table, mean):
        means.append(mean)
        return reader.symbol(channel, table)

    states = struct.unpack_from("<4I", body)
    y = chunk_latents(model, quality, 1, 1, next_symbol)
    reader.finish()
    lines = ["## B.2 Hyper latents", "", f"Quality {quality}: row {q} of every table by quality. The states begin at " + ", ".join(f"{s:08X}" for s in states) + "."]
    lines += [f"Symbol by symbol (2.2; P = {model.precision}; the state is that of channel mod 4):", ""]
    lines += ["| channel | table | state before | slot | k | C[k] | f[k] | n | words read | state after |", "|---:|---:|---|---:|---:|---:|---:|---:|---|---|"]
    numbers = {id(table): i for i, table in enumerate(model.tables)}
    cz = model.hyper_channels
    for channel, table, before, n, after, words in reader.trace[:cz]:
        lines.append(_trace_row(channel, numbers[id(table)], table, before, n, after, words, model.precision))
    symbols = np.array([entry[3] for entry in reader.trace[:cz]]).reshape(1, 1, cz)
    z = networks.hyper_latents(model, symbols, quality)
    bits = model.hyper["step_bits"]
    step, offset = model.hyper["step"][q], model.hyper["offset"][q]
    lines += ["", f"`z = clamp(round(n*step + offset, {bits}), {model.hyper['limit']})` (3.6). Channel 0: `round({symbols[0, 0, 0]}*{step[0]} + {offset[0]}, {bits}) = {z[0, 0, 0]}`; all of z:"]
    lines += [f"{_list(z[0, 0])}.", "", "## B.3 Latents", ""]
    context = run(model.hyper_synthesis, z, quality)
    lines += [f"`hyperSynthesis` makes 4 x 4 positions of it, of which the first counts: h = {_list(context[0, 0])}.", ""]
    lines += ["The only position has parity 0, so step t codes group (0 - t) mod 4: channels 0 to 7, then 24 to 31, 16 to 23 and 8 to 15. Step 0 reads h alone, the others h and the"]
    lines += [f"latents so far. `y = clamp(mean + round(n*step, {model.latent['step_bits']}), {model.latent['limit']})`:", ""]
    lines += ["| step | channel | mean | deviation | + offset | table | n | y |", "|---:|---:|---:|---:|---:|---:|---:|---:|"]
    deviations = _deviations(model, quality, context[:1, :1], y)
    for i, (channel, table, _, n, _, _) in enumerate(reader.trace[cz:]):
        deviation = deviations[i // 8][channel]
        offset = model.latent["deviation_offset"][q][channel]
        lines.append(f"| {i // 8} | {channel} | {means[cz + i]} | {deviation} | {deviation + offset} | {numbers[id(table)]} | {n} | {y[0, 0, channel]} |")
    read = reader.position
    return [*lines, "", f"All {read} words have been read, and every state is 00010000: the chunk is right.", ""]


def _trace_row(channel, number, table, before, n, after, words, precision):
    if table.empty:
        return f"| {channel} | {number} | {before:08X} | | | | | 0 | | {after:08X} |"
    slot = before & ((1 << precision) - 1)
    k = next(k for k in range(len(table.frequency)) if table.cumulative[k] <= slot < table.cumulative[k + 1])
    kind = f"{k} (bypass)" if k == table.bypass else f"{k}, then {table.raw_bits} raw bits" if table.raw_bits else str(k)
    read = " ".join(f"{word:04X}" for word in words)
    return f"| {channel} | {number} | {before:08X} | {slot} | {kind} | {table.cumulative[k]} | {table.frequency[k]} | {n} | {read} | {after:08X} |"


def _deviations(model, quality, context, y):
    """Of every step, at the only position; `y` as it was before the step."""
    result = []
    so_far = np.zeros_like(y)
    cy = model.latent_channels
    for t, (trunk, _, deviation) in enumerate(model.prior):
        x = run(trunk, context if t == 0 else np.concatenate([context, so_far], axis=2), quality)
        result.append(conv(deviation, x, quality)[0, 0])
        group = -t % 4
        so_far[0, 0, group * cy // 4 : (group + 1) * cy // 4] = y[0, 0, group * cy // 4 : (group + 1) * cy // 4]
    return result


def _list(values):
    return ", ".join(str(int(v)) for v in values)


def _pixel_lines(model, quality, body):
    y = networks.decode_chunk(model, quality, 1, 1, body, 0)
    lines = ["## B.4 Feature map", "", "`synthesis` (3.7) layer by layer; values at row 0, column 0, at most the first eight channels:", ""]
    lines += ["| layer | shape | values |", "|---|---|---|"]
    for i, layer in enumerate(model.synthesis):
        x = run(model.synthesis[: i + 1], y, quality)
        lines.append(f"| {type(layer).__name__.lower()} | {' x '.join(map(str, x.shape))} | {_list(x[0, 0, :8])} |")
    sites = synthesize(model, quality, y)
    whole = axis(Fraction(0), Fraction(1), range(1), 1)
    (index,), (f,), cell = whole
    head = model.head
    rows, columns = hidden_terms(head, [f], [f], cell, cell)
    p = sites[0, 0].astype(np.int64)
    hidden = np.maximum(0, sat16(sat16(p + rows[0][0]) + columns[0][0]))
    cells = head["cellRowWeight"].astype(np.int64) * cell + head["cellColumnWeight"].astype(np.int64) * cell
    c = sat16(networks.round_shift(cells, head["cellShift"]))
    acc = head["outputWeight"].astype(np.int64) @ hidden + head["outputBias"]
    rgb = render_color(head, sites, whole, whole, 8)[0, 0]
    weights = ensemble_weights(f, f)
    lines += ["", "The last line is P at the first of 16 x 16 sites; the other 255 are padding.", "", "## B.5 The pixel", ""]
    lines += [f"At its own size the region is (0, 0, 1, 1) and the output 1 x 1: step 1, u = 0 + 1/2 - 1/2, index {index}, f = {f}, cell {cell}, for rows and columns alike (4.2). The ensemble's weights"]
    lines += [f"are {_list(weights)}: the first site alone counts. By 4.4, for hidden units 0 to 7:", "", "| | |", "|---|---|"]
    for name, values in (("c", c), ("rowTerm[0]", rows[0][0]), ("colTerm[0]", columns[0][0]), ("P", p), ("hidden[0][0] = blended", hidden)):
        lines.append(f"| {name} | {_list(values)} |")
    lines += ["", f"By 4.5, with outputShift {head['outputShift']}, `outputBias + sum of outputWeight*blended` is {_list(acc)}, and the pixel"]
    lines += [f"`clamp(round(acc, {head['outputShift']}), 0, 255)`: **{_list(rgb)}**."]
    assert [int(v) for v in np.clip(networks.round_shift(acc, head["outputShift"]), 0, 255)] == [int(v) for v in rgb]
    return lines
