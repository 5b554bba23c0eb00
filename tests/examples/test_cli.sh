#!/bin/sh
# SPDX-License-Identifier: MIT
# The command-line tool: help, exit codes, a small training from pictures to report, resuming after
# kill -9 and Ctrl-C, predictions from files and from stdin, JSON, quiet stderr.
# usage: test_cli.sh PATH-TO-edgevision PATH-TO-ev-underpass-render
set -u
export LC_ALL=C
tool=$1
render=$2
here=$(cd "$(dirname "$0")" && pwd) || exit 1
. "$here/cli.sh"
dir=$(mktemp -d "${TMPDIR:-/tmp}/edgevision.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
failed=0
tab=$(printf '\t')
cd "$dir" || exit 1

json() { # each line of the file is a JSON text (when python3 is there to tell)
    command -v python3 >/dev/null || return 0
    python3 -c 'import json, sys
text = open(sys.argv[1]).read()
try:
    json.loads(text)
except ValueError:
    for line in text.splitlines():
        json.loads(line)' "$1"
}

# ---- help and usage ------------------------------------------------------------------------------

for verb in data frames arch train sweep tune prune gan eval predict inspect bench report plot \
    version; do
    check "$verb --help" exits 0 $verb --help
    check "$verb --help says usage" says "^usage: edgevision $verb" out
    check "help $verb is the same" sh -c "'$tool' help $verb | cmp -s - out"
done
check "help" exits 0 help
check "no verb" exits 2
check "unknown verb" exits 2 trian
check "... suggests the nearest" says 'did you mean train?'
check "unknown option" exits 2 train x --ach Arch1
check "... suggests the nearest" says 'did you mean --arch?'
check "value missing" exits 2 train x -o
check "value out of range" exits 2 train x -o y --dropout 1.5
check "... says the range" says '0..0.99'
check "no number" exits 2 train x -o y --epochs many
check "bad choice" exits 2 train x -o y --optimizer magic
check "bad size" exits 2 train x -o y --size 96by96
check "bad list" exits 2 train x -o y --split 64,,20
check "no DATA" exits 2 train -o y
check "no RUN" exits 2 train x
check "data: unknown verb" exits 2 data sacn x
check "data that is not there" exits 6 data stats nowhere
check "model that is not there" exits 6 inspect nowhere.onnx
echo nonsense >bad.onnx
check "model that is none" exits 4 inspect bad.onnx
: >empty.csv
check "manifest without a header" exits 3 data stats empty.csv
mkdir -p nothing
check "folder without pictures" exits 3 data stats nothing
check "run that is none" exits 4 report nothing
check "resume of nothing" exits 4 train --resume nothing
check "unwritable folder" exits 6 frames bad.onnx -o bad.onnx/x
[ ! -w /dev/full ] || check "full stdout" sh -c "'$tool' arch list >/dev/full 2>err; [ \$? -eq 6 ]"

# ---- nets ----------------------------------------------------------------------------------------

check "arch list" exits 0 arch list
check "... has eleven rows" [ "$(grep -c '^Arch' out)" -eq 11 ]
check "... Arch5 to the digit" says "Arch5${tab}1.5 M${tab}1455124" out
check "... Arch11 to the digit" says "Arch11${tab}134 M${tab}134276932" out
check "arch list --json" exits 0 arch list --json
check "... is JSON" json out
check "arch show" exits 0 arch show Arch1 --size 32x32
check "arch show --dot" exits 0 arch show Arch1 --dot
check "... is a graph" says '^digraph' out
check "arch show of nothing" exits 2 arch show Arch12

# ---- data ----------------------------------------------------------------------------------------

"$render" --quiet --out pictures --exact --layout classes --size 48x32 --threads 2 --seed 3 \
    --counts dog=12,pedestrian=30,bicyclist=20,empty=40 || exit 1
check "data stats" exits 0 data stats pictures
check "... counts" says "all${tab}102" out
check "data stats --json" exits 0 data stats pictures --json
check "... is JSON" json out
check "data scan" exits 0 data scan pictures -o all.csv
check "... header" [ "$(head -n 1 all.csv | cut -c1-10)" = "path,label" ]
check "data cap" exits 0 data cap pictures --class empty -o capped.csv
check "... caps at the largest other" [ "$(grep -c ',empty,' capped.csv)" -eq 30 ]
check "data split by group" exits 0 data split all.csv --by-group -o parts --subset 50 -q
check "... loses nothing" [ \
    "$(cat parts/train.csv parts/valid.csv parts/test.csv | wc -l)" -eq 105 ]
check "data leaks: none" exits 0 data leaks parts/train.csv parts/test.csv
"$tool" data leaks parts/train.csv parts/train.csv >out 2>err
check "data leaks: exit code 1 when there are some" [ $? -eq 1 ]

# ---- training ------------------------------------------------------------------------------------

small="--arch Arch1 --size 32x32 --batch 8 --patience 0 --augment light --dropout 0.2"
# shellcheck disable=SC2086
{
    check "train" exits 0 train pictures -o a $small --epochs 2
    check "... a line an epoch" [ "$(grep -c '^epoch' err)" -eq 2 ]
    check "... no carriage return on stderr" sh -c "! grep -q '$(printf '\r')' err"
    check "again in the same folder: refused" exits 2 train pictures -o a $small
}
for file in run.json history.csv model.onnx train.csv valid.csv test.csv predictions.csv \
    confusion.csv checkpoints/last.safetensors plots/loss.gp; do
    check "... $file" [ -s "a/$file" ]
done
check "run.json is JSON" json a/run.json
check "run.json holds the defaults" says '"lr": 0.001' a/run.json
check "history has a line an epoch" [ "$(wc -l <a/history.csv)" -eq 3 ]
check "predictions: a line a test picture" [ \
    "$(wc -l <a/predictions.csv)" -eq "$(wc -l <a/test.csv)" ]

# shellcheck disable=SC2086
{
    "$tool" train pictures -o b $small --epochs 2 --threads 1 -q >/dev/null 2>err
    check "one thread, same bytes" cmp -s a/model.onnx b/model.onnx
    check "--quiet" [ ! -s err ]
    check "whole run" exits 0 train pictures -o whole $small --epochs 120
    "$tool" train pictures -o killed $small --epochs 120 >/dev/null 2>&1 &
    child=$!
    while [ ! -s killed/history.csv ] && kill -0 $child 2>/dev/null; do sleep 0.02; done
    kill -9 $child 2>/dev/null
    wait $child 2>/dev/null
    check "killed before its end" [ ! -f killed/model.onnx ]
    check "resume after kill -9" exits 0 train --resume killed
    check "... same model as the whole run" cmp -s whole/model.onnx killed/model.onnx
    "$tool" train pictures -o stopped $small --epochs 120 >/dev/null 2>err &
    child=$!
    while [ ! -s stopped/history.csv ] && kill -0 $child 2>/dev/null; do sleep 0.02; done
    kill -TERM $child 2>/dev/null
    wait $child
    check "SIGTERM: exit code 143" [ $? -eq 143 ]
    check "... says how to go on" says 'train --resume stopped'
    check "... run.json says stopped" says '"state": "stopped"' stopped/run.json
    check "report of an unfinished run: refused" exits 4 report stopped
    check "resume after SIGTERM" exits 0 train --resume stopped --json
    check "... is JSON" json out
    check "... same model as the whole run" cmp -s whole/model.onnx stopped/model.onnx
}

# ---- using the model -----------------------------------------------------------------------------

check "eval" exits 0 eval a a/test.csv
check "... all pictures" says "^all${tab}20" out
check "eval --json" exits 0 eval a/model.onnx a/test.csv --json -o judged
check "... is JSON" json out
check "... wrote its files" cmp -s judged/confusion.csv a/confusion.csv
check "eval --by" exits 0 eval a a/test.csv --by group --json
check "... is JSON" json out
check "eval --by nothing" exits 2 eval a a/test.csv --by colour
check "eval: goal not met" exits 1 eval a a/test.csv --min-accuracy 1
first=$(sed -n '2s/,.*//p' a/predictions.csv)
check "predict" exits 0 predict a "$first"
check "... header and a line" [ "$(wc -l <out)" -eq 2 ]
check "... as predictions.csv says" [ "$(sed -n 2p out | cut -f 2)" = \
    "$(sed -n 2p a/predictions.csv | cut -d, -f3)" ]
cut -f 2- out >from_file
check "predict --json" exits 0 predict a "$first" --json
check "... is JSON" json out
"$tool" predict a - <"$first" 2>err | cut -f 2- >from_stdin
check "predict from stdin equals predict from the file" cmp -s from_file from_stdin
"$render" --quiet --raw --counts empty=6,pedestrian=6 --size 48x32 --seed 9 >frames.rgb
size=$((48 * 32 * 3))
n=$(($(wc -c <frames.rgb) / size))
[ $n -gt 5 ] && n=5
i=0
files=
while [ $i -lt $n ]; do
    { printf 'P6\n48 32\n255\n' && dd if=frames.rgb bs=$size skip=$i count=1 2>/dev/null; } >f$i.ppm
    files="$files f$i.ppm"
    i=$((i + 1))
done
# shellcheck disable=SC2086
"$tool" predict a $files 2>err | cut -f 2- >from_file
"$tool" predict a - --raw 48x32 --format rgb24 --limit $n <frames.rgb 2>err | cut -f 2- >from_stdin
check "raw frames on stdin equal files" cmp -s from_file from_stdin
head -c 100 frames.rgb >half.rgb
check "half a frame" sh -c "'$tool' predict a - --raw 48x32 <half.rgb >out 2>err; [ \$? -eq 3 ]"
check "picture that is none" exits 3 predict a bad.onnx
check "picture that is not there" exits 6 predict a nowhere.jpg
check "--skip-unreadable" exits 0 predict a bad.onnx "$first" --skip-unreadable
check "inspect" exits 0 inspect a
check "... classes" says 'bicyclist, dog_walker, empty, pedestrian' out
check "inspect --json" exits 0 inspect a/model.onnx --json
check "... is JSON" json out
check "bench" exits 0 bench a --runs 3 --threads 1,2 --batch 1,4
check "... memory as foretold" awk -F'\t' 'NR > 1 && $8 != $9 {bad = 1} END {exit bad}' out
check "bench --json --profile" exits 0 bench a --runs 3 --json --profile
check "... is JSON" json out
check "bench --profile" exits 0 bench a --runs 3 --profile
check "... names kernels and the peak" says 'measured peak' out
check "bench: goal not met" exits 1 bench a --runs 3 --max-ms 0.000001
check "report" exits 0 report a -o page.html
check "... whole" says '^</html>' page.html
check "... needs no other file" sh -c "! grep -Eq '(src|href)=.?(http|[a-z]+/)' page.html"
if command -v ffmpeg >/dev/null; then
    ffmpeg -loglevel error -f rawvideo -pix_fmt rgb24 -s 48x32 -r 2 -i frames.rgb clip.mkv
    check "frames" exits 0 frames clip.mkv --fps 1 -o clip --format png
    check "... makes pictures" [ -s clip/clip.mkv_00001.png ]
fi
check "version --json" exits 0 version --json
check "... is JSON" json out
exit $failed
