"""Model files that a loader must refuse. Each breaks one rule and is written as edits of a model that is right (5.2)."""

from bound_faults import bound_faults
from graph_faults import graph_faults
from model_file_faults import file_faults
from small_models import MODELS, SMALL


def model_faults():
    """(name, about, clause, model's file, bytes) of each invalid model file."""
    for name, *rest in (*file_faults(), *graph_faults(), *bound_faults()):
        yield f"model-{name}", *rest


def unsupported_models():
    parts = MODELS[SMALL]()
    parts.metadata["version"] = "2"
    return [("model-version-2", "A model file of version 2", "3.2", SMALL, parts.write())]
