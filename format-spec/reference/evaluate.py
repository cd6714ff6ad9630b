"""Estimated bits and PSNR of the float network, picture by picture, to measure files of the integer model against.

    python3 evaluate.py checkpoint.safetensors --images kodak/ --qualities 1,20,40,60,80,100 -o float.json

Bits are those of the whole (padded) picture, estimated by the normal distributions of training. PSNR is that of RGB
rounded to 8 bits, by the mean squared error over the picture. A run that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from network import Network, load_checkpoint
from pictures import list_pictures, to_input

ALIGNMENT = 64


def evaluate(network: Network, pixels: np.ndarray, quality: int) -> dict[str, float]:
    """uint8 (rows, columns, 3) -> bits and psnr."""
    rows, columns = pixels.shape[:2]
    padding = ((0, -rows % ALIGNMENT), (0, -columns % ALIGNMENT), (0, 0))
    picture = to_input(np.pad(pixels, padding, mode="edge"))
    s = torch.tensor([(quality - 1) / 99])
    latents, bits = network.entropy(network.analyze(picture, s), s)
    color = network.native(network.features(latents, s))[0, :, :rows, :columns]
    shown = ((color + 0.5) * 255).round().clamp(0, 255).permute(1, 2, 0).double().numpy()
    error = np.square(shown - pixels).mean()
    psnr = 10 * math.log10(255**2 / error) if error > 0 else 99.0
    return {"bits": round(bits.item(), 1), "psnr": round(psnr, 4)}


def load_results(path: Path, checkpoint: str) -> dict[str, Any]:
    if not path.exists():
        return {"checkpoint": checkpoint, "pictures": {}}
    results = json.loads(path.read_text())
    if results.get("checkpoint") != checkpoint:
        raise ValueError(f"{path} holds results of checkpoint {results.get('checkpoint')}, not {checkpoint}")
    return results


def save_results(path: Path, results: dict[str, Any]) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(results, indent=1) + "\n")
    partial.replace(path)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description="Estimated bits and PSNR of the float network.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--qualities", default="1,10,20,30,40,50,60,70,80,90,100")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="JSON")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        qualities = [int(text) for text in args.qualities.split(",")]
        if not all(1 <= quality <= 100 for quality in qualities):
            raise ValueError("qualities are 1 to 100")
        network = load_checkpoint(args.checkpoint)
        checkpoint = hashlib.sha256(args.checkpoint.read_bytes()).hexdigest()
        results = load_results(args.output, checkpoint)
        for file in list_pictures(args.images):
            done = results["pictures"].setdefault(Path(file.member or file.path).stem, {})
            missing = [quality for quality in qualities if str(quality) not in done]
            if not missing:
                continue
            pixels = np.asarray(file.read())
            for quality in missing:
                done[str(quality)] = evaluate(network, pixels, quality)
            save_results(args.output, results)
            print(f"{file.name}: {pixels.shape[1]} x {pixels.shape[0]}, {len(missing)} qualities", file=sys.stderr, flush=True)
    except (OSError, ValueError) as error:
        sys.exit(f"evaluate: {error}")


if __name__ == "__main__":
    main()
