"""The error of `train.py`. Its value is squared error; with --structure, a part of its derivative follows MS-SSIM."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales: Wang, Simoncelli, Bovik, "Multiscale structural similarity", Asilomar 2003."""
C1 = (0.01 * 255) ** 2
C2 = 12 * (0.03 * 255) ** 2
"""Twelve times the constant of the metric: with that one, flat windows are pulled so hard that nothing else counts."""
BLOCK, WINDOW = 4, 8
"""Distance and side of the windows of MS-SSIM, in pixels."""
FRAME = (5.0, 2.0, 1.5, 1.5)
"""Weights of the outermost pixels, from the border inwards."""
LUMA = (0.299, 0.587, 0.114)
"""Rec. 601. Scalars: nothing may be copied to a device while a CUDA graph is captured."""


def luma(samples: Tensor) -> Tensor:
    """RGB (N, 3, H, W) -> luma (N, 1, H, W), in the same units."""
    return sum(part * samples[:, i : i + 1] for i, part in enumerate(LUMA))


def levels(samples: Tensor) -> Tensor:
    """-0.5..0.5 -> 0..255."""
    return (samples + 0.5) * 255


def similarity(shown: Tensor, wanted: Tensor) -> Tensor:
    """MS-SSIM of planes of 0..255: (N, 1, H, W) twice -> (N,). H and W are 8 or more. Windows are 8 x 8 pixels, one every 4."""
    scales = min(len(WEIGHTS), (min(shown.shape[2:]) // WINDOW).bit_length())
    total = sum(WEIGHTS[:scales])
    product = torch.ones(len(shown), device=shown.device)
    for scale in range(scales):
        means = F.avg_pool2d(torch.cat([shown, wanted, shown**2, wanted**2, shown * wanted], 1), WINDOW, BLOCK)
        a, b, aa, bb, ab = means.split(1, 1)
        term = (2 * (ab - a * b) + C2) / (aa - a * a + bb - b * b + C2)
        if scale == scales - 1:
            term = term * (2 * a * b + C1) / (a * a + b * b + C1)
        product = product * term.mean((1, 2, 3)).clamp_min(0.01) ** (WEIGHTS[scale] / total)
        shown, wanted = F.avg_pool2d(shown, 2), F.avg_pool2d(wanted, 2)
    return product


def share_at(s: Tensor, share: float) -> Tensor:
    """The share at each quality `s` of 0..1, (N,) -> (N,): all of `share` at the lowest quality, none at the highest.

    At high qualities structure is right whatever the error follows, and squared error is what is left to gain.
    """
    return share * (1 - s * s)


def frame_weights(size: int, device: torch.device) -> Tensor:
    """(size, size): weights of the pixels of a picture, FRAME at its border and 1 inside.

    Convolutions read zeros beyond the picture, so its outermost pixels are off by more: white paper gets a gray frame.
    """
    at = torch.arange(size)
    inwards = torch.minimum(at, size - 1 - at).clamp_max(len(FRAME))
    return torch.tensor([*FRAME, 1.0])[torch.minimum(inwards[:, None], inwards)].to(device)


def error(shown: Tensor, wanted: Tensor, share: Tensor | float, weights: Tensor | float = 1.0) -> Tensor:
    """Mean squared error (N,), in squares of 8-bit levels, with a derivative of its own.

    `shown` and `wanted` are (N, 3, H, W), -0.5..0.5. `share` is (N,), or one number for all. `weights` are those of pixels,
    (H, W).

    In the derivative, the pull of MS-SSIM replaces `share` of the pull of squared error on luma. It is made as strong as the
    pull that it replaces, on the mean over each picture. So bits stay worth what they are worth by squared error, at every
    quality, in rough pictures and in smooth ones. The encoder's `--optimize` pulls latents in the same way
    (`src/analysis/sample-errors.ts`).
    """
    shown, wanted = shown.float(), wanted.float()
    squared = (weights * (shown - wanted).square()).mean((1, 2, 3)) * 255**2
    if isinstance(share, Tensor):
        share = share[:, None, None, None]
    elif share == 0:
        return squared
    plane = levels(luma(shown.detach())).requires_grad_()
    distance = -similarity(plane, levels(luma(wanted))).log()
    (slope,) = torch.autograd.grad(distance.sum(), plane)
    off = shown.detach() - wanted
    less = luma(off)
    factor = 3 * less.abs().mean((1, 2, 3), True) / slope.abs().mean((1, 2, 3), True).clamp_min(1e-30)
    change = torch.cat([part * factor * slope - less for part in LUMA], 1)
    pull = weights * (off + share * change)
    steered = 2 * 255**2 * (pull * (shown - shown.detach())).mean((1, 2, 3))
    return squared.detach() + steered
