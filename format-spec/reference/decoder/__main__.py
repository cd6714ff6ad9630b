"""A second decoder, written from the text of the specification alone: slow, short, and exact.

    python3 decoder FILE.liif --model MODEL.safetensors [-o OUT.ppm]
    python3 decoder check FILE.liif... --model MODEL.safetensors
    python3 decoder vectors [FOLDER]

Python 3.11 and numpy.
"""

import argparse
import sys
from fractions import Fraction
from pathlib import Path

from container import plane_count
from errors import LiifError, RequestError
from model import load_model
from picture import Picture, as_samples, digest, level_rectangle
from rendering import Query
from vectors import run_vectors


def main(arguments):
    if arguments[:1] == ["vectors"]:
        return run_vectors(arguments[1:])
    if arguments[:1] == ["check"]:
        return check_files(arguments[1:])
    parser = argparse.ArgumentParser(prog="decoder", description="Decode a .liif file. `decoder vectors` runs the vectors.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, required=True, help="safetensors file of the model")
    parser.add_argument("--region", help="x,y,width,height in pixels of the picture; fractions as 3/2 or 1.5")
    parser.add_argument("--size", help="WxH, size of the output in pixels")
    parser.add_argument("--level", type=int, help="all of one level, at its own size")
    parser.add_argument("--depth", type=int, choices=(8, 16), default=8)
    parser.add_argument("--digests", action="store_true", help="print SHA-256 of latents, of P and of the pixels")
    parser.add_argument("-o", "--output", type=Path, help="binary PPM, or PAM if there is alpha")
    options = parser.parse_args(arguments)

    model = load_model(options.model.read_bytes())
    picture = Picture(options.file.read_bytes(), {model.hash: model})
    query = _query(options, picture.header)
    pixels = as_samples(picture.render(query, options.depth), options.depth)
    if options.digests:
        for level in range(picture.header["levels"]):
            for plane in range(plane_count(picture.header)):
                print(f"latents {level} {plane} {digest(picture.latents(level, plane))}")
                print(f"P       {level} {plane} {digest(picture.sites(level, plane))}")
        print(f"pixels      {digest(pixels)}")
    if options.output:
        options.output.write_bytes(_netpbm(pixels, options.depth))
    return 0


def check_files(arguments):
    """Reads all of each file and prints a line for it: what is wrong, or the SHA-256 of latents and pixels."""
    parser = argparse.ArgumentParser(prog="decoder check", description=check_files.__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--model", type=Path, required=True, help="safetensors file of the model")
    options = parser.parse_args(arguments)
    model = load_model(options.model.read_bytes())
    status = 0
    for path in options.files:
        try:
            picture = Picture(path.read_bytes(), {model.hash: model})
            picture.check_all()
            width, height = picture.header["width"], picture.header["height"]
            pixels = picture.render(Query(*map(Fraction, (0, 0, width, height)), width, height), 8)
            print(f"{path.name} ok {digest(picture.latents(0, 0))} {digest(as_samples(pixels, 8))}")
        except LiifError as error:
            print(f"{path.name} {error.tag} {getattr(error, 'part', '-')} {error}")
            status = 1
    return status


def _query(options, header):
    if options.level is not None:
        if not 0 <= options.level < header["levels"] or options.region or options.size:
            raise RequestError("--level must be a level of the file, and goes with neither --region nor --size")
        region, (columns, rows) = level_rectangle(header, options.level)
        return Query(*map(Fraction, region), columns, rows)
    x, y, width, height = map(Fraction, options.region.split(",")) if options.region else (0, 0, header["width"], header["height"])
    columns, rows = map(int, options.size.split("x")) if options.size else (-(-width // 1), -(-height // 1))
    return Query(Fraction(x), Fraction(y), Fraction(width), Fraction(height), columns, rows)


def _netpbm(pixels, depth):
    rows, columns, channels = pixels.shape
    largest = (1 << depth) - 1
    body = pixels.astype(">u1" if depth == 8 else ">u2").tobytes()
    if channels in (1, 3):
        return f"P{5 if channels == 1 else 6}\n{columns} {rows}\n{largest}\n".encode() + body
    kind = "GRAYSCALE_ALPHA" if channels == 2 else "RGB_ALPHA"
    head = f"P7\nWIDTH {columns}\nHEIGHT {rows}\nDEPTH {channels}\nMAXVAL {largest}\nTUPLTYPE {kind}\nENDHDR\n"
    return head.encode() + body


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except LiifError as error:
        print(f"{error.tag}: {error}", file=sys.stderr)
        sys.exit(1)
