/* SPDX-License-Identifier: MIT */
/* The inside of plans and sessions.  The trainer uses the functions at the end. */
#ifndef EVI_PLAN_H
#define EVI_PLAN_H

#include "graph/graph.h"
#include <edgevision/session.h>

/* ---- the flat graph: calls are copied in, constants folded, layers fused --------------------- */

enum { EVI_FLAT_INPUT = 1, EVI_FLAT_PARAM, EVI_FLAT_CONSTANT, EVI_FLAT_TEMP };

typedef struct evi_flat_value {
    evi_edge edge; /* at the largest batch */
    int32_t kind;
    int32_t index;     /* INPUT: its number; PARAM: number in its store; TEMP: the node */
    int32_t store;     /* PARAM: number in plan->stores */
    int32_t frozen;    /* PARAM: reached through a frozen call */
    int32_t per_image; /* depends on how many images there are */
    int32_t is_output;
    void *constant; /* CONSTANT of the plan: block, may be filled late (fused norms) */
    /* place.c */
    int32_t want_grad;
    int32_t grad_zero;           /* nobody contributes to it: to be filled with zeros */
    int32_t root, grad_root;     /* value whose memory this one shares, or itself */
    int64_t offset, grad_offset; /* bytes in the arena, of roots; -1: none */
} evi_flat_value;

typedef struct evi_flat_node {
    const evi_op *op;
    const evi_node *from; /* of the model or one that it calls; NULL: made by the plan */
    evi_attrs a;
    char *name; /* path through the calls, "g/conv1" */
    int32_t n_in, n_out, frozen;
    int32_t *in, *out; /* flat values, -1 absent */
    int32_t act;       /* fused activation: EVK_ACT_* */
    float act_alpha, act_beta;
    int32_t pooled;      /* a 2x2 max pool was fused: out lies behind it */
    int32_t norm[4];     /* fused batch norm: scale, shift, mean, variance; norm[0] -1: none */
    int32_t norm_weight; /* the weight before the norm was folded in */
    int32_t norm_bias;   /* or -1 */
    float norm_epsilon;
    int32_t dead;         /* nobody wants it, or fused away */
    int32_t is_view;      /* forward is nothing: out lies where in lies */
    int32_t in_backward;  /* training: takes part in backward */
    int32_t grad_is_view; /* backward is nothing */
    int32_t again[2];     /* nodes + 1 whose forward runs before this one's backward; 0: none */
    int32_t variant;
    uint64_t grad_first;
    uint64_t packed_bytes, scratch_bytes, saved_bytes;
    int64_t packed_offset, saved_offset;
} evi_flat_node;

/* What a plan goes without when its weights' copies and one session do not fit the memory limit. */
enum {
    EVI_THRIFT_NONE = 0,
    EVI_THRIFT_DIRECT,  /* no kernels whose packed weights are larger (Winograd) */
    EVI_THRIFT_UNPACKED /* no second copy of weights: packed anew in each run, norms not folded */
};

struct ev_plan {
    evi_handle handle;
    ev_model *model;
    evi_store **stores; /* borrowed from the model */
    uint64_t *versions; /* of the stores when packed */
    int32_t n_stores;
    int32_t training, precise, no_fusion;
    int32_t thrift; /* EVI_THRIFT_* */
    int32_t max_batch;
    int32_t batch_locked; /* a folded value depends on the batch: no smaller one */
    int32_t n_values, cap_values, n_nodes, cap_nodes;
    evi_flat_value *values;
    evi_flat_node *nodes;
    int32_t n_inputs, n_outputs;
    int32_t *inputs, *outputs; /* flat values */
    const evi_kernels *k;
    int32_t n_workers;
    void *packed;
    uint64_t packed_bytes, arena_bytes, scratch_bytes;
    uint64_t table_bytes; /* everything else that the plan allocated, block headers included */
};

/* A plan allocates its tables through these, so that it can tell how many bytes it has. */
ev_status evi_plan_calloc(ev_plan *plan, uint64_t n, uint64_t size, void *out);
ev_status evi_plan_new_value(ev_plan *plan, const evi_flat_value *value, int32_t *out);
ev_status evi_plan_new_node(ev_plan *plan, const evi_op *op, const evi_attrs *a, const char *name,
                            int32_t n_in, int32_t n_out, evi_flat_node **out);

