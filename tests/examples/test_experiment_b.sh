#!/bin/sh
# SPDX-License-Identifier: MIT
# Experiment B end to end, tiny: all tables are there and add up, a second call does nothing, killed
# runs go on to the same figures, processes share a folder, bad options are refused; the judge.
# usage: test_experiment_b.sh BUILD PATH-TO-experiment_b.sh
set -u
export LC_ALL=C
build=$1
experiment=$2
tool=$build/examples/underpass/ev-underpass-judge
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/cli.sh"
dir=$(mktemp -d "${TMPDIR:-/tmp}/experiment_b.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0
cd "$dir" || exit 1

run() { # code, options...
    want=$1
    shift
    sh "$experiment" --build "$build" --threads 1 "$@" >out 2>err
    code=$?
    [ $code -eq "$want" ] || { echo "     | exit code $code"; return 1; }
}

lines() { [ "$(wc -l <"$2")" -eq "$1" ] || { echo "     | $2: $(wc -l <"$2") lines"; return 1; }; }

# ---- usage ---------------------------------------------------------------------------------------

check "help" run 0 --help
check "... tells the options" says '--campaigns N' out
check "no such option" run 2 --nonsense 1
check "no such domain" run 2 --domain fog
check "no number" run 2 --width x
check "too few frames" run 2 --frames 10
check "no programs" sh -c "! sh '$experiment' --build /nowhere --out x 2>err"

# ---- a run ---------------------------------------------------------------------------------------

check "night, two seeds" run 0 --quick --seeds 1,2 --out a
for file in summary.md answers.csv inventions.csv gap.csv roads.csv figure9_direct.csv \
    figure9_translated.csv seed1/sheet-fresh.png seed2/sheet-gan.png seed1/G_A.onnx \
    seed2/select.json; do
    check "... $file" [ -s "a/$file" ]
done
check "... eight rows in figure 8" lines 9 a/figure8.csv
check "... seven rows of roads" lines 8 a/roads.csv
check "... columns of figure 9 are 100 %" awk -F, 'NR > 1 { for (i = 2; i <= 4; i++) s[i] += $i }
    END { for (i = 2; i <= 4; i++) if (s[i] < 99.7 || s[i] > 100.3) exit 1 }' a/figure9_direct.csv
check "... all pictures of a set are counted" awk -F, '/fresh,all/ {
    exit !($3 == 34 && $8 == 23) }' a/figure8.csv
check "... the paper's figures beside" says 'paper 90' a/summary.md
check "... no locks" sh -c "! ls -d a/.lock* 2>/dev/null"
check "again" run 0 --quick --seeds 1,2 --out a
check "... nothing to do" sh -c "! grep '^\\$' err"
check "other options: refused" run 2 --quick --seeds 1,2 --out a --width 4
check "... says which" says '--width 8'

# ---- killed, and shared --------------------------------------------------------------------------

sh "$experiment" --build "$build" --threads 1 --quick --seeds 1,2 --out b >out 2>err &
child=$!
while [ ! -s b/seed1/gan/run.json ] && kill -0 $child 2>/dev/null; do sleep 0.05; done
kill -9 $child
wait $child 2>/dev/null
# its own child, the training, may live on for a while: nobody must work beside it
sh "$experiment" --build "$build" --threads 1 --quick --seeds 1,2 --out b >out1 2>err1 &
child=$!
check "killed, then two processes" run 0 --quick --seeds 1,2 --out b
wait $child
check "... the other one, too" [ $? -eq 0 ]
check "... the same answers" cmp a/answers.csv b/answers.csv
check "... the same inventions" cmp a/inventions.csv b/inventions.csv

# ---- spray ---------------------------------------------------------------------------------------

check "spray" run 0 --quick --domain spray --no-roads --class-loss --out c
check "... named so" says 'spray2day' c/figure8.csv
check "... no clip in two parts" sh -c "for part in gan fresh valid; do
    sed 1d c/pictures/\$part-out.csv | cut -d, -f3 | sort -u; done | sort | uniq -d >twice
    [ ! -s twice ]"

# ---- the judge -----------------------------------------------------------------------------------

net=a/seed1/classifier/model.onnx
check "judge: help" exits 0 --help
check "judge: no verb" exits 2
check "judge: no such verb" exits 2 nonsense
check "judge: a set is missing" exits 2 answers --classifier $net
check "judge: no such option" exits 2 answers --nonsense 1
check "judge: no such score" exits 2 roads --score nonsense
check "judge: no such file" exits 1 answers --classifier none.onnx x=a/pictures/valid.csv
check "judge: no such set" exits 1 answers --classifier $net x=none.csv
check "judge: without generator" exits 0 answers --classifier $net x=a/pictures/valid.csv
check "... no translated rows" sh -c "! grep translated out"
exit $failed
