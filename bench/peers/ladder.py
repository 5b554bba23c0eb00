# SPDX-License-Identifier: MIT
"""Filters of each block and hidden dense layers, as `edgevision arch show` prints them."""
LADDER = {  # filters of each block, hidden dense layers; as edgevision arch show prints them
    1: ([[4], [4]], [8]), 2: ([[8], [16], [16]], [16]), 3: ([[16], [16], [16]], [32]),
    4: ([[16], [32], [32], [32]], [128]), 5: ([[16], [32], [56], [56]], [128]),
    6: ([[16], [32], [56], [56]], [256]), 7: ([[16], [32], [56], [112]], [256]),
    8: ([[16] * 2, [32] * 2, [64] * 2, [128] * 2], [512]),
    11: ([[64] * 2, [128] * 2, [256] * 3, [512] * 3, [512] * 3], [4096, 4096]),
}
