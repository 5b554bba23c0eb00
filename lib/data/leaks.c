/* SPDX-License-Identifier: MIT */
/* What two sides of a split have in common. */
#include "data/dataset.h"
#include "data/image.h"
#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((uint64_t)1 << 30)

typedef struct print {
    uint64_t hash[2];
    int32_t item;
    int32_t unreadable;
} print;

/* Two different 64-bit sums, eight bytes at a time: enough that pictures do not meet by chance. */
static void hash_bytes(uint64_t hash[2], const uint8_t *p, uint64_t n)
{
    for (uint64_t i = 0; i < n; i += 8) {
        uint64_t v = 0, left = EVI_MIN(n - i, 8);
        for (uint64_t k = 0; k < left; k++)
            v |= (uint64_t)p[i + k] << (8 * k);
        hash[0] = (hash[0] ^ v) * 0x9e3779b97f4a7c15u;
        hash[0] ^= hash[0] >> 32;
        hash[1] = (hash[1] + v) * 0xc2b2ae3d27d4eb4fu;
        hash[1] ^= hash[1] >> 29;
    }
    hash[0] += n;
}

static void hash_image(uint64_t hash[2], const ev_image *image)
{
    uint64_t head[3] = {(uint64_t)image->format, (uint64_t)image->width, (uint64_t)image->height};
    for (int32_t i = 0; i < 3; i++)
        hash[i & 1] = (hash[i & 1] + head[i] + 1) * 0x9e3779b97f4a7c15u;
    for (int32_t y = 0; y < image->height; y++)
        hash_bytes(hash, evi_image_row(image, y),
                   (uint64_t)image->width * (uint64_t)image->pixel_bytes);
    for (int32_t y = 0; image->chroma != NULL && y < image->height / 2; y++)
        hash_bytes(hash, image->chroma + y * image->chroma_stride, (uint64_t)image->width);
}

static ev_status take_print(const ev_dataset *d, int32_t i, print *out)
{
    const evi_item *it = evi_dataset_item(d, i);
    *out = (print){.item = i};
    if (it->path == NULL) {
        hash_image(out->hash, it->image);
        return EV_OK;
    }
    uint8_t *bytes = NULL;
    uint64_t n = 0;
    ev_status status = evi_file_read(d->handle.ctx, it->path, FILE_LIMIT, &bytes, &n);
    if (status == EV_ERR_MEMORY)
        return status;
    if (status == EV_OK)
        hash_bytes(out->hash, bytes, n);
    else
        out->unreadable = 1;
    evi_free(bytes);
    return EV_OK;
}

static int by_hash(const void *a, const void *b)
{
    const print *x = a, *y = b;
    for (int32_t i = 0; i < 2; i++)
        if (x->hash[i] != y->hash[i])
            return x->hash[i] < y->hash[i] ? -1 : 1;
    return x->item < y->item ? -1 : x->item > y->item;
}

/* Sorted prints of the items that can be read. */
static ev_status take_prints(const ev_dataset *d, print **out, int32_t *n, ev_leak_report *report)
{
    print *prints = NULL;
    EVI_TRY(evi_malloc(d->handle.ctx, (uint64_t)d->n, sizeof(print), &prints));
    *out = prints;
    *n = 0;
    for (int32_t i = 0; i < d->n; i++) {
        EVI_TRY(take_print(d, i, &prints[*n]));
        report->unreadable_items += prints[*n].unreadable;
        *n += prints[*n].unreadable == 0;
    }
    qsort(prints, (size_t)*n, sizeof(print), by_hash);
    return EV_OK;
}

static bool same(const print *a, const print *b)
{
    return a->hash[0] == b->hash[0] && a->hash[1] == b->hash[1];
}

/* The first item of b, in its order, that is in a too. */
static void compare_prints(const print *a, int32_t n_a, const print *b, int32_t n_b,
                           ev_leak_report *report)
{
    int32_t i = 0;
    for (int32_t k = 0; k < n_b; k++) {
        while (i < n_a && !same(&a[i], &b[k]) && by_hash(&a[i], &b[k]) < 0)
            i++;
        /* equal prints lie together, so the first of a stays in place for the next of b */
        if (i == n_a || !same(&a[i], &b[k]))
            continue;
        report->shared_pictures++;
        if (report->first_b < 0 || b[k].item < report->first_b) {
            report->first_a = a[i].item;
            report->first_b = b[k].item;
        }
    }
}

static ev_status compare_pictures(const ev_dataset *a, const ev_dataset *b, ev_leak_report *report)
{
    print *of_a = NULL, *of_b = NULL;
    int32_t n_a = 0, n_b = 0;
    ev_status status = take_prints(a, &of_a, &n_a, report);
    if (status == EV_OK)
        status = take_prints(b, &of_b, &n_b, report);
    if (status == EV_OK)
        compare_prints(of_a, n_a, of_b, n_b, report);
    evi_free(of_a);
    evi_free(of_b);
    return status;
}

/* Items of d that are in a group of `names`; seen marks these groups. */
static int32_t count_in(const ev_dataset *d, const evi_name_list *names, uint8_t *seen)
{
    int32_t n = 0;
    for (int32_t i = 0; i < d->n; i++) {
        const char *group = ev_dataset_group(d, i);
        int32_t at = group != NULL ? evi_name_list_find(names, group) : -1;
        if (at >= 0) {
            n++;
            seen[at] = 1;
        }
    }
    return n;
}

static ev_status add_groups(const ev_dataset *d, const evi_name_list *only, evi_text_pool *pool,
                            evi_name_list *names)
{
    int32_t at;
    for (int32_t i = 0; i < d->n; i++) {
        const char *group = ev_dataset_group(d, i);
        if (group != NULL && (only == NULL || evi_name_list_find(only, group) >= 0))
            EVI_TRY(evi_name_list_add(names, pool, group, &at));
    }
    return EV_OK;
}

static ev_status compare_groups(const ev_dataset *a, const ev_dataset *b, ev_leak_report *report)
{
    evi_text_pool pool = {.ctx = a->handle.ctx};
    evi_name_list of_a = {0}, shared = {0};
    uint8_t *seen = NULL;
    ev_status status = add_groups(a, NULL, &pool, &of_a);
    if (status == EV_OK)
        status = add_groups(b, &of_a, &pool, &shared);
    if (status == EV_OK)
        status = evi_calloc(a->handle.ctx, (uint64_t)shared.n, 1, &seen);
    if (status == EV_OK) {
        report->shared_groups = shared.n;
        report->grouped_items_a = count_in(a, &shared, seen);
        report->grouped_items_b = count_in(b, &shared, seen);
    }
    evi_free(seen);
    evi_name_list_end(&of_a);
    evi_name_list_end(&shared);
    evi_text_pool_end(&pool);
    return status;
}

ev_status ev_dataset_leaks(const ev_dataset *a, const ev_dataset *b, ev_leak_report *report)
{
    EVI_CHECK_POINTER(report);
    EVI_CHECK_HANDLE(a, EVI_MAGIC_DATASET);
    EVI_CHECK_HANDLE(b, EVI_MAGIC_DATASET);
    ev_leak_report r;
    EV_OPTIONS_INIT(&r);
    r.first_a = r.first_b = -1;
    EVI_TRY(compare_groups(a, b, &r));
    EVI_TRY(compare_pictures(a, b, &r));
    return evi_options_write(report, &r, (uint32_t)sizeof(r), __func__);
}
