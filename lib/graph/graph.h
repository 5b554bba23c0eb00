/* SPDX-License-Identifier: MIT */
/* The inside of models: stores of weights, values, nodes.  Used by graph, onnx, train, zoo. */
#ifndef EVI_GRAPH_H
#define EVI_GRAPH_H

#include "ops/op.h"
#include <edgevision/model.h>

#define EVI_MAX_NODES 65536
#define EVI_MAX_DEPTH 32 /* of models inside models */
#define EVI_MAX_NAME 255

/* ---- weights: store.c ------------------------------------------------------------------------ */

typedef struct evi_param {
    char *name;
    evi_shape shape;
    int64_t count;     /* elements */
    int64_t offset;    /* in the flat vector, once allocated; a multiple of 16 elements */
    evi_real *data;    /* where the elements lie: there, in a file or in `pieces`; NULL: nowhere */
    int32_t trainable; /* 0: a running statistic */
    int32_t frozen;    /* by ev_model_freeze */
    int32_t init;      /* EV_INIT_* */
    float init_value;
    int64_t fan_in, fan_out;
} evi_param;

/* The weights of one model: one flat vector, trainable ones first.  Of a model that was loaded from
 * a large file they lie in the file, until somebody wants to write them (evi_store_own); what was
 * read there stays good as long as the store.  Shared by reference. */
typedef struct evi_store {
    atomic_int refs;
    ev_context *ctx;
    int32_t n_params, capacity;
    evi_param *params;
    int32_t ready;     /* there are weights */
    int32_t sealed;    /* ev_model_seal: nobody writes them any more */
    evi_real *weights; /* the flat vector; NULL until evi_store_allocate or evi_store_own */
    evi_mapping *map;  /* the file, or NULL */
    evi_real *pieces;  /* what could not stay in the file; NULL: nothing */
    uint64_t pieces_bytes;
    int64_t
        n_trainable; /* elements of the first part, gaps included: length of a gradient vector */
    int64_t n_total; /* elements in all */
    _Atomic uint64_t version; /* rises with each change of weights; plans remember it */
} evi_store;

ev_status evi_store_create(ev_context *ctx, evi_store **out);
evi_store *evi_store_ref(evi_store *store);
void evi_store_release(evi_store *store); /* NULL is fine */
ev_status evi_store_add(evi_store *store, const evi_param *param,
                        int32_t *index_out); /* name copied */
/* Lay out the flat vector (zero-filled).  No further evi_store_add after this. */
ev_status evi_store_allocate(evi_store *store);
/* Instead of that: weights that lie in a file.  at[i] is where param i lies in the map, aligned for
 * EVI_ALIGN, or NULL: it gets memory (zero-filled). */
ev_status evi_store_adopt(evi_store *store, evi_mapping *map, const void *const *at);
/* Weights in the flat vector, which may be written.  EV_ERR_STATE, naming `function`, when sealed.
 * Weights in a file are copied; those who read them there may go on. */
ev_status evi_store_own(evi_store *store, const char *function);
ev_status evi_store_check_open(const evi_store *store, const char *function); /* not sealed */
/* A copy of this weight is used from now on: pages of the file may leave the process. */
void evi_store_rest(const evi_store *store, int32_t param);
ev_status evi_store_init(evi_store *store, uint64_t seed); /* allocate if needed, starting values */
void evi_store_fill(evi_store *store, int32_t param, evi_rng rng); /* of one weight, from rng */
evi_real *evi_store_data(const evi_store *store, int32_t param);  /* NULL: none yet */
int32_t evi_store_find(const evi_store *store, const char *name); /* -1 */
void evi_store_touch(evi_store *store);

/* ---- graph: model.c -------------------------------------------------------------------------- */

enum { EVI_VALUE_INPUT = 1, EVI_VALUE_PARAM, EVI_VALUE_CONSTANT, EVI_VALUE_NODE };

typedef struct evi_value {
    char *name; /* may be NULL */
    int32_t kind;
    int32_t index;  /* number of the input, of the param in the model's store, or of the node */
    evi_edge edge;  /* as drawn: a dynamic batch counts as 1.  edge.value: constant elements */
    void *constant; /* block owned by this value (EVI_VALUE_CONSTANT), what edge.value points to */
} evi_value;

