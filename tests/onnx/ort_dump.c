/* SPDX-License-Identifier: MIT */
/* Save models with made-up inputs and what this library makes of them, for ort_compare.js.
 *
 *   ort_dump FOLDER
 *
 * In FOLDER: NAME.onnx, the elements as they lie in memory, and manifest.json. */
#include "drawn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *type_of(const ev_tensor *t)
{
    return ev_type_name(ev_tensor_type(t));
}

static void put_tensor(FILE *manifest, const char *folder, const char *model, const char *name,
                       const ev_tensor *t, bool first)
{
    char path[1024];
    snprintf(path, sizeof(path), "%s/%s.%s.bin", folder, model, name);
    FILE *f = fopen(path, "wb");
    if (f == NULL || fwrite(ev_tensor_data(t), 1, ev_tensor_bytes(t), f) != ev_tensor_bytes(t)) {
        perror(path);
        exit(1);
    }
    fclose(f);
    fprintf(manifest,
            "%s\n    {\"name\": \"%s\", \"type\": \"%s\", \"file\": \"%s.%s.bin\", \"dims\": [",
            first ? "" : ",", name, type_of(t), model, name);
    for (int32_t d = 0; d < ev_tensor_rank(t); d++)
        fprintf(manifest, "%s%lld", d > 0 ? ", " : "", (long long)ev_tensor_dim(t, d));
    fprintf(manifest, "]}");
}

/* The saved model has fewer inputs (no labels): those of a loaded copy count. */
static void dump(ev_context *ctx, const char *folder, const char *name, ev_model *m, FILE *manifest,
                 bool first)
{
    char path[1024];
    ev_model *loaded = NULL;
    drawn_run run;
    snprintf(path, sizeof(path), "%s/%s.onnx", folder, name);
    if (ev_model_save(m, path) != EV_OK || ev_model_load(ctx, path, NULL, &loaded) != EV_OK ||
        drawn_run_model(ctx, loaded, 3, &run) != EV_OK) {
        fprintf(stderr, "%s: %s\n", name, ev_last_error());
        exit(1);
    }
    fprintf(manifest, "%s\n  {\"model\": \"%s\", \"inputs\": [", first ? "" : ",", name);
    for (int32_t i = 0; i < run.n_inputs; i++)
        put_tensor(manifest, folder, name, ev_model_input_name(loaded, i), run.inputs[i], i == 0);
    fprintf(manifest, "],\n   \"outputs\": [");
    for (int32_t i = 0; i < run.n_outputs; i++)
        put_tensor(manifest, folder, name, run.output_names[i], run.outputs[i], i == 0);
    fprintf(manifest, "]}");
    drawn_run_end(&run);
    ev_model_destroy(loaded);
}

int main(int argc, char **argv)
{
    char path[1024];
    ev_context *ctx = NULL;
    if (argc != 2 || ev_context_create(NULL, &ctx) != EV_OK)
        return 2;
    snprintf(path, sizeof(path), "%s/manifest.json", argv[1]);
    FILE *manifest = fopen(path, "w");
    if (manifest == NULL) {
        perror(path);
        return 1;
    }
    fprintf(manifest, "[");
    for (int32_t i = 0; drawn_at(i) != NULL; i++) {
        ev_model *m = NULL;
        if (drawn_model(ctx, i, &m) != EV_OK) {
            fprintf(stderr, "%s: %s\n", drawn_at(i)->name, ev_last_error());
            return 1;
        }
        dump(ctx, argv[1], drawn_at(i)->name, m, manifest, i == 0);
        ev_model_destroy(m);
    }
    static const char *const nets[] = {"Arch1", "Arch3", "Arch5", "ResNet-18", "ResNet-56"};
    for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
        ev_model *m = NULL;
        ev_zoo_options opt;
        EV_OPTIONS_INIT(&opt);
        opt.width = opt.height = strncmp(nets[i], "Arch", 4) == 0 ? 96 : 64;
        if (ev_zoo_create(ctx, nets[i], &opt, &m) != EV_OK || ev_model_init(m, 3) != EV_OK) {
            fprintf(stderr, "%s: %s\n", nets[i], ev_last_error());
            return 1;
        }
        dump(ctx, argv[1], nets[i], m, manifest, false);
        ev_model_destroy(m);
    }
    fprintf(manifest, "\n]\n");
    fclose(manifest);
    ev_context_destroy(ctx);
    return 0;
}
