"""A checkpoint between two.

    python3 mix.py liif-1-float16.safetensors run/average.safetensors --share 0.6 -o between.safetensors

Each weight goes the given share of the way from the first checkpoint to the second. Part of the way from weights to what
further training made from them, weights can have most of the gain and little of the loss.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from network import load_checkpoint, save_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description="A checkpoint between two.")
    parser.add_argument("first", type=Path)
    parser.add_argument("second", type=Path)
    parser.add_argument("--share", type=float, default=0.5, help="of the way to the second, 0..1 (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    try:
        first, second = load_checkpoint(args.first), load_checkpoint(args.second)
        if first.config != second.config:
            raise ValueError("the two are networks of other sizes")
        others = second.state_dict()
        mixed = {name: value.lerp(others[name], args.share) for name, value in first.state_dict().items()}
        save_checkpoint(args.output, first.config, mixed)
    except (OSError, ValueError) as error:
        sys.exit(f"mix: {error}")


if __name__ == "__main__":
    main()
