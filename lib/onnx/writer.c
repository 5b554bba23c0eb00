/* SPDX-License-Identifier: MIT */
/* Save a model as ONNX.  The order of the parts:
 *
 *   metadata_props  the checksum of the whole file, which stands here and nowhere else, so that a
 *                   file that another tool has written anew is known to carry none
 *   ir_version, producer, opset_import, metadata_props
 *   graph           nodes, name, inputs, outputs, then the initializers, whose raw_data begin at
 *                   multiples of 64 bytes: a doc_string of blanks before each fills the gap
 */
#include "onnx/writer.h"

#include <stdio.h>
#include <string.h>

#define CHUNK 4096

/* ---- where bytes go -------------------------------------------------------------------------- */

/* A file, a block of memory, or nowhere (to learn the checksum). */
typedef struct sink {
    evi_writer *file;
    uint8_t *memory;
    uint64_t at;
    uint32_t crc;         /* of everything that went through */
    uint32_t weights_crc; /* of raw_data alone */
} sink;

static ev_status put(sink *s, const void *from, uint64_t n_bytes)
{
    if (n_bytes == 0)
        return EV_OK;
    s->crc = evi_crc32c(s->crc, from, n_bytes);
    if (s->memory != NULL)
        memcpy(s->memory + s->at, from, (size_t)n_bytes);
    s->at += n_bytes;
    return s->file != NULL ? evi_writer_write(s->file, from, n_bytes) : EV_OK;
}

static uint64_t file_bytes(int32_t type)
{
    return type == EV_TYPE_FLOAT32 ? 4 : (uint64_t)evi_type_bytes(type);
}

/* One element as its little-endian bytes. */
static void encode(int32_t type, const void *data, int64_t i, uint8_t *to)
{
    uint64_t bits = 0, n = file_bytes(type);
    float f;
    uint32_t f_bits;
    switch (type) {
    case EV_TYPE_FLOAT32:
        f = (float)((const evi_real *)data)[i];
        memcpy(&f_bits, &f, sizeof(f_bits));
        bits = f_bits;
        break;
    case EV_TYPE_INT64: bits = (uint64_t)((const int64_t *)data)[i]; break;
    case EV_TYPE_INT32: bits = (uint32_t)((const int32_t *)data)[i]; break;
    default: bits = ((const uint8_t *)data)[i]; break;
    }
    for (uint64_t k = 0; k < n; k++)
        to[k] = (uint8_t)(bits >> (8 * k));
}

static uint64_t elements_bytes(const evi_draft_tensor *t)
{
    return (uint64_t)evi_shape_count(&t->shape) * file_bytes(t->type);
}

static ev_status put_elements(sink *s, const evi_draft_tensor *t)
{
    uint8_t chunk[CHUNK];
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    if (t->type != EV_TYPE_FLOAT32 || sizeof(evi_real) == 4) { /* they lie as the file wants them */
        if (elements_bytes(t) > 0)
            s->weights_crc = evi_crc32c(s->weights_crc, t->data, elements_bytes(t));
        return put(s, t->data, elements_bytes(t));
    }
#endif
    int64_t count = evi_shape_count(&t->shape), piece = CHUNK / (int64_t)file_bytes(t->type);
    for (int64_t first = 0; first < count; first += piece) {
        int64_t n = EVI_MIN(piece, count - first);
        for (int64_t i = 0; i < n; i++)
            encode(t->type, t->data, first + i, chunk + (uint64_t)i * file_bytes(t->type));
        uint64_t bytes = (uint64_t)n * file_bytes(t->type);
        s->weights_crc = evi_crc32c(s->weights_crc, chunk, bytes);
        EVI_TRY(put(s, chunk, bytes));
    }
    return EV_OK;
}

/* ---- the parts ------------------------------------------------------------------------------- */

typedef struct parts {
    evi_text head;   /* all before the graph */
    evi_text graph;  /* of the graph, all before the initializers */
    evi_text tensor; /* of one initializer, all before its elements */
} parts;