typedef struct evi_node {
    const evi_op *op; /* NULL: a call */
    ev_model *callee; /* of a call: one reference held */
    char *name;
    evi_attrs a;
    int32_t n_in, n_out, frozen;
    int32_t *in; /* values; EV_NO_VALUE: absent optional input */
    int32_t *out;
} evi_node;

typedef struct evi_port { /* an input or output of a model */
    char *name;
    int32_t value;
    int32_t is_loss;
    float weight;     /* of a loss */
    uint32_t dynamic; /* input: bit i: dimension i is -1 (any size) */
} evi_port;

typedef struct evi_meta {
    char *key, *value;
} evi_meta;

struct ev_model {
    evi_handle handle;
    evi_store *store; /* own weights */
    int32_t n_values, cap_values;
    evi_value *values;
    int32_t n_nodes, cap_nodes;
    evi_node *nodes; /* in topological order: drawn so */
    int32_t n_inputs, cap_inputs, n_outputs, cap_outputs, n_meta, cap_meta;
    evi_port *inputs, *outputs;
    evi_meta *meta;
    int32_t n_names; /* for default layer names */
};

/* Generic drawing, used by the layer functions, the ONNX reader and clones.  Checks the number of
 * inputs, infers shapes (prefixing errors with the node's name), folds nodes whose inputs are all
 * known.  name NULL: "<op><number>".  outputs: room for n_out values. */
ev_status evi_model_add(ev_model *model, const evi_op *op, const evi_attrs *a, const char *name,
                        const int32_t *inputs, int32_t n_in, int32_t *outputs, int32_t n_out);
/* A call of another model whose outputs have the given shapes (checked by the caller). */
ev_status evi_model_add_call(ev_model *model, ev_model *callee, const int32_t *inputs, bool frozen,
                             const evi_edge *edges, int32_t *outputs);
/* dims: -1 is dynamic; nominal: what to draw with where dynamic (NULL: 1). */
ev_status evi_model_add_input(ev_model *model, const char *name, int32_t type, int32_t rank,
                              const int64_t *dims, const int64_t *nominal, int32_t *out);
/* Elements are copied (converted float -> evi_real by the caller: as in a tensor of this build). */
ev_status evi_model_add_constant(ev_model *model, const char *name, int32_t type,
                                 const evi_shape *shape, const void *data, int32_t *out);
/* Declares a param in the store and a value for it.  EV_ERR_STATE when the store is allocated. */
ev_status evi_model_add_param(ev_model *model, const evi_param *param, int32_t *out);
ev_status evi_model_check_value(const ev_model *model, ev_value value, const char *function);
const evi_edge *evi_model_edge(const ev_model *model, ev_value value); /* checked before */
void evi_model_set_value_name(ev_model *model, ev_value value, const char *name); /* best effort */

/* ---- folding: fold.c ------------------------------------------------------------------------- */

/* The most elements that a value known at drawing time may have. */
#define EVI_FOLD_DRAWN 65536

/* True when the outputs follow from what is known: all inputs known, or the op looks at shapes
 * only. */
bool evi_can_fold(const evi_op *op, const evi_edge *in, int32_t n_in);
/* Run an op once on known inputs.  out[i].value is set to a block of its own (evi_free). */
ev_status evi_fold(ev_context *ctx, const evi_op *op, const evi_attrs *a, const evi_edge *in,
                   int32_t n_in, evi_edge *out, int32_t n_out);

/* Bytes allocated for a model itself, called models and context aside: bytes.c. */
uint64_t evi_model_bytes(const ev_model *model);
/* Bytes of the ONNX file, without writing it: onnx/writer.c. */
ev_status evi_model_file_bytes(const ev_model *model, uint64_t *out);

/* Multiply-adds for one picture and trainable weights of one layer, as drawn: describe.c. */
int64_t evi_node_macs(const ev_model *model, const evi_node *node);
int64_t evi_node_parameters(const ev_model *model, const evi_node *node);

/* All stores that a model and its callees use, each once, own store first.  *stores_out is a block
 * (evi_free) of borrowed pointers. */
ev_status evi_model_stores(const ev_model *model, evi_store ***stores_out, int32_t *n_out);

#endif
