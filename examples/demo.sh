#!/bin/sh
# SPDX-License-Identifier: MIT
# From nothing to a trained classifier and a page about it, by one command.
#
#   sh examples/demo.sh                 draws about a thousand pictures of an underpass and learns
#                                       to tell empty, pedestrian, dog walker and bicyclist apart
#   sh examples/demo.sh --quick         fewer pictures and epochs: under two minutes
#   sh examples/demo.sh --data DIR      your own pictures: one folder per class, or a manifest.csv
#                                       with the columns path,label[,group], or file names with
#                                       counts (persons_1_dogs_0_bikes_0_...)
#   sh examples/demo.sh --out DIR       where everything goes (default: runs/demo)
#
# On Debian it installs what is missing when it may (root, or sudo without a password); else it says
# what to install.  Stop it with Ctrl-C at any time: the same command goes on where it was.
# EV_BUILD names the build folder (default: build), EV_NO_INSTALL=1 forbids installing.
set -u
LC_ALL=C.UTF-8
export LC_ALL

die() {
    code=$1
    shift
    echo "demo: $*" >&2
    exit "$code"
}

# ---- arguments -----------------------------------------------------------------------------------

DATA='' QUICK=0 OUT=''
while [ $# -gt 0 ]; do
    case $1 in
    --data | --out)
        [ $# -ge 2 ] || die 2 "$1 needs a folder"
        case $2 in /*) path=$2 ;; *) path=$PWD/$2 ;; esac
        if [ "$1" = --data ]; then DATA=$path; else OUT=$path; fi
        shift
        ;;
    --quick) QUICK=1 ;;
    -h | --help)
        sed -n '3,16s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) die 2 "what is $1? (--data DIR, --quick, --out DIR)" ;;
    esac
    shift
done
[ -z "$DATA" ] || [ -e "$DATA" ] || die 3 "$DATA: there is no such folder"
cd "$(dirname "$0")/.." || exit 6
ROOT=$PWD
OUT=${OUT:-$ROOT/runs/demo}
BUILD=${EV_BUILD:-$ROOT/build}/demo
TOOL=$BUILD/examples/edgevision/edgevision
RENDER=$BUILD/examples/underpass/ev-underpass-render
RUN=$OUT/run
BEGAN=$(date +%s)

short() { # a path as one would type it here
    case $1 in "$ROOT"/*) echo "${1#"$ROOT"/}" ;; *) echo "$1" ;; esac
}

run() { # say the command, then do it
    line='$'
    for word in "$@"; do line="$line $(short "$word")"; done
    printf '\n%s\n' "$line"
    "$@"
    code=$?
    [ $code = 0 ] && return 0
    [ $code -ge 128 ] && echo "demo: stopped. The same command goes on where it was." >&2
    exit $code
}

# ---- what is needed ------------------------------------------------------------------------------

missing=
for pair in cc:gcc meson:meson ninja:ninja-build pkg-config:pkg-config gnuplot:gnuplot-nox; do
    command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair##*:}"
done
if command -v cc >/dev/null 2>&1; then
    printf '#include <stdio.h>\n' | cc -E -x c - >/dev/null 2>&1 || missing="$missing libc6-dev"
    { printf '#include <stb/stb_image.h>\n' | cc -E -x c - ||
        printf '#include <stb_image.h>\n' | cc -E -x c -; } >/dev/null 2>&1 ||
        missing="$missing libstb-dev"
else
    missing="$missing libc6-dev libstb-dev"
fi
if [ -n "$missing" ]; then
    as=no
    if [ "$(id -u)" = 0 ]; then as=''; elif sudo -n true 2>/dev/null; then as='sudo -n'; fi
    if [ "$as" = no ] || [ -n "${EV_NO_INSTALL:-}" ] || ! command -v apt-get >/dev/null 2>&1; then
        [ "$missing" = " gnuplot-nox" ] ||
            die 6 "please install what is missing, for example: sudo apt-get install$missing"
        echo "gnuplot is missing: the curves will not be drawn (apt-get install gnuplot-nox)"
    else
        mkdir -p "$BUILD" || exit 6
        printf '$ apt-get install%s\n' "$missing"
        { $as apt-get -q update && $as env DEBIAN_FRONTEND=noninteractive apt-get -q -y \
            --no-install-recommends install $missing; } >"$BUILD/apt.log" 2>&1 ||
            die 6 "installing failed; see $(short "$BUILD/apt.log")"
    fi
fi

# ---- build ---------------------------------------------------------------------------------------

if [ ! -f "$BUILD/build.ninja" ]; then
    mkdir -p "$BUILD" || exit 6
    printf '\n$ meson setup %s -Dtests=disabled -Dbench=disabled\n' "$(short "$BUILD")"
    meson setup "$BUILD" "$ROOT" -Dtests=disabled -Dbench=disabled >"$BUILD/setup.log" 2>&1 ||
        die 70 "meson failed; see $(short "$BUILD/setup.log")"
fi
run ninja --quiet -C "$BUILD" examples/edgevision/edgevision examples/underpass/ev-underpass-render

# ---- pictures ------------------------------------------------------------------------------------

mkdir -p "$OUT" || exit 6
if [ $QUICK = 1 ]; then
    COUNTS=dog=60,pedestrian=200,bicyclist=80,empty=200
    FIT="--arch Arch5 --size 64x64 --epochs 15"
else
    COUNTS=dog=90,pedestrian=450,bicyclist=125,empty=450
    FIT="--arch Arch5 --size 96x96 --epochs 40 --dropout 0.3"
fi
WANT="data=$DATA counts=$COUNTS fit=$FIT"
if [ ! -f "$OUT/demo.txt" ] || [ "$(cat "$OUT/demo.txt")" != "$WANT" ]; then
    rm -rf "$RUN"
    [ ! -f "$OUT/pictures/truth.csv" ] || rm -rf "$OUT/pictures"
    echo "$WANT" >"$OUT/demo.txt"
fi
if [ -z "$DATA" ]; then
    DATA=$OUT/pictures/truth.csv
    [ -f "$DATA" ] || run "$RENDER" --out "$OUT/pictures" --size 256x144 --counts $COUNTS --exact \
        --threads 2 --layout classes --quiet
fi
run "$TOOL" data stats "$DATA"

# ---- train, judge, use ---------------------------------------------------------------------------

case $(sed -n 's/^ *"state": "\(.*\)".*/\1/p' "$RUN/run.json" 2>/dev/null) in
running | stopped)
    if [ -f "$RUN/checkpoints/last.safetensors" ]; then
        run "$TOOL" train --resume "$RUN"
    else
        rm -rf "$RUN"
        run "$TOOL" train "$DATA" -o "$RUN" $FIT
    fi
    ;;
*)
    rm -rf "$RUN"
    run "$TOOL" train "$DATA" -o "$RUN" $FIT
    ;;
esac
run "$TOOL" inspect "$RUN/model.onnx"
# The file is loaded again: nothing but the model and pictures is needed from here on.
awk -v step=$((($(wc -l <"$RUN/test.csv") - 2) / 6 + 1)) 'NR == 1 || NR % step == 2 % step' \
    "$RUN/test.csv" >"$RUN/some.csv"
run "$TOOL" predict "$RUN/model.onnx" "$RUN/some.csv"
run "$TOOL" bench "$RUN/model.onnx"
run "$TOOL" report "$RUN" -o "$OUT/report.html"

printf '\nDone in %d s.\n  report:  %s\n  model:   %s (ONNX)\n  numbers: %s\n' \
    $(($(date +%s) - BEGAN)) "$OUT/report.html" "$RUN/model.onnx" "$RUN"
