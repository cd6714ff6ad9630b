"""CDF tables (specification 3.9): which there are, and their frequencies from counts of symbols.

- Table 0 is empty: symbols of smaller deviation than FIRST_DEVIATION are 0 and cost nothing. Measured, one in some
  15 000 of them would be another symbol; coding them would cost more than that error is worth.
- Table 1 is for latents whose deviation is FIRST_DEVIATION steps. Each table behind it is for a larger deviation,
  TABLES_PER_OCTAVE to the octave.
- Behind these lie the tables of hyper latents, whose tails are heavier. A latent's index reaches them only at a deviation
  beyond LARGEST_DEVIATION; any symbol can be coded there, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

PRECISION = 14
FIRST_LATENT_TABLE = 1
FIRST_DEVIATION = 0.135
LARGEST_DEVIATION = 1100.0
TABLES_PER_OCTAVE = 5
LATENT_TABLES = 1 + math.ceil(math.log2(LARGEST_DEVIATION / FIRST_DEVIATION) * TABLES_PER_OCTAVE)
HYPER_TABLES_PER_OCTAVE = 3

PRIOR_WEIGHT = 60.0
"""How many symbols the assumed shape counts for, beside the counted ones."""
ENTRIES = 62
"""About how many frequencies a table may have."""
LARGEST_CODED = 7.0
"""Largest deviation of high parts. A table takes raw bits until it is not exceeded."""

SYMBOLS = np.arange(-32768, 32768)


@dataclass(frozen=True)
class Table:
    frequency: np.ndarray
    """Of the high parts minimum, minimum + 1, … and of the bypass; nothing in an empty table."""
    minimum: int
    raw_bits: int


EMPTY = Table(np.zeros(0, int), 0, 0)


@dataclass
class Tables:
    tables: list[Table]
    hyper_index: np.ndarray
    """[qualities][hyper channels]"""


class Counts:
    """Histograms of symbols by table."""

    def __init__(self) -> None:
        self.symbols: dict[int, np.ndarray] = {}

    def add(self, indices: np.ndarray, symbols: np.ndarray) -> None:
        keys = indices.astype(np.int64).ravel() * 65536 + symbols.astype(np.int64).ravel() + 32768
        values, counts = np.unique(keys, return_counts=True)
        for index in np.unique(values >> 16):
            mine = values >> 16 == index
            self.of(int(index))[values[mine] & 65535] += counts[mine]

    def of(self, index: int) -> np.ndarray:
        """How often each of SYMBOLS occurred with a table."""
        return self.symbols.setdefault(index, np.zeros(65536))


def latent_table(octaves: np.ndarray) -> np.ndarray:
    """Where a log2 deviation lies among the latent tables: a fraction of an index."""
    return FIRST_LATENT_TABLE + (octaves - math.log2(FIRST_DEVIATION)) * TABLES_PER_OCTAVE


def fit_tables(hyper_deviation: np.ndarray, counts: Counts | None = None) -> Tables:
    """All tables: without counts as training assumed them, which is the start for counting.

    `hyper_deviation`: [qualities][hyper channels], in steps.
    """
    counts = counts or Counts()
    tables = [EMPTY]
    for i in range(LATENT_TABLES):
        deviation = FIRST_DEVIATION * 2 ** (i / TABLES_PER_OCTAVE)
        tables.append(fit_table(deviation, counts.of(len(tables))))

    rank = np.rint(np.log2(hyper_deviation / FIRST_DEVIATION) * HYPER_TABLES_PER_OCTAVE).astype(int)
    hyper_index = np.where(rank < 0, 0, rank + len(tables))
    for i in range(rank.max() + 1):
        deviation = FIRST_DEVIATION * 2 ** (i / HYPER_TABLES_PER_OCTAVE)
        tables.append(fit_table(deviation, counts.of(len(tables))))
    return Tables(tables, hyper_index)


def fit_table(deviation: float, counts: np.ndarray, prior_weight: float = PRIOR_WEIGHT) -> Table:
    """A table for `counts` of SYMBOLS, symmetrical, smoothed by the shape expected for this deviation."""
    raw_bits = 0
    while deviation > LARGEST_CODED * 2**raw_bits:
        raw_bits += 1
    mirrored = counts[np.clip(-SYMBOLS if raw_bits == 0 else -1 - SYMBOLS, -32768, 32767) + 32768]
    mass = (counts + mirrored) / 2 + prior_weight * _assumed_shape(deviation)
    high = mass.reshape(-1, 1 << raw_bits).sum(1) / mass.sum()

    # From -reach on, as far as an entry is worth half a frequency: to +reach, or to -1 + reach with raw bits.
    middle, most = len(high) // 2, (ENTRIES - 2) // 2
    worthy = np.nonzero(high[middle : middle + most + 1] >= 0.5 / (1 << PRECISION))[0]
    reach = max(1, int(worthy[-1]) + (1 if raw_bits else 0))
    inside = high[middle - reach : middle + reach + (0 if raw_bits else 1)]
    probabilities = np.append(inside, max(0.0, 1 - inside.sum()))
    return Table(integer_frequencies(probabilities, 1 << PRECISION), -reach, raw_bits)


def integer_frequencies(probabilities: np.ndarray, total: int) -> np.ndarray:
    """Integers of at least 1 and sum `total` that code symbols of these probabilities in the fewest bits."""
    p = np.maximum(probabilities, 1e-12)
    frequency = np.maximum(1, np.floor(p / p.sum() * total)).astype(int)
    while (missing := total - int(frequency.sum())) != 0:
        if missing > 0:
            frequency[np.argmax(p * np.log((frequency + 1) / frequency))] += 1
        else:
            fewer = np.maximum(frequency - 1, 1)
            frequency[np.argmin(np.where(frequency > 1, p * np.log(frequency / fewer), np.inf))] -= 1
    return frequency


def code_lengths(table: Table, symbols: np.ndarray) -> np.ndarray:
    """Bits that each of the symbols costs."""
    if len(table.frequency) == 0:
        return np.zeros(symbols.shape)
    lengths = PRECISION - np.log2(table.frequency)
    entry = (symbols >> table.raw_bits) - table.minimum
    inside = (entry >= 0) & (entry < len(lengths) - 1)
    return np.where(inside, lengths[np.where(inside, entry, 0)] + table.raw_bits, lengths[-1] + 16)


def _assumed_shape(deviation: float) -> np.ndarray:
    """Probabilities of SYMBOLS: a normal distribution with a little of a Laplacian's tails."""
    edges = (np.append(SYMBOLS, 32768) - 0.5) / (deviation * math.sqrt(2))
    cumulative = (edges > 0).astype(float)
    near = np.abs(edges) < 6
    cumulative[near] = [0.5 + 0.5 * math.erf(edge) for edge in edges[near]]
    laplacian = np.exp(-math.sqrt(2) / max(deviation, 0.2) * np.abs(SYMBOLS))
    return 0.98 * np.diff(cumulative) + 0.02 * laplacian / laplacian.sum()
