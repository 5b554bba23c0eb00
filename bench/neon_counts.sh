#!/bin/sh
# SPDX-License-Identifier: MIT
# Instructions of the NEON kernels' inner loops, counted in the compiled object: how many of each
# kind for a multiply-add of four lanes.  No ARM machine is needed.
#   sh bench/neon_counts.sh [COMPILER]      (default aarch64-linux-gnu-gcc, its objdump beside it)
# A loop is what lies between a backward branch and where it goes; shown is, for each tile (rows x
# vectors) that has eight fmla or more, the shortest loop without an inner one: that of a whole
# tile, without a tail.
set -eu
cc=${1:-aarch64-linux-gnu-gcc}
objdump=${cc%gcc}objdump
root=$(cd "$(dirname "$0")/.." && pwd)
tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
command -v "$cc" >/dev/null && command -v "$objdump" >/dev/null || {
    echo "$cc or $objdump is not there" >&2
    exit 77
}
"$cc" -std=c11 -O3 -DNDEBUG -D_DEFAULT_SOURCE -ffp-contract=off -fno-math-errno \
    -fno-trapping-math -fPIC -I "$root/include" -I "$root/lib" -c "$root/lib/kernels/arm/neon.c" \
    -o "$tmp/neon.o"
"$objdump" -d --no-show-raw-insn "$tmp/neon.o" | awk '
function flush_function(    i, j, k, from, inner, kind, n, f, l, s, a) {
    for (i = 1; i <= count; i++) {
        if (op[i] !~ /^(b|b\..*|cbz|cbnz|tbz|tbnz)$/ || !(target[i] in at))
            continue
        from = at[target[i]]
        if (from >= i)
            continue
        inner = 0
        for (j = from; j < i; j++)
            if (op[j] ~ /^(b|b\..*|cbz|cbnz|tbz|tbnz)$/ && (target[j] in at) && at[target[j]] <= j)
                inner = 1
        f = l = s = a = 0
        for (j = from; j <= i; j++) {
            if (op[j] ~ /^(fmla|fmls)$/) f++
            else if (op[j] ~ /^(ldr|ldp|ld1|ld1r|ldur|ld2|ld4|ldrsw|ldpsw)$/) l++
            else if (op[j] ~ /^(str|stp|st1|stur)$/) s++
            else a++
        }
        n = i - from + 1
        if (f < 8 || inner || name !~ /^(tile|dot)_/ || (name in best && best[name] <= n))
            continue
        best[name] = n
        line[name] = sprintf("%-12s %5d %5d %5d %6d %6d   %8.2f %10.2f", name, n, f, l, s, a,
            n / f, l / f)
    }
    if (name in line)
        print line[name]
}
BEGIN {
    printf "%-12s %5s %5s %5s %6s %6s   %8s %10s\n", "tile", "all", "fmla", "loads", "stores",
        "others", "all/fmla", "loads/fmla"
}
/^[0-9a-f]+ <.*>:$/ {
    flush_function()
    delete at; delete op; delete target
    count = 0
    name = $2; gsub(/[<>:]/, "", name)
    next
}
/^ +[0-9a-f]+:/ {
    count++
    address = $1; sub(":", "", address)
    at[address] = count
    op[count] = $2
    target[count] = ""
    for (k = 3; k <= NF; k++)
        if ($k ~ /^[0-9a-f]+$/ && $(k + 1) ~ /^</) target[count] = $k
}
END { flush_function() }'
