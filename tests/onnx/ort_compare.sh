#!/bin/sh
# SPDX-License-Identifier: MIT
# Saved models (drawn ones, and the ONNX backend cases saved by us) in ONNX Runtime:
# sh ort_compare.sh PATH-OF-ort_dump
# Needs node and the npm package onnxruntime-node: in $EV_ORT_MODULES (a folder with node_modules),
# or fetched by npm into a folder of its own.  Exit status 77 (skipped) without them.
dump=$1
here=$(cd "$(dirname "$0")" && pwd)
command -v node >/dev/null 2>&1 || { echo "SKIPPED: no node"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
modules=${EV_ORT_MODULES:-}
if [ -z "$modules" ]; then
    modules=$work/ort
    mkdir "$modules"
    command -v npm >/dev/null 2>&1 || { echo "SKIPPED: no npm"; exit 77; }
    (cd "$modules" && npm i --silent --ignore-scripts onnxruntime-node >npm.log 2>&1) ||
        { echo "SKIPPED: npm cannot fetch onnxruntime-node"; exit 77; }
fi
NODE_PATH=$modules/node_modules node -e 'require("onnxruntime-node")' 2>/dev/null ||
    { echo "SKIPPED: onnxruntime-node does not load"; exit 77; }
status=0
mkdir "$work/models" "$work/cases"
"$dump" "$work/models" || exit 1
NODE_PATH=$modules/node_modules node "$here/ort_compare.js" "$work/models" || status=1
cases=${EV_TESTDATA:-$here/../../../shared/testdata}/onnx-node
if [ -d "$cases" ]; then
    "$dump" "$work/cases" "$cases" || exit 1
    NODE_PATH=$modules/node_modules node "$here/ort_compare.js" "$work/cases" 2>/dev/null \
        >"$work/cases.txt" || status=1
    grep -v ^passed "$work/cases.txt"
fi
exit $status
