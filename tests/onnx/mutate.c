/* SPDX-License-Identifier: MIT */
#include "mutate.h"

typedef struct plan {
    int32_t kind, left; /* fields still to pass before the one that is changed */
    bool done;
    uint64_t value;
    evi_span text;
} plan;

/* Messages that ONNX has inside each other. */
enum {
    AT_OTHER,
    AT_MODEL,
    AT_GRAPH,
    AT_NODE,
    AT_ATTRIBUTE,
    AT_TENSOR,
    AT_INFO,
    AT_TYPE,
    AT_TENSOR_TYPE,
    AT_SHAPE,
    AT_DIM,
    AT_META,
    AT_OPSET
};

static int32_t inside(int32_t at, uint32_t field)
{
    switch (at) {
    case AT_MODEL:
        return field == MODEL_GRAPH   ? AT_GRAPH
               : field == MODEL_META  ? AT_META
               : field == MODEL_OPSET ? AT_OPSET
                                      : AT_OTHER;
    case AT_GRAPH:
        return field == GRAPH_NODE                             ? AT_NODE
               : field == GRAPH_INITIALIZER                    ? AT_TENSOR
               : field == GRAPH_INPUT || field == GRAPH_OUTPUT ? AT_INFO
                                                               : AT_OTHER;
    case AT_NODE: return field == NODE_ATTRIBUTE ? AT_ATTRIBUTE : AT_OTHER;
    case AT_ATTRIBUTE: return field == ATTR_T ? AT_TENSOR : AT_OTHER;
    case AT_INFO: return field == INFO_TYPE ? AT_TYPE : AT_OTHER;
    case AT_TYPE: return field == TYPE_TENSOR ? AT_TENSOR_TYPE : AT_OTHER;
    case AT_TENSOR_TYPE: return field == TENSOR_TYPE_SHAPE ? AT_SHAPE : AT_OTHER;
    case AT_SHAPE: return field == SHAPE_DIM ? AT_DIM : AT_OTHER;
    default: return AT_OTHER;
    }
}

static void put_scalar(const evi_field *f, evi_text *out)
{
    evi_put_tag(out, f->number, f->type);
    if (f->type == EVI_WIRE_VARINT) {
        evi_put_varint(out, f->value);
        return;
    }
    uint8_t bytes[8];
    for (int32_t i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(f->value >> (8 * i));
    evi_text_bytes(out, bytes, f->type == EVI_WIRE_FIXED64 ? 8 : 4);
}

/* Whether this field is the one to change. */
static bool hit(plan *p, const evi_field *f, int32_t below)
{
    bool fits = p->kind == MUTATE_NUMBER ? f->type == EVI_WIRE_VARINT
                : p->kind == MUTATE_TEXT ? f->type == EVI_WIRE_BYTES && below == AT_OTHER
                                         : true;
    if (!fits || p->done)
        return false;
    p->done = p->left-- == 0;
    return p->done;
}

static void copy(evi_wire from, int32_t at, plan *p, evi_text *out)
{
    evi_field f;
    while (evi_wire_next(&from, &f) > 0) {
        int32_t below = f.type == EVI_WIRE_BYTES ? inside(at, f.number) : AT_OTHER;
        bool now = hit(p, &f, below);
        if (now && p->kind == MUTATE_DROP)
            continue;
        if (now && p->kind == MUTATE_NUMBER)
            f.value = p->value;
        for (int32_t i = 0; i < (now && p->kind == MUTATE_TWICE ? 2 : 1); i++) {
            if (f.type != EVI_WIRE_BYTES) {
                put_scalar(&f, out);
            } else if (below != AT_OTHER) {
                uint64_t mark = evi_put_begin(out, f.number);
                copy(f.body, below, p, out);
                evi_put_end(out, mark);
            } else {
                evi_span s = now && p->kind == MUTATE_TEXT ? p->text : evi_wire_span(&f.body);
                evi_put_bytes(out, f.number, s.at, s.n);
            }
        }
    }
}

bool mutate(const void *data, uint64_t n_bytes, int32_t kind, int32_t target, uint64_t value,
            evi_span text, evi_text *out)
{
    plan p = {.kind = kind, .left = target, .value = value, .text = text};
    evi_wire from;
    evi_wire_start(&from, data, n_bytes);
    out->length = 0;
    copy(from, AT_MODEL, &p, out);
    return p.done;
}

void mutate_strip(const void *data, uint64_t n_bytes, evi_text *out)
{
    evi_wire from;
    evi_field f;
    evi_wire_start(&from, data, n_bytes);
    while (evi_wire_next(&from, &f) > 0) {
        if (f.number == MODEL_META)
            continue;
        if (f.type == EVI_WIRE_BYTES)
            evi_put_bytes(out, f.number, f.body.at, evi_wire_left(&f.body));
        else
            put_scalar(&f, out);
    }
}
