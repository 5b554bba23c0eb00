/* SPDX-License-Identifier: MIT */
#include "train/safetensors.h"

#include <stdio.h>
#include <string.h>

/* The header begins with these bytes, so that the checksum has a fixed place: it is reckoned with
 * zeros where its own eight digits stand. */
static const char opening[] = "{\"__metadata__\":{\"crc32c\":\"";
#define CRC_AT (8 + sizeof(opening) - 1)
#define CRC_DIGITS 8
#define HEADER_MAX ((uint64_t)100 << 20)
#define FILE_MAX ((uint64_t)1 << 40)

static const char *const type_names[] = { "", "F32", "F64", "I64" };
static const uint64_t type_bytes[] = { 0, 4, 8, 8 };

void evi_st_start(evi_st_file *f, ev_context *ctx)
{
    *f = (evi_st_file){ .ctx = ctx };
}

void evi_st_end(evi_st_file *f)
{
    for (int32_t i = 0; i < f->n && f->owns_names; i++) {
        evi_free(f->tensors[i].name);
        evi_free(f->tensors[i].own);
    }
    for (int32_t i = 0; i < f->n_texts && f->owns_names; i++) {
        evi_free(f->texts[i].key);
        evi_free(f->texts[i].value);
    }
    evi_free(f->tensors);
    evi_free(f->texts);
    evi_free(f->block);
    *f = (evi_st_file){ 0 };
}

static ev_status room(evi_st_file *f, int32_t n, int32_t *capacity, uint64_t size, void *table)
{
    if (n < *capacity)
        return EV_OK;
    int32_t more = *capacity > 0 ? 2 * *capacity : 64;
    EVI_TRY(evi_realloc(f->ctx, (uint64_t)more, size, table));
    *capacity = more;
    return EV_OK;
}

/* ---- write --------------------------------------------------------------------------------- */

ev_status evi_st_add(evi_st_file *f, const char *name, int32_t type, const evi_shape *shape,
                     const void *data)
{
    EVI_TRY(room(f, f->n, &f->capacity, sizeof(evi_st_tensor), &f->tensors));
    evi_st_tensor *t = &f->tensors[f->n];
    *t = (evi_st_tensor){ .type = type, .shape = *shape, .data = data };
    t->n_bytes = (uint64_t)evi_shape_count(shape) * type_bytes[type];
    EVI_TRY(evi_strdup(f->ctx, name, &t->name));
    f->owns_names = true;
    f->n++;
    return EV_OK;
}

ev_status evi_st_add_own(evi_st_file *f, const char *name, int32_t type, const evi_shape *shape,
                         void *data_out)
{
    void *data = NULL;
    EVI_TRY(evi_calloc(f->ctx, (uint64_t)evi_shape_count(shape), type_bytes[type], &data));
    ev_status status = evi_st_add(f, name, type, shape, data);
    if (status != EV_OK) {
        evi_free(data);
        return status;
    }
    f->tensors[f->n - 1].own = data;
    memcpy(data_out, &data, sizeof(data));
    return EV_OK;
}

ev_status evi_st_add_text(evi_st_file *f, const char *key, const char *value)
{
    EVI_TRY(room(f, f->n_texts, &f->text_capacity, sizeof(evi_st_text), &f->texts));
    evi_st_text *t = &f->texts[f->n_texts];
    *t = (evi_st_text){ 0 };
    EVI_TRY(evi_strdup(f->ctx, key, &t->key));
    f->owns_names = true;
    f->n_texts++;
    return evi_strdup(f->ctx, value, &t->value);
}

static void put_u64(unsigned char to[8], uint64_t x)
{
    for (int32_t i = 0; i < 8; i++)
        to[i] = (unsigned char)(x >> 8 * i);
}

