/* SPDX-License-Identifier: MIT */
/* The four networks of a CycleGAN, and the nets of its updates: ordinary models that call the
 * networks and declare losses.  Everything that a step computes is drawn here and in
 * nets_updates.c. */
#include "gan/nets.h"

#include <string.h>

#define STREAM 0x6379636c6567616eu /* starting values of the networks */

/* ---- the networks -------------------------------------------------------------------------- */

static ev_status preprocess(ev_model *m, const evi_gan_options *o)
{
    ev_preprocess notes;
    EV_OPTIONS_INIT(&notes);
    notes.width = o->o.width;
    notes.height = o->o.height;
    for (int32_t c = 0; c < 3; c++)
        notes.mean[c] = notes.std[c] = 0.5f;
    return ev_model_set_preprocess(m, &notes);
}

static ev_status weights(ev_model *m, const evi_gan_options *o, int32_t number, bool with_weights)
{
    const evi_rng chance = {o->o.seed, STREAM};
    if (with_weights)
        return ev_model_init(m, evi_rng_derive(chance, (uint64_t)number).seed);
    return evi_store_allocate(m->store); /* zeros */
}

static ev_status draw_networks(ev_context *ctx, const evi_gan_options *o, bool with_weights,
                               evi_gan_nets *nets)
{
    for (int32_t side = 0; side < 2; side++) {
        EVI_TRY(ev_zoo_generator(ctx, &o->g, &nets->generators[side]));
        EVI_TRY(preprocess(nets->generators[side], o));
        EVI_TRY(weights(nets->generators[side], o, side, with_weights));
        EVI_TRY(ev_zoo_discriminator(ctx, &o->d, &nets->discriminators[side]));
        EVI_TRY(preprocess(nets->discriminators[side], o));
        EVI_TRY(weights(nets->discriminators[side], o, 2 + side, with_weights));
    }
    return EV_OK;
}

/* ---- a pen --------------------------------------------------------------------------------- */

const char *evi_gan_feed_name(int32_t feed)
{
    static const char *const names[EVI_GAN_N_FEEDS] = {"a",      "b",        "fake_b",
                                                       "fake_a", "labels_a", "labels_b"};
    return names[feed];
}

ev_value evi_gan_pen_input(evi_gan_pen *p, int32_t feed)
{
    const ev_cyclegan_options *o = &p->o->o;
    const int64_t picture[4] = {-1, p->o->g.channels, o->height, o->width}, label[1] = {-1};
    bool is_label = feed >= EVI_GAN_LABELS_A;
    if (p->status != EV_OK || p->in[feed] != EV_NO_VALUE)
        return p->in[feed];
    p->status =
        ev_model_input(p->net, evi_gan_feed_name(feed), is_label ? EV_TYPE_INT32 : EV_TYPE_FLOAT32,
                       is_label ? 1 : 4, is_label ? label : picture, &p->in[feed]);
    if (p->update != NULL)
        p->update->feeds |= 1u << feed;
    return p->in[feed];
}

ev_value evi_gan_pen_call(evi_gan_pen *p, ev_model *callee, ev_value x, bool frozen)
{
    ev_value y = EV_NO_VALUE;
    if (p->status == EV_OK)
        p->status = ev_model_call(p->net, callee, &x, 1, frozen, &y, 1);
    return y;
}

void evi_gan_pen_loss(evi_gan_pen *p, ev_value loss, float weight, int32_t kind, int32_t side,
                      const char *name)
{
    evi_gan_update *u = p->update;
    if (p->status == EV_OK)
        p->status = ev_model_loss(p->net, name, loss, weight);
    u->kind[u->n_losses] = kind;
    u->side[u->n_losses] = side;
    u->weight[u->n_losses++] = weight;
}

ev_value evi_gan_pen_classify(evi_gan_pen *p, ev_value x)
{
    ev_value logits = EV_NO_VALUE;
    if (p->status == EV_OK)
        p->status = evi_gan_answers(p->net, p->nets->classifier, x, &logits);
    return logits;
}

/* ---- what the classifier says of pictures of B ----------------------------------------------- */

static ev_status draw_labeller(ev_context *ctx, const evi_gan_options *o, evi_gan_nets *nets)
{
    evi_gan_pen p = {.ctx = ctx, .o = o, .nets = nets};
    if (nets->classifier == NULL || o->o.class_labels != EV_LABELS_CLASSIFIER)
        return EV_OK;
    for (int32_t i = 0; i < EVI_GAN_N_FEEDS; i++)
        p.in[i] = EV_NO_VALUE;
    EVI_TRY(ev_model_create(ctx, &nets->labeller));
    p.net = nets->labeller;
    ev_value logits = evi_gan_pen_classify(&p, evi_gan_pen_input(&p, EVI_GAN_B));
    EVI_TRY(p.status);
    EVI_TRY(ev_model_output(p.net, "logits", logits));
    return ev_model_init(p.net, 1);
}

/* ---- all of it ----------------------------------------------------------------------------- */

/* The number of the output of this name, counted over all nets of an update; -1: none. */
static int32_t find_output(const evi_gan_update *u, const char *name)
{
    int32_t before = 0;
    for (int32_t i = 0; i < u->n_nets; i++) {
        for (int32_t k = 0; k < ev_model_n_outputs(u->nets[i]); k++)
            if (strcmp(ev_model_output_name(u->nets[i], k), name) == 0)
                return before + k;
        before += ev_model_n_outputs(u->nets[i]);
    }
    return -1;
}

ev_status evi_gan_nets_draw(ev_context *ctx, const evi_gan_options *o, bool split,
                            bool with_weights, evi_gan_nets *out)
{
    *out = (evi_gan_nets){0};
    if (o->o.classifier != NULL)
        out->classifier = ev_model_ref(o->o.classifier);
    ev_status status = draw_networks(ctx, o, with_weights, out);
    if (status == EV_OK)
        status = evi_gan_nets_updates(ctx, o, split, out);
    if (status == EV_OK)
        status = draw_labeller(ctx, o, out);
    for (int32_t i = 0; i < out->n_updates && status == EV_OK; i++) {
        out->updates[i].fake[0] = find_output(&out->updates[i], "fake_b");
        out->updates[i].fake[1] = find_output(&out->updates[i], "fake_a");
    }
    if (status != EV_OK)
        evi_gan_nets_end(out);
    return status;
}

void evi_gan_nets_end(evi_gan_nets *nets)
{
    for (int32_t i = 0; i < nets->n_updates; i++)
        for (int32_t k = 0; k < nets->updates[i].n_nets; k++)
            ev_model_destroy(nets->updates[i].nets[k]);
    for (int32_t side = 0; side < 2; side++) {
        ev_model_destroy(nets->generators[side]);
        ev_model_destroy(nets->discriminators[side]);
    }
    ev_model_destroy(nets->labeller);
    ev_model_destroy(nets->classifier);
    *nets = (evi_gan_nets){0};
}
