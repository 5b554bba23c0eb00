/* SPDX-License-Identifier: MIT */
/* A program outside the tree, built with nothing but pkg-config.  Also compiled as C++. */
#include <edgevision/edgevision.h>
#include <stdio.h>

int main(void)
{
    ev_context_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.n_threads = 2;
    ev_context *ctx = NULL;
    ev_tensor *tensor = NULL;
    const int64_t dims[] = {1, 3, 8, 8};
    ev_status status = ev_context_create(&opt, &ctx);
    if (status == EV_OK)
        status = ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &tensor);
    printf("%s %s %d\n", ev_version(), ev_status_name(status), (int)ev_tensor_count(tensor));
    ev_tensor_destroy(tensor);
    ev_context_destroy(ctx);
    return status == EV_OK && ev_version_number() == EV_VERSION_MAJOR * 10000 +
                                  EV_VERSION_MINOR * 100 + EV_VERSION_PATCH ? 0 : 1;
}
