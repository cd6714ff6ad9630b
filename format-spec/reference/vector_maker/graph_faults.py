"""Model files whose graph breaks one rule of 3.2 or 3.3, with a hash that is right.

Each function yields (name, about, clause, model's file, bytes).
"""

import json

import numpy as np
from small_models import MODELS, SMALL


# The numbers of the graph outside of layers.
NUMBERS = (
    ["qualities"], ["latentStride"], ["hyperStride"], ["latentChannels"], ["hyperChannels"], ["imageShift"],
    ["latent", "limit"], ["latent", "stepBits"], ["latent", "deviationShift"], ["hyper", "limit"], ["hyper", "stepBits"],
    ["tables", "precision"], ["head", "hidden"], ["head", "limit"], ["head", "cellShift"], ["head", "outputShift"],
)  # fmt: skip


def graph_faults():
    yield from _graphs()
    yield from _layers()
    yield from _inputs()
    yield from _outputs()
    yield from _resampling()
    yield from _missing()
    yield from _kernels()


def _at(graph, path):
    for step in path:
        graph = graph[step]
    return graph


def changed_model(model, name, about, clause, change):
    parts = MODELS[model]()
    change(parts.graph, parts.tensors)
    return name, about, clause, model, parts.write()


def with_field(name, about, path, value, clause="3.2"):
    """One field of the graph replaced; None takes it out."""

    def change(graph, _):
        *way, last = path
        place = _at(graph, way)
        if value is None:
            del place[last]
        else:
            place[last] = value

    return changed_model(SMALL, name, about, clause, change)


def _graphs():
    yield with_field("99-qualities", "99 qualities", ["qualities"], 99)
    yield with_field("latent-stride-8", "A latent stride of 8", ["latentStride"], 8)
    yield with_field("hyper-stride-2", "A hyper stride of 2", ["hyperStride"], 2)
    yield with_field("latent-channels-48", "48 channels of latents, no multiple of 32", ["latentChannels"], 48)
    yield with_field("hyper-channels-12", "12 channels of hyper latents, no multiple of 8", ["hyperChannels"], 12)
    yield with_field("image-shift-1", "imageShift 1", ["imageShift"], 1)
    yield with_field("image-shift-16", "imageShift 16", ["imageShift"], 16)
    yield with_field("no-head", "No head", ["head"], None)
    yield with_field("hidden-12", "12 hidden units, no multiple of 8", ["head", "hidden"], 12)
    yield with_field("no-synthesis", "A list of no layers", ["synthesis"], [])
    yield with_field("step-bits-0", "stepBits 0", ["latent", "stepBits"], 0)
    yield with_field("step-bits-25", "stepBits 25", ["hyper", "stepBits"], 25)
    yield with_field("deviation-shift-16", "deviationShift 16", ["latent", "deviationShift"], 16)
    yield with_field("cell-shift-0", "cellShift 0", ["head", "cellShift"], 0)
    yield with_field("cell-shift-25", "cellShift 25", ["head", "cellShift"], 25)
    yield with_field("deviation-shift-negative", "deviationShift -1", ["latent", "deviationShift"], -1)
    yield with_field("output-shift-8", "outputShift 8", ["head", "outputShift"], 8)
    yield with_field("output-shift-31", "outputShift 31", ["head", "outputShift"], 31)
    yield with_field("limit-0", "A limit of 0", ["latent", "limit"], 0)
    yield with_field("limit-32768", "A limit of 32768", ["head", "limit"], 32768)

    for value, kind in ((True, "bool"), ("16", "text"), ([16], "array")):
        yield with_field(f"latent-stride-{kind}", f"latentStride is {json.dumps(value)}", ["latentStride"], value)
    for key in ("prior", "analysis", "hyperAnalysis", "tables", "latent", "hyper"):
        yield with_field(f"no-{key}".lower(), f"No {key}", [key], None)
    yield with_field("synthesis-object", "A list of layers that is an object", ["synthesis"], {"op": "row"})
    yield with_field("step-array", "A step of the prior that is an array", ["prior", 1], [])
    yield with_field("no-trunk", "A step of the prior without a trunk", ["prior", 1, "trunk"], None)
    yield with_field("no-mean", "A step of the prior without a mean", ["prior", 1, "mean"], None)
    yield with_field("no-deviation", "A step of the prior without a deviation", ["prior", 1, "deviation"], None)
    for path in NUMBERS:
        shown = ".".join(path)
        yield with_field(f"no-{shown.replace('.', '-')}".lower(), f"No {shown}", path, None)
    for path in (["latentChannels"], ["hyperChannels"], ["head", "hidden"], ["hyper", "limit"]):
        shown = ".".join(path)
        yield with_field(f"{shown.replace('.', '-')}-0".lower(), f"A {shown} of 0", path, 0)
    yield with_field("tensor-number", "A number where the name of a tensor belongs", ["head", "rowWeight"], 0)

    def three_steps(graph, tensors):
        for name in [name for name in tensors if name.startswith("p3.")]:
            del tensors[name]
        graph["prior"].pop()

    yield changed_model(SMALL, "three-steps", "A prior of three steps", "3.2", three_steps)

    def many(graph, tensors):
        graph["hyperSynthesis"] += [graph["hyperSynthesis"][-1]] * 60

    yield changed_model(SMALL, "65-layers", "A list of 65 layers", "3.2", many)

    def many_apart(graph, tensors):
        layers = graph["hyperSynthesis"]
        layers += [_zero_conv(tensors, f"z{i}", 8, 8) for i in range(65 - len(layers))]

    yield changed_model(SMALL, "65-layers-apart", "A list of 65 layers, each with tensors of its own", "3.2", many_apart)

    def wide(graph, tensors):
        graph["hyperSynthesis"] += [_zero_conv(tensors, "z0", 8, 4104), _zero_conv(tensors, "z1", 4104, 8)]

    yield changed_model(SMALL, "4104-channels", "A tensor of 4104 channels", "3.2", wide)

    def wide_joined(graph, tensors):
        graph["hyperSynthesis"].append(_zero_conv(tensors, "z0", 8, 4072))
        for t, step in enumerate(graph["prior"]):
            joined, before = (4072, 8) if t == 0 else (4104, 40)
            step["trunk"].insert(0, _zero_conv(tensors, f"z{t + 1}", joined, before))

    yield changed_model(SMALL, "4104-channels-joined", "h and y joined have 4104 channels", "3.2", wide_joined)


