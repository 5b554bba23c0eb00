/* SPDX-License-Identifier: MIT */
/* Notes that travel with a model, and the ends of the graph as the caller sees them. */
#include "graph/graph.h"
#include <stdio.h>
#include <string.h>

#define KEY_PREPROCESS "edgevision.preprocess"

/* ---- free-form notes ------------------------------------------------------------------------- */

static evi_meta *find_meta(const ev_model *m, const char *key)
{
    for (int32_t i = 0; i < m->n_meta; i++)
        if (strcmp(m->meta[i].key, key) == 0)
            return &m->meta[i];
    return NULL;
}

static void remove_meta(ev_model *m, evi_meta *entry)
{
    evi_free(entry->key);
    evi_free(entry->value);
    *entry = m->meta[--m->n_meta];
}

static ev_status add_meta(ev_model *m, const char *key, char *value)
{
    if (m->n_meta == m->cap_meta) {
        int32_t more = m->cap_meta ? 2 * m->cap_meta : 8;
        EVI_TRY(evi_realloc(m->handle.ctx, (uint64_t)more, sizeof(evi_meta), &m->meta));
        m->cap_meta = more;
    }
    evi_meta *entry = &m->meta[m->n_meta];
    EVI_TRY(evi_strdup(m->handle.ctx, key, &entry->key));
    entry->value = value;
    m->n_meta++;
    return EV_OK;
}

ev_status ev_model_set_meta(ev_model *model, const char *key, const char *value)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_POINTER(key);
    if (key[0] == '\0' || strlen(key) > EVI_MAX_NAME)
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_set_meta: a key has 1 to %d bytes",
                        EVI_MAX_NAME);
    evi_meta *entry = find_meta(model, key);
    if (value == NULL) {
        if (entry != NULL)
            remove_meta(model, entry);
        return EV_OK;
    }
    char *copy = NULL;
    EVI_TRY(evi_strdup(model->handle.ctx, value, &copy));
    if (entry != NULL) {
        evi_free(entry->value);
        entry->value = copy;
        return EV_OK;
    }
    ev_status status = add_meta(model, key, copy);
    if (status != EV_OK)
        evi_free(copy);
    return status;
}

const char *ev_model_meta(const ev_model *model, const char *key)
{
    if (key == NULL || evi_check_handle(model, EVI_MAGIC_MODEL, __func__, "model") != EV_OK)
        return NULL;
    const evi_meta *entry = find_meta(model, key);
    return entry == NULL ? NULL : entry->value;
}

const char *ev_model_meta_key(const ev_model *model, int32_t index)
{
    if (evi_check_handle(model, EVI_MAGIC_MODEL, __func__, "model") != EV_OK)
        return NULL;
    return index < 0 || index >= model->n_meta ? NULL : model->meta[index].key;
}

/* ---- classes: one note each, "edgevision.class.0" ... ---------------------------------------- */

static const char *class_key(int32_t index, char key[64])
{
    snprintf(key, 64, "edgevision.class.%d", (int)index);
    return key;
}

ev_status ev_model_set_classes(ev_model *model, const char *const *names, int32_t n)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    if (n < 0 || (n > 0 && names == NULL))
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_set_classes: %d names", (int)n);
    for (int32_t i = 0; i < n; i++)
        if (names[i] == NULL || names[i][0] == '\0' || strchr(names[i], '\n') != NULL)
            return evi_fail(EV_ERR_ARGUMENT,
                            "ev_model_set_classes: name %d is empty or has a newline", (int)i);
    char key[64];
    for (int32_t i = ev_model_n_classes(model) - 1; i >= n; i--)
        EVI_TRY(ev_model_set_meta(model, class_key(i, key), NULL));
    for (int32_t i = 0; i < n; i++)
        EVI_TRY(ev_model_set_meta(model, class_key(i, key), names[i]));
    return EV_OK;
}

const char *ev_model_class_name(const ev_model *model, int32_t index)
{
    char key[64];
    return index < 0 ? NULL : ev_model_meta(model, class_key(index, key));
}

int32_t ev_model_n_classes(const ev_model *model)
{
    int32_t n = 0;
    while (ev_model_class_name(model, n) != NULL)
        n++;
    return n;
}

/* ---- what to do to pictures ------------------------------------------------------------------ */

