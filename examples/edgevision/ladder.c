/* SPDX-License-Identifier: MIT */
/* edgevision arch ladder: smaller and smaller nets, each drawn anew from the one before it. */
#include <string.h>

#include "ladder.h"

/* How often a word stands in a text. */
static int count(const char *in, const char *word)
{
    int n = 0;
    for (const char *at = strstr(in, word); at; at = strstr(at + 1, word)) {
        n++;
    }
    return n;
}

static int add_rung(const ev_model *m, int32_t rung, bool json, text *t)
{
    char *words = NULL;
    ev_status status = ev_model_describe(m, EV_DESCRIBE_JSON, &words);
    if (status != EV_OK) {
        return fail_status(EXIT_MODEL, status, NULL);
    }
    long long parameters = ev_model_parameter_count(m), macs = ev_model_macs(m);
    int convs = count(words, "\"conv2d\""), dense = count(words, "\"dense\"");
    ev_string_destroy(words);
    if (json) {
        text_add(t, "%s\n {\"rung\": %d, \"parameters\": %lld, \"macs\": %lld, \"conv_layers\": "
                    "%d, \"dense_layers\": %d}", rung ? "," : "", (int)rung, parameters, macs,
                 convs, dense);
    } else {
        text_add(t, "%d\t%lld\t%lld\t%d\t%d\n", (int)rung, parameters, macs, convs, dense);
    }
    return 0;
}

static int save_rung(const ev_model *m, int32_t rung, const char *folder)
{
    char path[PATH_SIZE], name[40];
    snprintf(name, sizeof name, "rung%02d.onnx", (int)rung);
    path_join(path, folder, name);
    if (file_exists(path)) {
        return fail(EXIT_USAGE, "%s exists already: choose another folder, or remove it", path);
    }
    ev_status status = ev_model_save(m, path);
    return status == EV_OK ? 0 : fail_status(EXIT_IO, status, NULL);
}

static int first_rung(ev_context *ctx, const ladder *l, ev_model **out)
{
    ev_zoo_options zoo;
    if (l->model) {
        return open_model(ctx, l->model, out);
    }
    EV_OPTIONS_INIT(&zoo);
    zoo.width = l->size[0];
    zoo.height = l->size[1];
    zoo.n_classes = l->classes;
    zoo.channels = l->grey ? 1 : 3;
    ev_status status = ev_zoo_create(ctx, l->arch, &zoo, out);
    if (status == EV_OK) {
        status = ev_model_init(*out, l->seed);
    }
    return status == EV_OK
               ? 0
               : fail_status(EXIT_USAGE, status, "edgevision arch list shows the nets");
}

/* The next of `m`, which is ended; NULL when there is none. */
static int climb_down(ev_context *ctx, const ladder *l, int32_t rung, ev_model **m)
{
    ev_ladder_options o;
    ev_model *next = NULL;
    EV_OPTIONS_INIT(&o);
    o.rung = rung;
    o.ratio = l->ratio;
    o.seed = l->seed;
    ev_status status = ev_ladder_next(ctx, *m, &o, &next);
    ev_model_destroy(*m);
    *m = next;
    if (status == EV_ERR_GOAL) {
        return fail(EXIT_GOAL, "%s: the ladder ends at rung %d", ev_last_error(), (int)rung - 1);
    }
    return status == EV_OK ? 0 : fail_status(EXIT_MODEL, status, NULL);
}

int arch_ladder(const ladder *l)
{
    ev_context *ctx = NULL;
    ev_model *m = NULL;
    text t = {0};
    int code = open_context(1, &ctx);
    if (!code && l->save) {
        code = make_folder(l->save);
    }
    if (!code) {
        code = first_rung(ctx, l, &m);
    }
    text_add(&t, l->json ? "[" : "rung\tparameters\tmacs\tconv_layers\tdense_layers\n");
    for (int32_t rung = 0; !code && m; rung++) {
        code = add_rung(m, rung, l->json, &t);
        if (!code && l->save) {
            code = save_rung(m, rung, l->save);
        }
        if (code || rung == l->rungs) {
            break;
        }
        code = climb_down(ctx, l, rung + 1, &m);
    }
    text_add(&t, l->json ? "\n]\n" : "");
    if (code && code != EXIT_GOAL) {
        text_free(&t);
    }
    print_table(&t, stdout);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return code;
}
