"""Writes the vectors, what is expected of each, and the computed parts of the appendices.

    python3 vector_maker [FOLDER]

The files of the released model (`valid/released-*.liif`) must be there: its encoder makes them. The decoder beside this folder computes
what is expected. A valid vector must not change unless its model or the format's version does. Otherwise the run ends with an error and
changes nothing. Delete the files of a vector to replace it on purpose.
"""

import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "decoder"), str(HERE)]

from appendices import write_appendices  # noqa: E402
from container import VERSION, open_file  # noqa: E402
from invalid_vectors import invalid_vectors, unsupported_vectors  # noqa: E402
from model import load_model  # noqa: E402
from model_edits import edits_between  # noqa: E402
from model_faults import model_faults, unsupported_models  # noqa: E402
from picture import Picture  # noqa: E402
from small_models import MODELS, SMALL  # noqa: E402
from stage_inputs import stage_inputs  # noqa: E402
from stages import run_stage  # noqa: E402
from valid_vectors import query, valid_vectors, whole  # noqa: E402
from vectors import FOLDER, GROUPS, RELEASED_MODELS, apply_edits, describe, query_of  # noqa: E402

RELEASED = "liif-1.safetensors"


def main(arguments):
    parser = argparse.ArgumentParser(prog="vector_maker", description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER)
    folder = parser.parse_args(arguments).folder
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary)
        make(fresh, folder)
        changed = changed_vectors(folder, fresh)
        if changed:
            print("These valid vectors would change, but version and model would not:", *changed, sep="\n  ", file=sys.stderr)
            return 1
        replace(folder, fresh)
    if folder == FOLDER:
        released = [(path.name, path.read_bytes()) for path in sorted(RELEASED_MODELS.glob("*.safetensors"))]
        example = (folder / "valid" / "01-one-pixel.liif").read_bytes()
        write_appendices(folder.parent, released, example, (folder / "models" / "small.safetensors").read_bytes())
    return 0


def make(fresh, folder):
    """All vectors into `fresh`. `folder` holds those of before, among them the files of the released model."""
    for name in (*GROUPS, "stages", "models"):
        (fresh / name).mkdir()
    small = {name: parts().write() for name, parts in MODELS.items()}
    for name, data in small.items():
        (fresh / "models" / name).write_bytes(data)
    models = {name: load_model(data) for name, data in small.items()}

    for name, about, clause, model, data, queries in valid_vectors(models):
        write_valid(fresh, name, about, clause, model, models[model], data, queries)
    make_released(fresh, folder)
    make_faulty(fresh, models)
    make_faulty_models(fresh, small)
    for name, given in stage_inputs(models).items():
        write_json(fresh / "stages" / name, {**given, "expected": run_stage(name, given, models.get)})


def make_released(fresh, folder):
    """What is expected of the files of the released model, which `folder` holds."""
    model = load_model((RELEASED_MODELS / RELEASED).read_bytes())
    for path in sorted((folder / "valid").glob("released-*.liif")):
        data = path.read_bytes()
        about = f"The released model: {path.stem.removeprefix('released-').replace('-', ' ')}"
        header = open_file(data).header
        size = header["width"], header["height"]
        x, y = size[0] // 3, size[1] // 3
        queries = [whole(*size), whole(*size, 16), query((x, y, 10, 7), (80, 56)), query((0, 0, *size), (x, y))]
        write_valid(fresh, path.stem, about, "3.7", RELEASED, model, data, queries)


def make_faulty(fresh, models):
    for group, faults in (("invalid", invalid_vectors(models)), ("unsupported", unsupported_vectors(models))):
        for fault in faults:
            error = {"tag": "UnsupportedError"}
            if fault.part:
                error = {"tag": "FormatError", "part": fault.part, "offset": list(fault.offset)}
            (fresh / group / f"{fault.name}.liif").write_bytes(fault.data)
            write_json(fresh / group / fault.name, {"about": fault.about, "clause": fault.clause, "model": SMALL, "error": error})


def make_faulty_models(fresh, models):
    """`models`: name to bytes of the models that are right."""
    for group, faults in (("invalid", model_faults()), ("unsupported", unsupported_models())):
        for name, about, clause, model, data in faults:
            edits = edits_between(models[model], data)
            assert apply_edits(models[model], edits) == data != models[model], name
            error = {"tag": "UnsupportedError"}
            if group == "invalid":
                error = {"tag": "FormatError", "part": "model", "offset": [0, len(data)]}
            write_json(fresh / group / name, {"about": about, "clause": clause, "model": model, "modelEdits": edits, "error": error})


def write_valid(fresh, name, about, clause, model_name, model, data, queries):
    print(name, flush=True)
    described = describe(Picture(data, {model.hash: model}), [query_of(q) for q in queries])
    (fresh / "valid" / f"{name}.liif").write_bytes(data)
    facts = {"about": about, "clause": clause, "version": VERSION, "model": model_name, "sha256": hashlib.sha256(data).hexdigest()}
    write_json(fresh / "valid" / name, {**facts, **described})


def write_json(stem, value):
    """Keys one a line, lists of plain values on one."""
    stem.with_name(stem.name + ".json").write_text(_text(value, "") + "\n", encoding="utf-8")


def _text(value, indent):
    if type(value) not in (dict, list) or not value or not any(type(v) in (dict, list) for v in _items(value)):
        return json.dumps(value, ensure_ascii=False)
    if type(value) is list and all(type(v) is list and not any(type(w) in (dict, list) for w in v) for v in value):
        return json.dumps(value, ensure_ascii=False)
    inner = indent + "  "
    if type(value) is dict:
        lines = [f"{inner}{json.dumps(k)}: {_text(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    return "[\n" + ",\n".join(inner + _text(v, inner) for v in value) + f"\n{indent}]"


def _items(value):
    return value.values() if type(value) is dict else value


def changed_vectors(folder, fresh):
    """Valid vectors that differ from those of before although version and model are the same."""
    changed = []
    for path in sorted((folder / "valid").glob("*.json")):
        before = json.loads(path.read_text(encoding="utf-8"))
        after = fresh / "valid" / path.name
        if not after.exists():
            changed.append(f"{path.stem} (is gone)")
            continue
        now = json.loads(after.read_text(encoding="utf-8"))
        same_model = before["header"]["model"] == now["header"]["model"]
        if same_model and before["version"] == now["version"] and before != now:
            changed.append(path.stem)
    return changed


def replace(folder, fresh):
    for name in (*GROUPS, "stages", "models"):
        shutil.rmtree(folder / name, ignore_errors=True)
        shutil.copytree(fresh / name, folder / name)
    files = [path for path in folder.rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files)} bytes")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
