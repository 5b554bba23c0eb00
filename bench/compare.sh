#!/bin/sh
# SPDX-License-Identifier: MIT
# Ours and the peers on the same work, in turn, in one run; prints the ratio peer/ours (above 1: we
# are faster) of each pair's best times as median, least and most.
#   sh bench/compare.sh BUILD [infer|train] [ARCH] [THREADS] [PAIRS]
# Inference needs node and onnxruntime-node (NODE_PATH), training python3-torch.
set -eu
build=${1:?usage: compare.sh BUILD [infer|train] [ARCH] [THREADS] [PAIRS]}
what=${2:-infer} arch=${3:-5} threads=${4:-1} pairs=${5:-7} size=224
here=$(cd "$(dirname "$0")" && pwd)
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
export OPENBLAS_CORETYPE="${OPENBLAS_CORETYPE:-SkylakeX}"
min_ms() { sed -n 's/.*"min_ms": *\([0-9.]*\).*/\1/p'; }

ours() {
    "$build/bench/$what" --arch "$arch" --threads "$threads" --seconds 2 --size "$size" \
        --batch "$([ "$what" = train ] && echo 32 || echo 1)"
}
peer() {
    if [ "$what" = infer ]; then
        node "$here/peers/ort.js" "$tmp/model.onnx" "$threads" 2 "$size"
    else
        for mode in default cl; do /usr/bin/python3 "$here/peers/torch_train.py" \
            "$arch" "$threads" 4 "$size" 32 "$mode"; done
    fi
}

[ "$what" = train ] || "$build/bench/infer" --arch "$arch" --save "$tmp/model.onnx"
for pair in $(seq "$pairs"); do
    a=$(ours | min_ms)
    b=$(peer | min_ms | sort -g | head -n 1) # the better of the peer's modes
    echo "$a $b" >>"$tmp/pairs"
    echo "pair $pair: ours $a ms, peer $b ms" >&2
done
awk '{ print $2 / $1 }' "$tmp/pairs" | sort -g | awk -v w="$what" -v a="$arch" -v t="$threads" '
    { r[NR] = $1 } END { printf "%s,Arch%s,%s threads,peer/ours median %.2f (%.2f..%.2f) of %d\n",
    w, a, t, r[int((NR + 1) / 2)], r[1], r[NR], NR }'
