/* SPDX-License-Identifier: MIT */
/* Take a ModelProto apart: spans into the file, tables of exactly the size that was counted.
 * Nothing is followed deeper than ONNX goes, so there is no recursion. */
#include "onnx/onnx.h"

#include <string.h>

/* ---- values with a type ---------------------------------------------------------------------- */

static ev_status parse_dim(evi_wire body, int64_t *out)
{
    evi_field f;
    int32_t more;
    *out = -1; /* a name, or nothing at all: any size */
    while ((more = evi_wire_next(&body, &f)) > 0)
        if (f.number == DIM_VALUE && f.type == EVI_WIRE_VARINT)
            *out = (int64_t)f.value;
    if (more < 0)
        return EV_ERR_FORMAT;
    if (*out > INT32_MAX)
        return evi_fail(EV_ERR_FORMAT, "a dimension is %lld", (long long)*out);
    *out = EVI_MAX(*out, -1);
    return EV_OK;
}

static ev_status parse_shape(evi_wire body, evi_onnx_port *port)
{
    evi_field f;
    int32_t more;
    port->has_shape = 1;
    while ((more = evi_wire_next(&body, &f)) > 0) {
        if (f.number != SHAPE_DIM)
            continue;
        EVI_TRY(evi_wire_expect(&f, EVI_WIRE_BYTES, "a dimension"));
        if (port->rank == EV_MAX_RANK)
            return evi_fail(EV_ERR_UNSUPPORTED, "the rank is over %d", EV_MAX_RANK);
        EVI_TRY(parse_dim(f.body, &port->dims[port->rank++]));
    }
    return more < 0 ? EV_ERR_FORMAT : EV_OK;
}

static ev_status parse_tensor_type(evi_wire body, evi_onnx_port *port)
{
    evi_field f;
    int32_t more;
    while ((more = evi_wire_next(&body, &f)) > 0) {
        if (f.number == TENSOR_TYPE_ELEM && f.type == EVI_WIRE_VARINT)
            port->onnx_type = f.value > 1000 ? 1000 : (int32_t)f.value;
        if (f.number != TENSOR_TYPE_SHAPE)
            continue;
        EVI_TRY(evi_wire_expect(&f, EVI_WIRE_BYTES, "the shape"));
        EVI_TRY(parse_shape(f.body, port));
    }
    return more < 0 ? EV_ERR_FORMAT : EV_OK;
}

static ev_status parse_type(evi_wire body, evi_onnx_port *port)
{
    evi_field f;
    int32_t more;
    while ((more = evi_wire_next(&body, &f)) > 0) {
        if (f.type != EVI_WIRE_BYTES)
            continue;
        if (f.number != TYPE_TENSOR && f.number <= 9 && f.number != 6)
            return evi_fail(EV_ERR_UNSUPPORTED, "a sequence, map or sparse tensor");
        if (f.number == TYPE_TENSOR)
            EVI_TRY(parse_tensor_type(f.body, port));
    }
    return more < 0 ? EV_ERR_FORMAT : EV_OK;
}

ev_status evi_onnx_port_parse(evi_wire body, evi_onnx_port *out)
{
    char text[EVI_SPAN_TEXT];
    *out = (evi_onnx_port){0};
    evi_field f;
    int32_t more;
    ev_status status = EV_OK;
    while (status == EV_OK && (more = evi_wire_next(&body, &f)) != 0) {
        if (more < 0)
            status = EV_ERR_FORMAT;
        else if (f.number == INFO_NAME && f.type == EVI_WIRE_BYTES)
            out->name = evi_wire_span(&f.body);
        else if (f.number == INFO_TYPE && f.type == EVI_WIRE_BYTES)
            status = parse_type(f.body, out);
    }
    if (status != EV_OK)
        return evi_fail_in(status, "input or output '%s'", evi_span_text(out->name, text));
    out->type = evi_onnx_type(out->onnx_type);
    return EV_OK;
}

/* ---- nodes ----------------------------------------------------------------------------------- */

static void note_subgraph(evi_wire attr, evi_onnx_node *node)
{
    evi_field f;
    while (evi_wire_next(&attr, &f) > 0)
        if (f.number == ATTR_G || f.number == ATTR_GRAPHS || f.number == ATTR_SPARSE ||
            f.number == ATTR_REF)
            node->has_graph = 1;
}

static ev_status node_field(evi_onnx_node *node, const evi_field *f)
{
    if (f->number > NODE_DOMAIN || f->number == 6)
        return EV_OK;
    EVI_TRY(evi_wire_expect(f, EVI_WIRE_BYTES, "a field of a node"));
    switch (f->number) {
    case NODE_INPUT: node->n_in++; break;
    case NODE_OUTPUT: node->n_out++; break;
    case NODE_NAME: node->name = evi_wire_span(&f->body); break;
    case NODE_OP: node->op = evi_wire_span(&f->body); break;
    case NODE_DOMAIN: node->domain = evi_wire_span(&f->body); break;
    default:
        node->n_attrs++;
        note_subgraph(f->body, node);
        break;
    }
    return EV_OK;
}

