# SPDX-License-Identifier: MIT
"""The ladder, the CycleGAN's generator and its discriminator, drawn in PyTorch."""
from torch import nn

from ladder import LADDER


def arch(number, size):
    """3x3 convolutions with ReLU, a 2x2 maximum after each block, dense layers."""
    blocks, dense = LADDER[number]
    layers, channels = [], 3
    for block in blocks:
        for filters in block:
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        layers.append(nn.MaxPool2d(2))
        size //= 2
    layers.append(nn.Flatten())
    units = channels * size * size
    for n in dense:
        layers += [nn.Linear(units, n), nn.ReLU(inplace=True)]
        units = n
    return nn.Sequential(*layers, nn.Linear(units, 4))


def norm_relu(channels):
    return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


class Residual(nn.Module):
    """x + norm(conv(relu(norm(conv(x))))) with mirrored borders."""

    def __init__(self, channels):
        super().__init__()
        layers = []
        for _ in range(2):
            layers += [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3)]
            layers += norm_relu(channels)
        self.branch = nn.Sequential(*layers[:-1])

    def forward(self, x):
        return x + self.branch(x)


def generator(width=64, blocks=6):
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), *norm_relu(width)]
    for factor in (1, 2):
        layers.append(nn.Conv2d(factor * width, 2 * factor * width, 3, stride=2, padding=1))
        layers += norm_relu(2 * factor * width)
    layers += [Residual(4 * width) for _ in range(blocks)]
    for factor in (4, 2):
        layers.append(nn.ConvTranspose2d(factor * width, factor * width // 2, 3, stride=2,
                                         padding=1, output_padding=1))
        layers += norm_relu(factor * width // 2)
    return start(nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh()))


def discriminator(width=64):
    layers, channels = [nn.Conv2d(3, width, 4, stride=2, padding=1)], width
    layers.append(nn.LeakyReLU(0.2, inplace=True))
    for factor, stride in ((2, 2), (4, 2), (8, 1)):
        layers += [nn.Conv2d(channels, factor * width, 4, stride=stride, padding=1),
                   nn.InstanceNorm2d(factor * width), nn.LeakyReLU(0.2, inplace=True)]
        channels = factor * width
    return start(nn.Sequential(*layers, nn.Conv2d(channels, 1, 4, padding=1)))


def start(net):
    """Weights as Zhu et al. start them."""
    for layer in net.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
    return net


def build(name, size):
    if name == "generator":
        return generator()
    if name == "discriminator":
        return discriminator()
    return arch(int(name.lower().replace("arch", "")), size)
