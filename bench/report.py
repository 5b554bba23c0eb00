# SPDX-License-Identifier: MIT
"""What run.py kept, as table.md, rows.csv, pairs.csv, ratios.svg and roofline.svg; and the marked
parts of docs/performance.md."""
import csv
import json
import os
import re
import shutil
import statistics

import plots

PEERS = {"ort": "ONNX Runtime", "torch": "PyTorch"}
GROUPS = (
    ("infer", r"^infer\.(arch\d+|generator)\.b1\.", "Inference, one picture"),
    ("batch", r"^infer\..*\.b(8|32)\.", "Inference, batches"),
    ("train", r"^train\.", "Training step"),
    ("cyclegan", r"^cyclegan\.", "CycleGAN training step"),
    ("load", r"^load\.", "From the start of the process to the first answer"),
)


# ---- numbers of a row ----------------------------------------------------------------------------

def ratios(state, key=None):
    key = key or state["key"]
    return sorted(p["peer"][key] / p["ours"][key] for p in state.get("pairs", []))


def middle(state, side, key):
    values = [p[side].get(key) for p in state["pairs"] if p[side].get(key) is not None]
    return statistics.median(values) if values else None


FAR_NS = 100  # a word takes longer from core to core than within one chip's cache


def by_distance(state):
    """Median ratio of pairs whose cores were near, and far; told when both were seen."""
    text = []
    for name, far in (("near", False), ("far", True)):
        r = [p["peer"][state["key"]] / p["ours"][state["key"]] for p in state.get("pairs", [])
             if "handoff_ns" in p and (p["handoff_ns"] > FAR_NS) == far]
        if r:
            text.append("%s %.2f of %d" % (name, statistics.median(r), len(r)))
    return ", ".join(text) if len(text) == 2 else text[0].split()[0] if text else ""


def in_words(state):
    if "solo" in state:
        return "done"
    r = ratios(state)
    return "peer/ours %.2f (%.2f..%.2f) of %d" % (statistics.median(r), r[0], r[-1], len(r))


def number(value, digits=3):
    """Three digits that matter, without an exponent."""
    if value is None:
        return "-"
    if value >= 10 ** (digits - 1):
        return "%.0f" % value
    text = "%.*g" % (digits, value)
    return text if "e" not in text else "%.4f" % value


# ---- Markdown ------------------------------------------------------------------------------------

HEAD = ("| work | threads | peer | peer / ours: median (least..most) | pairs | ours ms | peer ms | "
        "GFLOP/s (share of peak) | MiB ours / peer |\n|---|---|---|---|---|---|---|---|---|\n")


def line(state):
    peer = PEERS.get(state["peer"], state["peer"])
    start = "| %s | %d | %s " % (state["title"], state["threads"], peer)
    if not state.get("pairs"):
        return start + "| %s | | | | | |\n" % state.get("error", "not measured yet")
    key, r = state["key"], ratios(state)
    modes = sorted({p["peer"].get("mode", "default") for p in state["pairs"]} - {"default"})
    if modes:
        start = start.rstrip() + " (%s) " % ", ".join(modes)
    short = " (%s)" % state["note"] if state.get("note") else ""
    distance = by_distance(state)
    if distance:
        short += " (cores: %s)" % distance
    if state.get("error"):
        short += " (stopped: %s)" % state["error"]
    share = middle(state, "ours", "share")
    speed = "" if share is None else "%s (%.0f %%)" % (number(middle(state, "ours", "gflops")),
                                                       100 * share)
    return start + "| **%.2f** (%.2f..%.2f) | %d%s | %s | %s | %s | %s / %s |\n" % (
        statistics.median(r), r[0], r[-1], len(r), short, number(middle(state, "ours", key)),
        number(middle(state, "peer", key)), speed, number(middle(state, "ours", "peak_mib")),
        number(middle(state, "peer", "peak_mib")))


def pair_tables(states):
    out = ""
    for _, pattern, title in GROUPS:
        chosen = [s for s in states if re.search(pattern, s["name"])]
        if chosen:
            out += "**%s**\n\n%s%s\n" % (title, HEAD, "".join(line(s) for s in chosen))
    return out or "not measured yet\n"


def machine_table(states):
    out = ("| threads | kernels | multiply-add peak, GFLOP/s | read, GB/s: 16 KiB each | 512 KiB | "
           "8 MiB | 256 MiB | core to core, ns |\n|---|---|---|---|---|---|---|---|\n")
    found = [s["solo"][-1] for s in states if s["name"].startswith("machine.") and s.get("solo")]
    for m in found:
        out += "| %d | %s | %.0f | %.0f | %.0f | %.0f | %.0f | %s |\n" % (
            m["threads"], m["kernels"], m["peak_gflops"], m["l1_gb_per_s"], m["l2_gb_per_s"],
            m["l3_gb_per_s"], m["memory_gb_per_s"], number(m.get("handoff_ns") or None))
    return out if found else "not measured yet\n"


