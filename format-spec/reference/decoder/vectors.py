"""Runs a folder of vectors (specification 5.2): one line for each, a summary, exit code 1 if any fails."""

import argparse
import hashlib
import json
import time
from fractions import Fraction
from pathlib import Path

from container import plane_count, section_bytes
from errors import LiifError
from model import load_model
from picture import Picture, as_samples, digest
from rendering import Query
from stages import run_stage

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / "vectors"
RELEASED_MODELS = HERE.parents[2] / "src" / "model"
GROUPS = ("valid", "invalid", "unsupported")  # and "stages"


def run_vectors(arguments):
    parser = argparse.ArgumentParser(prog="decoder vectors", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    parser.add_argument("--models", type=Path, default=RELEASED_MODELS, help="folder of the models that are not among the vectors")
    parser.add_argument("--only", default="", help="only vectors whose path contains this")
    options = parser.parse_args(arguments)
    library = Models([options.folder / "models", options.models])

    counts = {"ok": 0, "FAILED": 0}
    for group in (*GROUPS, "stages"):
        for path in sorted((options.folder / group).glob("*.json")):
            if options.only not in f"{group}/{path.name}":
                continue
            start = time.monotonic()
            run_one = run_stage_vector if group == "stages" else run_vector
            problems = run_one(path, json.loads(path.read_text(encoding="utf-8")), library)
            outcome = "FAILED" if problems else "ok"
            counts[outcome] += 1
            print(f"{outcome:6} {group}/{path.stem} ({time.monotonic() - start:.1f} s)", *problems, sep="\n       ", flush=True)
    print(f"{counts['ok']} ok, {counts['FAILED']} failed")
    return 0 if counts["ok"] and not counts["FAILED"] else 1


class Models:
    """Model files by name, from the first folder that has them; checked once."""

    def __init__(self, folders):
        self.folders = folders
        self.loaded = {}

    def read(self, name):
        for folder in self.folders:
            if (folder / name).exists():
                return (folder / name).read_bytes()
        raise FileNotFoundError(f"model {name} in none of {', '.join(map(str, self.folders))}")

    def load(self, name, edits=()):
        if edits:
            return load_model(apply_edits(self.read(name), edits))
        if name not in self.loaded:
            self.loaded[name] = load_model(self.read(name))
        return self.loaded[name]


def apply_edits(data, edits):
    """5.2: each edit replaces `remove` bytes at `offset` by `insert`, `times` times; offsets count in the unedited bytes and ascend."""
    out, at = b"", 0
    for edit in edits:
        out += data[at : edit["offset"]] + bytes.fromhex(edit["insert"]) * edit.get("times", 1)
        at = edit["offset"] + edit["remove"]
    return out + data[at:]


def run_vector(path, vector, library):
    """The differences between a vector's expectations and what this decoder gives, as sentences."""
    # A vector about a model file comes without a .liif.
    data = path.with_suffix(".liif").read_bytes() if path.with_suffix(".liif").exists() else b""
    expected_error = vector.get("error")
    try:
        model = library.load(vector["model"], vector.get("modelEdits", ()))
        picture = Picture(data, {model.hash: model})
        if expected_error:
            picture.check_all()
    except LiifError as error:
        return [f"{error.tag}: {error}"] if not expected_error else error_differences(error, expected_error)
    if expected_error:
        return [f"accepted, where {expected_error['tag']} was expected"]
    actual = describe(picture, [query_of(q) for q in vector["queries"]])
    return [f"{key}: {vector.get(key)!r} expected, {actual[key]!r} found" for key in actual if vector.get(key) != actual[key]]


def run_stage_vector(path, vector, library):
    found = run_stage(path.stem, vector, library.load)
    wanted = vector["expected"]
    return [f"{key}: {wanted.get(key)!r} expected, {found[key]!r} found" for key in found if wanted.get(key) != found[key]]


def error_differences(error, expected):
    """5.3: the tag, and for a FormatError the part and an offset inside of it."""
    problems = []
    if error.tag != expected["tag"]:
        problems.append(f"expected {expected['tag']}, found {error.tag}: {error}")
    elif error.tag == "FormatError":
        first, last = expected["offset"]
        if error.part != expected["part"] or not first <= error.offset <= last:
            problems.append(f"expected {expected['part']} at {first} to {last}, found {error}")
    return problems


def query_of(described):
    x, y, width, height = map(Fraction, described["region"])
    return Query(x, y, width, height, *described["size"]), described["depth"]


def describe(picture, queries):
    """The expectations of a valid vector, computed. Pixels are listed by column, row and samples."""
    header = {**picture.header, "model": picture.header["model"].hex()}
    header["sections"] = [list(section) for section in header["sections"]]
    places = [(level, plane) for level in range(header["levels"]) for plane in range(plane_count(header))]

    def tensor(level, plane, array):
        return {"level": level, "plane": plane, "shape": list(array.shape), "sha256": digest(array)}

    described = []
    for query, depth in queries:
        pixels = as_samples(picture.render(query, depth), depth)
        rows, columns, channels = pixels.shape
        described.append(
            {
                "region": [str(v) for v in (query.x, query.y, query.width, query.height)],
                "size": [columns, rows],
                "depth": depth,
                "channels": channels,
                "sha256": digest(pixels),
                "pixels": [[c, r, *pixels[r, c].tolist()] for c, r in _spots(columns, rows)],
            }
        )
    return {
        "header": {key: header[key] for key in HEADER_KEYS if key in header},
        "latents": [tensor(level, plane, picture.latents(level, plane)) for level, plane in places],
        "sites": [tensor(level, plane, picture.sites(level, plane)) for level, plane in places],
        "sectionDigests": {kind: hashlib.sha256(section_bytes(picture.file, kind)).hexdigest() for kind in picture.file.sections},
        "queries": described,
    }


HEADER_KEYS = (
    "width", "height", "channels", "alpha", "depth", "colorSpace", "quality", "model", "encoder", "chunkSize", "levels", "overviewFactor", "sections",
)  # fmt: skip


def _spots(columns, rows):
    """Up to a dozen pixels: corners, middle, and some on the way."""
    spots = []
    for i in range(4):
        for j in range(3):
            spot = (i * (columns - 1) // 3, j * (rows - 1) // 2)
            if spot not in spots:
                spots.append(spot)
    return spots
