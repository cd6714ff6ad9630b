"""Float layers to integers: scales, weights, biases, and the proof that no accumulator can overflow (3.8).

An activation's integer is its real value times the scale of its site and channel. Each channel has a scale of its own, so
that all channels fill their range alike: the bound of a convolution, sum |weight| * limit, then leaves room for larger
weights. The network stays the same function; scales are part of the weights that a decoder sees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from integer_model import IntegerModel, Tensors
from layers import (
    CONTEXT,
    HEAD,
    HYPER,
    LATENT,
    PICTURE,
    QUALITIES,
    FloatConv,
    FloatLayer,
    FloatModel,
    FloatPriorStep,
    FloatResidual,
    FloatRow,
    Shuffle,
)
from tables import PRECISION, TABLES_PER_OCTAVE, Tables, latent_table

ACCUMULATOR = 2**31
LARGEST_INT16 = 32767
INNER_LIMIT = 8191
"""Limit of activations inside the network: 14 bits with the sign. The 31 bits of an accumulator are then shared about evenly
between the error of rounded activations and the error of rounded weights."""
MARGIN = 1.5
"""Room above the largest activation seen."""
EVENING = 4.0
"""Largest ratio between the scales of a site's channels: weak channels are not scaled up further."""
IMAGE_SHIFT = 3
DEVIATION_SHIFT = 7
STEPS_OF_ROOM = 4
"""A latent's range is at least this many of its largest steps. Otherwise a single step could leave 16 bits."""
CELL_BITS = 12
"""Fraction bits of a cell (specification 4.2)."""

Ranges = dict[str, np.ndarray]
"""By site: the largest magnitude of each channel."""


class ExportError(Exception):
    """The network cannot be expressed in integers."""


@dataclass(frozen=True)
class Scale:
    """The integers of a site: value * factors[channel], rounded, within -limit .. limit. `factors` is (channels,)."""

    factors: np.ndarray
    limit: int

    @property
    def limits(self) -> np.ndarray:
        return np.full(len(self.factors), self.limit, np.int64)

    @property
    def exponent(self) -> int:
        """log2 of the smallest factor, rounded down. Information for readers of the model."""
        return math.floor(math.log2(self.factors.min()))


