/* SPDX-License-Identifier: MIT */
/* Trained models by four exporters: the outputs that came with them, within 1e-5 of the largest;
 * and again after saving and loading.  Exit status 77 (skipped) without the data. */
#include "pb.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct model {
    const char *name;
    double limit; /* of max |error| / max |reference| */
} model;

static const model models[] = {
    {"mnist_8", 1e-5},
    {"super_resolution_10", 1e-5},
    {"ultraface_slim-320_without_postprocessing", 1e-5},
    {"mnist_quantized", 1e-5},
};

static bool report(const char *name, const char *what, const pb_case *c, double limit)
{
    bool passed = c->n_sets > 0 && c->status == EV_OK && c->error.reason == NULL &&
                  c->error.relative <= limit;
    printf("%s %s%s: %d data sets, error %.3g of the peak %.6g (limit %.3g)%s%s\n",
           passed ? "passed" : "FAILED", name, what, (int)c->n_sets, c->error.relative,
           c->error.peak, limit, c->status == EV_OK ? "" : ", ", c->line);
    return passed;
}

static bool run_model(ev_context *ctx, const char *base, const model *m)
{
    char folder[PB_PATH];
    bool passed = true;
    for (int saved = 0; saved < 2; saved++) {
        pb_case c;
        snprintf(folder, sizeof(folder), "%s/%s", base, m->name);
        pb_run_case(ctx, folder, saved, 1e-6, 1e-5, &c);
        passed = report(m->name, saved ? ", saved and loaded" : "", &c, m->limit) && passed;
    }
    return passed;
}

int main(void)
{
    const char *data = t_testdata("models");
    if (data == NULL) {
        printf("SKIPPED: no models in the test data (set EV_TESTDATA)\n");
        return 77;
    }
    ev_context *ctx = NULL;
    if (ev_context_create(NULL, &ctx) != EV_OK)
        return 1;
    bool passed = true;
    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++)
        passed = run_model(ctx, data, &models[i]) && passed;
    ev_context_destroy(ctx);
    return !passed;
}
