#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Numbers of PyTorch for the tests of training, written to train.txt beside this file.

Made with Debian 12's python3-torch (1.13.1) in float64:

    OPENBLAS_CORETYPE=SkylakeX /usr/bin/python3 tests/golden/make_train.py

Weights and data are not stored: both sides make them from the same linear congruential generator,
as multiples of 2^-23 times a power of two, which float32 holds exactly.
"""
import os

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def numbers(seed, n, scale):
    """n numbers in -scale..scale; scale is a power of two."""
    x, out = seed, []
    for _ in range(n):
        x = (x * 1664525 + 1013904223) % 2**32
        out.append(((x >> 8) / 2**23 - 1.0) * scale)
    return torch.tensor(out)


def tensor(seed, shape, scale):
    n = 1
    for d in shape:
        n *= d
    return numbers(seed, n, scale).reshape(shape)


def labels(seed, n, classes):
    x, out = seed, []
    for _ in range(n):
        x = (x * 1664525 + 1013904223) % 2**32
        out.append((x >> 8) % classes)
    return torch.tensor(out)


def power(x):
    """The largest power of two that is not above x."""
    p = 1.0
    while p > x:
        p /= 2
    while p * 2 <= x:
        p *= 2
    return p


def fill(model, seed):
    """Weight tensor i of the model from seed + i; biases within 1/16."""
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            fan_in = p[0].numel() if p.dim() > 1 else 0
            scale = power((6.0 / fan_in) ** 0.5) if fan_in else 0.0625
            p.copy_(tensor(seed + i, p.shape, scale))


def put(out, name, values):
    values = [float(v) for v in values]
    out.write("%s %d\n" % (name, len(values)))
    for i in range(0, len(values), 6):
        out.write(" ".join("%.12g" % v for v in values[i:i + 6]) + "\n")


def flat(tensors):
    return torch.cat([t.detach().reshape(-1) for t in tensors])


def small_net():
    return nn.Sequential(nn.Conv2d(2, 2, 3, padding=1), nn.ReLU(), nn.Flatten(),
                         nn.Linear(32, 3))


OPTIMISERS = {
    "sgd": (lambda p: torch.optim.SGD(p, 0.05), {}),
    "momentum": (lambda p: torch.optim.SGD(p, 0.05, momentum=0.9), {}),
    "nesterov_l2": (lambda p: torch.optim.SGD(p, 0.05, momentum=0.8, nesterov=True,
                                              weight_decay=0.01), {}),
    "adam": (lambda p: torch.optim.Adam(p, 0.01), {}),
    "adam_l2": (lambda p: torch.optim.Adam(p, 0.01, betas=(0.5, 0.99), eps=1e-6,
                                           weight_decay=0.02), {}),
    "adamw": (lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.1), {}),
    "rmsprop": (lambda p: torch.optim.RMSprop(p, 0.002), {}),
    "rmsprop_momentum": (lambda p: torch.optim.RMSprop(p, 0.002, alpha=0.9, momentum=0.6,
                                                       weight_decay=0.01), {}),
    "clip_norm": (lambda p: torch.optim.SGD(p, 0.05, momentum=0.9), {"norm": 0.5}),
    "clip_both": (lambda p: torch.optim.Adam(p, 0.01), {"value": 0.05, "norm": 0.25}),
}


def optimisers(out):
    for name, (make, clip) in OPTIMISERS.items():
        net = small_net()
        fill(net, 100)
        optimiser = make(net.parameters())
        for step in range(3):
            x, y = tensor(500 + step, (4, 2, 4, 4), 1.0), labels(600 + step, 4, 3)
            optimiser.zero_grad()
            F.cross_entropy(net(x), y).backward()
            if "value" in clip:
                nn.utils.clip_grad_value_(net.parameters(), clip["value"])
            if "norm" in clip:
                nn.utils.clip_grad_norm_(net.parameters(), clip["norm"])
            optimiser.step()
            if step == 0:
                put(out, name + "_1", flat(net.parameters()))
        put(out, name + "_3", flat(net.parameters()))


def smoothing(out):
    """One step with label smoothing and class weights."""
    net = small_net()
    fill(net, 100)
    optimiser = torch.optim.SGD(net.parameters(), 0.05)
    x, y = tensor(500, (4, 2, 4, 4), 1.0), labels(600, 4, 3)
    loss = F.cross_entropy(net(x), y, weight=torch.tensor([1.0, 2.0, 0.5]), label_smoothing=0.125)
    loss.backward()
    optimiser.step()
    put(out, "smoothing_loss", [loss])
    put(out, "smoothing", flat(net.parameters()))


def arch2(out):
    """100 steps of Arch2 at 32x32 with Adam 1e-4: the loss before each."""
    layers, channels = [], 3
    for filters in (8, 16, 16):
        layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels = filters
    net = nn.Sequential(*layers, nn.Flatten(), nn.Linear(256, 16), nn.ReLU(), nn.Linear(16, 4))
    fill(net, 1000)
    optimiser = torch.optim.Adam(net.parameters(), 1e-4)
    losses = []
    for step in range(100):
        x = tensor(2000 + step % 4, (8, 3, 32, 32), 1.0)
        y = labels(3000 + step % 4, 8, 4)
        optimiser.zero_grad()
        loss = F.cross_entropy(net(x), y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    put(out, "arch2", losses)


class Residual(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.body = nn.Sequential(nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3), nn.InstanceNorm2d(c),
                                  nn.ReLU(), nn.ReflectionPad2d(1), nn.Conv2d(c, c, 3),
                                  nn.InstanceNorm2d(c))

    def forward(self, x):
        return x + self.body(x)


def generator(w):
    norm, relu = nn.InstanceNorm2d, nn.ReLU
    return nn.Sequential(
        nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7), norm(w), relu(),
        nn.Conv2d(w, 2 * w, 3, 2, 1), norm(2 * w), relu(),
        nn.Conv2d(2 * w, 4 * w, 3, 2, 1), norm(4 * w), relu(),
        Residual(4 * w),
        nn.ConvTranspose2d(4 * w, 2 * w, 3, 2, 1, 1), norm(2 * w), relu(),
        nn.ConvTranspose2d(2 * w, w, 3, 2, 1, 1), norm(w), relu(),
        nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh())


def discriminator(w):
    return nn.Sequential(nn.Conv2d(3, w, 4, 2, 1), nn.LeakyReLU(0.2),
                         nn.Conv2d(w, 2 * w, 4, 1, 1), nn.InstanceNorm2d(2 * w), nn.LeakyReLU(0.2),
                         nn.Conv2d(2 * w, 1, 4, 1, 1))


def cyclegan(out):
    """One update of a generator that is called three times, through a frozen discriminator."""
    g, d = generator(2), discriminator(2)
    fill(g, 4000)
    fill(d, 5000)
    optimiser = torch.optim.Adam(g.parameters(), 2e-4, betas=(0.5, 0.999))
    a, b = tensor(6000, (2, 3, 16, 16), 1.0), tensor(6001, (2, 3, 16, 16), 1.0)
    fake = g(a)
    judged = d(fake)
    losses = [F.mse_loss(judged, torch.ones_like(judged)), F.l1_loss(g(fake), a),
              F.l1_loss(g(b), b)]
    (losses[0] + 10 * losses[1] + 5 * losses[2]).backward()
    put(out, "gan_losses", losses)
    put(out, "gan_fake", fake.reshape(-1)[:48])
    put(out, "gan_gradients", flat(p.grad for p in g.parameters()))
    optimiser.step()
    put(out, "gan_weights", flat(g.parameters()))


def main():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "train.txt")
    with open(path, "w", encoding="ascii") as out:
        optimisers(out)
        smoothing(out)
        arch2(out)
        cyclegan(out)


if __name__ == "__main__":
    main()
