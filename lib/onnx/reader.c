/* SPDX-License-Identifier: MIT */
/* An ONNX file into a model: all is drawn through the ordinary builder, which checks shapes. */
#include "onnx/onnx.h"

#include <stdio.h>
#include <string.h>

#define MAP_LEAST ((uint64_t)1 << 20) /* smaller files are read: a page table costs as much */

typedef struct reader {
    ev_context *ctx;
    const ev_load_options *opt;
    evi_onnx_file file;
    evi_onnx_names tensors; /* names of initializers to their numbers */
    evi_onnx_names values;  /* names to values of the model */
    evi_mapping *map;       /* the file, when it is mapped */
    ev_model *model;
    evi_onnx_draw *draw;
    int64_t free_size, free_channels; /* for dimensions that the file leaves open */
    bool has_free;
} reader;

/* ---- names ----------------------------------------------------------------------------------- */

static ev_status copy_name(evi_span from, const char *what, char *to)
{
    char text[EVI_SPAN_TEXT];
    if (from.n == 0 || from.n > EVI_MAX_NAME || memchr(from.at, 0, from.n) != NULL)
        return evi_fail(EV_ERR_FORMAT, "%s '%s': a name has 1 to %d bytes, none of them zero", what,
                        evi_span_text(from, text), EVI_MAX_NAME);
    memcpy(to, from.at, from.n);
    to[from.n] = '\0';
    return EV_OK;
}

static ev_status define(reader *r, evi_span name, int32_t value)
{
    char text[EVI_SPAN_TEXT];
    bool known;
    EVI_TRY(evi_onnx_names_add(&r->values, name, value, &known));
    if (known)
        return evi_fail(EV_ERR_FORMAT, "two values are named '%s'", evi_span_text(name, text));
    return EV_OK;
}

static ev_status index_tensors(reader *r)
{
    char text[EVI_SPAN_TEXT];
    EVI_TRY(evi_onnx_names_start(&r->tensors, r->ctx, (uint64_t)r->file.n_tensors));
    for (int32_t i = 0; i < r->file.n_tensors; i++) {
        bool known;
        EVI_TRY(evi_onnx_names_add(&r->tensors, r->file.tensors[i].name, i, &known));
        if (known)
            return evi_fail(EV_ERR_FORMAT, "two initializers are named '%s'",
                            evi_span_text(r->file.tensors[i].name, text));
    }
    return EV_OK;
}

/* ---- what cannot be read: all of it is told at once ------------------------------------------ */

static bool supported(const evi_onnx_node *node)
{
    if (node->domain.n != 0 && !evi_span_is(node->domain, "ai.onnx"))
        return false;
    return !node->has_graph && (evi_span_is(node->op, "Constant") || evi_onnx_op(node->op) != NULL);
}

static ev_status check_operators(reader *r)
{
    char name[EVI_SPAN_TEXT], op[EVI_SPAN_TEXT], domain[EVI_SPAN_TEXT], line[400];
    size_t used = 0;
    int32_t n = 0;
    for (int32_t i = 0; i < r->file.n_nodes; i++) {
        const evi_onnx_node *node = &r->file.nodes[i];
        if (supported(node))
            continue;
        bool foreign = node->domain.n != 0;
        evi_span_text(node->name, name);
        evi_span_text(node->op, op);
        evi_span_text(node->domain, domain);
        evi_log(r->ctx, EV_LOG_WARNING, "node %d '%s': operator %s%s%s is not supported", (int)i,
                name, foreign ? domain : "", foreign ? "." : "", op);
        if (used < sizeof(line))
            used += (size_t)snprintf(line + used, sizeof(line) - used, "%s'%s' (%s%s%s)",
                                     n > 0 ? ", " : "", name, foreign ? domain : "",
                                     foreign ? "." : "", op);
        n++;
    }
    if (n == 0)
        return EV_OK;
    return evi_fail(EV_ERR_UNSUPPORTED, "%d node%s with operators that are not supported: %s",
                    (int)n, n == 1 ? "" : "s", line);
}

/* ---- inputs ---------------------------------------------------------------------------------- */

static const ev_tensor *bound_to(const reader *r, const char *name)
{
    for (int32_t i = 0; i < r->opt->n_bound; i++)
        if (strcmp(r->opt->bound_names[i], name) == 0)
            return r->opt->bound_values[i];
    return NULL;
}

