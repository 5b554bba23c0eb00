#!/bin/sh
# SPDX-License-Identifier: MIT
# The accuracy on a labelled set, ours and PyTorch's: same pictures, split by group, net, settings.
#   sh bench/accuracy.sh BUILD MANIFEST.csv [ARCH] [SIZE] [EPOCHS] [PATIENCE] [SEEDS]
# Prints a line a seed; columns beside path, label and group are not needed.
set -eu
build=${1:?usage: accuracy.sh BUILD MANIFEST.csv [ARCH] [SIZE] [EPOCHS] [PATIENCE] [SEEDS]}
data=${2:?manifest} arch=${3:-3} size=${4:-96} epochs=${5:-40} patience=${6:-10} seeds=${7:-"1 2 3"}
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
export OPENBLAS_CORETYPE="${OPENBLAS_CORETYPE:-SkylakeX}"
root=$(cd "$(dirname "$data")" && pwd)
for seed in $seeds; do
    run=$tmp/run$seed
    "$build/examples/edgevision/edgevision" train "$data" -o "$run" --arch "Arch$arch" \
        --size "${size}x$size" --epochs "$epochs" --patience "$patience" --by-group --seed "$seed" \
        --threads 1 --quiet >"$run.txt"
    /usr/bin/python3 "$here/peers/cameras.py" "$run/predictions.csv" "$seed" "$root"
    /usr/bin/python3 "$here/peers/torch_accuracy.py" "$root" "$run/train.csv" "$run/valid.csv" \
        "$run/test.csv" "$arch" "$size" "$epochs" "$patience" 0 "$seed"
done
