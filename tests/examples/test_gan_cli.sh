#!/bin/sh
# SPDX-License-Identifier: MIT
# The verb gan: what its training leaves, runs that go on after kill -9 and SIGTERM to the same
# bytes, pictures carried over in all ways, sheets, the choice of an epoch, what is refused and how.
# usage: test_gan_cli.sh PATH-TO-edgevision PATH-TO-ev-underpass-render
set -u
export LC_ALL=C
tool=$1
render=$2
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/cli.sh"
dir=$(mktemp -d "${TMPDIR:-/tmp}/gan.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0
tab=$(printf '\t')
cd "$dir" || exit 1

count() { find "$1" -type f | wc -l; } # files in a folder

for domain in day night; do
    "$render" --quiet --out $domain --domain $domain --exact --size 32x32 --threads 2 --seed 3 \
        --layout classes --counts dog=4,pedestrian=6,bicyclist=4,empty=6 || exit 1
done
mkdir flat
cp night/empty/*.jpg flat
net="--size 32x32 --width 4 --blocks 1 --d-width 4 --layers 2"

# ---- training ------------------------------------------------------------------------------------

# shellcheck disable=SC2086
{
    check "train" exits 0 gan train night day -o a $net --epochs 3 --keep 2 --log-steps 5
    check "... tells memory and parameters" says 'parameters in four networks; training needs'
    check "... tells the time" says 'about .* left'
    check "... a line an epoch" [ "$(grep -c '^epoch' err)" -eq 3 ]
    check "... with the eight losses" says \
        '^epoch 1/3  D_A .* G_A .* cycle_A .* idt_A .* D_B .* G_B .* cycle_B .* idt_B'
    check "... no carriage return on stderr" sh -c "! grep -q '$(printf '\r')' err"
    check "... the last losses on stdout" says "^cycle_A${tab}[0-9]" out
    check "... losses.csv" [ "$(wc -l <a/losses.csv)" -eq 4 ]
    check "... its header" says \
        '^epoch,step,D_A,G_A,cycle_A,idt_A,D_B,G_B,cycle_B,idt_B,lr,seconds$' a/losses.csv
    check "... steps.csv" [ "$(wc -l <a/steps.csv)" -eq 13 ]
    check "... run.json is JSON" json a/run.json
    check "... both generators" [ -s a/G_A.onnx ] && [ -s a/G_B.onnx ]
    check "... those of epochs 2 and 3" [ "$(cd a/epochs && echo ./*)" = \
        "./G_A-002.onnx ./G_A-003.onnx ./G_B-002.onnx ./G_B-003.onnx" ]
    check "... a sheet an epoch" [ "$(count a/grids)" -eq 3 ]
    check "... a page" says '^</html>' a/index.html
    check "... with the newest sheet first" [ "$(grep -o 'epoch-00.' a/index.html | head -n 1)" = \
        epoch-003 ]
    check "... that needs nothing from elsewhere" sh -c \
        "! grep -Eq '(src|href)=.?http' a/index.html"
    cp a/G_A.onnx before.onnx
    check "the same command once more" exits 0 gan train night day -o a $net --epochs 3 --keep 2 \
        --log-steps 5 --json
    check "... finds it finished" says 'finished already'
    check "... --json is JSON" json out
    check "... changes nothing" cmp -s before.onnx a/G_A.onnx
    check "... adds no line" [ "$(wc -l <a/losses.csv)" -eq 4 ]
    check "another option: refused" exits 2 gan train night day -o a $net --epochs 4 --keep 2
    check "... says which" says 'a run with --epochs 3, not 4'
    check "other pictures: refused" exits 2 gan train day night -o a $net --epochs 3
    check "a folder without classes" exits 0 gan train flat day/truth.csv -o b $net --epochs 1 -q \
        --keep 0 --samples 0 --log-steps 0 --separable --load-size 40x36 --steps-per-epoch 4 \
        --batch 2 --affine --upsample resize --no-flip --decay-epochs 0 --identity 0 --pool 0
    check "... --quiet" [ ! -s err ]
    check "... --keep 0: the last only" [ "$(count b/epochs)" -eq 0 ]
    check "... no loss where there is no weight" says "^idt_A${tab}0$" out
    check "the authors' recipe" exits 0 gan train flat day -o authors --authors --size 32x32 \
        --width 4 --blocks 1 --d-width 4 --epochs 1 --steps-per-epoch 3 -q
}

# ---- what is refused -----------------------------------------------------------------------------

# shellcheck disable=SC2086
{
    mkdir none
    check "no such verb" exits 2 gan trian
    check "... did you mean" says 'did you mean train'
    check "gan --help" exits 0 gan --help
    check "one set" exits 2 gan train night -o x $net
    check "no RUN" exits 2 gan train night day $net
    check "no such folder" exits 3 gan train nowhere day -o x $net
    check "a folder without pictures" exits 3 gan train none day -o x $net
    check "... names it" says 'none'
    check "size not divisible by 4" exits 2 gan train night day -o x --size 30x30
    check "... says so" says 'divisible by 4'
    check "memory that is none" exits 2 gan train night day -o x $net --max-memory lots
    check "too little memory" exits 5 gan train night day -o x $net --max-memory 100k
    check "... leaves no run behind" [ ! -e x/run.json ]
    check "a classifier that is none" exits 6 gan train night day -o x $net --classifier nowhere
    check "... a generator is none either" exits 2 gan train night day -o x $net --classifier \
        a/G_A.onnx
    check "resume of no run" exits 4 gan train --resume none
    check "apply without a generator" exits 2 gan apply -i flat -o x
    check "apply from nowhere" exits 3 gan apply -i nowhere -o x -r a
    check "apply onto the pictures themselves" exits 2 gan apply -i flat -o flat -r a
    check "grid of no run" exits 4 gan grid none
    check "select without a classifier" exits 2 gan select a
    check "a classifier as generator" exits 4 gan apply -i flat -o x -m a/run.json
}

# ---- going on ------------------------------------------------------------------------------------

# shellcheck disable=SC2086
{
    long="$net --epochs 30 --keep 15 --checkpoint-steps 7 -q"
    check "whole run" exits 0 gan train night day -o whole $long
    "$tool" gan train night day -o killed $long >/dev/null 2>&1 &
    child=$!
    until_there killed/steps.csv
    kill -9 $child 2>/dev/null
    wait $child 2>/dev/null
    check "killed before its end" says '"running"' killed/run.json
    "$tool" gan train --resume killed -q --threads 1 >/dev/null 2>&1 &
    child=$!
    sleep 0.3
    kill -9 $child 2>/dev/null
    wait $child 2>/dev/null
    check "goes on after kill -9 twice" exits 0 gan train --resume killed --threads 1 -q
    "$tool" gan train night day -o stopped $long >/dev/null 2>err &
    child=$!
    until_there stopped/steps.csv
    kill -TERM $child 2>/dev/null
    wait $child
    check "SIGTERM: exit code 143" [ $? -eq 143 ]
    check "... says how to go on" says 'gan train --resume stopped'
    check "goes on after SIGTERM" exits 0 gan train night day -o stopped $long
    for run in killed stopped; do
        check "... $run: the same generators" cmp -s whole/G_A.onnx $run/G_A.onnx
        check "... the same state" cmp -s whole/state.safetensors $run/state.safetensors
        check "... generators of epochs" cmp -s whole/epochs/G_B-015.onnx $run/epochs/G_B-015.onnx
        check "... every epoch has its line" [ "$(wc -l <$run/losses.csv)" -eq 31 ]
        check "... and its sheet" [ "$(count $run/grids)" -eq 30 ]
    done
}

# ---- carry over ----------------------------------------------------------------------------------

photo=$(find flat -name '*.jpg' | sort | head -n 1)
"$render" --quiet --out big --exact --size 90x50 --counts empty=1 >/dev/null || exit 1
big=$(find big -name '*.jpg' | head -n 1)
check "apply: a picture" exits 0 gan apply -i "$photo" -o one.png -r a --json
check "... --json is JSON" json out
check "... with milliseconds" says '"ms": [0-9]' out
check "... the same by the file of the generator" exits 0 gan apply -i "$photo" -o two.png -m \
    a/G_A.onnx -q --threads 1
check "... to the byte" cmp -s one.png two.png
check "the other direction" exits 0 gan apply -i "$photo" -o two.png -r a --direction B2A -q
check "... is another one" sh -c '! cmp -s one.png two.png'
check "a picture of any size" exits 0 gan apply -i "$big" -o big.ppm -r a
check "... has that size" sh -c 'head -n 3 big.ppm | tr "\n" " " | grep -q "90 50"'
check "--fit model" exits 0 gan apply -i "$big" -o big.ppm -r a --fit model
check "... has the generator's" sh -c 'head -n 3 big.ppm | tr "\n" " " | grep -q "32 32"'
check "--fit back" exits 0 gan apply -i "$big" -o big.ppm -r a --fit back
check "... as it was" sh -c 'head -n 3 big.ppm | tr "\n" " " | grep -q "90 50"'
check "tiles" exits 0 gan apply -i "$big" -o big.ppm -r a --tile 32 --overlap 8
check "folder" exits 0 gan apply -i flat -o carried -r a
check "... the same names" [ "$(cd carried && echo ./*)" = "$(cd flat && echo ./*)" ]
check "folder with labels" exits 0 gan apply -i night -o n2d -r a -q
check "... come along" [ "$(wc -l <n2d/manifest.csv)" -eq 21 ]
check "... below the same folders" [ "$(count n2d/empty)" -eq 6 ]
dd if=/dev/urandom of=frames.rgb bs=4608 count=3 2>/dev/null # 48x32
"$tool" gan apply -m a/G_A.onnx --raw 48x32 <frames.rgb >carried.rgb 2>err
check "raw frames" [ "$(wc -c <carried.rgb)" -eq 13824 ]
"$tool" gan apply -m a/G_A.onnx --raw 48x30 <frames.rgb >carried.rgb 2>err
check "a torn frame: exit code 3" [ $? -eq 3 ]
check "... says so" says 'the last frame has'

# ---- sheets and the choice of an epoch -----------------------------------------------------------

check "grid" exits 0 gan grid a --rows 3
check "... a PNG" says 'PNG' a/sheet.png
check "grid of two generators" exits 0 gan grid --g-a a/G_A.onnx --g-b a/G_B.onnx --a flat -o s.jpg
"$tool" train day -o class --size 32x32 --arch Arch2 --batch 4 --epochs 2 -q >/dev/null || exit 1
"$tool" gan select a --by class --data night >out 2>err
check "select by labels: exit code 0 or 1" [ $? -le 1 ]
check "... no translation, two epochs" [ "$(grep -c "^none$tab\|^2$tab\|^3$tab" out)" -eq 3 ]
check "... classes, invented and vanished" says 'pedestrian.invented.vanished' out
check "... select.csv" [ "$(wc -l <a/select.csv)" -eq 4 ]
check "... the best copied" [ -s a/best.onnx ]
check "... a script for gnuplot" says 'select.csv' a/plots/select.gp
check "select without labels" exits 0 gan select a --by class/model.onnx --json --pictures 10
check "... says that it is a hint" says 'A hint'
check "... --json is JSON" json out
check "no such empty class" exits 2 gan select a --by class --data night --empty nothing
# shellcheck disable=SC2086
check "a classifier that watches" exits 0 gan train night day -o watched $net --epochs 1 \
    --classifier class --class-weight 0.5 --class-labels both -q
check "... ten losses" says 'class_A,class_B' watched/losses.csv
check "... is that of select" exits 0 gan select watched -q
exit $failed
