/* SPDX-License-Identifier: MIT */
/* One node with its attributes, in the newest form of the opset that is written. */
#include "onnx/writer.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

/* ---- attributes ------------------------------------------------------------------------------ */

static void put_attr_int(evi_text *t, const char *name, int64_t value)
{
    uint64_t mark = evi_put_begin(t, NODE_ATTRIBUTE);
    evi_put_string(t, ATTR_NAME, name);
    evi_put_int(t, ATTR_I, value);
    evi_put_int(t, ATTR_TYPE, ATTR_TYPE_INT);
    evi_put_end(t, mark);
}

static void put_attr_float(evi_text *t, const char *name, float value)
{
    uint64_t mark = evi_put_begin(t, NODE_ATTRIBUTE);
    evi_put_string(t, ATTR_NAME, name);
    evi_put_float(t, ATTR_F, value);
    evi_put_int(t, ATTR_TYPE, ATTR_TYPE_FLOAT);
    evi_put_end(t, mark);
}

static void put_attr_word(evi_text *t, const char *name, const char *value)
{
    uint64_t mark = evi_put_begin(t, NODE_ATTRIBUTE);
    evi_put_string(t, ATTR_NAME, name);
    evi_put_string(t, ATTR_S, value);
    evi_put_int(t, ATTR_TYPE, ATTR_TYPE_STRING);
    evi_put_end(t, mark);
}

static void put_attr_ints(evi_text *t, const char *name, const int64_t *v, int32_t n)
{
    uint64_t mark = evi_put_begin(t, NODE_ATTRIBUTE);
    evi_put_string(t, ATTR_NAME, name);
    for (int32_t i = 0; i < n; i++)
        evi_put_int(t, ATTR_INTS, v[i]);
    evi_put_int(t, ATTR_TYPE, ATTR_TYPE_INTS);
    evi_put_end(t, mark);
}

static void put_spatial(evi_text *t, const char *name, const int32_t *v, int32_t n, bool flat)
{
    int64_t wide[4] = {0};
    int32_t count = flat ? n / 2 : n; /* one dimension: the horizontal numbers alone */
    for (int32_t i = 0; i < count; i++)
        wide[i] = flat ? v[2 * i + 1] : v[i];
    put_attr_ints(t, name, wide, count);
}

static bool is_op(const evi_draft_node *n, const char *onnx)
{
    return strcmp(n->node->op->onnx, onnx) == 0;
}

/* Attributes that another one makes void, or that are not what they seem. */
static bool left_out(const evi_draft_node *n, const evi_onnx_rule *rule)
{
    const evi_attrs *a = &n->node->a;
    if (strcmp(rule->attr, "pads") == 0 && rule->kind == EVI_RULE_PADS)
        return a->auto_pad != EVI_AUTO_PAD_NONE || (is_op(n, "ConvTranspose") && a->list.set);
    if (is_op(n, "Gemm") && rule->kind == EVI_RULE_FLOAT)
        return a->alpha == 0 && a->beta == 0; /* both 0: not given */
    return n->all_axes && strcmp(rule->attr, "axes") == 0;
}

static bool is_default(const evi_onnx_rule *rule, const void *at)
{
    const int32_t *v = at;
    switch (rule->kind) {
    case EVI_RULE_INT:
    case EVI_RULE_WORD: return v[0] == (int32_t)rule->def;
    case EVI_RULE_FLOAT: return *(const float *)at == rule->def;
    case EVI_RULE_SPATIAL: return v[0] == (int32_t)rule->def && v[1] == (int32_t)rule->def;
    case EVI_RULE_LIST:
    case EVI_RULE_ONE: return !((const evi_list *)at)->set;
    default: return true;
    }
}

