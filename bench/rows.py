# SPDX-License-Identifier: MIT
"""The rows of the table: what is run on our side, what on the peer's, how often."""
import os

HERE = os.path.dirname(os.path.abspath(__file__))
TORCH = os.path.join(HERE, "peers", "torch_run.py")
ORT = os.path.join(HERE, "peers", "ort.js")
INFER_MODES = ("eager", "eager_cl", "script", "script_cl")
TRAIN_MODES = ("default", "cl")
SLOW = "runs of seconds: fewer pairs"
SECOND = "the slower peer: fewer pairs"


class Row:
    """kind: pair (alternating) or solo (ours alone).  commands(tools) gives ours, and a command for
    each mode of the peer; key: what is compared."""

    def __init__(self, name, title, threads, peer, ours, modes=None, pairs=7, key="min_ms",
                 note="", model=None):
        self.name, self.title, self.threads, self.peer = name, title, threads, peer
        self.ours, self.modes, self.pairs, self.key = ours, modes or {}, pairs, key
        self.note = note
        self.model = model  # (file, arguments of bench/infer that draw it), or None


def seconds(o, usual):
    return str(0.2 if o.quick else usual)


def infer_rows(o, net, size, batch, threads, torch, pairs):
    """Inference against ONNX Runtime and, where asked for, PyTorch."""
    what = ["--net", net] if net == "generator" else ["--arch", net[4:]]
    common = what + ["--size", str(size), "--batch", str(batch), "--threads", str(threads)]
    ours = [o.program("infer"), *common, "--seconds", seconds(o, 0.7), "--json"]
    file = o.model_file(net)
    head = "infer.%s.b%d.t%d" % (net.lower(), batch, threads)
    title = "inference %s, %dx%d, batch %d" % (net, size, size, batch)
    note = SLOW if pairs < 7 else ""
    shape = "%d,3,%d,%d" % (batch, size, size)
    ort = {"default": [o.node, ORT, file, str(threads), seconds(o, 0.7), shape]}
    yield Row(head + ".ort", title, threads, "ort", ours, ort, pairs, note=note,
              model=(file, what + ["--size", str(size)]))
    if torch:
        modes = {m: [o.python, TORCH, "infer", net, "--mode", m, "--batch", str(batch), "--size",
                     str(size), "--threads", str(threads), "--seconds", seconds(o, 0.7)]
                 for m in INFER_MODES}
        yield Row(head + ".torch", title, threads, "torch", ours, modes, 3, note=SECOND)


def train_rows(o, number, batch, threads, pairs):
    common = ["--batch", str(batch), "--size", "224", "--threads", str(threads), "--seconds",
              seconds(o, 2)]
    ours = [o.program("train"), "--arch", str(number), *common, "--json"]
    modes = {m: [o.python, TORCH, "train", "Arch%d" % number, "--mode", m, *common]
             for m in TRAIN_MODES}
    yield Row("train.arch%d.b%d.t%d.torch" % (number, batch, threads),
              "training step Arch%d, 224x224, batch %d, Adam" % (number, batch), threads, "torch",
              ours, modes, pairs, note=SLOW if pairs < 7 else "")


def cyclegan_rows(o, size, threads, pairs):
    common = ["--size", str(size), "--threads", str(threads), "--seconds", seconds(o, 3)]
    ours = [o.program("cyclegan_step"), *common, "--json"]
    modes = {m: [o.python, TORCH, "cyclegan", "--mode", m, *common, "--least", "2"]
             for m in TRAIN_MODES}
    yield Row("cyclegan.%d.t%d.torch" % (size, threads),
              "CycleGAN step, %dx%d, batch 1, Adam" % (size, size), threads, "torch", ours, modes,
              pairs, note=SLOW)


def load_rows(o, number, threads):
    file = o.model_file("Arch%d" % number)
    ours = [o.program("load"), file, "--threads", str(threads), "--runs", "1"]
    ort = {"default": [o.node, ORT, "--first", file, str(threads), "1,3,224,224"]}
    yield Row("load.arch%d.t%d.ort" % (number, threads),
              "process start to first answer, Arch%d" % number, threads, "ort", ours, ort,
              key="first_ms", note="node's own start not counted",
              model=(file, ["--arch", str(number)]))


def solo_rows(o, threads):
    t = ["--threads", str(threads)]
    yield Row("machine.t%d" % threads, "peak and bandwidth", threads, "",
              [o.program("machine"), *t, "--seconds", seconds(o, 0.5), "--json"])
    yield Row("gemm.t%d" % threads, "matrix products", threads, "",
              [o.program("gemm"), *t, "--seconds", seconds(o, 0.5), "--json"])
    for net in ("Arch1", "Arch3", "Arch5", "Arch8", "Arch11", "generator"):
        file = o.model_file(net)
        what = ["--net", net, "--size", "256"] if net == "generator" else ["--arch", net[4:]]
        yield Row("layers.%s.t%d" % (net.lower(), threads), "layers of %s" % net, threads, "",
                  [o.tool(), "bench", file, *t, "--profile", "--json", "--seconds",
                   seconds(o, 1)], model=(file, what))


def all_rows(o):
    rows = []
    for t in o.threads:
        rows += solo_rows(o, t)
        for n in range(1, 12):
            torch = n in (1, 3, 5, 8, 11)
            rows += infer_rows(o, "Arch%d" % n, 224, 1, t, torch, 7)
        for n in (1, 3, 5, 8):
            for batch in (8, 32):
                rows += infer_rows(o, "Arch%d" % n, 224, batch, t, n in (5, 8), 7)
        for batch in (8, 32):
            rows += infer_rows(o, "Arch11", 224, batch, t, False, 3)
        rows += infer_rows(o, "generator", 256, 1, t, True, 7)
        for n in (1, 5, 8, 11):
            rows += load_rows(o, n, t)
        for n, pairs in ((1, 7), (3, 7), (5, 7), (8, 3)):
            rows += train_rows(o, n, 32, t, pairs)
        rows += train_rows(o, 11, 8, t, 3)
        rows += cyclegan_rows(o, 128, t, 3)
        rows += cyclegan_rows(o, 256, t, 3)
    return rows
