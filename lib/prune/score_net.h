/* SPDX-License-Identifier: MIT */
/* What scores by pictures share: batches of a fixed choice of pictures, and a classifier's
 * gradients for them while its weights and statistics stay. */
#ifndef EVI_SCORE_NET_H
#define EVI_SCORE_NET_H

#include "prune/prune.h"
#include "train/trainer.h"

/* Batches of at most n_images pictures, drawn by seed. */
typedef struct evi_batches {
    ev_dataset *pictures;
    ev_loader *loader;
    int32_t batch_size, n_classes;
} evi_batches;

/* again: they will be looked at several times.  Fails when the model is no classifier of so many
 * classes. */
ev_status evi_batches_open(const ev_pruner *p, const ev_score_options *o, bool again,
                           const char *function, evi_batches *out);
void evi_batches_close(evi_batches *b);
/* Mean cross entropy and share right of a model on all of them; accuracy_out may be NULL. */
ev_status evi_batches_evaluate(ev_context *ctx, ev_model *model, const evi_batches *b,
                               double *loss_out, double *accuracy_out);

/* Run the model for use on such pictures, with fn looking at each step (see ev_session.watch). */
typedef void (*evi_watch_fn)(void *user, const ev_session *session, int32_t step);
ev_status evi_watch_run(const ev_pruner *p, const ev_score_options *o, const char *function,
                        evi_watch_fn fn, void *user);

/* An instance norm without a scale of its own gets one for this plan: a model with one such norm
 * stands in its place. */
typedef struct evi_gate {
    int32_t model, node;
    evi_node spare; /* what the node is turned into, and back */
} evi_gate;

typedef struct evi_backprop {
    const ev_pruner *p;
    ev_model *net;
    ev_plan *plan;
    ev_session *session;
    evi_real **gradients; /* of plan->stores[i] */
    evi_gate *gates;
    int32_t n_gates, n_batches;
    const char *function;
} evi_backprop;

/* gates: instance norms behind layers get one. */
ev_status evi_backprop_open(const ev_pruner *p, int32_t batch_size, bool gates,
                            const char *function, evi_backprop *out);
void evi_backprop_close(evi_backprop *b);
/* Calls fn with the gradients of each batch's mean loss. */
typedef ev_status (*evi_gradient_fn)(void *arg, evi_crew *crew);
ev_status evi_backprop_run(evi_backprop *b, const evi_batches *batches, evi_gradient_fn fn,
                           void *arg);
/* Gradient of a weight of a store; NULL: the plan does not have it. */
const evi_real *evi_backprop_gradient(const evi_backprop *b, const evi_store *store,
                                      const evi_param *param);

/* Number of the node behind this one that alone reads what it gives; -1. */
int32_t evi_sole_reader(const ev_model *m, int32_t value);
/* Mean over batches of (sum of gradient * weight)^2 for each layer; or of its gates. */
ev_status evi_score_taylor(const ev_pruner *p, const ev_score_options *o, bool gates,
                           const char *function, const evi_layers *layers);

#endif
