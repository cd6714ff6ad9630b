"""Turns a float checkpoint into an integer model file (specification, chapter 3).

    python3 export.py checkpoint.safetensors --calibrate pictures/ -o model.safetensors --report

The pictures decide three things: the range of every activation, and with it the scales; the frequencies of the CDF
tables; nothing else. The same inputs give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from integer_model import IntegerModel
from layers import (
    CONTEXT, HEAD, HYPER, LATENT, PICTURE, FloatModel, run, run_prior_step, to_layers,
)  # fmt: skip
from network import coding_masks, load_checkpoint
from pictures import PictureFile, centre_crop, choose, list_pictures, to_input
from quantize import ExportError, Quantizer, Ranges
from tables import Counts, Tables, code_lengths, fit_table, gaussian_tables

VERSION = "1"
RANGE_QUALITIES = (1, 25, 50, 75, 100)
REPORT_QUALITIES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class RangeObserver:
    """The largest magnitude that each channel of each site took."""

    def __init__(self) -> None:
        self.ranges: Ranges = {}

    def __call__(self, site: str, values: Tensor) -> None:
        largest = values.abs().amax((0, 2, 3)).double().numpy()
        self.ranges[site] = np.maximum(self.ranges.get(site, 0), largest)


def observe_ranges(model: FloatModel, inputs: list[Tensor], qualities: tuple[int, ...]) -> Ranges:
    """Runs the float layers as a decoder would, with rounded latents."""
    observer = RangeObserver()
    for n, picture in enumerate(inputs):
        for quality in qualities:
            observe_picture(model, picture, quality, observer)
        if (n + 1) % 8 == 0 or n + 1 == len(inputs):
            say(f"ranges: {n + 1} of {len(inputs)} pictures")
    query = np.abs(model.query)
    observer.ranges[HEAD] += query[:, :2].sum(1) + query[:, 2:].sum(1)
    return observer.ranges


def observe_picture(model: FloatModel, picture: Tensor, quality: int, observer: RangeObserver) -> None:
    def row(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values[quality - 1]).float()[:, None, None]

    y = run(model.analysis, picture, quality, PICTURE, observer)
    step, mean = row(model.hyper_step), row(model.hyper_mean)
    z = run(model.hyper_analysis, y, quality, LATENT, observer)
    z = torch.round((z - mean) / step) * step + mean
    observer(HYPER, z)
    h = run(model.hyper_synthesis, z, quality, HYPER, observer)
    decoded, step = torch.zeros_like(y), row(model.latent_step)
    for t, mask in enumerate(coding_masks(*y.shape[1:])):
        context = torch.cat([h, decoded], 1) if t else h
        mean, _ = run_prior_step(model.prior[t], context, quality, observer)
        decoded = decoded + mask * (torch.round((y - mean) / step) * step + mean)
    observer(LATENT, decoded)
    run(model.synthesis, decoded, quality, LATENT, observer)


def count_symbols(model: IntegerModel, crops: list[np.ndarray], qualities: list[list[int]]) -> tuple[Counts, Counts]:
    """Runs the exact integers on each crop at its qualities -> counts by latent table, counts by hyper table."""
    latents, hypers = Counts(), Counts()
    hyper_table = model.tensors["hyper.table"]
    for n, (pixels, chosen) in enumerate(zip(crops, qualities)):
        for quality in chosen:
            coded = model.code(model.analyze(pixels, quality), quality)
            latents.add(coded.indices.numpy(), coded.symbols.numpy())
            symbols = coded.hyper_symbols.numpy()
            hypers.add(np.broadcast_to(hyper_table[quality - 1][:, None, None], symbols.shape), symbols)
        if (n + 1) % 8 == 0 or n + 1 == len(crops):
            say(f"symbols: {n + 1} of {len(crops)} pictures")
    return latents, hypers


def estimate_bits(model: IntegerModel, tables: Tables, coded, quality: int) -> float:
    """Bits of a chunk by its tables, without the coder's 16 bytes of state."""
    bits = 0.0
    for indices, symbols in (
        (coded.indices.numpy(), coded.symbols.numpy()),
        (
            np.broadcast_to(tables.hyper_index[quality - 1][:, None, None], coded.hyper_symbols.shape),
            coded.hyper_symbols.numpy(),
        ),
    ):
        for index in np.unique(indices):
            bits += code_lengths(tables.tables[index], symbols[indices == index]).sum()
    return bits


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * math.log10(255**2 / max(np.square(a.astype(float) - b).mean(), 1e-9))


def report(network, model: IntegerModel, tables: Tables, crops: list[np.ndarray], qualities: tuple[int, ...]) -> str:
    lines = ["quality   float bpp      dB     integer bpp            dB"]
    for quality in qualities:
        rows = []
        s = torch.tensor([(quality - 1) / 99])
        for pixels in crops:
            picture = to_input(pixels)
            latents, float_bits = network.entropy(network.analyze(picture, s), s)
            shown = ((network.native(network.features(latents, s)) + 0.5) * 255).round().clamp(0, 255)
            coded = model.code(model.analyze(pixels, quality), quality)
            rows.append((
                float_bits.item() / pixels[..., 0].size,
                psnr(shown[0].permute(1, 2, 0).numpy(), pixels),
                estimate_bits(model, tables, coded, quality) / pixels[..., 0].size,
                psnr(model.render(coded.latents, quality), pixels),
            ))  # fmt: skip
        fb, fp, ib, ip = np.mean(rows, 0)
        lines.append(f"{quality:7d} {fb:11.4f} {fp:7.3f} {ib:11.4f} ({ib / fb - 1:+7.2%}) {ip:7.3f} ({ip - fp:+.3f})")
        say(lines[-1])
    return "\n".join(lines)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--calibrate", type=Path, required=True, metavar="DIR", help="pictures, or tar archives of them")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--name", default="liif-1")
    parser.add_argument("--pictures", type=int, default=32)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--report", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(2)
    begin = time.monotonic()

    network = load_checkpoint(args.checkpoint)
    files = choose(list_pictures(args.calibrate), args.pictures)
    crops = [centre_crop(file.read(), args.crop) for file in files]
    float_model = to_layers(network)
    ranges = observe_ranges(float_model, [to_input(c) for c in crops], RANGE_QUALITIES)
    provenance = {
        "provenance": {
            "exporter": VERSION,
            "checkpoint": hashlib.sha256(args.checkpoint.read_bytes()).hexdigest(),
            "pictures": len(crops),
        }
    }
    tables = gaussian_tables(float_model.hyper_deviation)
    model = Quantizer(float_model, ranges).build(args.name, tables, provenance)
    model.save(args.output)
    say(f"{args.output}: {args.output.stat().st_size} bytes, {time.monotonic() - begin:.0f} s")
    if args.report:
        print(report(network, model, tables, crops[::4], REPORT_QUALITIES))


if __name__ == "__main__":
    main()