/* Sizes with which a file of ours was drawn: "1x3x224x224;1x10". */
static void read_nominal(evi_span note, int32_t input, int64_t *dims, int32_t rank)
{
    uint64_t i = 0;
    for (; input > 0 && i < note.n; i++)
        input -= note.at[i] == ';';
    for (int32_t d = 0; d < rank && i < note.n && note.at[i] != ';'; d++) {
        uint64_t start = i;
        int64_t size = 0;
        while (i < note.n && note.at[i] != 'x' && note.at[i] != ';')
            i++;
        if (evi_parse_int(note.at + start, i - start, &size) && size >= 0 && size <= 1 << 24)
            dims[d] = size;
        i += i < note.n && note.at[i] == 'x';
    }
}

static void nominal_sizes(reader *r, const evi_onnx_port *port, int32_t number, int64_t *dims)
{
    for (int32_t d = 0; d < port->rank; d++)
        dims[d] = d == 0 ? 1 : d == 1 && port->rank > 2 ? r->free_channels : r->free_size;
    evi_span note = evi_onnx_meta_find(&r->file, EVI_META_NOMINAL);
    if (note.at != NULL)
        read_nominal(note, number, dims, port->rank);
    for (int32_t d = 1; d < port->rank; d++)
        r->has_free = r->has_free || (port->dims[d] == -1 && note.at == NULL);
}

static ev_status bind_input(reader *r, const evi_onnx_port *port, const char *name,
                            const ev_tensor *tensor, int32_t *out)
{
    EVI_CHECK_HANDLE(tensor, EVI_MAGIC_TENSOR);
    bool fits = tensor->type == port->type && tensor->shape.rank == port->rank;
    for (int32_t d = 0; fits && d < port->rank; d++)
        fits = port->dims[d] == -1 || port->dims[d] == tensor->shape.dim[d];
    if (!fits)
        return evi_fail(EV_ERR_SHAPE, "the tensor to bind to input '%s' has another type or shape",
                        name);
    return evi_model_add_constant(r->model, name, tensor->type, &tensor->shape, tensor->data, out);
}

static ev_status draw_input(reader *r, evi_onnx_port port, int32_t number)
{
    char name[EVI_MAX_NAME + 1];
    int32_t value = EV_NO_VALUE;
    EVI_TRY(copy_name(port.name, "input", name));
    if (port.type == 0)
        return evi_fail(EV_ERR_UNSUPPORTED, "input '%s': element type %d", name,
                        (int)port.onnx_type);
    if (!port.has_shape)
        return evi_fail(EV_ERR_UNSUPPORTED, "input '%s': the file does not say its shape", name);
    const ev_tensor *bound = bound_to(r, name);
    if (bound != NULL) {
        EVI_TRY(bind_input(r, &port, name, bound, &value));
        return define(r, port.name, value);
    }
    int64_t nominal[EV_MAX_RANK];
    for (int32_t d = 0; d < port.rank; d++)
        port.dims[d] = port.dims[d] == 0 ? -1 : port.dims[d]; /* old exporters wrote 0 for "any" */
    nominal_sizes(r, &port, number, nominal);
    EVI_TRY(evi_model_add_input(r->model, name, port.type, port.rank, port.dims, nominal, &value));
    return define(r, port.name, value);
}

static ev_status draw_inputs(reader *r)
{
    int32_t n = 0;
    for (int32_t i = 0; i < r->file.n_inputs; i++) {
        /* Files of the first versions list weights among the inputs. */
        if (evi_onnx_names_find(&r->tensors, r->file.inputs[i].name) != NULL)
            continue;
        if (n == EVI_ONNX_MAX_PORTS)
            return evi_fail(EV_ERR_UNSUPPORTED, "more than %d inputs", EVI_ONNX_MAX_PORTS);
        EVI_TRY(draw_input(r, r->file.inputs[i], n++));
    }
    return EV_OK;
}

/* ---- initializers ---------------------------------------------------------------------------- */

static ev_status draw_param(reader *r, evi_onnx_tensor *t)
{
    char name[EVI_MAX_NAME + 1];
    EVI_TRY(copy_name(t->name, "weight", name));
    int64_t first = t->shape.rank > 0 ? t->shape.dim[0] : 1;
    evi_param p = {.name = name,
                   .shape = t->shape,
                   .trainable = t->role != EVI_ROLE_STATISTIC,
                   .frozen = t->role == EVI_ROLE_FROZEN,
                   .init = t->init,
                   .init_value = t->init_value,
                   .fan_out = first,
                   .fan_in = t->count / EVI_MAX(first, 1)};
    if (t->shape.rank > 2) /* fan-out counts the kernel's area too */
        p.fan_out = first * (p.fan_in / EVI_MAX(t->shape.dim[1], 1));
    return evi_model_add_param(r->model, &p, &t->value);
}

