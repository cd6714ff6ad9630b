"""The float network of liif, as it is trained. `export.py` turns it into the integers of a model file.

Tensors are (batch, channels, rows, columns). Pictures are RGB / 255 - 0.5, padded to a multiple of 64.
Quality enters as `s = (quality - 1) / 99`, a tensor (batch,) of 0..1. Parameters that depend on quality are kept at
ANCHORS points and interpolated linearly in s. Logarithms are natural unless a name says otherwise.

The names of modules and parameters are those of the checkpoints: a checkpoint is their state dict as safetensors of
float32 or float16, with the constructor's arguments as JSON in the metadata key `config`.
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

ANCHORS = 8
LEAK = 0.125
"""Slope of the activation below zero; integers compute max(x, x >> 3)."""

LAMBDA_LOW, LAMBDA_HIGH = 0.0016, 0.36
"""Bits a pixel that one unit of squared error (in squares of 8-bit levels) is worth, at quality 1 and 100."""

SMALLEST_DEVIATION, LARGEST_DEVIATION = 0.11, 3000.0
"""Deviations of symbols, in steps, are held in this range."""


@dataclass(frozen=True)
class Config:
    """Sizes of a network. The short names are those stored in checkpoints."""

    c4: int = 64
    """Channels at 1/4 of the picture's resolution."""
    c8: int = 128
    """Channels at 1/8."""
    cy: int = 320
    """Latent channels, at 1/16."""
    hy: int = 160
    """Inner channels of the residuals at 1/16."""
    cm: int = 16
    """Channels of M, the paper's feature map, at full resolution."""
    hid: int = 32
    """Hidden units of the head."""
    hid2: int = 0
    """Must be 0: a second hidden layer was tried and dropped."""
    n: tuple[int, int, int] = (2, 2, 2)
    """Residuals of the analysis at 1/4, 1/8, 1/16."""
    nd: tuple[int, int, int] = (2, 2, 1)
    """Residuals of the synthesis at 1/4, 1/8, 1/16."""
    cz: int = 64
    """Hyper latent channels, at 1/64."""
    ch: int = 96
    """Inner channels of the hyper networks."""
    cp: int = 96
    """Channels of h and of the prior."""

    def __post_init__(self) -> None:
        if self.hid2 != 0:
            raise ValueError(f"hid2 is {self.hid2}: the format has one hidden layer")


def rate_distortion_weight(s: Tensor) -> Tensor:
    """lambda by quality: geometric from LAMBDA_LOW to LAMBDA_HIGH."""
    return LAMBDA_LOW * (LAMBDA_HIGH / LAMBDA_LOW) ** s


def by_quality(anchors: Tensor, s: Tensor) -> Tensor:
    """(ANCHORS, C), (B,) -> (B, C, 1, 1), piecewise linear."""
    position = s[:, None] * (ANCHORS - 1)
    share = (1 - (position - torch.arange(ANCHORS, device=s.device)).abs()).clamp_min(0)
    return (share[:, :, None] * anchors).sum(1)[:, :, None, None]


def leaky(x: Tensor) -> Tensor:
    return F.leaky_relu(x, LEAK)


