/* SPDX-License-Identifier: MIT */
/* Trained models by four exporters: the outputs that came with them, within 1e-5 of the largest; and
 * again after saving and loading.  Exit status 77 (skipped) without the data. */
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

/* The model through our writer, with the same data sets beside it. */
static bool save_again(ev_context *ctx, const char *folder, const char *copy)
{
    char from[PB_PATH + 64], to[PB_PATH + 64], command[3 * PB_PATH];
    ev_model *m = NULL;
    snprintf(from, sizeof(from), "%s/model.onnx", folder);
    snprintf(to, sizeof(to), "%s/model.onnx", copy);
    snprintf(command, sizeof(command), "cp -r '%s'/test_data_set_* '%s'", folder, copy);
    if (system(command) != 0)
        return false;
    bool good = ev_model_load(ctx, from, NULL, &m) == EV_OK && ev_model_save(m, to) == EV_OK;
    ev_model_destroy(m);
    return good;
}

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
    char folder[PB_PATH], copy[] = "/tmp/edgevision-XXXXXX", command[64];
    pb_case c;
    snprintf(folder, sizeof(folder), "%s/%s", base, m->name);
    pb_run_case(ctx, folder, 1e-6, 1e-5, &c);
    bool passed = report(m->name, "", &c, m->limit);
    if (mkdtemp(copy) == NULL || !save_again(ctx, folder, copy)) {
        printf("FAILED %s: saving: %s\n", m->name, ev_last_error());
        passed = false;
    } else {
        pb_run_case(ctx, copy, 1e-6, 1e-5, &c);
        passed = report(m->name, ", saved and loaded", &c, m->limit) && passed;
    }
    snprintf(command, sizeof(command), "rm -rf '%s'", copy);
    return system(command) == 0 && passed;
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