static void put_rule(evi_draft *w, const evi_draft_node *n, const evi_onnx_rule *rule)
{
    evi_text *t = &w->nodes;
    const void *at = (const char *)&n->node->a + rule->offset;
    const evi_list *list = at;
    bool flat = n->in[0] != NULL && n->in[0]->shape.rank == 3;
    if (left_out(n, rule))
        return;
    if (rule->since > w->opset) {
        if (!is_default(rule, at))
            w->need_opset = EVI_MAX(w->need_opset, rule->since);
        return;
    }
    switch (rule->kind) {
    case EVI_RULE_INT: put_attr_int(t, rule->attr, *(const int32_t *)at); break;
    case EVI_RULE_FLOAT: put_attr_float(t, rule->attr, *(const float *)at); break;
    case EVI_RULE_WORD: put_attr_word(t, rule->attr, rule->words[*(const int32_t *)at]); break;
    case EVI_RULE_SPATIAL: put_spatial(t, rule->attr, at, 2, flat); break;
    case EVI_RULE_PADS: put_spatial(t, rule->attr, at, 4, flat); break;
    case EVI_RULE_LIST:
        if (list->set)
            put_attr_ints(t, rule->attr, list->v, list->n);
        break;
    case EVI_RULE_ONE:
        if (list->set && list->n == 1)
            put_attr_int(t, rule->attr, list->v[0]);
        break;
    case EVI_RULE_TYPE:
        if (*(const int32_t *)at != 0)
            put_attr_int(t, rule->attr, evi_onnx_type_of(*(const int32_t *)at));
        break;
    default: break;
    }
}

static void put_attributes(evi_draft *w, const evi_draft_node *n)
{
    int32_t count = 0;
    const evi_onnx_rule *rules = evi_onnx_rules(&count);
    evi_span op = {n->node->op->onnx, strlen(n->node->op->onnx)};
    for (int32_t i = 0; i < count; i++)
        if (evi_onnx_rule_for(&rules[i], op) && (rules[i].until == 0 || w->opset <= rules[i].until))
            put_rule(w, n, &rules[i]);
}

/* ---- attributes that have become inputs ------------------------------------------------------ */

static ev_status wish_for(evi_draft_node *n, const char *what, char *wish, size_t room)
{
    snprintf(wish, room, "%.*s.%s", EVI_MAX_NAME, n->name, what);
    return EV_OK;
}

static void set_input(evi_draft_node *n, int32_t i, const char *name)
{
    for (; n->n_in <= i; n->n_in++)
        n->inputs[n->n_in] = "";
    n->inputs[i] = name;
}

static ev_status ints_input(evi_draft *w, evi_draft_node *n, int32_t i, const char *what,
                            const int64_t *v, int32_t count)
{
    char wish[EVI_MAX_NAME + 64];
    const char *name = NULL;
    evi_shape shape = {.rank = 1, .dim = {count}};
    EVI_TRY(wish_for(n, what, wish, sizeof(wish)));
    EVI_TRY(evi_draft_constant(w, wish, EV_TYPE_INT64, &shape, v, EVI_ROLE_CONSTANT, &name));
    set_input(n, i, name);
    return EV_OK;
}

static ev_status reals_input(evi_draft *w, evi_draft_node *n, int32_t i, const char *what,
                             const evi_shape *shape, const evi_real *v, int32_t role)
{
    char wish[EVI_MAX_NAME + 64];
    const char *name = NULL;
    EVI_TRY(wish_for(n, what, wish, sizeof(wish)));
    EVI_TRY(evi_draft_constant(w, wish, EV_TYPE_FLOAT32, shape, v, role, &name));
    set_input(n, i, name);
    return EV_OK;
}

static ev_status number_input(evi_draft *w, evi_draft_node *n, int32_t i, const char *what,
                              float value)
{
    evi_shape scalar = {0};
    evi_real v = (evi_real)value;
    if (n->in[0] != NULL && n->in[0]->type != EV_TYPE_FLOAT32)
        return evi_fail(EV_ERR_UNSUPPORTED, "%s: '%s' of a type other than float32", n->name, what);
    return reals_input(w, n, i, what, &scalar, &v, EVI_ROLE_CONSTANT);
}

static bool is_limit(float value)
{
    return value >= FLT_MAX || value <= -FLT_MAX;
}

