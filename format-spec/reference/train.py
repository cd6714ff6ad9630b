"""Trains the float network.

    python3 train.py --data DIR --out RUN --minutes 600
    python3 train.py --data DIR --out RUN --minutes 600 --resume RUN/last.pt

DIR holds tar archives of pictures of 512 x 512 pixels: train-*.tar for training, validation-*.tar for the figures that
are printed on the way. When a file `reload` appears in DIR, train-*.tar are read again. RUN receives
`average.safetensors`, the moving average of the weights, which `export.py` reads, and `last.pt`, from which a run goes
on.

The recipe:

- *Start.* The main path is a Karhunen-Loeve block transform, the head bilinear interpolation: a linear codec that works
  (`karhunen_loeve.py`).
- *Quality.* All qualities are trained at once. Each picture of a batch gets a random one. Its loss is bits a pixel plus
  lambda(quality) times the squared error.
- *Scale.* As in the paper, scale is random. ENLARGED_SHARE of the batches code pictures reduced by 1 to 4, and take the
  error of a window of the original. The others take the error of the coded picture itself. The head never reduces:
  decoders render at a scale of 1 or more and filter (specification 4.7).
- *Structure.* With --structure, MS-SSIM replaces a part of the pull on luma, a smaller part at higher qualities. The
  outermost pixels of a picture count more (`structure.py`).
- *Numbers.* On a GPU, convolutions are of float16, those behind P excepted. On processors they are of float32.
- *Speed.* On a GPU, each of the two shapes of batch is captured as a CUDA graph, forward and backward. A thousand small
  kernels would wait for Python otherwise.

What was learned on the way:

- Plain ReLU at a rate of 1e-3 kills most residuals within minutes. The linear path hides it from the loss: watch the
  share of active units (`active_units.py`).
- A rate of 8e-4 is unstable, 4.5e-4 is fine.
- P rounded to the eight bits of bfloat16 costs 0.1 dB at quality 100. With bfloat16 before P, further training loses at
  high qualities where it gains in float32.
"""

from __future__ import annotations

import argparse
import copy
import math
import random
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import structure
from corpus import Corpus, held_out, resize
from enlargement import Enlargement
from karhunen_loeve import pca_start
from network import (
    LAMBDA_LOW, Config, Network, load_checkpoint, pixel_centers, rate_distortion_weight, save_checkpoint,
)  # fmt: skip

NATIVE_SIZE = 256
ENLARGED_SIZE = 128
"""Side of the pictures that are coded for an enlargement, twice as many in a batch."""
WINDOW = 128
"""Side, in output pixels, of the window in which an enlargement's error is taken."""
ENLARGED_SHARE = 0.30
"""Of all batches, those with an enlargement."""
RAW_SHARE = 0.6
"""Of the other batches, those whose pictures are coded as they are. The rest are reduced by 1 to 2 first, for more kinds of detail."""
FLATTENING = 0.35
"""Losses are divided by (lambda / lowest lambda) to this power, so that high qualities do not drown low ones."""
AVERAGE_DECAY = 0.999
"""Of the moving average of the weights, a step."""
WARM_UP_STEPS = 500
QUALITY_PARAMETERS = {"lgy", "lgz", "zlogs", "zmu", "qemb", "qdec", "qhead", "q"}
QUALITY_RATE = 3.0
"""Learning rate of QUALITY_PARAMETERS, relative to that of weights."""
LONGEST_STEP = 5.0
"""Seconds. A longer one is a pause of the process, and not counted."""
SAVE_SECONDS = 60
LOOK_SECONDS = 5
"""How often to look for the file `reload`."""


