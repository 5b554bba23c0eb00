#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Steps of a CycleGAN in PyTorch, in float64, for tests/gan/parity.c: gan.txt beside this file.

    OPENBLAS_CORETYPE=SkylakeX /usr/bin/python3 tests/golden/make_gan.py [width [steps]]

With a width the file goes to standard output: for comparisons at full size by hand.

Weights and pictures are not stored: both sides make them from the same linear congruential
generator.  The histories' coins are those of the library (Philox 4x32-10, lib/base/rng.c and
lib/gan/pool.c), computed here.
"""
import os
import sys

import torch
import torch.nn as nn
import torch.nn.functional as F

from make_train import power, put, tensor

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)

SIZE, BLOCKS, POOL = 64, 6, 3
MASK = 2**32 - 1


# ---- the library's random numbers ------------------------------------------------------------

def philox(seed, stream, block):
    c = [block & MASK, block >> 32, stream & MASK, stream >> 32]
    k = [seed & MASK, seed >> 32]
    for _ in range(10):
        p0, p1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(p1 >> 32) ^ c[1] ^ k[0], p1 & MASK, (p0 >> 32) ^ c[3] ^ k[1], p0 & MASK]
        k = [(k[0] + 0x9E3779B9) & MASK, (k[1] + 0xBB67AE85) & MASK]
    return c


def derive(seed, stream, number):
    w = philox(seed ^ 0xA5A5F00DC3C3B00B, stream, number)
    return w[0] | w[1] << 32, w[2] | w[3] << 32


class Pool:
    """Of made pictures; batches of one."""

    def __init__(self, side):
        self.side, self.pictures = side, []

    def swap(self, made, step):
        if len(self.pictures) < POOL:
            self.pictures.append(made)
            return made
        seed, stream = derive(1, 0x706f6f6c + self.side, step)
        w = philox(seed, stream, 0)
        if w[0] >> 31 == 0:
            return made
        at = w[1] * POOL >> 32
        old, self.pictures[at] = self.pictures[at], made
        return old


# ---- the networks ----------------------------------------------------------------------------

class Variant:
    def __init__(self, name):
        self.name, self.authors = name, name == "authors"

    def norm(self, c):
        return nn.InstanceNorm2d(c, affine=self.authors)

    def conv(self, c_in, c_out, kernel):
        """Same size: zeros around (authors) or reflected."""
        if self.authors:
            return [nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2)]
        return [nn.ReflectionPad2d(kernel // 2), nn.Conv2d(c_in, c_out, kernel)]

    def generator(self, w):
        layers = self.conv(3, w, 7) + [self.norm(w), nn.ReLU()]
        for c in (w, 2 * w):
            layers += [nn.Conv2d(c, 2 * c, 3, 2, 1), self.norm(2 * c), nn.ReLU()]
        c = 4 * w
        for _ in range(BLOCKS):
            layers.append(Residual(self, c, 4 * w))
            c += 4 * w if self.authors else 0
        for c_out in (2 * w, w):
            layers += [nn.ConvTranspose2d(c, c_out, 3, 2, 1, 1), self.norm(c_out), nn.ReLU()]
            c = c_out
        layers += self.conv(w, 3, 7) + ([self.norm(3)] if self.authors else []) + [nn.Tanh()]
        return nn.Sequential(*layers)

    def discriminator(self, w):
        layers = [nn.Conv2d(3, w, 4, 2, 1), nn.LeakyReLU(0.2)]
        if not self.authors:
            for c, c_out, stride in ((1, 2, 2), (2, 4, 2), (4, 8, 1)):
                layers += [nn.Conv2d(c * w, c_out * w, 4, stride, 1), self.norm(c_out * w),
                           nn.LeakyReLU(0.2)]
            return nn.Sequential(*layers, nn.Conv2d(8 * w, 1, 4, 1, 1))
        for c in (1, 2, 4):
            layers += [nn.Conv2d(c * w, 2 * c * w, 4, 2, 1), self.norm(2 * c * w),
                       nn.LeakyReLU(0.2)]
        same = nn.ZeroPad2d((1, 2, 1, 2))
        layers += [same, nn.Conv2d(8 * w, 8 * w, 4), self.norm(8 * w), nn.LeakyReLU(0.2)]
        return nn.Sequential(*layers, same, nn.Conv2d(8 * w, 1, 4))


class Residual(nn.Module):
    def __init__(self, v, c_in, c):
        super().__init__()
        self.concat = v.authors
        self.body = nn.Sequential(*v.conv(c_in, c, 3), v.norm(c), nn.ReLU(), *v.conv(c, c, 3),
                                  v.norm(c))

    def forward(self, x):
        y = self.body(x)
        return torch.cat([y, x], 1) if self.concat else y + x


def fill(net, seed):
    """Weight tensor i from seed + i; biases and shifts within 1/16, scales 1 within 1/4."""
    i = 0
    with torch.no_grad():
        for m in net.modules():
            for name, p in m.named_parameters(recurse=False):
                fan_in = p[0].numel() if p.dim() > 1 else 0
                scale = power((6.0 / fan_in) ** 0.5) if fan_in else 0.0625
                is_scale = isinstance(m, nn.InstanceNorm2d) and name == "weight"
                p.copy_(1 + tensor(seed + i, p.shape, 0.25) if is_scale
                        else tensor(seed + i, p.shape, scale))
                i += 1


def counted(net):
    """Weights that have a gradient: biases before a norm have none."""
    modules = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d,
                                                          nn.InstanceNorm2d))]
    out = []
    for i, m in enumerate(modules):
        normed = i + 1 < len(modules) and isinstance(modules[i + 1], nn.InstanceNorm2d)
        for name, p in m.named_parameters(recurse=False):
            if not (name == "bias" and normed and not isinstance(m, nn.InstanceNorm2d)):
                out.append(p)
    return out


def sample(net):
    """Seven elements of each weight tensor, evenly spread."""
    out = []
    for p in counted(net):
        flat = p.detach().reshape(-1)
        out += [flat[k * flat.numel() // 7] for k in range(7)]
    return out


# ---- steps -----------------------------------------------------------------------------------

def least_squares(x, target):
    return F.mse_loss(x, torch.full_like(x, target))


class Gan:
    def __init__(self, v, width):
        self.g = [v.generator(width), v.generator(width)]
        self.d = [v.discriminator(width), v.discriminator(width)]
        for side in range(2):
            fill(self.g[side], 10000 + 1000 * side)
            fill(self.d[side], 20000 + 1000 * side)
        self.pools = [Pool(0), Pool(1)]
        self.step = 0

    def adam(self, nets):
        return torch.optim.Adam([p for n in nets for p in n.parameters()], 2e-4,
                                betas=(0.5, 0.999))

    def terms(self, x, side):
        """Adversarial, cycle, identity."""
        fake = self.g[side](x[side])
        back = self.g[1 - side](fake)
        same = self.g[side](x[1 - side])
        return (least_squares(self.d[side](fake), 1.0), 10 * F.l1_loss(back, x[side]),
                5 * F.l1_loss(same, x[1 - side]))

    def judge(self, x, given, side):
        return 0.5 * (least_squares(self.d[side](x[1 - side]), 1.0)
                      + least_squares(self.d[side](given[side]), 0.0))

    def given(self, x):
        with torch.no_grad():
            made = [self.g[side](x[side]) for side in range(2)]
        return [self.pools[side].swap(made[side], self.step) for side in range(2)]


def update(optimiser, loss):
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


class Joint(Gan):
    def __init__(self, v, width):
        super().__init__(v, width)
        self.adams = [self.adam(self.g), self.adam(self.d)]

    def run(self, x):
        given = self.given(x)
        told = [self.terms(x, side) for side in range(2)]
        update(self.adams[0], sum(told[0]) + sum(told[1]))
        judged = [self.judge(x, given, side) for side in range(2)]
        update(self.adams[1], judged[0] + judged[1])
        self.step += 1
        return [judged[0], *told[0], judged[1], *told[1]]


class Authors(Gan):
    def __init__(self, v, width):
        super().__init__(v, width)
        self.adams = [[self.adam([n]) for n in nets] for nets in (self.g, self.d)]

    def run(self, x):
        given = self.given(x)
        told, judged = [None, None], [None, None]
        for side in (1, 0):
            told[side] = self.terms(x, side)
            back = self.g[side](self.g[1 - side](x[1 - side]).detach())
            update(self.adams[0][side],
                   sum(told[side]) + 10 * F.l1_loss(back, x[1 - side]))
            judged[side] = self.judge(x, given, side)
            update(self.adams[1][side], judged[side])
        self.step += 1
        return [judged[0], *told[0], judged[1], *told[1]]


def picture(seed):
    return tensor(seed, (1, 3, SIZE, SIZE), 1.0)


def forward(out, v, width):
    """Every 61st number of what a generator and a discriminator make of a picture."""
    g, d = v.generator(width), v.discriminator(width)
    fill(g, 10000)
    fill(d, 20000)
    with torch.no_grad():
        put(out, v.name + "_generator", g(picture(30000)).reshape(-1)[::61])
        put(out, v.name + "_discriminator", d(picture(30000)).reshape(-1))


def steps(out, v, width, n):
    gan = (Authors if v.authors else Joint)(v, width)
    losses = []
    for i in range(n):
        losses += gan.run([picture(30000 + 2 * (i % 4)), picture(30001 + 2 * (i % 4))])
        if i in (0, n - 1):
            for side in range(2):
                for kind, nets in (("g", gan.g), ("d", gan.d)):
                    put(out, "%s_%d_%s%d" % (v.name, i + 1, kind, side), sample(nets[side]))
    put(out, v.name + "_losses", losses)


def main():
    width = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "gan.txt")
    out = sys.stdout if len(sys.argv) > 1 else open(path, "w", encoding="ascii")
    for name in ("reference", "authors"):
        forward(out, Variant(name), width)
        steps(out, Variant(name), width, n)


if __name__ == "__main__":
    main()
