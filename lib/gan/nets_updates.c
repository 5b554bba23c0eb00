/* SPDX-License-Identifier: MIT */
/* Which losses each update of a step has, and which nets they are in.
 *
 * Direction s carries x[s] to the other set: x[0] is a, x[1] is b; G_A is 0, G_B is 1.
 *     G_s      D_s of G_s(x[s]) shall be 1 (least squares)
 *     cycle_s  G_other(G_s(x[s])) shall be x[s] (absolute difference)
 *     idt_s    G_s(x[other]) shall be x[other]
 *     D_s      of x[other] shall be 1, of G_s(x[s]) 0
 *     class_0  the classifier's answer to G_A(a) shall be a's label
 *     class_1  the classifier's answer to G_A(G_B(b)) shall be b's label */
#include "gan/nets.h"

#include <stdio.h>

typedef struct drawing { /* one update */
    evi_gan_pen pen;
    bool split;
    bool trains[2];   /* generators that this update changes */
    ev_value fake[2]; /* in the present net */
} drawing;

static void begin(drawing *w, ev_context *ctx, const evi_gan_options *o, evi_gan_nets *nets,
                  bool split)
{
    *w = (drawing){
        .split = split,
        .pen = {.ctx = ctx, .o = o, .nets = nets, .update = &nets->updates[nets->n_updates++]}};
    w->trains[0] = w->trains[1] = true;
}

/* The next net of this update. */
static void net(drawing *w)
{
    evi_gan_pen *p = &w->pen;
    if (p->status != EV_OK)
        return;
    p->status = ev_model_create(p->ctx, &p->net);
    if (p->status == EV_OK)
        p->update->nets[p->update->n_nets++] = p->net;
    for (int32_t i = 0; i < EVI_GAN_N_FEEDS; i++)
        p->in[i] = EV_NO_VALUE;
    w->fake[0] = w->fake[1] = EV_NO_VALUE;
}

/* A further net when terms are taken one by one. */
static void part(drawing *w)
{
    if (w->split)
        net(w);
}

static ev_status end(drawing *w)
{
    evi_gan_update *u = w->pen.update;
    for (int32_t i = 0; i < u->n_nets && w->pen.status == EV_OK; i++)
        w->pen.status = ev_model_init(u->nets[i], 1); /* no weights of its own */
    return w->pen.status;
}

static ev_value picture(drawing *w, int32_t side)
{
    return evi_gan_pen_input(&w->pen, side == 0 ? EVI_GAN_A : EVI_GAN_B);
}

static ev_value generate(drawing *w, int32_t side, ev_value x)
{
    return evi_gan_pen_call(&w->pen, w->pen.nets->generators[side], x, !w->trains[side]);
}

/* G_s(x[s]), once a net. */
static ev_value fake(drawing *w, int32_t side)
{
    if (w->fake[side] == EV_NO_VALUE)
        w->fake[side] = generate(w, side, picture(w, side));
    return w->fake[side];
}

static void show_fake(drawing *w, int32_t side)
{
    ev_value x = fake(w, side);
    if (w->pen.status == EV_OK)
        w->pen.status = ev_model_output(w->pen.net, side == 0 ? "fake_b" : "fake_a", x);
}

/* ---- losses -------------------------------------------------------------------------------- */

static void loss(drawing *w, ev_value value, float weight, int32_t kind, int32_t side, bool told)
{
    static const char *const names[EVI_GAN_N_KINDS] = {"D", "G", "cycle", "idt", "class"};
    char name[32];
    (void)snprintf(name, sizeof(name), "%s_%c%d", names[kind], 'A' + (int)side,
                   (int)w->pen.update->n_losses);
    evi_gan_pen_loss(&w->pen, value, weight, told ? kind : EVI_GAN_UNTOLD, side, name);
}

static void patches(drawing *w, int32_t side, ev_value x, bool frozen, float target, float weight,
                    int32_t kind)
{
    evi_gan_pen *p = &w->pen;
    ev_value value = evi_gan_pen_call(p, p->nets->discriminators[side], x, frozen);
    if (p->status == EV_OK)
        p->status = ev_model_mse_loss(p->net, value, EV_NO_VALUE, target, &value);
    loss(w, value, weight, kind, side, true);
}

static void difference(drawing *w, ev_value x, ev_value target, float weight, int32_t kind,
                       int32_t side, bool told)
{
    ev_value value = EV_NO_VALUE;
    if (w->pen.status == EV_OK)
        w->pen.status = ev_model_l1_loss(w->pen.net, x, target, 0, &value);
    loss(w, value, weight, kind, side, told);
}

static void labelled(drawing *w, ev_value x, int32_t side, bool told)
{
    evi_gan_pen *p = &w->pen;
    ev_value logits = evi_gan_pen_classify(p, x), value = EV_NO_VALUE;
    ev_value labels = evi_gan_pen_input(p, side == 0 ? EVI_GAN_LABELS_A : EVI_GAN_LABELS_B);
    if (p->status == EV_OK)
        p->status = ev_model_cross_entropy(p->net, logits, labels, NULL, &value);
    loss(w, value, p->o->o.class_weight, EVI_GAN_CLASS, side, told);
}

