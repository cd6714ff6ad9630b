"""Chapter 2: Entropy coding. One chunk's bytes to symbols.

Quotes are from format-spec/2-entropy.md.
"""

import struct
from bisect import bisect_right

from errors import check

LOW = 1 << 16  # "Between operations each state is in 2^16 .. 2^32-1."


class SymbolReader:
    """Four interleaved rANS decoders over the words of one chunk (2.1, 2.2)."""

    def __init__(self, data, symbol_count, precision, at):
        """`at`: where the chunk lies in the file, for errors."""
        self.at = at
        # "The length of a chunk is even and at least 16 bytes."
        check(len(data) % 2 == 0 and len(data) >= 16, "2.1", "chunk", self.at, f"a chunk of {len(data)} bytes")
        # "A chunk has at most 16 + 8*n bytes, where n is the number of symbols of the chunk"
        check(len(data) <= 16 + 8 * symbol_count, "2.1", "chunk", self.at, f"a chunk of {len(data)} bytes for {symbol_count} symbols")
        # "A chunk has four states of 32 bits, then words of 16 bits, all little-endian."
        self.states = list(struct.unpack_from("<4I", data))
        self.words = struct.unpack_from(f"<{len(data) // 2 - 8}H", data, 16)
        self.position = 0
        self.precision = precision
        # "A chunk with a state outside of this range at its start is invalid."
        check(min(self.states) >= LOW, "2.2", "chunk", self.at, "an initial state below 2^16")

    def _renormalize(self, which, x):
        # "if x < 2^16: x = (x << 16) | next word"
        if x < LOW:
            # "that needs a word beyond its end"
            check(self.position < len(self.words), "2.2", "chunk", self.at, "the chunk's words are used up before its symbols")
            x = (x << 16) | self.words[self.position]
            self.position += 1
        self.states[which] = x

    def raw(self, which, bits):
        x = self.states[which]
        self._renormalize(which, x >> bits)
        return x & ((1 << bits) - 1)

    def symbol(self, channel, table):
        """2.3: the symbol of a channel, coded with a table of the model."""
        # "the table is empty (F = 0)"
        if table.empty:
            return 0
        # "a symbol of channel c uses state c mod 4, raw bits included"
        which = channel & 3
        x = self.states[which]
        slot = x & ((1 << self.precision) - 1)
        k = bisect_right(table.cumulative, slot) - 1  # "the index with C[k] <= slot < C[k+1]"
        self._renormalize(which, table.frequency[k] * (x >> self.precision) + slot - table.cumulative[k])
        if k == table.bypass:
            # "v as a two's complement number of 16 bits"
            v = self.raw(which, 16)
            return v - 65536 if v >= 32768 else v
        # "if b > 0, decode b raw bits v; otherwise v = 0 | (m + k)*2^b + v"
        high = table.minimum + k
        return (high << table.raw_bits) + self.raw(which, table.raw_bits) if table.raw_bits else high

    def finish(self):
        # "that has words left after the last symbol" "with a final state other than 2^16"
        check(self.position == len(self.words), "2.2", "chunk", self.at, f"{len(self.words) - self.position} words are left after the last symbol")
        check(all(x == LOW for x in self.states), "2.2", "chunk", self.at, "a final state is not 2^16")
