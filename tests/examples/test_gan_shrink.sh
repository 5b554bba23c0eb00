#!/bin/sh
# SPDX-License-Identifier: MIT
# The verb gan shrink: pruned and drawn anew, judged, refused, stopped.
# usage: test_gan_shrink.sh PATH-TO-edgevision PATH-TO-ev-underpass-render
set -u
export LC_ALL=C
tool=$1
render=$2
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/cli.sh"
dir=$(mktemp -d "${TMPDIR:-/tmp}/shrink.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0
cd "$dir" || exit 1

for domain in night day; do
    "$render" --quiet --out $domain --exact --size 32x32 --threads 2 --seed 3 --layout classes \
        --domain $domain --counts dog=5,pedestrian=5,bicyclist=5,empty=5 || exit 1
done
"$tool" train day -o a --arch Arch3 --size 32x32 --batch 8 --epochs 1 -q >/dev/null || exit 1
"$tool" gan train night day -o run --size 32 --width 8 --blocks 1 --epochs 1 >out 2>err || exit 1
fast="--data night --batch 4 --epochs 2 --threads 1"

value() { # what large|small: of the table in out
    awk -F '\t' -v what="$1" -v column="$2" '$1 == what { print $column }' out
}

# ---- pruned --------------------------------------------------------------------------------------

check "pruned" exits 0 gan shrink run -o p.onnx $fast --macs 50% --steps 2
check "... half of the multiply-adds" \
    [ "$((2 * $(value multiply-adds 3)))" -le "$(value multiply-adds 2)" ]
check "... is a model" exits 0 inspect p.onnx
check "... the same again for the same bytes" exits 0 gan shrink run -o p2.onnx $fast --macs 50% \
    --steps 2
check "... indeed" cmp -s p.onnx p2.onnx
check "by parameters, with a classifier" exits 0 gan shrink run/G_A.onnx -o q.onnx $fast \
    --parameters 10k --classifier a --judge night
check "... its accuracy is told" says '^accuracy' out
check "... at most as many" [ "$(value parameters 3)" -le 10000 ]
check "by time, as JSON" exits 0 gan shrink run -o t.onnx $fast --ms 90% --steps 1 --json
check "... is JSON" json out
check "pictures come out of it" exits 0 gan apply -m t.onnx -i night/empty -o there
check "--force replaces" exits 0 gan shrink run -o t.onnx $fast --macs 80% --steps 1 --force -q
check "... in silence" [ ! -s err ]

# ---- drawn anew ----------------------------------------------------------------------------------

check "drawn anew" exits 0 gan shrink run -o n.onnx $fast --width 4 --blocks 1 --separable
check "... of that width" [ "$(value parameters 3)" -lt 7000 ]
check "resize, JSON" exits 0 gan shrink run -o r.onnx $fast --width 4 --blocks 1 --resize --json
check "... is JSON" json out

# ---- refused -------------------------------------------------------------------------------------

check "no goal" exits 2 gan shrink run -o x.onnx $fast
check "... says which there are" says 'how small'
check "two goals" exits 2 gan shrink run -o x.onnx $fast --macs 50% --ms 1
check "a goal and a width" exits 2 gan shrink run -o x.onnx $fast --macs 50% --width 8
check "blocks without a width" exits 2 gan shrink run -o x.onnx $fast --macs 50% --blocks 2
check "a goal that is none" exits 2 gan shrink run -o x.onnx $fast --macs lots
check "no OUT" exits 2 gan shrink run $fast --macs 50%
check "no pictures" exits 2 gan shrink run -o x.onnx --macs 50%
check "OUT that is there" exits 2 gan shrink run -o p.onnx $fast --macs 50%
check "OUT that is the teacher" exits 2 gan shrink run/G_A.onnx -o run/G_A.onnx --force $fast \
    --macs 50%
check "judge without classifier" exits 2 gan shrink run -o x.onnx $fast --macs 50% --judge night
check "a size that it does not take" exits 3 gan shrink run -o x.onnx $fast --macs 50% --size 15x17
check "below what can be" exits 1 gan shrink run -o x.onnx $fast --parameters 10
check "above what there is" exits 1 gan shrink run -o x.onnx $fast --parameters 1G
check "no such teacher" exits 6 gan shrink none.onnx -o x.onnx $fast --macs 50%
check "a classifier as teacher" exits 4 gan shrink a/model.onnx -o x.onnx $fast --macs 50%
check "a generator as classifier" exits 3 gan shrink run -o x.onnx $fast --macs 50% --classifier \
    run/G_B.onnx
check "no such pictures" exits 3 gan shrink run -o x.onnx --data none --macs 50%
check "nothing was written" [ ! -e x.onnx ]

# ---- stopped -------------------------------------------------------------------------------------

"$tool" gan shrink run -o s.onnx --data night --macs 50% --steps 1 --epochs 100000 >out 2>err &
child=$!
until grep -q epoch err || ! kill -0 $child 2>/dev/null; do sleep 0.05; done
kill -TERM $child
wait $child
check "SIGTERM ends it" [ $? -eq 143 ]
check "... and says what is there" says 'stopped; s.onnx'
check "... which is a model" exits 0 inspect s.onnx

exit $failed