/* ---- terms of the generators --------------------------------------------------------------- */

static void adversarial(drawing *w, int32_t side)
{
    patches(w, side, fake(w, side), true, 1, w->pen.o->o.adversarial_weight, EVI_GAN_G);
}

/* There and back, and what the classifier says on the way. */
static void cycle(drawing *w, int32_t side, bool told, bool class_told)
{
    const ev_cyclegan_options *o = &w->pen.o->o;
    bool classify = w->pen.nets->classifier != NULL;
    if (o->cycle_weight <= 0 && !(classify && side == 1))
        return;
    ev_value back = generate(w, 1 - side, fake(w, side));
    if (o->cycle_weight > 0)
        difference(w, back, picture(w, side), o->cycle_weight, EVI_GAN_CYCLE, side, told);
    if (classify && side == 1)
        labelled(w, back, 1, class_told);
}

static void class_a(drawing *w)
{
    if (w->pen.nets->classifier != NULL && w->pen.o->o.class_labels == EV_LABELS_BOTH)
        labelled(w, fake(w, 0), 0, true);
}

static void identity(drawing *w, int32_t side)
{
    ev_value x = picture(w, 1 - side);
    difference(w, generate(w, side, x), x, w->pen.o->o.identity_weight, EVI_GAN_IDT, side, true);
}

/* ---- updates ------------------------------------------------------------------------------- */

/* Outputs come before losses, and a before b. */
static ev_status joint(drawing *w)
{
    const bool split = w->split;
    net(w);
    for (int32_t side = 0; side < 2; side++) {
        if (side == 1)
            part(w);
        show_fake(w, side);
        if (!split)
            continue;
        adversarial(w, side);
        cycle(w, side, true, true);
        if (side == 0)
            class_a(w);
    }
    for (int32_t side = 0; side < 2 && !split; side++)
        adversarial(w, side);
    for (int32_t side = 0; side < 2 && !split; side++)
        cycle(w, side, true, true);
    if (!split)
        class_a(w);
    for (int32_t side = 0; side < 2 && w->pen.o->o.identity_weight > 0; side++) {
        part(w);
        identity(w, side);
    }
    return end(w);
}

/* One generator with the other one frozen.  The first such update of a step also shows what the
 * other one makes, before either has changed. */
static ev_status alone(drawing *w, int32_t side, bool first)
{
    const int32_t other = 1 - side;
    const ev_cyclegan_options *o = &w->pen.o->o;
    bool classify = w->pen.nets->classifier != NULL;
    bool backward = o->cycle_weight > 0 || (classify && other == 1);
    bool late = backward && w->split; /* the other one's pictures belong to the second net */
    w->trains[other] = false;
    net(w);
    show_fake(w, side);
    if (first && !late)
        show_fake(w, other);
    adversarial(w, side);
    cycle(w, side, true, false); /* G_A's update tells of the classes */
    if (side == 0)
        class_a(w);
    if (backward)
        part(w);
    if (first && late)
        show_fake(w, other);
    if (backward)
        cycle(w, other, false, true);
    if (o->identity_weight > 0) {
        part(w);
        identity(w, side);
    }
    return end(w);
}

static void judge(drawing *w, int32_t side)
{
    float weight = w->pen.o->o.discriminator_weight;
    patches(w, side, picture(w, 1 - side), false, 1, weight, EVI_GAN_D);
    ev_value made = evi_gan_pen_input(&w->pen, side == 0 ? EVI_GAN_FAKE_B : EVI_GAN_FAKE_A);
    patches(w, side, made, false, 0, weight, EVI_GAN_D);
}

static ev_status authors_updates(ev_context *ctx, const evi_gan_options *o, bool split,
                                 evi_gan_nets *nets)
{
    drawing w;
    for (int32_t side = 1; side >= 0; side--) {
        begin(&w, ctx, o, nets, split);
        EVI_TRY(alone(&w, side, side == 1));
        begin(&w, ctx, o, nets, split);
        w.pen.update->is_discriminator = 1;
        net(&w);
        judge(&w, side);
        EVI_TRY(end(&w));
    }
    return EV_OK;
}

ev_status evi_gan_nets_updates(ev_context *ctx, const evi_gan_options *o, bool split,
                               evi_gan_nets *nets)
{
    drawing w;
    if (o->o.order == EV_ORDER_AUTHORS)
        return authors_updates(ctx, o, split, nets);
    begin(&w, ctx, o, nets, split);
    EVI_TRY(joint(&w));
    begin(&w, ctx, o, nets, split);
    w.pen.update->is_discriminator = 1;
    net(&w);
    judge(&w, 0);
    part(&w);
    judge(&w, 1);
    return end(&w);
}
