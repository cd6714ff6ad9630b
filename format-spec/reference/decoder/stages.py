"""Single steps of the decoder, as the vectors under `stages` have them (specification 5.2)."""

from fractions import Fraction

import numpy as np

from entropy import SymbolReader
from model import Table
from networks import clamp, decode_chunk, round_shift, run
from picture import digest
from rendering import Query, axis, block, ensemble_weights, gray, grids_of, level_of, means, reduce, render_color, sat16, shares


def run_stage(name, given, load):
    """What comes out of a step: keys to compare. `load(name)` gives a model."""
    return _STEPS[name](given, load)


def _fixed_point(given, _load):
    return {
        "rounded": [int(round_shift(v, s)) for v, s in given["round"]],
        "leaked": [max(v, v >> 3) for v in given["leaky"]],
        "saturated": [int(sat16(v)) for v in given["sat16"]],
        "clamped": [int(clamp(v, a)) for v, a in given["clamp"]],
    }


def _rans(given, _load):
    tables = tables_of(given["tables"])
    reader = SymbolReader(bytes.fromhex(given["chunk"]), len(given["indices"]), given["precision"], 0)
    symbols = [reader.symbol(i, tables[t]) for i, t in enumerate(given["indices"])]
    reader.finish()
    return {"symbols": symbols}


def _prior(given, load):
    data = bytes.fromhex(given["chunk"])
    y = decode_chunk(load(given["model"]), given["quality"], given["rows"], given["columns"], data, 0)
    return {"shape": list(y.shape), "latents": y.ravel().tolist()}


def _synthesis(given, load):
    model = load(given["model"])
    y = np.array(given["latents"], np.int16).reshape(given["shape"])
    layers = []
    for i in range(1, len(model.synthesis) + 1):
        x = run(model.synthesis[:i], y, given["quality"])
        layers.append({"shape": list(x.shape), "sha256": digest(x), "first": x.ravel()[:8].tolist()})
    return {"layers": layers}


def _query(given, _load):
    return {"plans": [_plan(given, _query_of(described)) for described in given["queries"]]}


def _plan(header, query):
    grids = dict(zip(("rows", "columns"), grids_of(query, header)))
    plan = {"level": level_of(query, header), "density": [grid.m for grid in grids.values()]}
    reduced = max(plan["density"]) > 1
    for key, grid in grids.items():
        lines = [grid.nearest_inside(i) if reduced else i for i in grid.wanted]
        index, f, cell = axis(grid.start, grid.d, lines, grid.reduction)
        plan[key] = {"index": index, "fraction": f, "cell": cell}
    return plan


def _ensemble(given, _load):
    return {"weights": [list(map(int, ensemble_weights(fr, fc))) for fr, fc in given["fractions"]]}


def _head(given, load):
    sites = np.array(given["sites"], np.int16)
    head = load(given["model"]).head
    samples = []
    for described in given["queries"]:
        query = _query_of(described)
        rows = axis(query.y, query.height / query.rows, range(query.rows), 1)
        columns = axis(query.x, query.width / query.columns, range(query.columns), 1)
        samples.append(render_color(head, sites, rows, columns, described["depth"]))
    return {"samples": [s.ravel().tolist() for s in samples], "grey": [gray(s).ravel().tolist() for s in samples]}


def _reduction(given, _load):
    outputs = []
    for each in given["reductions"]:
        samples = np.array(each["samples"], np.int64)[:, :, None]
        all_inside = [shares(m, range(side), range(side)) for m, side in zip(each["density"], samples.shape)]
        k = [m // block(m) for m in each["density"]]
        outputs.append(reduce(means(samples, *all_inside), *k, each["depth"])[:, :, 0].tolist())
    return {"outputs": outputs}


_STEPS = {
    "fixed-point": _fixed_point,
    "rans": _rans,
    "prior": _prior,
    "synthesis": _synthesis,
    "query": _query,
    "ensemble": _ensemble,
    "head": _head,
    "reduction": _reduction,
}


def _query_of(described):
    return Query(*map(Fraction, described["region"]), *described["size"])


def tables_of(described):
    """Tables (3.9) from their JSON."""
    tables = []
    for table in described:
        f = table["frequency"]
        cumulative = [sum(f[:k]) for k in range(len(f) + 1)]
        tables.append(Table(f, cumulative, table["minimum"], table["rawBits"], not f, len(f) - 1))
    return tables