static void header_tensor(evi_text *h, const evi_st_tensor *t, uint64_t offset)
{
    evi_text_add(h, ",");
    evi_text_json_string(h, t->name);
    evi_text_add(h, ":{\"dtype\":\"%s\",\"shape\":[", type_names[t->type]);
    for (int32_t i = 0; i < t->shape.rank; i++)
        evi_text_add(h, "%s%lld", i > 0 ? "," : "", (long long)t->shape.dim[i]);
    evi_text_add(h, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                 (unsigned long long)(offset + t->n_bytes));
}

/* The length and the JSON, with zeros for the checksum. */
static ev_status make_header(const evi_st_file *f, evi_text *h)
{
    unsigned char length[8] = { 0 };
    uint64_t offset = 0;
    evi_text_bytes(h, length, sizeof(length));
    evi_text_add(h, "%s00000000\"", opening);
    for (int32_t i = 0; i < f->n_texts; i++) {
        evi_text_add(h, ",");
        evi_text_json_string(h, f->texts[i].key);
        evi_text_add(h, ":");
        evi_text_json_string(h, f->texts[i].value);
    }
    evi_text_add(h, "}");
    for (int32_t i = 0; i < f->n; i++) {
        header_tensor(h, &f->tensors[i], offset);
        offset += f->tensors[i].n_bytes;
    }
    evi_text_add(h, "}");
    while (h->status == EV_OK && h->length % 64 != 0)
        evi_text_bytes(h, " ", 1); /* the numbers begin aligned */
    EVI_TRY(h->status);
    put_u64(length, h->length - 8);
    memcpy(h->data, length, sizeof(length));
    return EV_OK;
}

/* Numbers lie in the file little end first. */
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
#define SWAP_BYTES 1
#else
#define SWAP_BYTES 0
#endif

static void swap_bytes(unsigned char *p, uint64_t n_bytes, uint64_t width)
{
    for (uint64_t i = 0; i < n_bytes; i += width)
        for (uint64_t k = 0; k < width / 2; k++) {
            unsigned char x = p[i + k];
            p[i + k] = p[i + width - 1 - k];
            p[i + width - 1 - k] = x;
        }
}

/* Hand a tensor's bytes on, as they lie in the file: to the writer, or into the checksum. */
static ev_status pass_tensor(const evi_st_tensor *t, evi_writer *w, uint32_t *crc)
{
    const unsigned char *from = t->data;
    unsigned char part[4096];
    uint64_t step = SWAP_BYTES ? sizeof(part) : (uint64_t)64 << 20;
    for (uint64_t at = 0; at < t->n_bytes; at += step) {
        uint64_t n = EVI_MIN(step, t->n_bytes - at);
        const unsigned char *bytes = from + at;
        if (SWAP_BYTES) {
            memcpy(part, bytes, (size_t)n);
            swap_bytes(part, n, type_bytes[t->type]);
            bytes = part;
        }
        if (w != NULL)
            EVI_TRY(evi_writer_write(w, bytes, n));
        else
            *crc = evi_crc32c(*crc, bytes, n);
    }
    return EV_OK;
}

static ev_status pass_all(const evi_st_file *f, evi_writer *w, uint32_t *crc)
{
    for (int32_t i = 0; i < f->n; i++)
        EVI_TRY(pass_tensor(&f->tensors[i], w, crc));
    return EV_OK;
}

static void crc_text(uint32_t crc, char out[CRC_DIGITS + 1])
{
    snprintf(out, CRC_DIGITS + 1, "%08lx", (unsigned long)crc);
}

static ev_status write_all(const evi_st_file *f, const evi_text *header, const char *path)
{
    evi_writer *w = NULL;
    EVI_TRY(evi_writer_open(f->ctx, path, &w));
    ev_status status = evi_writer_write(w, header->data, header->length);
    if (status == EV_OK)
        status = pass_all(f, w, NULL);
    if (status == EV_OK)
        return evi_writer_commit(w);
    evi_writer_abandon(w);
    return status;
}

