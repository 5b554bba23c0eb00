#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Write tests/golden/ops.bin: what PyTorch 1.13 computes in float64, for tests/ops to replay.

    OPENBLAS_CORETYPE=SkylakeX python3 tests/golden/make_ops.py

The file is a sequence of lines of text, some followed by numbers:

    case OP key=value ...        one operation; keys are fields of evi_attrs (a.b,c = list), and
                                 training=0|1, n_out=N
    in TYPE DIMS SEED LO HI      an input in order; TYPE f (float32), i (int32), l (int64), b (bool)
                                 or - (absent); DIMS as 2x3x5, "s" for rank 0.  Its values are not
                                 stored: element e is LO + (HI - LO) * k / 65536, k the upper 16
                                 bits of splitmix64(SEED * 2^32 + e); integers are cut off
    weight SEED                  gradient of output 0: the same rule, -1 to 1
    out|grad|moved I DIMS N STRIDE PEAK
                                 expected output I, gradient of input I, or data of input I after
                                 the pass: N float32 (little-endian) follow, elements 0, STRIDE,
                                 2 STRIDE, ...; PEAK is the largest absolute value of all
    end
"""
import math
import os
import struct
import sys

import numpy as np
import torch
import torch.nn.functional as F

torch.set_num_threads(1)
MASK = (1 << 64) - 1
MOST = 700  # numbers stored of one tensor


def values(seed, n, lo, hi):
    z = (np.arange(n, dtype=np.uint64) + np.uint64((seed << 32) & MASK))
    z = z + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return lo + (hi - lo) * (z >> np.uint64(48)).astype(np.float64) / 65536


class Case:
    seed = 100

    def __init__(self, op, **attrs):
        self.head = ["case", op]
        for key, value in attrs.items():
            if isinstance(value, (list, tuple)):
                value = ",".join(str(v) for v in value)
            self.head.append("%s=%s" % (key.replace("__", "."), value))
        self.lines = []
        self.inputs = []
        self.expected = []

    def input(self, shape, lo=-2.0, hi=2.0, kind="f", grad=True):
        Case.seed += 1
        dims = "x".join(str(d) for d in shape) if len(shape) else "s"
        self.lines.append("in %s %s %d %r %r" % (kind, dims, Case.seed, lo, hi))
        v = values(Case.seed, int(np.prod(shape)) if len(shape) else 1, lo, hi)
        if kind != "f":
            t = torch.tensor(np.floor(v).astype(np.int64).reshape(shape))
            t = t.bool() if kind == "b" else t
        else:
            t = torch.tensor(v.reshape(shape), dtype=torch.float64, requires_grad=grad)
        self.inputs.append(t)
        return t

    def absent(self):
        self.lines.append("in - s 0 0.0 0.0")
        self.inputs.append(None)

    def tensor(self, kind, index, t):
        v = t.detach().numpy().astype(np.float64).reshape(-1)
        stride = 1 if v.size <= MOST else (v.size // MOST) | 1
        dims = "x".join(str(d) for d in t.shape) if t.dim() else "s"
        kept = v[::stride].astype("<f4")
        peak = float(np.max(np.abs(v))) if v.size else 0.0
        line = "%s %d %s %d %d %r\n" % (kind, index, dims, kept.size, stride, peak)
        self.expected.append(line.encode() + kept.tobytes())

    def write(self, out, *outputs, moved=()):
        """outputs[0] is differentiated; moved: pairs of (input, tensor)."""
        Case.seed += 1
        y = outputs[0]
        self.lines.append("weight %d" % Case.seed)
        grads = [t for t in self.inputs if t is not None and t.requires_grad]
        if grads and y.requires_grad:
            w = values(Case.seed, y.numel(), -1.0, 1.0).reshape(tuple(y.shape))
            y.backward(torch.tensor(w))
        for i, t in enumerate(outputs):
            self.tensor("out", i, t)
        for i, t in enumerate(self.inputs):
            if t is not None and t.requires_grad and t.grad is not None:
                self.tensor("grad", i, t.grad)
        for i, t in moved:
            self.tensor("moved", i, t)
        out.write((" ".join(self.head) + "\n" + "\n".join(self.lines) + "\n").encode())
        for e in self.expected:
            out.write(e)
        out.write(b"end\n")


# ---- convolution and pooling -----------------------------------------------------------------

def pad4(x, p, value=0.0):
    """p: top, left, bottom, right."""
    return F.pad(x, (p[1], p[3], p[0], p[2]), value=value)


def same(size, kernel, stride, dilation, lower):
    total = max((-(-size // stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    half = total // 2
    return (total - half, half) if lower else (half, total - half)


def conv(out, n, ci, h, w, co, k, s=(1, 1), p=(0, 0, 0, 0), d=(1, 1), g=1, bias=True, auto=0):
    c = Case("conv2d", stride=s, pad=p, dilation=d, groups=g, auto_pad=auto)
    x = c.input((n, ci, h, w))
    wt = c.input((co, ci // g, k[0], k[1]), -0.5, 0.5)
    b = c.input((co,)) if bias else None
    if auto in (1, 2):
        t, bt = same(h, k[0], s[0], d[0], auto == 2)
        l, r = same(w, k[1], s[1], d[1], auto == 2)
        p = (t, l, bt, r)
    elif auto == 3:
        p = (0, 0, 0, 0)
    c.write(out, F.conv2d(pad4(x, p), wt, b, s, 0, d, g))


def convolutions(out):
    conv(out, 2, 3, 9, 11, 5, (3, 3), p=(1, 1, 1, 1))
    conv(out, 1, 4, 12, 10, 8, (3, 3), s=(2, 2), p=(1, 0, 0, 1))
    conv(out, 2, 6, 7, 8, 6, (3, 3), p=(1, 1, 1, 1), g=6)
    conv(out, 2, 4, 9, 9, 12, (5, 3), s=(2, 1), p=(2, 1, 2, 1), g=4, bias=False)
    conv(out, 1, 6, 8, 13, 9, (3, 2), d=(2, 3), g=3)
    conv(out, 3, 16, 6, 5, 17, (1, 1))
    conv(out, 2, 8, 9, 7, 5, (1, 1), s=(2, 3), bias=False)
    conv(out, 1, 3, 31, 33, 16, (7, 7), s=(4, 4), p=(3, 3, 3, 3))
    conv(out, 1, 32, 17, 19, 33, (3, 3), p=(1, 1, 1, 1))
    conv(out, 2, 64, 14, 14, 48, (3, 3), p=(1, 1, 1, 1), bias=False)
    conv(out, 1, 128, 10, 9, 16, (3, 3), p=(1, 1, 1, 1))
    conv(out, 1, 5, 8, 9, 4, (4, 4), s=(2, 2), auto=1)
    conv(out, 1, 5, 8, 9, 4, (4, 3), s=(1, 2), auto=2)
    conv(out, 1, 5, 8, 9, 4, (3, 3), s=(2, 2), auto=3)
    conv(out, 1, 2, 4, 4, 3, (3, 3), p=(4, 5, 3, 4))
    for n, ci, w, co, k, s, p, d, g in ((2, 3, 20, 4, 5, 2, 2, 1, 1), (1, 4, 17, 8, 3, 1, 4, 3, 2)):
        c = Case("conv2d", stride=(1, s), pad=(0, p, 0, p), dilation=(1, d), groups=g)
        x, wt, b = c.input((n, ci, w)), c.input((co, ci // g, k)), c.input((co,))
        c.write(out, F.conv1d(x, wt, b, s, p, d, g))


def transposed(out):
    for n, ci, h, w, co, k, s, p, op, d, g, bias in (
            (2, 3, 5, 6, 4, (3, 3), (1, 1), (0, 0), (0, 0), (1, 1), 1, True),
            (1, 8, 7, 9, 5, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1, True),
            (2, 6, 4, 5, 6, (4, 4), (2, 2), (1, 1), (0, 0), (1, 1), 1, False),
            (1, 6, 5, 4, 4, (3, 2), (3, 2), (1, 0), (2, 1), (1, 1), 2, True),
            (1, 4, 6, 6, 4, (3, 3), (2, 2), (1, 1), (1, 0), (1, 1), 4, True),
            (2, 2, 5, 7, 3, (2, 3), (1, 2), (0, 2), (0, 1), (2, 2), 1, True),
            (1, 32, 8, 8, 16, (3, 3), (2, 2), (1, 1), (1, 1), (1, 1), 1, True)):
        c = Case("conv_transpose2d", stride=s, pad=p + p, output_pad=op, dilation=d, groups=g)
        x, wt = c.input((n, ci, h, w)), c.input((ci, co // g) + k, -0.5, 0.5)
        b = c.input((co,)) if bias else None
        c.write(out, F.conv_transpose2d(x, wt, b, s, p, op, g, d))
    # asymmetric padding: the full result, cut
    c = Case("conv_transpose2d", stride=(2, 2), pad=(0, 1, 2, 0))
    x, wt = c.input((1, 3, 4, 5)), c.input((3, 2, 3, 3))
    c.write(out, F.conv_transpose2d(x, wt, None, 2)[:, :, :-2, 1:])
    c = Case("conv_transpose2d", stride=(1, 2), pad=(0, 1, 0, 1))
    x, wt, b = c.input((2, 3, 6)), c.input((3, 2, 4)), c.input((2,))
    c.write(out, F.conv_transpose1d(x, wt, b, 2, 1))


def pools(out):
    for n, ch, h, w, k, s, p, d, ceil in (
            (2, 3, 8, 10, (2, 2), (2, 2), (0, 0), (1, 1), 0),
            (1, 4, 9, 33, (2, 2), (2, 2), (0, 0), (1, 1), 0),
            (2, 3, 9, 7, (2, 2), (2, 2), (0, 0), (1, 1), 1),
            (1, 3, 11, 13, (3, 3), (2, 2), (1, 1), (1, 1), 0),
            (1, 3, 11, 12, (3, 3), (2, 2), (1, 1), (1, 1), 1),
            (1, 2, 10, 12, (3, 2), (1, 3), (1, 1), (2, 2), 0),
            (1, 2, 20, 20, (17, 17), (1, 1), (8, 8), (1, 1), 0)):
        c = Case("max_pool2d", kernel=k, stride=s, pad=p + p, dilation=d, ceil_mode=ceil)
        c.write(out, F.max_pool2d(c.input((n, ch, h, w)), k, s, p, d, bool(ceil)))
    c = Case("max_pool2d", kernel=(2, 2), stride=(2, 2), n_out=2)
    y, where = F.max_pool2d(c.input((1, 1, 6, 8)), 2, return_indices=True)
    c.write(out, y, where.double())
    for n, ch, h, w, k, s, p, ceil, count in (
            (2, 3, 8, 10, (2, 2), (2, 2), (0, 0), 0, 0),
            (1, 3, 11, 13, (3, 3), (2, 2), (1, 1), 0, 1),
            (1, 3, 11, 12, (3, 3), (2, 2), (1, 1), 1, 0),
            (1, 3, 11, 12, (3, 3), (2, 2), (1, 1), 1, 1),
            (2, 2, 7, 9, (3, 2), (1, 3), (1, 0), 0, 1), (1, 2, 7, 7, (7, 7), (1, 1), (0, 0), 0, 0)):
        c = Case("average_pool2d", kernel=k, stride=s, pad=p + p, ceil_mode=ceil,
                 count_include_pad=count)
        c.write(out, F.avg_pool2d(c.input((n, ch, h, w)), k, s, p, bool(ceil), bool(count)))
    c = Case("max_pool2d", kernel=(1, 3), stride=(1, 2), pad=(0, 1, 0, 1))
    c.write(out, F.max_pool1d(c.input((2, 3, 15)), 3, 2, 1))
    c = Case("average_pool2d", kernel=(1, 4), stride=(1, 3))
    c.write(out, F.avg_pool1d(c.input((2, 3, 15)), 4, 3))
    for shape in ((2, 5, 7, 7), (1, 3, 13, 1), (3, 33, 15, 17)):
        c = Case("global_average_pool")
        c.write(out, F.adaptive_avg_pool2d(c.input(shape), 1))
        c = Case("global_max_pool")
        c.write(out, F.adaptive_max_pool2d(c.input(shape), 1))


# ---- matrices --------------------------------------------------------------------------------

def matrices(out):
    for n, k, m, bias in ((1, 17, 4, True), (5, 64, 33, True), (32, 100, 10, False),
                          (3, 513, 129, True), (64, 31, 65, True)):
        c = Case("dense", trans_b=1)
        x, w = c.input((n, k)), c.input((m, k), -0.5, 0.5)
        b = c.input((m,)) if bias else None
        c.write(out, F.linear(x, w, b))
    for ta, tb, shape in ((0, 0, (5,)), (1, 0, (7, 1)), (0, 1, (7, 5)), (1, 1, ()), (1, 1, (1, 5))):
        c = Case("dense", trans_a=ta, trans_b=tb, alpha=0.5, beta=1.25)
        a = c.input((9, 7) if ta else (7, 9))
        b = c.input((5, 9) if tb else (9, 5))
        v = c.input(shape)
        c.write(out, 0.5 * ((a.t() if ta else a) @ (b.t() if tb else b)) + 1.25 * v)
    c = Case("dense", alpha=1, beta=1)
    x, w, b = c.input((6, 40)), c.input((40, 19)), c.input((19,))
    c.write(out, x @ w + b)
    for a, b in (((7, 33), (33, 18)), ((3, 5, 16), (16, 9)), ((2, 3, 5, 8), (2, 3, 8, 7)),
                 ((2, 1, 5, 8), (3, 8, 7)), ((5, 8), (3, 8, 7)), ((8,), (3, 8, 7)),
                 ((3, 7, 8), (8,)), ((9,), (9,))):
        c = Case("matmul")
        c.write(out, torch.matmul(c.input(a), c.input(b)))


# ---- norms, softmax --------------------------------------------------------------------------

def norms(out):
    for shape, eps, momentum in (((8, 5), 1e-5, 0.9), ((4, 3, 9), 1e-3, 0.8),
                                 ((3, 6, 7, 5), 1e-5, 0.9), ((2, 17, 16, 16), 1e-5, 0.5),
                                 ((2, 3, 2, 3, 4), 1e-5, 0.9)):
        ch = shape[1]
        for training in (1, 0):
            c = Case("batch_norm", epsilon=eps, momentum=momentum, training=training)
            x, w, b = c.input(shape, -1.0, 3.0), c.input((ch,), 0.5, 1.5), c.input((ch,))
            mean = c.input((ch,), -1.0, 1.0, grad=False)
            var = c.input((ch,), 0.5, 2.5, grad=False)
            m, v = mean.detach().clone(), var.detach().clone()
            y = F.batch_norm(x, m, v, w, b, bool(training), 1 - np.float32(momentum).item(),
                             np.float32(eps).item())
            if not training:
                y = y.detach()
            c.write(out, y, moved=((3, m), (4, v)) if training else ())
    for shape, affine in (((2, 3, 7, 9), 2), ((1, 5, 16, 15), 0), ((3, 2, 20), 2),
                          ((1, 4, 33, 31), 1)):
        c = Case("instance_norm", epsilon=1e-5)
        x = c.input(shape, -1.0, 3.0)
        w = c.input((shape[1],), 0.5, 1.5) if affine > 0 else None
        b = c.input((shape[1],)) if affine > 1 else None
        c.write(out, F.instance_norm(x, None, None, w, b, True, 0.1, np.float32(1e-5).item()))
    for shape, axis in (((5, 33), 1), ((2, 3, 7), -1), ((2, 3, 4, 5), 2), ((3, 4, 5), 0)):
        c = Case("layer_norm", axis=axis, epsilon=1e-5)
        row = shape[axis:]
        x, w, b = c.input(shape, -1.0, 3.0), c.input(row, 0.5, 1.5), c.input(row)
        c.write(out, F.layer_norm(x, row, w, b, np.float32(1e-5).item()))
    c = Case("lrn", kernel=(5, 0), alpha=0.25, beta=0.75, epsilon=2.0)
    x = c.input((2, 9, 4, 5), grad=False)
    c.write(out, F.local_response_norm(x, 5, 0.25, 0.75, 2.0))
    for shape, axis in (((4, 10), -1), ((3, 5, 7), 1), ((2, 100, 3, 70), 1), ((33,), 0),
                        ((3, 4, 5), 0), ((2, 1000), 1)):
        c = Case("softmax", axis=axis)
        c.write(out, torch.softmax(c.input(shape, -8.0, 8.0), axis))
        c = Case("log_softmax", axis=axis)
        c.write(out, torch.log_softmax(c.input(shape, -8.0, 8.0), axis))
    c = Case("softmax", axis=1, opset=11)
    x = c.input((3, 4, 5))
    c.write(out, torch.softmax(x.reshape(3, 20), 1).reshape(3, 4, 5))
    c = Case("log_softmax", axis=-1)
    c.write(out, torch.log_softmax(c.input((3, 9), 9000.0, 9064.0), -1))


# ---- losses ----------------------------------------------------------------------------------

REDUCE = ("mean", "sum", "none")


def losses(out):
    for shape, weights, smooth, reduce, kind in (
            ((8, 4), 0, 0.0, 0, "l"), ((33, 10), 1, 0.0, 0, "i"), ((8, 4), 1, 0.125, 0, "l"),
            ((5, 7), 0, 0.125, 1, "l"), ((5, 7), 1, 0.25, 2, "i"), ((2, 5, 6, 4), 1, 0.0, 0, "l"),
            ((2, 5, 6), 0, 0.125, 2, "l"), ((3, 1000), 0, 0.0, 0, "l")):
        c = Case("cross_entropy", smoothing=smooth, reduce=reduce)
        x = c.input(shape, -4.0, 4.0)
        y = c.input(shape[:1] + shape[2:], 0.0, float(shape[1]), kind)
        w = c.input((shape[1],), 0.5, 2.5, grad=False) if weights else None
        c.write(out, F.cross_entropy(x, y, w, reduction=REDUCE[reduce], label_smoothing=smooth))
    for shape, weights, smooth, reduce, t in (((8, 4), 0, 0.0, 0, 1.0), ((6, 5), 1, 0.125, 0, 4.0),
                                              ((2, 3, 5), 0, 0.0, 1, 2.0),
                                              ((2, 3, 5), 1, 0.0, 2, 1.0)):
        c = Case("soft_cross_entropy", smoothing=smooth, reduce=reduce, alpha=t)
        x, y = c.input(shape, -4.0, 4.0), c.input(shape, 0.0, 1.0)
        w = c.input((shape[1],), 0.5, 2.5, grad=False) if weights else None
        # written out: F.cross_entropy gives the target no gradient
        target = y * (1 - smooth) + smooth / shape[1]
        term = target * torch.log_softmax(x / t, 1)
        if weights:
            term = term * w.reshape((-1,) + (1,) * (len(shape) - 2))
        rows = -term.sum(1)
        f = F.cross_entropy((x / t).detach(), y.detach(), w, reduction=REDUCE[reduce],
                            label_smoothing=smooth)
        y0 = rows if reduce == 2 else rows.sum() if reduce == 1 else rows.mean()
        assert torch.allclose(y0, f, rtol=1e-12), (y0, f)
        c.write(out, y0)
    for name, f in (("mse_loss", F.mse_loss), ("l1_loss", F.l1_loss),
                    ("bce_logits_loss", F.binary_cross_entropy_with_logits)):
        for shape, reduce, target in (((3, 4, 5), 0, None), ((130, 140), 0, None), ((7,), 1, None),
                                      ((2, 9), 2, None), ((1, 1, 30, 30), 0, 1.0),
                                      ((5, 5), 0, 0.0)):
            c = Case(name, reduce=reduce, alpha=0.0 if target is None else target)
            x = c.input(shape, -4.0, 4.0)
            if target is None:
                t = c.input(shape, 0.0, 1.0, grad=name != "bce_logits_loss")
            else:
                t = torch.full(shape, target, dtype=torch.float64)
            c.write(out, f(x, t, reduction=REDUCE[reduce]))


# ---- elementwise, layout ---------------------------------------------------------------------

def elements(out):
    shape = (2, 3, 7, 9)
    for op, f, attrs in (
            ("relu", F.relu, {}), ("leaky_relu", lambda x: F.leaky_relu(x, 0.25), {"alpha": 0.25}),
            ("clip", lambda x: F.hardtanh(x, 0.0, 1.5), {"alpha": 0.0, "beta": 1.5}),
            ("sigmoid", torch.sigmoid, {}), ("tanh", torch.tanh, {}),
            ("hard_swish", F.hardswish, {}),
            ("hard_sigmoid", lambda x: torch.clamp(0.25 * x + 0.5, 0, 1),
             {"alpha": 0.25, "beta": 0.5}),
            ("exp", torch.exp, {}), ("neg", torch.neg, {}), ("abs", torch.abs, {}),
            ("erf", torch.erf, {}), ("elu", lambda x: F.elu(x, 1.5), {"alpha": 1.5}),
            ("selu", F.selu, {"alpha": 1.6732632423543772, "beta": 1.0507009873554805}),
            ("softplus", F.softplus, {}), ("softsign", F.softsign, {}), ("sin", torch.sin, {}),
            ("cos", torch.cos, {}), ("gelu", F.gelu, {}),
            ("gelu", lambda x: F.gelu(x, approximate="tanh"), {"flag": 1}),
            ("identity", lambda x: x * 1.0, {})):
        c = Case(op, **attrs)
        c.write(out, f(c.input(shape, -4.0, 4.0)))
    for op, f in (("sigmoid", torch.sigmoid), ("tanh", torch.tanh)):
        c = Case(op)
        c.write(out, f(c.input((300,), -32.0, 32.0)))
    for op, f in (("sqrt", torch.sqrt), ("log", torch.log), ("reciprocal", torch.reciprocal)):
        c = Case(op)
        c.write(out, f(c.input(shape, 0.25, 4.25)))
    c = Case("prelu")
    x, a = c.input(shape), c.input((3, 1, 1), 0.0, 0.5)
    c.write(out, torch.where(x > 0, x, a * x))
    for op, f in (("add", torch.add), ("sub", torch.sub), ("mul", torch.mul), ("div", torch.div)):
        for a, b in ((shape, shape), (shape, (3, 1, 1)), ((7, 9), shape), ((2, 1, 7, 1), (3, 1, 9)),
                     ((), (4, 5))):
            c = Case(op)
            c.write(out, f(c.input(a), c.input(b, 0.5, 2.5)))


def layouts(out):
    for axis in (0, 1, -1):
        c = Case("concat", axis=axis)
        dims = [[2, 3, 4], [2, 3, 4], [2, 3, 4]]
        for i, d in enumerate(dims):
            d[axis] = i + 1
        c.write(out, torch.cat([c.input(tuple(d)) for d in dims], axis))
    x_shape = (2, 3, 6, 5)
    for mode, name, p in ((0, "constant", (1, 2, 0, 3)), (1, "reflect", (2, 1, 3, 4)),
                          (2, "replicate", (2, 1, 3, 4)), (3, "circular", (2, 1, 3, 4))):
        c = Case("pad", mode=mode, list=(0, 0, p[0], p[1], 0, 0, p[2], p[3]), alpha=0.5)
        x = c.input(x_shape)
        kind = {"value": 0.5} if mode == 0 else {}
        c.write(out, F.pad(x, (p[1], p[3], p[0], p[2]), mode=name, **kind))
    for mode, coord, f in (
            (0, 3, lambda x, s: F.interpolate(x, s, mode="nearest")),
            (1, 1, lambda x, s: F.interpolate(x, s, mode="bilinear", align_corners=False)),
            (1, 2, lambda x, s: F.interpolate(x, s, mode="bilinear", align_corners=True)),
            (2, 0, lambda x, s: F.interpolate(x, s, mode="bicubic", align_corners=False)),
            (2, 2, lambda x, s: F.interpolate(x, s, mode="bicubic", align_corners=True))):
        for size in ((12, 10), (9, 13), (4, 3)):
            c = Case("resize", mode=mode, coord=coord, nearest=2, cubic_a=-0.75,
                     list2=(2, 3) + size)
            c.write(out, f(c.input(x_shape), size))
    c = Case("transpose", list=(0, 2, 3, 1))
    c.write(out, c.input(x_shape).permute(0, 2, 3, 1))
    c = Case("slice", list=(1, 0), list2=(3, 6), list3=(1, 2), list4=(1, 2))
    c.write(out, c.input(x_shape)[:, 1:3, 0:6:2])
    c = Case("depth_to_space", flag=2, mode=1)
    c.write(out, F.pixel_shuffle(c.input((2, 8, 3, 4)), 2))
    c = Case("flatten", axis=1)
    c.write(out, c.input(x_shape).flatten(1))
    for op, f in (("reduce_mean", torch.mean), ("reduce_sum", torch.sum)):
        for axes, keep in (((2, 3), 1), ((1,), 0), ((0, 2), 0)):
            c = Case(op, list=axes, keep_dims=keep)
            c.write(out, f(c.input(x_shape), axes, keepdim=bool(keep)))
    c = Case("reduce_l2", list=(1,), keep_dims=1)
    c.write(out, torch.linalg.norm(c.input(x_shape), dim=1, keepdim=True))


def main():
    assert torch.__version__.startswith("1.13"), torch.__version__
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "ops.bin")
    with open(path, "wb") as out:
        for part in (convolutions, transposed, pools, matrices, norms, losses, elements, layouts):
            part(out)
    print(path, os.path.getsize(path), "bytes")


if __name__ == "__main__":
    main()
