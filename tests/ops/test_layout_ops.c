/* SPDX-License-Identifier: MIT */
/* Operations that move elements about, against the formula of each output element. */
#include "plain.h"

#include <math.h>

static int32_t axis_sign(uint64_t *r, int32_t axis, int32_t rank)
{
    return t_random_int(r, 0, 1) ? axis : axis - rank;
}

static void shuffle(uint64_t *r, int32_t n, int64_t *v)
{
    for (int32_t d = 0; d < n; d++)
        v[d] = d;
    for (int32_t d = n - 1; d > 0; d--) {
        int32_t e = t_random_int(r, 0, d);
        int64_t kept = v[d];
        v[d] = v[e];
        v[e] = kept;
    }
}

static void check_transpose(evi_shape x, int32_t type, const int64_t *perm, uint64_t *r)
{
    one_step o;
    one_start(&o, "transpose");
    one_input(&o, type, x.rank, x.dim);
    o.a.list = list_of(x.rank, perm);
    run_one(&o, r, NULL);
    for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
        int64_t to[EV_MAX_RANK], from[EV_MAX_RANK];
        unravel(&o.out_edge[0].shape, i, to);
        for (int32_t d = 0; d < x.rank; d++)
            from[perm[d]] = to[d];
        expect(&o, i, in_number(&o, 0, ravel(&x, from, x.rank)), 0);
    }
    one_end(&o);
}

START_TEST(test_transpose)
{
    uint64_t r = 21;
    int64_t perm[EV_MAX_RANK];
    for (int32_t k = 0; k < 1000; k++) {
        evi_shape x = random_shape(&r, 0, 5, 6);
        shuffle(&r, x.rank, perm);
        check_transpose(x, random_type(&r), perm, &r);
    }
    static const int64_t sizes[][3] = {{3, 65, 301}, {1, 200, 17}, {40, 3, 900}, {2, 1000, 33}};
    for (int32_t k = 0; k < 24; k++) {
        shuffle(&r, 3, perm);
        check_transpose(shape_of(3, sizes[k % 4]), EV_TYPE_FLOAT32, perm, &r);
    }
}
END_TEST

/* ---- slice ---------------------------------------------------------------------------------- */

/* Python's slice, element by element. */
static int64_t python_slice(int64_t n, int64_t start, int64_t end, int64_t step, int64_t *taken)
{
    int64_t count = 0;
    start = start < 0 ? start + n : start;
    end = end < 0 ? end + n : end;
    if (step > 0) {
        for (int64_t i = start < 0 ? 0 : start; i < end && i < n; i += step)
            taken[count++] = i;
    } else {
        for (int64_t i = start >= n ? n - 1 : start; i > end && i >= 0; i += step)
            taken[count++] = i;
    }
    return count;
}

START_TEST(test_slice)
{
    uint64_t r = 22;
    for (int32_t k = 0; k < 2000; k++) {
        one_step o;
        evi_shape x = random_shape(&r, 1, 4, 7);
        int64_t taken[4][8], starts[4], ends[4], steps[4], axes[4], order[4];
        int32_t n = t_random_int(&r, 1, x.rank);
        one_start(&o, "slice");
        one_input(&o, random_type(&r), x.rank, x.dim);
        for (int32_t d = 0; d < x.rank; d++)
            python_slice(x.dim[d], 0, 100, 1, taken[d]);
        shuffle(&r, x.rank, order);
        evi_shape want = x;
        for (int32_t i = 0; i < n; i++) {
            int32_t axis = (int32_t)order[i];
            starts[i] = t_random_int(&r, -9, 9);
            ends[i] = t_random_int(&r, 0, 4) ? t_random_int(&r, -9, 9) : INT64_MIN;
            steps[i] = t_random_int(&r, 1, 3) * (t_random_int(&r, 0, 1) ? 1 : -1);
            axes[i] = axis_sign(&r, axis, x.rank);
            int64_t end = ends[i] == INT64_MIN ? -1000 : ends[i];
            want.dim[axis] = python_slice(x.dim[axis], starts[i], end, steps[i], taken[axis]);
        }
        o.a.list = list_of(n, starts);
        o.a.list2 = list_of(n, ends);
        o.a.list3 = list_of(n, axes);
        o.a.list4 = list_of(n, steps);
        run_one(&o, &r, NULL);
        ck_assert(evi_shape_equal(&want, &o.out_edge[0].shape));
        for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
            int64_t index[EV_MAX_RANK];
            unravel(&want, i, index);
            for (int32_t d = 0; d < x.rank; d++)
                index[d] = taken[d][index[d]];
            expect(&o, i, in_number(&o, 0, ravel(&x, index, x.rank)), 0);
        }
        one_end(&o);
    }
}
END_TEST