ev_status ev_model_set_preprocess(ev_model *model, const ev_preprocess *preprocess)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_POINTER(preprocess);
    ev_preprocess p;
    EVI_OPTIONS_READ(&p, preprocess);
    EVI_CHECK_RESERVED(p.reserved, __func__);
    if (p.width < 0 || p.width > 65535 || p.height < 0 || p.height > 65535 || p.resize < 0 ||
        p.resize > 3) /* EV_RESIZE_BICUBIC, which this folder does not know */
        return evi_fail(EV_ERR_ARGUMENT, "ev_model_set_preprocess: width %d, height %d, resize %d",
                        (int)p.width, (int)p.height, (int)p.resize);
    for (int32_t c = 0; c < 3; c++)
        if (!(p.std[c] >= 0) || !(p.mean[c] > -1e6f && p.mean[c] < 1e6f))
            return evi_fail(EV_ERR_ARGUMENT, "ev_model_set_preprocess: mean %g, std %g",
                            (double)p.mean[c], (double)p.std[c]);
    evi_text t;
    evi_text_start(&t, model->handle.ctx);
    evi_text_add(&t, "%d %d %d %d", (int)p.width, (int)p.height, (int)p.bgr, (int)p.resize);
    for (int32_t i = 0; i < 6; i++) {
        evi_text_add(&t, " ");
        evi_text_double(&t, (double)(i < 3 ? p.mean[i] : p.std[i - 3]));
    }
    ev_status status = t.status;
    if (status == EV_OK)
        status = ev_model_set_meta(model, KEY_PREPROCESS, t.data);
    evi_text_end(&t);
    return status;
}

/* Numbers separated by blanks; how many were read. */
static int32_t read_numbers(const char *text, double *out, int32_t n)
{
    int32_t got = 0;
    while (got < n) {
        text += strspn(text, " ");
        size_t length = strcspn(text, " ");
        if (length == 0 || !evi_parse_double(text, length, &out[got]))
            break;
        text += length;
        got++;
    }
    return got;
}

static int32_t whole(double x)
{
    return x >= 0 && x <= 65535 ? (int32_t)x : 0;
}

ev_status ev_model_preprocess(const ev_model *model, ev_preprocess *out)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_POINTER(out);
    ev_preprocess p = {.struct_size = sizeof p, .std = {1, 1, 1}};
    double x[10] = {0};
    const char *note = ev_model_meta(model, KEY_PREPROCESS);
    if (note != NULL && read_numbers(note, x, 10) == 10) {
        p.width = whole(x[0]);
        p.height = whole(x[1]);
        p.bgr = x[2] != 0;
        p.resize = whole(x[3]);
        for (int32_t c = 0; c < 3; c++) {
            p.mean[c] = (float)x[4 + c];
            p.std[c] = x[7 + c] > 0 ? (float)x[7 + c] : 1.0f;
        }
    }
    int64_t dims[EV_MAX_RANK];
    if (ev_model_n_inputs(model) > 0 && ev_model_input_dims(model, 0, dims) == 4) {
        p.height = p.height > 0 ? p.height : (int32_t)dims[2];
        p.width = p.width > 0 ? p.width : (int32_t)dims[3];
    }
    return evi_options_write(out, &p, sizeof p, __func__);
}

/* ---- ends ------------------------------------------------------------------------------------ */

int32_t ev_model_n_inputs(const ev_model *model)
{
    return evi_check_handle(model, EVI_MAGIC_MODEL, __func__, "model") == EV_OK ? model->n_inputs
                                                                                : 0;
}

int32_t ev_model_n_outputs(const ev_model *model)
{
    return evi_check_handle(model, EVI_MAGIC_MODEL, __func__, "model") == EV_OK ? model->n_outputs
                                                                                : 0;
}

const char *ev_model_input_name(const ev_model *model, int32_t index)
{
    return index < 0 || index >= ev_model_n_inputs(model) ? NULL : model->inputs[index].name;
}

const char *ev_model_output_name(const ev_model *model, int32_t index)
{
    return index < 0 || index >= ev_model_n_outputs(model) ? NULL : model->outputs[index].name;
}

int32_t ev_model_value_dims(const ev_model *model, ev_value value, int64_t *dims_out)
{
    if (dims_out == NULL || evi_check_handle(model, EVI_MAGIC_MODEL, __func__, "model") != EV_OK ||
        evi_model_check_value(model, value, __func__) != EV_OK)
        return -1;
    const evi_shape *s = &model->values[value].edge.shape;
    for (int32_t i = 0; i < s->rank; i++)
        dims_out[i] = s->dim[i];
    return s->rank;
}

int32_t ev_model_input_dims(const ev_model *model, int32_t index, int64_t *dims_out)
{
    if (index < 0 || index >= ev_model_n_inputs(model))
        return -1;
    const evi_port *port = &model->inputs[index];
    int32_t rank = ev_model_value_dims(model, port->value, dims_out);
    for (int32_t i = 0; i < rank; i++)
        if (port->dynamic >> i & 1)
            dims_out[i] = -1;
    return rank;
}

int32_t ev_model_output_dims(const ev_model *model, int32_t index, int64_t *dims_out)
{
    if (index < 0 || index >= ev_model_n_outputs(model))
        return -1;
    int32_t rank = ev_model_value_dims(model, model->outputs[index].value, dims_out);
    bool any_batch = model->n_inputs > 0 && (model->inputs[0].dynamic & 1);
    if (rank > 0 && any_batch && dims_out[0] == 1)
        dims_out[0] = -1;
    return rank;
}