def _zero_conv(tensors, name, inputs, outputs):
    """A conv 1x1 of zeros, whose tensors lie behind all others."""
    tensors[f"{name}.bias"] = np.zeros(outputs, "<i4")
    tensors[f"{name}.weight"] = np.zeros((outputs, 1, 1, inputs), "<i2")
    shape = {"kernel": 1, "inputs": inputs, "outputs": outputs}
    return {"op": "conv", **shape, "weight": f"{name}.weight", "bias": f"{name}.bias", "shift": 10, "limit": 14000, "leaky": False}


def _layers():
    def layer(name, about, path, value):
        return with_field(name, about, path, value, "3.3")

    yield layer("op-unknown", "A layer that is not known", ["synthesis", 0, "op"], "pool")
    yield layer("kernel-2", "A kernel of 2", ["synthesis", 2, "kernel"], 2)
    yield layer("shift-31", "A shift of 31", ["synthesis", 2, "shift"], 31)
    yield layer("shift-negative", "A shift of -1", ["synthesis", 2, "shift"], -1)
    yield layer("shift-fraction", "A shift of 9.5", ["synthesis", 2, "shift"], 9.5)
    yield layer("leaky-1", "leaky is 1, not true", ["synthesis", 2, "leaky"], 1)
    yield layer("inputs-30", "A layer for fewer channels than it gets", ["synthesis", 2, "inputs"], 30)
    yield layer("residual-not-leaky", "The first conv of a residual is not leaky", ["synthesis", 1, "first", "leaky"], False)
    yield layer("residual-leaky", "The second conv of a residual is leaky", ["synthesis", 1, "second", "leaky"], True)
    yield layer("mean-leaky", "A mean that is leaky", ["prior", 0, "mean", "leaky"], True)
    yield layer("factor-3", "A shuffle by 3", ["synthesis", 3, "factor"], 3)

    def twelve_outputs(graph, tensors):
        graph["prior"][0]["trunk"][0]["outputs"] = 12
        for name, axis in (("p0.trunk.weight", 0), ("p0.trunk.bias", 0), ("p0.mean.weight", 3), ("p0.deviation.weight", 3)):
            tensors[name] = np.concatenate([tensors[name], tensors[name]], axis).take(range(12), axis)
        graph["prior"][0]["mean"]["inputs"] = graph["prior"][0]["deviation"]["inputs"] = 12

    yield changed_model(SMALL, "12-outputs", "A conv to 12 channels, no multiple of 8", "3.3", twelve_outputs)

    def bare_shuffle(graph, tensors):
        first, shuffle, *rest = graph["hyperSynthesis"]
        row = {"op": "row", "row": "extra", "limit": 14000}
        tensors["extra"] = np.zeros((100, 32), "<i4")
        graph["hyperSynthesis"] = [first, row, shuffle, *rest]

    yield changed_model(SMALL, "bare-shuffle", "A shuffle that does not follow a 1x1 conv", "3.3", bare_shuffle)

    def bare_unshuffle(graph, tensors):
        unshuffle, *rest = graph["hyperAnalysis"]
        row = {"op": "row", "row": "extra", "limit": 18000}
        tensors["extra"] = np.zeros((100, 128), "<i4")
        graph["hyperAnalysis"] = [unshuffle, row, *rest]

    yield changed_model(SMALL, "bare-unshuffle", "An unshuffle that no 1x1 conv follows", "3.3", bare_unshuffle)

    def down_and_up(graph, tensors):
        """Latents by 2 down, and by 2 up again: the resolution is right at the end."""
        shape = (32, 1, 1, 128), (128, 1, 1, 32)
        convs = []
        for name, (outputs, _, _, inputs) in zip(("extra0", "extra1"), shape):
            tensors[f"{name}.weight"] = np.ones((outputs, 1, 1, inputs), "<i2")
            tensors[f"{name}.bias"] = np.zeros(outputs, "<i4")
            convs.append({
                "op": "conv", "kernel": 1, "inputs": inputs, "outputs": outputs, "weight": f"{name}.weight", "bias": f"{name}.bias",
                "shift": 6, "limit": 14000, "leaky": False,
            })  # fmt: skip
        around = [{"op": "unshuffle", "factor": 2}, convs[0], convs[1], {"op": "shuffle", "factor": 2}]
        graph["synthesis"] = [*around, *graph["synthesis"]]

    yield changed_model(SMALL, "down-and-up", "An unshuffle in synthesis", "3.3", down_and_up)

    def trunk_shuffle(graph, tensors):
        trunk = graph["prior"][1]["trunk"]
        tensors["extra.weight"] = np.ones((32, 1, 1, 8), "<i2")
        tensors["extra.bias"] = np.zeros(32, "<i4")
        trunk.append({
            "op": "conv", "kernel": 1, "inputs": 8, "outputs": 32, "weight": "extra.weight", "bias": "extra.bias", "shift": 3,
            "limit": 14000, "leaky": False,
        })  # fmt: skip
        trunk.append({"op": "shuffle", "factor": 2})

    yield changed_model(SMALL, "trunk-shuffle", "A trunk that changes the resolution", "3.3", trunk_shuffle)

    def no_last_shuffle(graph, tensors):
        del graph["hyperSynthesis"][1:3]
        del tensors["c1.weight"], tensors["c1.bias"]
        graph["hyperSynthesis"][1]["inputs"] = 32
        tensors["c2.weight"] = np.repeat(tensors["c2.weight"], 4, axis=3)

    yield changed_model(SMALL, "resolution", "hyperSynthesis that doubles the resolution only", "3.2", no_last_shuffle)


