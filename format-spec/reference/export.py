"""Turns a float checkpoint into an integer model file (specification, chapter 3).

    python3 export.py checkpoint.safetensors --calibrate pictures/ -o model.safetensors --report

The pictures decide two things: the range of every activation, and with it the scales; and the frequencies of the CDF
tables. The same checkpoint and pictures give the same bytes.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from integer_model import Coded, IntegerModel
from layers import HEAD, HYPER, LATENT, PICTURE, QUALITIES, FloatModel, run, run_prior_step, to_layers
from network import Network, coding_masks, load_checkpoint
from pictures import center_crop, choose, list_pictures, test_patterns, to_input
from quantize import ExportError, Quantizer, Ranges, set_tables
from tables import Counts, Tables, code_lengths, fit_tables

VERSION = 1
RANGE_CROP = 256
RANGE_QUALITIES = (1, 25, 50, 75, 100)
COUNT_CROP = 512
"""A chunk, so that symbols are counted with the context that they have in files."""
QUALITIES_A_PICTURE = 3
REPORT_QUALITIES = (1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100)
THREADS = 2
"""Fixed: the same bytes whatever the machine's load."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Says every ten seconds how many of `total` are done."""

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0
        self.begin = self.said = time.monotonic()

    def step(self) -> None:
        self.done += 1
        now = time.monotonic()
        if self.done == self.total or now - self.said > 10:
            say(f"{self.what}: {self.done} of {self.total}, {now - self.begin:.0f} s")
            self.said = now


# --- ranges ---


class RangeObserver:
    """The largest magnitude that each channel of each site took."""

    def __init__(self) -> None:
        self.ranges: Ranges = {}

    def __call__(self, site: str, values: Tensor) -> None:
        largest = values.abs().amax((0, 2, 3)).double().numpy()
        self.ranges[site] = np.maximum(self.ranges.get(site, 0), largest)


def observe_ranges(model: FloatModel, crops: list[np.ndarray], qualities: tuple[int, ...] = RANGE_QUALITIES) -> Ranges:
    """Runs the float layers on every crop at every quality."""
    observer = RangeObserver()
    progress = Progress("ranges of activations", len(crops))
    for pixels in crops:
        for quality in qualities:
            observe_picture(model, to_input(pixels), quality, observer)
        progress.step()
    # A hidden unit also takes what the query adds to P.
    observer.ranges[HEAD] += np.abs(model.query).sum(1)
    return observer.ranges


def observe_picture(model: FloatModel, picture: Tensor, quality: int, observer: RangeObserver) -> None:
    """All layers, with latents rounded as a decoder has them. `picture` is (1, 3, H, W), multiples of 64."""

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


# --- symbols ---


