#!/bin/sh
# SPDX-License-Identifier: MIT
# The verb prune: goals, controls, what is refused and how, runs that go on after kill -9 and
# SIGTERM to the same bytes, the page about them; and arch ladder.
# usage: test_prune_cli.sh PATH-TO-edgevision PATH-TO-ev-underpass-render
set -u
export LC_ALL=C
tool=$1
render=$2
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/cli.sh"
dir=$(mktemp -d "${TMPDIR:-/tmp}/prune.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0
tab=$(printf '\t')
cd "$dir" || exit 1

"$render" --quiet --out pictures --exact --size 32x32 --threads 2 --seed 3 --layout classes \
    --counts dog=15,pedestrian=30,bicyclist=20,empty=30 || exit 1
"$tool" train pictures -o a --arch Arch3 --size 32x32 --batch 8 --epochs 4 -q >/dev/null || exit 1
fast="--data a --batch 8 --steps 2 --epochs 2 --images 32"

# ---- only look -----------------------------------------------------------------------------------

check "groups" exits 0 prune a --groups
check "... the last layer is blocked" says 'dense2.*an output of the model' out
check "groups --json" exits 0 prune a/model.onnx --groups --json
check "... is JSON" json out
check "floor" exits 0 prune a --floor
check "... in six units" [ "$(grep -c "$tab" out)" -eq 7 ]
check "floor --json" exits 0 prune a --floor --json
check "... is JSON" json out
check "dry run" exits 0 prune a --dry-run --parameters 3k
check "... layer by layer" says '^conv1 .* -> ' out
check "... writes nothing" [ ! -e a-run ]
check "dry run with pictures, depth too" exits 0 prune a --dry-run --channels 50% --data a --depth \
    also --images 32
check "dry run --json" exits 0 prune a --dry-run --macs 50% --json
check "... is JSON" json out
check "sensitivity" exits 0 prune a --sensitivity s.csv --data a --images 32
check "... a line for each layer and share" [ "$(wc -l <s.csv)" -eq 41 ]
check "... as a script for gnuplot" says 'conv1' s.gp
check "sensitivity --json" exits 0 prune a --sensitivity s.csv --data a --images 32 --json
check "... is JSON" json out

# ---- what is refused -----------------------------------------------------------------------------

check "no goal" exits 2 prune a -o x.onnx
check "... says which there are" says 'how small'
check "two goals" exits 2 prune a -o x.onnx --macs 50% --ms 1
check "no OUT" exits 2 prune a --macs 50%
check "goal that is none" exits 2 prune a -o x.onnx --macs lots
check "share above 100 %" exits 2 prune a -o x.onnx --macs 120%
check "accuracy floor that is none" exits 2 prune a -o x.onnx --accuracy-floor 101%
check "depth without pictures" exits 2 prune a -o x.onnx --macs 50% --depth only
check "accuracy floor without pictures" exits 2 prune a -o x.onnx --accuracy-floor 0.5
check "taylor without pictures" exits 2 prune a -o x.onnx --macs 50% --criterion taylor
check "... says what to do" says 'needs pictures: --data'
check "two ways to look" exits 2 prune a --floor --groups
check "the model itself as OUT" exits 2 prune a -o a/model.onnx --macs 50% --force
check "OUT is a folder" exits 2 prune a -o pictures --macs 50%
check "unknown criterion" exits 2 prune a -o x.onnx --macs 50% --criterion magic
check "protected layer that there is not" exits 2 prune a -o x.onnx --macs 50% --protect conv9
check "... names it" says 'conv9'
check "everything protected" exits 1 prune a -o x.onnx --macs 50% --protect '*'
check "... says so" says 'protected'
check "the same with pictures" exits 1 prune a -o x.onnx --macs 50% --protect '*' --data a
check "goal below the floor" exits 1 prune a -o x.onnx --macs 0.1% --data a
check "... names the least" says 'at the least'
check "model that is not there" exits 6 prune nowhere.onnx --groups
check "data that is not there" exits 6 prune a -o x.onnx --macs 50% --data nowhere
mkdir -p cats/cat cats/dog
for class in cat dog; do
    find pictures -name '*.jpg' | head -n 8 | while read -r file; do cp "$file" cats/$class/; done
done
check "classes that the model has not" exits 3 prune a -o x.onnx --macs 50% --data cats
check "... says which it has" says 'bicyclist, dog_walker, empty, pedestrian'
check "none of it left anything" [ ! -e x.onnx ]
check "... no folder either" [ ! -e x-run ]

# ---- at once, by weights -------------------------------------------------------------------------

check "at once" exits 0 prune a -o once.onnx --macs 50%
check "... says that accuracy was not looked at" says 'ACCURACY WAS NOT LOOKED AT' out
check "... the model is whole" exits 0 eval once.onnx a/test.csv
check "OUT that exists: refused" exits 2 prune a -o once.onnx --macs 40%
check "... says what to do" says '\-\-force'
cp once.onnx kept.onnx
check "... also with --force when the goal is out of reach" exits 1 prune a -o once.onnx --macs \
    0.1% --force
check "... it is as it was" cmp -s once.onnx kept.onnx
check "--force" exits 0 prune a -o once.onnx --parameters 3k --force --criterion lamp --scope local
check "... replaces it" sh -c '! cmp -s once.onnx kept.onnx'
check "... and it has 3000 parameters at most" awk -F'\t' \
    '$1 == "parameters" {exit !($3 <= 3000)}' out
for goal in "file-bytes 40%" "memory 95%" "channels 40"; do
    # shellcheck disable=SC2086
    check "--$goal" exits 0 prune a -o once.onnx --$goal --force
done

check "a tenth of each layer stays" exits 1 prune a -o tiny.onnx --parameters 1%
check "... unless more may go" exits 0 prune a -o tiny.onnx --parameters 1% --max-share 1

# ---- in steps ------------------------------------------------------------------------------------

# shellcheck disable=SC2086
{
    check "in steps" exits 0 prune a -o half.onnx --macs 50% $fast
    check "... tells its steps" [ "$(grep -c '^step' err)" -eq 2 ]
    check "... no carriage return on stderr" sh -c "! grep -q '$(printf '\r')' err"
    check "... the first line tells of time" sh -c "head -n 1 out | grep -qi 'time'"
    check "... with both controls" says '^from random weights .*[01]\.[0-9]' out
    check "... and the test set" says '^test set, [0-9]* pictures' out
    check "... prune.json is JSON" json half-run/prune.json
    check "... report.json is JSON" json half-run/report.json
    check "the smaller model predicts" exits 0 eval half.onnx a/test.csv
    check "... and is pruned again" exits 0 prune half.onnx -o quarter.onnx --macs 50% $fast -q \
        --no-controls --json
    check "... --json is JSON" json out
    check "... --quiet" [ ! -s err ]
    check "a split of its own" exits 0 prune a -o own.onnx --channels 60% $fast --data pictures \
        --by-group --distill 0.5 --augment light --protect 'conv1*' --depth also --no-controls
    check "milliseconds" exits 0 prune a -o fast.onnx --ms 70% $fast --no-controls
    check "floor only" exits 0 prune a -o least.onnx --accuracy-floor -99% $fast --step-epochs 0 \
        --no-controls
    "$tool" prune a -o high.onnx --macs 10% --accuracy-floor 100% $fast --no-controls >out 2>err
    check "accuracy below its floor: exit code 1" [ $? -eq 1 ]
    check "... says so" says 'THE GOAL WAS MISSED' out
    check "... leaves no model" [ ! -e high.onnx ]
}

# ---- going on ------------------------------------------------------------------------------------

long="--data a --batch 8 --macs 60% --steps 2 --step-epochs 40 --epochs 60 --images 32"
# shellcheck disable=SC2086
{
    check "whole run" exits 0 prune a -o whole.onnx $long
    "$tool" prune a -o killed.onnx $long >/dev/null 2>&1 &
    child=$!
    until_there killed-run/state.safetensors
    kill -9 $child 2>/dev/null
    wait $child 2>/dev/null
    check "killed before its end" [ ! -e killed.onnx ]
    check "goes on after kill -9" exits 0 prune a -o killed.onnx $long --threads 1
    check "... same model as the whole run" cmp -s whole.onnx killed.onnx
    "$tool" prune a -o stopped.onnx $long >/dev/null 2>err &
    child=$!
    until_there stopped-run/state.safetensors
    kill -TERM $child 2>/dev/null
    wait $child
    check "SIGTERM: exit code 143" [ $? -eq 143 ]
    check "... says how to go on" says '^edgevision prune a -o stopped.onnx --data a'
    check "report of an unfinished run: refused" exits 4 report stopped-run
    check "goes on after SIGTERM" exits 0 prune a -o stopped.onnx $long
    check "... same model as the whole run" cmp -s whole.onnx stopped.onnx
    check "a folder of another run: refused" exits 2 prune a -o other.onnx $fast --macs 50% \
        --run half-run --seed 7
    check "... says what to do" says 'another --run folder'
}
check "report" exits 0 report half-run -o page.html
check "... whole" says '^</html>' page.html
check "... needs no other file" sh -c "! grep -Eq '(src|href)=.?(http|[a-z]+/)' page.html"
check "plot" exits 0 plot half-run
check "... a line a step" [ "$(wc -l <half-run/plots/steps.csv)" -eq 4 ]

# ---- the ladder ----------------------------------------------------------------------------------

check "arch ladder" exits 0 arch ladder --arch Arch5 --size 64x64 --rungs 3 --save rungs
check "... four rungs" [ "$(wc -l <out)" -eq 5 ]
check "... each at most half of the one before" awk 'NR > 2 && $2 > last / 2 {bad = 1}
    {last = $2} END {exit bad}' out
check "... as files" exits 0 inspect rungs/rung03.onnx
check "... not twice" exits 2 arch ladder --arch Arch5 --rungs 3 --save rungs
check "arch ladder of a file" exits 0 arch ladder --model a --rungs 1 --ratio 0.7 --json
check "... is JSON" json out
check "arch ladder to its end" exits 1 arch ladder --model a --rungs 50
check "... shows what there is" says "^1$tab" out
exit $failed
