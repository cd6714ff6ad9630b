"""How many hidden units of each residual block of a model file are in use, over the pictures of a folder.

    python3 active_units.py ../../src/model/liif-1.safetensors --images pictures/

A unit is active at a site where its value is above zero. Blocks that died in training show here, and not in the loss: the
main path is a codec of its own. Ends with status 1 if less than half of a block's units are ever active.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from integer_model import IntegerModel
from pictures import center_crop, choose, list_pictures

CROP = 256
QUALITIES = (1, 25, 50, 75, 100)
BAR = 0.5
"""A block with a smaller share of units that are ever active is dead."""


class ObservedModel(IntegerModel):
    """Notes where the units of residual blocks are active."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.units: dict[str, str] = {}
        """Block by the weight of its first convolution."""
        for part in ("analysis", "synthesis"):
            for i, layer in enumerate(self.graph[part]):
                if layer["op"] == "residual":
                    self.units[layer["first"]["weight"]] = f"{part}, layer {i}"
        self.active: dict[str, np.ndarray] = {}
        """Sites at which each unit was active."""
        self.sites: dict[str, int] = {}

    def conv(self, layer: dict[str, Any], x: Tensor, quality: int) -> Tensor:
        out = super().conv(layer, x, quality)
        block = self.units.get(layer["weight"])
        if block is not None:
            counts = (out > 0).sum((0, 2, 3)).numpy()
            self.active[block] = self.active.get(block, 0) + counts
            self.sites[block] = self.sites.get(block, 0) + out[0, 0].numel()
        return out


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description="Share of active units of each residual block.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--images", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pictures", type=int, default=24, help="at most so many, evenly spaced (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    try:
        read = IntegerModel.from_bytes(args.model.read_bytes())
        model = ObservedModel(read.name, read.graph, read.tensors)
        files = choose(list_pictures(args.images), args.pictures)
        for file in files:
            pixels = center_crop(file.read(), CROP)
            for quality in QUALITIES:
                model.render(model.code(model.analyze(pixels, quality), quality).latents, quality)
    except (OSError, ValueError) as error:
        sys.exit(f"active_units: {error}")
    dead = 0
    print(f"{model.name} {model.hash()[:16]}, {len(files)} pictures, qualities {', '.join(map(str, QUALITIES))}\n")
    print("| block | units | ever active | active at 1 % of the sites | sites active, median unit |")
    print("|---|---:|---:|---:|---:|")
    for block in model.units.values():
        share = model.active[block] / model.sites[block]
        ever = (share > 0).mean()
        dead += ever < BAR
        print(f"| {block} | {len(share)} | {ever:.1%} | {(share >= 0.01).mean():.1%} | {np.median(share):.1%} |", flush=True)
    sys.exit(1 if dead else 0)


if __name__ == "__main__":
    main()
