/* SPDX-License-Identifier: MIT */
/* One step of a CycleGAN.  It fails as a whole: losses and gradients of all updates are computed
 * before the first weight changes.  Only in the authors' order one update comes earlier; what it
 * changes is copied before.  Nothing here allocates. */
#include "gan/gan.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

double evi_gan_rate(const ev_cyclegan *gan)
{
    const ev_cyclegan_options *o = &gan->o.o;
    double rate = evi_decimal(o->learning_rate);
    if (o->decay_epochs <= 0)
        return rate;
    double left = EVI_MAX((double)(o->epochs - gan->epoch), 1);
    return rate * EVI_MIN(1.0, left / ((double)o->decay_epochs + 1));
}

/* ---- labels -------------------------------------------------------------------------------- */

static ev_status take_labels(ev_cyclegan *gan, int32_t set, const int32_t *from, int64_t n)
{
    ev_tensor *to = gan->labels[set];
    int32_t *label = NULL;
    if (to == NULL)
        return EV_OK;
    if (from == NULL)
        return evi_fail(EV_ERR_STATE,
                        "ev_cyclegan_step: class_labels asks for labels of %c, which "
                        "only sets have; use ev_cyclegan_run(), or "
                        "EV_LABELS_CLASSIFIER",
                        'A' + (int)set);
    label = to->data;
    for (int64_t i = 0; i < n; i++) {
        if (from[i] < 0 || from[i] >= gan->n_classes)
            return evi_fail(EV_ERR_ARGUMENT,
                            "ev_cyclegan_step: label %d of a picture of %c; the "
                            "classifier knows 0..%d",
                            (int)from[i], 'A' + (int)set, (int)gan->n_classes - 1);
        label[i] = from[i];
    }
    to->shape.dim[0] = n;
    to->n_bytes = (uint64_t)n * sizeof(int32_t);
    return EV_OK;
}

/* What the classifier says of the pictures of B themselves. */
static ev_status ask_classifier(ev_cyclegan *gan, const ev_tensor *b)
{
    ev_tensor *to = gan->labels[1];
    EVI_TRY(ev_session_run(gan->labeller, &b, 1, NULL, 0));
    const ev_tensor *logits = ev_session_output(gan->labeller, 0);
    const int64_t n = b->shape.dim[0], n_classes = gan->n_classes;
    const evi_real *row = logits->data;
    int32_t *label = to->data;
    for (int64_t i = 0; i < n; i++, row += n_classes) {
        label[i] = 0;
        for (int32_t c = 1; c < n_classes; c++)
            if (row[c] > row[label[i]])
                label[i] = c;
    }
    to->shape.dim[0] = n;
    to->n_bytes = (uint64_t)n * sizeof(int32_t);
    return EV_OK;
}

/* ---- one update ---------------------------------------------------------------------------- */

static const char *loss_name(int32_t kind, int32_t side)
{
    static const char *const names[EVI_GAN_N_KINDS][2] = {{"D_A", "D_B"},
                                                          {"G_A", "G_B"},
                                                          {"cycle_A", "cycle_B"},
                                                          {"idt_A", "idt_B"},
                                                          {"class_A", "class_B"}};
    return names[EVI_MAX(kind, 0)][side];
}

double *evi_gan_loss(ev_cyclegan_losses *l, int32_t index)
{
#define LOSS(name) offsetof(ev_cyclegan_losses, name)
    static const size_t at[EVI_GAN_N_LOSSES] = {
        LOSS(d_a), LOSS(g_a),     LOSS(cycle_a), LOSS(idt_a),   LOSS(d_b),
        LOSS(g_b), LOSS(cycle_b), LOSS(idt_b),   LOSS(class_a), LOSS(class_b)};
#undef LOSS
    return (double *)(void *)((char *)l + at[index]);
}

static double *place(ev_cyclegan_losses *l, int32_t kind, int32_t side)
{
    return evi_gan_loss(l, kind == EVI_GAN_CLASS ? 8 + side : 4 * side + kind);
}

static ev_status diverged(const ev_cyclegan *gan, const evi_gan_update *u, const double *losses)
{
    for (int32_t i = 0; i < u->n_losses; i++)
        if (!isfinite(losses[i]))
            return evi_fail(EV_ERR_DIVERGED,
                            "step %lld: the loss %s is %g; weights are as before "
                            "the step; a lower learning rate may help",
                            (long long)gan->total_steps + 1, loss_name(u->kind[i], u->side[i]),
                            losses[i]);
    return evi_fail(EV_ERR_DIVERGED,
                    "step %lld: a gradient of %s is not finite; weights are as "
                    "before the step; a lower learning rate may help",
                    (long long)gan->total_steps + 1,
                    loss_name(u->is_discriminator ? EVI_GAN_D : EVI_GAN_G, u->side[0]));
}

