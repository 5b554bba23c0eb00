#!/bin/sh
# SPDX-License-Identifier: MIT
# Experiment A of the paper (section 3.2), by one command: how small can the net become?
#
#   sh examples/underpass/experiment_a.sh --out DIR
#
# Draws the pictures (or takes yours), trains every net on every share of them (edgevision sweep),
# takes the smallest net within 1 point of the largest's validation accuracy, tunes it one factor at
# a time (edgevision tune), and leaves in DIR: table1.csv, table3.csv, table4.csv, figure5.svg,
# figure6.svg, figure7.svg with their numbers as CSV, results.csv, model.onnx and summary.md.
#
# Killed, or stopped with Ctrl-C, the same command goes on where it was.  Started several times, on
# one machine or on several that see DIR, the processes share the work.
#
#   --out DIR          where everything goes (default: runs/experiment_a)
#   --data DATA        your own pictures instead of rendered ones: folder or manifest
#   --frames N         rendered pictures, in the paper's proportions (default 2241)
#   --size WxH         of the pictures (default 224x224)
#   --archs LIST       nets of the sweep (default 1-8; 1-11 is the paper's)
#   --subsets LIST     shares of the pictures in % (default 25,50,75,100)
#   --seeds LIST       runs of each combination (default 1)
#   --epochs N         at most so many (default 40)
#   --patience N       early stopping (default 10)
#   --lr X             learning rate of the sweep (default 1e-3)
#   --batch N          pictures per step (default 32)
#   --fixed-test       one test set for all runs, not a new one for each as in the paper
#   --by-group         clips stay on one side of a split (the paper: single pictures)
#   --tune-arch NAME   net to tune (default: by the rule)
#   --tune-epochs N    (default: as --epochs)
#   --rates, --dropouts, --l2s LIST    values to try (default: table 3)
#   --no-tune          tables and figures of the sweep only
#   --threads N        of each process (default 0: all cores)
#   --build DIR        build folder with the programs (default: build)
set -u
LC_ALL=C
export LC_ALL

die() {
    code=$1
    shift
    echo "experiment_a: $*" >&2
    exit "$code"
}

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 6
out=runs/experiment_a data='' frames=2241 size=224x224 archs=1-8 subsets=25,50,75,100 seeds=1
epochs=40 patience=10 lr=1e-3 batch=32 flags='' tune_arch='' tune_epochs='' values='' tune=1
threads=0 build=${EV_BUILD:-$root/build}
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        sed -n '3,/^set/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --fixed-test | --by-group)
        flags="$flags $1"
        shift
        continue
        ;;
    --no-tune)
        tune=0
        shift
        continue
        ;;
    --*) [ $# -ge 2 ] || die 2 "$1 needs a value" ;;
    esac
    case $1 in
    --out) out=$2 ;;
    --data) data=$2 ;;
    --frames) frames=$2 ;;
    --size) size=$2 ;;
    --archs) archs=$2 ;;
    --subsets) subsets=$2 ;;
    --seeds) seeds=$2 ;;
    --epochs) epochs=$2 ;;
    --patience) patience=$2 ;;
    --lr) lr=$2 ;;
    --batch) batch=$2 ;;
    --tune-arch) tune_arch=$2 ;;
    --tune-epochs) tune_epochs=$2 ;;
    --rates | --dropouts | --l2s) values="$values $1 $2" ;;
    --threads) threads=$2 ;;
    --build) build=$2 ;;
    *) die 2 "there is no option $1; --help lists them" ;;
    esac
    shift 2
done
tool=$build/examples/edgevision/edgevision
render=$build/examples/underpass/ev-underpass-render
[ -x "$tool" ] || die 2 "$tool is not there: meson setup build && ninja -C build, or --build DIR"
case $frames in '' | *[!0-9]*) die 2 "--frames $frames: must be a number" ;; esac
[ "$frames" -ge 80 ] || die 2 "--frames $frames: at least 80"
mkdir -p "$out" || exit 6

value() { # key, file: of flat JSON
    sed -n "s/^ *\"$1\": \"\{0,1\}\([^\",]*\).*/\1/p" "$2" | head -n 1
}

must() { # say the command, then do it; its table is not wanted here
    echo "\$ $*" >&2
    "$@" >/dev/null
    code=$?
    [ $code -eq 0 ] || exit $code
}

# ---- pictures: drawn aside, then moved, so that a second process never sees half of them ---------

if [ -z "$data" ]; then
    pictures=$out/pictures-$size-$frames
    if [ ! -f "$pictures/truth.csv" ]; then
        [ -x "$render" ] || die 2 "$render is not there: it needs stb_image_write.h, or take --data"
        counts=$(awk -v n="$frames" 'BEGIN {
            d = int(n * 180 / 2241 + 0.5); b = int(n * 253 / 2241 + 0.5)
            p = int((n - d - b) / 2); printf "dog=%d,pedestrian=%d,bicyclist=%d,empty=%d",
                d, p, b, n - d - b - p }')
        here=$(hostname)
        for aside in "$pictures.$here."*; do # of processes that were killed while they drew
            kill -0 "${aside##*.}" 2>/dev/null || rm -rf "$aside"
        done
        aside=$pictures.$here.$$
        trap 'rm -rf "$aside"' EXIT
        trap 'exit 130' INT
        trap 'exit 143' TERM
        must "$render" --out "$aside" --size "$size" --counts "$counts" --exact --threads 2
        mv -T "$aside" "$pictures" 2>/dev/null || [ -f "$pictures/truth.csv" ] || exit 6
    fi
    data=$pictures/truth.csv
