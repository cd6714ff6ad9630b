"""The start of training: a network whose main path is a linear codec that works."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from network import Down, Network, Up


@torch.no_grad()
def pca_start(network: Network, pictures: Tensor) -> None:
    """Analysis becomes a Karhunen-Loeve block transform of `pictures` (N, 3, H, W), synthesis its transpose."""
    downs = [m for m in network.enc if isinstance(m, Down)]
    ups = [m for m in network.dec if isinstance(m, Up)]
    transposes = []  # of each stage: (inputs * k * k, outputs)
    x = pictures
    for down in downs:
        basis, power = _principal_basis(x, down.kernel_size[0])
        used = min(down.out_channels, basis.shape[1])
        scale = power[:used].pow(-0.25)
        forward = torch.zeros(down.out_channels, len(basis))
        forward[:used] = (basis[:, :used] * scale).T
        transpose = torch.zeros(len(basis), down.out_channels)
        transpose[:, :used] = basis[:, :used] / scale
        down.weight.copy_(forward.view_as(down.weight))
        down.bias.zero_()
        transposes.append(transpose)
        x = F.conv2d(x, down.weight, down.bias, stride=down.stride)

    for up, transpose in zip(ups[:2], transposes[:0:-1]):
        up.c.weight.copy_(transpose[:, :, None, None])
    channels = network.config.cm
    to_features = torch.randn(channels, 16, network.config.c4) * 0.02
    to_features[:3] = transposes[0].view(3, 16, -1)
    ups[2].c.weight.copy_(to_features.view(channels * 16, -1)[:, :, None, None])
    for up in ups:
        up.c.bias.zero_()

    # The head passes channels 0 to 2 through; the local ensemble then is bilinear interpolation.
    network.unfold.weight.mul_(0.3)
    network.unfold.weight[:3] = 0
    network.unfold.bias[:3] = 1.0
    network.rel[:3] = 0
    network.out.weight.mul_(0.1)
    network.out.weight[:, :3] = 0
    network.out.bias.fill_(-1.0)
    for channel in range(3):
        network.unfold.weight[channel, channel, 1, 1] = 1.0
        network.out.weight[channel, channel] = 1.0

    # One unit of a latent moves the picture by the norm of its pattern: steps are relative to that.
    pattern = torch.eye(network.config.cy)[:, :, None, None]
    for down, transpose in zip(downs[::-1], transposes[::-1]):
        k = down.kernel_size[0]
        kernel = transpose.view(down.in_channels, k, k, -1).permute(3, 0, 1, 2)
        pattern = F.conv_transpose2d(pattern, kernel, stride=k)
    network.lgy.add_(pattern.square().sum((1, 2, 3)).clamp_min(1e-12).sqrt().log())
    network.ls0.copy_(x.var((0, 2, 3)).clamp_min(1e-8).sqrt().log()[None, :, None, None])


def _principal_basis(x: Tensor, block: int) -> tuple[Tensor, Tensor]:
    """x (N, C, H, W) -> the principal components of its blocks, (C * block * block, the same), by descending power, and the powers."""
    blocks = F.unfold(x, block, stride=block).permute(0, 2, 1).flatten(0, 1)
    centerd = blocks - blocks.mean(0)
    power, basis = torch.linalg.eigh((centerd.T @ centerd / len(blocks)).double())
    return basis.flip(1).float(), power.flip(0).clamp_min(1e-9).float()