static void put_meta(evi_text *t, const char *key, const char *value)
{
    uint64_t mark = evi_put_begin(t, MODEL_META);
    evi_put_string(t, META_KEY, key);
    evi_put_string(t, META_VALUE, value);
    evi_put_end(t, mark);
}

static ev_status put_roles(const evi_draft *w, evi_text *t)
{
    char *roles = NULL;
    EVI_TRY(evi_calloc(w->ctx, (uint64_t)w->n_tensors + 1, 1, &roles));
    for (int32_t i = 0; i < w->n_tensors; i++)
        roles[i] = (char)w->tensors[i].role;
    if (w->n_tensors > 0)
        put_meta(t, EVI_META_ROLES, roles);
    evi_free(roles);
    return EV_OK;
}

/* Sizes that the model was drawn with, where the file leaves them open. */
static ev_status put_nominal(const evi_draft *w, evi_text *t)
{
    const ev_model *m = w->model;
    evi_text note;
    uint32_t dynamic = 0;
    evi_text_start(&note, w->ctx);
    for (int32_t i = 0, n = 0; i < m->n_inputs; i++) {
        const evi_shape *s = &m->values[m->inputs[i].value].edge.shape;
        if (w->input_names[i] == NULL)
            continue;
        dynamic |= m->inputs[i].dynamic;
        evi_text_add(&note, "%s", n++ > 0 ? ";" : "");
        for (int32_t d = 0; d < s->rank; d++)
            evi_text_add(&note, "%s%lld", d > 0 ? "x" : "", (long long)s->dim[d]);
    }
    ev_status status = note.status;
    if (status == EV_OK && dynamic != 0)
        put_meta(t, EVI_META_NOMINAL, note.data);
    evi_text_end(&note);
    return status;
}

static ev_status make_head(const evi_draft *w, evi_text *t, uint32_t file_crc, uint32_t weights_crc)
{
    char hex[16];
    evi_text_start(t, w->ctx);
    snprintf(hex, sizeof(hex), "%08x", (unsigned)file_crc);
    put_meta(t, EVI_META_FILE_CRC, hex);
    evi_put_int(t, MODEL_IR, w->opset < 19 ? EVI_ONNX_IR : w->opset < 21 ? 9 : 10);
    evi_put_string(t, MODEL_PRODUCER, "libedgevision");
    evi_put_string(t, MODEL_PRODUCER_VERSION, ev_version());
    uint64_t mark = evi_put_begin(t, MODEL_OPSET);
    evi_put_string(t, OPSET_DOMAIN, "");
    evi_put_int(t, OPSET_VERSION, w->opset);
    evi_put_end(t, mark);
    snprintf(hex, sizeof(hex), "%08x", (unsigned)weights_crc);
    put_meta(t, EVI_META_WEIGHTS_CRC, hex);
    EVI_TRY(put_roles(w, t));
    EVI_TRY(put_nominal(w, t));
    for (int32_t i = 0; i < w->model->n_meta; i++) {
        const evi_meta *meta = &w->model->meta[i];
        if (!evi_onnx_is_private((evi_span){meta->key, strlen(meta->key)}))
            put_meta(t, meta->key, meta->value);
    }
    return t->status;
}

/* A dimension of -1 has a name: the batch is N everywhere. */
static void put_info(evi_text *t, uint32_t field, const char *name, int32_t type, int32_t rank,
                     const int64_t *dims)
{
    uint64_t info = evi_put_begin(t, field);
    evi_put_string(t, INFO_NAME, name);
    uint64_t outer = evi_put_begin(t, INFO_TYPE), inner = evi_put_begin(t, TYPE_TENSOR);
    evi_put_int(t, TENSOR_TYPE_ELEM, evi_onnx_type_of(type));
    uint64_t shape = rank < 0 ? 0 : evi_put_begin(t, TENSOR_TYPE_SHAPE);
    for (int32_t d = 0; d < rank; d++) {
        char other[EVI_MAX_NAME + 16];
        uint64_t dim = evi_put_begin(t, SHAPE_DIM);
        snprintf(other, sizeof(other), "%s_dim%d", name, (int)d);
        if (dims[d] >= 0)
            evi_put_int(t, DIM_VALUE, dims[d]);
        else
            evi_put_string(t, DIM_PARAM, d == 0 ? "N" : other);
        evi_put_end(t, dim);
    }
    if (rank >= 0)
        evi_put_end(t, shape);
    evi_put_end(t, inner);
    evi_put_end(t, outer);
    evi_put_end(t, info);
}

