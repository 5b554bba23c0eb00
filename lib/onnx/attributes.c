/* SPDX-License-Identifier: MIT */
/* Attributes of a node into evi_attrs, by the rules of rules.c. */
#include "onnx/onnx.h"

#include <limits.h>
#include <string.h>

/* ---- one attribute --------------------------------------------------------------------------- */

static ev_status attr_field(evi_onnx_attr *a, const evi_field *f)
{
    switch (f->number) {
    case ATTR_NAME:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_BYTES, "name"));
        a->name = evi_wire_span(&f->body);
        return EV_OK;
    case ATTR_TYPE:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_VARINT, "type"));
        a->type = f->value > 100 ? 100 : (int32_t)f->value;
        return EV_OK;
    case ATTR_F:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_FIXED32, "f"));
        a->f = evi_wire_float(f->value);
        return EV_OK;
    case ATTR_I:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_VARINT, "i"));
        a->i = (int64_t)f->value;
        return EV_OK;
    case ATTR_S:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_BYTES, "s"));
        a->s = evi_wire_span(&f->body);
        return EV_OK;
    case ATTR_T:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_BYTES, "t"));
        a->tensor = f->body;
        return EV_OK;
    default: return EV_OK;
    }
}

/* Files of the first versions did not say which kind it is: then the field that is there does. */
static int32_t kind_of(uint32_t number)
{
    switch (number) {
    case ATTR_F: return ATTR_TYPE_FLOAT;
    case ATTR_I: return ATTR_TYPE_INT;
    case ATTR_S: return ATTR_TYPE_STRING;
    case ATTR_T: return ATTR_TYPE_TENSOR;
    case ATTR_FLOATS: return ATTR_TYPE_FLOATS;
    case ATTR_INTS: return ATTR_TYPE_INTS;
    case ATTR_STRINGS: return ATTR_TYPE_STRINGS;
    default: return 0;
    }
}

ev_status evi_onnx_attr_parse(evi_wire body, evi_onnx_attr *out)
{
    char text[EVI_SPAN_TEXT];
    *out = (evi_onnx_attr){.body = body, .name = {"", 0}, .s = {"", 0}};
    evi_field f;
    int32_t more, guess = 0;
    while ((more = evi_wire_next(&body, &f)) > 0) {
        ev_status status = attr_field(out, &f);
        if (status != EV_OK)
            return evi_fail_in(status, "attribute '%s'", evi_span_text(out->name, text));
        if (kind_of(f.number) != 0)
            guess = kind_of(f.number);
    }
    if (more < 0)
        return evi_fail_in(EV_ERR_FORMAT, "attribute '%s'", evi_span_text(out->name, text));
    if (out->type == 0)
        out->type = guess;
    if (out->type == ATTR_TYPE_TENSOR && out->tensor.at == NULL)
        return evi_fail(EV_ERR_FORMAT, "attribute '%s': no tensor in it",
                        evi_span_text(out->name, text));
    return EV_OK;
}

ev_status evi_onnx_attr_ints(const evi_onnx_attr *attr, int64_t *to, int32_t room, int32_t *n_out)
{
    evi_wire body = attr->body;
    evi_field f;
    *n_out = 0;
    while (evi_wire_next(&body, &f) > 0) {
        int32_t state = 0;
        uint64_t bits = 0;
        while (f.number == ATTR_INTS && evi_wire_element(&f, EVI_WIRE_VARINT, &state, &bits)) {
            if (*n_out == room)
                return evi_fail(EV_ERR_UNSUPPORTED, "more than %d numbers", (int)room);
            to[(*n_out)++] = (int64_t)bits;
        }
    }
    return EV_OK;
}

ev_status evi_onnx_attr_floats(const evi_onnx_attr *attr, float *to, int32_t room, int32_t *n_out)
{
    evi_wire body = attr->body;
    evi_field f;
    *n_out = 0;
    while (evi_wire_next(&body, &f) > 0) {
        int32_t state = 0;
        uint64_t bits = 0;
        while (f.number == ATTR_FLOATS && evi_wire_element(&f, EVI_WIRE_FIXED32, &state, &bits)) {
            if (*n_out == room)
                return evi_fail(EV_ERR_UNSUPPORTED, "more than %d numbers", (int)room);
            to[(*n_out)++] = evi_wire_float(bits);
        }
    }
    return EV_OK;
}

