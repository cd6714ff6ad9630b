"""The pictures of training, in the device's memory: crops are cut, flipped and reduced there."""

from __future__ import annotations

import io
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pictures import to_inputs

PICTURE_SIZE = 512
"""Width and height of the pictures in the archives. Pictures of another size are left out."""
DECODING_THREADS = 8


class Corpus:
    """Pictures of train-*.tar: (N, 512, 512, 3), uint8.

    Pictures of an archive with "graphics" in its name are drawn `graphics_weight` times as often as others.
    """

    def __init__(self, folder: Path, device: torch.device, graphics_weight: float) -> None:
        pictures, weights = [], []
        for archive in sorted(folder.glob("train-*.tar")):
            found = read_archive(archive)
            pictures.append(found)
            weights += [graphics_weight if "graphics" in archive.name else 1.0] * len(found)
        if not weights:
            raise ValueError(f"{folder} has no pictures of {PICTURE_SIZE} x {PICTURE_SIZE} in a train-*.tar")
        self.pictures = torch.from_numpy(np.concatenate(pictures)).to(device)
        self.weights = torch.tensor(weights, device=device)

    def __len__(self) -> int:
        return len(self.pictures)

    def crops(self, count: int, size: int) -> Tensor:
        """Random squares, flipped and transposed at random: (count, 3, size, size), -0.5..0.5."""
        chosen = torch.multinomial(self.weights, count, replacement=True)
        rows, columns = (self._lines(count, size) for _ in range(2))
        pixels = self.pictures[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        pixels = to_inputs(pixels)
        return torch.cat([pixels[: count // 2], pixels[count // 2 :].transpose(2, 3)])

    def _lines(self, count: int, size: int) -> Tensor:
        """(count, size): `size` neighboring lines for each picture, in rising or falling order."""
        device = self.pictures.device
        line = torch.arange(size, device=device)
        first = torch.randint(PICTURE_SIZE - size + 1, (count, 1), device=device)
        rising = torch.randint(2, (count, 1), device=device) == 1
        return first + torch.where(rising, line, size - 1 - line)


def held_out(folder: Path, device: torch.device) -> dict[str, Tensor]:
    """At most 24 pictures of each validation-*.tar, by the archive's name: (N, 3, 512, 512)."""
    sets = {}
    for path in sorted(folder.glob("validation-*.tar")):
        pictures = read_archive(path)
        pictures = pictures[:: max(1, len(pictures) // 24)][:24]
        sets[path.stem] = to_inputs(torch.from_numpy(pictures).to(device))
    return sets


def read_archive(path: Path) -> np.ndarray:
    """(N, 512, 512, 3), uint8, in the archive's order."""

    def decode(data: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    with tarfile.open(path) as archive, ThreadPoolExecutor(DECODING_THREADS) as pool:
        files = [stream.read() for member in archive if (stream := archive.extractfile(member))]
        fitting = [pixels for pixels in pool.map(decode, files) if pixels.shape == (PICTURE_SIZE, PICTURE_SIZE, 3)]
    return np.stack(fitting) if fitting else np.empty((0, PICTURE_SIZE, PICTURE_SIZE, 3), np.uint8)


def resize(x: Tensor, size: int) -> Tensor:
    """(N, 3, H, H) -> (N, 3, size, size), -0.5..0.5, bicubic and antialiased."""
    if x.shape[-1] == size:
        return x
    return F.interpolate(x, size=(size, size), mode="bicubic", antialias=True, align_corners=False).clamp(-0.5, 0.5)
