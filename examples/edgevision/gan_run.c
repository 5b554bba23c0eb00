/* SPDX-License-Identifier: MIT */
/* The folder of a CycleGAN's run: run.json with its options, written and read back; what the
   options mean to the library. */
#include "gan.h"

#include <stdlib.h>
#include <string.h>

char *gan_file(char out[PATH_SIZE], const gan_run *r, const char *name)
{
    return path_join(out, r->folder, name);
}

/* ---- what the options mean ------------------------------------------------------------------- */

/* 0 on the command line is none, which the library calls a negative number. */
static float none_if_zero(double x)
{
    return x > 0 ? (float)x : -1;
}

static void fill_networks(const gan_options *o, ev_generator_options *g,
                          ev_discriminator_options *d)
{
    EV_OPTIONS_INIT(g);
    EV_OPTIONS_INIT(d);
    g->n_blocks = o->blocks ? o->blocks : o->authors ? 9 : 6;
    g->base_width = o->width;
    g->merge = o->authors ? EV_MERGE_CONCAT : o->merge;
    g->padding = o->authors || o->padding == 1 ? -1 : 0;
    g->affine = o->authors || o->affine;
    g->norm_last = o->authors || o->norm_last;
    g->upsample = o->upsample;
    g->block = o->separable ? EV_BLOCK_SEPARABLE : EV_BLOCK_FULL;
    d->base_width = o->d_width;
    d->n_layers = o->layers;
    d->affine = o->affine;
    d->authors = o->authors;
}

void gan_fill(const gan_run *r, ev_cyclegan_options *opt, ev_generator_options *generator,
              ev_discriminator_options *discriminator)
{
    const gan_options *o = &r->opt;
    EV_OPTIONS_INIT(opt);
    fill_networks(o, generator, discriminator);
    opt->generator = generator;
    opt->discriminator = discriminator;
    opt->width = o->size[0];
    opt->height = o->size[1];
    opt->load_width = o->load_size[0];
    opt->load_height = o->load_size[1];
    opt->no_flip = o->no_flip;
    opt->replacement = o->authors || o->replacement;
    opt->steps_per_epoch = o->steps_per_epoch;
    opt->batch_size = o->batch;
    opt->cycle_weight = none_if_zero(o->cycle);
    opt->identity_weight = none_if_zero(o->identity);
    opt->pool_size = o->pool ? o->pool : -1;
    opt->order = o->authors ? EV_ORDER_AUTHORS : o->order;
    opt->classifier = r->classifier;
    opt->class_weight = r->classifier ? (float)o->class_weight : 0;
    opt->class_labels = r->classifier ? o->class_labels : 0;
    opt->learning_rate = (float)o->rate;
    opt->beta1 = none_if_zero(o->beta1);
    opt->epochs = o->epochs;
    opt->decay_epochs = o->decay_epochs > 0                  ? o->decay_epochs
                        : o->decay_epochs == 0 || o->authors ? -1
                                                             : 0;
    opt->seed = o->seed;
    opt->checkpoint_steps = o->checkpoint_steps;
}

/* ---- run.json -------------------------------------------------------------------------------- */

/* Options that may differ when a run goes on; what the command line says about them counts. */
static bool may_change(const char *name)
{
    static const char *const names[] = {"threads", "quiet",   "json",      "checkpoint-steps",
                                        "keep",    "samples", "log-steps", NULL};
    for (int i = 0; names[i]; i++) {
        if (!strcmp(names[i], name)) {
            return true;
        }
    }
    return false;
}

static bool is_saved(const gan_run *r, const option *o)
{
    return o->type != OPTION_HEADING && o->target != &r->opt.out && o->target != &r->opt.resume;
}

static void add_options(const gan_run *r, text *t)
{
    char value[PATH_SIZE];
    bool first = true;
    text_add(t, ",\n  \"options\": {");
    for (int i = 0; i < r->syntax->n_options; i++) {
        const option *o = &r->syntax->options[i];
        if (!is_saved(r, o)) {
            continue;
        }
        options_show(o, value, sizeof value);
        text_add(t, "%s\n    \"%s\": ", first ? "" : ",", o->name);
        if (o->type == OPTION_TEXT || o->type == OPTION_SIZE || o->type == OPTION_CHOICE) {
            text_json(t, value);
        } else {
            text_add(t, "%s", value);
        }
        first = false;
    }
    text_add(t, "\n  }");
}

