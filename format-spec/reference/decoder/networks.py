"""Chapter 3: Networks. Layers (3.3), the latents of a chunk (3.6) and the synthesis of a level (3.7).

Tensors are int16 arrays (H, W, C). Accumulators are float64: a loader has proved them below 2^31 (3.8), and float64 adds integers
below 2^53 exactly, in any order. Quotes are from format-spec/3-networks.md.
"""

import numpy as np

from entropy import SymbolReader
from model import Conv, Residual, Row, Shuffle, Unshuffle

# ---------------------------------------------------------------- 3.1 Notation


def round_shift(v, s):
    # "(v + (1 << (s-1))) >> s for s > 0; v for s = 0"
    return (v + (1 << (s - 1))) >> s if s > 0 else v


def clamp(v, limit):
    return np.clip(v, -limit, limit)


# ---------------------------------------------------------------- 3.3 Layers

BAND = 64  # rows that are convolved at a time, to bound memory


def conv(layer, x, quality):
    height, width, inputs = x.shape
    r = (layer.kernel - 1) // 2
    # "positions outside the picture (3.5) count as zero"
    padded = np.zeros((height + 2 * r, width + 2 * r, inputs))
    padded[r : r + height, r : r + width] = x
    weight = layer.weight.astype(np.float64)
    bias = layer.bias if layer.bias.ndim == 1 else layer.bias[quality - 1]
    out = np.empty((height, width, layer.outputs), np.int16)
    for top in range(0, height, BAND):
        rows = min(BAND, height - top)
        # "acc = bias[o] + sum over ky,kx,i of weight[o][ky][kx][i] * in[y+ky-r][x+kx-r][i]"
        acc = np.zeros((rows * width, layer.outputs))
        for ky in range(layer.kernel):
            for kx in range(layer.kernel):
                window = padded[top + ky : top + ky + rows, kx : kx + width]
                acc += window.reshape(rows * width, inputs) @ weight[:, ky, kx, :].T
        # "v = clamp(round(acc, s), A)", "out[y][x][o] = leaky ? leaky(v) : v"
        v = clamp(round_shift(acc.astype(np.int64) + bias, layer.shift), layer.limit)
        if layer.leaky:
            v = np.maximum(v, v >> 3)
        out[top : top + rows] = v.reshape(rows, width, layer.outputs)
    return out


