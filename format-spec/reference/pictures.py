"""Pictures of a folder, or of the tar archives in it, as float tensors.

    python3 pictures.py FOLDER --count 24 -o OUT

writes some of them, evenly spaced, as PNG files.
"""

from __future__ import annotations

import argparse
import io
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

SUFFIXES = {".png", ".jpg", ".jpeg", ".webp"}


@dataclass(frozen=True)
class PictureFile:
    """A file of pixels, or a member of a tar archive."""

    path: Path
    member: str | None = None

    @property
    def name(self) -> str:
        return f"{self.path.name}:{self.member}" if self.member else self.path.name

    def read(self) -> Image.Image:
        if self.member is None:
            return Image.open(self.path).convert("RGB")
        with tarfile.open(self.path) as archive:
            stream = archive.extractfile(self.member)
            if stream is None:
                raise ValueError(f"{self.name} is not a file")
            return Image.open(io.BytesIO(stream.read())).convert("RGB")


def list_pictures(folder: Path) -> list[PictureFile]:
    """Every picture below `folder` and in its .tar archives, in an order that depends on names only."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            found.append(PictureFile(path))
        elif path.suffix == ".tar":
            with tarfile.open(path) as archive:
                members = sorted(m.name for m in archive if m.isfile() and Path(m.name).suffix.lower() in SUFFIXES)
            found.extend(PictureFile(path, member) for member in members)
    if not found:
        raise ValueError(f"{folder} holds no png, jpg or webp picture and no tar archive of them")
    return found


def choose(files: list[PictureFile], count: int) -> list[PictureFile]:
    """At most `count` of the files, evenly spaced."""
    if len(files) <= count:
        return files
    return [files[(2 * i + 1) * len(files) // (2 * count)] for i in range(count)]


def center_crop(picture: Image.Image, size: int) -> np.ndarray:
    """The middle `size` x `size` pixels, uint8 (rows, columns, 3); smaller pictures repeat their edge."""
    width, height = picture.size
    left, top = max(0, (width - size) // 2), max(0, (height - size) // 2)
    pixels = np.asarray(picture)[top : top + size, left : left + size]
    missing = (size - pixels.shape[0], size - pixels.shape[1])
    return np.pad(pixels, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="edge")


def to_input(pixels: np.ndarray) -> Tensor:
    """uint8 (rows, columns, 3) -> the network's input (1, 3, rows, columns)."""
    return to_inputs(torch.from_numpy(pixels.copy())[None])


def to_inputs(pixels: Tensor) -> Tensor:
    """uint8 (N, rows, columns, 3) -> the network's inputs (N, 3, rows, columns)."""
    return pixels.permute(0, 3, 1, 2).float() / 255 - 0.5


def test_patterns(size: int) -> list[np.ndarray]:
    """Saturated blocks and stripes: logos and charts drive activations further than any photograph does."""
    random = np.random.default_rng(1)
    row, column = np.indices((size, size))
    patterns = [random.integers(0, 2, (size, size, 3))[row // n, column // n] for n in (32, 8)]
    patterns += [(line // 2 % 2)[..., None].repeat(3, 2) for line in (row, column)]
    return [(pattern * 255).astype(np.uint8) for pattern in patterns]


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes pictures of a folder and of the archives in it as PNG files.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=24, help="at most so many, evenly spaced (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="DIR")
    args = parser.parse_args()
    try:
        args.output.mkdir(parents=True, exist_ok=True)
        for file in choose(list_pictures(args.folder), args.count):
            file.read().save(args.output / f"{Path(file.member or file.path).stem}.png")
    except (OSError, ValueError) as error:
        sys.exit(f"pictures: {error}")


if __name__ == "__main__":
    main()