class Quantizer:
    """Collects the tensors and the graph of one model."""

    def __init__(self, model: FloatModel, ranges: Ranges) -> None:
        self.model = model
        self.tensors: Tensors = {}
        ranges = dict(ranges)
        for site, step in ((LATENT, model.latent_step), (HYPER, model.hyper_step)):
            ranges[site] = np.maximum(ranges[site], step.max(0) * STEPS_OF_ROOM)
        self.scales = {site: self._scale(site, values) for site, values in ranges.items()}
        self.scales[PICTURE] = Scale(np.full(3, 2 * 65535 / 2**IMAGE_SHIFT), 1 << (16 - IMAGE_SHIFT))

    @staticmethod
    def _scale(site: str, largest: np.ndarray) -> Scale:
        limit = LARGEST_INT16 if site in (LATENT, HYPER, HEAD) else INNER_LIMIT
        strongest = max(float(largest.max()), 1e-6)
        room = np.maximum(largest, strongest / EVENING) * MARGIN
        # In 16ths of an octave, so that another processor's last bits rarely change a model.
        return Scale(limit / 2 ** (np.ceil(np.log2(room) * 16) / 16), limit)

    def build(self, name: str, tables: Tables, provenance: dict[str, Any]) -> IntegerModel:
        model = self.model
        latents, hyper = self.scales[LATENT], self.scales[HYPER]
        graph = {
            "qualities": QUALITIES,
            "latentStride": 16,
            "hyperStride": 4,
            "latentChannels": len(latents.factors),
            "hyperChannels": len(hyper.factors),
            "imageShift": IMAGE_SHIFT,
            "analysis": self._layers(model.analysis, PICTURE),
            "hyperAnalysis": self._layers(model.hyper_analysis, LATENT),
            "hyperSynthesis": self._layers(model.hyper_synthesis, HYPER),
            "prior": [self._prior_step(t, step) for t, step in enumerate(model.prior)],
            "synthesis": self._layers(model.synthesis, LATENT),
            "latent": self._latent(),
            "hyper": self._hyper(),
            "tables": self._tables(tables),
            "head": self._head(),
            **provenance,
        }
        return IntegerModel(name, graph, self.tensors)

    # --- layers ---

    def _layers(self, layers: Sequence[FloatLayer], site: str) -> list[dict[str, Any]]:
        result = []
        scale = self.scales[site]
        copies = 1  # channels of the site's scale repeat after an unshuffle
        for i, layer in enumerate(layers):
            if isinstance(layer, FloatConv):
                following = layers[i + 1] if i + 1 < len(layers) else None
                spread = following.factor**2 if isinstance(following, Shuffle) else 1
                target = self.scales[layer.site]
                inputs = np.tile(scale.factors, copies)
                result.append(self._conv(layer, inputs, np.tile(scale.limits, copies), target, spread))
                scale, copies = target, 1
            elif isinstance(layer, FloatResidual):
                inner = self.scales[layer.first.site]
                first = self._conv(layer.first, scale.factors, scale.limits, inner)
                second = self._conv(layer.second, inner.factors, inner.limits, scale)
                result.append({"op": "residual", "first": first, "second": second, "limit": scale.limit})
            elif isinstance(layer, FloatRow):
                name = self._int32(layer.name, layer.row * scale.factors)
                prove(layer.name, np.abs(self.tensors[name]).max(0).astype(np.int64) + scale.limits)
                result.append({"op": "row", "row": name, "limit": scale.limit, "exponent": scale.exponent})
            elif isinstance(layer, Shuffle):
                result.append({"op": "shuffle", "factor": layer.factor})
            else:
                copies = layer.factor**2
                result.append({"op": "unshuffle", "factor": layer.factor})
        return result

    def _prior_step(self, t: int, step: FloatPriorStep) -> dict[str, Any]:
        context, latents = self.scales[CONTEXT], self.scales[LATENT]
        first, *rest = step.trunk
        assert isinstance(first, FloatConv)
        sources = [context, latents] if t else [context]
        factors = np.concatenate([s.factors for s in sources])
        limits = np.concatenate([s.limits for s in sources])
        trunk = [self._conv(first, factors, limits, self.scales[first.site]), *self._layers(rest, first.site)]
        last = self.scales[step.trunk[-1].site]
        octave = float(TABLES_PER_OCTAVE << DEVIATION_SHIFT)
        deviation = Scale(np.full(step.deviation.outputs, octave), LARGEST_INT16)
        return {
            "trunk": trunk,
            "mean": self._conv(step.mean, last.factors, last.limits, latents),
            "deviation": self._conv(step.deviation, last.factors, last.limits, deviation),
        }

    def _conv(
        self, conv: FloatConv, input_factors: np.ndarray, input_limits: np.ndarray, target: Scale, spread: int = 1
    ) -> dict[str, Any]:
        """`spread`: how many outputs become one channel of the target when they are shuffled."""
        output_factors = np.tile(target.factors, spread)
        weight = conv.weight * output_factors[:, None, None, None] / input_factors
        bias = conv.bias * output_factors
        shift, weight, bias = fit_conv(conv.name, weight, bias, input_limits)
        return {
            "op": "conv",
            "kernel": conv.kernel,
            "inputs": weight.shape[3],
            "outputs": conv.outputs,
            "weight": self._int16(f"{conv.name}.weight", weight),
            "bias": self._int32(f"{conv.name}.bias", bias),
            "shift": shift,
            "limit": target.limit,
            "leaky": conv.leaky,
            "exponent": target.exponent,
        }

    # --- latents, 3.6 ---

    def _latent(self) -> dict[str, Any]:
        scale = self.scales[LATENT]
        bits, step = fit_steps("latent.step", self.model.latent_step * scale.factors, np.zeros(1))
        octaves = self.model.latent_deviation - np.log2(self.model.latent_step)
        offset = table_offset(octaves)
        prove("latent.deviationOffset", np.abs(offset).max(0) + LARGEST_INT16)
        return {
            "limit": scale.limit,
            "stepBits": bits,
            "step": self._int32("latent.step", step),
            "deviationShift": DEVIATION_SHIFT,
            "deviationOffset": self._int32("latent.deviationOffset", offset),
            "exponent": scale.exponent,
        }

    def _hyper(self) -> dict[str, Any]:
        scale = self.scales[HYPER]
        mean = self.model.hyper_mean * scale.factors
        bits, step = fit_steps("hyper.step", self.model.hyper_step * scale.factors, mean)
        return {
            "limit": scale.limit,
            "stepBits": bits,
            "step": self._int32("hyper.step", step),
            "offset": self._int32("hyper.offset", mean * 2.0**bits),
            "table": "hyper.table",
            "exponent": scale.exponent,
        }

    def _tables(self, tables: Tables) -> dict[str, Any]:
        set_tables(self.tensors, tables)
        names = {key: f"tables.{key}" for key in ("start", "frequency", "minimum", "rawBits")}
        return {"precision": PRECISION, **names}

    # --- head, chapter 4 ---

    def _head(self) -> dict[str, Any]:
        scale = self.scales[HEAD]
        query = self.model.query * scale.factors[:, None]
        largest_cell = np.abs(query[:, 2:]).max() / 2**CELL_BITS
        cell_shift = min(24, math.floor(math.log2(LARGEST_INT16 / max(largest_cell, 1e-9))))
        cell = np.rint(query[:, 2:] * 2.0 ** (cell_shift - CELL_BITS))
        prove("head.cell", np.abs(cell).sum(1) * 2**14 + 2 ** (cell_shift - 1))

        weight = self.model.output_weight * 255 / scale.factors
        bias = (self.model.output_bias + 0.5) * 255
        limits = np.full(weight.shape[1], LARGEST_INT16, np.int64)
        shift, weight, bias = fit_conv("head.output", weight[:, None, None, :], bias, limits)
        if not 9 <= shift <= 30:
            raise ExportError(f"head.output: shift {shift} is outside 9..30")
        return {
            "hidden": len(query),
            "limit": scale.limit,
            "rowWeight": self._int16("head.rowWeight", np.rint(query[:, 0])),
            "columnWeight": self._int16("head.columnWeight", np.rint(query[:, 1])),
            "cellRowWeight": self._int16("head.cellRowWeight", cell[:, 0]),
            "cellColumnWeight": self._int16("head.cellColumnWeight", cell[:, 1]),
            "cellShift": cell_shift,
            "outputWeight": self._int16("head.outputWeight", weight[:, 0, 0]),
            "outputBias": self._int32("head.outputBias", bias),
            "outputShift": shift,
            "exponent": scale.exponent,
        }

    # --- tensors ---

    def _int16(self, name: str, values: np.ndarray) -> str:
        return self._store(name, values, np.int16)

    def _int32(self, name: str, values: np.ndarray) -> str:
        return self._store(name, values, np.int32)

    def _store(self, name: str, values: np.ndarray, dtype: type) -> str:
        rounded = np.rint(values)
        bounds = np.iinfo(dtype)
        if rounded.min() < bounds.min or rounded.max() > bounds.max:
            raise ExportError(f"{name}: {np.abs(rounded).max():.0f} does not fit {bounds.dtype}")
        if name in self.tensors:
            raise ExportError(f"{name} is named twice")
        self.tensors[name] = rounded.astype(dtype)
        return name


