#!/bin/sh
# SPDX-License-Identifier: MIT
# Store the interface of LIBRARY.so (built with -Dbuildtype=debugoptimized) as the one to keep.
# Do this when a release is made, or after a change that docs/api-stability.md allows.
set -eu
here=$(dirname "$0")
sh "$here/dump.sh" "$1" "$here/edgevision.abi"
