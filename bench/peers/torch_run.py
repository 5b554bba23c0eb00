# SPDX-License-Identifier: MIT
"""What PyTorch needs for the work of bench/infer, bench/train and bench/cyclegan_step:

    torch_run.py infer NET --mode eager|eager_cl|script|script_cl [--batch N] [--size N]
    torch_run.py train NET --mode default|cl ...
    torch_run.py cyclegan --mode default|cl --size N
    each: [--threads N] [--seconds S] [--least N]

cl: channels-last memory; script: traced, frozen, optimised for inference.  Prints one JSON line.
Set OPENBLAS_CORETYPE=SkylakeX where OpenBLAS does not know the processor (0.3.21 takes SSE3 then).
"""
import argparse
import itertools
import json
import time

import torch
from torch import nn

import nets


def options():
    p = argparse.ArgumentParser()
    p.add_argument("what", choices=["infer", "train", "cyclegan"])
    p.add_argument("net", nargs="?", default="")
    p.add_argument("--mode", default="")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--batch", type=int, default=1)
    p.add_argument("--size", type=int, default=224)
    p.add_argument("--seconds", type=float, default=2)
    p.add_argument("--least", type=int, default=3)
    return p.parse_args()


def picture(o, batch, seed):
    x = torch.rand(batch, 3, o.size, o.size, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return x.contiguous(memory_format=torch.channels_last) if o.mode.endswith("cl") else x


def laid_out(o, net):
    return net.to(memory_format=torch.channels_last) if o.mode.endswith("cl") else net


def inference(o):
    net, x = laid_out(o, nets.build(o.net, o.size).eval()), picture(o, o.batch, 1)
    if o.mode.startswith("script"):
        net = torch.jit.optimize_for_inference(torch.jit.freeze(torch.jit.trace(net, x)))

    def run():
        with torch.no_grad():
            net(x)
    return run, 0.5


def training(o):
    net, x = laid_out(o, nets.build(o.net, o.size).train()), picture(o, o.batch, 1)
    labels = torch.arange(o.batch) % 4
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    loss = nn.CrossEntropyLoss()

    def run():
        optimiser.zero_grad(set_to_none=True)
        loss(net(x), labels).backward()
        optimiser.step()
    return run, 0


def trainable(models, on):
    for model in models:
        for weight in model.parameters():
            weight.requires_grad_(on)


def cyclegan(o):
    """Generators' losses: least squares 1, cycle 10, identity 5; discriminators: real and generated
    pictures, half each."""
    g_ab, g_ba = (laid_out(o, nets.generator()) for _ in range(2))
    d_a, d_b = (laid_out(o, nets.discriminator()) for _ in range(2))
    a, b = picture(o, 1, 1), picture(o, 1, 2)
    l1, square = nn.L1Loss(), nn.MSELoss()
    g_adam, d_adam = (torch.optim.Adam(itertools.chain(m.parameters(), n.parameters()), lr=2e-4,
                                       betas=(0.5, 0.999)) for m, n in ((g_ab, g_ba), (d_a, d_b)))

    def judged(patches, target):
        return square(patches, torch.full_like(patches, target))

    def run():
        trainable((d_a, d_b), False)
        fake_b, fake_a = g_ab(a), g_ba(b)
        loss = judged(d_b(fake_b), 1.0) + judged(d_a(fake_a), 1.0)
        loss = loss + 10 * (l1(g_ba(fake_b), a) + l1(g_ab(fake_a), b))
        loss = loss + 5 * (l1(g_ba(a), a) + l1(g_ab(b), b))
        g_adam.zero_grad(set_to_none=True)
        loss.backward()
        g_adam.step()
        trainable((d_a, d_b), True)
        d_adam.zero_grad(set_to_none=True)
        for judge, real, fake in ((d_a, a, fake_a.detach()), (d_b, b, fake_b.detach())):
            (0.5 * (judged(judge(real), 1.0) + judged(judge(fake), 0.0))).backward()
        d_adam.step()
    return run, 0


def peak_mib():
    with open("/proc/self/status", encoding="ascii") as f:
        return next(float(line.split()[1]) / 1024 for line in f if line.startswith("VmHWM:"))


def main():
    o = options()
    torch.set_num_threads(o.threads)
    torch.manual_seed(1)
    run, warm_seconds = {"infer": inference, "train": training, "cyclegan": cyclegan}[o.what](o)
    begin, warm, ms = time.perf_counter(), 0, []
    while warm < 1 or time.perf_counter() - begin < warm_seconds:
        run()
        warm += 1
    begin = time.perf_counter()
    while len(ms) < o.least or time.perf_counter() - begin < o.seconds:
        t = time.perf_counter()
        run()
        ms.append((time.perf_counter() - t) * 1e3)
    ms.sort()
    n = len(ms)
    print(json.dumps({"bench": "torch", "mode": o.mode, "runs": n, "min_ms": ms[0],
                      "p10_ms": ms[n // 10], "median_ms": ms[n // 2], "p90_ms": ms[n * 9 // 10],
                      "peak_mib": peak_mib(), "version": torch.__version__}))


main()