static ev_status make_graph(const evi_draft *w, evi_text *t)
{
    const ev_model *m = w->model;
    int64_t dims[EV_MAX_RANK];
    bool open = false;
    evi_text_start(t, w->ctx);
    evi_text_bytes(t, w->nodes.data == NULL ? "" : w->nodes.data, w->nodes.length);
    evi_put_string(t, GRAPH_NAME, "model");
    for (int32_t i = 0; i < m->n_inputs; i++) {
        if (w->input_names[i] == NULL)
            continue;
        open = open || (m->inputs[i].dynamic & ~1u) != 0;
        put_info(t, GRAPH_INPUT, w->input_names[i], m->values[m->inputs[i].value].edge.type,
                 ev_model_input_dims(m, i, dims), dims);
    }
    for (int32_t i = 0; i < m->n_outputs; i++) {
        if (w->output_names[i] == NULL)
            continue;
        int32_t rank = ev_model_output_dims(m, i, dims);
        /* with open sizes at the input the drawn ones of the output mean nothing */
        put_info(t, GRAPH_OUTPUT, w->output_names[i], m->values[m->outputs[i].value].edge.type,
                 open ? -1 : rank, dims);
    }
    return t->status;
}

/* ---- layout ---------------------------------------------------------------------------------- */

/* All of an initializer but its elements; `pad` blanks. */
static void make_tensor(const evi_draft *w, const evi_draft_tensor *t, uint64_t pad, evi_text *out)
{
    static const char blanks[2 * EVI_ALIGN + 1] =
        "                                                                "
        "                                                                ";
    uint64_t bytes = elements_bytes(t);
    out->length = 0;
    for (int32_t i = 0; i < t->shape.rank; i++)
        evi_put_int(out, TENSOR_DIMS, t->shape.dim[i]);
    evi_put_int(out, TENSOR_TYPE, evi_onnx_type_of(t->type));
    evi_put_string(out, TENSOR_NAME, t->name);
    if (pad > 0)
        evi_put_bytes(out, TENSOR_DOC, blanks, pad);
    evi_put_tag(out, TENSOR_RAW, EVI_WIRE_BYTES);
    evi_put_varint(out, bytes);
    (void)w;
}

/* Bytes of an initializer that begins at `at` of the file, with its elements aligned. */
static uint64_t tensor_bytes(const evi_draft *w, const evi_draft_tensor *t, uint64_t at,
                             evi_text *out)
{
    uint64_t bytes = elements_bytes(t), total = 0;
    for (uint64_t pad = 0; pad < 2 * EVI_ALIGN; pad++) {
        make_tensor(w, t, pad, out);
        total = out->length + bytes;
        uint64_t start = at + 1 + (uint64_t)evi_varint_bytes(total) + out->length;
        if (bytes < EVI_ALIGN || start % EVI_ALIGN == 0)
            break;
    }
    return 1 + (uint64_t)evi_varint_bytes(total) + total;
}

/* Bytes of the graph when it begins at `at`. */
static uint64_t graph_bytes(const evi_draft *w, parts *p, uint64_t at)
{
    uint64_t n = p->graph.length;
    for (int32_t i = 0; i < w->n_tensors; i++)
        n += tensor_bytes(w, &w->tensors[i], at + n, &p->tensor);
    return n;
}

