"""`Network.head` as one C kernel with its gradient, to train faster. Needs a C compiler with OpenMP."""

from __future__ import annotations

import ctypes
import os
import subprocess
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from network import Network

SOURCE = Path(__file__).with_name("fused_head.c")
FLAGS = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC"]


class _Head(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int) for name in ("batch", "rows", "columns", "out_rows", "out_columns")),
        *((name, ctypes.c_void_p) for name in ("p", "row", "column", "cell", "out_weight", "out_bias")),
        *((name, ctypes.c_void_p) for name in ("top", "left", "down", "right")),
    ]


@cache
def library(hidden: int) -> ctypes.CDLL:
    """Compiles the kernel where that has not been done; raises OSError or CalledProcessError where it cannot be."""
    built = SOURCE.parent / "__pycache__" / f"fused_head_{hidden}.so"
    if not built.exists() or built.stat().st_mtime < SOURCE.stat().st_mtime:
        built.parent.mkdir(exist_ok=True)
        partial = built.with_suffix(f".{os.getpid()}")
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, *FLAGS, f"-DHIDDEN={hidden}", str(SOURCE), "-o", str(partial)], check=True)
        partial.replace(built)
    return ctypes.CDLL(str(built))


def fused_head(network: Network, p: Tensor, rows: Tensor, columns: Tensor, cell_height: float, cell_width: float) -> Tensor:
    """The same as `network.head(p, rows, columns, cell_height, cell_width)`."""
    rel = network.rel
    cell = rel[:, 2] * cell_height + rel[:, 3] * cell_width
    return _FusedHead.apply(p, rel[:, 0], rel[:, 1], cell, network.out.weight, network.out.bias, rows, columns)


class _FusedHead(torch.autograd.Function):
    @staticmethod
    def forward(ctx, p, row, column, cell, out_weight, out_bias, rows, columns) -> Tensor:
        p = p.float().permute(0, 2, 3, 1).contiguous()
        weights = [w.detach().float().contiguous() for w in (row, column, cell, out_weight, out_bias)]
        top, left = torch.floor(rows), torch.floor(columns)
        query = [top.int(), left.int(), (rows - top).contiguous(), (columns - left).contiguous()]
        ctx.save_for_backward(p, *weights, *query)
        out = torch.empty(len(p), len(rows), len(columns), 3)
        library(p.shape[3]).head_forward(ctypes.byref(_pack(p, weights, query)), _pointer(out))
        return out.permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx, gradient: Tensor):
        p, *rest = ctx.saved_tensors
        weights, query = rest[:5], rest[5:]
        hidden = p.shape[3]
        gradient = gradient.float().permute(0, 2, 3, 1).contiguous()
        to_p, to_weights = torch.zeros_like(p), torch.zeros(6 * hidden + 3)
        head = _pack(p, weights, query)
        library(hidden).head_backward(ctypes.byref(head), _pointer(gradient), _pointer(to_p), _pointer(to_weights))
        row, column, cell, out_weight, out_bias = to_weights.split([hidden, hidden, hidden, 3 * hidden, 3])
        return to_p.permute(0, 3, 1, 2), row, column, cell, out_weight.view(3, hidden), out_bias, None, None


def _pack(p: Tensor, weights: list[Tensor], query: list[Tensor]) -> _Head:
    sizes = (*p.shape[:3], len(query[0]), len(query[1]))
    return _Head(*sizes, *(_pointer(t) for t in (p, *weights, *query)))


def _pointer(tensor: Tensor) -> ctypes.c_void_p:
    return ctypes.c_void_p(tensor.data_ptr())