# ---------------------------------------------------------------- 3.3 Layers that do not fit each other. Their weights fit their own `inputs` and `outputs`.


def _chain(name, about, change, clause="3.3"):
    return changed_model(SMALL, name, about, clause, change)


def _narrow(path, channels, *, outputs=False):
    """A change that cuts the conv at `path` down to so many inputs, or outputs, and its tensors with it."""

    def change(graph, tensors):
        conv = _at(graph, path)
        conv["outputs" if outputs else "inputs"] = channels
        tensors[conv["weight"]] = tensors[conv["weight"]].take(range(channels), 0 if outputs else 3)
        if outputs:
            tensors[conv["bias"]] = tensors[conv["bias"]].take(range(channels), -1)

    return change


def _doubled(path):
    """A change that doubles the outputs of the conv at `path`."""

    def change(graph, tensors):
        conv = _at(graph, path)
        conv["outputs"] *= 2
        for key, axis in (("weight", 0), ("bias", -1)):
            tensors[conv[key]] = np.concatenate([tensors[conv[key]]] * 2, axis)

    return change


def _inputs():
    yield _chain("inputs-after-conv", "A conv for fewer channels than the conv before it makes", _narrow(["hyperSynthesis", 3], 6))
    yield _chain("inputs-after-residual", "A conv for fewer channels than the residual before it makes", _narrow(["synthesis", 2], 30))
    yield _chain("inputs-after-shuffle", "A conv for fewer channels than the shuffle before it makes", _narrow(["hyperSynthesis", 2], 6))
    yield _chain("inputs-after-unshuffle", "A conv for fewer channels than the unshuffle before it makes", _narrow(["analysis", 1], 46))
    yield _chain("inputs-of-hyper-latents", "hyperSynthesis for fewer channels than z has", _narrow(["hyperSynthesis", 0], 6))
    yield _chain("inputs-of-trunk", "The second trunk reads h alone", _narrow(["prior", 1, "trunk", 0], 8))
    yield _chain("inputs-of-mean", "A mean for fewer channels than its trunk makes", _narrow(["prior", 1, "mean"], 6))
    yield _chain("inputs-of-residual", "A residual for fewer channels than it gets", _narrow(["synthesis", 1, "first"], 30))
    yield _chain("inputs-of-second", "A second conv for fewer channels than the first makes", _narrow(["synthesis", 1, "second"], 6))

    def narrow_row(graph, tensors):
        tensors["s0"] = tensors["s0"][:, :24]

    yield _chain("row-of-24", "A row for fewer channels than it gets", narrow_row)

    def odd_inputs(graph, tensors):
        tensors["extra.weight"], tensors["extra.bias"] = np.ones((8, 1, 1, 3), "<i2"), np.zeros(8, "<i4")
        extra = {
            "op": "conv", "kernel": 1, "inputs": 3, "outputs": 8, "weight": "extra.weight", "bias": "extra.bias", "shift": 2,
            "limit": 8192, "leaky": False,
        }  # fmt: skip
        graph["analysis"].insert(0, extra)
        graph["analysis"][2]["inputs"] = 128
        tensors["a0.weight"] = np.ones((8, 1, 1, 128), "<i2")

    yield _chain("inputs-3", "A conv of the picture's 3 channels: an odd number", odd_inputs)