/* The graph's length stands before it, and how many bytes that takes decides about the padding
 * behind it: try until it fits. */
static uint64_t measure_graph(const evi_draft *w, parts *p, int32_t *length_bytes)
{
    uint64_t n = 0;
    for (int32_t k = 1; k <= 10; k++) {
        *length_bytes = k;
        n = graph_bytes(w, p, p->head.length + 1 + (uint64_t)k);
        if (evi_varint_bytes(n) <= k)
            break;
    }
    return n;
}

/* A varint of just so many bytes; a longer one than needed is the same number. */
static void put_long_varint(evi_text *t, uint64_t value, int32_t n_bytes)
{
    for (int32_t i = 0; i < n_bytes; i++) {
        uint8_t byte = (uint8_t)((value >> (7 * i)) & 0x7f) | (i + 1 < n_bytes ? 0x80 : 0);
        evi_text_bytes(t, &byte, 1);
    }
}

static ev_status emit(const evi_draft *w, parts *p, uint64_t n_graph, int32_t length_bytes, sink *s)
{
    EVI_TRY(put(s, p->head.data, p->head.length));
    p->tensor.length = 0;
    evi_put_tag(&p->tensor, MODEL_GRAPH, EVI_WIRE_BYTES);
    put_long_varint(&p->tensor, n_graph, length_bytes);
    EVI_TRY(p->tensor.status);
    EVI_TRY(put(s, p->tensor.data, p->tensor.length));
    EVI_TRY(put(s, p->graph.data, p->graph.length));
    for (int32_t i = 0; i < w->n_tensors; i++) {
        uint8_t tag[16];
        (void)tensor_bytes(w, &w->tensors[i], s->at, &p->tensor);
        EVI_TRY(p->tensor.status);
        uint64_t total = p->tensor.length + elements_bytes(&w->tensors[i]);
        int32_t n = 0;
        tag[n++] = GRAPH_INITIALIZER << 3 | EVI_WIRE_BYTES;
        for (uint64_t left = total; n == 1 || left > 0; left >>= 7)
            tag[n++] = (uint8_t)(left & 0x7f) | (left >> 7 != 0 ? 0x80 : 0);
        EVI_TRY(put(s, tag, (uint64_t)n));
        EVI_TRY(put(s, p->tensor.data, p->tensor.length));
        EVI_TRY(put_elements(s, &w->tensors[i]));
    }
    return EV_OK;
}

/* The checksums stand at the beginning: all is gone through once for them, and once to write. */
static ev_status find_checksums(const evi_draft *w, parts *p, uint64_t n_graph,
                                int32_t length_bytes)
{
    sink s = {0};
    EVI_TRY(emit(w, p, n_graph, length_bytes, &s));
    uint32_t weights_crc = s.weights_crc;
    evi_text_end(&p->head);
    EVI_TRY(make_head(w, &p->head, 0, weights_crc));
    const uint64_t hole = 4 + sizeof(EVI_META_FILE_CRC) - 1 + 2; /* where the eight digits stand */
    parts rest = *p;
    rest.head.data += hole + 8;
    rest.head.length -= hole + 8;
    s = (sink){.crc = evi_crc32c(0, p->head.data, hole), .at = hole + 8};
    ev_status status = emit(w, &rest, n_graph, length_bytes, &s);
    p->tensor = rest.tensor; /* it may have grown */
    EVI_TRY(status);
    uint32_t file_crc = s.crc;
    evi_text_end(&p->head);
    return make_head(w, &p->head, file_crc, weights_crc);
}

/* ---- saving ---------------------------------------------------------------------------------- */

static void end_draft(evi_draft *w)
{
    evi_text_end(&w->nodes);
    evi_onnx_names_end(&w->names);
    evi_onnx_names_end(&w->node_names);
    for (int32_t i = 0; i < w->n_blocks; i++)
        evi_free(w->blocks[i]);
    evi_free(w->blocks);
    evi_free(w->stores);
    evi_free(w->first_param);
    evi_free(w->params);
    evi_free(w->tensors);
    evi_free(w->input_names);
    evi_free(w->output_names);
}

