"""Trains the float network on a CUDA device: the recipe of train.py, made for a GPU.

    python3 train_cuda.py --data DIR --out RUN --minutes 20 --resume liif-1-float16.safetensors

DIR and RUN are those of train.py, and so is the loss. What differs:

- Pictures lie in the device's memory, and crops are taken there: a processor cannot cut and resize as fast as a GPU learns.
- Batches come in two shapes only: a picture and itself, or a picture reduced by 1..4 and a window of the original. Each is
  captured once as a CUDA graph, forward and backward; a thousand small kernels would wait for Python otherwise.
  A reduction is never asked of the head: decoders render at a scale of 1 or more and filter (specification 4.7).
- Half a batch's pictures may be reduced before they are coded, by 1..2: more kinds of detail from the same pictures.
- Convolutions are float16 with a scaled loss, not bfloat16: eight bits of mantissa cost 0.1 dB at quality 100.
- Sites are chosen by matrices of zeros and ones, whose gradient is a matrix product instead of a scattered sum.

Archives that appear in DIR while training runs are read in when a file `reload` appears beside them.
"""

from __future__ import annotations

import argparse
import copy
import io
import json
import math
import random
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from network import LAMBDA_LOW, Network, load_checkpoint, rate_distortion_weight, save_checkpoint
from train import ENLARGED_SHARE, ENLARGED_WEIGHT, FLATTENING, optimizer_for, pca_start, resize, validate

SIZE = 512
"""Pictures of the corpus are that wide and high."""
NATIVE_SIZE = 256
ENLARGED_SIZE = 128
WINDOW = 128
"""Output pixels a side of an enlargement."""
RAW_SHARE = 0.6
"""Of native batches, those whose pictures are coded as they are; the others are reduced by 1..2 first."""
AVERAGE_DECAY = 0.999
WARM_UP = 500


# --- pictures ---


