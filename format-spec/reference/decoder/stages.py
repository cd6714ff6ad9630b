"""Single steps of the decoder, as the vectors under `stages` have them (specification 5.2)."""

from fractions import Fraction

import numpy as np

from entropy import SymbolReader
from model import Table
from networks import clamp, decode_chunk, round_shift, run
from picture import digest
from rendering import Query, axis, block, density, ensemble_weights, grey, grid_span, inside, level_of, means, reduce, render_color, sat16, shares


def run_stage(name, given, load):
    """What comes out: keys to compare. `load(name)` gives a model."""
    if name == "fixed-point":
        return {
            "rounded": [int(round_shift(v, s)) for v, s in given["round"]],
            "leaked": [max(v, v >> 3) for v in given["leaky"]],
            "saturated": [int(sat16(v)) for v in given["sat16"]],
            "clamped": [int(clamp(v, a)) for v, a in given["clamp"]],
        }
    if name == "rans":
        tables = tables_of(given["tables"])
        reader = SymbolReader(bytes.fromhex(given["chunk"]), len(given["indices"]), given["precision"], 0)
        symbols = [reader.symbol(i, tables[t]) for i, t in enumerate(given["indices"])]
        reader.finish()
        return {"symbols": symbols}
    if name == "prior":
        data = bytes.fromhex(given["chunk"])
        y = decode_chunk(load(given["model"]), given["quality"], given["rows"], given["columns"], data, 0)
        return {"shape": list(y.shape), "latents": y.ravel().tolist()}
    if name == "synthesis":
        model = load(given["model"])
        y = np.array(given["latents"], np.int16).reshape(given["shape"])
        after = []
        for i in range(1, len(model.synthesis) + 1):
            x = run(model.synthesis[:i], y, given["quality"])
            after.append({"shape": list(x.shape), "sha256": digest(x), "first": x.ravel()[:8].tolist()})
        return {"layers": after}
    if name == "query":
        return {"plans": [_plan(given, query) for query in given["queries"]]}
    if name == "ensemble":
        return {"weights": [list(map(int, ensemble_weights(fr, fc))) for fr, fc in given["fractions"]]}
    if name == "head":
        sites = np.array(given["sites"], np.int16)
        head = load(given["model"]).head
        samples = []
        for described in given["queries"]:
            query = _query(described)
            rows = axis(query.y, query.height / query.rows, range(query.rows), 1)
            columns = axis(query.x, query.width / query.columns, range(query.columns), 1)
            samples.append(render_color(head, sites, rows, columns, described["depth"]))
        return {"samples": [s.ravel().tolist() for s in samples], "grey": [grey(s).ravel().tolist() for s in samples]}
    if name == "reduction":
        outputs = []
        for each in given["reductions"]:
            samples = np.array(each["samples"], np.int64)[:, :, None]
            whole = [shares(m, (0, side), range(side)) for m, side in zip(each["density"], samples.shape)]
            k = [m // block(m) for m in each["density"]]
            outputs.append(reduce(means(samples, *whole), *k, each["depth"])[:, :, 0].tolist())
        return {"outputs": outputs}
    raise KeyError(name)


def _plan(given, described):
    query = _query(described)
    level = level_of(query, given)
    reduction = given["overviewFactor"] ** level

    def grid(start, extent, count, side):
        """The grid pixels that 4.7 needs, each brought inside the picture."""
        m = density(extent / count / reduction)
        d = extent / count / m
        first, length = grid_span(m, count)
        return m, start, d, range(first, first + length), -(-side // reduction) * reduction

    my, *rows = grid(query.y, query.height, query.rows, given["height"])
    mx, *columns = grid(query.x, query.width, query.columns, given["width"])
    plan = {"level": level, "density": [my, mx]}
    for key, (start, d, indices, side) in (("rows", rows), ("columns", columns)):
        if mx > 1 or my > 1:
            indices = inside(start, d, side, indices)
        index, f, cell = axis(start, d, indices, reduction)
        plan[key] = {"index": index, "fraction": f, "cell": cell}
    return plan


def _query(described):
    return Query(*map(Fraction, described["region"]), *described["size"])


def tables_of(described):
    tables = []
    for table in described:
        f = table["frequency"]
        cumulative = [sum(f[:k]) for k in range(len(f) + 1)]
        tables.append(Table(f, cumulative, table["minimum"], table["rawBits"], not f, len(f) - 1))
    return tables