/* ---- pad ------------------------------------------------------------------------------------ */

/* By walking one step at a time: slow, but plainly the meaning. */
static int64_t pad_source(int32_t mode, int64_t p, int64_t n)
{
    while (p < 0 || p >= n) {
        if (mode == EVI_PAD_ZERO)
            return -1;
        if (mode == EVI_PAD_EDGE)
            p = p < 0 ? 0 : n - 1;
        else if (mode == EVI_PAD_WRAP)
            p += p < 0 ? n : -n;
        else
            p = p < 0 ? -p : 2 * (n - 1) - p;
    }
    return p;
}

static void check_pad(evi_shape x, int32_t type, int32_t mode, int32_t most, uint64_t *r)
{
    one_step o;
    int64_t pads[2 * EV_MAX_RANK];
    int32_t least = mode == EVI_PAD_ZERO && t_random_int(r, 0, 1) ? -1 : 0;
    one_start(&o, "pad");
    one_input(&o, type, x.rank, x.dim);
    o.a.mode = mode;
    o.a.alpha = 3;
    for (int32_t d = 0; d < x.rank; d++) {
        bool quiet = t_random_int(r, 0, 2) == 0 || (mode == EVI_PAD_REFLECT && x.dim[d] == 1);
        pads[d] = quiet ? 0 : t_random_int(r, x.dim[d] > 1 ? least : 0, most);
        pads[x.rank + d] = quiet ? 0 : t_random_int(r, x.dim[d] > 1 ? least : 0, most);
    }
    o.a.list = list_of(2 * x.rank, pads);
    run_one(&o, r, NULL);
    for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
        int64_t index[EV_MAX_RANK];
        bool outside = false;
        unravel(&o.out_edge[0].shape, i, index);
        for (int32_t d = 0; d < x.rank; d++) {
            index[d] = pad_source(mode, index[d] - pads[d], x.dim[d]);
            outside = outside || index[d] < 0;
        }
        expect(&o, i, outside ? 3 : in_number(&o, 0, ravel(&x, index, x.rank)), 0);
    }
    one_end(&o);
}

START_TEST(test_pad)
{
    uint64_t r = 23;
    for (int32_t k = 0; k < 2000; k++)
        check_pad(random_shape(&r, 0, 5, 5), random_type(&r), k % 4, k % 8 < 4 ? 2 : 9, &r);
    for (int32_t k = 0; k < 16; k++)
        check_pad(shape_of(4, (int64_t[]){3, 9, 40, 37}), EV_TYPE_FLOAT32, k % 4, 3, &r);
}
END_TEST

/* ---- concat, split, gather, expand, tile ---------------------------------------------------- */

