"""Chapter 4: Rendering. A region of the picture, at any scale, from the sites P of a level.

Quotes are from format-spec/4-rendering.md.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import floor

import numpy as np

from errors import RequestError
from networks import round_shift

# ---------------------------------------------------------------- 4.1 What is rendered


@dataclass
class Query:
    """A region in pixels of level 0, exact, and the size of the output in pixels."""

    x: Fraction
    y: Fraction
    width: Fraction
    height: Fraction
    columns: int  # W
    rows: int  # H

    def __post_init__(self):
        if self.width <= 0 or self.height <= 0 or self.columns < 1 or self.rows < 1:
            raise RequestError("a region and its output must not be empty")


# ---------------------------------------------------------------- 4.2 Level and cell


def level_of(query, header):
    # "The level is the largest n < levels with F^n <= min(stepX, stepY), or 0 if there is none."
    step = min(query.width / query.columns, query.height / query.rows)
    fits = [n for n in range(header["levels"]) if header["overviewFactor"] ** n <= step]
    return max(fits, default=0)


def axis(start, extent, count, reduction):
    """(index, f, cell) of one axis: for each of `count` output pixels the first of its two sites, and where it lies between them."""
    step = extent / count
    indexes, fractions = [], []
    for i in range(count):
        # "X = x + (j + 1/2) * width / W",  "u = X / F^n - 1/2"
        u = (start + (i + Fraction(1, 2)) * step) / reduction - Fraction(1, 2)
        index = floor(u)  # "index = floor(u)"
        indexes.append(index)
        fractions.append(floor((u - index) * (1 << 14)))  # "f = floor((u - index) * 2^14)"
    # "cell = clamp(floor(stepX / F^n * 2^12 + 1/2), 1024, 16384)"
    cell = min(max(floor(step / reduction * (1 << 12) + Fraction(1, 2)), 1024), 16384)
    return indexes, fractions, cell


def oversampling(step):
    # "let mX be the smallest power of two with stepX / F^n / mX <= 4"
    m = 1
    while step / m > 4:
        m *= 2
    return m


# ---------------------------------------------------------------- 4.3 Sites, 4.4 Hidden vector


def sat16(v):
    return np.clip(v, -32768, 32767)


def hidden_terms(head, rows, columns, cell_row, cell_column):
    """(rowTerm, colTerm), each a pair for d = 0, 1 of arrays (pixels, hidden)."""
    w = {key: np.asarray(head[key]).astype(np.int64) for key in ("rowWeight", "columnWeight", "cellRowWeight", "cellColumnWeight")}
    # "c[k] = sat16((cellRowWeight[k]*cell_row + cellColumnWeight[k]*cell_column + (1 << (cellShift-1))) >> cellShift)"
    c = sat16(round_shift(w["cellRowWeight"] * cell_row + w["cellColumnWeight"] * cell_column, head["cellShift"]))
    row_terms, column_terms = [], []
    for d in (0, 1):
        # "r = f - d*2^14 where f is that of the row, or of the column"
        r = np.array(rows, np.int64)[:, None] - (d << 14)
        # "rowTerm[d][k] = sat16(sat16((rowWeight[k]*r + 2^13) >> 14) + c[k])"
        row_terms.append(sat16(sat16(round_shift(w["rowWeight"] * r, 14)) + c))
        r = np.array(columns, np.int64)[:, None] - (d << 14)
        # "colTerm[d][k] = sat16((columnWeight[k]*r + 2^13) >> 14)"
        column_terms.append(sat16(round_shift(w["columnWeight"] * r, 14)))
    return row_terms, column_terms


def ensemble_weights(fr, fc):
    """Of the sites (0,0), (0,1), (1,0), (1,1)."""
    # "s11 = (fr*fc + 2^13) >> 14    s10 = fr - s11    s01 = fc - s11    s00 = 2^14 - fr - fc + s11"
    s11 = (fr * fc + (1 << 13)) >> 14
    return (1 << 14) - fr - fc + s11, fc - s11, fr - s11, s11


def render_color(head, sites, query, reduction, depth):
    """RGB samples (rows, columns, 3) of the query at the level of `sites`, without the mean of a reduction beyond it."""
    row_index, row_f, cell_row = axis(query.y, query.height, query.rows, reduction)
    column_index, column_f, cell_column = axis(query.x, query.width, query.columns, reduction)
    row_terms, column_terms = hidden_terms(head, row_f, column_f, cell_row, cell_column)

    def inside(indexes, d, count):
        # "Site (r, c) outside is replaced by the nearest inside"
        return np.array([min(max(i + d, 0), count - 1) for i in indexes])

    row_sites = [inside(row_index, d, sites.shape[0]) for d in (0, 1)]
    column_sites = [inside(column_index, d, sites.shape[1]) for d in (0, 1)]
    weight = head["outputWeight"].astype(np.int64)
    fc = np.array(column_f, np.int64)
    out = np.empty((query.rows, query.columns, 3), np.int64)
    for i in range(query.rows):
        shares = dict(zip(((0, 0), (0, 1), (1, 0), (1, 1)), ensemble_weights(row_f[i], fc)))
        blended = np.full((query.columns, head["hidden"]), 1 << 13, np.int64)
        for (dy, dx), share in shares.items():
            p = sites[row_sites[dy][i], column_sites[dx]].astype(np.int64)
            # "hidden[dy][dx][k] = max(0, sat16(sat16(P[site][k] + rowTerm[dy][k]) + colTerm[dx][k]))"
            hidden = np.maximum(0, sat16(sat16(p + row_terms[dy][i]) + column_terms[dx]))
            blended += share[:, None] * hidden
        blended >>= 14
        # 4.5: "acc = outputBias[o] + sum over k of outputWeight[o][k] * blended[k]"
        out[i] = samples(blended @ weight.T + head["outputBias"], head["outputShift"], depth)
    return out


# ---------------------------------------------------------------- 4.5 Samples, 4.6 Grey and alpha


def samples(acc, k, depth):
    if depth == 8:
        # "8 bits: clamp(round(acc, k), 0, 255)"
        return np.clip(round_shift(acc, k), 0, 255)
    # "16 bits: v = clamp(round(acc, k - 8), 0, 65280);  (v*257 + 128) >> 8"
    return (np.clip(round_shift(acc, k - 8), 0, 65280) * 257 + 128) >> 8


def grey(rgb):
    # "(R + 2*G + B + 2) >> 2 of the three samples of 4.5, at either depth"
    return (rgb[..., :1] + 2 * rgb[..., 1:2] + rgb[..., 2:] + 2) >> 2


def render(head, query, reduction, planes, color_channels, depth):
    """Pixels (H, W, channels): colour, then alpha if `planes` has two. `planes` are P of one level, `reduction` is its F^n."""
    # "If stepX / F^n > 4 or stepY / F^n > 4 [...] The same region is rendered at the same level at mX*W x mY*H"
    mx = oversampling(query.width / query.columns / reduction)
    my = oversampling(query.height / query.rows / reduction)
    fine = Query(query.x, query.y, query.width, query.height, mx * query.columns, my * query.rows)
    result = []
    for plane, sites in enumerate(planes):
        pixels = render_color(head, sites, fine, reduction, depth)
        if plane == 1 or color_channels == 1:
            pixels = grey(pixels)
        # "each output sample is the mean of its block: (sum + (mX*mY >> 1)) div (mX*mY)"
        blocks = pixels.reshape(query.rows, my, query.columns, mx, -1).sum(axis=(1, 3))
        result.append((blocks + (mx * my >> 1)) // (mx * my))
    return np.concatenate(result, axis=2)