ev_status evi_plan_flatten(ev_plan *plan, const ev_plan_options *opt); /* flatten.c */
ev_status evi_plan_fuse(ev_plan *plan);                                /* fuse.c: sizes only */
ev_status evi_plan_fill_fused(ev_plan *plan); /* fuse.c: the folded weights */
ev_status evi_plan_gradients(ev_plan *plan);  /* gradients.c: who takes part in backward */
ev_status evi_plan_place(ev_plan *plan);      /* place.c: memory by lifetime */
/* again.c: for place.c.  last and readers of each value as find_uses() left them; again[value] is
 * set to the time in backward when it is made a second time, where that saves memory. */
void evi_plan_again(ev_plan *plan, const int32_t *readers, int32_t *last, int32_t *again);
const void *evi_plan_data(const ev_plan *plan, int32_t value); /* of params and constants; NULL */

/* ---- steps: steps.c -------------------------------------------------------------------------- */

/* Steps of a plan, ready to be prepared (no memory yet) or run. */
typedef struct evi_steps {
    int32_t n, n_views;
    evi_step *step;  /* one a live node, in order */
    int32_t *node;   /* its number in the plan */
    evi_view *view;  /* one a flat value */
    evi_edge *edges; /* room for the most inputs and outputs that a node has */
    void *block;
} evi_steps;

uint64_t evi_steps_bytes(const ev_plan *plan);
ev_status evi_steps_create(const ev_plan *plan, evi_steps *out); /* evi_free(out->block) */
/* Shapes of all views for the shapes that the input views have now. */
ev_status evi_steps_infer(const ev_plan *plan, evi_steps *steps);
/* session.c: bytes of a session; and of its arena and scratch alone, which sessions that run in
 * turn may share. */
uint64_t evi_session_bytes(const ev_plan *plan, bool shares_workspace);
uint64_t evi_session_workspace(const ev_plan *plan);
uint64_t evi_plan_bytes(const ev_plan *plan); /* plan.c: of the plan itself */

/* ---- sessions: session.c --------------------------------------------------------------------- */

struct ev_session {
    evi_handle handle;
    ev_plan *plan;
    evi_steps steps;
    char *arena;
    void *scratch;
    int64_t batch; /* of the last run; 0 before the first */
    int32_t trap_nan;
    /* Called after each step of forward, while what it gave is still there; NULL: nobody looks.
     * Views and what the plan fused away are no steps: plan with no_fusion. */
    void (*watch)(void *user, const ev_session *session, int32_t step);
    void *watch_user;
    ev_tensor *outputs;
    const void **last_inputs;
    const void **given; /* room for those of a run */
};

/* ---- for the trainer ------------------------------------------------------------------------- */

/* A plan for training (forward keeps what backward needs; no packing, no fusion that backward could
 * not follow).  opt as for ev_plan_create; max_batch is the largest batch. */
ev_status evi_plan_create_training(ev_context *ctx, ev_model *model, const ev_plan_options *opt,
                                   ev_plan **out);
/* grads[i]: gradient vector of plan->stores[i], n_trainable elements, zero-filled by the caller;
 * NULL when that store is not trained. */
ev_status evi_session_create_training(ev_plan *plan, evi_real *const *grads, ev_session **out);
/* The same with arena and scratch of the caller's: at least evi_session_workspace() bytes, aligned
 * to EVI_ALIGN, [borrow] as long as the session; NULL: its own. */
ev_status evi_session_create_sharing(ev_plan *plan, evi_real *const *grads, void *workspace,
                                     ev_session **out);

/* One forward pass.  inputs[i]: elements of input i; batch: 1..max_batch; counter: number of the
 * training step, for dropout.  Fails only on shapes. */
ev_status evi_session_forward(ev_session *session, evi_crew *crew, const void *const *inputs,
                              int32_t n_inputs, int64_t batch, uint64_t counter);
/* Gradients of sum(weight * loss) for the last forward.  loss_weights: one a loss, or NULL for
 * those declared.  accumulate: add to the gradient vectors instead of replacing them. */
void evi_session_backward(ev_session *session, evi_crew *crew, const float *loss_weights,
                          bool accumulate);
/* Value of output number `output` (a loss): its one element. */
double evi_session_scalar(const ev_session *session, int32_t output);
/* What one forward pass costs: floating-point operations in thousands of millions, and the bytes of
 * each step's inputs, outputs and weights. */
void evi_session_cost(const ev_session *session, double *gflop_out, double *bytes_out);
/* Elements and shape of output `index` of the last forward. */
const void *evi_session_output_data(const ev_session *session, int32_t index, evi_shape *shape_out);

#endif