def _outputs():
    def narrow_second(graph, tensors):
        _narrow(["synthesis", 1, "second"], 24, outputs=True)(graph, tensors)
        _narrow(["synthesis", 2], 24)(graph, tensors)

    yield _chain("outputs-of-second", "A residual whose second conv makes fewer channels than the first reads", narrow_second)
    yield _chain("outputs-of-analysis", "analysis that does not end with Cy channels", _narrow(["analysis", -1], 24, outputs=True), "3.2")
    yield _chain("outputs-of-hyper-analysis", "hyperAnalysis that does not end with Cz channels", _doubled(["hyperAnalysis", -1]), "3.2")
    yield _chain("outputs-of-deviation", "A deviation of fewer than Cy channels", _narrow(["prior", 2, "deviation"], 24, outputs=True))
    yield _chain("outputs-of-synthesis", "synthesis that ends with more channels than the head reads", _doubled(["synthesis", -1]), "3.2")

    def narrow_shuffle(graph, tensors):
        _narrow(["synthesis", 5], 64, outputs=True)(graph, tensors)
        _narrow(["synthesis", 7], 4)(graph, tensors)

    yield _chain("shuffle-to-4", "A shuffle that makes 4 channels, no multiple of 8", narrow_shuffle)


def _resampling():
    def analysis_by_8(graph, tensors):
        graph["analysis"][2] = {"op": "unshuffle", "factor": 2}
        _narrow(["analysis", 3], 32)(graph, tensors)

    def unshuffle_last(graph, tensors):
        analysis_by_8(graph, tensors)
        _narrow(["analysis", 3], 8, outputs=True)(graph, tensors)
        graph["analysis"].append({"op": "unshuffle", "factor": 2})

    def hyper_analysis_by_2(graph, tensors):
        del graph["hyperAnalysis"][2]
        _narrow(["hyperAnalysis", 2], 8)(graph, tensors)

    def synthesis_by_8(graph, tensors):
        _narrow(["synthesis", 5], 32, outputs=True)(graph, tensors)
        graph["synthesis"][6] = {"op": "shuffle", "factor": 2}

    yield _chain("analysis-by-8", "analysis that reduces by 8", analysis_by_8, "3.2")
    yield _chain("unshuffle-last", "A list that ends with an unshuffle", unshuffle_last)
    yield _chain("hyper-analysis-by-2", "hyperAnalysis that reduces by 2", hyper_analysis_by_2, "3.2")
    yield _chain("synthesis-by-8", "synthesis that enlarges by 8", synthesis_by_8, "3.2")