fi

# ---- tables 1, 3, 4; figures 5, 6, 7 -------------------------------------------------------------

# shellcheck disable=SC2086
must "$tool" sweep "$data" -o "$out/sweep" --archs "$archs" --subsets "$subsets" --seeds "$seeds" \
    --size "$size" --epochs "$epochs" --patience "$patience" --lr "$lr" --batch "$batch" \
    --threads "$threads" --wait --time $flags
for file in table1.csv results.csv choice.json plots/figure5.csv plots/figure6.csv \
    plots/figure5.svg plots/figure6.svg; do
    [ ! -f "$out/sweep/$file" ] || cp "$out/sweep/$file" "$out/"
done
[ -f "$out/choice.json" ] || die 1 "the sweep is not whole"
if [ $tune = 1 ]; then
    case " $flags " in *" --by-group "*) group=--by-group ;; *) group='' ;; esac
    chosen=${tune_arch:-$(value file "$out/choice.json")}
    folder=$out/tune-$(basename "$chosen" .onnx)
    # shellcheck disable=SC2086
    must "$tool" tune "$data" -o "$folder" --arch "$chosen" --size "$size" \
        --epochs "${tune_epochs:-$epochs}" --patience "$patience" --lr "$lr" --batch "$batch" \
        --threads "$threads" $values $group
    for file in table3.csv table4.csv figure7.csv plots/figure7.svg; do
        [ ! -f "$folder/$file" ] || cp "$folder/$file" "$out/"
    done
    cp "$(value model "$folder/tuned.json")" "$out/model.onnx" || exit 6
fi

# ---- summary.md ----------------------------------------------------------------------------------

as_markdown() { # a CSV file as a table
    awk '{ line = "| "; inside = 0; columns = 1
           for (i = 1; i <= length($0); i++) {
               c = substr($0, i, 1)
               if (c == "\"") inside = !inside
               else if (c == "," && !inside) { line = line " | "; columns++ }
               else line = line c
           }
           print line " |"
           if (NR == 1) { line = "|"; while (columns--) line = line "---|"; print line } }' "$1"
}

percent() {
    awk -v x="$1" 'BEGIN { printf "%.1f %%", 100 * x }'
}

reductions() { # where this run is smaller than the paper's
    [ "$size" = 224x224 ] || echo "- pictures of $size instead of 224x224"
    [ "$frames" = 2241 ] || echo "- $frames rendered pictures instead of 2,241"
    case $archs in 1-11) ;; *) echo "- nets $archs instead of Arch1 to Arch11" ;; esac
    [ "$subsets" = 25,50,75,100 ] || echo "- subsets of $subsets % instead of 25, 50, 75 and 100 %"
    echo "- at most $epochs epochs, patience $patience (the paper: 115 epochs on average)"
    [ -z "$values" ] || echo "- tuning over fewer or other values:$values"
    [ $tune = 1 ] || echo "- no tuning"
}

summarise() {
    echo "# Experiment A"
    echo
    echo "Data: $data, $(value pictures "$out/sweep/table.json") pictures. Options:" \
        "--size $size --archs $archs --subsets $subsets --seeds $seeds --epochs $epochs" \
        "--patience $patience --lr $lr --batch $batch$flags"
    echo
    echo "How it differs from the paper's:"
    echo
    reductions
    echo
    echo "## Table 1: the nets at this size"
    echo
    sed 's/"\([^"]*\),\([^"]*\)"/\1\2/' "$out/table1.csv" >"$out/.table.$$"
    as_markdown "$out/.table.$$"
    rm -f "$out/.table.$$"
    echo
    echo "## Figure 5: validation accuracy in %, mean over seeds"
    echo
    as_markdown "$out/figure5.csv"
    echo
    echo "## Figure 6: seconds of training"
    echo
    as_markdown "$out/figure6.csv"
    echo
    awk -F, 'NR > 1 { s += $15; n++ } END { printf "%d trainings, %.2f hours.\n", n, s / 3600 }' \
        "$out/results.csv"
    echo
    echo "Chosen: $(value chosen "$out/choice.json")," \
        "$(value parameters "$out/choice.json") parameters," \
        "$(percent "$(value valid_accuracy "$out/choice.json")") validation accuracy;" \
        "the largest, $(value largest "$out/choice.json")," \
        "$(percent "$(value largest_valid_accuracy "$out/choice.json")")." \
        "(Rule: the smallest within 1 point of the largest.)"
    [ $tune = 1 ] || return 0
    echo
    echo "## Table 3: tuning of $(value arch "$folder/tuned.json"), one factor at a time"
    echo
    as_markdown "$out/table3.csv"
    echo
    echo "Tuned: $(percent "$(value train_accuracy "$folder/tuned.json")") train," \
        "$(percent "$(value valid_accuracy "$folder/tuned.json")") validation," \
        "$(percent "$(value test_accuracy "$folder/tuned.json")") test" \
        "(the paper's M5: 98.8, 93.5 and 91.0 %)."
    echo
    echo "## Table 4: accuracy by class, in %"
    echo
    as_markdown "$out/table4.csv"
    echo
    echo "## Figure 7: rows prediction, columns truth, in % of the truth, test set"
    echo
    as_markdown "$out/figure7.csv"
}

summarise >"$out/.summary.$$" && mv "$out/.summary.$$" "$out/summary.md" || exit 6
echo "$out/summary.md"
