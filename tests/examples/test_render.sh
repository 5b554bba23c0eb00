#!/bin/sh
# SPDX-License-Identifier: MIT
# ev-underpass-render as a program: same seed same files, counts, manifest, threads, exit codes.
# usage: test_render.sh PATH-TO-ev-underpass-render
set -u
export LC_ALL=C
render=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/underpass.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0

check() # what, command...
{
    what=$1
    shift
    if "$@"; then echo "ok   $what"; else
        echo "FAIL $what"
        failed=1
    fi
}

exits() # code, arguments...
{
    want=$1
    shift
    "$render" --quiet "$@" >/dev/null 2>"$dir/err"
    [ $? -eq "$want" ] && { [ "$want" -eq 0 ] || [ -s "$dir/err" ]; }
}

counts() # CSV: "label=n ..." in the order of the alphabet
{
    sed 1d "$1" | cut -d, -f2 | sort | uniq -c | awk '{printf "%s%s=%s", s, $2, $1; s = " "}'
}

few="--counts dog=4,pedestrian=6,bicyclist=5,empty=7 --size 64x48 --format ppm"
# shellcheck disable=SC2086
{
    check "draws" exits 0 --out "$dir/a" --exact $few
    check "draws again" exits 0 --out "$dir/b" --exact $few --threads 3
    check "draws another seed" exits 0 --out "$dir/c" --exact $few --seed 2
    check "draws everything" exits 0 --out "$dir/d" $few --domain mix --layout classes
    check "draws clips" exits 0 --out "$dir/e" --exact $few --layout clips
}
check "same seed, same files" diff -r "$dir/a" "$dir/b"
check "another seed, other files" sh -c "! diff -rq '$dir/a' '$dir/c' >/dev/null"
check "exact counts" [ "$(counts "$dir/a/truth.csv")" = \
    "bicyclist=5 dog_walker=4 empty=7 pedestrian=6" ]
check "header" [ "$(head -n 1 "$dir/a/truth.csv" | cut -d, -f1-12)" = \
    "path,label,clip,time,x0,y0,x1,y1,distance_m,visible_share,n_objects,domain" ]
check "every row has 17 fields" awk -F, 'NF != 17 {bad = 1} END {exit bad}' "$dir/d/truth.csv"
check "boxes and shares in range" awk -F, '
    NR > 1 && ($5 < 0 || $6 < 0 || $7 > 64 || $8 > 48 || $5 > $7 || $6 > $8 || $10 < 0 || $10 > 1) {
        bad = 1
    }
    END {exit bad}' "$dir/d/truth.csv"
check "kept counts of a whole campaign" [ "$(awk -F, '
    NR > 1 && $17 == "" {n[$2]++}
    END {print n["dog_walker"], n["pedestrian"], n["bicyclist"], (n["empty"] >= 7)}
    ' "$dir/d/truth.csv")" = "4 6 5 1" ]
for one in a d e; do
    # read alone would keep the comma-separated rest together
    check "all files of $one are there" sh -c "
        sed 1d '$dir/$one/truth.csv' | cut -d, -f1 | while read -r f; do
            [ -s '$dir/$one/'\"\$f\" ] || exit 1
        done"
done
check "clip ids" awk -F, 'NR > 1 && $3 !~ /^c[0-9]+$/ {bad = 1} END {exit bad}' "$dir/a/truth.csv"

# shellcheck disable=SC2086
{
    bytes=$("$render" --quiet --raw $few --clip 1 --fps 2 | wc -c)
    check "png" exits 0 --out "$dir/p" --exact --counts empty=1 --size 16x16 --format png
    check "jpg" exits 0 --out "$dir/p" --exact --counts empty=1 --size 16x16 --format jpg
}
check "raw video is whole frames" [ $((bytes > 0 && bytes % (64 * 48 * 3) == 0)) -eq 1 ]
check "png signature" [ "$(head -c 4 "$dir"/p/frames/*.png | tail -c 3)" = PNG ]
check "--help" exits 0 --help
check "no arguments" exits 2
check "unknown option" exits 2 --out "$dir/x" --colour red
check "bad size" exits 2 --out "$dir/x" --size 224
check "bad count" exits 2 --out "$dir/x" --counts cat=5
check "bad number" exits 2 --out "$dir/x" --threads -1
check "value missing" exits 2 --out
: >"$dir/file"
check "folder is a file" exits 6 --out "$dir/file" --exact --counts empty=1
[ ! -w /dev/full ] || check "full disk" sh -c \
    "'$render' --quiet --raw --counts empty=5 --size 64x48 >/dev/full 2>/dev/null; [ \$? -eq 6 ]"
exit $failed
