/* SPDX-License-Identifier: MIT */
/* The learning rate over time. */
#include "train/trainer.h"

#include <math.h>

#define PI 3.14159265358979323846

static double linear(const evi_train *o, double base, int32_t epoch)
{
    if (epoch < o->schedule_epochs)
        return base;
    double done = (double)(epoch - o->schedule_epochs + 1);
    double share = done / (double)(o->max_epochs - o->schedule_epochs + 1);
    return share >= 1 ? o->learning_rate_min : base + (o->learning_rate_min - base) * share;
}

static double cosine(const evi_train *o, double base, int32_t epoch)
{
    double share = EVI_MIN((double)epoch / (double)o->max_epochs, 1.0);
    return o->learning_rate_min + (base - o->learning_rate_min) * (1 + cos(PI * share)) / 2;
}

double evi_train_rate(const ev_trainer *t)
{
    const evi_train *o = &t->o;
    double rate = t->state.base_rate;
    switch (o->schedule) {
    case EV_SCHEDULE_STEP:
        rate *= pow(o->schedule_factor, (double)(t->state.epoch / o->schedule_epochs));
        break;
    case EV_SCHEDULE_LINEAR: rate = linear(o, rate, t->state.epoch); break;
    case EV_SCHEDULE_COSINE: rate = cosine(o, rate, t->state.epoch); break;
    case EV_SCHEDULE_PLATEAU: rate *= t->state.plateau_factor; break;
    default: break;
    }
    rate = EVI_MAX(rate, o->learning_rate_min);
    if (t->state.steps < o->warmup_steps)
        rate *= (double)(t->state.steps + 1) / (double)o->warmup_steps;
    return rate;
}

/* As PyTorch's ReduceLROnPlateau: a number of epochs without progress is forgiven. */
void evi_plateau_epoch(ev_trainer *t, double watched)
{
    evi_train_state *s = &t->state;
    if (watched < s->plateau_best - t->o.min_delta) {
        s->plateau_best = watched;
        s->plateau_waiting = 0;
        return;
    }
    if (++s->plateau_waiting > t->o.schedule_epochs) {
        s->plateau_factor *= t->o.schedule_factor;
        s->plateau_waiting = 0;
    }
}
