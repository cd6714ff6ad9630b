"""The other direction of the entropy coder (specification 2.2, "An encoder"): symbols to a chunk's bytes.

The symbols come from a function, not from a picture, so that a test reaches what no picture does: bypass, extremes, all tables.
"""

import struct

import numpy as np
from entropy import LOW
from networks import chunk_latents


def write_chunk(model, quality, h, w, choose):
    """(bytes, latents) of a chunk. `choose(channel, table, mean)` gives the symbol, or a pair (symbol, True) to force the bypass."""
    writer = SymbolWriter(model.precision)

    def next_symbol(channel, table, mean):
        chosen = choose(channel, table, mean)
        n, forced = chosen if isinstance(chosen, tuple) else (chosen, False)
        writer.symbol(channel, table, n, forced)
        return n

    latents = chunk_latents(model, quality, h, w, next_symbol)
    return writer.finish(), latents


class SymbolWriter:
    """Keeps the operations of a decoder in order, then goes through them backwards."""

    def __init__(self, precision):
        self.precision = precision
        self.operations = []  # (state, start, frequency, None) of a table symbol, (state, value, None, bits) of raw bits

    def symbol(self, channel, table, n, force_bypass=False):
        if table.empty:
            assert n == 0, "an empty table codes nothing but 0"
            return
        which = channel & 3
        k = (n >> table.raw_bits) - table.minimum
        if force_bypass or not 0 <= k < table.bypass:
            self.operations.append((which, table.cumulative[table.bypass], table.frequency[table.bypass], None))
            self.operations.append((which, n & 0xFFFF, None, 16))
            return
        self.operations.append((which, table.cumulative[k], table.frequency[k], None))
        if table.raw_bits:
            self.operations.append((which, n & ((1 << table.raw_bits) - 1), None, table.raw_bits))

    def finish(self, final=(LOW,) * 4, begin_low=False):
        """The chunk. `final` are the states that a decoder ends with: those of a valid chunk are 2^16. With `begin_low` one state begins below
        2^16, by a word that is written too early, and comes into range with its first symbol.
        """
        states = list(final)
        firsts = {operation[0]: i for i, operation in reversed(list(enumerate(self.operations)))}
        words = []
        for i, (which, value, frequency, bits) in reversed(list(enumerate(self.operations))):
            x = states[which]
            limit = frequency << (32 - self.precision) if bits is None else 1 << (32 - bits)
            early = begin_low and i == firsts[which] and x < limit
            if early:
                begin_low = False
            if x >= limit or early:
                words.append(x & 0xFFFF)
                x >>= 16
            if bits is None:
                states[which] = (x // frequency << self.precision) + x % frequency + value
            else:
                states[which] = x << bits | value
        assert not begin_low
        words.reverse()
        return struct.pack("<4I", *states) + np.array(words, "<u2").tobytes()


def symbols_by_table(random, bypass=1 / 64, extreme=1 / 8):
    """A choice of symbols: by the table's own frequencies, now and then the bypass, and of those some at the ends of 16 bits."""

    def choose(_channel, table, _mean):
        if table.empty:
            return 0
        if random.random() < bypass:
            n = random.choice((-32768, 32767, -32767, 0)) if random.random() < extreme else random.randrange(-32768, 32768)
            return n, True
        slot = random.randrange(table.cumulative[-1])
        k = next(k for k, low in enumerate(table.cumulative[1:]) if slot < low)
        if k == table.bypass:
            return random.randrange(-2000, 2000), True
        return ((table.minimum + k) << table.raw_bits) + random.getrandbits(12) % (1 << table.raw_bits)

    return choose