def _missing():
    def without(name, about, path, *tensor_keys):
        def change(graph, tensors):
            *way, last = path
            removed = _at(graph, way).pop(last)
            for key in tensor_keys:
                del tensors[removed[key]]

        return _chain(name, about, change)

    yield without("residual-no-first", "A residual without first", ["synthesis", 1, "first"], "weight", "bias")
    yield without("residual-no-second", "A residual without second", ["synthesis", 1, "second"], "weight", "bias")
    yield without("residual-no-limit", "A residual without a limit", ["synthesis", 1, "limit"])
    yield without("row-no-limit", "A row without a limit", ["synthesis", 0, "limit"])
    yield without("conv-no-limit", "A conv without a limit", ["synthesis", 2, "limit"])
    yield without("conv-no-leaky", "A conv that does not say whether it is leaky", ["synthesis", 2, "leaky"])
    yield without("conv-no-shift", "A conv without a shift", ["synthesis", 2, "shift"])
    yield without("shuffle-no-factor", "A shuffle without a factor", ["synthesis", 3, "factor"])
    yield without("layer-no-op", "A layer without an op", ["synthesis", 2, "op"])

    def first_null(graph, tensors):
        for key in ("weight", "bias"):
            del tensors[graph["synthesis"][1]["first"][key]]
        graph["synthesis"][1]["first"] = None

    yield _chain("residual-first-null", "A residual whose first is null", first_null)
    yield with_field("residual-as-conv", "A residual in the place of a residual's first conv", ["synthesis", 1, "first", "op"], "residual", "3.3")
    yield _chain("layer-null", "A layer that is null", lambda graph, _: graph["synthesis"].insert(2, None))


def _kernels():
    def kernel_of(name, about, path, kernel):
        def change(graph, tensors):
            conv = _at(graph, path)
            conv["kernel"] = kernel
            weight = tensors[conv["weight"]]
            shape = (weight.shape[0], kernel, kernel, weight.shape[3])
            tensors[conv["weight"]] = np.ascontiguousarray(np.broadcast_to(weight[:, :1, :1], shape) // 9)

        return _chain(name, about, change)

    yield kernel_of("residual-first-1x1", "A residual whose first conv is 1x1", ["synthesis", 1, "first"], 1)
    yield kernel_of("residual-second-1x1", "A residual whose second conv is 1x1", ["synthesis", 1, "second"], 1)
    yield kernel_of("mean-3x3", "A mean that is 3x3", ["prior", 0, "mean"], 3)
    yield kernel_of("shuffle-after-3x3", "A shuffle that follows a 3x3 conv", ["hyperSynthesis", 3], 3)
    yield kernel_of("unshuffle-before-3x3", "An unshuffle that a 3x3 conv follows", ["hyperAnalysis", 3], 3)
    yield kernel_of("kernel-2-whole", "A kernel of 2 with weights of that shape", ["synthesis", 7], 2)
    yield kernel_of("kernel-5", "A kernel of 5", ["synthesis", 7], 5)
    yield with_field("kernel-bool", "A kernel of true", ["synthesis", 2, "kernel"], True, "3.3")