static ev_status parse_node(evi_wire body, evi_onnx_node *node, int32_t index)
{
    char text[EVI_SPAN_TEXT];
    *node = (evi_onnx_node){.body = body};
    evi_field f;
    int32_t more;
    while ((more = evi_wire_next(&body, &f)) > 0) {
        ev_status status = node_field(node, &f);
        if (status != EV_OK)
            return evi_fail_in(status, "node %d '%s'", (int)index, evi_span_text(node->name, text));
    }
    if (more < 0)
        return evi_fail_in(EV_ERR_FORMAT, "node %d '%s'", (int)index,
                           evi_span_text(node->name, text));
    if (node->n_in > EVI_ONNX_MAX_ARGS || node->n_out > EVI_ONNX_MAX_ARGS)
        return evi_fail(EV_ERR_UNSUPPORTED, "node %d '%s': more than %d inputs or outputs",
                        (int)index, evi_span_text(node->name, text), EVI_ONNX_MAX_ARGS);
    return EV_OK;
}

/* A Constant node with a tensor is an initializer in another place: keep it as one. */
static ev_status constant_tensor(const evi_onnx_node *node, evi_onnx_tensor *out, bool *is_one)
{
    evi_onnx_attr attr;
    *is_one = false;
    if (node->n_out != 1)
        return EV_OK;
    EVI_TRY(evi_onnx_attr_find(node, "value", &attr, is_one));
    if (!*is_one)
        return EV_OK;
    EVI_TRY(evi_onnx_tensor_parse(attr.tensor, out));
    evi_wire body = node->body;
    evi_field f;
    while (evi_wire_next(&body, &f) > 0)
        if (f.number == NODE_OUTPUT)
            out->name = evi_wire_span(&f.body);
    return EV_OK;
}

/* ---- the graph ------------------------------------------------------------------------------- */

typedef struct graph_size {
    int64_t nodes, tensors, inputs, outputs;
} graph_size;

static ev_status count_graph(evi_wire graph, evi_onnx_file *file, int64_t max_nodes, graph_size *n)
{
    evi_field f;
    int32_t more;
    *n = (graph_size){0};
    while ((more = evi_wire_next(&graph, &f)) > 0) {
        n->nodes += f.number == GRAPH_NODE;
        n->tensors += f.number == GRAPH_INITIALIZER;
        n->inputs += f.number == GRAPH_INPUT;
        n->outputs += f.number == GRAPH_OUTPUT;
        if (f.number == GRAPH_SPARSE)
            return evi_fail(EV_ERR_UNSUPPORTED, "sparse tensors");
        if (f.number == GRAPH_NODE || f.number == GRAPH_INITIALIZER || f.number == GRAPH_INPUT ||
            f.number == GRAPH_OUTPUT)
            EVI_TRY(evi_wire_expect(&f, EVI_WIRE_BYTES, "a part of the graph"));
    }
    if (more < 0)
        return EV_ERR_FORMAT;
    if (n->nodes > max_nodes)
        return evi_fail(EV_ERR_UNSUPPORTED, "%lld nodes; the limit is %lld", (long long)n->nodes,
                        (long long)max_nodes);
    if (n->tensors > EVI_ONNX_MAX_TENSORS || n->inputs > EVI_ONNX_MAX_TENSORS ||
        n->outputs > EVI_ONNX_MAX_PORTS)
        return evi_fail(EV_ERR_UNSUPPORTED,
                        "%lld initializers, %lld inputs, %lld outputs: too many",
                        (long long)n->tensors, (long long)n->inputs, (long long)n->outputs);
    EVI_TRY(evi_calloc(file->ctx, (uint64_t)n->nodes, sizeof(evi_onnx_node), &file->nodes));
    EVI_TRY(evi_calloc(file->ctx, (uint64_t)n->tensors, sizeof(evi_onnx_tensor), &file->tensors));
    EVI_TRY(evi_calloc(file->ctx, (uint64_t)n->inputs, sizeof(evi_onnx_port), &file->inputs));
    return evi_calloc(file->ctx, (uint64_t)n->outputs, sizeof(evi_onnx_port), &file->outputs);
}

/* A mapped file may be written to by another program between counting and filling. */
static ev_status check_room(int32_t n, int64_t room)
{
    return n < room ? EV_OK : evi_fail(EV_ERR_FORMAT, "the file changes while it is read");
}