ev_status evi_onnx_attr_find(const evi_onnx_node *node, const char *name, evi_onnx_attr *out,
                             bool *found)
{
    evi_wire body = node->body;
    evi_field f;
    *found = false;
    while (evi_wire_next(&body, &f) > 0) {
        if (f.number != NODE_ATTRIBUTE)
            continue;
        EVI_TRY(evi_onnx_attr_parse(f.body, out));
        if (evi_span_is(out->name, name)) {
            *found = true;
            return EV_OK;
        }
    }
    return EV_OK;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static ev_status expect_kind(const evi_onnx_attr *attr, int32_t type)
{
    static const char *const kinds[] = {
        "?",       "a float",          "an integer",         "a text",         "a tensor",
        "a graph", "a list of floats", "a list of integers", "a list of texts"};
    if (attr->type == type)
        return EV_OK;
    return evi_fail(EV_ERR_FORMAT, "it is %s, not %s",
                    kinds[attr->type < EVI_COUNT(kinds) ? attr->type : 0], kinds[type]);
}

static ev_status check_range(const evi_onnx_rule *rule, int64_t value)
{
    if (value < rule->low || value > rule->high)
        return evi_fail(EV_ERR_FORMAT, "%lld is not %d..%d", (long long)value, (int)rule->low,
                        (int)rule->high);
    return EV_OK;
}

static ev_status read_int(const evi_onnx_rule *rule, const evi_onnx_attr *attr, int32_t *to)
{
    EVI_TRY(expect_kind(attr, ATTR_TYPE_INT));
    EVI_TRY(check_range(rule, attr->i));
    *to = (int32_t)attr->i;
    return EV_OK;
}

static ev_status read_word(const evi_onnx_rule *rule, const evi_onnx_attr *attr, int32_t *to)
{
    char text[EVI_SPAN_TEXT];
    EVI_TRY(expect_kind(attr, ATTR_TYPE_STRING));
    for (int32_t i = 0; rule->words[i] != NULL; i++)
        if (evi_span_is(attr->s, rule->words[i])) {
            *to = i;
            return EV_OK;
        }
    return evi_fail(EV_ERR_UNSUPPORTED, "'%s' is not known", evi_span_text(attr->s, text));
}

static ev_status read_list(const evi_onnx_attr *attr, evi_list *to)
{
    EVI_TRY(expect_kind(attr, ATTR_TYPE_INTS));
    to->set = 1;
    return evi_onnx_attr_ints(attr, to->v, EVI_MAX_LIST, &to->n);
}

/* One number: the horizontal one of a one-dimensional window. */
static ev_status read_spatial(const evi_onnx_rule *rule, const evi_onnx_attr *attr, int32_t *to)
{
    int64_t v[4] = {0};
    int32_t n = 0, whole = rule->kind == EVI_RULE_PADS ? 4 : 2;
    EVI_TRY(expect_kind(attr, ATTR_TYPE_INTS));
    EVI_TRY(evi_onnx_attr_ints(attr, v, whole, &n));
    if (n != whole && n != whole / 2)
        return evi_fail(EV_ERR_FORMAT, "%d numbers instead of %d or %d", (int)n, (int)whole / 2,
                        (int)whole);
    for (int32_t i = 0; i < n; i++)
        EVI_TRY(check_range(rule, v[i]));
    for (int32_t i = 0; i < whole; i++)
        to[i] = n == whole ? (int32_t)v[i] : i % 2 == 1 ? (int32_t)v[i / 2] : rule->low;
    return EV_OK;
}

static ev_status read_scales(const evi_onnx_attr *attr, evi_attrs *a, float *to)
{
    EVI_TRY(expect_kind(attr, ATTR_TYPE_FLOATS));
    a->list.set = 1;
    return evi_onnx_attr_floats(attr, to, EV_MAX_RANK, &a->list.n);
}

static ev_status read_type(const evi_onnx_rule *rule, const evi_onnx_attr *attr, int32_t *to)
{
    /* opset 1 to 5 wrote the type's name */
    static const char *const names[] = {"FLOAT", "UINT8", "INT8",    "INT32",
                                        "INT64", "BOOL",  "FLOAT16", "DOUBLE"};
    static const int32_t types[] = {ONNX_FLOAT, ONNX_UINT8, ONNX_INT8,    ONNX_INT32,
                                    ONNX_INT64, ONNX_BOOL,  ONNX_FLOAT16, ONNX_DOUBLE};
    int64_t onnx_type = attr->i;
    if (attr->type == ATTR_TYPE_STRING) {
        onnx_type = 0;
        for (int32_t i = 0; i < EVI_COUNT(names); i++)
            if (evi_span_is(attr->s, names[i]))
                onnx_type = types[i];
    } else {
        EVI_TRY(expect_kind(attr, ATTR_TYPE_INT));
    }
    *to = onnx_type < 0 || onnx_type > 1000 ? 0 : evi_onnx_type((int32_t)onnx_type);
    if (*to == 0 && onnx_type != rule->low)
        return evi_fail(EV_ERR_UNSUPPORTED, "element type %lld", (long long)onnx_type);
    return EV_OK;
}

static ev_status apply(const evi_onnx_rule *rule, const evi_onnx_attr *attr, evi_attrs *a)
{
    void *to = (char *)a + rule->offset;
    switch (rule->kind) {
    case EVI_RULE_INT: return read_int(rule, attr, to);
    case EVI_RULE_FLOAT:
        EVI_TRY(expect_kind(attr, ATTR_TYPE_FLOAT));
        *(float *)to = attr->f;
        return EV_OK;
    case EVI_RULE_LIST: return read_list(attr, to);
    case EVI_RULE_WORD: return read_word(rule, attr, to);
    case EVI_RULE_SPATIAL:
    case EVI_RULE_PADS: return read_spatial(rule, attr, to);
    case EVI_RULE_SCALES: return read_scales(attr, a, to);
    case EVI_RULE_TYPE: return read_type(rule, attr, to);
    case EVI_RULE_ONE:
        EVI_TRY(expect_kind(attr, ATTR_TYPE_INT));
        *(evi_list *)to = (evi_list){.n = 1, .set = 1, .v = {attr->i}};
        return EV_OK;
    case EVI_RULE_FIXED:
        if (attr->type != ATTR_TYPE_INT || attr->i != (int64_t)rule->def)
            return evi_fail(EV_ERR_UNSUPPORTED, "only %d can be done", (int)rule->def);
        return EV_OK;
    default: return EV_OK;
    }
}

static bool holds(const evi_onnx_rule *rule, int64_t opset)
{
    return rule->since <= opset && (rule->until == 0 || opset <= rule->until);
}

static void set_defaults(evi_span op, int64_t opset, evi_attrs *a)
{
    int32_t n = 0;
    const evi_onnx_rule *rules = evi_onnx_rules(&n);
    for (int32_t i = 0; i < n; i++) {
        void *to = (char *)a + rules[i].offset;
        if (!evi_onnx_rule_for(&rules[i], op))
            continue;
        /* A rule that has ended was replaced by an input, whose absence has the same meaning; but
         * where a later rule exists, that one decides. */
        if (!holds(&rules[i], opset) && rules[i].until != 0 && rules[i].input == 0)
            continue;
        if (rules[i].kind == EVI_RULE_FLOAT)
            *(float *)to = rules[i].def;
        if (rules[i].kind == EVI_RULE_INT || rules[i].kind == EVI_RULE_WORD)
            *(int32_t *)to = (int32_t)rules[i].def;
    }
}

/* The rule of this opset; else any of that name: some exporters run ahead of their opset. */
static const evi_onnx_rule *find_rule(evi_span op, evi_span attr, int64_t opset)
{
    int32_t n = 0;
    const evi_onnx_rule *rules = evi_onnx_rules(&n), *other = NULL;
    for (int32_t i = 0; i < n; i++) {
        if (!evi_span_is(attr, rules[i].attr) || !evi_onnx_rule_for(&rules[i], op))
            continue;
        if (holds(&rules[i], opset))
            return &rules[i];
        other = &rules[i];
    }
    return other;
}

ev_status evi_onnx_attrs_read(const evi_onnx_node *node, int64_t opset, evi_attrs *a)
{
    char text[EVI_SPAN_TEXT];
    evi_wire body = node->body;
    evi_field f;
    evi_attrs_default(a);
    a->opset = (int32_t)opset;
    set_defaults(node->op, opset, a);
    while (evi_wire_next(&body, &f) > 0) {
        evi_onnx_attr attr;
        if (f.number != NODE_ATTRIBUTE)
            continue;
        EVI_TRY(evi_onnx_attr_parse(f.body, &attr));
        const evi_onnx_rule *rule = find_rule(node->op, attr.name, opset);
        ev_status status =
            rule == NULL ? evi_fail(EV_ERR_UNSUPPORTED, "it is not known") : apply(rule, &attr, a);
        if (status != EV_OK)
            return evi_fail_in(status, "attribute '%s'", evi_span_text(attr.name, text));
    }
    return EV_OK;
}