/* Opset 17, or a newer one when an operator cannot be said in it. */
static ev_status draft(const ev_model *model, evi_draft *w)
{
    int32_t opset = EVI_ONNX_OPSET;
    for (;;) {
        *w = (evi_draft){.ctx = model->handle.ctx, .model = model, .opset = opset};
        evi_text_start(&w->nodes, w->ctx);
        ev_status status = evi_draft_graph(w);
        if (status != EV_OK || w->need_opset <= opset)
            return status;
        opset = w->need_opset;
        end_draft(w);
    }
}

static ev_status write_parts(const evi_draft *w, parts *p, const char *path, void **data_out,
                             uint64_t *n_bytes_out)
{
    int32_t length_bytes = 0;
    EVI_TRY(make_head(w, &p->head, 0, 0));
    EVI_TRY(make_graph(w, &p->graph));
    evi_text_start(&p->tensor, w->ctx);
    uint64_t n_graph = measure_graph(w, p, &length_bytes);
    EVI_TRY(p->tensor.status);
    uint64_t total = p->head.length + 1 + (uint64_t)length_bytes + n_graph;
    if (total > INT32_MAX)
        return evi_fail(EV_ERR_UNSUPPORTED, "an ONNX file has at most 2 GiB, this one %llu bytes",
                        (unsigned long long)total);
    if (path == NULL && data_out == NULL) { /* only how many */
        *n_bytes_out = total;
        return EV_OK;
    }
    EVI_TRY(find_checksums(w, p, n_graph, length_bytes));
    sink s = {0};
    if (path == NULL) {
        EVI_TRY(evi_malloc(w->ctx, total, 1, &s.memory));
        ev_status status = emit(w, p, n_graph, length_bytes, &s);
        if (status != EV_OK) {
            evi_free(s.memory);
            return status;
        }
        *data_out = evi_give(s.memory);
        *n_bytes_out = total;
        return EV_OK;
    }
    EVI_TRY(evi_writer_open(w->ctx, path, &s.file));
    ev_status status = emit(w, p, n_graph, length_bytes, &s);
    if (status != EV_OK) {
        evi_writer_abandon(s.file);
        return status;
    }
    return evi_writer_commit(s.file);
}

static ev_status save(const ev_model *model, const char *path, void **data_out,
                      uint64_t *n_bytes_out)
{
    evi_draft w;
    parts p = {0};
    ev_status status = draft(model, &w);
    if (status == EV_OK)
        status = write_parts(&w, &p, path, data_out, n_bytes_out);
    if (p.head.ctx != NULL)
        evi_text_end(&p.head);
    if (p.graph.ctx != NULL)
        evi_text_end(&p.graph);
    if (p.tensor.ctx != NULL)
        evi_text_end(&p.tensor);
    end_draft(&w);
    return status;
}

ev_status ev_model_save(const ev_model *model, const char *path)
{
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    EVI_CHECK_POINTER(path);
    ev_status status = save(model, path, NULL, NULL);
    return status == EV_OK || status == EV_ERR_IO ? status : evi_fail_in(status, "%s", path);
}

ev_status ev_model_save_memory(const ev_model *model, void **data_out, uint64_t *n_bytes_out)
{
    if (data_out != NULL)
        *data_out = NULL;
    if (n_bytes_out != NULL)
        *n_bytes_out = 0;
    EVI_CHECK_POINTER(data_out);
    EVI_CHECK_POINTER(n_bytes_out);
    EVI_CHECK_HANDLE(model, EVI_MAGIC_MODEL);
    return save(model, NULL, data_out, n_bytes_out);
}

ev_status evi_model_file_bytes(const ev_model *model, uint64_t *out)
{
    return save(model, NULL, NULL, out);
}

void ev_bytes_destroy(void *data)
{
    evi_free(data);
}
