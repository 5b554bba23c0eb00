#!/bin/sh
# SPDX-License-Identifier: MIT
# The numbered examples run and say what they should.
# usage: test_numbered.sh FOLDER-WITH-THE-PROGRAMS
set -u
export LC_ALL=C
programs=$1
dir=$(mktemp -d "${TMPDIR:-/tmp}/numbered.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0

says() { # what, pattern: in the output of the last program
    if grep -q -e "$2" out; then echo "ok   $1"; else
        echo "FAIL $1"
        sed 's/^/     | /' out
        failed=1
    fi
}

start() { # code, program, arguments...
    want=$1 program=$2
    shift 2
    "$programs/$program" "$@" >out 2>&1
    code=$?
    [ $code -eq "$want" ] && return
    echo "FAIL $program: exit code $code"
    sed 's/^/     | /' out
    failed=1
}

start 0 01_tensor
says "01 shape" '^batch: float32 \[2,3,3,4\], 72 elements, 288 bytes$'
says "01 view" '^its first element: 36$'
says "01 error" '^a negative size: EV_ERR_.*, out pointer NULL$'
start 0 02_image
says "02 size" '^picture: 320x180$'
says "02 pixel" '^top left pixel: 0.569 -1.000 -1.000$'
says "02 camera" "^camera's grey:  0.502$"
start 0 02_image small.png
says "02 reads what it wrote" '^picture: 96x96$'
start 0 05_split
says "05 cap" '^capped    300 pictures:  empty 100'
says "05 leaks" 'both sides of train and test: [1-9]'
says "05 no leaks" 'both sides of train and test: 0$'
start 2 03_classify
if [ -x "$programs/04_train" ]; then
    start 0 04_train
    says "04 learns" '^test accuracy \(9[5-9]\|100\).*98 parameters'
    start 0 06_prune
    says "06 groups" 'an output of the model$'
    says "06 steps" '^step 3 of 3: '
    says "06 has the controls" '^by chance .*[01]\.[0-9]'
    says "06 is smaller" '^multiply-adds .* 0\.2[0-5][0-9]*$'
    says "06 still knows" 'test accuracy .* \(9[0-9]\|100\)[.0-9]* % after'
    start 0 07_tune
    says "07 tries" '^rate 0.001 *dropout 0 .*validation accuracy'
    says "07 keeps the best" '  best$'
    says "07 judges once" '^96 pictures, \(9[0-9]\|100\)'
    start 0 08_cyclegan
    says "08 knows its need" '^training needs [0-9.]* MB$'
    says "08 trains to the end" '^epoch 12  D_A 0\.[0-9]* G_A .* idt_B 0\.[0-9]*$'
    says "08 makes day of night" '^brightness .* [45][0-9] by night, 1[0-9][0-9] carried into day$'
    start 0 02_image sheet.png
    says "08 draws a sheet" '^picture: 134x270$'
    start 0 03_classify bars.onnx small.png
    says "03 classifies" '^small.png: \(standing\|lying\) (class [01], logit'
fi
exit $failed
