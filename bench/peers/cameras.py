# SPDX-License-Identifier: MIT
"""Accuracy by camera (first folder of the path under the data) of a predictions.csv:
cameras.py PREDICTIONS.csv SEED ROOT"""
import csv
import json
import os
import sys

cameras, right, n = {}, 0, 0
with open(sys.argv[1], newline="") as f:
    for row in csv.DictReader(f):
        ok = row["label"] == row["predicted"]
        camera = os.path.relpath(row["path"], sys.argv[3]).split("/")[0]
        cameras.setdefault(camera, []).append(ok)
        right, n = right + ok, n + 1
print(json.dumps({"bench": "edgevision", "seed": int(sys.argv[2]), "accuracy": right / n,
                  "cameras": {k: [sum(v), len(v)] for k, v in sorted(cameras.items())}}))
