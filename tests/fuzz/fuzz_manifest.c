/* SPDX-License-Identifier: MIT */
/* CSV manifests: read, and where that works write again. */
#include "memory_files.h"

#include <edgevision/dataset.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    memory_file file = {data, n_bytes, 0};
    ev_context *ctx = memory_context(&file);
    ev_dataset *dataset = NULL;
    if (ctx == NULL)
        return 0;
    if (ev_dataset_read_manifest(ctx, "pictures/manifest.csv", NULL, &dataset) == EV_OK)
        (void)ev_dataset_write_manifest(dataset, "pictures/again.csv");
    ev_dataset_destroy(dataset);
    ev_context_destroy(ctx);
    return 0;
}
