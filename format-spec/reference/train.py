"""Trains the float network.

    python3 train.py --data DIR --out RUN --minutes 600
    python3 train.py --data DIR --out RUN --minutes 600 --resume RUN/last.pt

DIR holds tar archives of pictures of at least 512 x 512 pixels: train-*.tar, and validation-*.tar for the figures printed
on the way. RUN receives `average.safetensors`, the moving average of the weights (what `export.py` reads), and
`last.pt`, everything needed to go on.

The recipe. All qualities are trained at once: each picture of a batch gets a random one, and the loss is its bits a pixel
plus lambda(quality) times the squared error. As in the paper, scale is random: a picture reduced by 1..4 is coded, and
the original asked for; or a picture is coded and a reduction to 1..1/4 asked for; most often both are the same. The main
path starts as a Karhunen-Loeve block transform and the head as bilinear interpolation, so training starts from a working
linear codec.

What was learned on the way: plain ReLU at a rate of 1e-3 kills most residuals within minutes, and the linear path hides
it from the loss (watch the share of active units); 8e-4 is unstable, 4.5e-4 is fine; pictures come from a process of
their own, since a thread starves the trainer through the interpreter's lock.
"""

from __future__ import annotations

import argparse
import copy
import io
import math
import random
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as multiprocessing
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from fused_head import fused_head, library
from network import (
    LAMBDA_LOW, Config, Down, Network, Up, load_checkpoint, pixel_centres, rate_distortion_weight, save_checkpoint,
)  # fmt: skip

INPUT_SIZE = 192
PIXELS_A_BATCH = 5 * INPUT_SIZE**2
WINDOW = 192
"""The head is trained on a window of at most so many output pixels."""
ENLARGED_SHARE, ENLARGED_WEIGHT = 0.30, 0.25
REDUCED_SHARE, REDUCED_WEIGHT = 0.12, 0.5
FLATTENING = 0.35
"""Losses are divided by (lambda / lowest lambda) to this power, so that high qualities do not drown low ones."""
AVERAGE_DECAY = 0.9995
QUALITY_PARAMETERS = {"lgy", "lgz", "zlogs", "zmu", "qemb", "qdec", "qhead", "q"}
QUALITY_RATE = 3.0
"""Learning rate of those, relative to weights."""
SAVE_SECONDS = 300


# --- pictures ---