START_TEST(test_concat_split)
{
    uint64_t r = 24;
    for (int32_t k = 0; k < 600; k++) {
        one_step o, back;
        evi_shape x = random_shape(&r, 1, 4, 5);
        int32_t axis = t_random_int(&r, 0, x.rank - 1), n = t_random_int(&r, 1, 5);
        int32_t type = random_type(&r);
        int64_t parts[5], from = 0;
        one_start(&o, "concat");
        o.a.axis = axis_sign(&r, axis, x.rank);
        for (int32_t i = 0; i < n; i++) {
            x.dim[axis] = parts[i] = t_random_int(&r, 0, 4);
            one_input(&o, type, x.rank, x.dim);
        }
        run_one(&o, &r, NULL);
        one_start(&back, "split");
        back.n_out = n;
        back.a.axis = axis;
        back.a.list = list_of(n, parts);
        one_input(&back, type, x.rank, o.out_edge[0].shape.dim);
        t_ok(one_plan(&back, false, test_kernels(), 1));
        memcpy(back.in[0]->data, o.out[0]->data,
               (size_t)(one_count_out(&o, 0) * evi_type_bytes(type)));
        one_forward(&back, NULL);
        for (int32_t i = 0; i < n; i++) {
            for (int64_t e = 0; e < one_count_in(&o, i); e++) {
                int64_t index[EV_MAX_RANK];
                unravel(&o.in_edge[i].shape, e, index);
                index[axis] += from;
                expect(&o, ravel(&o.out_edge[0].shape, index, x.rank), in_number(&o, i, e), 0);
                ck_assert_double_eq(out_number(&back, i, e), in_number(&o, i, e));
            }
            from += parts[i];
        }
        one_end(&o);
        one_end(&back);
    }
}
END_TEST

START_TEST(test_gather)
{
    uint64_t r = 25;
    for (int32_t k = 0; k < 500; k++) {
        one_step o;
        evi_shape x = random_shape(&r, 1, 4, 5), at = random_shape(&r, 0, 3, 4);
        int32_t axis = t_random_int(&r, 0, x.rank - 1), faults = 0;
        one_start(&o, "gather");
        o.a.axis = axis_sign(&r, axis, x.rank);
        one_input(&o, random_type(&r), x.rank, x.dim);
        one_input(&o, k % 2 ? EV_TYPE_INT32 : EV_TYPE_INT64, at.rank, at.dim);
        run_one(&o, &r, NULL);
        for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
            int64_t index[EV_MAX_RANK], from[EV_MAX_RANK];
            unravel(&o.out_edge[0].shape, i, index);
            int64_t n = x.dim[axis];
            int64_t v = (int64_t)in_number(&o, 1, ravel(&at, index + axis, at.rank));
            faults += v < -n || v >= n;
            v = v < -n ? 0 : v < 0 ? v + n : v >= n ? n - 1 : v;
            for (int32_t d = 0; d < x.rank; d++)
                from[d] = d < axis ? index[d] : d == axis ? v : index[d + at.rank - 1];
            expect(&o, i, in_number(&o, 0, ravel(&x, from, x.rank)), 0);
        }
        ck_assert_int_eq(o.s.fault != 0, faults > 0);
        one_end(&o);
    }
}
END_TEST

START_TEST(test_expand_tile)
{
    uint64_t r = 26;
    for (int32_t k = 0; k < 500; k++) {
        one_step o;
        evi_shape x = random_shape(&r, 1, 4, 4);
        int64_t list[EV_MAX_RANK];
        one_start(&o, k % 2 ? "tile" : "expand");
        for (int32_t d = 0; d < x.rank; d++) {
            if (k % 2 == 0 && t_random_int(&r, 0, 1))
                x.dim[d] = 1;
            list[d] = k % 2 || x.dim[d] == 1 ? t_random_int(&r, 1, 4) : x.dim[d];
        }
        one_input(&o, random_type(&r), x.rank, x.dim);
        o.a.list = list_of(x.rank, list);
        run_one(&o, &r, NULL);
        for (int64_t i = 0; i < one_count_out(&o, 0); i++) {
            int64_t index[EV_MAX_RANK];
            unravel(&o.out_edge[0].shape, i, index);
            for (int32_t d = 0; d < x.rank; d++)
                index[d] %= x.dim[d];
            expect(&o, i, in_number(&o, 0, ravel(&x, index, x.rank)), 0);
        }
        one_end(&o);
    }
}
END_TEST