def set_tables(tensors: Tensors, tables: Tables) -> None:
    """Puts tables into the tensors of a model, or replaces them."""
    sizes = [len(table.frequency) for table in tables.tables]
    tensors["tables.start"] = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    tensors["tables.frequency"] = np.concatenate([table.frequency for table in tables.tables]).astype(np.int16)
    tensors["tables.minimum"] = np.array([table.minimum for table in tables.tables], np.int16)
    tensors["tables.rawBits"] = np.array([table.raw_bits for table in tables.tables], np.int16)
    tensors["hyper.table"] = tables.hyper_index.astype(np.int16)


def prove(name: str, bounds: np.ndarray) -> None:
    """Raises ExportError where an accumulator could reach 2^31."""
    worst = int(bounds.max())
    if worst >= ACCUMULATOR:
        raise ExportError(f"{name}: an accumulator can reach {worst}, beyond 2^31 - 1")


def conv_bounds(weight: np.ndarray, bias: np.ndarray, shift: int, input_limits: np.ndarray) -> np.ndarray:
    """3.8 for each output, exactly."""
    weights = np.abs(weight.astype(np.int64)).sum((1, 2))  # [outputs][inputs]
    biases = np.abs(bias.astype(np.int64))
    largest_bias = biases.max(0) if bias.ndim == 2 else biases
    return largest_bias + weights @ input_limits.astype(np.int64) + ((1 << shift) >> 1)


def fit_conv(
    name: str, weight: np.ndarray, bias: np.ndarray, input_limits: np.ndarray
) -> tuple[int, np.ndarray, np.ndarray]:
    """The largest shift with which weight and bias fit: -> shift, rounded weight * 2^shift, rounded bias * 2^shift."""
    for shift in range(30, -1, -1):
        integers, biases = np.rint(weight * 2.0**shift), np.rint(bias * 2.0**shift)
        if np.abs(integers).max() > LARGEST_INT16 or np.abs(biases).max() >= ACCUMULATOR:
            continue
        if conv_bounds(integers, biases, shift, input_limits).max() < ACCUMULATOR:
            return shift, integers, biases
    raise ExportError(f"{name}: no shift keeps its accumulators within 32 bits")


def fit_steps(name: str, step: np.ndarray, offset: np.ndarray) -> tuple[int, np.ndarray]:
    """The most fraction bits with which 32768 steps and an offset fit: -> stepBits, rounded step * 2^stepBits."""
    for bits in range(24, 0, -1):
        integers = np.rint(step * 2.0**bits)
        bound = 32768 * int(integers.max()) + int(np.abs(np.rint(offset * 2.0**bits)).max()) + (1 << (bits - 1))
        if bound < ACCUMULATOR:
            if integers.min() < 1:
                raise ExportError(f"{name}: steps differ too much, the least becomes 0")
            return bits, integers
    raise ExportError(f"{name}: no fraction bits keep a symbol within 32 bits")


def table_offset(octaves: np.ndarray) -> np.ndarray:
    """Offset of log2 deviations whose shift by DEVIATION_SHIFT is the index of the nearest table."""
    return np.rint((latent_table(octaves) + 0.5) * 2**DEVIATION_SHIFT)