class Residual(nn.Module):
    """x + b(leaky(a(x) + q[quality])), with 3x3 convolutions: (B, channels, H, W) -> the same shape."""

    def __init__(self, channels: int, inner: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(channels, inner, 3, padding=1)
        self.b = nn.Conv2d(inner, channels, 3, padding=1)
        self.q = nn.Parameter(torch.zeros(ANCHORS, inner))
        nn.init.kaiming_normal_(self.a.weight)
        nn.init.zeros_(self.a.bias)
        nn.init.zeros_(self.b.weight)
        nn.init.zeros_(self.b.bias)

    def forward(self, x: Tensor, s: Tensor) -> Tensor:
        inner = self.a(x)
        return x + self.b(leaky(inner + by_quality(self.q, s).to(inner.dtype)))


class Down(nn.Conv2d):
    """A convolution of k x k and stride k: (B, inputs, H, W) -> (B, outputs, H/k, W/k). Pixel unshuffle and 1x1 are faster."""

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        super().__init__(inputs, outputs, factor, stride=factor)

    def forward(self, x: Tensor) -> Tensor:
        blocks = F.pixel_unshuffle(x, self.stride[0]).contiguous(memory_format=torch.channels_last)
        return F.conv2d(blocks, self.weight.flatten(1)[:, :, None, None], self.bias)


class Up(nn.Module):
    """A 1x1 convolution and a pixel shuffle that keeps channels last in memory: (B, inputs, H, W) -> (B, outputs, H*factor, W*factor)."""

    def __init__(self, inputs: int, outputs: int, factor: int = 2) -> None:
        super().__init__()
        self.c = nn.Conv2d(inputs, factor * factor * outputs, 1)
        self.r = factor

    def forward(self, x: Tensor) -> Tensor:
        y, r = self.c(x), self.r
        batch, channels, height, width = y.shape
        outputs = channels // (r * r)
        y = y.permute(0, 2, 3, 1).reshape(batch, height, width, outputs, r, r)
        return y.permute(0, 1, 4, 2, 5, 3).reshape(batch, height * r, width * r, outputs).permute(0, 3, 1, 2)


class Network(nn.Module):
    """Analysis, hyper networks, prior, synthesis and head.

    picture (B, 3, H, W) -analyze-> y (B, cy, H/16, W/16) -entropy-> the same, dequantized, and bits -features-> P (B, hid, H, W)
    -head-> samples.
    """

    def __init__(self, config: Config = Config()) -> None:
        super().__init__()
        self.config = c = config

        def residuals(count: int, channels: int, inner: int) -> list[nn.Module]:
            return [Residual(channels, inner) for _ in range(count)]

        self.enc = nn.Sequential(
            Down(3, c.c4, 4), *residuals(c.n[0], c.c4, c.c4),
            Down(c.c4, c.c8, 2), *residuals(c.n[1], c.c8, c.c8),
            Down(c.c8, c.cy, 2), *residuals(c.n[2], c.cy, c.hy),
        )  # fmt: skip
        self.dec = nn.Sequential(
            *residuals(c.nd[2], c.cy, c.hy), Up(c.cy, c.c8),
            *residuals(c.nd[1], c.c8, c.c8), Up(c.c8, c.c4),
            *residuals(c.nd[0], c.c4, c.c4), Up(c.c4, c.cm, 4),
        )  # fmt: skip
        self.qdec = nn.Parameter(torch.zeros(ANCHORS, c.cy))
        """Added to the dequantized latents."""

        self.unfold = nn.Conv2d(c.cm, c.hid, 3, padding=1)
        """The paper's feature unfolding (3x3 sites joined) and the first layer of its MLP, in one."""
        nn.init.zeros_(self.unfold.bias)
        self.qhead = nn.Parameter(torch.zeros(ANCHORS, c.hid))
        rel = torch.randn(c.hid, 4) * 0.5
        # Cells are square in training, so only the sum of the last two columns is learned. Equal at first, they stay equal, and a cell that is
        # not square counts as the square one of its mean side.
        rel[:, 3] = rel[:, 2]
        self.rel = nn.Parameter(rel)
        """First layer of the MLP: weights of relative row and column, and of the cell's height and width, in sites."""
        self.out = nn.Linear(c.hid, 3)
        nn.init.zeros_(self.out.bias)

        self.ha = nn.Sequential(
            nn.Conv2d(c.cy, c.ch, 3, padding=1), nn.LeakyReLU(LEAK),
            Down(c.ch, c.ch, 2), nn.LeakyReLU(LEAK),
            Down(c.ch, c.cz, 2),
        )  # fmt: skip
        self.hs = nn.Sequential(
            Up(c.cz, c.ch), nn.LeakyReLU(LEAK),
            nn.Conv2d(c.ch, c.ch, 3, padding=1), nn.LeakyReLU(LEAK),
            Up(c.ch, c.cp), nn.LeakyReLU(LEAK),
        )  # fmt: skip
        self.qemb = nn.Parameter(torch.zeros(ANCHORS, c.cp))
        """Added to the output of `hs`; the sum is h."""
        self.prior = nn.ModuleList(self._prior_step(first=t == 0) for t in range(4))

        # A uniform step of 5.1 / sqrt(lambda) in 8-bit units; `pca_start` in karhunen_loeve.py adds the norms of the latents.
        s = torch.linspace(0, 1, ANCHORS)
        rate = torch.log(torch.sqrt(rate_distortion_weight(s)) * 255 / 5.1)
        self.lgy = nn.Parameter(rate[:, None].repeat(1, c.cy))
        """log(1 / step of y)."""
        self.lgz = nn.Parameter(torch.zeros(ANCHORS, c.cz))
        """log(1 / step of z)."""
        self.zmu = nn.Parameter(torch.zeros(c.cz))
        """Mean of z, in steps."""
        self.zlogs = nn.Parameter(torch.zeros(ANCHORS, c.cz))
        """log deviation of z, in steps."""
        self.register_buffer("ls0", torch.zeros(1, c.cy, 1, 1))
        """A constant part of the log deviation of y."""

    def _prior_step(self, *, first: bool) -> nn.Sequential:
        c = self.config
        last = nn.Conv2d(c.cp, 2 * c.cy, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        return nn.Sequential(
            nn.Conv2d(c.cp if first else c.cp + c.cy, c.cp, 3, padding=1), nn.LeakyReLU(LEAK),
            nn.Conv2d(c.cp, c.cp, 1), nn.LeakyReLU(LEAK),
            last,
        )  # fmt: skip

    def analyze(self, picture: Tensor, s: Tensor) -> Tensor:
        """(B, 3, H, W) -> latents (B, cy, H/16, W/16)."""
        return _run(self.enc, picture, s)

    def entropy(self, y: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
        """Latents y (B, cy, h, w) -> dequantized latents (B, cy, h, w) and estimated bits (B,). h and w are multiples of 4.

        Step t of the prior sees h and what earlier steps decoded, and codes at each position the channel group of 3.6.
        While training, bits are estimated with uniform noise instead of rounding.
        """
        z_rate = by_quality(self.lgz, s).exp()
        z_mean = self.zmu[None, :, None, None]
        z = self.ha(y).float() * z_rate
        z_rounded = _round(z - z_mean) + z_mean
        z_coded = _with_noise(z) if self.training else z_rounded
        bits = gaussian_bits(z_coded - z_mean, by_quality(self.zlogs, s)).sum((1, 2, 3))
        h = self.hs(z_rounded / z_rate) + by_quality(self.qemb, s)

        log_rate = by_quality(self.lgy, s)
        rate = log_rate.exp()
        scaled = y.float() * rate
        decoded, means, log_deviations = (torch.zeros_like(scaled) for _ in range(3))
        for t, mask in enumerate(coding_masks(*y.shape[1:], device=y.device)):
            context = torch.cat([h, decoded / rate], 1) if t else h
            mean, log_deviation = self.prior[t](context).float().chunk(2, 1)
            mean = mean * rate
            decoded = decoded + (_round(scaled - mean) + mean) * mask
            means = means + mean * mask
            log_deviations = log_deviations + log_deviation * mask
        coded = _with_noise(scaled) if self.training else decoded
        bits = bits + gaussian_bits(coded - means, log_deviations + log_rate + self.ls0).sum((1, 2, 3))
        return decoded / rate, bits

    def features(self, latents: Tensor, s: Tensor) -> Tensor:
        """Dequantized latents -> P (B, hid, H, W): for each site, the MLP's first layer without the query's part."""
        x = _run(self.dec[:-1], latents + by_quality(self.qdec, s), s)
        # Always in float32: rounded to eight bits, P's values around one would be off by two levels of a picture's samples.
        with torch.autocast(x.device.type, enabled=False):
            return self.unfold(self.dec[-1](x.float())) + by_quality(self.qhead, s)

    def head(self, p: Tensor, rows: Tensor, columns: Tensor, cell_height: float, cell_width: float) -> Tensor:
        """P (B, hid, H, W) -> samples (B, 3, len(rows), len(columns)).

        `rows` and `columns` are the centers of output pixels, in sites: site i has its center at i. So is the cell. By the
        local ensemble, each of the four nearest sites predicts, weighted by the area of the opposite rectangle.
        """
        height, width = p.shape[-2:]
        top, left = torch.floor(rows), torch.floor(columns)
        down, right = rows - top, columns - left
        cell = self.rel[:, 2] * cell_height + self.rel[:, 3] * cell_width
        result = torch.zeros(())
        for dy in (0, 1):
            lines = p.index_select(2, (top.long() + dy).clamp(0, height - 1))
            row_weight = down if dy else 1 - down
            for dx in (0, 1):
                sites = lines.index_select(3, (left.long() + dx).clamp(0, width - 1))
                column_weight = right if dx else 1 - right
                query = (
                    (self.rel[:, 0, None] * (down - dy))[:, :, None]
                    + (self.rel[:, 1, None] * (right - dx))[:, None, :]
                    + cell[:, None, None]
                )
                color = self.colors(F.relu(sites + query.to(sites.dtype)))
                result = result + color.float() * (row_weight[:, None] * column_weight[None, :])
        return result

    def native(self, p: Tensor) -> Tensor:
        """`head` at scale 1, where each pixel is one site: (B, hid, H, W) -> (B, 3, H, W)."""
        return self.colors(F.relu(p + (self.rel[:, 2] + self.rel[:, 3])[:, None, None]))

    def colors(self, hidden: Tensor) -> Tensor:
        """The MLP's last layer: (B, hid, H, W) -> (B, 3, H, W)."""
        return F.conv2d(hidden, self.out.weight[:, :, None, None], self.out.bias)


def pixel_centers(count: int, scale: float, first: float = 0.0) -> Tensor:
    """Centers of output pixels first, first + 1, … of a picture enlarged by `scale`, in sites."""
    return (torch.arange(count).float() + first + 0.5) / scale - 0.5


def coding_masks(channels: int, rows: int, columns: int, device: torch.device | str = "cpu") -> list[Tensor]:
    """For each of the four steps, 1 where it codes: (1, channels, rows, columns). Specification 3.6."""
    parity = 2 * (torch.arange(rows, device=device)[:, None] % 2) + torch.arange(columns, device=device)[None] % 2
    group = torch.arange(channels, device=device) * 4 // channels
    return [((group[:, None, None] + t) % 4 == parity[None]).float()[None] for t in range(4)]


def gaussian_bits(difference: Tensor, log_deviation: Tensor) -> Tensor:
    """Bits of symbols at a `difference` from their mean, both in steps; at most 20 a symbol."""
    floor = math.log(SMALLEST_DEVIATION)
    deviation = _LowerBound.apply(log_deviation, floor).clamp_max(math.log(LARGEST_DEVIATION)).exp()
    distance = difference.abs()
    probability = _normal_cdf((0.5 - distance) / deviation) - _normal_cdf((-0.5 - distance) / deviation)
    return -torch.log2(_LowerBound.apply(probability, 2.0**-20))


def load_checkpoint(path: str | os.PathLike[str]) -> Network:
    """Reads a safetensors checkpoint of float32 or float16; raises ValueError where it does not fit."""
    data = Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    stored = json.loads(header.pop("__metadata__", {}).get("config", "{}"))
    config = Config(**{key: tuple(value) if isinstance(value, list) else value for key, value in stored.items()})
    state = {}
    for name, entry in header.items():
        dtype = {"F32": "<f4", "F16": "<f2"}.get(entry["dtype"])
        if dtype is None:
            raise ValueError(f"{path}: tensor {name} is {entry['dtype']}, expected F32 or F16")
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[begin:end], dtype).astype(np.float32)
        state[name] = torch.from_numpy(values.reshape(entry["shape"]))
    network = Network(config)
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"{path}: {error}") from error
    return network.eval()


def save_checkpoint(
    path: str | os.PathLike[str], config: Config, state: dict[str, Tensor], *, half: bool = False
) -> None:
    """Writes what `load_checkpoint` reads, atomically; `half`: in float16, for keeping (train on from float32)."""
    dtype, stored = ("F16", "<f2") if half else ("F32", "<f4")
    header: dict[str, object] = {"__metadata__": {"config": json.dumps(asdict(config))}}
    blobs, offset = [], 0
    for name, tensor in state.items():
        values = tensor.detach().contiguous().float().cpu().numpy().astype(stored)
        if not np.isfinite(values).all():
            raise ValueError(f"{name} does not fit into {dtype}")
        blob = values.tobytes()
        header[name] = {
            "dtype": dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    partial = Path(f"{path}.partial")
    partial.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blobs))
    partial.replace(path)


def _run(layers: nn.Sequential, x: Tensor, s: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x, s) if isinstance(layer, Residual) else layer(x)
    return x


class _LowerBound(torch.autograd.Function):
    """max(x, bound), whose gradient still passes below the bound if it pushes x up."""

    @staticmethod
    def forward(ctx, x: Tensor, bound: float) -> Tensor:
        ctx.save_for_backward(x)
        ctx.bound = bound
        return x.clamp_min(bound)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        (x,) = ctx.saved_tensors
        return gradient * ((x >= ctx.bound) | (gradient < 0)).to(gradient.dtype), None


def _round(x: Tensor) -> Tensor:
    """Rounds to the nearest integer; the gradient is 1."""
    return x + (torch.round(x) - x).detach()


def _with_noise(x: Tensor) -> Tensor:
    return x + torch.rand_like(x) - 0.5


def _normal_cdf(x: Tensor) -> Tensor:
    return 0.5 * torch.erfc(-math.sqrt(0.5) * x)