static ev_status draw_constant(reader *r, evi_onnx_tensor *t)
{
    ev_tensor *elements = NULL;
    char name[EVI_SPAN_TEXT];
    EVI_TRY(evi_onnx_tensor_load(r->ctx, t, &elements));
    ev_status status = evi_model_add_constant(r->model, evi_span_text(t->name, name), t->type,
                                              &t->shape, elements->data, &t->value);
    ev_tensor_destroy(elements);
    return status;
}

static ev_status draw_tensors(reader *r)
{
    int32_t n_params = 0;
    for (int32_t i = 0; i < r->file.n_tensors; i++) {
        evi_onnx_tensor *t = &r->file.tensors[i];
        bool weight = t->role == EVI_ROLE_PARAM || t->role == EVI_ROLE_FROZEN ||
                      t->role == EVI_ROLE_STATISTIC;
        t->value = EV_NO_VALUE;
        if (t->role == EVI_ROLE_NONE)
            continue;
        if (weight && ++n_params > EVI_ONNX_MAX_PARAMS)
            return evi_fail(EV_ERR_UNSUPPORTED, "more than %d weight tensors", EVI_ONNX_MAX_PARAMS);
        if (weight)
            EVI_TRY(draw_param(r, t));
        else if (t->role != EVI_ROLE_IMPLIED)
            EVI_TRY(draw_constant(r, t));
        EVI_TRY(define(r, t->name, t->value));
    }
    return EV_OK;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static ev_status find_inputs(reader *r, evi_onnx_draw *d)
{
    char text[EVI_SPAN_TEXT];
    evi_wire body = d->node->body;
    evi_field f;
    d->n_in = 0;
    while (evi_wire_next(&body, &f) > 0) {
        if (f.number != NODE_INPUT)
            continue;
        evi_span name = evi_wire_span(&f.body);
        const int32_t *value = name.n == 0 ? NULL : evi_onnx_names_find(&r->values, name);
        if (name.n != 0 && value == NULL)
            return evi_fail(EV_ERR_FORMAT, "input '%s' is not made by anything before it",
                            evi_span_text(name, text));
        if (d->n_in == EVI_ONNX_MAX_ARGS)
            return evi_fail(EV_ERR_FORMAT, "the file changes while it is read");
        d->in[d->n_in++] = value == NULL ? EV_NO_VALUE : *value;
    }
    return EV_OK;
}

static ev_status name_outputs(reader *r, evi_onnx_draw *d)
{
    char text[EVI_MAX_NAME + 1];
    evi_wire body = d->node->body;
    evi_field f;
    for (int32_t i = 0; evi_wire_next(&body, &f) > 0;) {
        if (f.number != NODE_OUTPUT)
            continue;
        evi_span name = evi_wire_span(&f.body);
        if (name.n > 0 && i < d->n_out) {
            EVI_TRY(copy_name(name, "value", text));
            EVI_TRY(define(r, name, d->out[i]));
            evi_model_set_value_name(r->model, d->out[i], text);
        }
        i++;
    }
    return EV_OK;
}

/* Constant with numbers in its attributes; one with a tensor was drawn with the initializers. */
static ev_status draw_constant_node(reader *r, evi_onnx_draw *d)
{
    evi_wire body = d->node->body;
    evi_field f;
    evi_onnx_attr attr = {0};
    while (evi_wire_next(&body, &f) > 0)
        if (f.number == NODE_ATTRIBUTE)
            EVI_TRY(evi_onnx_attr_parse(f.body, &attr));
    int64_t ints[EVI_ONNX_MAX_ARGS];
    float floats[EVI_ONNX_MAX_ARGS];
    evi_real reals[EVI_ONNX_MAX_ARGS];
    int32_t n = 1, type = EV_TYPE_INT64;
    evi_shape shape = {0};
    ints[0] = attr.i;
    floats[0] = attr.f;
    if (attr.type == ATTR_TYPE_FLOAT || attr.type == ATTR_TYPE_FLOATS)
        type = EV_TYPE_FLOAT32;
    else if (attr.type != ATTR_TYPE_INT && attr.type != ATTR_TYPE_INTS)
        return evi_fail(EV_ERR_UNSUPPORTED, "a constant that is not of numbers");
    if (attr.type == ATTR_TYPE_INTS)
        EVI_TRY(evi_onnx_attr_ints(&attr, ints, EVI_ONNX_MAX_ARGS, &n));
    if (attr.type == ATTR_TYPE_FLOATS)
        EVI_TRY(evi_onnx_attr_floats(&attr, floats, EVI_ONNX_MAX_ARGS, &n));
    for (int32_t i = 0; i < n && type == EV_TYPE_FLOAT32; i++)
        reals[i] = (evi_real)floats[i];
    if (attr.type == ATTR_TYPE_INTS || attr.type == ATTR_TYPE_FLOATS)
        shape = (evi_shape){.rank = 1, .dim = {n}};
    const void *data = type == EV_TYPE_INT64 ? (const void *)ints : (const void *)reals;
    d->n_out = 1;
    return evi_model_add_constant(r->model, NULL, type, &shape, data, &d->out[0]);
}

static ev_status add_node(reader *r, evi_onnx_draw *d)
{
    d->op = evi_onnx_op(d->node->op);
    EVI_TRY(evi_onnx_attrs_read(d->node, r->file.opset, &d->a));
    EVI_TRY(find_inputs(r, d));
    EVI_TRY(evi_onnx_adapt(d));
    while (d->n_in > 0 && d->in[d->n_in - 1] == EV_NO_VALUE)
        d->n_in--;
    /* a name longer than ours may be is no fault of a value: it is cut */
    uint64_t length = EVI_MIN(d->node->name.n, EVI_MAX_NAME);
    memcpy(d->name, d->node->name.n > 0 ? d->node->name.at : "", (size_t)length);
    d->name[length] = '\0';
    return evi_model_add(r->model, d->op, &d->a, d->name, d->in, d->n_in, d->out, d->n_out);
}

static ev_status draw_node(reader *r, const evi_onnx_node *node)
{
    evi_onnx_draw *d = r->draw;
    d->file = &r->file;
    d->node = node;
    d->model = r->model;
    d->n_out = node->n_out;
    if (!evi_span_is(node->op, "Constant")) {
        EVI_TRY(add_node(r, d));
        return name_outputs(r, d);
    }
    evi_onnx_attr attr;
    bool drawn = false;
    EVI_TRY(evi_onnx_attr_find(node, "value", &attr, &drawn));
    if (drawn && node->n_out == 1)
        return EV_OK;
    EVI_TRY(draw_constant_node(r, d));
    return name_outputs(r, d);
}

static ev_status draw_nodes(reader *r)
{
    char name[EVI_SPAN_TEXT], op[EVI_SPAN_TEXT];
    for (int32_t i = 0; i < r->file.n_nodes; i++) {
        const evi_onnx_node *node = &r->file.nodes[i];
        ev_status status = draw_node(r, node);
        if (status != EV_OK)
            return evi_fail_in(status, "node %d '%s' (%s)", (int)i, evi_span_text(node->name, name),
                               evi_span_text(node->op, op));
    }
    return EV_OK;
}

/* ---- outputs, weights, notes ----------------------------------------------------------------- */

static ev_status draw_outputs(reader *r)
{
    char name[EVI_MAX_NAME + 1];
    if (r->file.n_outputs == 0)
        return evi_fail(EV_ERR_FORMAT, "the graph has no outputs");
    for (int32_t i = 0; i < r->file.n_outputs; i++) {
        evi_span from = r->file.outputs[i].name;
        EVI_TRY(copy_name(from, "output", name));
        const int32_t *value = evi_onnx_names_find(&r->values, from);
        if (value == NULL || *value == EV_NO_VALUE)
            return evi_fail(EV_ERR_FORMAT, "output '%s' is not made by anything", name);
        EVI_TRY(ev_model_output(r->model, name, *value));
    }
    return EV_OK;
}

/* The weight of the model that a tensor became, or -1. */
static int32_t param_of(const reader *r, const evi_onnx_tensor *t)
{
    if (t->value == EV_NO_VALUE || r->model->values[t->value].kind != EVI_VALUE_PARAM)
        return -1;
    return r->model->values[t->value].index;
}

/* Weights that lie in the mapped file as they lie in memory are used there; the others get memory.
 * When those are the larger part (files of other programs), all of them get it. */
static ev_status place_weights(reader *r)
{
    evi_store *store = r->model->store;
    const void **at = NULL;
    uint64_t in_file = 0, all = 0;
    if (r->map == NULL)
        return evi_store_allocate(store);
    EVI_TRY(evi_calloc(r->ctx, (uint64_t)store->n_params, sizeof(void *), &at));
    for (int32_t i = 0; i < r->file.n_tensors; i++) {
        const evi_onnx_tensor *t = &r->file.tensors[i];
        int32_t param = param_of(r, t);
        if (param < 0)
            continue;
        at[param] = evi_onnx_tensor_in_place(t);
        all += (uint64_t)t->count;
        in_file += at[param] != NULL ? (uint64_t)t->count : 0;
    }
    ev_status status =
        2 * in_file > all ? evi_store_adopt(store, r->map, at) : evi_store_allocate(store);
    evi_free(at);
    return status;
}

static ev_status read_weights(reader *r)
{
    evi_store *store = r->model->store;
    EVI_TRY(place_weights(r));
    for (int32_t i = 0; i < r->file.n_tensors; i++) {
        const evi_onnx_tensor *t = &r->file.tensors[i];
        int32_t param = param_of(r, t);
        if (param < 0 || evi_mapping_holds(store->map, evi_store_data(store, param)))
            continue;
        EVI_TRY(evi_onnx_tensor_read(t, evi_store_data(store, param)));
        evi_mapping_rest(r->map, t->raw.at, t->has_raw ? evi_wire_left(&t->raw) : 0);
    }
    evi_store_touch(store);
    return EV_OK;
}

bool evi_onnx_is_private(evi_span key)
{
    return evi_span_is(key, EVI_META_FILE_CRC) || evi_span_is(key, EVI_META_WEIGHTS_CRC) ||
           evi_span_is(key, EVI_META_ROLES) || evi_span_is(key, EVI_META_NOMINAL);
}

static ev_status read_notes(reader *r)
{
    char key[EVI_MAX_NAME + 1];
    for (int32_t i = 0; i < r->file.n_meta; i++) {
        const evi_onnx_meta *meta = &r->file.meta[i];
        char *value = NULL;
        if (evi_onnx_is_private(meta->key))
            continue;
        EVI_TRY(copy_name(meta->key, "metadata", key));
        if (meta->value.n > 0 && memchr(meta->value.at, 0, meta->value.n) != NULL)
            return evi_fail(EV_ERR_FORMAT, "metadata '%s': a zero byte", key);
        EVI_TRY(evi_strndup(r->ctx, meta->value.at, meta->value.n, &value));
        ev_status status = ev_model_set_meta(r->model, key, value);
        evi_free(value);
        EVI_TRY(status);
    }
    return EV_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* The tables at their final size: growing by doubling would need half as much again. */
static ev_status reserve(reader *r)
{
    ev_model *m = r->model;
    int32_t n_nodes = r->file.n_nodes, n_values = r->file.n_tensors + r->file.n_inputs;
    for (int32_t i = 0; i < n_nodes; i++)
        n_values += r->file.nodes[i].n_out;
    EVI_TRY(evi_realloc(r->ctx, (uint64_t)n_nodes, sizeof(evi_node), &m->nodes));
    m->cap_nodes = n_nodes;
    EVI_TRY(evi_realloc(r->ctx, (uint64_t)n_values, sizeof(evi_value), &m->values));
    m->cap_values = n_values;
    return EV_OK;
}

static ev_status draw_all(reader *r)
{
    EVI_TRY(reserve(r));
    EVI_TRY(draw_inputs(r));
    EVI_TRY(draw_tensors(r));
    EVI_TRY(draw_nodes(r));
    EVI_TRY(draw_outputs(r));
    EVI_TRY(read_weights(r));
    return read_notes(r);
}

static ev_status draw_once(reader *r)
{
    r->has_free = false;
    EVI_TRY(ev_model_create(r->ctx, &r->model));
    ev_status status = evi_onnx_names_start(
        &r->values, r->ctx, (uint64_t)r->file.n_tensors + (uint64_t)r->file.n_nodes);
    if (status == EV_OK)
        status = draw_all(r);
    evi_onnx_names_end(&r->values);
    if (status != EV_OK) {
        ev_model_destroy(r->model);
        r->model = NULL;
    }
    return status;
}

/* A file may leave more than the batch open.  A model is drawn with some size: the usual ones are
 * tried, since not every size goes through every graph. */
static ev_status draw(reader *r)
{
    static const int32_t sizes[][2] = {{224, 3}, {224, 1}, {64, 3},  {28, 1},  {32, 3},
                                       {256, 3}, {299, 3}, {320, 3}, {640, 3}, {1, 1}};
    ev_status status = EV_OK;
    for (int32_t i = 0; i < EVI_COUNT(sizes); i++) {
        r->free_size = sizes[i][0];
        r->free_channels = sizes[i][1];
        status = draw_once(r);
        if (!r->has_free || (status != EV_ERR_SHAPE && status != EV_ERR_ARGUMENT))
            break;
    }
    if (status == EV_ERR_ARGUMENT ||
        status == EV_ERR_STATE) /* of the builder: it is the file's fault */
        status = EV_ERR_FORMAT;
    return status;
}

static ev_status read_model(reader *r)
{
    if (r->file.opset > EVI_ONNX_NEWEST)
        evi_log(r->ctx, EV_LOG_WARNING, "opset %lld is newer than this library (%d)",
                (long long)r->file.opset, EVI_ONNX_NEWEST);
    EVI_TRY(check_operators(r));
    EVI_TRY(index_tensors(r));
    EVI_TRY(evi_onnx_find_roles(&r->file, &r->tensors));
    EVI_TRY(evi_malloc(r->ctx, 1, sizeof(*r->draw), &r->draw));
    return draw(r);
}

/* map: where the bytes lie, or NULL. */
static ev_status load_bytes(ev_context *ctx, const void *data, uint64_t n_bytes, evi_mapping *map,
                            const ev_load_options *opt, ev_model **out)
{
    reader r = {.ctx = ctx, .opt = opt, .map = map};
    int64_t max_nodes = opt->max_nodes > 0 ? opt->max_nodes : EVI_MAX_NODES;
    bool checked = false;
    EVI_TRY(evi_onnx_check_file_crc(data, n_bytes, &checked));
    EVI_TRY(evi_onnx_parse(ctx, data, n_bytes, max_nodes, &r.file));
    /* A file that is as we wrote it has the weights that we wrote: once through it is enough. */
    ev_status status = checked ? EV_OK : evi_onnx_check_weights_crc(&r.file);
    if (status == EV_OK)
        status = read_model(&r);
    evi_onnx_names_end(&r.tensors);
    evi_free(r.draw);
    evi_onnx_file_end(&r.file);
    *out = status == EV_OK ? r.model : NULL;
    return status;
}

static ev_status check_options(const ev_load_options *opt, const char *function)
{
    if (opt->max_nodes < 0 || opt->n_bound < 0 ||
        (opt->n_bound > 0 && (opt->bound_names == NULL || opt->bound_values == NULL)))
        return evi_fail(EV_ERR_ARGUMENT, "%s: max_nodes %lld, n_bound %d", function,
                        (long long)opt->max_nodes, (int)opt->n_bound);
    EVI_CHECK_RESERVED(opt->reserved, function);
    for (int32_t i = 0; i < opt->n_bound; i++)
        if (opt->bound_names[i] == NULL || opt->bound_values[i] == NULL)
            return evi_fail(EV_ERR_ARGUMENT, "%s: bound input %d is NULL", function, (int)i);
    return EV_OK;
}

ev_status ev_model_load_memory(ev_context *ctx, const void *data, uint64_t n_bytes,
                               const ev_load_options *opt, ev_model **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(data);
    ev_load_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(check_options(&o, __func__));
    return load_bytes(ctx, data, n_bytes, NULL, &o, out);
}

ev_status ev_model_load(ev_context *ctx, const char *path, const ev_load_options *opt,
                        ev_model **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_POINTER(path);
    ev_load_options o;
    EVI_OPTIONS_READ(&o, opt);
    EVI_TRY(check_options(&o, __func__));
    uint64_t limit = o.max_file_bytes > 0 ? o.max_file_bytes : (uint64_t)2 << 30, n_bytes = 0;
    void *data = NULL;
    evi_mapping *map = NULL;
    ev_status status;
    if (!o.no_map)
        EVI_TRY(evi_file_map(ctx, path, MAP_LEAST, limit, &map));
    if (map != NULL) {
        status = load_bytes(ctx, map->data, map->n_bytes, map, &o, out);
    } else {
        EVI_TRY(evi_file_read(ctx, path, limit, &data, &n_bytes));
        status = load_bytes(ctx, data, n_bytes, NULL, &o, out);
    }
    evi_mapping_release(map);
    evi_free(data);
    if (status != EV_OK)
        return evi_fail_in(status, "%s", path);
    return EV_OK;
}