class Corpus:
    """Pictures of tar archives, by set: a set is the part of a file's name before its last dash."""

    def __init__(self, archives: list[Path]) -> None:
        sets: dict[str, list[np.ndarray]] = {}
        for path in archives:
            with tarfile.open(path) as archive:
                for member in archive:
                    stream = archive.extractfile(member)
                    if stream is not None:
                        pixels = np.asarray(Image.open(io.BytesIO(stream.read())).convert("RGB"))
                        sets.setdefault(Path(member.name).name.rsplit("-", 1)[0], []).append(pixels)
        self.pictures = [picture for _, pictures in sorted(sets.items()) for picture in pictures]
        if not self.pictures:
            raise ValueError("no pictures in the archives")

    def crop(self, size: int) -> Tensor:
        """A random square, flipped and transposed at random: (3, size, size), -0.5..0.5."""
        pixels = random.choice(self.pictures)
        top = random.randrange(pixels.shape[0] - size + 1)
        left = random.randrange(pixels.shape[1] - size + 1)
        pixels = pixels[top : top + size, left : left + size]
        if random.random() < 0.5:
            pixels = pixels[:, ::-1]
        if random.random() < 0.5:
            pixels = pixels[::-1]
        if random.random() < 0.5:
            pixels = pixels.transpose(1, 0, 2)
        return torch.from_numpy(pixels.copy()).permute(2, 0, 1).float() / 255 - 0.5

    def crops(self, size: int, coded_size: int) -> Tensor:
        """As many as make a batch when they are coded at coded_size x coded_size."""
        return torch.stack([self.crop(size) for _ in range(max(2, PIXELS_A_BATCH // coded_size**2))])


def resize(x: Tensor, size: int) -> Tensor:
    return F.interpolate(x, size=(size, size), mode="bicubic", antialias=True, align_corners=False).clamp(-0.5, 0.5)


Batch = tuple[Tensor, Tensor, float, float]
"""Input (B, 3, n, n), target (B, 3, m, m), scale m / n, weight of the error."""


def random_batch(corpus: Corpus) -> Batch:
    kind = random.random()
    if kind < ENLARGED_SHARE:
        scale = random.uniform(1, 4)
        size = INPUT_SIZE if scale < 2.66 and random.random() < 0.5 else 128
        target_size = int(size * scale)
        target = corpus.crops(target_size, size)
        return resize(target, size), target, target_size / size, ENLARGED_WEIGHT
    picture = corpus.crops(INPUT_SIZE, INPUT_SIZE)
    if kind < ENLARGED_SHARE + REDUCED_SHARE:
        target_size = random.randint(INPUT_SIZE // 4, INPUT_SIZE)
        return picture, resize(picture, target_size), target_size / INPUT_SIZE, REDUCED_WEIGHT
    return picture, picture, 1.0, 1.0


def feed(queue, corpus: Corpus, seed: int) -> None:
    torch.set_num_threads(1)
    random.seed(seed)
    while True:
        queue.put(random_batch(corpus))


# --- the start ---


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
    """Of blocks of x: columns by descending power, and the powers."""
    blocks = F.unfold(x, block, stride=block).permute(0, 2, 1).flatten(0, 1)
    centred = blocks - blocks.mean(0)
    power, basis = torch.linalg.eigh((centred.T @ centred / len(blocks)).double())
    return basis.flip(1).float(), power.flip(0).clamp_min(1e-9).float()


# --- learning ---

HeadFunction = Callable[[Network, Tensor, Tensor, Tensor, float, float], Tensor]


def choose_head(network: Network) -> HeadFunction:
    try:
        library(network.config.hid)
        return fused_head
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"training with the slower head: {error}", file=sys.stderr)
        return Network.head


def render(
    network: Network, head: HeadFunction, latents: Tensor, s: Tensor, scale: float, size: int, top: int = 0, left: int = 0
) -> Tensor:
    """A window of size x size output pixels of the picture enlarged by `scale`."""
    p = network.features(latents, s)
    rows, columns = pixel_centres(size, scale, top), pixel_centres(size, scale, left)
    return head(network, p, rows, columns, 1 / scale, 1 / scale)


def losses(network: Network, head: HeadFunction, batch: Batch, s: Tensor, bfloat16: bool) -> tuple[Tensor, Tensor]:
    """-> the loss, and bits a pixel of each picture."""
    picture, target, scale, weight = batch
    size = min(WINDOW, target.shape[-1])
    top, left = (random.randint(0, target.shape[-1] - size) for _ in range(2))
    picture = picture.contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
        latents, bits = network.entropy(network.analyze(picture, s), s)
        shown = render(network, head, latents, s, scale, size, top, left)
    rate = bits / picture[0, 0].numel()
    wanted = target[:, :, top : top + size, left : left + size]
    error = (shown - wanted).square().mean((1, 2, 3)) * 255**2
    trade = rate_distortion_weight(s)
    loss = (rate + weight * trade * error) * (trade / LAMBDA_LOW) ** -FLATTENING
    return loss.mean(), rate


def optimizer_for(network: Network, rate: float) -> torch.optim.Adam:
    by_quality: list[nn.Parameter] = []
    weights: list[nn.Parameter] = []
    for name, parameter in network.named_parameters():
        (by_quality if name.split(".")[-1] in QUALITY_PARAMETERS else weights).append(parameter)
    groups = [{"params": weights, "factor": 1.0}, {"params": by_quality, "factor": QUALITY_RATE}]
    return torch.optim.Adam(groups, lr=rate, betas=(0.9, 0.98))


@torch.no_grad()
def validate(network: Network, head: HeadFunction, pictures: Tensor) -> str:
    """Bits a pixel and PSNR at five qualities; PSNR of enlargements beside bicubic ones. `pictures`: (N, 3, 512, 512)."""

    def psnr(shown: Tensor, wanted: Tensor) -> float:
        error = ((shown.clamp(-0.5, 0.5) - wanted) * 255).square().mean((1, 2, 3))
        return (10 * torch.log10(255**2 / error)).mean().item()

    network.eval()
    figures = []
    groups = pictures.split(4)
    for quality in (0.0, 0.25, 0.5, 0.75, 1.0):
        rows = []
        for group in groups:
            x = group[:, :, 128:384, 128:384].contiguous()
            s = torch.full((len(x),), quality)
            latents, bits = network.entropy(network.analyze(x, s), s)
            rows.append((bits.mean().item() / 256**2, psnr(render(network, head, latents, s, 1.0, 256), x)))
        figures.append("s {:.2f}: {:.3f} bpp {:.2f} dB".format(quality, *np.mean(rows, 0)))
    for scale in (2, 4):
        rows = []
        for x in groups:
            small = resize(x, 512 // scale)
            s = torch.full((len(x),), 0.9)
            latents, _ = network.entropy(network.analyze(small, s), s)
            native = render(network, head, latents, s, 1.0, 512 // scale).clamp(-0.5, 0.5)
            bicubic = F.interpolate(native, scale_factor=scale, mode="bicubic", align_corners=False)
            rows.append((psnr(render(network, head, latents, s, float(scale), 512), x), psnr(bicubic, x)))
        figures.append("x{}: {:.2f} dB, bicubic {:.2f}".format(scale, *np.mean(rows, 0)))
    network.train()
    return "; ".join(figures)


class Trainer:
    def __init__(self, args: argparse.Namespace, corpus: Corpus) -> None:
        self.args = args
        self.iteration = 0
        state = torch.load(args.resume, map_location="cpu") if args.resume and args.resume.suffix == ".pt" else None
        if state:
            self.network = Network(Config(**state["config"]))
            self.network.load_state_dict(state["network"])
            self.iteration = state["iteration"]
        elif args.resume:
            self.network = load_checkpoint(args.resume)
        else:
            self.network = Network()
            pca_start(self.network, torch.stack([corpus.crop(256) for _ in range(300)]))
        self.network.train()
        self.average = copy.deepcopy(self.network)
        self.optimizer = optimizer_for(self.network, args.rate)
        if state:
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
        self.head = choose_head(self.network)

    def rate_at(self, share: float, steps: int) -> float:
        """Cosine from --rate to --last-rate over the run, after a short rise."""
        last, first = self.args.last_rate, self.args.rate
        return (last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))) * min(1, (steps + 1) / 200)

    def step(self, batch: Batch, rate: float) -> tuple[float, float, float]:
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        s = torch.rand(len(batch[0]))
        loss, bits = losses(self.network, self.head, batch, s, not self.args.float32)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        self.iteration += 1
        decay = min(AVERAGE_DECAY, self.iteration / (self.iteration + 50))
        with torch.no_grad():
            for parameter, average in zip(self.network.parameters(), self.average.parameters()):
                average.lerp_(parameter, 1 - decay)
        return loss.item(), bits.mean().item(), norm.item()

    def save(self) -> None:
        config = self.network.config
        state = {
            "config": vars(config),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
        }
        partial = self.args.out / "last.pt.partial"
        torch.save(state, partial)
        partial.replace(self.args.out / "last.pt")
        save_checkpoint(self.args.out / "average.safetensors", config, self.average.state_dict())


def train(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    corpus = Corpus(sorted(args.data.glob("train-*.tar")))
    held_out = Corpus(sorted(args.data.glob("validation-*.tar"))).pictures
    held_out = np.stack(held_out[:: max(1, len(held_out) // 24)][:24])
    held_out = torch.from_numpy(held_out).permute(0, 3, 1, 2).float() / 255 - 0.5
    trainer = Trainer(args, corpus)
    queue = multiprocessing.Queue(4)
    multiprocessing.Process(target=feed, args=(queue, corpus, args.seed + trainer.iteration), daemon=True).start()
    weights = sum(parameter.numel() for parameter in trainer.network.parameters())
    print(f"{weights} weights, {len(corpus.pictures)} pictures, from iteration {trainer.iteration}", flush=True)

    begin = validated = saved = time.monotonic()
    steps, figures = 0, []
    while (now := time.monotonic()) - begin < args.minutes * 60:
        rate = trainer.rate_at((now - begin) / (args.minutes * 60), steps)
        figures.append(trainer.step(queue.get(), rate))
        steps += 1
        if trainer.iteration % args.log_every == 0:
            loss, bits, norm = np.mean(figures, 0)
            figures = []
            print(
                f"{trainer.iteration}: {(now - begin) / 60:.1f} min, rate {rate:.1e}, "
                f"loss {loss:.4f}, {bits:.3f} bpp, gradient {norm:.1f}",
                flush=True,
            )
        if now - saved > SAVE_SECONDS:
            saved = now
            trainer.save()
        if now - validated > args.validate_every * 60:
            validated = now
            print(validate(trainer.average, trainer.head, held_out), flush=True)
    trainer.save()
    print(f"end at {trainer.iteration}: {validate(trainer.average, trainer.head, held_out)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the float network.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="train-*.tar and validation-*.tar")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="last.pt of a run, or a .safetensors checkpoint")
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--rate", type=float, default=4e-4, help="learning rate (default: %(default)s)")
    parser.add_argument("--last-rate", type=float, default=1e-5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--float32", action="store_true", help="no bfloat16 convolutions")
    parser.add_argument("--log-every", type=int, default=200, metavar="ITERATIONS")
    parser.add_argument("--validate-every", type=float, default=30, metavar="MINUTES")
    args = parser.parse_args()
    try:
        train(args)
    except (OSError, ValueError) as error:
        sys.exit(f"train: {error}")


if __name__ == "__main__":
    main()
