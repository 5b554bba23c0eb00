/* SPDX-License-Identifier: MIT */
/* A model on its way into a file: nodes as bytes, initializers as pointers to their elements. */
#ifndef EVI_ONNX_WRITER_H
#define EVI_ONNX_WRITER_H

#include "onnx/onnx.h"

/* An initializer.  data: elements as this build keeps them, borrowed from the model or one of the
 * writer's blocks. */
typedef struct evi_draft_tensor {
    const char *name;
    int32_t type, role;
    evi_shape shape;
    const void *data;
} evi_draft_tensor;

typedef struct evi_draft_param { /* a weight tensor of one of the stores */
    const char *name;
    int32_t used, trained; /* by a node; by one that is not in a frozen call */
} evi_draft_param;

typedef struct evi_draft {
    ev_context *ctx;
    const ev_model *model;
    int32_t opset;      /* that is written */
    int32_t need_opset; /* that something asked for */
    evi_text nodes;     /* encoded fields of the graph */
    int32_t n_nodes;
    evi_onnx_names names, node_names; /* that are taken */
    void **blocks;      /* names and small constants, freed at the end */
    int32_t n_blocks, cap_blocks;
    evi_store **stores;
    int32_t n_stores;
    int32_t *first_param; /* of each store in params */
    evi_draft_param *params;
    evi_draft_tensor *tensors;
    int32_t n_tensors, cap_tensors;
    const char **input_names;  /* of model->inputs; NULL: dropped */
    const char **output_names; /* of model->outputs; NULL: a loss */
} evi_draft;

/* ---- writer_graph.c -------------------------------------------------------------------------- */

/* Nodes and initializers of the model, with the models that it calls drawn in. */
ev_status evi_draft_graph(evi_draft *w);
/* A block of the writer's own. */
ev_status evi_draft_block(evi_draft *w, uint64_t n_bytes, void *out);
/* A name that no value has yet: `wish`, or `wish` with a number.  Lives as long as the writer. */
ev_status evi_draft_name(evi_draft *w, const char *wish, const char **out);
ev_status evi_draft_node_name(evi_draft *w, const char *wish, const char **out); /* for nodes */
ev_status evi_draft_add_tensor(evi_draft *w, const evi_draft_tensor *t);
/* A constant of the writer's own, elements copied; its name. */
ev_status evi_draft_constant(evi_draft *w, const char *wish, int32_t type, const evi_shape *shape,
                           const void *data, int32_t role, const char **name_out);

/* ---- writer_nodes.c -------------------------------------------------------------------------- */

/* A node whose operands have their names. */
typedef struct evi_draft_node {
    const evi_node *node;
    const evi_edge *in[EVI_ONNX_MAX_ARGS]; /* NULL: absent */
    const evi_edge *out;                   /* of the first result */
    const evi_edge *outs[EVI_ONNX_MAX_ARGS];
    const char *name, *op;                 /* op: of ONNX */
    int32_t n_in, n_out;
    bool all_axes;                         /* Resize: no attribute 'axes' */
    const char *inputs[EVI_ONNX_MAX_ARGS]; /* "": absent */
    const char *outputs[EVI_ONNX_MAX_ARGS];
} evi_draft_node;

ev_status evi_draft_write_node(evi_draft *w, evi_draft_node *n);
ev_status evi_draft_fix_resize(evi_draft *w, evi_draft_node *n); /* writer_resize.c */
/* A node with the attribute axis alone. */
ev_status evi_draft_axis_node(evi_draft *w, const char *op, const char *const *inputs,
                              int32_t n_in, int32_t axis, const char *output);
/* A node without attributes. */
ev_status evi_draft_plain_node(evi_draft *w, const char *op, const char *const *inputs,
                               int32_t n_in, const char *output);

#endif
