#!/bin/sh
# SPDX-License-Identifier: MIT
# 09_paper: both questions are answered, and the pictures that it draws behave as the paper's.
# usage: test_paper.sh PATH-TO-09_paper
set -u
export LC_ALL=C
dir=$(mktemp -d "${TMPDIR:-/tmp}/paper.XXXXXX") || exit 1
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1
failed=0

says() { # what, pattern
    if grep -q -e "$2" out; then echo "ok   $1"; else
        echo "FAIL $1"
        sed 's/^/     | /' out
        failed=1
    fi
}

"$1" >out 2>&1 || failed=1
says "cap" '^A-E  480 pictures by day, 4[0-9]* after the cap'
says "ladder" '^G    Arch1  *2343 parameters  validation'
says "choice" '^RQ1  chosen: Arch[1-4], test \(9[0-9]\|100\)'
says "pruned" '^RQ1  pruned: [0-9]* parameters, .* test \(9[0-9]\|100\)'
says "by day nothing is empty but what is" '^RQ2  empty  *day *\(9[0-9]\|100\)'
says "people made up are told" '^RQ2  something seen in [0-9]* of 48 empty pictures'
says "routed" '^RQ2  routed, night '
if awk '/^RQ2  in all/ { found = 1; exit !($11 > $8 + 20) } END { if (!found) exit 1 }' out; then
    echo "ok   translation helps"
else
    echo "FAIL translation helps"
    cat out
    failed=1
fi
[ -s classifier.onnx ] && [ -s night_to_day.onnx ] || failed=1
"$1" nowhere nowhere >out 2>&1 && failed=1
says "no such folder" 'EV_ERR'
exit $failed
