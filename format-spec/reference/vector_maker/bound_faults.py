"""Model files that break one bound of 3.8 or one rule for tables of 3.9, with a hash that is right.

Each function yields (name, about, clause, model's file, bytes).
"""

import numpy as np
from graph_faults import changed_model, with_field
from small_models import EDGE, SMALL


def bound_faults():
    yield from _bounds()
    yield from _tables()


def _bounds():
    def bound(name, about, change, model=SMALL):
        return changed_model(model, name, about, "3.8", change)

    def more_bias(graph, tensors):
        bias = tensors[graph["synthesis"][1]["first"]["bias"]]
        bias[0] += 1 if bias[0] > 0 else -1

    yield bound("conv-overflow", "An accumulator that can reach 2^31: a bias is 1 larger than it may be", more_bias, EDGE)

    def set_item(name, index, value):
        def change(_, tensors):
            tensors[name][index] = value

        return change

    row = (1 << 31) - 1
    yield bound("row-overflow", "A row that can leave 32 bits", set_item("s0", (57, 3), row))
    yield bound("row-overflow-negative", "A row of -2^31", set_item("s0", (57, 3), -(1 << 31)))
    yield bound("latent-step-0", "A step of 0", set_item("latent.step", (99, 31), 0))
    yield bound("latent-step-65536", "A step of 65536", set_item("latent.step", (0, 0), 65536))
    yield bound("hyper-step-negative", "A step of -1", set_item("hyper.step", (99, 7), -1))

    def hyper_offset(_, tensors):
        tensors["hyper.step"][0, 0] = 65000
        tensors["hyper.offset"][0, 0] = (1 << 31) - 32768 * 65000 - 8

    yield bound("hyper-overflow", "A hyper latent that can reach 2^31", hyper_offset)
    yield bound("deviation-overflow", "A table index that can leave 32 bits", set_item("latent.offset", (4, 5), (1 << 31) - 4000))

    def output_overflow(_, tensors):
        tensors["head.bias"][1] = (1 << 31) - 1 - (1 << 13) - 32767 * int(np.abs(tensors["head.output"][1].astype(int)).sum()) + 1

    yield bound("output-overflow", "A sample's accumulator that can reach 2^31", output_overflow)
    yield with_field("mean-limit", "A limit of the mean above that of latents", ["prior", 2, "mean", "limit"], 18001, "3.8")
    yield with_field("analysis-limit", "A limit of the analysis output that is not that of latents", ["analysis", -1, "limit"], 17999, "3.8")
    yield with_field("synthesis-limit", "A limit of P that is not the head's", ["synthesis", -1, "limit"], 19999, "3.8")


def _tables():
    def table(name, about, change, clause="3.9"):
        return changed_model(SMALL, name, about, clause, change)

    def replaced(name, index, value):
        def change(_, tensors):
            tensors[f"tables.{name}"][index] = value

        return change

    yield table("table-start-1", "The first table begins at 1", replaced("start", 0, 1))
    yield table("table-start-decreases", "A table that ends before it begins", replaced("start", 3, 0))
    yield table("table-of-1", "A table of one frequency", replaced("start", 1, 1))
    yield table("frequency-0", "A frequency of 0, in a table of the right sum", _frequency_zero)
    yield table("frequency-sum", "A table whose sum is one too small", _frequency_sum)
    yield table("precision-15", "15 bits of precision", lambda graph, _: graph["tables"].update(precision=15))
    yield table("precision-11", "11 bits of precision", lambda graph, _: graph["tables"].update(precision=11))
    yield table("raw-bits-13", "13 raw bits", replaced("rawBits", 1, 13))
    yield table("raw-bits-negative", "-1 raw bits", replaced("rawBits", 1, -1))
    yield table("symbol-32768", "A table that can yield 32768", replaced("minimum", 1, 32767))
    yield table("symbol-below", "A table that can yield less than -32768", replaced("minimum", -1, -32768))

    def replaced_hyper(value):
        def change(_, tensors):
            tensors["hyper.table"][50, 2] = value

        return change

    def second_dimension(name):
        def change(_, tensors):
            tensors[f"tables.{name}"] = tensors[f"tables.{name}"][:, None]

        return change

    yield table("hyper-table", "A hyper latent's table that is not there", replaced_hyper(14))

    yield table("hyper-table-negative", "A hyper latent's table of -1", replaced_hyper(-1))
    for name in ("start", "frequency"):
        yield table(f"table-{name}-of-2-dimensions", f"tables.{name} with a second dimension of 1", second_dimension(name))

    def no_table(_, tensors):
        tensors["tables.start"] = np.zeros(1, "<i4")
        for name, kind in (("frequency", "<i2"), ("minimum", "<i2"), ("rawBits", "<i2")):
            tensors[f"tables.{name}"] = np.zeros(0, kind)

    yield table("no-table", "No table at all", no_table)

    def many_tables(_, tensors):
        more = 257 - len(tensors["tables.minimum"])
        start = tensors["tables.start"]
        tensors["tables.start"] = np.concatenate([start, np.full(more, start[-1], "<i4")])
        for name in ("minimum", "rawBits"):
            tensors[f"tables.{name}"] = np.concatenate([tensors[f"tables.{name}"], np.zeros(more, "<i2")])

    yield table("257-tables", "257 tables", many_tables)

    def long_table(_, tensors):
        tensors["tables.start"] = np.array([0, 1025], "<i4")
        tensors["tables.frequency"] = np.array([1] * 1024 + [(1 << 14) - 1024], "<i2")
        tensors["tables.minimum"], tensors["tables.rawBits"] = np.array([-500], "<i2"), np.zeros(1, "<i2")
        tensors["hyper.table"][:] = 0

    yield table("1025-frequencies", "A table of 1025 frequencies", long_table)


def _frequency_zero(_, tensors):
    frequency = tensors["tables.frequency"]
    frequency[1] += frequency[0]
    frequency[0] = 0


def _frequency_sum(_, tensors):
    tensors["tables.frequency"][1] -= 1
