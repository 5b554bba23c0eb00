/* SPDX-License-Identifier: MIT */
/* Checkpoint files: safetensors (eight bytes of header length, a JSON header, the numbers), with a
 * CRC-32C of the whole file in the header's metadata.  The reader takes only files that have it. */
#ifndef EVI_SAFETENSORS_H
#define EVI_SAFETENSORS_H

#include "tensor/tensor.h"

/* ---- JSON, as much of it as a header has: json.c ------------------------------------------- */

typedef struct evi_json {
    char *at, *end;    /* what is left */
    const char *start; /* for the place in messages */
    bool failed;       /* sticky: all further calls do nothing */
} evi_json;

bool evi_json_take(evi_json *j, char c);  /* skip blanks; take c if it comes next */
void evi_json_need(evi_json *j, char c);  /* ... or fail */
char *evi_json_string(evi_json *j);       /* decoded in place, zero byte behind; NULL: failed */
int64_t evi_json_count(evi_json *j);      /* 0..2^53, no sign, no fraction */

/* ---- files: safetensors.c ------------------------------------------------------------------ */

enum { EVI_ST_F32 = 1, EVI_ST_F64, EVI_ST_I64 };
enum { EVI_ST_PREFIX = 64 }; /* bytes of a prefix of names at most */

typedef struct evi_st_tensor {
    char *name;
    int32_t type; /* EVI_ST_* */
    evi_shape shape;
    const void *data;
    uint64_t n_bytes;
    void *own; /* writing: data, when the file has to free it */
} evi_st_tensor;

typedef struct evi_st_text {
    char *key, *value;
} evi_st_text;

typedef struct evi_st_file {
    ev_context *ctx;
    int32_t n, capacity, n_texts, text_capacity, last;
    evi_st_tensor *tensors;
    evi_st_text *texts;
    void *block;       /* reading: the file; names, texts and data point into it */
    bool owns_names;   /* writing */
} evi_st_file;

void evi_st_start(evi_st_file *f, ev_context *ctx);
void evi_st_end(evi_st_file *f);
/* Writing: data is borrowed until evi_st_write(), names and texts are copied. */
ev_status evi_st_add(evi_st_file *f, const char *name, int32_t type, const evi_shape *shape,
                     const void *data);
/* As evi_st_add(), with zeroed memory that the file owns: data_out (a pointer to a pointer) says
 * where to fill it. */
ev_status evi_st_add_own(evi_st_file *f, const char *name, int32_t type, const evi_shape *shape,
                         void *data_out);
ev_status evi_st_add_text(evi_st_file *f, const char *key, const char *value);
ev_status evi_st_write(evi_st_file *f, const char *path);
/* Reading: everything checked, nothing trusted. */
ev_status evi_st_read(evi_st_file *f, const char *path);
const evi_st_tensor *evi_st_find(evi_st_file *f, const char *name); /* NULL: none */
const char *evi_st_find_text(const evi_st_file *f, const char *key);

#endif
