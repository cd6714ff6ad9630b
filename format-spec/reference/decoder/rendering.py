"""Chapter 4: Rendering. A region of the picture, at any scale, from the sites P of a level.

Quotes are from format-spec/4-rendering.md.
"""

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

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


# ---------------------------------------------------------------- 4.2 Level, grid and cell


def level_of(query, header):
    # "The level is the largest n < levels with F^n <= min(stepX, stepY), or 0 if there is none."
    step = min(query.width / query.columns, query.height / query.rows)
    fits = [n for n in range(header["levels"]) if header["overviewFactor"] ** n <= step]
    return max(fits, default=0)


def density(step):
    """m of an axis, from its step in sites."""
    # "mX is the smallest of 1, 2, 4, … with stepX / F^n / mX <= 1"
    m = 1
    while step / m > 1:
        m *= 2
    return m


def axis(start, d, indices, reduction):
    """(index, f, cell) of one axis: for each grid pixel, counted by `indices`, the first of its two sites, and where it lies between them."""
    indexes, fractions = [], []
    for i in indices:
        # "X_i = x + (i + 1/2) * d", "u = X_i / F^n - 1/2"
        u = (start + (i + Fraction(1, 2)) * d) / reduction - Fraction(1, 2)
        index = floor(u)  # "index = floor(u)"
        indexes.append(index)
        fractions.append(floor((u - index) * (1 << 14)))  # "f = floor((u - index) * 2^14)"
    # "cell = max(1024, floor(d / F^n * 2^12 + 1/2))"
    return indexes, fractions, max(1024, floor(d / reduction * (1 << 12) + Fraction(1, 2)))


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
        # "rowTerm[d][k] = sat16(sat16((rowWeight[k]*(f_row - d*2^14) + 2^13) >> 14) + c[k])"
        r = np.array(rows, np.int64)[:, None] - (d << 14)
        row_terms.append(sat16(sat16(round_shift(w["rowWeight"] * r, 14)) + c))
        # "colTerm[d][k] = sat16((columnWeight[k]*(f_column - d*2^14) + 2^13) >> 14)"
        r = np.array(columns, np.int64)[:, None] - (d << 14)
        column_terms.append(sat16(round_shift(w["columnWeight"] * r, 14)))
    return row_terms, column_terms


def ensemble_weights(fr, fc):
    """Of the sites (0,0), (0,1), (1,0), (1,1)."""
    # "s11 = (fr*fc + 2^13) >> 14    s10 = fr - s11    s01 = fc - s11    s00 = 2^14 - fr - fc + s11"
    s11 = (fr * fc + (1 << 13)) >> 14
    return (1 << 14) - fr - fc + s11, fc - s11, fr - s11, s11


def render_color(head, sites, rows, columns, depth):
    """RGB samples (rows, columns, 3) of the grid pixels of two axes (4.2)."""
    row_index, row_f, cell_row = rows
    column_index, column_f, cell_column = columns
    row_terms, column_terms = hidden_terms(head, row_f, column_f, cell_row, cell_column)

    def nearest(indexes, d, count):
        # "A site outside of P is replaced by the nearest site inside"
        return np.array([min(max(i + d, 0), count - 1) for i in indexes])

    row_sites = [nearest(row_index, d, sites.shape[0]) for d in (0, 1)]
    column_sites = [nearest(column_index, d, sites.shape[1]) for d in (0, 1)]
    weight = head["outputWeight"].astype(np.int64)
    fc = np.array(column_f, np.int64)
    out = np.empty((len(row_f), len(column_f), 3), np.int64)
    for i in range(len(row_f)):
        weights = dict(zip(((0, 0), (0, 1), (1, 0), (1, 1)), ensemble_weights(row_f[i], fc)))
        blended = np.full((len(column_f), head["hidden"]), 1 << 13, np.int64)
        for (dy, dx), share in weights.items():
            p = sites[row_sites[dy][i], column_sites[dx]].astype(np.int64)
            # "hidden[dy][dx][k] = max(0, sat16(sat16(P[site][k] + rowTerm[dy][k]) + colTerm[dx][k]))"
            hidden = np.maximum(0, sat16(sat16(p + row_terms[dy][i]) + column_terms[dx]))
            blended += share[:, None] * hidden
        blended >>= 14
        # 4.5: "acc = outputBias[o] + sum over k of outputWeight[o][k] * blended[k]"
        out[i] = samples(blended @ weight.T + head["outputBias"], head["outputShift"], depth)
    return out


# ---------------------------------------------------------------- 4.5 Samples, 4.6 Gray and alpha


def samples(acc, s, depth):
    if depth == 8:
        # "8 bits: clamp(round(acc, s), 0, 255)"
        return np.clip(round_shift(acc, s), 0, 255)
    # "16 bits: v = clamp(round(acc, s - 8), 0, 65280);  (v*257 + 128) >> 8"
    return (np.clip(round_shift(acc, s - 8), 0, 65280) * 257 + 128) >> 8


def grey(rgb):
    # "(R + 2*G + B + 2) >> 2 of the three samples of 4.5, at either depth"
    return (rgb[..., :1] + 2 * rgb[..., 1:2] + rgb[..., 2:] + 2) >> 2