def count_symbols(model: IntegerModel, crops: list[np.ndarray]) -> Counts:
    """Runs the exact integers on each crop, at QUALITIES_A_PICTURE qualities that differ from crop to crop."""
    counts = Counts()
    progress = Progress("symbols", len(crops))
    for n, pixels in enumerate(crops):
        for k in range(QUALITIES_A_PICTURE):
            quality = 1 + (n * 7 + k * QUALITIES // QUALITIES_A_PICTURE) % QUALITIES
            for indices, symbols in coded_symbols(model, pixels, quality):
                counts.add(indices, symbols)
        progress.step()
    return counts


def coded_symbols(model: IntegerModel, pixels: np.ndarray, quality: int) -> list[tuple[np.ndarray, np.ndarray]]:
    coded = model.code(model.analyze(pixels, quality), quality)
    return by_table(model, coded, quality)


def by_table(model: IntegerModel, coded: Coded, quality: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Table indices and symbols, of z and of y."""
    hyper_symbols = coded.hyper_symbols.numpy()
    hyper_indices = model.tensors["hyper.table"][quality - 1][:, None, None]
    return [
        (np.broadcast_to(hyper_indices, hyper_symbols.shape), hyper_symbols),
        (coded.indices.numpy(), coded.symbols.numpy()),
    ]


# --- the whole ---


def export(network: Network, crops: list[np.ndarray], name: str, provenance: dict[str, Any]) -> tuple[IntegerModel, Tables]:
    """`crops`: uint8 (COUNT_CROP, COUNT_CROP, 3)."""
    float_model = to_layers(network)
    middle = (COUNT_CROP - RANGE_CROP) // 2
    inner = slice(middle, middle + RANGE_CROP)
    ranges = observe_ranges(float_model, [crop[inner, inner] for crop in crops] + test_patterns(RANGE_CROP))
    model = Quantizer(float_model, ranges).build(name, fit_tables(float_model.hyper_deviation), provenance)
    tables = fit_tables(float_model.hyper_deviation, count_symbols(model, crops))
    set_tables(model.tensors, tables)
    return model, tables


# --- report ---


def report(network: Network, model: IntegerModel, tables: Tables, crops: list[np.ndarray]) -> None:
    """Prints bits (without a file's headers and the coder's states) and PSNR of floats and of integers."""
    print("quality   float bpp      dB     integer bpp                 dB")
    for quality in REPORT_QUALITIES:
        rows = [compare(network, model, tables, pixels, quality) for pixels in crops]
        float_rate, float_psnr, rate, quality_psnr = np.mean(rows, 0)
        print(
            f"{quality:7d} {float_rate:11.4f} {float_psnr:7.3f} "
            f"{rate:11.4f} ({rate / float_rate - 1:+7.2%}) {quality_psnr:7.3f} ({quality_psnr - float_psnr:+.3f})",
            flush=True,
        )


def compare(
    network: Network, model: IntegerModel, tables: Tables, pixels: np.ndarray, quality: int
) -> tuple[float, float, float, float]:
    """-> float bits a pixel and PSNR, integer bits a pixel and PSNR."""
    area = pixels.shape[0] * pixels.shape[1]
    s = torch.tensor([(quality - 1) / (QUALITIES - 1)])
    latents, float_bits = network.entropy(network.analyze(to_input(pixels), s), s)
    shown = ((network.native(network.features(latents, s)) + 0.5) * 255).round().clamp(0, 255)
    coded = model.code(model.analyze(pixels, quality), quality)
    bits = 0.0
    for indices, symbols in by_table(model, coded, quality):
        for index in np.unique(indices):
            bits += code_lengths(tables.tables[index], symbols[indices == index]).sum()
    return (
        float_bits.item() / area,
        psnr(shown[0].permute(1, 2, 0).numpy(), pixels),
        bits / area,
        psnr(model.render(coded.latents, quality), pixels),
    )


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return 10 * math.log10(255**2 / max(np.square(a.astype(float) - b).mean(), 1e-9))


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description="Turns a float checkpoint into an integer model file.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument(
        "--calibrate", type=Path, required=True, metavar="DIR", help="png, jpg and webp pictures, or tar archives of them"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="MODEL")
    parser.add_argument("--name", default="liif-1", help="name stored in the model (default: %(default)s)")
    parser.add_argument("--pictures", type=int, default=120, help="at most so many, evenly spaced (default: %(default)s)")
    parser.add_argument("--report", action="store_true", help="compare bits and PSNR with the float network's")
    args = parser.parse_args()
    torch.set_num_threads(THREADS)
    begin = time.monotonic()

    try:
        network = load_checkpoint(args.checkpoint)
        files = list_pictures(args.calibrate)
        chosen = choose(files, args.pictures)
        crops = [center_crop(file.read(), COUNT_CROP) for file in chosen]
        provenance = {
            "provenance": {
                "exporter": VERSION,
                "checkpoint": hashlib.sha256(args.checkpoint.read_bytes()).hexdigest(),
                "pictures": len(crops),
            }
        }
        model, tables = export(network, crops, args.name, provenance)
        model.save(args.output)
    except (ExportError, OSError, ValueError) as error:
        sys.exit(f"export: {error}")
    size = args.output.stat().st_size
    say(f"{args.output}: {size} bytes, {len(tables.tables)} tables, {time.monotonic() - begin:.0f} s")
    say(f"hash {model.hash()}")
    if args.report:
        unseen = [file for file in files if file not in set(chosen)] or chosen
        say("report: pictures not used above" if unseen is not chosen else "report: the pictures used above")
        report(network, model, tables, [center_crop(file.read(), COUNT_CROP) for file in choose(unseen, 12)])


if __name__ == "__main__":
    main()
