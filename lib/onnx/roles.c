/* SPDX-License-Identifier: MIT */
/* Which initializers are weights to train, which are running statistics, which are constants. */
#include "onnx/onnx.h"

#include <string.h>

typedef struct position { /* input `input` of an operator */
    const char *op;
    int32_t input, role, init;
    float init_value;
} position;

static const position positions[] = {
    {"Conv", 1, EVI_ROLE_PARAM, EV_INIT_DEFAULT, 0},
    {"Conv", 2, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 0},
    {"ConvTranspose", 1, EVI_ROLE_PARAM, EV_INIT_DEFAULT, 0},
    {"ConvTranspose", 2, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 0},
    {"Gemm", 1, EVI_ROLE_PARAM, EV_INIT_DEFAULT, 0},
    {"Gemm", 2, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 0},
    {"MatMul", 0, EVI_ROLE_PARAM, EV_INIT_DEFAULT, 0},
    {"MatMul", 1, EVI_ROLE_PARAM, EV_INIT_DEFAULT, 0},
    {"BatchNormalization", 1, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 1},
    {"BatchNormalization", 2, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 0},
    {"BatchNormalization", 3, EVI_ROLE_STATISTIC, EV_INIT_CONSTANT, 0},
    {"BatchNormalization", 4, EVI_ROLE_STATISTIC, EV_INIT_CONSTANT, 1},
    {"InstanceNormalization", 1, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 1},
    {"InstanceNormalization", 2, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 0},
    {"LayerNormalization", 1, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 1},
    {"LayerNormalization", 2, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 0},
    {"PRelu", 1, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 0.25f},
};

static const position *position_of(evi_span op, int32_t input)
{
    for (int32_t i = 0; i < EVI_COUNT(positions); i++)
        if (positions[i].input == input && evi_span_is(op, positions[i].op))
            return &positions[i];
    return NULL;
}

static bool makes_sums(evi_span op)
{
    return evi_span_is(op, "MatMul") || evi_span_is(op, "Conv") ||
           evi_span_is(op, "ConvTranspose") || evi_span_is(op, "Gemm");
}

static void set_role(evi_onnx_tensor *t, const position *p)
{
    if (t->type != EV_TYPE_FLOAT32 || t->count == 0)
        return;
    if (t->role == EVI_ROLE_NONE || t->role == EVI_ROLE_CONSTANT) {
        t->role = p->role;
        t->init = p->init;
        t->init_value = p->init_value;
    }
}

static void set_used(evi_onnx_tensor *t)
{
    if (t->role == EVI_ROLE_NONE)
        t->role = EVI_ROLE_CONSTANT;
}

/* First input of a node, or an empty name. */
static evi_span first_input(const evi_onnx_node *node)
{
    evi_wire body = node->body;
    evi_field f;
    while (evi_wire_next(&body, &f) > 0)
        if (f.number == NODE_INPUT)
            return evi_wire_span(&f.body);
    return (evi_span){"", 0};
}

typedef struct scan {
    evi_onnx_file *file;
    const evi_onnx_names *tensors; /* name to index in file->tensors */
    evi_onnx_names sums;           /* results of matrix products and convolutions */
    evi_onnx_names wanted;         /* names at weight positions that are no initializers */
} scan;

static ev_status scan_input(scan *s, const evi_onnx_node *node, evi_span name, int32_t i)
{
    bool known;
    const int32_t *index = evi_onnx_names_find(s->tensors, name);
    const position *p = position_of(node->op, i);
    if (index != NULL) {
        evi_onnx_tensor *t = &s->file->tensors[*index];
        if (p != NULL && (t->shape.rank > 1 || !evi_span_is(node->op, "MatMul")))
            set_role(t, p);
        set_used(t);
    } else if (p != NULL) {
        return evi_onnx_names_add(&s->wanted, name, i, &known);
    }
    return EV_OK;
}

