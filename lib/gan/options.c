/* SPDX-License-Identifier: MIT */
/* Options of a CycleGAN: read, filled in, checked; as a text for checkpoints, and back.  One table
 * of fields serves the check of ranges, the text and the parser.  Filled options are in the public
 * form: -1 says "explicitly none", so that they can be handed in again. */
#include "gan/gan.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

enum { INT, REAL, LONG };

typedef struct field {
    const char *key;
    size_t offset; /* in evi_gan_options */
    int32_t kind;
    int32_t in_text; /* decides about the result */
    double low, high;
} field;

#define AT(member) offsetof(evi_gan_options, member)
#define MOST 2147483647.0

static const field fields[] = {
    {"width", AT(o.width), INT, 1, 4, 65532},
    {"height", AT(o.height), INT, 1, 4, 65532},
    {"load_width", AT(o.load_width), INT, 1, 4, 65535},
    {"load_height", AT(o.load_height), INT, 1, 4, 65535},
    {"no_flip", AT(o.no_flip), INT, 1, 0, 1},
    {"replacement", AT(o.replacement), INT, 1, 0, 1},
    {"steps_per_epoch", AT(o.steps_per_epoch), INT, 1, 0, MOST},
    {"batch_size", AT(o.batch_size), INT, 1, 1, 4096},
    {"generator.channels", AT(g.channels), INT, 1, 1, 3},
    {"generator.n_blocks", AT(g.n_blocks), INT, 1, 1, 64},
    {"generator.base_width", AT(g.base_width), INT, 1, 1, 1024},
    {"generator.merge", AT(g.merge), INT, 1, 0, EV_MERGE_CONCAT},
    {"generator.padding", AT(g.padding), INT, 1, -1, EV_PAD_EDGE},
    {"generator.affine", AT(g.affine), INT, 1, 0, 1},
    {"generator.norm_last", AT(g.norm_last), INT, 1, 0, 1},
    {"generator.upsample", AT(g.upsample), INT, 1, 0, EV_UPSAMPLE_RESIZE},
    {"generator.block", AT(g.block), INT, 1, 0, EV_BLOCK_SEPARABLE},
    {"generator.init", AT(g.init), INT, 1, EV_INIT_HE, EV_INIT_UNIFORM},
    {"generator.init_value", AT(g.init_value), REAL, 1, -1e6, 1e6},
    {"discriminator.base_width", AT(d.base_width), INT, 1, 1, 1024},
    {"discriminator.n_layers", AT(d.n_layers), INT, 1, 1, 8},
    {"discriminator.affine", AT(d.affine), INT, 1, 0, 1},
    {"discriminator.authors", AT(d.authors), INT, 1, 0, 1},
    {"discriminator.init", AT(d.init), INT, 1, EV_INIT_HE, EV_INIT_UNIFORM},
    {"discriminator.init_value", AT(d.init_value), REAL, 1, -1e6, 1e6},
    {"adversarial_weight", AT(o.adversarial_weight), REAL, 1, 1e-9, 1e9},
    {"cycle_weight", AT(o.cycle_weight), REAL, 1, -1, 1e9},
    {"identity_weight", AT(o.identity_weight), REAL, 1, -1, 1e9},
    {"discriminator_weight", AT(o.discriminator_weight), REAL, 1, 1e-9, 1e9},
    {"pool_size", AT(o.pool_size), INT, 1, -1, 1000},
    {"order", AT(o.order), INT, 1, 0, EV_ORDER_AUTHORS},
    {"class_weight", AT(o.class_weight), REAL, 1, -1, 1e9},
    {"class_labels", AT(o.class_labels), INT, 1, 0, EV_LABELS_BOTH},
    {"learning_rate", AT(o.learning_rate), REAL, 1, 1e-12, 1e6},
    {"beta1", AT(o.beta1), REAL, 1, -1, 0.99999994},
    {"beta2", AT(o.beta2), REAL, 1, -1, 0.99999994},
    {"epochs", AT(o.epochs), INT, 1, 1, MOST},
    {"decay_epochs", AT(o.decay_epochs), INT, 1, -1, MOST},
    {"seed", AT(o.seed), LONG, 1, 0, 0},
    {"precise", AT(o.precise), INT, 1, 0, 1},
    {"checkpoint_epochs", AT(o.checkpoint_epochs), INT, 0, -1, MOST},
    {"checkpoint_steps", AT(o.checkpoint_steps), INT, 0, 0, MOST},
};