class Corpus:
    """Pictures in the device's memory, (N, 512, 512, 3), 8 bits. Graphics (names with "graphics") weigh more."""

    def __init__(self, folder: Path, device: torch.device, graphics_weight: float) -> None:
        pictures, weights = [], []
        for archive in sorted(folder.glob("train-*.tar")):
            found = read_archive(archive)
            pictures.append(found)
            weights += [graphics_weight if "graphics" in archive.name else 1.0] * len(found)
        if not pictures:
            raise ValueError(f"no train-*.tar in {folder}")
        self.pictures = torch.from_numpy(np.concatenate(pictures)).to(device)
        self.weights = torch.tensor(weights, device=device)

    def crops(self, count: int, size: int) -> Tensor:
        """Random squares, flipped and transposed at random: (count, 3, size, size), -0.5..0.5."""
        device = self.pictures.device
        chosen = torch.multinomial(self.weights, count, replacement=True)
        line = torch.arange(size, device=device)
        rows, columns = (self._ranges(count, size, line) for _ in range(2))
        pixels = self.pictures[chosen[:, None, None], rows[:, :, None], columns[:, None, :]]
        pixels = pixels.permute(0, 3, 1, 2).float() / 255 - 0.5
        return torch.cat([pixels[: count // 2], pixels[count // 2 :].transpose(2, 3)])

    def _ranges(self, count: int, size: int, line: Tensor) -> Tensor:
        """Positions of `size` neighbors, up or down, one range a picture."""
        first = torch.randint(SIZE - size + 1, (count, 1), device=line.device)
        down = torch.randint(2, (count, 1), device=line.device)
        return first + torch.where(down == 1, size - 1 - line, line)


def read_archive(path: Path) -> np.ndarray:
    def decode(data: bytes) -> np.ndarray:
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    with tarfile.open(path) as archive, ThreadPoolExecutor(8) as pool:
        files = [stream.read() for member in archive if (stream := archive.extractfile(member))]
        return np.stack([p for p in pool.map(decode, files) if p.shape == (SIZE, SIZE, 3)])


# --- the head ---


def chosen_sites(sites: Tensor, count: int) -> Tensor:
    """(n,) indices -> (n, count): row i has its one at the site nearest to sites[i] inside."""
    return F.one_hot(sites.long().clamp(0, count - 1), count).float()


class Query:
    """What `Network.head` needs of an enlargement, as tensors that a graph reads: (WINDOW, ENLARGED_SIZE) and (WINDOW,)."""

    def __init__(self, device: torch.device) -> None:
        self.rows, self.columns = (torch.zeros(2, WINDOW, ENLARGED_SIZE, device=device) for _ in range(2))
        self.down, self.right = (torch.zeros(WINDOW, device=device) for _ in range(2))
        self.cell = torch.zeros((), device=device)

    def set(self, scale: float, top: int, left: int) -> None:
        line = torch.arange(WINDOW, device=self.down.device).float()
        for chosen, fraction, first in ((self.rows, self.down, top), (self.columns, self.right, left)):
            centre = (line + first + 0.5) / scale - 0.5
            site = torch.floor(centre)
            fraction.copy_(centre - site)
            for d in (0, 1):
                chosen[d].copy_(chosen_sites(site + d, ENLARGED_SIZE))
        self.cell.fill_(1 / scale)

    def head(self, network: Network, p: Tensor) -> Tensor:
        """`Network.head`, blended before the last layer, which is linear."""
        rel = network.rel
        cell = (rel[:, 2] + rel[:, 3]) * self.cell
        blended = 0
        for dy in (0, 1):
            lines = self.rows[dy].to(p.dtype) @ p
            row_weight = self.down if dy else 1 - self.down
            for dx in (0, 1):
                sites = lines @ self.columns[dx].to(p.dtype).T
                column_weight = self.right if dx else 1 - self.right
                row_term = (rel[:, 0, None] * (self.down - dy) + cell[:, None])[:, :, None]
                column_term = (rel[:, 1, None] * (self.right - dx))[:, None, :]
                hidden = F.relu(sites + row_term + column_term)
                blended = blended + hidden * (row_weight[:, None] * column_weight)
        return colors(network, blended)


def native_head(network: Network, p: Tensor) -> Tensor:
    return colors(network, F.relu(p.float() + (network.rel[:, 2] + network.rel[:, 3])[:, None, None]))


def colors(network: Network, hidden: Tensor) -> Tensor:
    with torch.autocast(hidden.device.type, enabled=False):
        return F.conv2d(hidden.float(), network.out.weight[:, :, None, None], network.out.bias)


# --- learning ---


class Shape:
    """One shape of batch: its inputs, and forward and backward as a graph."""

    def __init__(self, trainer: Trainer, count: int, size: int, shown: int, weight: float, enlarged: bool) -> None:
        device = trainer.device
        self.trainer, self.weight = trainer, weight
        self.picture = torch.empty(count, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
        self.target = torch.empty(count, 3, shown, shown, device=device)
        self.s = torch.empty(count, device=device)
        self.query = Query(device) if enlarged else None
        self.graph: torch.cuda.CUDAGraph | None = None
        self.gradients: list[Tensor | None] = []

    def fill(self, corpus: Corpus) -> None:
        count, size = len(self.picture), self.picture.shape[-1]
        if self.query:
            scale = random.uniform(1, 4)
            wanted = corpus.crops(count, int(size * scale))
            scale = wanted.shape[-1] / size
            top, left = (random.randint(0, wanted.shape[-1] - WINDOW) for _ in range(2))
            self.picture.copy_(resize(wanted, size))
            self.target.copy_(wanted[:, :, top : top + WINDOW, left : left + WINDOW])
            self.query.set(scale, top, left)
        else:
            reduced = 1 if random.random() < RAW_SHARE else random.uniform(1, 2)
            crops = corpus.crops(count, int(size * reduced))
            crops = crops if crops.shape[-1] == size else resize(crops, size)
            self.picture.copy_(crops)
            self.target.copy_(crops)
        self.s.uniform_()

    def run(self) -> None:
        """Gradients into the parameters, figures into `loss` and `bits`."""
        if not self.trainer.graphs:
            self._once()
            return
        if self.graph is None:
            self._capture()
        for parameter, gradient in zip(self.trainer.parameters, self.gradients):
            parameter.grad = gradient
        self.graph.replay()

    def _once(self) -> None:
        self.trainer.optimizer.zero_grad(set_to_none=True)
        loss, bits = self._losses()
        (loss * self.trainer.loss_scale).backward()
        self.loss, self.bits = loss.detach(), bits.detach()

    def _capture(self) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self._once()
        torch.cuda.current_stream().wait_stream(stream)
        self.trainer.optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._once()
        self.gradients = [parameter.grad for parameter in self.trainer.parameters]

    def _losses(self) -> tuple[Tensor, Tensor]:
        network, s = self.trainer.network, self.s
        half = self.trainer.half
        with torch.autocast(self.trainer.device.type, self.trainer.half_type, enabled=half, cache_enabled=False):
            latents, bits = network.entropy(network.analyze(self.picture, s), s)
            p = network.features(latents, s)
            shown = self.query.head(network, p) if self.query else native_head(network, p)
        error = (shown - self.target).square().mean((1, 2, 3)) * 255**2
        rate = bits / self.picture[0, 0].numel()
        trade = rate_distortion_weight(s)
        loss = (rate + self.weight * trade * error) * (trade / LAMBDA_LOW) ** -FLATTENING
        return loss.mean(), rate.mean()


class Trainer:
    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.device = args, torch.device(args.device)
        self.graphs, self.half = self.device.type == "cuda" and not args.no_graphs, not args.float32
        self.half_type = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        self.loss_scale = 1024.0 if self.half and self.half_type == torch.float16 else 1.0
        self.corpus = Corpus(args.data, self.device, args.graphics_weight)
        state = torch.load(args.resume, map_location="cpu") if args.resume and args.resume.suffix == ".pt" else None
        if args.resume and not state:
            self.network = load_checkpoint(args.resume)
        else:
            self.network = Network()
            if not state:
                pca_start(self.network, self.corpus.crops(300, 256).cpu())
        if state:
            self.network.load_state_dict(state["network"])
        self.network = self.network.to(self.device, memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.network).eval()
        if state:
            self.average.load_state_dict(state["average"])
        self.parameters = list(self.network.parameters())
        groups = [{key: group[key] for key in ("params", "factor")} for group in optimizer_for(self.network, args.rate).param_groups]
        self.optimizer = torch.optim.Adam(groups, lr=args.rate, betas=(0.9, 0.98), fused=True)
        if state:
            self.optimizer.load_state_dict(state["optimizer"])
        self.iteration = state["iteration"] if state else 0
        self.native = Shape(self, args.batch, NATIVE_SIZE, NATIVE_SIZE, 1.0, enlarged=False)
        self.enlarged = Shape(self, 2 * args.batch, ENLARGED_SIZE, WINDOW, args.enlarged_weight, enlarged=True)
        self.averages = list(self.average.parameters())
        self.skipped = torch.zeros((), device=self.device)

    def step(self, rate: float) -> Shape:
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        shape = self.enlarged if random.random() < ENLARGED_SHARE else self.native
        shape.fill(self.corpus)
        shape.run()
        self.norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        # A step with a gradient that is not finite is skipped by the optimizer, without waiting for the device to tell.
        self.optimizer.found_inf = 1 - torch.isfinite(self.norm).float()
        self.skipped += self.optimizer.found_inf
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.parameters, 1 - AVERAGE_DECAY)
        self.iteration += 1
        return shape

    def save(self) -> None:
        out, config = self.args.out, self.network.config
        state = {
            "config": vars(config),
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "iteration": self.iteration,
        }
        partial = out / "last.pt.partial"
        torch.save(state, partial)
        partial.replace(out / "last.pt")
        save_checkpoint(out / "average.safetensors", config, self.average.state_dict())


def held_out(folder: Path, device: torch.device) -> dict[str, Tensor]:
    """At most 24 pictures of each validation archive: (N, 3, 512, 512)."""
    sets = {}
    for path in sorted(folder.glob("validation-*.tar")):
        pictures = read_archive(path)
        pictures = pictures[:: max(1, len(pictures) // 24)][:24]
        sets[path.stem] = torch.from_numpy(pictures).to(device).permute(0, 3, 1, 2).float() / 255 - 0.5
    return sets


def report(trainer: Trainer, sets: dict[str, Tensor], minutes: float) -> None:
    """Validation figures of the moving average, in full float32."""
    torch.backends.cudnn.allow_tf32 = False
    with torch.device(trainer.device):
        for name, pictures in sets.items():
            print(f"{trainer.iteration}: {minutes:.1f} min, {name}: {validate(trainer.average, Network.head, pictures)}", flush=True)
    trainer.average.eval()
    torch.backends.cudnn.allow_tf32 = True


def train(args: argparse.Namespace) -> None:
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
    args.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(args)
    sets = held_out(args.data, trainer.device)
    print(f"{len(trainer.corpus.pictures)} pictures, from iteration {trainer.iteration}", flush=True)
    report(trainer, sets, 0)

    # Seconds of training: a run that was stopped for a while goes on where it was.
    trained, last = 0.0, time.monotonic()
    logged = validated = saved = looked = 0.0
    figures: list[Tensor] = []
    steps = 0
    while trained < args.minutes * 60:
        share = trained / (args.minutes * 60)
        rate = args.last_rate + (args.rate - args.last_rate) * 0.5 * (1 + math.cos(math.pi * share))
        rate *= min(1, (steps + 1) / WARM_UP)
        shape = trainer.step(rate)
        steps += 1
        if shape is trainer.native:
            figures.append(torch.stack([shape.loss, shape.bits, trainer.norm / trainer.loss_scale]))
        now = time.monotonic()
        trained += min(now - last, args.longest_step)
        last = now
        if trained - logged > args.log_every and figures:
            loss, bits, norm = torch.stack(figures).mean(0).tolist()
            print(
                f"{trainer.iteration}: {trained / 60:.2f} min, {steps / trained:.1f} steps/s, rate {rate:.1e}, "
                f"loss {loss:.4f}, {bits:.3f} bpp, gradient {norm:.2f}, skipped {trainer.skipped.item():.0f}",
                flush=True,
            )
            figures, logged = [], trained
        if trained - looked > 5:
            looked = trained
            marker = args.data / "reload"
            if marker.exists():
                marker.unlink()
                trainer.corpus = Corpus(args.data, trainer.device, args.graphics_weight)
                print(f"{len(trainer.corpus.pictures)} pictures", flush=True)
                last = time.monotonic()
        if trained - saved > 60:
            saved = trained
            trainer.save()
        if trained - validated > args.validate_every * 60:
            validated = trained
            report(trainer, sets, trained / 60)
            last = time.monotonic()
    report(trainer, sets, trained / 60)
    trainer.save()
    (args.out / "done").write_text(json.dumps({"iterations": trainer.iteration}))
    print("end", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the float network on a CUDA device.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="train-*.tar and validation-*.tar")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="last.pt of a run, or a .safetensors checkpoint")
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--batch", type=int, default=16, help="pictures of 256 x 256 (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=5e-4, help="learning rate (default: %(default)s)")
    parser.add_argument("--last-rate", type=float, default=1e-6)
    parser.add_argument("--graphics-weight", type=float, default=1.5, help="of a graphics picture (default: %(default)s)")
    parser.add_argument(
        "--enlarged-weight", type=float, default=ENLARGED_WEIGHT, help="of an enlargement's error (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--float32", action="store_true", help="TF32 convolutions instead of float16")
    parser.add_argument("--no-graphs", action="store_true", help="no CUDA graphs")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--longest-step", type=float, default=1.0, metavar="SECONDS", help="longer ones are pauses")
    parser.add_argument("--log-every", type=float, default=20, metavar="SECONDS")
    parser.add_argument("--validate-every", type=float, default=3, metavar="MINUTES")
    args = parser.parse_args()
    try:
        train(args)
    except (OSError, ValueError) as error:
        sys.exit(f"train_cuda: {error}")


if __name__ == "__main__":
    main()