# ---------------------------------------------------------------- 4.7 Reduction

# "the cubic convolution kernel of Keys [KEYS] with a = -1/2, widened k times, at (t - 2*k + 1/2) / k"
WEIGHTS = {
    1: [4096],
    2: [-48, -144, 464, 1776, 1776, 464, -144, -48],
    4: [-7, -45, -75, -49, 93, 399, 745, 987, 987, 745, 399, 93, -49, -75, -45, -7],
}


def grid_span(m, count):
    """First grid pixel that `count` output pixels need, and how many."""
    # "The first weight of output column j belongs to block column start(j): start(j) = k*j - 3*k/2 for k above 1, start(j) = j for k = 1."
    return (0, count) if m == 1 else (-3 * m // 2, m * (count + 3))


def inside(start, d, extent, indices):
    """Each grid pixel, or the nearest inside the picture, whose level covers 0 .. extent."""
    # "first is the smallest i with X_i >= 0. last is the largest i with X_i < ceil(width/F^n) * F^n"
    first = ceil(-start / d - Fraction(1, 2))
    last = ceil((extent - start) / d - Fraction(1, 2)) - 1
    return [min(max(i, first), last) for i in indices]


def block(m):
    """b of an axis: grid pixels on the side of a block."""
    return max(1, m // 4)  # "b = max(1, m/4)"


def shares(m, grid, lines):
    """(blocks, lines): how many grid pixels of each block of `grid` have the samples of each of `lines`, of which the outer ones stand for all outside."""
    b = block(m)
    counts = np.zeros((len(range(grid[0], grid[1], b)), len(lines)), object)
    for row, start in zip(counts, range(grid[0], grid[1], b)):
        end = start + b
        row[max(start, lines.start) - lines.start : max(0, min(end, lines.stop) - lines.start)] = 1
        row[0] += max(0, min(end, lines.start) - start)
        row[-1] += max(0, end - max(start, lines.stop))
    return counts


def means(samples, rows, columns):
    """T: (blocks, blocks, channels) of samples (lines, lines, channels) and the shares that blocks have of them."""
    n = rows[0].sum() * columns[0].sum()
    if n < 1 << 46:  # sums of 16 bits then have 62; beyond, integers are Python's
        rows, columns = rows.astype(np.int64), columns.astype(np.int64)
    sums = np.stack([rows @ channel @ columns.T for channel in np.moveaxis(samples, 2, 0)], axis=2)
    return ((sums + (n >> 1)) // n).astype(np.int64)  # "T is a block's (sum + (n >> 1)) div n"


def reduce(t, k_rows, k_columns, depth):
    """Output (H, W, channels) of T."""
    e = 6 if depth == 8 else 0  # "With e = 6 for samples of 8 bits and e = 0 for 16 bits"
    along = filtered(t.swapaxes(0, 1), k_columns)
    h = (along + (1 << (11 - e))) >> (12 - e)
    down = filtered(h.swapaxes(0, 1), k_rows)
    # "clamp((sum over t of wY[t] * H[startY(i) + t][j] + (1 << (11 + e))) >> (12 + e), 0, max)"
    return np.clip((down + (1 << (11 + e))) >> (12 + e), 0, 255 if depth == 8 else 65535)


def filtered(values, k):
    """Sums along the first axis, before rounding."""
    weights = WEIGHTS[k]
    count = (len(values) - len(weights)) // k + 1
    return sum(w * values[t : t + k * (count - 1) + 1 : k] for t, w in enumerate(weights))


def render(head, query, header, planes, depth):
    """Pixels (H, W, channels) of a query: color, then alpha if `planes` has two. `planes` are P of the query's level."""
    reduction = header["overviewFactor"] ** level_of(query, header)

    def grid(start, extent, count, side):
        m = density(extent / count / reduction)
        first, length = grid_span(m, count)
        return m, start, extent / count / m, (first, first + length), ceil(Fraction(side, reduction)) * reduction

    axes = grid(query.y, query.height, query.rows, header["height"]), grid(query.x, query.width, query.columns, header["width"])
    # "If mX = mY = 1, those of the columns 0 .. W-1 and rows 0 .. H-1 are the output."
    reduced = any(m > 1 for m, *_ in axes)
    lines = []  # those of the grid that have samples of their own
    for _, start, d, (first, end), side in axes:
        first, last = inside(start, d, side, (first, end - 1)) if reduced else (first, end - 1)
        lines.append(range(first, last + 1))
    row_axis, column_axis = (axis(start, d, each, reduction) for (_, start, d, *_), each in zip(axes, lines))
    result = []
    for plane, sites in enumerate(planes):
        pixels = render_color(head, sites, row_axis, column_axis, depth)
        if plane == 1 or header["channels"] == 1:
            pixels = grey(pixels)
        if reduced:
            t = means(pixels, *(shares(m, span, each) for (m, _, _, span, _), each in zip(axes, lines)))
            pixels = reduce(t, *(m // block(m) for m, *_ in axes), depth)
        result.append(pixels)
    return np.concatenate(result, axis=2)