static double number(const evi_gan_options *o, const field *f)
{
    const char *at = (const char *)o + f->offset;
    int32_t whole = 0;
    float real = 0;
    if (f->kind == REAL) {
        memcpy(&real, at, sizeof(real));
        return (double)real;
    }
    memcpy(&whole, at, sizeof(whole));
    return whole;
}

/* ---- read ---------------------------------------------------------------------------------- */

static void int_default(int32_t *x, int32_t otherwise)
{
    *x = *x == 0 ? otherwise : *x < 0 ? -1 : *x;
}

static void real_default(float *x, float otherwise)
{
    *x = *x == 0 ? otherwise : *x < 0 ? -1 : *x;
}

static void network_defaults(evi_gan_options *o)
{
    ev_generator_options *g = &o->g;
    ev_discriminator_options *d = &o->d;
    g->image_width = d->image_width = o->o.width;
    g->image_height = d->image_height = o->o.height;
    g->channels = g->channels == 0 ? 3 : g->channels;
    d->channels = d->channels == 0 ? g->channels : d->channels;
    g->n_blocks = g->n_blocks == 0 ? 6 : g->n_blocks;
    g->base_width = g->base_width == 0 ? 64 : g->base_width;
    g->padding = g->padding == 0 ? EV_PAD_REFLECT : g->padding;
    g->affine = g->affine != 0;
    g->norm_last = g->norm_last != 0;
    g->init = g->init == 0 ? EV_INIT_NORMAL : g->init;
    g->init_value = g->init_value == 0 ? 0.02f : g->init_value;
    d->base_width = d->base_width == 0 ? 64 : d->base_width;
    d->n_layers = d->n_layers == 0 ? 3 : d->n_layers;
    d->affine = d->affine != 0;
    d->authors = d->authors != 0;
    d->init = d->init == 0 ? EV_INIT_NORMAL : d->init;
    d->init_value = d->init_value == 0 ? 0.02f : d->init_value;
}

static void defaults(ev_cyclegan_options *o)
{
    o->width = o->width == 0 ? 256 : o->width;
    o->height = o->height == 0 ? o->width : o->height;
    o->load_width = o->load_width == 0 ? o->width : o->load_width;
    o->load_height = o->load_height == 0 ? o->height : o->load_height;
    o->no_flip = o->no_flip != 0;
    o->replacement = o->replacement != 0;
    o->batch_size = o->batch_size == 0 ? 1 : o->batch_size;
    o->adversarial_weight = o->adversarial_weight == 0 ? 1 : o->adversarial_weight;
    real_default(&o->cycle_weight, 10);
    real_default(&o->identity_weight, 5);
    o->discriminator_weight = o->discriminator_weight == 0 ? 0.5f : o->discriminator_weight;
    int_default(&o->pool_size, 50);
    real_default(&o->class_weight, 1);
    if (!isnan(o->class_weight) && (o->classifier == NULL || o->class_weight < 0)) {
        o->classifier = NULL;
        o->class_weight = -1;
        o->class_labels = 0;
    }
    o->learning_rate = o->learning_rate == 0 ? 2e-4f : o->learning_rate;
    real_default(&o->beta1, 0.5f);
    real_default(&o->beta2, 0.999f);
    o->epochs = o->epochs == 0 ? 200 : o->epochs;
    int_default(&o->decay_epochs, o->epochs / 2 > 0 ? o->epochs / 2 : -1);
    o->seed = o->seed == 0 ? 1 : o->seed;
    o->precise = o->precise != 0;
    int_default(&o->checkpoint_epochs, 1);
    o->checkpoint_steps = EVI_MAX(o->checkpoint_steps, 0);
}

static ev_status check_ranges(const evi_gan_options *o, const char *function)
{
    for (int32_t i = 0; i < EVI_COUNT(fields); i++) {
        const field *f = &fields[i];
        double x = f->kind == LONG ? 0 : number(o, f);
        if (!(x >= f->low && x <= f->high)) /* also a NaN */
            return evi_fail(EV_ERR_ARGUMENT,
                            "%s: %s is %g; choose a number in %g..%g, or 0 for the default",
                            function, f->key, x, f->low, f->high);
    }
    return EV_OK;
}