/* Attributes that ended before this opset become inputs, where these are not given. */
static ev_status put_inputs(evi_draft *w, evi_draft_node *n)
{
    int32_t count = 0, given = n->n_in;
    const evi_onnx_rule *rules = evi_onnx_rules(&count);
    evi_span op = {n->node->op->onnx, strlen(n->node->op->onnx)};
    for (int32_t i = 0; i < count; i++) {
        const evi_onnx_rule *r = &rules[i];
        const char *at = (const char *)&n->node->a + r->offset;
        const evi_list *list = (const evi_list *)(const void *)at;
        if (r->input == 0 || r->until == 0 || w->opset <= r->until || given > 1 ||
            !evi_onnx_rule_for(r, op))
            continue;
        if (r->kind == EVI_RULE_LIST && list->set)
            EVI_TRY(ints_input(w, n, r->input, r->attr, list->v, list->n));
        if (r->kind == EVI_RULE_FLOAT) {
            float value = *(const float *)(const void *)at;
            bool needless = is_op(n, "Clip") ? is_limit(value) : is_op(n, "Pad") && value == 0;
            if (!needless)
                EVI_TRY(number_input(w, n, r->input, r->attr, value));
        }
    }
    return EV_OK;
}

/* ---- operators that need more than the rules ------------------------------------------------- */

/* Scale and bias that ONNX insists on: ones and zeros of a shape. */
static ev_status implied(evi_draft *w, evi_draft_node *n, int32_t i, const char *what,
                         const evi_shape *shape, float value)
{
    evi_real *v = NULL;
    int64_t count = evi_shape_count(shape);
    if (i < n->n_in && n->inputs[i][0] != '\0')
        return EV_OK;
    EVI_TRY(evi_calloc(w->ctx, (uint64_t)count, sizeof(evi_real), &v));
    for (int64_t k = 0; k < count; k++)
        v[k] = (evi_real)value;
    ev_status status = reals_input(w, n, i, what, shape, v, EVI_ROLE_IMPLIED);
    evi_free(v);
    return status;
}

static ev_status fix_instance_norm(evi_draft *w, evi_draft_node *n)
{
    evi_shape shape = {.rank = 1, .dim = {n->in[0]->shape.dim[1]}};
    EVI_TRY(implied(w, n, 1, "scale", &shape, 1));
    return implied(w, n, 2, "bias", &shape, 0);
}

static ev_status fix_layer_norm(evi_draft *w, evi_draft_node *n)
{
    const evi_shape *x = &n->in[0]->shape;
    int32_t axis = 0;
    evi_shape row = {0};
    if (!evi_axis(n->node->a.axis, x->rank, &axis))
        return evi_fail(EV_ERR_INTERNAL, "%s: axis %d", n->name, (int)n->node->a.axis);
    for (; axis < x->rank; axis++)
        row.dim[row.rank++] = x->dim[axis];
    return implied(w, n, 1, "scale", &row, 1);
}

static ev_status fix_batch_norm(evi_draft *w, evi_draft_node *n)
{
    (void)w;
    if (n->node->a.flag & 1)
        return evi_fail(EV_ERR_UNSUPPORTED,
                        "%s: one scale an element (spatial 0) is no longer ONNX", n->name);
    if (!(n->node->a.flag & 2))
        n->n_out = 1;
    return EV_OK;
}

static ev_status fix_split(evi_draft *w, evi_draft_node *n)
{
    int64_t sizes[EVI_ONNX_MAX_ARGS];
    int32_t axis = 0;
    if (n->n_in > 1 || n->node->a.list.set)
        return EV_OK;
    if (!evi_axis(n->node->a.axis, n->in[0]->shape.rank, &axis))
        return evi_fail(EV_ERR_INTERNAL, "%s: axis %d", n->name, (int)n->node->a.axis);
    for (int32_t i = 0; i < n->node->n_out; i++)
        sizes[i] = n->outs[i]->shape.dim[axis];
    return ints_input(w, n, 1, "split", sizes, n->node->n_out);
}

/* Axes of a Pad came with opset 18: all axes are written out. */
static ev_status fix_pad(evi_draft *w, evi_draft_node *n)
{
    const evi_attrs *a = &n->node->a;
    int64_t pads[2 * EV_MAX_RANK] = {0};
    int32_t rank = n->in[0]->shape.rank, half = a->list.n / 2;
    if (a->mode == EVI_PAD_WRAP)
        w->need_opset = EVI_MAX(w->need_opset, 19);
    if (!a->list3.set)
        return EV_OK;
    for (int32_t i = 0; i < half && i < a->list3.n; i++) {
        int32_t axis = 0;
        if (!evi_axis((int32_t)a->list3.v[i], rank, &axis))
            return evi_fail(EV_ERR_INTERNAL, "%s: axis %d", n->name, (int)a->list3.v[i]);
        pads[axis] = a->list.v[i];
        pads[rank + axis] = a->list.v[half + i];
    }
    n->n_in = EVI_MIN(n->n_in, 3);
    EVI_TRY(ints_input(w, n, 1, "pads", pads, 2 * rank));
    if (n->n_in < 3 && a->alpha != 0)
        EVI_TRY(number_input(w, n, 2, "value", a->alpha));
    return EV_OK;
}

