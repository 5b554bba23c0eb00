#!/bin/sh
# SPDX-License-Identifier: MIT
# dump.sh LIBRARY.so OUT: the interface as a file that abidiff compares.
# LIBRARY.so must have debug information (-Dbuildtype=debugoptimized).
set -eu
headers=$(cd "$(dirname "$0")/../../include" && pwd)
exec abidw --headers-dir "$headers" --no-corpus-path --no-comp-dir-path --no-show-locs \
    --drop-private-types --exported-interfaces-only \
    --out-file "$2" "$1"