typedef struct step {
    ev_cyclegan *gan;
    const ev_tensor *feeds[EVI_GAN_N_FEEDS];
    const ev_tensor *made[2];
    evi_train_pending pending[EVI_GAN_TRAINERS];
    ev_cyclegan_losses told;
} step;

/* Losses and gradients of an update. */
static ev_status gradients(step *s, int32_t number)
{
    ev_cyclegan *gan = s->gan;
    const evi_gan_update *u = &gan->nets.updates[number];
    ev_trainer *t = gan->trainers[number];
    ev_feed feeds[EVI_GAN_N_FEEDS];
    int32_t n = 0;
    for (int32_t i = 0; i < EVI_GAN_N_FEEDS; i++)
        if ((u->feeds >> i & 1) != 0)
            feeds[n++] = (ev_feed){evi_gan_feed_name(i), s->feeds[i]};
    ev_status status = evi_train_gradients(t, feeds, n, &s->pending[number]);
    if (status == EV_ERR_DIVERGED)
        return diverged(gan, u, t->losses);
    EVI_TRY(status);
    for (int32_t i = 0; i < u->n_losses; i++)
        if (u->kind[i] != EVI_GAN_UNTOLD)
            *place(&s->told, u->kind[i], u->side[i]) += t->losses[i] * (double)u->weight[i];
    return EV_OK;
}

static ev_status apply(step *s, int32_t number)
{
    ev_trainer *t = s->gan->trainers[number];
    EVI_TRY(ev_trainer_set_learning_rate(t, evi_gan_rate(s->gan)));
    evi_train_apply(t, &s->pending[number]);
    return EV_OK;
}

/* ---- an update that can be taken back -------------------------------------------------------- */

uint64_t evi_gan_undo_elements(const evi_gan_options *o, const evi_gan_nets *nets)
{
    if (o->o.order != EV_ORDER_AUTHORS)
        return 0;
    return 3 * (uint64_t)nets->generators[EV_B_TO_A]->store->n_trainable;
}

/* Weights and moments of the generator that the first update trains: into the copy, or back. */
static void copy_first(ev_cyclegan *gan, bool back)
{
    const ev_trainer *t = gan->trainers[0];
    evi_store *store = gan->nets.generators[EV_B_TO_A]->store;
    const size_t bytes = (size_t)store->n_trainable * sizeof(evi_real);
    for (int32_t i = 0; i < t->n_stores; i++) {
        if (t->stores[i].store != store)
            continue;
        evi_real *const live[3] = {store->weights, t->stores[i].moment1, t->stores[i].moment2};
        for (int32_t k = 0; k < 3; k++) {
            evi_real *copy = gan->undo + k * store->n_trainable;
            memcpy(back ? live[k] : copy, back ? copy : live[k], bytes);
        }
    }
}

/* The pictures that the first update made. */
static void take_made(step *s)
{
    ev_cyclegan *gan = s->gan;
    for (int32_t side = 0; side < 2; side++) {
        s->made[side] = ev_trainer_output(gan->trainers[0], gan->nets.updates[0].fake[side]);
        evi_gan_pool_choose(&gan->pools[side], s->made[side], gan->total_steps);
        s->feeds[side == 0 ? EVI_GAN_FAKE_B : EVI_GAN_FAKE_A] = gan->pools[side].given;
    }
}

/* ---- the step ------------------------------------------------------------------------------ */

static void add_losses(ev_cyclegan_losses *to, ev_cyclegan_losses *from)
{
    for (int32_t i = 0; i < EVI_GAN_N_LOSSES; i++)
        *evi_gan_loss(to, i) += *evi_gan_loss(from, i);
}

/* Generators, then discriminators, which see nothing of the generators' update. */
static ev_status joint(step *s)
{
    EVI_TRY(gradients(s, 0));
    take_made(s);
    EVI_TRY(gradients(s, 1));
    EVI_TRY(apply(s, 0));
    return apply(s, 1);
}

/* G_B, D_B, G_A, D_A.  Of the later ones only G_A's gradients need an update before them, G_B's;
 * so that is the only one that may have to be taken back. */
