/* SPDX-License-Identifier: MIT */
/* A small net that tells three kinds of pictures apart, and a usual pruning run of it. */
#include "run_case.h"
#include <signal.h>

ev_context *rc_ctx;
ev_dataset *rc_train, *rc_valid;
ev_model *rc_trained;

/* Class 0: bright above, 1: bright below, 2: red left. */
static uint8_t pixel(int32_t label, int32_t channel, int32_t row, int32_t column, uint64_t *state)
{
    int32_t base = 90;
    if ((label == 0 && row < RC_SIDE / 2) || (label == 1 && row >= RC_SIDE / 2))
        base = 140;
    if (label == 2 && channel == 0 && column < RC_SIDE / 2)
        base = 180;
    return (uint8_t)(base + t_random_int(state, -60, 60));
}

ev_dataset *rc_pictures(ev_context *c, int32_t n, int32_t classes, uint64_t seed)
{
    const int64_t dims[4] = {n, 3, RC_SIDE, RC_SIDE};
    ev_tensor *images = NULL;
    ev_dataset *set = NULL;
    int32_t *labels = malloc((size_t)n * sizeof(int32_t));
    t_ok(ev_tensor_create(c, EV_TYPE_UINT8, 4, dims, &images));
    uint8_t *to = ev_tensor_data(images);
    for (int32_t i = 0; i < n; i++) {
        labels[i] = t_random_int(&seed, 0, RC_CLASSES - 1);
        for (int32_t k = 0; k < 3 * RC_SIDE * RC_SIDE; k++)
            *to++ = pixel(labels[i], k / (RC_SIDE * RC_SIDE), k % (RC_SIDE * RC_SIDE) / RC_SIDE,
                          k % RC_SIDE, &seed);
    }
    t_ok(ev_dataset_from_tensor(c, images, labels, classes, NULL, &set));
    ev_tensor_destroy(images);
    free(labels);
    return set;
}

ev_model *rc_net(ev_context *c)
{
    const int64_t dims[4] = {-1, 3, RC_SIDE, RC_SIDE};
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE;
    t_ok(ev_model_create(c, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    for (int32_t i = 0; i < 2; i++) {
        t_ok(ev_model_conv2d(m, x, 8 + 8 * i, 3, NULL, &x));
        t_ok(ev_model_batch_norm(m, x, NULL, &x));
        t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
        t_ok(ev_model_max_pool2d(m, x, 2, NULL, &x));
    }
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_dropout(m, x, 0.2f, &x));
    t_ok(ev_model_dense(m, x, 16, NULL, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    t_ok(ev_model_dense(m, x, RC_CLASSES, NULL, &x));
    t_ok(ev_model_output(m, "logits", x));
    t_ok(ev_model_init(m, 7));
    return m;
}

ev_train_options rc_training(void)
{
    ev_train_options o;
    EV_OPTIONS_INIT(&o);
    o.batch_size = 16;
    o.loader_threads = -1;
    return o;
}

uint32_t rc_crc(ev_model *m)
{
    uint32_t crc = 0;
    for (int32_t i = 0; i < ev_model_n_weights(m); i++) {
        ev_tensor *w = NULL;
        t_ok(ev_model_weight(m, ev_model_weight_name(m, i), &w));
        crc = evi_crc32c(crc, ev_tensor_data(w), (uint64_t)ev_tensor_count(w) * sizeof(evi_real));
        ev_tensor_destroy(w);
    }
    return crc;
}

void rc_start(void)
{
    ev_train_options o = rc_training();
    ev_trainer *t = NULL;
    rc_ctx = t_context(NULL, 1);
    rc_train = rc_pictures(rc_ctx, RC_TRAIN, RC_CLASSES, 11);
    rc_valid = rc_pictures(rc_ctx, RC_VALID, RC_CLASSES, 12);
    rc_trained = rc_net(rc_ctx);
    o.max_epochs = 4;
    o.learning_rate = 3e-3f;
    t_ok(ev_trainer_create(rc_ctx, rc_trained, rc_train, rc_valid, &o, &t));
    t_ok(ev_trainer_run(t));
    ev_trainer_destroy(t);
}

void rc_end(void)
{
    ev_model_destroy(rc_trained);
    ev_dataset_destroy(rc_train);
    ev_dataset_destroy(rc_valid);
    ev_context_destroy(rc_ctx);
}

static int32_t on_step(void *user, const ev_prune_step *s)
{
    rc_job *j = user;
    j->n_steps++;
    j->last = *s;
    return s->index == j->stop_step;
}

static int32_t on_epoch(void *user, const ev_epoch *e)
{
    rc_job *j = user;
    (void)e;
    if (j->n_epochs == j->kill_epoch)
        (void)raise(SIGKILL);
    return j->n_epochs++ == j->stop_epoch;
}

/* A quarter of the multiply-adds in three steps. */
rc_job *rc_usual(rc_job *j)
{
    memset(j, 0, sizeof(*j));
    j->t = rc_training();
    EV_OPTIONS_INIT(&j->p);
    EV_OPTIONS_INIT(&j->o);
    j->p.round_to = 1;
    j->o.goal.unit = EV_UNIT_MACS;
    j->o.goal.ratio = 0.3;
    j->o.n_steps = 3;
    j->o.final_epochs = 2;
    j->o.n_images = 48;
    j->o.norm_batches = 3;
    j->o.no_controls = 1;
    j->o.train = &j->t;
    j->o.pruner = &j->p;
    j->o.on_step = on_step;
    j->o.on_epoch = on_epoch;
    j->o.user = j;
    j->stop_step = j->stop_epoch = j->kill_epoch = -1;
    return j;
}