static ev_status fill_graph(evi_wire graph, evi_onnx_file *file, const graph_size *room)
{
    evi_field f;
    while (evi_wire_next(&graph, &f) > 0) {
        switch (f.number) {
        case GRAPH_NODE:
            EVI_TRY(check_room(file->n_nodes, room->nodes));
            EVI_TRY(parse_node(f.body, &file->nodes[file->n_nodes], file->n_nodes));
            file->n_nodes++;
            break;
        case GRAPH_INITIALIZER:
            EVI_TRY(check_room(file->n_tensors, room->tensors));
            EVI_TRY(evi_onnx_tensor_parse(f.body, &file->tensors[file->n_tensors]));
            file->n_tensors++;
            break;
        case GRAPH_INPUT:
            EVI_TRY(check_room(file->n_inputs, room->inputs));
            EVI_TRY(evi_onnx_port_parse(f.body, &file->inputs[file->n_inputs]));
            file->n_inputs++;
            break;
        case GRAPH_OUTPUT:
            EVI_TRY(check_room(file->n_outputs, room->outputs));
            EVI_TRY(evi_onnx_port_parse(f.body, &file->outputs[file->n_outputs]));
            file->n_outputs++;
            break;
        default: break;
        }
    }
    return EV_OK;
}

static ev_status add_constant_nodes(evi_onnx_file *file)
{
    int32_t n = 0, room;
    file->n_initializers = file->n_tensors;
    for (int32_t i = 0; i < file->n_nodes; i++)
        n += evi_span_is(file->nodes[i].op, "Constant");
    room = file->n_tensors + n;
    EVI_TRY(evi_realloc(file->ctx, (uint64_t)room, sizeof(evi_onnx_tensor), &file->tensors));
    for (int32_t i = 0; i < file->n_nodes; i++) {
        bool is_one = false;
        char text[EVI_SPAN_TEXT];
        if (!evi_span_is(file->nodes[i].op, "Constant"))
            continue;
        EVI_TRY(check_room(file->n_tensors, room));
        ev_status status =
            constant_tensor(&file->nodes[i], &file->tensors[file->n_tensors], &is_one);
        if (status != EV_OK)
            return evi_fail_in(status, "node '%s'", evi_span_text(file->nodes[i].name, text));
        file->n_tensors += is_one;
    }
    return EV_OK;
}

/* ---- the model ------------------------------------------------------------------------------- */

static ev_status parse_opset(evi_wire body, evi_onnx_file *file)
{
    evi_field f;
    evi_span domain = {0};
    int64_t version = 0;
    int32_t more;
    while ((more = evi_wire_next(&body, &f)) > 0) {
        if (f.number == OPSET_DOMAIN && f.type == EVI_WIRE_BYTES)
            domain = evi_wire_span(&f.body);
        if (f.number == OPSET_VERSION && f.type == EVI_WIRE_VARINT)
            version = (int64_t)f.value;
    }
    if (more < 0)
        return EV_ERR_FORMAT;
    if (domain.n == 0 || evi_span_is(domain, "ai.onnx")) {
        if (version < 1 || version > 1000)
            return evi_fail(EV_ERR_FORMAT, "opset %lld", (long long)version);
        file->opset = version;
    }
    return EV_OK;
}

static ev_status parse_meta(evi_wire body, evi_onnx_file *file)
{
    evi_field f;
    int32_t more;
    evi_onnx_meta meta = {.key = {"", 0}, .value = {"", 0}};
    while ((more = evi_wire_next(&body, &f)) > 0) {
        if (f.type != EVI_WIRE_BYTES)
            continue;
        if (f.number == META_KEY)
            meta.key = evi_wire_span(&f.body);
        if (f.number == META_VALUE)
            meta.value = evi_wire_span(&f.body);
    }
    if (more < 0)
        return EV_ERR_FORMAT;
    if (file->n_meta == EVI_ONNX_MAX_META)
        return evi_fail(EV_ERR_UNSUPPORTED, "more than %d metadata_props", EVI_ONNX_MAX_META);
    if (file->n_meta % 16 == 0)
        EVI_TRY(evi_realloc(file->ctx, (uint64_t)file->n_meta + 16, sizeof(evi_onnx_meta),
                            &file->meta));
    file->meta[file->n_meta++] = meta;
    return EV_OK;
}

static ev_status model_field(evi_onnx_file *file, const evi_field *f, evi_wire *graph)
{
    switch (f->number) {
    case MODEL_IR:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_VARINT, "ir_version"));
        file->ir = (int64_t)f->value;
        return EV_OK;
    case MODEL_GRAPH:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_BYTES, "graph"));
        if (graph->at != NULL)
            return evi_fail(EV_ERR_FORMAT, "two graphs");
        *graph = f->body;
        return EV_OK;
    case MODEL_OPSET:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_BYTES, "opset_import"));
        return parse_opset(f->body, file);
    case MODEL_META:
        EVI_TRY(evi_wire_expect(f, EVI_WIRE_BYTES, "metadata_props"));
        return parse_meta(f->body, file);
    case MODEL_FUNCTIONS: return evi_fail(EV_ERR_UNSUPPORTED, "functions of the model's own");
    default: return EV_OK;
    }
}