static ev_status one_by_one(step *s)
{
    ev_cyclegan *gan = s->gan;
    const evi_train_state before = gan->trainers[0]->state;
    EVI_TRY(gradients(s, 0));
    take_made(s);
    copy_first(gan, false);
    EVI_TRY(apply(s, 0));
    ev_status status = EV_OK;
    for (int32_t i = 1; i < gan->nets.n_updates && status == EV_OK; i++)
        status = gradients(s, i);
    if (status != EV_OK) {
        copy_first(gan, true);
        gan->trainers[0]->state = before;
        evi_train_touch(gan->trainers[0]);
        return status;
    }
    for (int32_t i = 1; i < gan->nets.n_updates; i++)
        EVI_TRY(apply(s, i));
    return EV_OK;
}

ev_status evi_gan_step(ev_cyclegan *gan, const ev_tensor *a, const ev_tensor *b,
                       const int32_t *labels_a, const int32_t *labels_b)
{
    step s = {.gan = gan, .told = {.struct_size = sizeof(s.told)}};
    const int64_t n = a->shape.dim[0];
    s.feeds[EVI_GAN_A] = a;
    s.feeds[EVI_GAN_B] = b;
    s.feeds[EVI_GAN_LABELS_A] = gan->labels[0];
    s.feeds[EVI_GAN_LABELS_B] = gan->labels[1];
    EVI_TRY(take_labels(gan, 0, labels_a, n));
    EVI_TRY(gan->labeller != NULL ? ask_classifier(gan, b) : take_labels(gan, 1, labels_b, n));
    EVI_TRY(gan->o.o.order == EV_ORDER_AUTHORS ? one_by_one(&s) : joint(&s));
    for (int32_t side = 0; side < 2; side++)
        evi_gan_pool_keep(&gan->pools[side], s.made[side]);
    gan->last = s.told;
    add_losses(&gan->sums, &gan->last);
    gan->total_steps++;
    gan->step++;
    return EV_OK;
}

void evi_gan_end_epoch(ev_cyclegan *gan)
{
    gan->epoch++;
    gan->step = 0;
    gan->sums = (ev_cyclegan_losses){.struct_size = sizeof(gan->sums)};
    gan->epoch_start = evi_seconds();
}

/* ---- pictures of a caller -------------------------------------------------------------------- */

static ev_status check_pictures(const ev_cyclegan *gan, const ev_tensor *x, const char *name)
{
    const ev_cyclegan_options *o = &gan->o.o;
    char have[EVI_SHAPE_TEXT];
    const evi_shape want = {.rank = 4,
                            .dim = {x->shape.dim[0], gan->o.g.channels, o->height, o->width}};
    if (x->type == EV_TYPE_FLOAT32 && x->shape.rank == 4 && evi_shape_equal(&x->shape, &want) &&
        want.dim[0] >= 1 && want.dim[0] <= o->batch_size)
        return EV_OK;
    return evi_fail(EV_ERR_SHAPE,
                    "ev_cyclegan_step: %s is %s %s; the networks want float32 "
                    "[1..%d,%d,%d,%d]",
                    name, ev_type_name(x->type), evi_shape_text(&x->shape, have),
                    (int)o->batch_size, (int)gan->o.g.channels, (int)o->height, (int)o->width);
}

ev_status ev_cyclegan_step(ev_cyclegan *gan, const ev_tensor *a, const ev_tensor *b,
                           ev_cyclegan_losses *losses)
{
    EVI_CHECK_HANDLE(gan, EVI_MAGIC_CYCLEGAN);
    EVI_CHECK_HANDLE(a, EVI_MAGIC_TENSOR);
    EVI_CHECK_HANDLE(b, EVI_MAGIC_TENSOR);
    EVI_TRY(check_pictures(gan, a, "a"));
    EVI_TRY(check_pictures(gan, b, "b"));
    if (a->shape.dim[0] != b->shape.dim[0])
        return evi_fail(EV_ERR_SHAPE, "%s: a has %d pictures, b has %d; give as many of both",
                        __func__, (int)a->shape.dim[0], (int)b->shape.dim[0]);
    const ev_cyclegan_losses none = {.struct_size = sizeof(none)};
    if (losses != NULL) /* is there a struct to fill?  Ask before anything changes */
        EVI_TRY(evi_options_write(losses, &none, (uint32_t)sizeof(none), __func__));
    EVI_TRY(evi_gan_step(gan, a, b, NULL, NULL));
    if (gan->step == gan->n_steps)
        evi_gan_end_epoch(gan);
    if (losses == NULL)
        return EV_OK;
    return evi_options_write(losses, &gan->last, (uint32_t)sizeof(gan->last), __func__);
}
