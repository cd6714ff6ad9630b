"""Writes a checkpoint in float16, at half the size. The released checkpoint is kept in this form.

    python3 halve.py checkpoint.safetensors -o liif-1-float16.safetensors
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from network import load_checkpoint, save_checkpoint


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes a checkpoint in float16.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="CHECKPOINT")
    args = parser.parse_args()
    try:
        network = load_checkpoint(args.checkpoint)
        save_checkpoint(args.output, network.config, network.state_dict(), half=True)
    except (OSError, ValueError) as error:
        sys.exit(f"halve: {error}")


if __name__ == "__main__":
    main()
