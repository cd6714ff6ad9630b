"""Model files (specification 3.2): reading, writing, and an exact simulation of the integers, for the exporter's own checks.

Activations are int32 tensors (1, channels, rows, columns). Convolutions run in float32 and yet are exact: see `_exact_conv`.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from layers import HYPER_STRIDE, shuffle, unshuffle
from network import coding_masks

Tensors = dict[str, np.ndarray]
"""Name to tensor, int16 or int32."""


@dataclass
class IntegerModel:
    """A model file: its name, the graph of 3.2 and its tensors."""

    name: str
    graph: dict[str, Any]
    tensors: Tensors

    def __post_init__(self) -> None:
        self._float_weights: dict[str, Tensor] = {}

    # --- files ---

    def to_bytes(self) -> bytes:
        """The bytes of a model file. Equal models give equal bytes."""
        header: dict[str, Any] = {}
        offset = 0
        for name, blob in self._blobs():
            array = self.tensors[name]
            dtype = {np.dtype(np.int16): "I16", np.dtype(np.int32): "I32"}[array.dtype]
            header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [offset, offset + len(blob)]}
            offset += len(blob)
        data = b"".join(blob for _, blob in self._blobs())
        metadata = {
            "format": "liif-model",
            "version": "1",
            "name": self.name,
            "graph": self._graph_text(),
            "hash": self.hash(),
        }
        text = json.dumps({"__metadata__": metadata, **header}, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 8)
        return len(text).to_bytes(8, "little") + text + data

    def hash(self) -> str:
        """The hash by which files name the model (3.2), in hexadecimal."""
        digest = hashlib.sha256(self._graph_text().encode())
        for _, blob in self._blobs():
            digest.update(blob)
        return digest.hexdigest()

    def _graph_text(self) -> str:
        return json.dumps(self.graph, separators=(",", ":"))

    def _blobs(self) -> Iterator[tuple[str, bytes]]:
        for name in sorted(self.tensors, key=lambda n: n.encode()):
            array = self.tensors[name]
            yield name, array.astype(array.dtype.newbyteorder("<")).tobytes()

    @staticmethod
    def from_bytes(data: bytes) -> IntegerModel:
        size = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + size])
        metadata = header.pop("__metadata__")
        digest = hashlib.sha256(metadata["graph"].encode() + data[8 + size :]).hexdigest()
        if digest != metadata["hash"]:
            raise ValueError(f"the model's hash is {digest}, not {metadata['hash']} as it says")
        tensors = {}
        for name, entry in header.items():
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            dtype = {"I16": np.int16, "I32": np.int32}[entry["dtype"]]
            values = np.frombuffer(data[begin:end], np.dtype(dtype).newbyteorder("<")).astype(dtype)
            tensors[name] = values.reshape(entry["shape"])
        return IntegerModel(metadata["name"], json.loads(metadata["graph"]), tensors)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file atomically."""
        partial = Path(f"{path}.partial")
        partial.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(self.to_bytes())
        partial.replace(path)

    # --- layers, 3.3 ---

    def run(self, layers: list[dict[str, Any]], x: Tensor, quality: int) -> Tensor:
        for layer in layers:
            op = layer["op"]
            if op == "conv":
                x = self.conv(layer, x, quality)
            elif op == "residual":
                branch = self.conv(layer["second"], self.conv(layer["first"], x, quality), quality)
                x = _clamp(x + branch, layer["limit"])
            elif op == "row":
                x = _clamp(x + self._row(layer["row"], quality), layer["limit"])
            elif op == "shuffle":
                x = shuffle(x, layer["factor"])
            elif op == "unshuffle":
                x = unshuffle(x, layer["factor"])
            else:
                raise ValueError(f"unknown layer {op!r}")
        return x

    def conv(self, layer: dict[str, Any], x: Tensor, quality: int) -> Tensor:
        bias = self.tensors[layer["bias"]]
        row = bias[quality - 1] if bias.ndim == 2 else bias
        weight = self._float_weights.get(layer["weight"])
        if weight is None:
            weight = torch.from_numpy(self.tensors[layer["weight"]].transpose(0, 3, 1, 2).astype(np.float32))
            self._float_weights[layer["weight"]] = weight
        accumulator = _exact_conv(x, weight) + torch.from_numpy(row)[None, :, None, None]
        value = _clamp(round_shift(accumulator, layer["shift"]), layer["limit"])
        return torch.maximum(value, value >> 3) if layer["leaky"] else value

    def _row(self, name: str, quality: int) -> Tensor:
        return torch.from_numpy(self.tensors[name][quality - 1])[None, :, None, None]

    # --- pictures and latents, 3.4 to 3.6 ---

    def analyze(self, pixels: np.ndarray, quality: int) -> Tensor:
        """uint8 (rows, columns, 3), rows and columns multiples of 16 -> the analysis output (1, Cy, rows/16, columns/16)."""
        shift = self.graph["imageShift"]
        samples = torch.from_numpy(pixels.astype(np.int32) * 257).permute(2, 0, 1)[None]
        return self.run(self.graph["analysis"], round_shift(2 * samples - 65535, shift), quality)

    def code(self, y: Tensor, quality: int) -> Coded:
        """Analysis output (1, Cy, h, w) of one chunk -> the symbols that an encoder writes and the latents that a decoder reads."""
        g = self.graph
        hyper, latent = g["hyper"], g["latent"]
        rows, columns = y.shape[2:]
        padded = F.pad(y, (0, -columns % HYPER_STRIDE, 0, -rows % HYPER_STRIDE))

        table_count = len(self.tensors[g["tables"]["start"]]) - 1
        empty = torch.from_numpy(np.diff(self.tensors[g["tables"]["start"]]) == 0)

        z = self.run(g["hyperAnalysis"], padded, quality)
        bits, step, offset = hyper["stepBits"], self._row(hyper["step"], quality), self._row(hyper["offset"], quality)
        hyper_symbols = _nearest((z.long() << bits) - offset, step)
        hyper_symbols[empty[self._row(hyper["table"], quality).long()].expand_as(z)] = 0
        z = _clamp(round_shift(hyper_symbols * step + offset, bits), hyper["limit"])
        h = self.run(g["hyperSynthesis"], z, quality)[:, :, :rows, :columns]

        bits, step = latent["stepBits"], self._row(latent["step"], quality)
        offset = self._row(latent["deviationOffset"], quality)
        decoded = torch.zeros_like(y)
        symbols, indices = torch.zeros_like(y), torch.zeros_like(y)
        for t, mask in enumerate(m.bool() for m in coding_masks(*y.shape[1:])):
            trunk = self.run(g["prior"][t]["trunk"], torch.cat([h, decoded], 1) if t else h, quality)
            mean = self.conv(g["prior"][t]["mean"], trunk, quality)
            deviation = self.conv(g["prior"][t]["deviation"], trunk, quality)
            index = ((deviation + offset) >> latent["deviationShift"]).clamp(0, table_count - 1)
            symbol = _nearest((y - mean).long() << bits, step)
            symbol[empty[index.long()]] = 0
            value = _clamp(mean + round_shift(symbol * step, bits), latent["limit"])
            decoded = torch.where(mask, value, decoded)
            symbols = torch.where(mask, symbol, symbols)
            indices = torch.where(mask, index, indices)
        return Coded(hyper_symbols, symbols, indices, decoded)

    # --- head at native scale, chapter 4 ---

    def render(self, latents: Tensor, quality: int) -> np.ndarray:
        """Dequantized latents (1, Cy, h, w) -> uint8 (16*h, 16*w, 3)."""
        head = self.graph["head"]
        names = {key: value for key, value in head.items() if isinstance(value, str)}
        tensors = {key: torch.from_numpy(self.tensors[name].astype(np.int32)) for key, name in names.items()}
        p = self.run(self.graph["synthesis"], latents, quality)
        cell = (tensors["cellRowWeight"] + tensors["cellColumnWeight"]) << 12
        cell = _saturate(round_shift(cell, head["cellShift"]))
        hidden = _saturate(p + cell[None, :, None, None]).clamp_min(0)
        accumulator = _exact_conv(hidden, tensors["outputWeight"].float()[:, :, None, None])
        accumulator = accumulator + tensors["outputBias"][None, :, None, None]
        samples = round_shift(accumulator, head["outputShift"]).clamp(0, 255)
        return samples[0].permute(1, 2, 0).numpy().astype(np.uint8)


