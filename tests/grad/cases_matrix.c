/* SPDX-License-Identifier: MIT */
#include "grad.h"

static void draw_dense(one_step *o, uint64_t *r, int32_t index)
{
    int64_t n = pick(r, 1, 7), k = pick(r, 1, 20), m = pick(r, 1, 19);
    bool plain = index % 2 == 0;
    o->a.trans_b = plain || index % 4 == 1;
    o->a.trans_a = !plain && index % 3 == 0;
    if (!plain) {
        o->a.alpha = 0.75f;
        o->a.beta = 1.5f;
    } else if (index % 4 == 0) {
        o->a.alpha = o->a.beta = 1;
    }
    one_real(o, 2, o->a.trans_a ? (int64_t[]){k, n} : (int64_t[]){n, k});
    one_real(o, 2, o->a.trans_b ? (int64_t[]){m, k} : (int64_t[]){k, m});
    switch (plain ? index % 4 : index % 6) {
    case 0: break;
    case 1: one_real(o, 2, (int64_t[]){n, 1}); break;
    case 3: one_real(o, 2, (int64_t[]){n, m}); break;
    case 5: one_real(o, 0, NULL); break;
    default: one_real(o, 1, &m); break;
    }
}

static void draw_matmul(one_step *o, uint64_t *r, int32_t index)
{
    int64_t m = pick(r, 1, 6), k = pick(r, 1, 9), n = pick(r, 1, 7);
    int64_t p = pick(r, 1, 3), q = pick(r, 1, 3);
    switch (index % 8) {
    case 0:
        one_real(o, 2, (int64_t[]){m, k});
        one_real(o, 2, (int64_t[]){k, n});
        break;
    case 1:
        one_real(o, 3, (int64_t[]){p, m, k});
        one_real(o, 2, (int64_t[]){k, n});
        break;
    case 2:
        one_real(o, 4, (int64_t[]){p, q, m, k});
        one_real(o, 4, (int64_t[]){p, q, k, n});
        break;
    case 3:
        one_real(o, 4, (int64_t[]){p, 1, m, k});
        one_real(o, 3, (int64_t[]){q, k, n});
        break;
    case 4:
        one_real(o, 2, (int64_t[]){m, k});
        one_real(o, 3, (int64_t[]){p, k, n});
        break;
    case 5:
        one_real(o, 1, &k);
        one_real(o, 3, (int64_t[]){p, k, n});
        break;
    case 6:
        one_real(o, 3, (int64_t[]){p, m, k});
        one_real(o, 1, &k);
        break;
    default:
        one_real(o, 1, &k);
        one_real(o, 1, &k);
        break;
    }
}

const grad_case grad_matrix_cases[] = {{"dense", 0, draw_dense}, {"matmul", 0, draw_matmul}, {0}};
