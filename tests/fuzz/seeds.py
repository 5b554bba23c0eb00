#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Files of random bytes, for the fuzzers of calls to begin with: python3 seeds.py FILE..."""
import random
import sys

random.seed(7)
for name in sys.argv[1:]:
    with open(name, 'wb') as f:
        f.write(bytes(random.randrange(256) for _ in range(1500)))
