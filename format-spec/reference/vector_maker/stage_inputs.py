"""What goes into the vectors of single steps, for whoever writes a decoder and wants to know which step differs. Drawn by chance."""

import random

import numpy as np
from rendering import grid_span
from stages import tables_of
from symbol_writer import SymbolWriter, symbols_by_table, write_chunk

MODEL = "small.safetensors"


def stage_inputs(models):
    """Name to what goes in; `run_stage` of the decoder adds what comes out."""
    rng = random.Random(7)
    model = models[MODEL]
    words = [0, 1, -1, 2, -2, 3, -3, 5, -5, 6, -6, 7, -7, 8, -8, 9, 255, -255, 32767, -32767, 32768, -32768, 32769, -32769, (1 << 31) - 1, -(1 << 31)]
    fixed = [[v, s] for v in words for s in (0, 1, 2, 8) if v + (1 << s >> 1) < 1 << 31]

    table_rng = random.Random(8)
    tables = [
        {"frequency": [], "minimum": 0, "rawBits": 0},
        {"frequency": [4095, 1], "minimum": 0, "rawBits": 0},
        {"frequency": [1000, 2000, 1000, 96], "minimum": -1, "rawBits": 0},
        {"frequency": [500] * 8 + [96], "minimum": -4, "rawBits": 3},
    ]
    choose = symbols_by_table(table_rng, bypass=0.1)
    built = tables_of(tables)
    indices = [table_rng.randrange(4) for _ in range(64)]
    writer = SymbolWriter(12)
    for i, t in enumerate(indices):
        chosen = choose(i, built[t], None)
        n, forced = chosen if isinstance(chosen, tuple) else (chosen, False)
        writer.symbol(i, built[t], n, forced)

    chunk, _ = write_chunk(model, 40, 3, 5, symbols_by_table(rng))
    latents = np.array([rng.randrange(-6000, 6001) for _ in range(1 * 2 * 32)], np.int16).reshape(1, 2, 32)
    queries = [
        (("0", "0", "40", "24"), (40, 24)), (("-3/2", "5/7", "9", "10"), (4, 6)), (("1/3", "0", "1", "1/1024"), (5, 3)),
        (("12345678901234567890/1152921504606846976", "1/1180591620717411303424", "1/1152921504606846976", "1"), (4, 4)),
        (("0", "0", "40", "40"), (2, 10)), (("0", "0", "40", "40"), (1, 3)), (("0", "0", "8192/2049", "4"), (1, 1)), (("-7", "33", "20", "9"), (13, 4)), (("900", "-500", "12", "12"), (5, 6)),
    ]  # fmt: skip
    fractions = [0, 1, 2, 64, 127, 128, 129, 4096, 8191, 8192, 12288, 16382, 16383]
    sites = [[[rng.randrange(-9000, 9001) for _ in range(8)] for _ in range(3)] for _ in range(2)]
    reductions = [_reduction(rng, *each) for each in ((8, 1, 2, 2, 3), (8, 2, 2, 3, 3), (16, 2, 1, 2, 2), (8, 4, 4, 1, 2), (16, 4, 2, 1, 2), (8, 8, 4, 1, 1))]
    return {
        "fixed-point": {"clause": "3.1", "round": fixed, "leaky": words, "sat16": words, "clamp": [[v, 100] for v in words]},
        "rans": {"clause": "2.2", "precision": 12, "tables": tables, "indices": indices, "chunk": writer.finish().hex()},
        "prior": {"clause": "3.6", "model": MODEL, "quality": 40, "rows": 3, "columns": 5, "chunk": chunk.hex()},
        "synthesis": {"clause": "3.7", "model": MODEL, "quality": 40, "shape": [1, 2, 32], "latents": latents.ravel().tolist()},
        "query": {
            "clause": "4.2", "levels": 3, "overviewFactor": 2, "width": 40, "height": 40,
            "queries": [{"region": list(region), "size": list(size)} for region, size in queries],
        },
        "ensemble": {"clause": "4.4", "fractions": [[r, c] for r in fractions for c in fractions]},
        "head": {
            "clause": "4.4", "model": MODEL, "sites": sites,
            "queries": [{"region": ["-1/2", "-1/3", "4", "3"], "size": [4, 4], "depth": d} for d in (8, 16)],
        },
        "reduction": {"clause": "4.7", "reductions": reductions},
    }  # fmt: skip


def _reduction(rng, depth, m_rows, m_columns, rows, columns):
    """Samples of a grid for `rows` x `columns` output pixels: more black and white than between, so that sums pass both ends."""
    height, width = grid_span(m_rows, rows)[1], grid_span(m_columns, columns)[1]
    most = (1 << depth) - 1
    samples = [[rng.choice((0, most, rng.randrange(most + 1))) for _ in range(width)] for _ in range(height)]
    return {"depth": depth, "density": [m_rows, m_columns], "samples": samples}
