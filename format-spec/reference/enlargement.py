"""`Network.head` in the form in which it is trained: for whole windows, as matrix products."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from network import Network


def _chosen_sites(sites: Tensor, count: int) -> Tensor:
    """(n,) indices -> (n, count): row i is 1 at sites[i], clamped to 0..count-1, and 0 elsewhere."""
    return F.one_hot(sites.long().clamp(0, count - 1), count).float()


class Enlargement:
    """What `Network.head` needs for a window of an enlarged picture, in tensors that a CUDA graph reads.

    Matrices of zeros and ones, (window, sites), choose the sites. So the gradient is a matrix product, not a scattered sum.
    """

    def __init__(self, sites: int, window: int, device: torch.device) -> None:
        self.sites = sites
        self.rows, self.columns = (torch.zeros(2, window, sites, device=device) for _ in range(2))
        self.down, self.right = (torch.zeros(window, device=device) for _ in range(2))
        self.cell = torch.zeros((), device=device)

    def set(self, scale: float, top: int, left: int) -> None:
        """`scale`: output pixels a site. `top`, `left`: the window's first output pixel."""
        line = torch.arange(len(self.down), device=self.down.device).float()
        for chosen, fraction, first in ((self.rows, self.down, top), (self.columns, self.right, left)):
            center = (line + first + 0.5) / scale - 0.5
            site = torch.floor(center)
            fraction.copy_(center - site)
            for d in (0, 1):
                chosen[d].copy_(_chosen_sites(site + d, self.sites))
        self.cell.fill_(1 / scale)

    def head(self, network: Network, p: Tensor) -> Tensor:
        """P (B, hid, sites, sites) -> samples (B, 3, window, window). Blends before the last layer, which is linear."""
        rel = network.rel
        cell = (rel[:, 2] + rel[:, 3]) * self.cell
        blended = 0
        for dy in (0, 1):
            lines = self.rows[dy] @ p
            row_weight = self.down if dy else 1 - self.down
            for dx in (0, 1):
                sites = lines @ self.columns[dx].T
                column_weight = self.right if dx else 1 - self.right
                row_term = (rel[:, 0, None] * (self.down - dy) + cell[:, None])[:, :, None]
                column_term = (rel[:, 1, None] * (self.right - dx))[:, None, :]
                hidden = F.relu(sites + row_term + column_term)
                blended = blended + hidden * (row_weight[:, None] * column_weight)
        return network.colors(blended)