@dataclass
class Coded:
    """One chunk. `hyper_symbols` (1, Cz, h/4, w/4); symbols of y, their table indices and dequantized latents (1, Cy, h, w)."""

    hyper_symbols: Tensor
    symbols: Tensor
    indices: Tensor
    latents: Tensor


def round_shift(v: Tensor, shift: int) -> Tensor:
    return (v + (1 << (shift - 1))) >> shift if shift else v


def _clamp(v: Tensor, limit: int) -> Tensor:
    return v.clamp(-limit, limit)


def _saturate(v: Tensor) -> Tensor:
    return v.clamp(-32768, 32767)


def _nearest(difference: Tensor, step: Tensor) -> Tensor:
    """The nearest int16 symbol to a difference in 2^-stepBits units, ties away from zero."""
    magnitude = torch.div(2 * difference.abs() + step, 2 * step, rounding_mode="floor")
    return torch.where(difference < 0, -magnitude, magnitude).clamp(-32768, 32767).int()


def _exact_conv(x: Tensor, weight: Tensor) -> Tensor:
    """Convolution of integers, int32 in and out; `weight` holds integers as float32.

    x is split into digits of few bits. The sums of a digit stay below 2^24, so float32 adds them exactly in any order.
    """
    padding = weight.shape[2] // 2
    largest = max(1, int(x.abs().max()))
    weight_sum = max(1, int(weight.abs().double().sum((1, 2, 3)).max()))
    digit_bits = min(15, int(math.log2((2**24 - 1) / weight_sum)) + 1)
    if digit_bits < 2:
        raise ValueError(f"weights that add up to {weight_sum} are beyond exact float32 arithmetic")
    half, result, power = 1 << (digit_bits - 1), 0, 0
    if largest * weight_sum < 2**24:
        return F.conv2d(x.float(), weight, padding=padding).int()
    while True:
        rest = (x + half) >> digit_bits
        digit = x - (rest << digit_bits)
        result = result + (F.conv2d(digit.float(), weight, padding=padding).int() << power)
        power += digit_bits
        largest = (largest + half) >> digit_bits
        if largest == 0:
            return result
        if largest * weight_sum < 2**24:
            return result + (F.conv2d(rest.float(), weight, padding=padding).int() << power)
        x = rest