ev_status evi_st_write(evi_st_file *f, const char *path)
{
    evi_text header;
    char digits[CRC_DIGITS + 1];
    evi_text_start(&header, f->ctx);
    ev_status status = make_header(f, &header);
    if (status == EV_OK) {
        uint32_t crc = evi_crc32c(0, header.data, header.length);
        (void)pass_all(f, NULL, &crc);
        crc_text(crc, digits);
        memcpy(header.data + CRC_AT, digits, CRC_DIGITS);
        status = write_all(f, &header, path);
    }
    evi_text_end(&header);
    return status;
}

/* ---- read ---------------------------------------------------------------------------------- */

static uint64_t get_u64(const unsigned char *from)
{
    uint64_t x = 0;
    for (int32_t i = 7; i >= 0; i--)
        x = x << 8 | from[i];
    return x;
}

static ev_status check_crc(const char *path, const char *data, uint64_t n_bytes)
{
    static const char zeros[CRC_DIGITS + 1] = "00000000";
    char digits[CRC_DIGITS + 1];
    if (n_bytes < CRC_AT + CRC_DIGITS + 1 ||
        memcmp(data + 8, opening, sizeof(opening) - 1) != 0)
        return evi_fail(EV_ERR_FORMAT, "'%s' is not a checkpoint of this library", path);
    uint32_t crc = evi_crc32c(0, data, CRC_AT);
    crc = evi_crc32c(crc, zeros, CRC_DIGITS);
    crc = evi_crc32c(crc, data + CRC_AT + CRC_DIGITS, n_bytes - CRC_AT - CRC_DIGITS);
    crc_text(crc, digits);
    if (memcmp(digits, data + CRC_AT, CRC_DIGITS) != 0)
        return evi_fail(EV_ERR_FORMAT, "'%s' is damaged: its checksum is not that of its content",
                        path);
    return EV_OK;
}

static ev_status read_texts(evi_st_file *f, evi_json *j)
{
    evi_json_need(j, '{');
    if (evi_json_take(j, '}'))
        return EV_OK;
    do {
        EVI_TRY(room(f, f->n_texts, &f->text_capacity, sizeof(evi_st_text), &f->texts));
        evi_st_text *t = &f->texts[f->n_texts];
        t->key = evi_json_string(j);
        evi_json_need(j, ':');
        t->value = evi_json_string(j);
        f->n_texts += !j->failed;
    } while (!j->failed && evi_json_take(j, ','));
    evi_json_need(j, '}');
    return EV_OK;
}

static int32_t read_type(evi_json *j)
{
    const char *name = evi_json_string(j);
    for (int32_t i = 1; name != NULL && i < EVI_COUNT(type_names); i++)
        if (strcmp(type_names[i], name) == 0)
            return i;
    j->failed = true;
    return 0;
}

static void read_shape(evi_json *j, evi_shape *s)
{
    evi_json_need(j, '[');
    if (evi_json_take(j, ']'))
        return;
    do {
        if (s->rank == EV_MAX_RANK)
            j->failed = true;
        else
            s->dim[s->rank++] = evi_json_count(j);
    } while (!j->failed && evi_json_take(j, ','));
    evi_json_need(j, ']');
    if (!j->failed && evi_shape_check(s, "checkpoint") != EV_OK)
        j->failed = true;
}

/* {"dtype":...,"shape":[...],"data_offsets":[a,b]}, keys in any order.  Data must follow without a
 * gap, so that no byte of the file is without meaning. */
