"""Self-check of the exporter: `python3 test_export.py`. Takes some ten seconds and needs no files."""

from __future__ import annotations

import traceback

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

import export
import layers
import structure
from enlargement import Enlargement
from integer_model import IntegerModel, _exact_conv
from layers import LATENT, PICTURE, FloatConv, run, to_layers
from network import Config, Network, by_quality, pixel_centers
from quantize import ExportError, Quantizer, Scale, conv_bounds, fit_conv
from tables import PRECISION, SYMBOLS, Table, code_lengths, fit_table, fit_tables, integer_frequencies

SIZES = Config(c4=8, c8=8, cy=32, hy=16, cm=8, hid=8, n=(1, 1, 1), nd=(1, 1, 1), cz=8, ch=8, cp=16)


def small_network(seed: int = 1) -> Network:
    """Random, with every parameter in use."""
    torch.manual_seed(seed)
    network = Network(SIZES).eval()
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.split(".")[-1] in ("q", "qdec", "qhead", "qemb", "bias", "zmu"):
                parameter.normal_(0, 0.1)
            elif parameter.abs().max() == 0:
                parameter.normal_(0, 0.03)
        network.lgy += 2
        network.lgz += 1
    return network


def random_pictures(count: int, size: int) -> list[np.ndarray]:
    """Smooth colors with edges."""
    random = np.random.default_rng(5)
    pictures = []
    for _ in range(count):
        coarse = torch.from_numpy(random.uniform(0, 255, (1, 3, 5, 5)).astype(np.float32))
        smooth = F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=True)[0]
        smooth[:, size // 3 :, size // 4 : size // 2] = 255 - smooth[:, size // 3 :, size // 4 : size // 2]
        pictures.append(smooth.clamp(0, 255).byte().permute(1, 2, 0).numpy().copy())
    return pictures


def small_export(seed: int = 1) -> tuple[Network, IntegerModel, Quantizer, list[np.ndarray]]:
    network = small_network(seed)
    crops = random_pictures(2, 128)
    model = to_layers(network)
    quantizer = Quantizer(model, export.observe_ranges(model, crops, (1, 100)))
    return network, quantizer.build("small", fit_tables(model.hyper_deviation), {}), quantizer, crops


def close(a: Tensor, b: Tensor, tolerance: float) -> None:
    worst = (a - b).abs().max().item()
    assert worst <= tolerance, f"{worst} apart, {tolerance} allowed"


# --- layers ---


@torch.no_grad()
def test_layers_are_the_network() -> None:
    network = small_network()
    model = to_layers(network)
    s, quality = torch.tensor([36 / 99]), 37
    picture = torch.rand(1, 3, 128, 192) - 0.5
    y = network.analyze(picture, s)
    close(run(model.analysis, picture, quality, PICTURE), y, 1e-4)
    close(run(model.synthesis, y, quality, LATENT), network.features(y, s), 1e-4)
    z = network.ha(y)
    close(run(model.hyper_analysis, y, quality, LATENT), z, 1e-4)
    h = network.hs(z) + by_quality(network.qemb, s)
    close(run(model.hyper_synthesis, z, quality, layers.HYPER), h, 1e-4)
    for t, step in enumerate(model.prior):
        context = torch.cat([h, y], 1) if t else h
        mean, log_deviation = network.prior[t](context).chunk(2, 1)
        integer_mean, octaves = layers.run_prior_step(step, context, quality, lambda site, values: None)
        close(integer_mean, mean, 1e-4)
        close(octaves, log_deviation / np.log(2), 1e-4)


def test_unshuffle_orders_channels_by_row_column_channel() -> None:
    x = torch.arange(2 * 4 * 4).reshape(1, 2, 4, 4)
    y = layers.unshuffle(x, 2)
    for dy, dx, c in np.ndindex(2, 2, 2):
        assert torch.equal(y[0, (dy * 2 + dx) * 2 + c], x[0, c, dy::2, dx::2])
    assert torch.equal(layers.shuffle(y, 2), x)


# --- integers ---


@torch.no_grad()
def test_integers_follow_the_floats() -> None:
    network, model, quantizer, crops = small_export()
    scale = torch.from_numpy(quantizer.scales[LATENT].factors).float()[:, None, None]
    for quality in (1, 60, 100):
        s = torch.tensor([(quality - 1) / 99])
        y = model.analyze(crops[0], quality)
        expected = network.analyze(export.to_input(crops[0]), s)
        close(y / scale, expected, 0.01 * expected.abs().max().item())
        latents = model.code(y, quality).latents
        shown = network.native(network.features(latents / scale, s))[0].permute(1, 2, 0).numpy()
        shown = np.clip((shown + 0.5) * 255, 0, 255)
        worst = np.abs(shown - model.render(latents, quality)).max()
        assert worst < 1.0, f"quality {quality}: pixels differ by {worst}"


def test_float32_convolutions_of_integers_are_exact() -> None:
    random = np.random.default_rng(3)
    for largest, reach in ((32767, 100), (8191, 400), (1, 32767), (32767, 1)):
        x = torch.from_numpy(random.integers(-largest, largest + 1, (1, 48, 9, 9)).astype(np.int32))
        weight = torch.from_numpy(random.integers(-reach, reach + 1, (8, 48, 3, 3)).astype(np.int32))
        expected = F.conv2d(x.double(), weight.double(), padding=1).int()
        assert torch.equal(_exact_conv(x, weight.float()), expected)


def test_bounds_refuse_what_overflows() -> None:
    limits = np.full(10, 32767)
    weight = np.full((8, 1, 1, 10), 6553)
    bias = np.zeros(8)
    bias[3] = 2**31 - 1 - 65530 * 32767
    assert conv_bounds(weight, bias, 0, limits).max() == 2**31 - 1
    assert fit_conv("fits", weight, bias, limits)[0] == 0
    bias[3] += 1
    assert conv_bounds(weight, bias, 0, limits).max() == 2**31
    for name, broken, broken_bias, reach in (("sum", weight, bias, limits), ("int16", weight * 6, 0 * bias, limits // 99)):
        try:
            fit_conv(name, broken, broken_bias, reach)
        except ExportError:
            continue
        raise AssertionError("an overflowing layer was accepted")


def test_quantizer_refuses_a_network_beyond_integers() -> None:
    network = small_network()
    model = to_layers(network)
    ranges = export.observe_ranges(model, random_pictures(1, 128), (50,))
    conv = next(layer for layer in model.analysis if isinstance(layer, FloatConv))
    conv.weight *= 1e6
    try:
        Quantizer(model, ranges).build("broken", fit_tables(model.hyper_deviation), {})
    except ExportError:
        return
    raise AssertionError("weights beyond 16 bits were accepted")


def test_the_rounding_constant_counts() -> None:
    assert conv_bounds(np.zeros((1, 1, 1, 2)), np.zeros(1), 4, np.array([1, 1])).max() == 8
    assert Scale(np.ones(2), 5).limits.tolist() == [5, 5]


# --- tables ---


def test_frequencies_are_valid() -> None:
    random = np.random.default_rng(2)
    for size in (2, 7, 62, 1024):
        frequency = integer_frequencies(random.random(size) ** 9, 1 << PRECISION)
        assert frequency.sum() == 1 << PRECISION and frequency.min() >= 1
    tables = fit_tables(np.geomspace(0.05, 20, 800).reshape(100, 8))
    assert len(tables.tables) <= 256 and len(tables.tables[0].frequency) == 0
    assert tables.hyper_index.min() == 0 and tables.hyper_index.max() == len(tables.tables) - 1
    for table in tables.tables[1:]:
        assert table.frequency.sum() == 1 << PRECISION and table.frequency.min() >= 1
        assert 3 <= len(table.frequency) <= 64 and 0 <= table.raw_bits <= 12
        assert table.minimum << table.raw_bits >= -32768
        assert (table.minimum + len(table.frequency) - 1) << table.raw_bits <= 32768


def test_tables_follow_counts() -> None:
    counts = np.zeros(65536)
    counts[32768] = 7000
    counts[32768 + np.array([-1, 1])] = 1500
    table = fit_table(1.0, counts)
    chance = table.frequency[-table.minimum] / (1 << PRECISION)
    assert abs(chance - 0.7) < 0.005, chance
    assert np.abs(table.frequency[:-1] - table.frequency[-2::-1]).max() <= 1, "not symmetrical"


def test_tables_cost_about_the_entropy() -> None:
    random = np.random.default_rng(4)
    for deviation in (0.3, 3.0, 40.0, 900.0):
        table = fit_table(deviation, np.zeros(65536))
        symbols = np.rint(random.normal(0, deviation, 20000)).astype(int)
        cost = code_lengths(table, symbols).mean()
        share = np.exp(-0.5 * (SYMBOLS / deviation) ** 2)
        share /= share.sum()
        entropy = -(share[share > 0] * np.log2(share[share > 0])).sum() if deviation > 1 else None
        assert entropy is None or cost < entropy + 0.05, (deviation, cost, entropy)


def test_code_lengths_of_bypass_and_raw_bits() -> None:
    table = Table(np.array([4096, 8192, 4096]), -1, 2)
    assert code_lengths(table, np.array([-4, -1, 0, 3, 4, -5])).tolist() == [4, 4, 3, 3, 18, 18]


# --- files ---


def test_the_same_input_gives_the_same_bytes() -> None:
    first, second = (small_export()[1].to_bytes() for _ in range(2))
    assert first == second
    assert first != small_export(seed=2)[1].to_bytes()
    read = IntegerModel.from_bytes(first)
    assert read.to_bytes() == first


def test_a_damaged_model_is_refused() -> None:
    data = bytearray(small_export()[1].to_bytes())
    data[-1] ^= 1
    try:
        IntegerModel.from_bytes(bytes(data))
    except ValueError:
        return
    raise AssertionError("a wrong hash was accepted")


# --- head ---


def test_the_head_of_training_is_the_head() -> None:
    network = small_network()
    p = torch.randn(2, SIZES.hid, 9, 9)
    window, scale, top, left = 8, 1.7, 3, 7
    enlargement = Enlargement(9, window, torch.device("cpu"))
    enlargement.set(scale, top, left)
    centers = pixel_centers(window, scale, top), pixel_centers(window, scale, left)
    results = []
    for head in (
        lambda source: network.head(source, *centers, 1 / scale, 1 / scale),
        lambda source: enlargement.head(network, source),
    ):
        network.zero_grad()
        source = p.clone().requires_grad_()
        out = head(source)
        out.square().sum().backward()
        results.append([out.detach(), source.grad, network.rel.grad, network.out.weight.grad, network.out.bias.grad])
    for plain, trained in zip(*results):
        close(trained, plain, 1e-3 * max(1.0, plain.abs().max().item()))


# --- error ---


def test_structure_steers_the_error_and_leaves_its_value() -> None:
    wanted = torch.rand(2, 3, 64, 48) - 0.5
    source = (0.8 * wanted + 0.05 * torch.randn_like(wanted)).requires_grad_()

    def plane(x: torch.Tensor) -> torch.Tensor:
        return structure.levels(structure.luma(x))

    pulls = []
    for share in (0.0, 0.5, 1.0):
        error = structure.error(source, wanted, share)
        close(error.detach(), 255**2 * (source.detach() - wanted).square().mean((1, 2, 3)), 0.1)
        pulls.append(torch.autograd.grad(error.sum(), source)[0])
    close(pulls[0], 2 * 255**2 * (source.detach() - wanted) / wanted[0].numel(), 1e-4)
    close(pulls[1], (pulls[0] + pulls[2]) / 2, 1e-3)
    before = structure.similarity(plane(source.detach()), plane(wanted))
    step = 1e-3 / pulls[2].abs().max()
    after = structure.similarity(plane(source.detach() - step * pulls[2]), plane(wanted))
    assert (after > before).all(), (before, after)


def test_structure_counts_less_the_higher_the_quality() -> None:
    wanted = torch.rand(3, 3, 32, 32) - 0.5
    source = (0.8 * wanted).requires_grad_()

    def pull(share: torch.Tensor | float) -> torch.Tensor:
        return torch.autograd.grad(structure.error(source, wanted, share).sum(), source)[0]

    shares = structure.share_at(torch.tensor([0.0, 0.5, 1.0]), 0.4)
    mixed, whole = pull(shares), [pull(share) for share in (0.4, 0.3, 0.0)]
    for i, expected in enumerate(whole):
        close(mixed[i], expected[i], 1e-6)


def test_the_frame_of_a_picture_counts_more() -> None:
    weights = structure.frame_weights(12, torch.device("cpu"))
    assert (weights == weights.T).all() and (weights == weights.flip(0)).all()
    assert weights[6].tolist() == [*structure.FRAME, 1, 1, 1, 1, *reversed(structure.FRAME)]
    wanted = torch.rand(1, 3, 12, 12) - 0.5
    source = (0.9 * wanted).requires_grad_()
    for share in (0.0, 0.5):
        even, framed = (
            torch.autograd.grad(structure.error(source, wanted, share, by).sum(), source)[0] for by in (1.0, weights)
        )
        close(framed, weights * even, 1e-3)


def main() -> None:
    torch.set_num_threads(1)
    export.say = lambda text: None
    failures = 0
    for name, test in list(globals().items()):
        if name.startswith("test_"):
            try:
                test()
                print(f"ok    {name}")
            except Exception:
                failures += 1
                print(f"FAIL  {name}\n{traceback.format_exc()}")
    raise SystemExit(f"{failures} failed" if failures else 0)


if __name__ == "__main__":
    main()