/* Before opset 18 (ReduceSum: 13) axes are an attribute. */
static ev_status fix_reduce(evi_draft *w, evi_draft_node *n)
{
    const evi_attrs *a = &n->node->a;
    if (is_op(n, "ReduceSum"))
        return EV_OK;
    if (a->flag && (!a->list.set || a->list.n == 0))
        w->need_opset = EVI_MAX(w->need_opset, 18);
    if (w->opset < 18)
        n->n_in = 1;
    return EV_OK;
}

/* Softmax before opset 13: all dimensions from the axis on are one row. */
static ev_status fix_softmax(evi_draft *w, evi_draft_node *n)
{
    const evi_attrs *a = &n->node->a;
    const evi_shape *x = &n->in[0]->shape;
    int32_t axis = 0, after = 0;
    char wish[EVI_MAX_NAME + 64];
    const char *shape = NULL, *flat = NULL, *soft = NULL;
    if (a->opset == 0 || a->opset >= 13 || !evi_axis(a->axis, x->rank, &axis))
        return EV_OK;
    for (int32_t i = axis + 1; i < x->rank; i++)
        after += x->dim[i] != 1;
    if (after == 0)
        return EV_OK;
    EVI_TRY(wish_for(n, "shape", wish, sizeof(wish)));
    EVI_TRY(evi_draft_name(w, wish, &shape));
    EVI_TRY(evi_draft_plain_node(w, "Shape", n->inputs, 1, shape));
    EVI_TRY(wish_for(n, "rows", wish, sizeof(wish)));
    EVI_TRY(evi_draft_name(w, wish, &flat));
    EVI_TRY(evi_draft_axis_node(w, "Flatten", n->inputs, 1, axis, flat));
    EVI_TRY(wish_for(n, "softmax", wish, sizeof(wish)));
    EVI_TRY(evi_draft_name(w, wish, &soft));
    EVI_TRY(evi_draft_plain_node(w, n->node->op->onnx, &flat, 1, soft));
    n->inputs[0] = soft;
    set_input(n, 1, shape);
    n->op = "Reshape";
    return EV_OK;
}

/* Slopes of opset 1 to 6 stand for the channels without further dimensions. */
static ev_status fix_prelu(evi_draft *w, evi_draft_node *n)
{
    const evi_attrs *a = &n->node->a;
    int64_t axes[EV_MAX_RANK];
    const char *inputs[2] = {n->inputs[1], NULL}, *slope = NULL;
    char wish[EVI_MAX_NAME + 64];
    int32_t count = n->in[0]->shape.rank - 2;
    if (a->opset == 0 || a->opset >= 7 || n->in[1]->shape.rank != 1 || count < 1)
        return EV_OK;
    for (int32_t i = 0; i < count; i++)
        axes[i] = 1 + i;
    EVI_TRY(ints_input(w, n, 2, "axes", axes, count));
    inputs[1] = n->inputs[2];
    n->n_in = 2;
    EVI_TRY(wish_for(n, "slope", wish, sizeof(wish)));
    EVI_TRY(evi_draft_name(w, wish, &slope));
    EVI_TRY(evi_draft_plain_node(w, "Unsqueeze", inputs, 2, slope));
    n->inputs[1] = slope;
    return EV_OK;
}

typedef struct fix {
    const char *onnx;
    ev_status (*fix)(evi_draft *w, evi_draft_node *n);
} fix;

static const fix fixes[] = {
    {"InstanceNormalization", fix_instance_norm},
    {"LayerNormalization", fix_layer_norm},
    {"BatchNormalization", fix_batch_norm},
    {"Split", fix_split},
    {"Pad", fix_pad},
    {"Softmax", fix_softmax},
    {"LogSoftmax", fix_softmax},
    {"PRelu", fix_prelu},
    {"Resize", evi_draft_fix_resize},
};

