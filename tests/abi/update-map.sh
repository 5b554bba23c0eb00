#!/bin/sh
# SPDX-License-Identifier: MIT
# Write lib/edgevision.map anew from the headers; run it after adding a public function.
exec python3 "$(dirname "$0")/abi.py" map