static void read_tensor(evi_json *j, evi_st_tensor *t, uint64_t *offset, uint64_t limit)
{
    uint64_t begin = 1, end = 0;
    evi_json_need(j, '{');
    for (int32_t i = 0; i < 3 && !j->failed; i++) {
        if (i > 0)
            evi_json_need(j, ',');
        const char *key = evi_json_string(j);
        evi_json_need(j, ':');
        if (key != NULL && strcmp(key, "dtype") == 0 && t->type == 0) {
            t->type = read_type(j);
        } else if (key != NULL && strcmp(key, "shape") == 0 && t->shape.rank == 0) {
            read_shape(j, &t->shape);
        } else if (key != NULL && strcmp(key, "data_offsets") == 0 && begin > end) {
            evi_json_need(j, '[');
            begin = (uint64_t)evi_json_count(j);
            evi_json_need(j, ',');
            end = (uint64_t)evi_json_count(j);
            evi_json_need(j, ']');
        } else {
            j->failed = true;
        }
    }
    evi_json_need(j, '}');
    if (j->failed || t->type == 0 || begin != *offset || end < begin || end > limit ||
        end - begin != (uint64_t)evi_shape_count(&t->shape) * type_bytes[t->type])
        j->failed = true;
    t->n_bytes = end - begin;
    *offset = end;
}

/* Everything after "__metadata__". */
static ev_status read_tensors(evi_st_file *f, evi_json *j, unsigned char *data, uint64_t n_bytes)
{
    uint64_t offset = 0;
    while (!j->failed && evi_json_take(j, ',')) {
        EVI_TRY(room(f, f->n, &f->capacity, sizeof(evi_st_tensor), &f->tensors));
        evi_st_tensor *t = &f->tensors[f->n];
        *t = (evi_st_tensor){ .data = data + offset };
        t->name = evi_json_string(j);
        evi_json_need(j, ':');
        read_tensor(j, t, &offset, n_bytes);
        if (!j->failed && SWAP_BYTES)
            swap_bytes(data + (offset - t->n_bytes), t->n_bytes, type_bytes[t->type]);
        f->n += !j->failed;
    }
    evi_json_need(j, '}');
    (void)evi_json_take(j, '\0'); /* skips the blanks */
    if (j->at != j->end || offset != n_bytes)
        j->failed = true;
    return EV_OK;
}

static ev_status read_header(evi_st_file *f, evi_json *j, unsigned char *data, uint64_t n_bytes)
{
    evi_json_need(j, '{');
    (void)evi_json_string(j);
    evi_json_need(j, ':');
    EVI_TRY(read_texts(f, j));
    return read_tensors(f, j, data, n_bytes);
}

ev_status evi_st_read(evi_st_file *f, const char *path)
{
    uint64_t n_bytes = 0;
    EVI_TRY(evi_file_read(f->ctx, path, FILE_MAX, &f->block, &n_bytes));
    char *bytes = f->block;
    EVI_TRY(check_crc(path, bytes, n_bytes));
    uint64_t length = get_u64((const unsigned char *)bytes);
    if (length > HEADER_MAX || length > n_bytes - 8)
        return evi_fail(EV_ERR_FORMAT, "'%s': a header of %llu bytes does not fit into %llu", path,
                        (unsigned long long)length, (unsigned long long)n_bytes);
    evi_json j = { .at = bytes + 8, .end = bytes + 8 + length, .start = bytes + 8 };
    EVI_TRY(read_header(f, &j, (unsigned char *)bytes + 8 + length, n_bytes - 8 - length));
    if (j.failed)
        return evi_fail(EV_ERR_FORMAT, "'%s': the header is damaged near its byte %llu", path,
                        (unsigned long long)(j.at - j.start));
    return EV_OK;
}

/* Names are mostly asked for in the order in which they were written. */
const evi_st_tensor *evi_st_find(evi_st_file *f, const char *name)
{
    for (int32_t i = 0; i < f->n; i++) {
        int32_t at = (f->last + i) % f->n;
        if (strcmp(f->tensors[at].name, name) == 0) {
            f->last = at + 1;
            return &f->tensors[at];
        }
    }
    return NULL;
}

const char *evi_st_find_text(const evi_st_file *f, const char *key)
{
    for (int32_t i = 0; i < f->n_texts; i++)
        if (strcmp(f->texts[i].key, key) == 0)
            return f->texts[i].value;
    return NULL;
}
