#!/bin/sh
# SPDX-License-Identifier: MIT
# How small a generator may be: one trained generator, pruned and drawn anew in several sizes, each
# taught by the large one, judged by a classifier on labelled pictures from outside.
#
#     bench/gan_shrink.sh TOOL GENERATOR DATA CLASSIFIER JUDGE OUT [EPOCHS]
#
# TOOL: the program edgevision; GENERATOR: ONNX file, or a run of gan train; DATA: pictures of the
# kind that is translated; JUDGE: labelled ones, best none of DATA.  OUT is a folder: models, a line
# each in shrink.csv, shrink.svg (by gnuplot).  What is there already is not made again.
#
# Environment: NAMES (all of the list below), THREADS (0: all cores), MORE (options of gan shrink)
set -u
if [ $# -lt 6 ]; then
    sed -n '6s/^# *//p' "$0" >&2
    exit 2
fi
tool=$1 generator=$2 data=$3 classifier=$4 judge=$5 out=$6 epochs=${7:-10}
names=${NAMES:-pruned-75 pruned-50 pruned-25 pruned-12 pruned-6 width-32 width-32-3 separable-32 \
width-24 width-24-3 separable-24 width-16 width-16-3 separable-16 width-8 width-8-3 separable-8}
mkdir -p "$out" || exit 6

one() { # name, options...
    name=$1
    shift
    if [ ! -s "$out/$name.json" ]; then
        # shellcheck disable=SC2086 # MORE is several words
        "$tool" gan shrink "$generator" -o "$out/$name.onnx" --force --data "$data" \
            --classifier "$classifier" --judge "$judge" --epochs "$epochs" --json \
            --threads "${THREADS:-0}" ${MORE:-} "$@" \
            >"$out/$name.part" || return
        mv "$out/$name.part" "$out/$name.json"
    fi
    rm -f "$out/$name.part"
}

for name in $names; do
    size=${name#*-}
    case $name in
    pruned-*) one "$name" --macs "$size%" ;;
    width-*-3) one "$name" --width "${size%-3}" --blocks 3 ;;
    width-*) one "$name" --width "$size" ;;
    separable-*) one "$name" --width "$size" --separable ;;
    *) echo "$name: must be pruned-, width- or separable-, and a number" >&2 && exit 2 ;;
    esac
done

python3 - "$out" <<'PYTHON' || exit 1
import glob, json, os, sys
out = sys.argv[1]
rows = []
for path in sorted(glob.glob(os.path.join(out, "*.json"))):
    r = json.load(open(path, encoding="utf-8"))
    name, a = os.path.basename(path)[:-5], r["accuracy"]
    gain = a["large"] - a["none"]
    kept = (a["small"] - a["none"]) / gain if gain > 0 else float("nan")
    rows.append((r["ms_least"]["small"], name, r["parameters"]["small"], r["macs"]["small"],
                 r["ms_median"]["small"], r["difference"] or 0, a["small"], kept))
with open(os.path.join(out, "shrink.csv"), "w", encoding="utf-8") as f:
    f.write("name,kind,parameters,macs,ms_least,ms_median,difference,accuracy,gain_kept\n")
    if rows:
        f.write("large,large,%d,%d,%.4g,%.4g,0,%.4f,1\nnone,none,0,0,0,0,0,%.4f,0\n" % (
            r["parameters"]["large"], r["macs"]["large"], r["ms_least"]["large"],
            r["ms_median"]["large"], a["large"], a["none"]))
    for least, name, parameters, macs, median, difference, accuracy, kept in sorted(rows):
        kind = name.split("-")[0] + (" 3 blocks" if name.count("-") == 2 else "")
        f.write("%s,%s,%d,%d,%.4g,%.4g,%.4g,%.4f,%.3f\n" % (
            name, kind, parameters, macs, least, median, difference, accuracy, kept))
PYTHON
cat "$out/shrink.csv"
command -v gnuplot >/dev/null || exit 0
cd "$out" && gnuplot <<'GNUPLOT'
set datafile separator ','
set terminal svg size 800,500 dynamic font 'sans,11' background '#ffffff'
set output 'shrink.svg'
set xlabel 'milliseconds a picture (least, one thread)'
set ylabel 'accuracy after translation in %'
set logscale x
set grid lc rgb '#dddddd'
set key bottom right
set datafile missing NaN
of(kind, y) = stringcolumn(2) eq kind ? y : NaN
plot for [kind in '"pruned" "width" "width 3 blocks" "separable" "large"'] 'shrink.csv' skip 1 \
         using 5:(of(kind, 100 * $8)) with linespoints pt 7 ps 0.7 title kind, \
     'shrink.csv' skip 1 using (stringcolumn(2) eq 'none' ? 1 : NaN):(100 * $8):(100):(0) \
         with vectors nohead dt 2 lc rgb '#808080' title 'not translated'
GNUPLOT
