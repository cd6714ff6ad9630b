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


@dataclass
class Grid:
    """One axis of a query's grid: its rows, or its columns, each called a line."""

    start: Fraction  # x or y of the query
    d: Fraction  # from line to line, in pixels of level 0
    m: int  # lines for each pixel of the output
    wanted: range  # the lines that the output needs
    extent: int  # pixels of level 0 that the level covers
    reduction: int  # F^n

    def nearest_inside(self, i):
        # 4.7: "first is the smallest i with X_i >= 0. last is the largest i with X_i < ceil(width/F^n) * F^n"
        first = ceil(-self.start / self.d - Fraction(1, 2))
        last = ceil((self.extent - self.start) / self.d - Fraction(1, 2)) - 1
        return min(max(i, first), last)

    def inside(self):
        """The lines that have samples of their own: `wanted`, brought inside the picture."""
        return range(self.nearest_inside(self.wanted.start), self.nearest_inside(self.wanted.stop - 1) + 1)


def grids_of(query, header):
    """(rows, columns) of a query's grid."""
    reduction = header["overviewFactor"] ** level_of(query, header)

    def grid(start, length, count, side):
        m = density(length / count / reduction)
        first, lines = grid_span(m, count)
        extent = ceil(Fraction(side, reduction)) * reduction
        return Grid(start, length / count / m, m, range(first, first + lines), extent, reduction)

    rows = grid(query.y, query.height, query.rows, header["height"])
    return rows, grid(query.x, query.width, query.columns, header["width"])


# ---------------------------------------------------------------- 4.3 Sites, 4.4 Hidden vector


def sat16(v):
    return np.clip(v, -32768, 32767)


def hidden_terms(head, rows, columns, cell_row, cell_column):
    """(rowTerm, colTerm), each a pair for d = 0, 1 of arrays (pixels, hidden)."""
    row_weight, column_weight = head.row_weight.astype(np.int64), head.column_weight.astype(np.int64)
    cell_row_weight, cell_column_weight = head.cell_row_weight.astype(np.int64), head.cell_column_weight.astype(np.int64)
    # "c[k] = sat16((cellRowWeight[k]*cell_row + cellColumnWeight[k]*cell_column + (1 << (cellShift-1))) >> cellShift)"
    c = sat16(round_shift(cell_row_weight * cell_row + cell_column_weight * cell_column, head.cell_shift))
    row_terms, column_terms = [], []
    for d in (0, 1):
        # "rowTerm[d][k] = sat16(sat16((rowWeight[k]*(f_row - d*2^14) + 2^13) >> 14) + c[k])"
        r = np.array(rows, np.int64)[:, None] - (d << 14)
        row_terms.append(sat16(sat16(round_shift(row_weight * r, 14)) + c))
        # "colTerm[d][k] = sat16((columnWeight[k]*(f_column - d*2^14) + 2^13) >> 14)"
        r = np.array(columns, np.int64)[:, None] - (d << 14)
        column_terms.append(sat16(round_shift(column_weight * r, 14)))
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
    weight = head.output_weight.astype(np.int64)
    fc = np.array(column_f, np.int64)
    out = np.empty((len(row_f), len(column_f), 3), np.int64)
    for i in range(len(row_f)):
        weights = dict(zip(((0, 0), (0, 1), (1, 0), (1, 1)), ensemble_weights(row_f[i], fc)))
        blended = np.full((len(column_f), head.hidden), 1 << 13, np.int64)
        for (dy, dx), share in weights.items():
            p = sites[row_sites[dy][i], column_sites[dx]].astype(np.int64)
            # "hidden[dy][dx][k] = max(0, sat16(sat16(P[site][k] + rowTerm[dy][k]) + colTerm[dx][k]))"
            hidden = np.maximum(0, sat16(sat16(p + row_terms[dy][i]) + column_terms[dx]))
            blended += share[:, None] * hidden
        blended >>= 14
        # 4.5: "acc = outputBias[o] + sum over k of outputWeight[o][k] * blended[k]"
        out[i] = samples(blended @ weight.T + head.output_bias, head.output_shift, depth)
    return out


# ---------------------------------------------------------------- 4.5 Samples, 4.6 Gray and alpha


def samples(acc, s, depth):
    if depth == 8:
        # "8 bits: clamp(round(acc, s), 0, 255)"
        return np.clip(round_shift(acc, s), 0, 255)
    # "16 bits: v = clamp(round(acc, s - 8), 0, 65280);  (v*257 + 128) >> 8"
    return (np.clip(round_shift(acc, s - 8), 0, 65280) * 257 + 128) >> 8


def gray(rgb):
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
    # "The first weight of output column j belongs to block column start(j): start(j) = k*j - 3*k/2 for k above 1, start(j) = j for
    # k = 1."
    return (0, count) if m == 1 else (-3 * m // 2, m * (count + 3))


def block(m):
    """b of an axis: grid pixels on the side of a block."""
    return max(1, m // 4)  # "b = max(1, m/4)"


def shares(m, wanted, own):
    """(blocks, own lines): how many of the grid lines `wanted` of each block have the samples of each of `own`.

    Lines before the first of `own` count as the first, lines behind the last as the last.
    """
    b = block(m)
    starts = range(wanted.start, wanted.stop, b)
    counts = np.zeros((len(starts), len(own)), object)
    for row, start in zip(counts, starts):
        end = start + b
        row[max(start, own.start) - own.start : max(0, min(end, own.stop) - own.start)] = 1
        row[0] += max(0, min(end, own.start) - start)
        row[-1] += max(0, end - max(start, own.stop))
    return counts


def means(samples, rows, columns):
    """T (blocks, blocks, channels) of samples (lines, lines, channels) and of the shares that blocks have of rows and columns."""
    n = rows[0].sum() * columns[0].sum()  # bX*bY
    if n < 1 << 46:  # sums of 16 bits then have 62; beyond, integers are Python's
        rows, columns = rows.astype(np.int64), columns.astype(np.int64)
    sums = np.stack([rows @ channel @ columns.T for channel in np.moveaxis(samples, 2, 0)], axis=2)
    return ((sums + (n >> 1)) // n).astype(np.int64)


def reduce(t, k_rows, k_columns, depth):
    """Output (H, W, channels) of T."""
    e = 6 if depth == 8 else 0  # "With e = 6 for samples of 8 bits and e = 0 for samples of 16 bits"
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
    grids = grids_of(query, header)
    # "If mX = mY = 1, those of the columns 0 .. W-1 and rows 0 .. H-1 are the output."
    reduced = any(grid.m > 1 for grid in grids)
    own = [grid.inside() if reduced else grid.wanted for grid in grids]
    row_axis, column_axis = (axis(grid.start, grid.d, lines, grid.reduction) for grid, lines in zip(grids, own))
    result = []
    for plane, sites in enumerate(planes):
        pixels = render_color(head, sites, row_axis, column_axis, depth)
        if plane == 1 or header["channels"] == 1:
            pixels = gray(pixels)
        if reduced:
            t = means(pixels, *(shares(grid.m, grid.wanted, lines) for grid, lines in zip(grids, own)))
            pixels = reduce(t, *(grid.m // block(grid.m) for grid in grids), depth)
        result.append(pixels)
    return np.concatenate(result, axis=2)