class Batch:
    """One shape of batch: pictures (count, 3, size, size), what their error is taken against, and a step forward and backward."""

    def __init__(self, trainer: Trainer, count: int, size: int, enlarged: bool) -> None:
        device, shown = trainer.device, WINDOW if enlarged else size
        self.trainer = trainer
        self.weight = trainer.args.enlarged_weight if enlarged else 1.0
        self.picture = torch.empty(count, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
        self.target = torch.empty(count, 3, shown, shown, device=device)
        self.s = torch.empty(count, device=device)
        self.enlargement = Enlargement(size, WINDOW, device) if enlarged else None
        self.pixel_weights = 1.0 if enlarged else structure.frame_weights(size, device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def fill(self, corpus: Corpus) -> None:
        """Random pictures, scale and qualities."""
        count, size = len(self.picture), self.picture.shape[-1]
        if self.enlargement:
            wanted = corpus.crops(count, int(size * random.uniform(1, 4)))
            top, left = (random.randint(0, wanted.shape[-1] - WINDOW) for _ in range(2))
            self.picture.copy_(resize(wanted, size))
            self.target.copy_(wanted[:, :, top : top + WINDOW, left : left + WINDOW])
            self.enlargement.set(wanted.shape[-1] / size, top, left)
        else:
            reduction = 1 if random.random() < RAW_SHARE else random.uniform(1, 2)
            crops = resize(corpus.crops(count, int(size * reduction)), size)
            self.picture.copy_(crops)
            self.target.copy_(crops)
        self.s.uniform_()

    def run(self) -> None:
        """Leaves gradients in the parameters, and means over the batch in `loss` and `bits`."""
        if not self.trainer.graphs:
            self._forward_and_backward()
            return
        if self.graph is None:
            self._capture()
        for parameter, gradient in zip(self.trainer.parameters, self.gradients):
            parameter.grad = gradient
        self.graph.replay()

    def _forward_and_backward(self) -> None:
        self.trainer.optimizer.zero_grad(set_to_none=True)
        loss, bits = self.losses()
        (loss * self.trainer.loss_scale).backward()
        self.loss, self.bits = loss.detach(), bits.detach()

    def _capture(self) -> None:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):  # libraries choose their kernels
                self._forward_and_backward()
        torch.cuda.current_stream().wait_stream(stream)
        self.graph = torch.cuda.CUDAGraph()
        self.trainer.optimizer.zero_grad(set_to_none=True)
        with torch.cuda.graph(self.graph):
            self._forward_and_backward()
        self.gradients = [parameter.grad for parameter in self.trainer.parameters]

    def losses(self) -> tuple[Tensor, Tensor]:
        """-> the loss and bits a pixel, both means over the batch."""
        network, s, half = self.trainer.network, self.s, self.trainer.half
        with torch.autocast(self.s.device.type, torch.float16, enabled=half, cache_enabled=False):
            latents, bits = network.entropy(network.analyze(self.picture, s), s)
            p = network.features(latents, s)
        shown = self.enlargement.head(network, p) if self.enlargement else network.native(p)
        share = self.trainer.args.structure
        error = structure.error(shown, self.target, share and structure.share_at(s, share), self.pixel_weights)
        rate = bits / self.picture[0, 0].numel()
        trade = rate_distortion_weight(s)
        loss = (rate + self.weight * trade * error) * (trade / LAMBDA_LOW) ** -FLATTENING
        return loss.mean(), rate.mean()


class Trainer:
    """The network in training, its optimizer and moving average, and the two shapes of batch."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.device = args, torch.device(args.device)
        on_gpu = self.device.type == "cuda"
        self.graphs = on_gpu
        self.half = on_gpu and not args.float32
        self.loss_scale = 1024.0 if self.half else 1.0
        self.corpus = Corpus(args.data, self.device, args.graphics_weight)
        state = torch.load(args.resume, map_location="cpu") if args.resume and args.resume.suffix == ".pt" else None
        network = self._start(state)
        self.network = network.to(self.device, memory_format=torch.channels_last).train()
        self.average = copy.deepcopy(self.network).eval()
        self.parameters, self.averages = list(self.network.parameters()), list(self.average.parameters())
        self.optimizer = torch.optim.Adam(self._groups(), lr=args.rate, betas=(0.9, 0.98), fused=on_gpu)
        self.iteration = 0
        if state:
            self.average.load_state_dict(state["average"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.iteration = state["iteration"]
        self.native = Batch(self, args.batch, NATIVE_SIZE, enlarged=False)
        self.enlarged = Batch(self, 2 * args.batch, ENLARGED_SIZE, enlarged=True)
        self.skipped = torch.zeros((), device=self.device)

    def _start(self, state: dict | None) -> Network:
        if self.args.resume and not state:
            return load_checkpoint(self.args.resume)
        network = Network(Config(**state["config"])) if state else Network()
        if state:
            network.load_state_dict(state["network"])
        else:
            pca_start(network, self.corpus.crops(300, 256).cpu())
        return network

    def _groups(self) -> list[dict]:
        by_quality: list[nn.Parameter] = []
        weights: list[nn.Parameter] = []
        for name, parameter in self.network.named_parameters():
            (by_quality if name.split(".")[-1] in QUALITY_PARAMETERS else weights).append(parameter)
        return [{"params": weights, "factor": 1.0}, {"params": by_quality, "factor": QUALITY_RATE}]

    def rate_at(self, share: float, steps: int) -> float:
        """Cosine from --rate to --last-rate over the run, after a short rise."""
        last, first = self.args.last_rate, self.args.rate
        return (last + (first - last) * 0.5 * (1 + math.cos(math.pi * share))) * min(1, (steps + 1) / WARM_UP_STEPS)

    def step(self, rate: float) -> Batch:
        """Trains on one random batch, and returns it. Gradients that are not finite leave the weights as they are."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        batch = self.enlarged if random.random() < ENLARGED_SHARE else self.native
        batch.fill(self.corpus)
        batch.run()
        self.norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        overflown = 1 - torch.isfinite(self.norm).float()
        self.skipped += overflown
        if self.optimizer.defaults["fused"]:  # skips the step by itself: nothing waits for the device
            self.optimizer.found_inf = overflown
            self.optimizer.step()
        elif not overflown:
            self.optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(self.averages, self.parameters, 1 - AVERAGE_DECAY)
        self.iteration += 1
        return batch

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


@torch.no_grad()
def validate(network: Network, pictures: Tensor) -> str:
    """Bits a pixel and PSNR at five qualities; PSNR of enlargements beside bicubic ones. `pictures`: (N, 3, 512, 512)."""

    def psnr(shown: Tensor, wanted: Tensor) -> float:
        error = ((shown.clamp(-0.5, 0.5) - wanted) * 255).square().mean((1, 2, 3))
        return (10 * torch.log10(255**2 / error)).mean().item()

    def decode(x: Tensor, quality: float) -> tuple[Tensor, Tensor]:
        """-> P and bits."""
        s = torch.full((len(x),), quality, device=x.device)
        latents, bits = network.entropy(network.analyze(x, s), s)
        return network.features(latents, s), bits

    figures = []
    for quality in (0.0, 0.25, 0.5, 0.75, 1.0):
        rows = []
        for group in pictures.split(4):
            x = group[:, :, 128:384, 128:384].contiguous()
            p, bits = decode(x, quality)
            rows.append((bits.mean().item() / 256**2, psnr(network.native(p), x)))
        figures.append("s {:.2f}: {:.3f} bpp {:.2f} dB".format(quality, *np.mean(rows, 0)))
    for scale in (2, 4):
        centers = pixel_centers(512, scale).to(pictures.device)
        rows = []
        for x in pictures.split(4):
            p, _ = decode(resize(x, 512 // scale), 0.9)
            enlarged = network.head(p, centers, centers, 1 / scale, 1 / scale)
            native = network.native(p).clamp(-0.5, 0.5)
            bicubic = F.interpolate(native, scale_factor=scale, mode="bicubic", align_corners=False)
            rows.append((psnr(enlarged, x), psnr(bicubic, x)))
        figures.append("x{}: {:.2f} dB, bicubic {:.2f}".format(scale, *np.mean(rows, 0)))
    return "; ".join(figures)


def report(trainer: Trainer, sets: dict[str, Tensor], minutes: float) -> None:
    """Validation figures of the moving average, in full float32."""
    _allow_tf32(False)
    for name, pictures in sets.items():
        print(f"{trainer.iteration}: {minutes:.1f} min, {name}: {validate(trainer.average, pictures)}", flush=True)
    _allow_tf32(True)


def _allow_tf32(allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = allowed


def train(args: argparse.Namespace) -> None:
    torch.set_num_threads(args.threads)
    random.seed(args.seed)
    torch.manual_seed(args.seed)
    torch.backends.cudnn.benchmark = True
    _allow_tf32(True)
    args.out.mkdir(parents=True, exist_ok=True)
    trainer = Trainer(args)
    sets = held_out(args.data, trainer.device)
    weights = sum(parameter.numel() for parameter in trainer.parameters)
    print(f"{weights} weights, {len(trainer.corpus)} pictures, from iteration {trainer.iteration}", flush=True)
    report(trainer, sets, 0)

    trained = 0.0
    due = {"log": args.log_every, "look": LOOK_SECONDS, "save": SAVE_SECONDS, "validate": args.validate_every * 60}
    next_at = dict(due)

    def is_due(what: str) -> bool:
        if trained < next_at[what]:
            return False
        next_at[what] = trained + due[what]
        return True

    figures: list[Tensor] = []
    first, last = trainer.iteration, time.monotonic()
    while trained < args.minutes * 60:
        rate = trainer.rate_at(trained / (args.minutes * 60), trainer.iteration - first)
        batch = trainer.step(rate)
        if batch is trainer.native:
            figures.append(torch.stack([batch.loss, batch.bits, trainer.norm / trainer.loss_scale]))
        now = time.monotonic()
        trained += min(now - last, LONGEST_STEP)
        last = now
        if is_due("log") and figures:
            loss, bits, norm = torch.stack(figures).mean(0).tolist()
            figures = []
            print(
                f"{trainer.iteration}: {trained / 60:.2f} min, {(trainer.iteration - first) / trained:.1f} steps/s, rate {rate:.1e}, "
                f"loss {loss:.4f}, {bits:.3f} bpp, gradient {norm:.2f}, skipped {trainer.skipped.item():.0f}",
                flush=True,
            )
        marker = args.data / "reload"
        if is_due("look") and marker.exists():
            marker.unlink()
            trainer.corpus = Corpus(args.data, trainer.device, args.graphics_weight)
            print(f"{len(trainer.corpus)} pictures", flush=True)
            last = time.monotonic()
        if is_due("save"):
            trainer.save()
        if is_due("validate"):
            report(trainer, sets, trained / 60)
            last = time.monotonic()
    trainer.save()
    report(trainer, sets, trained / 60)


def main() -> None:
    parser = argparse.ArgumentParser(description="Trains the float network.")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help="train-*.tar and validation-*.tar")
    parser.add_argument("--out", type=Path, required=True, metavar="RUN")
    parser.add_argument("--resume", type=Path, metavar="FILE", help="last.pt of a run, or a .safetensors checkpoint")
    parser.add_argument("--minutes", type=float, default=600)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--batch", type=int, default=16, help="pictures of 256 x 256 (default: %(default)s; 4 on two cores)")
    parser.add_argument("--rate", type=float, default=4.5e-4, help="learning rate (default: %(default)s)")
    parser.add_argument("--last-rate", type=float, default=1e-6)
    parser.add_argument(
        "--graphics-weight", type=float, default=1.3, help="how often graphics are drawn (default: %(default)s)"
    )
    parser.add_argument(
        "--enlarged-weight", type=float, default=0.4, help="of an enlargement's error (default: %(default)s)"
    )
    parser.add_argument(
        "--structure", type=float, default=0, help="share of structural similarity in the pull on luma, at the lowest quality (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--float32", action="store_true", help="no convolutions of float16 on a GPU")
    parser.add_argument("--log-every", type=float, default=30, metavar="SECONDS")
    parser.add_argument("--validate-every", type=float, default=30, metavar="MINUTES")
    args = parser.parse_args()
    try:
        train(args)
    except (OSError, ValueError) as error:
        sys.exit(f"train: {error}")


if __name__ == "__main__":
    main()
