"""The float network written as the layers of the specification (3.3), still in floats.

Here channels are reordered, since PyTorch's pixel shuffles count (channel, dy, dx) and the format (dy, dx, channel).
Parameters that depend on quality become rows for all 100 qualities. `quantize.py` turns these layers into integers. Running
them shows the range of every activation.

Weights are float64 arrays [outputs][kernel][kernel][inputs]. In this and the following files, a *site* is the name of an
activation tensor. Layers that add to a tensor (`residual`, `row`) or move its values (`shuffle`, `unshuffle`) stay on its
site, so all of them share one scale.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from network import ANCHORS, LEAK, Down, Network, Residual, Up

QUALITIES = 100
HYPER_STRIDE = 4
PICTURE, LATENT, HYPER, CONTEXT, HEAD = "picture", "latent", "hyper", "context", "head"
"""Sites that other parts of the model refer to. `context` is h."""


@dataclass
class FloatConv:
    name: str
    site: str
    """Where its output goes."""
    weight: np.ndarray
    bias: np.ndarray
    """[outputs], or [QUALITIES][outputs]."""
    leaky: bool = False

    @property
    def kernel(self) -> int:
        return self.weight.shape[1]

    @property
    def outputs(self) -> int:
        return self.weight.shape[0]

    def __call__(self, x: Tensor, quality: int) -> Tensor:
        weight = torch.from_numpy(self.weight.transpose(0, 3, 1, 2).copy()).float()
        bias = self.bias[quality - 1] if self.bias.ndim == 2 else self.bias
        return F.conv2d(x, weight, torch.from_numpy(bias.copy()).float(), padding=self.kernel // 2)


@dataclass
class FloatResidual:
    first: FloatConv
    second: FloatConv


@dataclass
class FloatRow:
    name: str
    row: np.ndarray
    """[QUALITIES][channels]"""


@dataclass(frozen=True)
class Shuffle:
    factor: int


@dataclass(frozen=True)
class Unshuffle:
    factor: int


FloatLayer = Union[FloatConv, FloatResidual, FloatRow, Shuffle, Unshuffle]


@dataclass
class FloatPriorStep:
    trunk: list[FloatLayer]
    mean: FloatConv
    deviation: FloatConv
    """log2 of the deviation of a latent, in latent units."""


@dataclass
class FloatModel:
    analysis: list[FloatLayer]
    hyper_analysis: list[FloatLayer]
    hyper_synthesis: list[FloatLayer]
    prior: list[FloatPriorStep]
    synthesis: list[FloatLayer]
    latent_step: np.ndarray
    """[QUALITIES][latent channels]"""
    latent_deviation: np.ndarray
    """[latent channels], added to the log2 deviations of the prior."""
    hyper_step: np.ndarray
    """[QUALITIES][hyper channels]"""
    hyper_mean: np.ndarray
    """[QUALITIES][hyper channels], in units of z."""
    hyper_deviation: np.ndarray
    """[QUALITIES][hyper channels]: deviation of a symbol that training assumed."""
    query: np.ndarray
    """[hidden][4]: weights of relative row and column, cell height and width."""
    output_weight: np.ndarray
    """[3][hidden]"""
    output_bias: np.ndarray


def quality_rows(anchors: Tensor) -> np.ndarray:
    """(ANCHORS, C) -> [QUALITIES][C], piecewise linear."""
    values = anchors.detach().double().numpy()
    position = np.arange(QUALITIES) / (QUALITIES - 1) * (ANCHORS - 1)
    below = np.minimum(position.astype(int), ANCHORS - 2)
    fraction = (position - below)[:, None]
    return values[below] * (1 - fraction) + values[below + 1] * fraction


def to_layers(network: Network) -> FloatModel:
    """The same function as `network`, for inputs of one quality."""
    network = network.double()
    inverse_rate = np.exp(-quality_rows(network.lgz))
    model = FloatModel(
        analysis=_trunk("analysis", network.enc, last_site=LATENT),
        hyper_analysis=_trunk("hyperAnalysis", network.ha, last_site=HYPER),
        hyper_synthesis=[
            *_trunk("hyperSynthesis", network.hs, last_site=CONTEXT),
            FloatRow("hyperSynthesis.row", quality_rows(network.qemb)),
        ],
        prior=[_prior_step(f"prior.{t}", step, network.config.cy) for t, step in enumerate(network.prior)],
        synthesis=[
            FloatRow("synthesis.row", quality_rows(network.qdec)),
            *_trunk("synthesis", network.dec),
            FloatConv(
                "synthesis.unfold",
                HEAD,
                _weight(network.unfold.weight),
                _array(network.unfold.bias) + quality_rows(network.qhead),
            ),
        ],
        latent_step=np.exp(-quality_rows(network.lgy)),
        latent_deviation=_array(network.ls0).reshape(-1) / math.log(2),
        hyper_step=inverse_rate,
        hyper_mean=_array(network.zmu) * inverse_rate,
        hyper_deviation=np.exp(quality_rows(network.zlogs)),
        query=_array(network.rel),
        output_weight=_array(network.out.weight),
        output_bias=_array(network.out.bias),
    )
    network.float()
    return model


def run(
    layers: list[FloatLayer],
    x: Tensor,
    quality: int,
    site: str,
    observe: Callable[[str, Tensor], None] = lambda site, values: None,
) -> Tensor:
    """Runs layers on (B, C, H, W) that lies on `site`; `observe` sees every value that a site will hold."""
    for layer, following in zip(layers, [*layers[1:], None]):
        if isinstance(layer, FloatConv):
            site = layer.site
            x = layer(x, quality)
            observe(site, shuffle(x, following.factor) if isinstance(following, Shuffle) else x)
            x = F.leaky_relu(x, LEAK) if layer.leaky else x
        elif isinstance(layer, FloatResidual):
            inner = layer.first(x, quality)
            observe(layer.first.site, inner)
            branch = layer.second(F.leaky_relu(inner, LEAK), quality)
            observe(site, branch)
            x = x + branch
            observe(site, x)
        elif isinstance(layer, FloatRow):
            x = x + torch.from_numpy(layer.row[quality - 1]).float()[:, None, None]
            observe(site, x)
        elif isinstance(layer, Shuffle):
            x = shuffle(x, layer.factor)
        else:
            x = unshuffle(x, layer.factor)
    return x


def run_prior_step(
    step: FloatPriorStep, context: Tensor, quality: int, observe: Callable[[str, Tensor], None]
) -> tuple[Tensor, Tensor]:
    """-> mean and log2 deviation, in latent units."""
    trunk = run(step.trunk, context, quality, CONTEXT, observe)
    mean = step.mean(trunk, quality)
    observe(LATENT, mean)
    return mean, step.deviation(trunk, quality)


def unshuffle(x: Tensor, factor: int) -> Tensor:
    """(B, C, H, W) -> (B, k*k*C, H/k, W/k), channels (dy, dx, c)."""
    b, c, h, w = x.shape
    blocks = x.reshape(b, c, h // factor, factor, w // factor, factor)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(b, factor * factor * c, h // factor, w // factor)


def shuffle(x: Tensor, factor: int) -> Tensor:
    """(B, k*k*C, H, W) -> (B, C, H*k, W*k), the inverse of `unshuffle`."""
    b, c, h, w = x.shape
    outputs = c // (factor * factor)
    blocks = x.reshape(b, factor, factor, outputs, h, w)
    return blocks.permute(0, 3, 4, 1, 5, 2).reshape(b, outputs, h * factor, w * factor)


def _trunk(prefix: str, modules: nn.Sequential, last_site: str = "") -> list[FloatLayer]:
    """A sequence of modules as layers. The last convolution of the main path writes to `last_site`."""
    layers: list[FloatLayer] = []
    main = [m for m in modules if isinstance(m, (Down, Up, nn.Conv2d))]
    for i, module in enumerate(modules):
        name = f"{prefix}.{i}"
        site = last_site if last_site and module is main[-1] else name
        if isinstance(module, Residual):
            bias = _array(module.a.bias) + quality_rows(module.q)
            first = FloatConv(f"{name}.first", f"{name}.first", _weight(module.a.weight), bias, leaky=True)
            second = FloatConv(f"{name}.second", "", _weight(module.b.weight), _array(module.b.bias))
            layers.append(FloatResidual(first, second))
        elif isinstance(module, Down):
            # [O][I][dy][dx] -> [O][1][1][(dy, dx, I)]
            weight = _array(module.weight).transpose(0, 2, 3, 1).reshape(module.out_channels, 1, 1, -1)
            layers += [Unshuffle(module.stride[0]), FloatConv(name, site, weight, _array(module.bias))]
        elif isinstance(module, Up):
            # [(O, dy, dx)][I] -> [(dy, dx, O)][I]
            r = module.r
            order = np.arange(module.c.out_channels).reshape(-1, r, r).transpose(1, 2, 0).reshape(-1)
            weight, bias = _weight(module.c.weight)[order], _array(module.c.bias)[order]
            layers += [FloatConv(name, site, weight, bias), Shuffle(r)]
        elif isinstance(module, nn.Conv2d):
            layers.append(FloatConv(name, site, _weight(module.weight), _array(module.bias)))
        elif isinstance(module, nn.LeakyReLU):
            next(layer for layer in reversed(layers) if isinstance(layer, FloatConv)).leaky = True
        else:
            raise TypeError(f"{name}: no layer of the format for {type(module).__name__}")
    return layers


def _prior_step(prefix: str, step: nn.Sequential, latent_channels: int) -> FloatPriorStep:
    trunk = _trunk(f"{prefix}.trunk", step[:-1])
    weight, bias = _weight(step[-1].weight), _array(step[-1].bias)
    return FloatPriorStep(
        trunk,
        mean=FloatConv(f"{prefix}.mean", LATENT, weight[:latent_channels], bias[:latent_channels]),
        deviation=FloatConv(
            f"{prefix}.deviation",
            f"{prefix}.deviation",
            weight[latent_channels:] / math.log(2),
            bias[latent_channels:] / math.log(2),
        ),
    )


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().numpy().astype(np.float64)


def _weight(tensor: Tensor) -> np.ndarray:
    """[O][I][ky][kx] -> [O][ky][kx][I]"""
    return _array(tensor).transpose(0, 2, 3, 1).copy()