def gemm_table(states):
    out = ("| product | m, n, k | threads | ms | GFLOP/s (share of peak) | GB/s of operands |\n"
           "|---|---|---|---|---|---|\n")
    found = [g for s in states if s["name"].startswith("gemm.") for g in s.get("solo", [])]
    for g in found:
        out += "| %s (%s) | %d, %d, %d | %d | %s | %s (%.0f %%) | %s |\n" % (
            g["name"], g["trans"], g["m"], g["n"], g["k"], g["threads"], number(g["min_ms"]),
            number(g["gflops"]), 100 * g["share"], number(g["gb_per_s"]))
    return out if found else "not measured yet\n"


def layer_table(states):
    """Each step of the nets on one thread."""
    out = ("| net | layer | kernel | output | ms | GFLOP/s (share of peak) | MB moved |\n"
           "|---|---|---|---|---|---|---|\n")
    found = 0
    for s in states:
        if not re.match(r"layers\..*\.t1$", s["name"]) or not s.get("solo"):
            continue
        for step in s["solo"][-1].get("steps", []):
            found += 1
            out += "| %s | %s | %s %s | %s | %s | %s (%.0f %%) | %s |\n" % (
                s["title"].replace("layers of ", ""), step["name"], step["kind"], step["kernel"],
                "x".join(str(d) for d in step["output"]), number(step["ms"]),
                number(step["gflops"]), 100 * step["share"], number(step["bytes"] * 1e-6))
    return out if found else "not measured yet\n"


# ---- CSV -----------------------------------------------------------------------------------------

FIELDS = ("min_ms", "p10_ms", "median_ms", "p90_ms", "first_ms", "gflops", "share", "bytes",
          "peak_mib", "mode")


def write_pairs(path, states):
    with open(path, "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(["row", "threads", "peer", "pair", "side", *FIELDS])
        for s in states:
            for i, p in enumerate(s.get("pairs", [])):
                for side in ("ours", "peer"):
                    w.writerow([s["name"], s["threads"], s["peer"], i + 1, side,
                                *(p[side].get(k, "") for k in FIELDS)])


def write_rows(path, states):
    with open(path, "w", newline="", encoding="utf-8") as f:
        w = csv.writer(f, lineterminator="\n")
        w.writerow(["row", "work", "threads", "peer", "pairs", "ratio_median", "ratio_least",
                    "ratio_most", "ratio_of_medians", "ours_ms", "peer_ms", "ours_mib", "peer_mib",
                    "error"])
        for s in states:
            if s["peer"] == "":
                continue
            numbers = [""] * 8
            r = ratios(s)
            if r:
                usual = "median_ms" if s["key"] == "min_ms" else s["key"]
                numbers = [statistics.median(r), r[0], r[-1], statistics.median(ratios(s, usual)),
                           middle(s, "ours", s["key"]), middle(s, "peer", s["key"]),
                           middle(s, "ours", "peak_mib"), middle(s, "peer", "peak_mib")]
                numbers = ["%.4f" % n if n is not None else "" for n in numbers]
            w.writerow([s["name"], s["title"], s["threads"], PEERS.get(s["peer"], s["peer"]),
                        len(r), *numbers, s.get("error", "")])


# ---- the page ------------------------------------------------------------------------------------

def fill_page(path, parts):
    """Text between <!-- bench:NAME --> and <!-- /bench:NAME --> becomes parts[NAME]."""
    with open(path, encoding="utf-8") as f:
        page = f.read()
    for name, text in parts.items():
        marks = re.compile(r"(<!-- bench:%s -->\n).*?(<!-- /bench:%s -->)" % (name, name), re.S)
        if not marks.search(page):
            print("%s has no part bench:%s" % (path, name))
        page = marks.sub(lambda m, t=text: m.group(1) + t.rstrip("\n") + "\n" + m.group(2), page)
    with open(path, "w", encoding="utf-8") as f:
        f.write(page)


def read_states(out, names):
    folder, states = os.path.join(out, "rows"), []
    for file in os.listdir(folder) if os.path.isdir(folder) else []:
        if file.endswith(".json"):
            with open(os.path.join(folder, file), encoding="utf-8") as f:
                states.append(json.load(f))
    order = {name: i for i, name in enumerate(names)}
    return sorted(states, key=lambda s: (order.get(s["name"], len(order)), s["name"]))


def write(out, names, docs):
    states = read_states(out, names)
    parts = {"machine": machine_table(states), "pairs": pair_tables(states),
             "gemm": gemm_table(states), "layers": layer_table(states)}
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(out, "table.md"), "w", encoding="utf-8") as f:
        f.write("\n".join(parts.values()))
    write_rows(os.path.join(out, "rows.csv"), states)
    write_pairs(os.path.join(out, "pairs.csv"), states)
    made = plots.draw(out, states)
    failed = [s for s in states if s.get("error")]
    for s in failed:
        print("%s: %s" % (s["name"], s["error"]))
    print("table.md, rows.csv, pairs.csv%s in %s" % ("".join(", " + m for m in made), out))
    if docs:
        for name in ("ratios", "roofline"):
            parts[name] = "not measured yet"
            if name + ".svg" in made:
                shutil.copy(os.path.join(out, name + ".svg"),
                            os.path.join(docs, "performance-%s.svg" % name))
                parts[name] = "![%s](performance-%s.svg)" % (name, name)
        fill_page(os.path.join(docs, "performance.md"), parts)
        print("docs/performance.md written")
    return 1 if any(not s["error"].startswith("SKIPPED") for s in failed) else 0
