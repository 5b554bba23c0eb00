#!/bin/sh
# SPDX-License-Identifier: MIT
# Short runs of the benchmark programs, and of the script that makes the tables from them.
#   sh test_bench.sh BUILD SOURCE
set -eu
build=$1 source=$2
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
failed=0

# check NAME COMMAND...: the output is kept in $tmp/out
check() {
    name=$1
    shift
    if ! "$@" >"$tmp/out" 2>"$tmp/err"; then
        echo "FAIL $name: $*"
        cat "$tmp/out" "$tmp/err"
        failed=1
    fi
}

# looks NAME COMMAND...: at the output that was kept.
looks() {
    name=$1
    shift
    if ! "$@" >/dev/null; then
        echo "FAIL $name: $*"
        cat "$tmp/out"
        failed=1
    fi
}

# Each line of the output is JSON with these keys, numbers above zero.
has() {
    python3 - "$tmp/out" "$@" <<'EOF' || failed=1
import json
import sys

with open(sys.argv[1], encoding="utf-8") as f:
    lines = [json.loads(line) for line in f]
assert lines, "no output"
for line in lines:
    for key in sys.argv[2:]:
        assert line[key] > 0, (key, line)
EOF
}

times="median_ms p10_ms p90_ms min_ms gflops peak_gflops share bytes peak_mib runs"
bench=$build/bench
check infer "$bench/infer" --arch 1 --size 32 --steps 2 --json
has $times
check "infer, CSV" "$bench/infer" --arch 3 --size 32 --batch 2 --steps 2 --threads 2
looks "... columns" awk -F, 'NF != 17 { exit 1 } END { exit NR != 2 }' "$tmp/out"
check "infer generator" "$bench/infer" --net generator --size 16 --steps 1 --json
has $times
check train "$bench/train" --arch 1 --size 32 --batch 2 --steps 2 --json
has $times
check cyclegan_step "$bench/cyclegan_step" --size 32 --steps 1 --json
has $times generators_ms discriminators_ms first_generators_loss first_discriminators_loss
check prune "$bench/prune" --arch 1 --size 32 --steps 2 --json
has median_ms min_ms peak_mib runs
check gemm "$bench/gemm" --shape 33,65,17 --steps 2 --json
has $times m n k
check machine "$bench/machine" --seconds 0.01 --threads 2 --json
has peak_gflops l1_gb_per_s memory_gb_per_s
check "unknown option" sh -c "! '$bench/infer' --nothing"

# The script: a row of ours alone, one whose peer is not there, and the files that it makes.
run() {
    NODE_PATH=/nowhere sh "$source/bench/run.sh" --quick --threads 1 --out "$tmp/run" "$@" "$build"
}
check "run.sh --list" run --list
looks "... rows" grep -qx 'cyclegan.256.t1.torch' "$tmp/out"
check "run.sh" run --rows '^machine.t1$|^infer.arch1.b1.t1.ort$'
looks "... says what it left out" grep -q 'SKIPPED\|peer/ours' "$tmp/out"
check "... again: nothing to do" run --rows '^machine.t1$'
looks "... says so" grep -q 'done before' "$tmp/out"
for file in table.md rows.csv pairs.csv; do
    looks "$file" [ -s "$tmp/run/$file" ]
done
exit $failed
