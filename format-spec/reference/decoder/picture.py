"""The way from a file to pixels, through the chapters: 1 container, 2 entropy, 3 networks, 4 rendering."""

import hashlib

import numpy as np

from container import ceil_div, chunk_bytes, latent_size, open_file, plane_count, section_bytes
from errors import RequestError, UnsupportedError
from networks import decode_chunk, synthesize
from rendering import level_of, render

# 1.5: "A decoder MAY refuse pictures beyond limits of its own as unsupported": this one decodes whole levels.
MAX_LEVEL_LATENTS = 1 << 16


class Picture:
    def __init__(self, data, models):
        """`models` maps hashes (bytes) to checked models."""
        self.file = open_file(data)
        self.header = self.file.header
        self.model = models.get(self.header["model"])
        # 5.3: a file whose model is not at hand is unsupported
        if self.model is None:
            raise UnsupportedError(f"no model with hash {self.header['model'].hex()}")
        self._latents = {}
        self._sites = {}

    def latents(self, level, plane):
        """y (h, w, Cy) of a level and plane: all its chunks joined."""
        key = level, plane
        if key not in self._latents:
            if not (0 <= level < self.header["levels"] and 0 <= plane < plane_count(self.header)):
                raise RequestError(f"no level {level}, plane {plane}")
            rows, columns = latent_size(self.header, level)
            if rows * columns > MAX_LEVEL_LATENTS:
                raise UnsupportedError(f"a level of {rows}x{columns} latents is too large for this decoder")
            size = self.header["chunkSize"]
            y = np.zeros((rows, columns, self.model.latent_channels), np.int16)
            for chunk in self.file.chunks:
                if (chunk.level, chunk.plane) != key:
                    continue
                top, left = chunk.row * size, chunk.column * size
                h, w = min(size, rows - top), min(size, columns - left)
                data = chunk_bytes(self.file, chunk)
                y[top : top + h, left : left + w] = decode_chunk(self.model, self.header["quality"], h, w, data, chunk.offset)
            self._latents[key] = y
        return self._latents[key]

    def sites(self, level, plane):
        """P (16h, 16w, hidden) of a level and plane."""
        key = level, plane
        if key not in self._sites:
            self._sites[key] = synthesize(self.model, self.header["quality"], self.latents(level, plane))
        return self._sites[key]

    def render(self, query, depth):
        """Pixels (H, W, channels) of a query, in 8 or 16 bits."""
        level = level_of(query, self.header)
        planes = [self.sites(level, plane) for plane in range(plane_count(self.header))]
        return render(self.model.head, query, self.header, planes, depth)

    def check_all(self):
        """Reads every chunk and every section; raises what is wrong with the first that is wrong."""
        for level in reversed(range(self.header["levels"])):
            for plane in range(plane_count(self.header)):
                self.latents(level, plane)
        for kind in self.file.sections:
            section_bytes(self.file, kind)


def digest(array):
    """SHA-256 of int16 tensors and of 8 or 16 bit samples: row by row, channels together, little-endian."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def as_samples(pixels, depth):
    return pixels.astype("<u1" if depth == 8 else "<u2")


def level_rectangle(header, level):
    """(region, size) that gives exactly the pixels of a level."""
    reduction = header["overviewFactor"] ** level
    width, height = ceil_div(header["width"], reduction), ceil_div(header["height"], reduction)
    return (0, 0, width * reduction, height * reduction), (width, height)
