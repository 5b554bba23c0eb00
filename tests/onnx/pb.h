/* SPDX-License-Identifier: MIT */
/* Tensors and models of the ONNX test data. */
#ifndef TESTS_ONNX_PB_H
#define TESTS_ONNX_PB_H

#include "onnx/onnx.h"
#include <edgevision/edgevision.h>

#include <stdbool.h>
#include <stddef.h>

#define PB_MAX 16
#define PB_PATH 768

/* Whole file, malloc'ed; NULL when there is none. */
void *pb_file(const char *path, size_t *n_bytes_out);
/* One TensorProto; NULL when the file is not there or not readable. */
ev_tensor *pb_tensor(ev_context *ctx, const char *path);

typedef struct pb_error {
    double worst;        /* largest |a-b| / (atol + rtol |b|) */
    double peak;         /* largest |b| */
    double absolute;     /* largest |a-b| */
    double relative;     /* absolute / peak; over several outputs the worst of them */
    const char *reason;  /* why they cannot be compared at all, or NULL */
} pb_error;
/* Integers must be equal (worst is then infinite where they are not). */
pb_error pb_compare(const ev_tensor *got, const ev_tensor *want, double atol, double rtol);

/* A folder with model.onnx and test_data_set_0, 1 ...  Everything is bound that must be known for
 * the shapes: first nothing, then small tensors after the first input, then all. */
typedef struct pb_case {
    int32_t n_sets;
    int32_t n_bound;     /* inputs that had to be bound */
    pb_error error;      /* the worst of all outputs and sets */
    ev_status status;    /* of the library */
    char line[512];      /* what went wrong */
} pb_case;
/* Called after each good run with what was fed and what came out; NULL: nobody. */
typedef void (*pb_ran)(void *user, ev_model *model, const ev_tensor *const *fed, int32_t n_fed,
                       const ev_session *session);
void pb_on_run(pb_ran fn, void *user);
/* saved: the model goes through our writer and reader before it runs. */
void pb_run_case(ev_context *ctx, const char *folder, bool saved, double atol, double rtol,
                 pb_case *out);

#endif