static ev_status apply_fix(evi_draft *w, evi_draft_node *n)
{
    if (strncmp(n->node->op->onnx, "Reduce", 6) == 0)
        return fix_reduce(w, n);
    for (int32_t i = 0; i < EVI_COUNT(fixes); i++)
        if (is_op(n, fixes[i].onnx))
            return fixes[i].fix(w, n);
    return EV_OK;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void begin_node(evi_draft *w, const char *op, const char *name, const char *const *inputs,
                       int32_t n_in, const char *const *outputs, int32_t n_out)
{
    for (int32_t i = 0; i < n_in; i++)
        evi_put_string(&w->nodes, NODE_INPUT, inputs[i]);
    for (int32_t i = 0; i < n_out; i++)
        evi_put_string(&w->nodes, NODE_OUTPUT, outputs[i]);
    evi_put_string(&w->nodes, NODE_NAME, name);
    evi_put_string(&w->nodes, NODE_OP, op);
}

ev_status evi_draft_plain_node(evi_draft *w, const char *op, const char *const *inputs,
                               int32_t n_in, const char *output)
{
    const char *name = NULL;
    EVI_TRY(evi_draft_node_name(w, output, &name));
    uint64_t mark = evi_put_begin(&w->nodes, GRAPH_NODE);
    begin_node(w, op, name, inputs, n_in, &output, 1);
    evi_put_end(&w->nodes, mark);
    return w->nodes.status;
}

ev_status evi_draft_axis_node(evi_draft *w, const char *op, const char *const *inputs, int32_t n_in,
                              int32_t axis, const char *output)
{
    const char *name = NULL;
    EVI_TRY(evi_draft_node_name(w, output, &name));
    uint64_t mark = evi_put_begin(&w->nodes, GRAPH_NODE);
    begin_node(w, op, name, inputs, n_in, &output, 1);
    put_attr_int(&w->nodes, "axis", axis);
    evi_put_end(&w->nodes, mark);
    return w->nodes.status;
}

/* The one element that ConstantOfShape repeats. */
static void put_fill_value(evi_draft *w, const evi_draft_node *n)
{
    const evi_attrs *a = &n->node->a;
    int32_t type = a->to_type == 0 ? EV_TYPE_FLOAT32 : a->to_type;
    uint64_t mark = evi_put_begin(&w->nodes, NODE_ATTRIBUTE);
    evi_put_string(&w->nodes, ATTR_NAME, "value");
    uint64_t tensor = evi_put_begin(&w->nodes, ATTR_T);
    evi_put_int(&w->nodes, TENSOR_DIMS, 1);
    evi_put_int(&w->nodes, TENSOR_TYPE, evi_onnx_type_of(type));
    if (type == EV_TYPE_FLOAT32)
        evi_put_float(&w->nodes, TENSOR_FLOAT, a->alpha);
    else
        evi_put_int(&w->nodes, type == EV_TYPE_INT64 ? TENSOR_INT64 : TENSOR_INT32,
                    (int64_t)a->alpha);
    evi_put_end(&w->nodes, tensor);
    evi_put_int(&w->nodes, ATTR_TYPE, ATTR_TYPE_TENSOR);
    evi_put_end(&w->nodes, mark);
}

ev_status evi_draft_write_node(evi_draft *w, evi_draft_node *n)
{
    const evi_op *op = n->node->op;
    if (op->onnx == NULL || strcmp(op->onnx, "Upsample") == 0)
        return evi_fail(EV_ERR_UNSUPPORTED, "'%s': ONNX has no operator for %s", n->name, op->name);
    n->op = op->onnx;
    EVI_TRY(apply_fix(w, n));
    EVI_TRY(put_inputs(w, n));
    uint64_t mark = evi_put_begin(&w->nodes, GRAPH_NODE);
    begin_node(w, n->op, n->name, n->inputs, n->n_in, n->outputs, n->n_out);
    if (n->op == op->onnx)
        put_attributes(w, n);
    if (is_op(n, "BatchNormalization") && (n->node->a.flag & 2))
        put_attr_int(&w->nodes, "training_mode", 1);
    if (is_op(n, "ConstantOfShape"))
        put_fill_value(w, n);
    evi_put_end(&w->nodes, mark);
    return w->nodes.status;
}