def unshuffle(k, x):
    # "out[y][x][(dy*k + dx)*C + c] = in[y*k + dy][x*k + dx][c]"
    height, width, channels = x.shape
    return x.reshape(height // k, k, width // k, k, channels).transpose(0, 2, 1, 3, 4).reshape(height // k, width // k, -1)


def shuffle(k, x):
    # "out[y*k + dy][x*k + dx][c] = in[y][x][(dy*k + dx)*C + c]"
    height, width, channels = x.shape
    return x.reshape(height, width, k, k, -1).transpose(0, 2, 1, 3, 4).reshape(height * k, width * k, channels // (k * k))


def run(layers, x, quality):
    for layer in layers:
        if isinstance(layer, Conv):
            x = conv(layer, x, quality)
        elif isinstance(layer, Residual):
            # "out = clamp(in + second(first(in)), A)"
            branch = conv(layer.second, conv(layer.first, x, quality), quality)
            x = clamp(x.astype(np.int32) + branch, layer.limit).astype(np.int16)
        elif isinstance(layer, Unshuffle):
            x = unshuffle(layer.factor, x)
        elif isinstance(layer, Shuffle):
            x = shuffle(layer.factor, x)
        elif isinstance(layer, Row):
            # "out[y][x][c] = clamp(in[y][x][c] + row[q-1][c], A)"
            x = clamp(x.astype(np.int64) + layer.row[quality - 1], layer.limit).astype(np.int16)
    return x


# ---------------------------------------------------------------- 3.6 Latents


def hyper_latents(model, symbols, quality):
    """z of a chunk from its symbols (hz, wz, Cz)."""
    # "z[y][x][c] = clamp(round(n*hyper.step[q-1][c] + hyper.offset[q-1][c], K), A)"
    hyper = model.hyper
    q = quality - 1
    product = symbols.astype(np.int64) * hyper.step[q] + hyper.offset[q]
    return clamp(round_shift(product, hyper.step_bits), hyper.limit).astype(np.int16)


def chunk_latents(model, quality, h, w, next_symbol):
    """y (h, w, Cy) of one chunk. `next_symbol(channel, table, mean)` yields its symbols in the order of 2.4; `mean` is None for
    hyper latents and otherwise only of interest to a writer of symbols.
    """
    q = quality - 1
    cy, cz = model.latent_channels, model.hyper_channels
    hz, wz = -(-h // 4), -(-w // 4)

    # 2.4: "The hyper latents: by row, then by column, then by channel, 0 .. Cz-1. Their table is hyper.table[q-1][c]."
    tables = [model.tables[i] for i in model.hyper.table[q]]
    symbols = np.array([next_symbol(c, tables[c], None) for _ in range(hz * wz) for c in range(cz)])
    z = hyper_latents(model, symbols.reshape(hz, wz, cz), quality)

    # "h = hyperSynthesis(z) is (4*hz,4*wz,Ch). It is cropped to the first h rows and w columns."
    context = run(model.hyper_synthesis, z, quality)[:h, :w]

    # "y is (h,w,Cy) and begins as zeros. For each step t = 0 .. 3 of the prior"
    y = np.zeros((h, w, cy), np.int16)
    latent = model.latent
    for t, (trunk, mean_conv, deviation_conv) in enumerate(model.prior):
        # "The trunk reads h for t = 0. For t > 0 it reads the channels of h followed by those of y."
        x = run(trunk, context if t == 0 else np.concatenate([context, y], axis=2), quality)
        mean = conv(mean_conv, x, quality)
        deviation = conv(deviation_conv, x, quality).astype(np.int64)
        # "clamp((deviation[r][x][c] + latent.deviationOffset[q-1][c]) >> latent.deviationShift, 0, tables-1)"
        index = (deviation + latent.deviation_offset[q]) >> latent.deviation_shift
        index = np.clip(index, 0, len(model.tables) - 1)
        # 2.4: "by row, then by column of the h x w latents, then the channels of the position's group (3.6) in increasing order"
        symbols = np.zeros((h, w, cy), np.int64)
        coded = np.zeros((h, w, cy), bool)
        for row in range(h):
            for column in range(w):
                # "Position [r][x] has the parity p = 2*(r mod 2) + (x mod 2). Step t codes there the channels of group g = (p - t) mod 4"
                group = (2 * (row % 2) + column % 2 - t) % 4
                channels = slice(group * cy // 4, (group + 1) * cy // 4)
                symbols[row, column, channels] = [
                    next_symbol(c, model.tables[i], m)
                    for c, i, m in zip(
                        range(channels.start, channels.stop),
                        index[row, column, channels].tolist(),
                        mean[row, column, channels].tolist(),
                    )
                ]
                coded[row, column, channels] = True
        # "y[r][x][c] = clamp(mean[r][x][c] + round(n*latent.step[q-1][c], K), A)"
        value = clamp(mean + round_shift(symbols * latent.step[q], latent.step_bits), latent.limit)
        y[coded] = value[coded]
    return y


def decode_chunk(model, quality, h, w, data, at):
    """y (h, w, Cy) of a chunk's bytes, which lie at `at` in the file."""
    count = -(-h // 4) * -(-w // 4) * model.hyper_channels + h * w * model.latent_channels
    reader = SymbolReader(data, count, model.precision, at)
    y = chunk_latents(model, quality, h, w, lambda channel, table, mean: reader.symbol(channel, table))
    reader.finish()
    return y


# ---------------------------------------------------------------- 3.7 Synthesis


def synthesize(model, quality, y):
    """P (16h, 16w, hidden) of the latents of a whole level and plane."""
    return run(model.synthesis, y, quality)