static ev_status check_sizes(const evi_gan_options *o, const char *function)
{
    const ev_cyclegan_options *c = &o->o;
    if (c->width % 4 != 0 || c->height % 4 != 0)
        return evi_fail(EV_ERR_SHAPE,
                        "%s: width x height %dx%d: both must be divisible by 4; "
                        "%dx%d would do",
                        function, (int)c->width, (int)c->height, (int)(c->width + 3) / 4 * 4,
                        (int)(c->height + 3) / 4 * 4);
    if (c->load_width < c->width || c->load_height < c->height)
        return evi_fail(EV_ERR_ARGUMENT,
                        "%s: pictures loaded at %dx%d (load_width, load_height) "
                        "have no part of %dx%d; load them larger",
                        function, (int)c->load_width, (int)c->load_height, (int)c->width,
                        (int)c->height);
    if (c->decay_epochs > c->epochs)
        return evi_fail(EV_ERR_ARGUMENT, "%s: decay_epochs is %d of %d epochs; choose fewer",
                        function, (int)c->decay_epochs, (int)c->epochs);
    if (o->g.channels == 2)
        return evi_fail(EV_ERR_ARGUMENT, "%s: generator.channels is 2; pictures have 1 or 3",
                        function);
    if (o->d.channels != o->g.channels)
        return evi_fail(EV_ERR_ARGUMENT,
                        "%s: discriminator.channels is %d, the generator's "
                        "pictures have %d; leave it at 0",
                        function, (int)o->d.channels, (int)o->g.channels);
    return EV_OK;
}

static ev_status check_classifier(const evi_gan_options *o, const char *function)
{
    int64_t input[3];
    int32_t n = 0;
    ev_model *m = o->o.classifier;
    if (m == NULL)
        return EV_OK;
    EVI_TRY(evi_check_handle(m, EVI_MAGIC_MODEL, function, "classifier"));
    EVI_TRY(evi_classifier_shape(m, function, input, &n));
    if (input[0] != o->g.channels)
        return evi_fail(EV_ERR_SHAPE,
                        "%s: the classifier sees pictures of %d channels, the "
                        "generators make %d (generator.channels)",
                        function, (int)input[0], (int)o->g.channels);
    const evi_value *end = &m->values[m->outputs[0].value];
    const evi_op *op = end->kind == EVI_VALUE_NODE ? m->nodes[end->index].op : NULL;
    if (op != NULL && (strcmp(op->name, "softmax") == 0 || strcmp(op->name, "log_softmax") == 0))
        return evi_fail(EV_ERR_SHAPE,
                        "%s: the classifier's output '%s' is a %s; give one that "
                        "ends with the logits before it",
                        function, m->outputs[0].name, op->name);
    if (m->store->n_params > 0 && !m->store->ready)
        return evi_fail(EV_ERR_STATE, "%s: the classifier has no weights; train or load it first",
                        function);
    return EV_OK;
}

ev_status evi_gan_options_read(const ev_cyclegan_options *opt, const char *function,
                               evi_gan_options *out)
{
    ev_cyclegan_options *o = &out->o;
    EVI_TRY(evi_options_read(o, (uint32_t)sizeof(*o), opt, function));
    EVI_TRY(evi_options_read(&out->g, (uint32_t)sizeof(out->g), o->generator, function));
    EVI_TRY(evi_options_read(&out->d, (uint32_t)sizeof(out->d), o->discriminator, function));
    if (o->checkpoint != NULL && o->checkpoint[0] == '\0')
        return evi_fail(EV_ERR_ARGUMENT,
                        "%s: checkpoint is an empty path; name a file, or leave "
                        "it NULL",
                        function);
    defaults(o);
    network_defaults(out);
    o->generator = &out->g;
    o->discriminator = &out->d;
    EVI_TRY(check_ranges(out, function));
    EVI_TRY(check_sizes(out, function));
    return check_classifier(out, function);
}

/* ---- the text ------------------------------------------------------------------------------ */

/* Of names and numbers of all weights of the classifier: another one trains other generators. */
static ev_status classifier_crc(const ev_model *m, uint32_t *out)
{
    evi_store **stores = NULL;
    int32_t n = 0;
    *out = 0;
    if (m == NULL)
        return EV_OK;
    EVI_TRY(evi_model_stores(m, &stores, &n));
    for (int32_t s = 0; s < n; s++)
        for (int32_t i = 0; i < stores[s]->n_params; i++) {
            const evi_param *p = &stores[s]->params[i];
            *out = evi_crc32c(*out, p->name, strlen(p->name));
            *out = evi_crc32c(*out, evi_store_data(stores[s], i),
                              (uint64_t)p->count * sizeof(evi_real));
        }
    evi_free(stores);
    return EV_OK;
}