int gan_save_json(const gan_run *r, const char *state)
{
    char path[PATH_SIZE];
    text t = {0};
    text_add(&t, "{\n  \"state\": \"%s\",\n  \"library\": \"%s\",\n", state, ev_version());
    text_add(&t, "  \"epochs_done\": %d,\n  \"steps_done\": %lld,\n",
             (int)(r->gan ? ev_cyclegan_epoch(r->gan) : 0),
             (long long)(r->gan ? ev_cyclegan_steps(r->gan) : 0));
    text_add(&t, "  \"parameters\": %lld,\n  \"memory_bytes\": %lld,\n", (long long)r->parameters,
             (long long)r->memory);
    for (int i = GAN_A; i <= GAN_B; i++) {
        text_add(&t, "  \"pictures_%c\": %d,\n  \"data_%c\": ", i ? 'b' : 'a',
                 (int)ev_dataset_size(r->sets[i]), i ? 'b' : 'a');
        text_json(&t, r->data[i]);
        text_add(&t, i == GAN_A ? ",\n" : "");
    }
    add_options(r, &t);
    text_add(&t, "\n}\n");
    return text_save(&t, gan_file(path, r, "run.json"));
}

void gan_state(const gan_run *r, char out[32])
{
    char path[PATH_SIZE];
    int code = 0;
    out[0] = '\0';
    if (file_exists(gan_file(path, r, "run.json"))) {
        char *json = text_load(path, EXIT_MODEL, &code);
        if (json) {
            json_find(json, "state", out, 32);
        }
        free(json);
    }
}

/* ---- going on with an earlier run ------------------------------------------------------------ */

static const char *keep_text(gan_run *r, const char *value)
{
    char *copy = r->n_texts < GAN_MAX_TEXTS ? strdup(value) : NULL;
    if (copy) {
        r->texts[r->n_texts++] = copy;
    }
    return copy;
}

/* One option as it was; with a command line beside it both must say the same. */
static int load_option(gan_run *r, const option *o, const char *old)
{
    char now[PATH_SIZE];
    options_show(o, now, sizeof now);
    if (!strcmp(now, old)) {
        return 0;
    }
    if (!r->opt.resume) {
        return fail(EXIT_USAGE,
                    "%s holds a run with --%s %s, not %s: choose another folder, or go on with "
                    "edgevision gan train --resume %s",
                    r->folder, o->name, *old ? old : "(none)", *now ? now : "(none)", r->folder);
    }
    if (o->type == OPTION_TEXT && !*old) {
        *(const char **)o->target = NULL;
        return 0;
    }
    const char *value = keep_text(r, old);
    if (!value) {
        return fail(EXIT_MEMORY, "out of memory");
    }
    return options_set(r->syntax, o->name, value)
               ? fail(EXIT_MODEL, "%s: run.json is damaged", r->folder)
               : 0;
}

static int load_data(gan_run *r, const char *json)
{
    char value[PATH_SIZE];
    for (int i = GAN_A; i <= GAN_B; i++) {
        if (!json_find(json, i ? "data_b" : "data_a", value, sizeof value)) {
            return fail(EXIT_MODEL, "%s: run.json is damaged", r->folder);
        }
        if (!r->opt.resume && strcmp(value, r->data[i]) != 0) {
            return fail(EXIT_USAGE,
                        "%s holds a run on %s, not on %s: choose another folder, or go on with "
                        "edgevision gan train --resume %s",
                        r->folder, value, r->data[i], r->folder);
        }
        r->data[i] = keep_text(r, value);
        if (!r->data[i]) {
            r->data[i] = "";
            return fail(EXIT_MEMORY, "out of memory");
        }
    }
    return 0;
}

int gan_load(gan_run *r)
{
    char path[PATH_SIZE], value[PATH_SIZE];
    int code = 0;
    char *json = text_load(gan_file(path, r, "run.json"), EXIT_MODEL, &code);
    if (!json) {
        return code;
    }
    const char *options = strstr(json, "\"options\":");
    if (!options || !strstr(json, "\"data_a\":")) {
        free(json);
        return fail(EXIT_MODEL, "%s: no run.json of edgevision gan train", r->folder);
    }
    code = load_data(r, json);
    for (int i = 0; i < r->syntax->n_options && !code; i++) {
        const option *o = &r->syntax->options[i];
        if (is_saved(r, o) && !may_change(o->name) &&
            json_find(options, o->name, value, sizeof value)) {
            code = load_option(r, o, value);
        }
    }
    free(json);
    return code;
}
