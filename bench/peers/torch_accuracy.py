# SPDX-License-Identifier: MIT
"""The accuracy that PyTorch reaches on the same pictures, split, net and settings:
torch_accuracy.py ROOT TRAIN.csv VALID.csv TEST.csv ARCH SIZE EPOCHS PATIENCE DROPOUT SEED
Manifests have the columns path and label; paths are relative to ROOT.  Values
(x - 0.5) / 0.25, He normal start, Adam 1e-3, batch 32, the weights of the epoch with the lowest
validation loss."""
import copy
import csv
import json
import os
import sys
import time

import numpy as np
import torch
import torch.nn as nn
from PIL import Image

from ladder import LADDER

root, train, valid, test = sys.argv[1:5]
arch, size, epochs, patience = (int(a) for a in sys.argv[5:9])
dropout, seed = float(sys.argv[9]), int(sys.argv[10])


def read(path, classes):
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    pictures = []
    for row in rows:
        picture = Image.open(os.path.join(root, row["path"])).convert("RGB")
        picture = picture.resize((size, size), Image.BILINEAR)
        pictures.append(np.asarray(picture, dtype=np.float32).transpose(2, 0, 1) / 255 * 4 - 2)
        if row["label"] not in classes:
            classes.append(row["label"])
    labels = [classes.index(row["label"]) for row in rows]
    return torch.tensor(np.stack(pictures)), torch.tensor(labels), [r["path"] for r in rows]


def build(n_classes):
    blocks, dense = LADDER[arch]
    layers, channels, side = [], 3, size
    for block in blocks:
        for filters in block:
            layers += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            channels = filters
        layers.append(nn.MaxPool2d(2))
        side //= 2
    layers.append(nn.Flatten())
    units = channels * side * side
    for n in dense:
        layers += [nn.Dropout(dropout), nn.Linear(units, n), nn.ReLU()]
        units = n
    model = nn.Sequential(*layers, nn.Linear(units, n_classes))
    for layer in model:
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
    return model


def evaluate(model, x, y):
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(part) for part in x.split(64)])
    return nn.functional.cross_entropy(logits, y).item(), logits.argmax(1)


torch.manual_seed(seed)
classes = []
train_x, train_y, _ = read(train, classes)
valid_x, valid_y, _ = read(valid, classes)
test_x, test_y, test_paths = read(test, classes)
model = build(len(classes))
optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
best, best_loss, waited, begin = None, float("inf"), 0, time.time()
for epoch in range(epochs):
    model.train()
    for part in torch.randperm(len(train_x)).split(32):
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(train_x[part]), train_y[part]).backward()
        optimiser.step()
    loss, _ = evaluate(model, valid_x, valid_y)
    if loss < best_loss:
        best, best_loss, waited = copy.deepcopy(model.state_dict()), loss, 0
    else:
        waited += 1
        if waited >= patience:
            break
model.load_state_dict(best)
_, said = evaluate(model, test_x, test_y)
cameras = {}
for path, right in zip(test_paths, (said == test_y).tolist()):
    camera = os.path.relpath(os.path.join(root, path), root).split("/")[0]
    cameras.setdefault(camera, []).append(right)
print(json.dumps({
    "bench": "torch", "seed": seed, "accuracy": (said == test_y).float().mean().item(),
    "epochs": epoch + 1, "seconds": time.time() - begin,
    "cameras": {k: [sum(v), len(v)] for k, v in sorted(cameras.items())}}))
