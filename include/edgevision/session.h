/* SPDX-License-Identifier: MIT */
/**
 * @file edgevision/session.h
 * Make a model ready (plan), run it (session).                                        (tier 1)
 *
 * A plan is a model made ready for one input shape and any number of images up to a maximum: layers
 * fused, kernels chosen, weights packed, memory placed.  It is immutable and may be shared by many
 * sessions, each with memory of its own and on its own thread.
 */
#ifndef EDGEVISION_SESSION_H
#define EDGEVISION_SESSION_H

#include <edgevision/model.h>

EV_BEGIN_DECLS

/** A model made ready.  Threads: any. */
typedef struct ev_plan ev_plan;
/** Memory to run a plan in.  Threads: single. */
typedef struct ev_session ev_session;

typedef struct ev_plan_options {
    uint32_t struct_size;
    int32_t max_batch;    /**< most images in one run, 1..65,536 (default 1) */
    int32_t precise;      /**< 1: no kernels that trade the last digits for speed */
    int32_t n_dims;       /**< numbers at dims, or 0 */
    /** [borrow] shapes of all inputs, one after the other, ranks as drawn; NULL: as drawn.  For
        models that accept pictures of any size. */
    const int64_t *dims;
    int32_t no_fusion;    /**< 1: run every layer by itself (to look inside) */
    int32_t reserved;
} ev_plan_options;

/** Bytes that a plan and its sessions need. */
typedef struct ev_memory {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t weights_bytes;     /**< the model itself */
    uint64_t plan_bytes;        /**< packed weights and tables, once a plan */
    uint64_t session_bytes;     /**< activations, scratch and tables, each session */
    uint64_t training_bytes;    /**< gradients and optimiser state; 0 for inference */
    uint64_t total_bytes;       /**< of all the above, with one session */
} ev_memory;

/**
 * What a plan and one session of it will need, exactly, before anything of it is allocated: for
 * the context as it is now, since a plan keeps to what is left of the memory limit.  Weights that
 * lie in a mapped file (see ev_load_options.no_map) are counted, but not allocated.
 *
 * @param opt [borrow] as for ev_plan_create()
 * @param out [borrow] struct_size set by EV_OPTIONS_INIT; filled
 * @return EV_OK; otherwise as ev_plan_create()
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_plan_memory(ev_context *ctx, ev_model *model, const ev_plan_options *opt,
                                ev_memory *out);

/**
 * Make a model ready for inference.  When copies of the weights in the kernels' order would leave
 * no room for one session within the context's memory limit, the plan goes without those that are
 * larger than the weights (Winograd), then without any: runs are slower, and the last digits of
 * results may differ from those of a plan without a limit.
 *
 * @param ctx   [share]  threads, instruction sets, memory
 * @param model [share]
 * @param opt   [borrow] NULL: one image of the drawn size
 * @param out   [new]    ev_plan_destroy()
 * @return EV_OK; EV_ERR_STATE: the model has no weights yet; EV_ERR_SHAPE: these input shapes do
 * not
 *         fit the model; EV_ERR_ARGUMENT; EV_ERR_MEMORY
 *
 * Threads: any.  Since: 0.1
 */
EV_API ev_status ev_plan_create(ev_context *ctx, ev_model *model, const ev_plan_options *opt,
                                ev_plan **out);
/** Give back; sessions keep what they need.  NULL is fine.  Threads: any.  Since: 0.1 */
EV_API void ev_plan_destroy(ev_plan *plan);

/** Number of steps after fusion.  Threads: any.  Since: 0.1 */
EV_API int32_t ev_plan_n_steps(const ev_plan *plan);

/** Set aside the memory of a run.  @param plan [share]  @param out [new].  Since: 0.1 */
EV_API ev_status ev_session_create(ev_plan *plan, ev_session **out);
/** NULL is fine.  Since: 0.1 */
EV_API void ev_session_destroy(ev_session *session);

/**
 * Run once.  After the first run nothing is allocated and no lock is taken.
 *
 * @param inputs    [borrow] as many tensors as the model has inputs, in order; dimension 0 may be
 * any
 *                  number 1..max_batch (the same for all inputs that have it)
 * @param n_inputs  number of tensors at @p inputs
 * @param outputs   [borrow] tensors to copy the results to, or NULL (see ev_session_output())
 * @param n_outputs number of tensors at @p outputs
 * @return EV_OK; EV_ERR_SHAPE; EV_ERR_ARGUMENT; EV_ERR_STALE: weights changed since the plan was
 * made;
 *         EV_ERR_DIVERGED: the NaN trap found a number that is not finite
 *
 * Threads: single.  Since: 0.1
 */
EV_API ev_status ev_session_run(ev_session *session, const ev_tensor *const *inputs,
                                int32_t n_inputs, ev_tensor *const *outputs, int32_t n_outputs);

/** Result number @p index of the last run, borrowed until the next; NULL when there is none. */
EV_API const ev_tensor *ev_session_output(const ev_session *session, int32_t index);

/** 1: after each step look for NaN and infinity, and stop with the name of the layer. */
EV_API ev_status ev_session_trap_nan(ev_session *session, int32_t on);
/**
 * Time each step over @p n_runs runs on the inputs of the last run.
 *
 * @param json 0: a table for people; 1: JSON
 * @param out  [new] ev_string_destroy()
 * @return EV_OK; EV_ERR_STATE: no run yet; EV_ERR_MEMORY
 */
EV_API ev_status ev_session_profile(ev_session *session, int32_t n_runs, int32_t json, char **out);

EV_END_DECLS

#endif /* EDGEVISION_SESSION_H */
