/* SPDX-License-Identifier: MIT */
/* CSV manifests: read, and where that works split, filter, write again. */
#include "memory_files.h"

#include <edgevision/dataset.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

static void use(const ev_dataset *d)
{
    static const double fractions[3] = {64, 16, 20};
    ev_dataset *parts[3] = {NULL, NULL, NULL}, *out = NULL;
    ev_leak_report report;
    EV_OPTIONS_INIT(&report);
    if (ev_dataset_split(d, fractions, 3, EV_SPLIT_GROUPED, 1, parts) == EV_OK)
        (void)ev_dataset_leaks(parts[0], parts[2], &report);
    for (int32_t i = 0; i < 3; i++)
        ev_dataset_destroy(parts[i]);
    (void)ev_dataset_filter(d, "x", -INFINITY, 1, 1, &out);
    ev_dataset_destroy(out);
    (void)ev_dataset_write_manifest(d, "pictures/again.csv");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    memory_file file = {data, n_bytes, 0};
    ev_context *ctx = memory_context(&file);
    ev_dataset *dataset = NULL;
    if (ctx == NULL)
        return 0;
    if (ev_dataset_read_manifest(ctx, "pictures/manifest.csv", NULL, &dataset) == EV_OK)
        use(dataset);
    ev_dataset_destroy(dataset);
    ev_context_destroy(ctx);
    return 0;
}
