# SPDX-License-Identifier: MIT
"""One training step in PyTorch: torch_train.py ARCH THREADS SECONDS SIZE BATCH default|cl
(cl: channels-last memory).  Set OPENBLAS_CORETYPE=SkylakeX where OpenBLAS 0.3.21 does not know the
processor."""
import json
import sys
import time

import torch
import torch.nn as nn

from ladder import LADDER


def build(arch, size):
    blocks, dense = LADDER[arch]
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


arch, threads, seconds, size, batch = (float(a) for a in sys.argv[1:6])
torch.set_num_threads(int(threads))
model = build(int(arch), int(size))
x = torch.rand(int(batch), 3, int(size), int(size))
if sys.argv[6] == "cl":
    model = model.to(memory_format=torch.channels_last)
    x = x.contiguous(memory_format=torch.channels_last)
labels = torch.arange(int(batch)) % 4
optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
loss = nn.CrossEntropyLoss()


def step():
    optimiser.zero_grad(set_to_none=True)
    loss(model(x), labels).backward()
    optimiser.step()


step()
ms, begin = [], time.perf_counter()
while len(ms) < 3 or time.perf_counter() - begin < seconds:
    t = time.perf_counter()
    step()
    ms.append((time.perf_counter() - t) * 1e3)
ms.sort()
print(json.dumps({"bench": "torch", "min_ms": ms[0], "median_ms": ms[len(ms) // 2],
                  "runs": len(ms)}))