static ev_status scan_node(scan *s, const evi_onnx_node *node)
{
    evi_wire body = node->body;
    evi_field f;
    int32_t i = 0;
    bool known, sums = makes_sums(node->op);
    while (evi_wire_next(&body, &f) > 0) {
        evi_span name = evi_wire_span(&f.body);
        if (f.number == NODE_INPUT && name.n > 0)
            EVI_TRY(scan_input(s, node, name, i));
        if (f.number == NODE_OUTPUT && sums && name.n > 0)
            EVI_TRY(evi_onnx_names_add(&s->sums, name, 0, &known));
        i += f.number == NODE_INPUT;
    }
    return EV_OK;
}

/* A number added to a matrix product or convolution is its bias. */
static void scan_bias(scan *s, const evi_onnx_node *node)
{
    static const position bias = {"Add", 1, EVI_ROLE_PARAM, EV_INIT_CONSTANT, 0};
    evi_wire body = node->body;
    evi_field f;
    evi_onnx_tensor *t = NULL;
    bool sum = false;
    while (evi_wire_next(&body, &f) > 0) {
        if (f.number != NODE_INPUT)
            continue;
        const int32_t *index = evi_onnx_names_find(s->tensors, evi_wire_span(&f.body));
        if (index != NULL)
            t = &s->file->tensors[*index];
        sum = sum || evi_onnx_names_find(&s->sums, evi_wire_span(&f.body)) != NULL;
    }
    if (t != NULL && sum)
        set_role(t, &bias);
}

/* Weights that are reshaped before they are used (CNTK writes a dense layer so). */
static void scan_reshape(scan *s, const evi_onnx_node *node)
{
    evi_wire body = node->body;
    evi_field f;
    bool weight = false;
    while (evi_wire_next(&body, &f) > 0)
        weight = weight || (f.number == NODE_OUTPUT &&
                            evi_onnx_names_find(&s->wanted, evi_wire_span(&f.body)) != NULL);
    const int32_t *index = evi_onnx_names_find(s->tensors, first_input(node));
    if (weight && index != NULL)
        set_role(&s->file->tensors[*index], &positions[0]);
}

static ev_status scan_all(scan *s)
{
    for (int32_t i = 0; i < s->file->n_nodes; i++)
        EVI_TRY(scan_node(s, &s->file->nodes[i]));
    for (int32_t i = 0; i < s->file->n_nodes; i++) {
        const evi_onnx_node *node = &s->file->nodes[i];
        if (evi_span_is(node->op, "Add"))
            scan_bias(s, node);
        if (evi_span_is(node->op, "Reshape"))
            scan_reshape(s, node);
    }
    for (int32_t i = 0; i < s->file->n_outputs; i++) {
        const int32_t *index = evi_onnx_names_find(s->tensors, s->file->outputs[i].name);
        if (index != NULL)
            set_used(&s->file->tensors[*index]);
    }
    return EV_OK;
}

/* Our own files say it letter by letter. */
static void apply_notes(evi_onnx_file *file)
{
    evi_span note = evi_onnx_meta_find(file, EVI_META_ROLES);
    if (note.at == NULL || note.n != (uint64_t)file->n_initializers)
        return;
    for (int32_t i = 0; i < file->n_initializers; i++) {
        evi_onnx_tensor *t = &file->tensors[i];
        char letter = note.at[i];
        bool weight =
            letter == EVI_ROLE_PARAM || letter == EVI_ROLE_FROZEN || letter == EVI_ROLE_STATISTIC;
        if (letter == EVI_ROLE_CONSTANT || letter == EVI_ROLE_IMPLIED ||
            (weight && t->type == EV_TYPE_FLOAT32))
            t->role = letter;
    }
}

ev_status evi_onnx_find_roles(evi_onnx_file *file, const evi_onnx_names *tensors)
{
    scan s = {.file = file, .tensors = tensors};
    ev_status status = evi_onnx_names_start(&s.sums, file->ctx, 16);
    if (status == EV_OK)
        status = evi_onnx_names_start(&s.wanted, file->ctx, 16);
    if (status == EV_OK)
        status = scan_all(&s);
    evi_onnx_names_end(&s.sums);
    evi_onnx_names_end(&s.wanted);
    if (status == EV_OK)
        apply_notes(file);
    return status;
}
