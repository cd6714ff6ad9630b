"""Writes the computed parts of the appendices: appendix A from A.3 on, and all of appendix B."""

import hashlib
import json
import re
import struct
import textwrap
from fractions import Fraction

import entropy
import networks
import numpy as np
from container import CRC_TABLE, MessagePackReader, open_file
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


def _paragraph(text):
    """Lines of at most 120 characters; code and bold stay on one line."""
    whole = re.sub(r"`[^`]+`|\*\*[^*]+\*\*", lambda match: match[0].replace(" ", "\0"), text)
    return [line.replace("\0", " ") for line in textwrap.wrap(whole, 120, break_on_hyphens=False, break_long_words=False)]


# ---------------------------------------------------------------- Appendix A


def tables_text(released):
    lines = ["", "## A.3 CRC-32C", ""]
    digest = _sha256(struct.pack("<256I", *CRC_TABLE))
    lines += _paragraph(
        "The table has the remainder of each byte, 0 to 255. With it, a CRC (1.1) takes in a byte by "
        "`crc = (crc >> 8) ^ table[(crc ^ byte) & 0xFF]`. "
        f"The SHA-256 of the table, as 1024 little-endian bytes, is `{digest}`."
    )
    lines += ["", "```"]
    for i in range(0, 256, 8):
        lines.append(" ".join(f"{value:08X}" for value in CRC_TABLE[i : i + 8]))
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
    lines += ["| | |", "|---|---|", f"| size | {len(data):,} bytes |", f"| SHA-256 of the file | `{_sha256(data)}` |", f"| hash (3.2) | `{model.hash.hex()}` |"]
    lines += [f"| Cy, Cz, hidden | {model.latent_channels}, {model.hyper_channels}, {model.head.hidden} |", f"| precision | {model.precision} |", ""]
    lines += _paragraph(
        "The model file itself is the machine-readable copy of all tables. These are the tensors of its quantizers, tables "
        "and head, with the SHA-256 of their bytes:"
    )
    lines += ["", "| tensor | type | shape | SHA-256 |", "|---|---|---|---|"]
    graph = json.loads(listing["__metadata__"]["graph"])
    for part in ("latent", "hyper", "tables", "head"):
        for key, tensor in graph[part].items():
            entry = listing.get(tensor) if type(tensor) is str else None
            if entry:
                first, end = entry["data_offsets"]
                lines.append(f"| {part}.{key} | {entry['dtype']} | {entry['shape']} | `{_sha256(body[first:end])}` |")
    lines += ["", "These are its CDF tables (3.9). `largest` is the largest frequency, `bypass` the frequency of the bypass.", ""]
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
        *_paragraph(
            f"This appendix follows `vectors/valid/01-one-pixel.liif` from its first byte to its pixel. The file has {len(data)} "
            f"bytes and one pixel. Its model is `vectors/models/small.safetensors`, with Cz = {model.hyper_channels}, "
            f"Cy = {model.latent_channels}, {model.head.hidden} hidden units and random weights. So the picture means nothing, but "
            "every step is that of a real one."
        ),
        "",
        "## B.1 Container",
        "",
        "| offset | bytes | meaning |",
        "|---:|---|---|",
        *_container_rows(data, file),
        "",
        *_paragraph(
            "1 x 1 pixels have 1 x 1 latents and 1 x 1 hyper latents, so there is one chunk. The CRC of the header covers all "
            "bytes before it."
        ),
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
    reader = MessagePackReader(data, 17)
    while reader.at < 16 + n:
        begin = reader.at
        key, value = reader.value(2), reader.value(2)
        shown = "32 bytes" if type(value) is bytes else json.dumps(value)
        yield row(begin, reader.at - begin, f"`{key}`: {shown}")
    at = reader.at
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
    lines = ["## B.2 Hyper latents", ""]
    lines += _paragraph(
        f"At quality {quality}, row {q} of every tensor by quality is used. The states begin at "
        f"{', '.join(f'{s:08X}' for s in states)}. Each symbol is decoded by 2.2 and 2.3 with P = {model.precision}. The states "
        "shown are those of state `channel mod 4`. m is the `minimum` of the table; without raw bits n is m + k."
    )
    lines += [""]
    lines += ["| channel | table | state before | slot | k | C[k] | f[k] | m | n | words read | state after |", "|---:|---:|---|---:|---:|---:|---:|---:|---:|---|---|"]
    numbers = {id(table): i for i, table in enumerate(model.tables)}
    cz = model.hyper_channels
    for channel, table, before, n, after, words in reader.trace[:cz]:
        lines.append(_trace_row(channel, numbers[id(table)], table, before, n, after, words, model.precision))
    symbols = np.array([entry[3] for entry in reader.trace[:cz]]).reshape(1, 1, cz)
    z = networks.hyper_latents(model, symbols, quality)
    bits = model.hyper.step_bits
    step, offset = model.hyper.step[q], model.hyper.offset[q]
    lines += [""]
    lines += _paragraph(
        f"By 3.6, `z = clamp(round(n*step + offset, {bits}), {model.hyper.limit})`. For channel 1 this is "
        f"`round({symbols[0, 0, 1]}*{step[1]} + {offset[1]}, {bits}) = {z[0, 0, 1]}`. All of z: {_list(z[0, 0])}."
    )
    context = run(model.hyper_synthesis, z, quality)
    lines += ["", "## B.3 Latents", ""]
    lines += _paragraph(
        "`hyperSynthesis` makes 4 x 4 positions of z. The chunk has one latent, so h is the first of them: "
        f"{_list(context[0, 0])}."
    )
    lines += [""]
    lines += _paragraph(
        "The only position has parity 0, so step t codes group (0 - t) mod 4: channels 0 to 7, then 24 to 31, 16 to 23 and "
        "8 to 15. Step 0 reads h alone, the others h and the latents so far. By 3.6, "
        f"`table = clamp((deviation + offset) >> {model.latent.deviation_shift}, 0, {len(model.tables) - 1})` and "
        f"`y = clamp(mean + round(n*step, {model.latent.step_bits}), {model.latent.limit})`:"
    )
    lines += [""]
    lines += ["| t | channel | mean | deviation | + offset | table | n | step | y |", "|---:|---:|---:|---:|---:|---:|---:|---:|---:|"]
    deviations = _deviations(model, quality, context[:1, :1], y)
    for i, (channel, table, _, n, _, _) in enumerate(reader.trace[cz:]):
        deviation = deviations[i // 8][channel]
        offset = model.latent.deviation_offset[q][channel]
        coded = f"{deviation} | {deviation + offset} | {numbers[id(table)]} | {n} | {model.latent.step[q][channel]}"
        lines.append(f"| {i // 8} | {channel} | {means[cz + i]} | {coded} | {y[0, 0, channel]} |")
    read = reader.position
    return [*lines, "", f"All {read} words have been read, and every state is 00010000: the chunk is valid.", ""]


def _trace_row(channel, number, table, before, n, after, words, precision):
    if table.empty:
        return f"| {channel} | {number} | {before:08X} | | | | | | 0 | | {after:08X} |"
    slot = before & ((1 << precision) - 1)
    k = next(k for k in range(len(table.frequency)) if table.cumulative[k] <= slot < table.cumulative[k + 1])
    bits = f"{table.raw_bits} raw bit{'s' if table.raw_bits > 1 else ''}"
    kind = f"{k} (bypass)" if k == table.bypass else f"{k}, then {bits}" if table.raw_bits else str(k)
    read = " ".join(f"{word:04X}" for word in words)
    found = f"{slot} | {kind} | {table.cumulative[k]} | {table.frequency[k]} | {table.minimum}"
    return f"| {channel} | {number} | {before:08X} | {found} | {n} | {read} | {after:08X} |"


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
    lines = ["## B.4 Feature map", "", "These are the layers of `synthesis` (3.7), with the first eight channels of what each makes at row 0, column 0:", ""]
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
    cells = head.cell_row_weight.astype(np.int64) * cell + head.cell_column_weight.astype(np.int64) * cell
    c = sat16(networks.round_shift(cells, head.cell_shift))
    acc = head.output_weight.astype(np.int64) @ hidden + head.output_bias
    rgb = render_color(head, sites, whole, whole, 8)[0, 0]
    weights = ensemble_weights(f, f)
    lines += ["", "The last line is P at the first of its 16 x 16 sites. The other 255 are padding.", "", "## B.5 The pixel", ""]
    lines += _paragraph(
        "At its own size, the region of the picture is (0, 0, 1, 1) and the output 1 x 1. For rows and columns alike, 4.2 gives "
        f"level 0, m = 1, d = 1, u = (0 + 1/2) * 1 - 1/2 = 0, index {index}, f = {f} and cell {cell}. The weights of the local "
        f"ensemble are {_list(weights)}: the first site alone counts. By 4.4, for hidden units 0 to 7:"
    )
    lines += ["", "| | |", "|---|---|"]
    for name, values in (("c", c), ("rowTerm[0]", rows[0][0]), ("colTerm[0]", columns[0][0]), ("P", p), ("hidden[0][0] = blended", hidden)):
        lines.append(f"| {name} | {_list(values)} |")
    lines += [""]
    lines += _paragraph(
        f"By 4.5, acc is {_list(acc)}. With outputShift {head.output_shift}, the pixel is "
        f"`clamp(round(acc, {head.output_shift}), 0, 255)`: **{_list(rgb)}**."
    )
    assert [int(v) for v in np.clip(networks.round_shift(acc, head.output_shift), 0, 255)] == [int(v) for v in rgb]
    return lines
