"""CDF tables (specification 3.9): which there are, and their frequencies from counts of symbols.

Table 0 is empty. Tables 1, 2, … are for latents whose deviation is FIRST_TABLE.deviation steps and TABLES_PER_OCTAVE
to the octave more; behind them lie tables for hyper latents.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

PRECISION = 14
TABLES_PER_OCTAVE = 5
LARGEST_DEVIATION = 1100.0


@dataclass(frozen=True)
class FirstTable:
    index: int
    deviation: float

    @property
    def octave(self) -> float:
        return math.log2(self.deviation)


FIRST_TABLE = FirstTable(1, 0.11)
LATENT_TABLES = 1 + math.ceil(math.log2(LARGEST_DEVIATION / FIRST_TABLE.deviation) * TABLES_PER_OCTAVE)
"""How many tables latents have, without the empty one."""


@dataclass(frozen=True)
class Table:
    frequency: np.ndarray
    """Of high parts minimum, minimum + 1, … and of the bypass; empty if nothing is coded."""
    minimum: int
    raw_bits: int


EMPTY = Table(np.zeros(0, int), 0, 0)


@dataclass
class Tables:
    tables: list[Table]
    hyper_index: np.ndarray
    """[QUALITIES][hyper channels]"""
    precision: int = PRECISION


def table_deviation(index: np.ndarray | int) -> np.ndarray:
    """Deviation in the middle of a latent table."""
    return FIRST_TABLE.deviation * 2.0 ** ((np.asarray(index) - FIRST_TABLE.index) / TABLES_PER_OCTAVE)


def nearest_table(deviation: np.ndarray) -> np.ndarray:
    """Index of the coded latent table for a deviation."""
    index = FIRST_TABLE.index + (np.log2(deviation) - FIRST_TABLE.octave) * TABLES_PER_OCTAVE
    return np.clip(np.rint(index), FIRST_TABLE.index, LATENT_TABLES).astype(int)


def gaussian_tables(hyper_deviation: np.ndarray) -> Tables:
    """Tables as training assumed them: a start, and a way to measure what counting gains."""
    coded = [fit_table(float(table_deviation(i)), np.zeros(65536)) for i in range(1, LATENT_TABLES + 1)]
    return Tables([EMPTY, *coded], nearest_table(hyper_deviation))


PRIOR_WEIGHT = 60.0
"""Symbols that the assumed shape counts for beside the counted ones."""
ENTRIES = 62
"""About how many entries a table may have."""


def fit_table(deviation: float, counts: np.ndarray, prior_weight: float = PRIOR_WEIGHT) -> Table:
    """`counts` of symbols -32768..32767."""
    raw_bits = 0
    while deviation > 6.0 * 2**raw_bits:
        raw_bits += 1
    assumed = _assumed_shape(deviation)
    total = counts.sum()
    mass = (counts + counts[_mirror(raw_bits)]) / 2 + prior_weight * assumed
    mass /= total + prior_weight
    high = _by_high_part(mass, raw_bits)
    middle = len(high) // 2
    reach = _reach(high, middle, raw_bits)
    first, last = middle - reach, middle + reach + (1 if raw_bits == 0 else 0)
    inside = high[first:last]
    probabilities = np.append(inside, max(1.0 - inside.sum(), 0.0))
    return Table(integer_frequencies(probabilities, 1 << PRECISION), -reach, raw_bits)


def _mirror(raw_bits: int) -> np.ndarray:
    """Index of the symbol that a table treats like symbol i - 32768: -n, or -n - 1 where high parts are floors."""
    n = np.arange(-32768, 32768)
    return np.clip((-n if raw_bits == 0 else -n - 1) + 32768, 0, 65535)


def _assumed_shape(deviation: float) -> np.ndarray:
    """Probabilities of symbols: a normal distribution with a little of a Laplacian's tails."""
    n = np.arange(-32768, 32768)
    edges = np.append(n - 0.5, 32767.5)
    erf = np.vectorize(math.erf, otypes=[float])
    near = np.clip(edges / (deviation * math.sqrt(2)), -9, 9)
    inner = np.abs(near) < 9
    cumulative = np.where(near > 0, 1.0, 0.0)
    cumulative[inner] = 0.5 + 0.5 * erf(near[inner])
    normal = np.diff(cumulative)
    rate = math.sqrt(2) / max(deviation, 0.2)
    laplace = np.exp(-rate * np.abs(n))
    return 0.98 * normal + 0.02 * laplace / laplace.sum()


def _by_high_part(mass: np.ndarray, raw_bits: int) -> np.ndarray:
    return mass.reshape(-1, 1 << raw_bits).sum(1)


def _reach(high: np.ndarray, middle: int, raw_bits: int) -> int:
    """How far from 0 a table goes: while an entry is worth half a frequency, and room remains."""
    largest = (ENTRIES - 2) // 2
    worth = np.nonzero(high[middle + 1 : middle + 1 + largest] >= 0.5 / (1 << PRECISION))[0]
    return max(1, int(worth[-1]) + 1 if len(worth) else 1) + (1 if raw_bits else 0)


def integer_frequencies(probabilities: np.ndarray, total: int) -> np.ndarray:
    """Integers of at least 1 and sum `total` that code symbols of these probabilities in the fewest bits."""
    probabilities = np.maximum(probabilities, 1e-12)
    frequency = np.maximum(1, np.floor(probabilities / probabilities.sum() * total)).astype(int)
    while (missing := total - int(frequency.sum())) != 0:
        if missing > 0:
            gain = probabilities * np.log((frequency + 1) / frequency)
            frequency[np.argmax(gain)] += 1
        else:
            loss = np.where(frequency > 1, probabilities * np.log(frequency / np.maximum(frequency - 1, 1)), np.inf)
            frequency[np.argmin(loss)] -= 1
    return frequency


@dataclass
class Counts:
    """Histograms of symbols by table."""

    symbols: dict[int, np.ndarray] = field(default_factory=dict)

    def add(self, indices: np.ndarray, symbols: np.ndarray) -> None:
        flat = indices.astype(np.int64).ravel() * 65536 + symbols.astype(np.int64).ravel() + 32768
        values, counts = np.unique(flat, return_counts=True)
        for index in np.unique(values >> 16):
            mine = values >> 16 == index
            table = self.symbols.setdefault(int(index), np.zeros(65536))
            table[values[mine] & 65535] += counts[mine]


def code_lengths(table: Table, symbols: np.ndarray) -> np.ndarray:
    """Bits that each of the symbols costs."""
    if len(table.frequency) == 0:
        return np.zeros(symbols.shape)
    lengths = PRECISION - np.log2(table.frequency)
    high = (symbols >> table.raw_bits) - table.minimum
    inside = (high >= 0) & (high < len(lengths) - 1)
    return np.where(inside, lengths[np.where(inside, high, 0)] + table.raw_bits, lengths[-1] + 16)