void evi_gan_options_text(evi_text *text, const evi_gan_options *o, bool split)
{
    uint32_t crc = 0;
    for (int32_t i = 0; i < EVI_COUNT(fields); i++) {
        const field *f = &fields[i];
        if (!f->in_text)
            continue;
        evi_text_add(text, "%s=", f->key);
        if (f->kind == LONG)
            evi_text_add(text, "%lld", (long long)o->o.seed);
        else if (number(o, f) == floor(number(o, f)) && fabs(number(o, f)) <= MOST)
            evi_text_add(text, "%lld", (long long)number(o, f)); /* 10, not 1e+01 */
        else
            evi_text_double(text, number(o, f));
        evi_text_add(text, ";");
    }
    /* of fixed widths, so that the memory for this text is known beforehand */
    if (text->status == EV_OK)
        text->status = classifier_crc(o->o.classifier, &crc);
    evi_text_add(text, "classifier=%08x;", (unsigned)crc);
    evi_text_add(text, "max_bytes=%lld;", split ? (long long)o->o.max_bytes : 0LL);
}

/* ---- and back ------------------------------------------------------------------------------ */

static ev_status strange(const char *path, const char *key, int32_t length)
{
    return evi_fail(EV_ERR_FORMAT, "%s: its options are damaged at '%.*s'; take another file", path,
                    EVI_MIN((int)length, 64), key);
}

static const field *find(const char *key, uint64_t length)
{
    for (int32_t i = 0; i < EVI_COUNT(fields); i++)
        if (fields[i].in_text && strlen(fields[i].key) == length &&
            memcmp(fields[i].key, key, (size_t)length) == 0)
            return &fields[i];
    return NULL;
}

static bool set(evi_gan_options *o, const field *f, const char *text, uint64_t length)
{
    char *to = (char *)o + f->offset;
    int64_t whole = 0;
    double real = 0;
    if (f->kind == REAL) {
        if (!evi_parse_double(text, length, &real))
            return false;
        float single = (float)real;
        memcpy(to, &single, sizeof(single));
        return true;
    }
    if (f->kind == LONG) {
        if (!evi_parse_int(text, length, &whole))
            return false;
        memcpy(to, &whole, sizeof(whole));
        return true;
    }
    if (!evi_parse_double(text, length, &real) || real != floor(real) || fabs(real) > MOST)
        return false;
    int32_t small = (int32_t)real;
    memcpy(to, &small, sizeof(small));
    return true;
}

ev_status evi_gan_options_parse(const char *text, const char *path, evi_gan_options *out)
{
    int32_t n = 0, n_fields = 0;
    int64_t max_bytes = 0;
    *out = (evi_gan_options){.o.struct_size = sizeof(out->o),
                             .g.struct_size = sizeof(out->g),
                             .d.struct_size = sizeof(out->d)};
    for (int32_t i = 0; i < EVI_COUNT(fields); i++)
        n_fields += fields[i].in_text;
    for (const char *at = text, *end = NULL; *at != '\0'; at = end + 1) {
        const char *equals = strchr(at, '=');
        end = strchr(at, ';');
        if (equals == NULL || end == NULL || equals > end)
            return strange(path, at, (int32_t)strlen(at));
        const field *f = find(at, (uint64_t)(equals - at));
        const char *value = equals + 1;
        uint64_t length = (uint64_t)(end - value);
        bool is_bytes = strncmp(at, "max_bytes=", 10) == 0;
        if ((f != NULL && !set(out, f, value, length)) ||
            (is_bytes && !evi_parse_int(value, length, &max_bytes)))
            return strange(path, at, (int32_t)(end - at));
        n += f != NULL;
    }
    if (n != n_fields)
        return evi_fail(EV_ERR_FORMAT, "%s: %d of %d options are there; take another file", path,
                        (int)n, (int)n_fields);
    out->o.max_bytes = (uint64_t)max_bytes;
    network_defaults(out);
    out->o.generator = &out->g;
    out->o.discriminator = &out->d;
    EVI_TRY(check_ranges(out, path));
    return check_sizes(out, path);
}