START_TEST(test_blocks)
{
    uint64_t r = 27;
    for (int32_t k = 0; k < 200; k++) {
        one_step o;
        bool deep = k % 3 == 2; /* space to depth */
        int64_t b = 1 + k % 4, c = t_random_int(&r, 1, 3), h = t_random_int(&r, 1, 4);
        int64_t w = t_random_int(&r, 1, 4), n = t_random_int(&r, 1, 2);
        int64_t dims[4] = {n, deep ? c : c * b * b, deep ? h * b : h, deep ? w * b : w};
        one_start(&o, deep ? "space_to_depth" : "depth_to_space");
        o.a.flag = (int32_t)b;
        o.a.mode = k % 3;
        one_input(&o, random_type(&r), 4, dims);
        run_one(&o, &r, NULL);
        for (int64_t i = 0; i < n * c * h * w * b * b; i++) {
            int64_t fine[4], coarse[4];
            evi_shape big = shape_of(4, (int64_t[]){n, c, h * b, w * b});
            evi_shape small = shape_of(4, (int64_t[]){n, c * b * b, h, w});
            unravel(&big, i, fine);
            int64_t in_block = fine[2] % b * b + fine[3] % b;
            coarse[0] = fine[0];
            coarse[1] =
                o.a.mode == 1 && !deep ? fine[1] * b * b + in_block : in_block * c + fine[1];
            coarse[2] = fine[2] / b;
            coarse[3] = fine[3] / b;
            int64_t other = ravel(&small, coarse, 4);
            expect(&o, deep ? other : i, in_number(&o, 0, deep ? i : other), 0);
        }
        one_end(&o);
    }
}
END_TEST

/* ---- threads -------------------------------------------------------------------------------- */

START_TEST(test_layout_threads)
{
    uint64_t r = 28;
    static const char *const ops[] = {"transpose",      "pad", "slice",    "concat", "flatten",
                                      "depth_to_space", "pad", "transpose"};
    one_step o;
    one_start(&o, ops[_i]);
    one_real(&o, 4, (int64_t[]){3, 16, 61, 47});
    o.a.flag = 4;
    switch (_i) {
    case 0: o.a.list = list_of(4, (int64_t[]){0, 2, 3, 1}); break;
    case 1:
        o.a.list = list_of(8, (int64_t[]){0, 0, 3, 3, 0, 0, 3, 3});
        o.a.mode = 1;
        break;
    case 2:
        o.a.list = list_of(2, (int64_t[]){1, -1});
        o.a.list2 = list_of(2, (int64_t[]){60, 0});
        o.a.list3 = list_of(2, (int64_t[]){2, 3});
        o.a.list4 = list_of(2, (int64_t[]){1, -2});
        break;
    case 3:
        one_real(&o, 4, (int64_t[]){3, 31, 61, 47});
        o.a.axis = 1;
        break;
    case 4: o.a.axis = 1; break;
    case 6: o.a.list = list_of(8, (int64_t[]){1, 0, 0, 5, 0, 2, 0, 0}); break;
    case 7: o.a.list = list_of(4, (int64_t[]){3, 1, 2, 0}); break;
    default: break;
    }
    same_on_threads(&o, &r);
    one_end(&o);
}
END_TEST

TCase *layout_cases(void)
{
    TCase *tc = tcase_create("layout");
    tcase_add_test(tc, test_transpose);
    tcase_add_test(tc, test_slice);
    tcase_add_test(tc, test_pad);
    tcase_add_test(tc, test_concat_split);
    tcase_add_test(tc, test_gather);
    tcase_add_test(tc, test_expand_tile);
    tcase_add_test(tc, test_blocks);
    tcase_add_loop_test(tc, test_layout_threads, 0, 8);
    return tc;
}
