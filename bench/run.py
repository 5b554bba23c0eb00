# SPDX-License-Identifier: MIT
"""Runs the rows of rows.py and keeps each one's pairs in FOLDER/rows/NAME.json; see run.sh.

A row alternates: ours, peer, ours, peer ...  A peer that has modes is tried once in each; the modes
within a tenth of the best are run in every pair, and the best time of a pair counts."""
import argparse
import json
import os
import re
import subprocess
import sys
import time

import report
from rows import HERE, all_rows

LIMIT_SECONDS = 1800


class Failed(Exception):
    """Why a row has no result."""


class Options:
    def __init__(self):
        p = argparse.ArgumentParser(prog="run.sh")
        for flag in ("quick", "again", "list", "report", "docs"):
            p.add_argument("--" + flag, action="store_true")
        p.add_argument("--rows", default="")
        p.add_argument("--pairs", type=int, default=0)
        p.add_argument("--threads", default="1,2")
        p.add_argument("--out", default="")
        p.add_argument("build", nargs="?", default="build")
        a = p.parse_args()
        if a.quick and a.docs:
            p.error("--quick runs are too short for --docs")
        self.quick, self.again, self.only_list = a.quick, a.again, a.list
        self.only_report, self.docs, self.pattern, self.pairs = a.report, a.docs, a.rows, a.pairs
        self.threads = [int(t) for t in a.threads.split(",")]
        self.build = os.path.abspath(a.build)
        self.out = os.path.abspath(a.out or os.path.join(HERE, "results",
                                                         "quick" if a.quick else "full"))
        self.node, self.python = "node", "python3"
        self.missing = {}

    def program(self, name):
        return os.path.join(self.build, "bench", name)

    def tool(self):
        return os.path.join(self.build, "examples", "edgevision", "edgevision")

    def model_file(self, net):
        return os.path.join(self.out, "models", net + ".onnx")

    def find_peers(self):
        """Sets node and python; missing[peer] says why a peer cannot be run."""
        if not works(["node", "-e", "require('onnxruntime-node')"]):
            self.missing["ort"] = "no onnxruntime-node (NODE_PATH) or no node"
        for python in (os.environ.get("EV_PYTHON"), "python3", "/usr/bin/python3"):
            if python and works([python, "-c", "import torch"]):
                self.python = python
                return
        self.missing["torch"] = "no python3 with torch (EV_PYTHON)"


def works(command):
    try:
        return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              timeout=120, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def run(command):
    """The JSON lines that a command prints."""
    if os.sep in command[0] and not os.path.exists(command[0]):
        raise Failed("%s is not built" % os.path.basename(command[0]))
    env = dict(os.environ, EV_STARTED=str(time.monotonic_ns()))
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=LIMIT_SECONDS, env=env, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Failed("%s: %s" % (os.path.basename(command[0]), e)) from e
    if done.returncode != 0:
        last = (done.stderr.strip().split("\n") or [""])[-1]
        raise Failed("%s ended with %d: %s" % (os.path.basename(command[0]), done.returncode,
                                               last[:200]))
    return [json.loads(line) for line in done.stdout.split("\n") if line.startswith("{")]


def one(command):
    lines = run(command)
    if not lines:
        raise Failed("%s printed no result" % os.path.basename(command[0]))
    return lines[-1]


def draw_model(o, row):
    """The model's file, written again when the program that writes it is newer."""
    if row.model is None:
        return
    path, arguments = row.model
    program = o.program("infer")
    if not os.path.exists(program):
        raise Failed("bench/infer is not built")
    if os.path.exists(path) and os.path.getmtime(path) > os.path.getmtime(program):
        return
    os.makedirs(os.path.dirname(path), exist_ok=True)
    run([program, *arguments, "--save", path])


def choose_modes(row, state):
    """Once, before the pairs: which of the peer's modes are worth running."""
    if "probe" not in state:
        state["probe"] = {}
        if len(row.modes) > 1:
            for mode, command in row.modes.items():
                state["probe"][mode] = one(command)[row.key]
    probe = state["probe"]
    if not probe:
        return list(row.modes)
    best = min(probe.values())
    return [mode for mode in row.modes if probe[mode] <= 1.1 * best]


def handoff(o, threads):
    """Nanoseconds that a word takes from core to core at this moment (see bench/machine)."""
    return one([o.program("machine"), "--threads", str(threads), "--seconds", "0.02",
                "--json"])["handoff_ns"]


def one_pair(o, row, modes):
    """With several threads the distance of their cores, which a host may change, is told too."""
    before = handoff(o, row.threads) if row.threads > 1 else None
    ours = one(row.ours)
    theirs = []
    for mode in modes:
        result = one(row.modes[mode])
        result["mode"] = mode
        theirs.append(result)
    pair = {"ours": ours, "peer": min(theirs, key=lambda r: r[row.key])}
    if before is not None:
        pair["handoff_ns"] = max(before, handoff(o, row.threads))
    return pair


def load_state(path, again):
    if again or not os.path.exists(path):
        return {}
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def store_state(path, state):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".tmp", "w", encoding="utf-8") as f:
        json.dump(state, f, indent=1)
    os.replace(path + ".tmp", path)


def run_row(o, row):
    """Gives a word for the log."""
    path = os.path.join(o.out, "rows", row.name + ".json")
    state = load_state(path, o.again)
    wanted = o.pairs or (2 if o.quick else row.pairs)
    for key in ("name", "title", "threads", "peer", "key", "note"):
        state[key] = getattr(row, key)
    state["wanted"] = wanted
    state.pop("error", None)
    if row.peer in o.missing:
        state["error"] = "SKIPPED: " + o.missing[row.peer]
        store_state(path, state)
        return state["error"]
    try:
        if row.peer == "" and "solo" in state or len(state.get("pairs", [])) >= wanted:
            return "done before"
        draw_model(o, row)
        if row.peer == "":
            state["solo"] = run(row.ours)
        else:
            modes = choose_modes(row, state)
            store_state(path, state)
            while len(state.setdefault("pairs", [])) < wanted:
                state["pairs"].append(one_pair(o, row, modes))
                store_state(path, state)
    except Failed as e:
        state["error"] = str(e)
    store_state(path, state)
    return state.get("error") or report.in_words(state)


def main():
    o = Options()
    rows = [r for r in all_rows(o) if re.search(o.pattern, r.name)]
    if o.only_list:
        print("\n".join(r.name for r in rows))
        return 0
    if not o.only_report:
        o.find_peers()
        rows = [r for r in all_rows(o) if re.search(o.pattern, r.name)]
        for number, row in enumerate(rows, 1):
            word = run_row(o, row)
            print("[%d/%d] %s: %s" % (number, len(rows), row.name, word), flush=True)
    names = [r.name for r in all_rows(o)]
    return report.write(o.out, names, os.path.join(HERE, "..", "docs") if o.docs else None)


if __name__ == "__main__":
    sys.exit(main())
