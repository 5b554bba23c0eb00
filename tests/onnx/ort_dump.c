/* SPDX-License-Identifier: MIT */
/* Save models with made-up inputs and what this library makes of them, for ort_compare.js.
 *
 *   ort_dump FOLDER [CASES]
 *
 * The drawn models, or those of the ONNX backend cases in CASES (see conformance.c).
 *
 * In FOLDER: NAME.onnx, the elements as they lie in memory, and manifest.json. */
#include "drawn.h"
#include "pb.h"

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

/* ---- the cases of the test data -------------------------------------------------------------- */

typedef struct cases {
    const char *folder;
    FILE *manifest;
    char name[256];
    int n;
} cases;

static void dump_case(void *user, ev_model *m, const ev_tensor *const *fed, int32_t n_fed,
                      const ev_session *session)
{
    cases *c = user;
    char path[2048], name[300];
    snprintf(name, sizeof(name), "%04d-%s", c->n, c->name);
    snprintf(path, sizeof(path), "%s/%s.onnx", c->folder, name);
    if (ev_model_save(m, path) != EV_OK) {
        fprintf(stderr, "%s: %s\n", name, ev_last_error());
        return;
    }
    fprintf(c->manifest, "%s\n  {\"model\": \"%s\", \"inputs\": [", c->n++ > 0 ? "," : "", name);
    for (int32_t i = 0; i < n_fed; i++)
        put_tensor(c->manifest, c->folder, name, ev_model_input_name(m, i), fed[i], i == 0);
    fprintf(c->manifest, "],\n   \"outputs\": [");
    for (int32_t i = 0; i < ev_model_n_outputs(m); i++)
        put_tensor(c->manifest, c->folder, name, ev_model_output_name(m, i),
                   ev_session_output(session, i), i == 0);
    fprintf(c->manifest, "]}");
}

static void dump_cases(ev_context *ctx, const char *folder, const char *base, FILE *manifest)
{
    char line[2048], path[2048];
    cases c = {.folder = folder, .manifest = manifest};
    snprintf(path, sizeof(path), "%s/index.tsv", base);
    FILE *index = fopen(path, "r");
    pb_on_run(dump_case, &c);
    for (int n = 0; index != NULL && fgets(line, sizeof(line), index) != NULL; n++) {
        pb_case result;
        char *dir = strtok(line, "\t");
        const char *slash = dir == NULL ? NULL : strrchr(dir, '/');
        if (n == 0 || slash == NULL ||
            (strstr(slash, "training_dropout") != NULL && strstr(slash, "zero_ratio") == NULL))
            continue; /* the first line has titles; a dropout that drops is another each time */
        snprintf(path, sizeof(path), "%.1000s/%.1000s", base, dir);
        snprintf(c.name, sizeof(c.name), "%.250s", slash + 1);
        pb_run_case(ctx, path, false, 1e-6, 1e-5, &result);
    }
    if (index != NULL)
        fclose(index);
}

/* ---- drawn models ---------------------------------------------------------------------------- */

static void dump_drawn(ev_context *ctx, const char *folder, FILE *manifest)
{
    static const char *const nets[] = {"Arch1", "Arch3", "Arch5", "ResNet-18", "ResNet-56"};
    for (int32_t i = 0; drawn_at(i) != NULL; i++) {
        ev_model *m = NULL;
        if (drawn_model(ctx, i, &m) != EV_OK) {
            fprintf(stderr, "%s: %s\n", drawn_at(i)->name, ev_last_error());
            exit(1);
        }
        dump(ctx, folder, drawn_at(i)->name, m, manifest, i == 0);
        ev_model_destroy(m);
    }
    for (size_t i = 0; i < sizeof(nets) / sizeof(nets[0]); i++) {
        ev_model *m = NULL;
        ev_zoo_options opt;
        EV_OPTIONS_INIT(&opt);
        opt.width = opt.height = strncmp(nets[i], "Arch", 4) == 0 ? 96 : 64;
        if (ev_zoo_create(ctx, nets[i], &opt, &m) != EV_OK || ev_model_init(m, 3) != EV_OK) {
            fprintf(stderr, "%s: %s\n", nets[i], ev_last_error());
            exit(1);
        }
        dump(ctx, folder, nets[i], m, manifest, false);
        ev_model_destroy(m);
    }
}

int main(int argc, char **argv)
{
    char path[2048];
    ev_context *ctx = NULL;
    if (argc < 2 || ev_context_create(NULL, &ctx) != EV_OK)
        return 2;
    snprintf(path, sizeof(path), "%s/manifest.json", argv[1]);
    FILE *manifest = fopen(path, "w");
    if (manifest == NULL) {
        perror(path);
        return 1;
    }
    fprintf(manifest, "[");
    if (argc > 2)
        dump_cases(ctx, argv[1], argv[2], manifest);
    else
        dump_drawn(ctx, argv[1], manifest);
    fprintf(manifest, "\n]\n");
    fclose(manifest);
    ev_context_destroy(ctx);
    return 0;
}