static ev_status parse_model(evi_wire body, evi_onnx_file *file, evi_wire *graph)
{
    evi_field f;
    int32_t more;
    while ((more = evi_wire_next(&body, &f)) > 0)
        EVI_TRY(model_field(file, &f, graph));
    if (more < 0)
        return EV_ERR_FORMAT;
    if (graph->at == NULL)
        return evi_fail(EV_ERR_FORMAT, "no graph in it");
    if (file->opset == 0) {
        if (file->ir >= 3)
            return evi_fail(EV_ERR_FORMAT, "no opset_import for the default domain");
        file->opset = 1; /* files of the first versions did not say */
    }
    return EV_OK;
}

ev_status evi_onnx_parse(ev_context *ctx, const void *data, uint64_t n_bytes, int64_t max_nodes,
                         evi_onnx_file *out)
{
    *out = (evi_onnx_file){.ctx = ctx};
    evi_wire body, graph = {0};
    graph_size size;
    evi_wire_start(&body, data, n_bytes);
    ev_status status = parse_model(body, out, &graph);
    if (status == EV_OK)
        status = count_graph(graph, out, max_nodes, &size);
    if (status == EV_OK)
        status = fill_graph(graph, out, &size);
    if (status == EV_OK)
        status = add_constant_nodes(out);
    if (status != EV_OK)
        evi_onnx_file_end(out);
    return status;
}

void evi_onnx_file_end(evi_onnx_file *file)
{
    evi_free(file->nodes);
    evi_free(file->tensors);
    evi_free(file->inputs);
    evi_free(file->outputs);
    evi_free(file->meta);
    *file = (evi_onnx_file){.ctx = file->ctx};
}

/* ---- notes and checksums --------------------------------------------------------------------- */

evi_span evi_onnx_meta_find(const evi_onnx_file *file, const char *key)
{
    for (int32_t i = 0; i < file->n_meta; i++)
        if (evi_span_is(file->meta[i].key, key))
            return file->meta[i].value;
    return (evi_span){0};
}

static bool read_hex(evi_span s, uint32_t *out)
{
    if (s.n != 8)
        return false;
    *out = 0;
    for (int32_t i = 0; i < 8; i++) {
        const char *digits = "0123456789abcdef", *at = memchr(digits, s.at[i], 16);
        if (at == NULL)
            return false;
        *out = *out << 4 | (uint32_t)(at - digits);
    }
    return true;
}

/* The checksum of the whole file stands in its first entry, where only our writer puts one: a tool
 * that writes the file anew moves or drops it, and then there is nothing to check. */
ev_status evi_onnx_check_file_crc(const void *bytes, uint64_t n_bytes, bool *checked_out)
{
    const uint8_t *data = bytes;
    static const char head[] = "\x72\x22\x0a\x16" EVI_META_FILE_CRC "\x12\x08";
    const uint64_t at = sizeof(head) - 1;
    uint32_t want = 0;
    *checked_out = false;
    if (n_bytes < at + 8 || memcmp(data, head, at) != 0)
        return EV_OK;
    if (!read_hex((evi_span){(const char *)data + at, 8}, &want))
        return evi_fail(EV_ERR_FORMAT, "the file's checksum is not readable");
    uint32_t crc = evi_crc32c(0, data, at);
    crc = evi_crc32c(crc, data + at + 8, n_bytes - at - 8);
    if (crc != want)
        return evi_fail(EV_ERR_FORMAT, "the file is damaged: its checksum is %08x, not %08x",
                        (unsigned)crc, (unsigned)want);
    *checked_out = true;
    return EV_OK;
}

ev_status evi_onnx_check_weights_crc(const evi_onnx_file *file)
{
    evi_span note = evi_onnx_meta_find(file, EVI_META_WEIGHTS_CRC);
    uint32_t want = 0, crc = 0;
    if (note.at == NULL)
        return EV_OK;
    if (!read_hex(note, &want))
        return evi_fail(EV_ERR_FORMAT, "metadata '%s' is not a checksum", EVI_META_WEIGHTS_CRC);
    for (int32_t i = 0; i < file->n_initializers; i++) {
        const evi_wire *raw = &file->tensors[i].raw;
        if (file->tensors[i].has_raw && evi_wire_left(raw) > 0)
            crc = evi_crc32c(crc, raw->at, evi_wire_left(raw));
    }
    if (crc != want)
        return evi_fail(EV_ERR_FORMAT, "the weights are damaged: their checksum is %08x, not %08x",
                        (unsigned)crc, (unsigned)want);
    return EV_OK;
}
