#!/bin/sh
# SPDX-License-Identifier: MIT
# All benchmarks: ours and the peers in turn, tables, plots.
#   sh bench/run.sh [--quick] [--rows PATTERN] [--pairs N] [--threads 1,2] [--out FOLDER] [--again]
#                   [--list] [--report] [--docs] [BUILD]
# --rows    a regular expression of row names, as --list shows them: infer.arch5, 'train|cyclegan'
# --quick   two pairs of short runs, to see that everything works
# --again   also rows that are done; without it a run goes on where the last one ended
# --report  no runs: table and plots of what is there
# --docs    at the end put table and plots into docs/performance.md
# Peers: node with onnxruntime-node (NODE_PATH), and a python3 with torch (EV_PYTHON, python3 or
# /usr/bin/python3).  Rows of peers that are not there are told as skipped.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export OPENBLAS_CORETYPE="${OPENBLAS_CORETYPE:-SkylakeX}"
exec python3 "$here/run.py" "$@"
