/* SPDX-License-Identifier: MIT */
/* edgevision inspect: what is in a model file. */
#include <string.h>

#include "tool.h"

typedef int32_t (*dims_fn)(const ev_model *, int32_t, int64_t *);

static void add_dims(text *t, const int64_t *dims, int32_t rank, bool json)
{
    text_add(t, "[");
    for (int32_t i = 0; i < rank; i++) {
        if (dims[i] < 0 && !json) {
            text_add(t, "%sN", i ? "," : "");
        } else {
            text_add(t, "%s%lld", i ? "," : "", (long long)dims[i]);
        }
    }
    text_add(t, "]");
}

static void add_ends(text *t, const ev_model *m, bool inputs, bool json)
{
    int32_t n = inputs ? ev_model_n_inputs(m) : ev_model_n_outputs(m);
    dims_fn dims_of = inputs ? ev_model_input_dims : ev_model_output_dims;
    for (int32_t i = 0; i < n; i++) {
        int64_t dims[EV_MAX_RANK];
        int32_t rank = dims_of(m, i, dims);
        const char *name = inputs ? ev_model_input_name(m, i) : ev_model_output_name(m, i);
        if (json) {
            text_add(t, "%s{\"name\": ", i ? ", " : "");
            text_json(t, name);
            text_add(t, ", \"shape\": ");
            add_dims(t, dims, rank, true);
            text_add(t, "}");
        } else {
            text_add(t, "%s\t%s ", inputs ? "input" : "output", name);
            add_dims(t, dims, rank, false);
            text_add(t, "\n");
        }
    }
}

static void add_classes(text *t, const ev_model *m, bool json)
{
    for (int32_t i = 0; i < ev_model_n_classes(m); i++) {
        text_add(t, i ? ", " : "");
        if (json) {
            text_json(t, ev_model_class_name(m, i));
        } else {
            text_add(t, "%s", ev_model_class_name(m, i));
        }
    }
}

static void add_pixels(text *t, const ev_model *m, bool json)
{
    ev_preprocess p;
    EV_OPTIONS_INIT(&p);
    if (ev_model_n_inputs(m) != 1 || ev_model_preprocess(m, &p) != EV_OK) {
        text_add(t, json ? "null" : "-");
        return;
    }
    double std[3];
    for (int c = 0; c < 3; c++) {
        std[c] = p.std[c] > 0 ? (double)p.std[c] : 1;
    }
    text_add(t, json ? "{\"width\": %d, \"height\": %d, \"order\": \"%s\", \"mean\": "
                       "[%.6g, %.6g, %.6g], \"std\": [%.6g, %.6g, %.6g]}"
                     : "%dx%d %s, mean %.6g %.6g %.6g, std %.6g %.6g %.6g",
             (int)p.width, (int)p.height, p.bgr ? "bgr" : "rgb", (double)p.mean[0],
             (double)p.mean[1], (double)p.mean[2], std[0], std[1], std[2]);
}

static int print_json(const ev_model *m, const char *path)
{
    text t = {0};
    char *layers = NULL;
    ev_status status = ev_model_describe(m, EV_DESCRIBE_JSON, &layers);
    if (status != EV_OK) {
        return fail_status(EXIT_MODEL, status, NULL);
    }
    text_add(&t, "{\"file\": ");
    text_json(&t, path);
    text_add(&t, ", \"inputs\": [");
    add_ends(&t, m, true, true);
    text_add(&t, "], \"outputs\": [");
    add_ends(&t, m, false, true);
    text_add(&t, "], \"classes\": [");
    add_classes(&t, m, true);
    text_add(&t, "], \"pictures\": ");
    add_pixels(&t, m, true);
    text_add(&t, ", \"graph\": %s}\n", layers);
    ev_string_destroy(layers);
    print_table(&t, stdout);
    return 0;
}

static int print_words(const ev_model *m, const char *path)
{
    text t = {0};
    char *layers = NULL;
    ev_status status = ev_model_describe(m, EV_DESCRIBE_TABLE, &layers);
    if (status != EV_OK) {
        return fail_status(EXIT_MODEL, status, NULL);
    }
    text_add(&t, "file\t%s\n", path);
    add_ends(&t, m, true, false);
    add_ends(&t, m, false, false);
    text_add(&t, "classes\t");
    add_classes(&t, m, false);
    text_add(&t, "\npictures\t");
    add_pixels(&t, m, false);
    text_add(&t, "\nparameters\t%lld\nmultiply-adds\t%lld\n\n",
             (long long)ev_model_parameter_count(m), (long long)ev_model_macs(m));
    print_table(&t, stdout);
    fputs(layers, stdout);
    ev_string_destroy(layers);
    return 0;
}

static int print_dot(const ev_model *m)
{
    char *dot = NULL;
    ev_status status = ev_model_describe(m, EV_DESCRIBE_DOT, &dot);
    if (status != EV_OK) {
        return fail_status(EXIT_MODEL, status, NULL);
    }
    fputs(dot, stdout);
    ev_string_destroy(dot);
    return 0;
}

int verb_inspect(int argc, char **argv)
{
    int32_t json = 0, dot = 0;
    const option table[] = {
        {"json", 0, OPTION_FLAG, &json, NULL, "for machines", 0, 0, NULL},
        {"dot", 0, OPTION_FLAG, &dot, NULL, "a drawing for Graphviz", 0, 0, NULL},
    };
    syntax s = {.verb = "inspect", .usage = "MODEL [--json | --dot]",
                .purpose = "Inputs, outputs, classes and layers of a model: an ONNX file or a run "
                           "folder.",
                .options = table, .n_options = N_OPTIONS(table), .min_rest = 1, .max_rest = 1,
                .examples = "  edgevision inspect model.onnx\n"
                            "  edgevision inspect model.onnx --dot | dot -Tsvg > model.svg\n"};
    ev_context *ctx = NULL;
    ev_model *m = NULL;
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    code = open_context(1, &ctx);
    if (!code) {
        code = open_model(ctx, s.files[0], &m);
    }
    if (!code) {
        code = json ? print_json(m, s.files[0]) : dot ? print_dot(m) : print_words(m, s.files[0]);
    }
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return code;
}
