# SPDX-License-Identifier: MIT
"""Two pictures by gnuplot: how many times as fast as the peers, and each layer under the roof of
peak and bandwidth."""
import os
import statistics
import subprocess

PEERS = {"ort": "ONNX Runtime", "torch": "PyTorch"}

RATIOS = """set terminal svg size 900,{height} dynamic font 'sans,11' background '#ffffff'
set output '{out}/ratios.svg'
set title 'Time of the peer over ours: right of 1 we are faster (median of pairs, least..most)'
set logscale x 2
set grid xtics lc rgb '#cccccc'
set xtics (0.25, 0.5, 1, 2, 4, 8, 16, 32)
set yrange [{rows}.5:0.5]
set arrow from 1, graph 0 to 1, graph 1 nohead lw 2 lc rgb '#444444'
set style fill solid 0.8 noborder
set key below
set xrange [{least}:]
plot {series}
"""

ROOFLINE = """set terminal svg size 900,600 dynamic font 'sans,11' background '#ffffff'
set output '{out}/roofline.svg'
set title 'Layers on one thread under the roof (Winograd counts as the direct sum: may be above)'
set logscale xy
set xlabel 'arithmetic intensity: FLOP a byte of inputs, outputs and weights'
set ylabel 'GFLOP/s'
set grid lc rgb '#dddddd'
set key bottom right
set xrange [0.25:2000]
set yrange [1:{top}]
peak = {peak}
roof(x, b) = b * x < peak ? b * x : peak
plot {series}
"""


def gnuplot(script):
    try:
        done = subprocess.run(["gnuplot"], input=script, text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except OSError:
        print("no gnuplot: no plots")
        return False
    if done.returncode != 0:
        print("gnuplot: " + done.stderr.strip())
    return done.returncode == 0


def ratios(out, states):
    rows = []
    for s in states:
        r = sorted(p["peer"][s["key"]] / p["ours"][s["key"]] for p in s.get("pairs", []))
        if r:
            rows.append((s, statistics.median(r), r[0], r[-1]))
    if not rows:
        return None
    series, colours = [], {"ort": ("#2060a0", "#80b0e0"), "torch": ("#c05020", "#f0a080")}
    groups = sorted({(s["peer"], s["threads"]) for s, *_ in rows})
    for peer, threads in groups:
        path = os.path.join(out, "ratios.%s.%d.dat" % (peer, threads))
        with open(path, "w", encoding="utf-8") as f:
            for y, (s, mid, low, high) in enumerate(rows, 1):
                if (s["peer"], s["threads"]) == (peer, threads):
                    label = s["name"].rsplit(".", 1)[0].replace("_", " ")
                    f.write('%d %.4f %.4f %.4f "%s"\n' % (y, mid, low, high, label))
        title = "%s, %d thread%s" % (PEERS[peer], threads, "s" if threads > 1 else "")
        colour = colours[peer][threads > 1]
        series.append("'%s' using 2:1:(1):2:($1-0.4):($1+0.4):ytic(5) with boxxyerror lc rgb '%s'"
                      " title '%s'" % (path, colour, title))
        series.append("'%s' using 2:1:3:4 with xerrorbars pt 0 lc rgb '#222222' notitle" % path)
    script = RATIOS.format(out=out, rows=len(rows), height=150 + 16 * len(rows),
                           least=min(0.7, 0.9 * min(low for _, _, low, _ in rows)),
                           series=", ".join(series))
    return "ratios.svg" if gnuplot(script) else None


def roofline(out, states):
    machine = next((s["solo"][-1] for s in states
                    if s["name"] == "machine.t1" and s.get("solo")), None)
    points = {}
    for s in states:
        if not s["name"].startswith("layers.") or s["threads"] != 1 or not s.get("solo"):
            continue
        for step in s["solo"][-1].get("steps", []):
            if step["kind"] in ("conv2d", "conv_transpose2d", "dense") and step["gflops"] > 0:
                net = s["title"].replace("layers of ", "")
                flop = step["gflops"] * step["ms"] * 1e6
                points.setdefault(net, []).append((flop / step["bytes"], step["gflops"]))
    if machine is None or not points:
        return None
    series = ["peak with lines lw 2 lc rgb '#222222' title 'peak %.0f GFLOP/s'"
              % machine["peak_gflops"]]
    for key, name in (("l2", "L2"), ("l3", "8 MiB"), ("memory", "memory")):
        rate = machine[key + "_gb_per_s"]
        series.append("roof(x, %.1f) with lines dt 2 title '%s %.0f GB/s'" % (rate, name, rate))
    for number, (net, values) in enumerate(sorted(points.items())):
        path = os.path.join(out, "roofline.%d.dat" % number)
        with open(path, "w", encoding="utf-8") as f:
            f.writelines("%.4f %.3f\n" % v for v in values)
        series.append("'%s' with points pt %d ps 0.8 title '%s'" % (path, 4 + number, net))
    top = max(v[1] for values in points.values() for v in values)
    top = 1.5 * max(top, machine["peak_gflops"])
    script = ROOFLINE.format(out=out, peak=machine["peak_gflops"], top=top,
                             series=", ".join(series))
    return "roofline.svg" if gnuplot(script) else None


def draw(out, states):
    """Names of the files that were made."""
    return [name for name in (ratios(out, states), roofline(out, states)) if name]
