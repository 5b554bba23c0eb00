#!/bin/sh
# SPDX-License-Identifier: MIT
# Tables of runs: sweep and tune skip what is done, go on after kill -9 and SIGTERM to the same
# bits, share a folder between processes, mind each other's locks; experiment A end to end, small.
# usage: test_sweep.sh PATH-TO-edgevision PATH-TO-ev-underpass-render PATH-TO-experiment_a.sh
set -u
export LC_ALL=C
tool=$1
render=$2
experiment=$3
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/cli.sh"
dir=$(mktemp -d "${TMPDIR:-/tmp}/sweep.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0
cd "$dir" || exit 1

same() { # two folders, but for seconds and threads
    for folder in "$1" "$2"; do
        cut -d, -f1-14,17-23 "$folder/results.csv" >"$folder.cut" || return 1
    done
    cmp -s "$1.cut" "$2.cut"
}

"$render" --quiet --out pictures --exact --size 32x32 --threads 2 --seed 3 \
    --counts dog=15,pedestrian=30,bicyclist=20,empty=30 || exit 1
data=pictures/truth.csv
common="--size 32x32 --batch 8 --patience 0"

# ---- usage ---------------------------------------------------------------------------------------

check "no DATA" exits 2 sweep -o x
check "no folder" exits 2 sweep $data
check "no such number" exits 2 sweep $data -o x --archs 0-3
check "no such net" exits 2 sweep $data -o x --archs Arch1,Nonsense
check "job out of range" exits 2 sweep $data -o x --job 3/2
check "subset out of range" exits 2 sweep $data -o x --subsets 0,50
check "picture too small for the net: said before any run" exits 2 sweep $data -o x \
    --archs 1,11 --size 16x16
check "empty folder of nets" sh -c "mkdir none; '$tool' sweep $data -o x --archs none 2>err; \
    [ \$? -eq 4 ]"

# ---- a table -------------------------------------------------------------------------------------

# shellcheck disable=SC2086
{
    check "sweep" exits 0 sweep $data -o a --archs 1-2 --subsets 50,100 $common --epochs 40 --json
    check "... is JSON" json out
    check "... four runs" [ "$(wc -l <a/results.csv)" -eq 5 ]
    check "... natural names" [ -s a/arch2-subset050-seed1/result.json ]
    check "... a line a run" [ "$(grep -c '40 epochs' err)" -eq 4 ]
    for file in table1.csv choice.json table.json plots/figure5.csv plots/figure6.csv \
        plots/figure5.gp arch1-subset100-seed1/history.csv; do
        check "... $file" [ -s "a/$file" ]
    done
    check "... results are JSON" json a/arch1-subset100-seed1/result.json
    check "... choice is JSON" json a/choice.json
    check "... no locks, no checkpoints" sh -c "! find a | grep -E 'lock|safetensors|tmp'"
    check "again: nothing to do" exits 0 sweep $data -o a --archs 1-2 --subsets 50,100 $common \
        --epochs 40
    check "... no run" sh -c "! grep -q 'epochs,' err"
    check "other options: refused" exits 2 sweep $data -o a --archs 1 $common --epochs 41
    check "... says which" says '"epochs": 40'
    check "more factors: welcome" exits 0 sweep $data -o a --archs 3 --subsets 100 --seeds 1,2 \
        $common --epochs 40 --time
    check "... six runs" [ "$(wc -l <a/results.csv)" -eq 7 ]
    check "fixed test set, by group, job" exits 0 sweep $data -o fixed --archs 1-2 \
        --subsets 50,100 $common --epochs 1 --fixed-test --by-group --job 2/2 --keep-models
    check "... two runs" [ "$(wc -l <fixed/results.csv)" -eq 3 ]
    check "plot of a table" exits 0 plot a

    mkdir ladder
    cp fixed/arch1-subset100-seed1/model.onnx ladder/small.onnx
    cp fixed/arch2-subset100-seed1/model.onnx ladder/large.onnx
    check "ONNX files as nets" exits 0 sweep $data -o files --archs ladder --subsets 100 $common \
        --epochs 1
    check "... by name" says '^large-subset100-seed1,large,' files/results.csv
}

# ---- interrupted, shared -------------------------------------------------------------------------

# shellcheck disable=SC2086
{
    set -- --archs 1-2 --subsets 50,100 $common --epochs 40
    for moment in arch1-subset050-seed1/history.csv arch2-subset050-seed1/checkpoint.safetensors; do
        "$tool" sweep $data -o killed "$@" >/dev/null 2>&1 &
        child=$!
        until_there killed/$moment
        kill -9 $child 2>/dev/null
        wait $child 2>/dev/null
    done
    "$tool" sweep $data -o killed "$@" >/dev/null 2>&1 &
    child=$!
    until_there killed/arch2-subset100-seed1/history.csv
    kill -TERM $child 2>/dev/null
    wait $child
    code=$?
    check "SIGTERM: 143" [ $code -eq 143 ]
    check "... leaves no lock" [ -z "$(find killed -name lock)" ]
    check "goes on" exits 0 sweep $data -o killed "$@" --threads 1
    rm -rf whole
    check "in one piece" exits 0 sweep $data -o whole "$@"
    check "... the same results" same whole killed

    "$tool" sweep $data -o both "$@" --wait --threads 1 >one 2>err1 &
    child=$!
    check "two processes: the second" exits 0 sweep $data -o both "$@" --wait --threads 1
    wait $child
    code=$?
    check "... the first" [ $code -eq 0 ]
    check "... each run once" [ "$(cat err err1 | grep -c '40 epochs')" -eq 4 ]
    check "... the same results" same whole both

    set -- --archs 1 --subsets 100 $common --epochs 1
    mkdir -p locked/arch1-subset100-seed1
    lock=locked/arch1-subset100-seed1/lock
    echo "elsewhere/pid:[1] 77 12 2026-01-01T00:00:00Z" >$lock
    check "another machine's run: left alone" exits 0 sweep $data -o locked "$@"
    check "... says so" says 'of other processes'
    touch -t 202001010000 $lock
    check "... left alone for ever if asked" exits 0 sweep $data -o locked "$@" --stale-minutes 0
    check "... says so" says 'of other processes'
    check "... taken over when it gave no sign of life" exits 0 sweep $data -o locked "$@"
    check "... says so" says 'its process is gone'
    check "... done" [ "$(wc -l <locked/results.csv)" -eq 2 ]
}

# ---- tune ----------------------------------------------------------------------------------------

# shellcheck disable=SC2086
{
    set -- --arch Arch1 $common --epochs 15 --rates 1e-3,1e30 --dropouts 0,0.5 --l2s 0,1e-3
    check "tune: rate out of range" exits 2 tune $data -o t "$@"
    set -- --arch Arch1 $common --epochs 15 --rates 1e-3,50 --dropouts 0,0.5 --l2s 0,1e-3
    check "tune" exits 0 tune $data -o t "$@"
    check "... a line a value" [ "$(wc -l <t/table3.csv)" -eq 7 ]
    check "... one chosen of each" [ "$(grep -c ',1$' t/table3.csv)" -eq 3 ]
    check "... table 4: classes and all" [ "$(wc -l <t/table4.csv)" -eq 6 ]
    check "... columns of figure 7 add up" awk -F, 'NR > 1 { for (i = 2; i < 6; i++) s[i] += $i }
        END { for (i = 2; i < 6; i++) if (s[i] < 99.9 || s[i] > 100.1) exit 1 }' t/figure7.csv
    check "... tuned.json is JSON" json t/tuned.json
    model=$(sed -n 's/.*"model": "\(.*\)"/\1/p' t/tuned.json)
    check "... its model" exits 0 inspect "$model"
    "$tool" tune $data -o u "$@" >/dev/null 2>&1 &
    child=$!
    until_there u/lr0.001-dropout0.5-l2_0/history.csv
    kill -9 $child 2>/dev/null
    wait $child 2>/dev/null
    check "tune goes on after kill -9" exits 0 tune $data -o u "$@" --threads 1
    check "... the same table" cmp -s t/table3.csv u/table3.csv
}

# ---- experiment A --------------------------------------------------------------------------------

mkdir -p build/examples/edgevision build/examples/underpass
ln -s "$tool" build/examples/edgevision/edgevision
ln -s "$render" build/examples/underpass/ev-underpass-render
small="--out e --build build --frames 120 --size 32x32 --archs 1-2 --subsets 50,100 --epochs 2"
small="$small --rates 1e-3,1e-2 --dropouts 0 --l2s 0"
# shellcheck disable=SC2086
{
    check "experiment A" sh -c "sh '$experiment' $small >out 2>err"
    cp e/summary.md first.md
    check "... again: nothing to do" sh -c "sh '$experiment' $small >out 2>err"
    check "... the same summary" cmp -s e/summary.md first.md
    check "... no run" sh -c "! grep -q 'epochs,' err"
    check "... other options: refused" sh -c "sh '$experiment' $small --lr 1e-2 >out 2>err; \
        [ \$? -eq 2 ]"
    check "experiment A: unknown option" sh -c "sh '$experiment' --nonsense 1 2>err; [ \$? -eq 2 ]"
    check "experiment A: help" sh -c "sh '$experiment' --help | grep -q -- '--frames N'"
}
for file in table1.csv table3.csv table4.csv results.csv figure5.csv figure6.csv figure7.csv \
    model.onnx summary.md; do
    check "... $file" [ -s e/$file ]
done
if command -v gnuplot >/dev/null; then
    for i in 5 6 7; do check "... figure$i.svg" says '</svg>' e/figure$i.svg; done
fi
exit $failed
