/* SPDX-License-Identifier: MIT */
/* A small generator learns to make the pictures of a large one.
 *
 * One net calls both on the same pictures, the teacher frozen; its loss is the mean absolute
 * difference and, with a classifier, the cross entropy between what that says of both results.  An
 * ordinary trainer takes its steps.  Nothing here computes. */
#include "domain/domain.h"
#include "gan/gan.h"

#include <math.h>

#define STREAM_DISTILL 0x64697374u /* of the seed: pictures */

typedef struct lesson {
    const char *function;
    ev_distill_options o;
    int32_t width, height, channels, n_steps;
    ev_model *student, *teacher, *net;
    evi_gan_feed *feed;
    ev_trainer *trainer;
    double loss, difference; /* means over the last epoch */
} lesson;

/* ---- what is asked for ----------------------------------------------------------------------- */

static ev_status in_range(bool good, const char *function, const char *name, double value,
                          const char *range)
{
    if (good)
        return EV_OK;
    return evi_fail(EV_ERR_ARGUMENT, "%s: %s %g is not %s", function, name, value, range);
}

static ev_status read_options(const ev_distill_options *opt, lesson *l)
{
    ev_distill_options *o = &l->o;
    const char *f = l->function;
    EVI_TRY(evi_options_read(o, (uint32_t)sizeof(*o), opt, f));
    o->epochs = o->epochs == 0 ? 10 : o->epochs;
    o->batch_size = o->batch_size == 0 ? 1 : o->batch_size;
    o->learning_rate = o->learning_rate == 0 ? 1e-3f : o->learning_rate;
    o->seed = o->seed == 0 ? 1 : o->seed;
    EVI_TRY(in_range(o->epochs >= 1, f, "epochs", o->epochs, "above 0"));
    EVI_TRY(in_range(o->batch_size >= 1 && o->batch_size <= 4096, f, "batch_size", o->batch_size,
                     "in 1..4096"));
    EVI_TRY(in_range(o->learning_rate > 0 && isfinite(o->learning_rate), f, "learning_rate",
                     (double)o->learning_rate, "above 0"));
    EVI_TRY(in_range(isfinite(o->class_weight), f, "class_weight", (double)o->class_weight,
                     "a finite number"));
    if (o->classifier == NULL || o->class_weight < 0)
        o->classifier = NULL;
    else
        o->class_weight = o->class_weight == 0 ? 1 : o->class_weight;
    return EV_OK;
}

static ev_status check_pixels(const evi_domain_input *in, const char *function, const char *what)
{
    const ev_pixel_options *p = &in->pixels;
    bool good = p->color_order != EV_PIXEL_BGR;
    for (int32_t c = 0; c < in->channels; c++)
        good = good && fabsf(p->mean[c] - 0.5f) < 1e-6f && fabsf(p->std[c] - 0.5f) < 1e-6f;
    if (good)
        return EV_OK;
    return evi_fail(EV_ERR_ARGUMENT,
                    "%s: the notes of %s ask for other pixels than red first, -1..1 (mean 0.5, std "
                    "0.5): see ev_model_set_preprocess()",
                    function, what);
}

/* One side of the pictures: what the teacher was drawn for, or else the student. */
static ev_status agree(const char *function, const char *side, int32_t theirs, bool theirs_any,
                       int32_t ours, bool ours_any, int32_t *out)
{
    *out = theirs > 0 ? theirs : ours;
    if ((ours_any || ours == *out) && (theirs_any || theirs == *out) && *out > 0)
        return EV_OK;
    return evi_fail(EV_ERR_SHAPE,
                    "%s: the teacher takes pictures of %s %d, the student of %d: draw the "
                    "student for the same size",
                    function, side, (int)theirs, (int)ours);
}

static ev_status check_models(lesson *l)
{
    evi_domain_input s, t;
    EVI_TRY(evi_domain_input_read(l->student, true, l->function, "the student", &s));
    EVI_TRY(evi_domain_input_read(l->teacher, true, l->function, "the teacher", &t));
    if (l->student->store == l->teacher->store)
        return evi_fail(EV_ERR_ARGUMENT,
                        "%s: student and teacher have the same weights: clone one of them",
                        l->function);
    if (s.channels != t.channels)
        return evi_fail(EV_ERR_SHAPE,
                        "%s: the teacher's pictures have %d channels, the student's "
                        "%d",
                        l->function, (int)t.channels, (int)s.channels);
    EVI_TRY(check_pixels(&s, l->function, "the student"));
    EVI_TRY(check_pixels(&t, l->function, "the teacher"));
    l->channels = s.channels;
    EVI_TRY(agree(l->function, "width", t.width, t.any_width, s.width, s.any_width, &l->width));
    return agree(l->function, "height", t.height, t.any_height, s.height, s.any_height, &l->height);
}

/* ---- the net --------------------------------------------------------------------------------- */

static ev_status draw_opinion(lesson *l, ev_value made, ev_value wanted)
{
    ev_value ours = EV_NO_VALUE, theirs = EV_NO_VALUE, loss = EV_NO_VALUE;
    EVI_TRY(evi_gan_answers(l->net, l->o.classifier, made, &ours));
    EVI_TRY(evi_gan_answers(l->net, l->o.classifier, wanted, &theirs));
    EVI_TRY(ev_model_softmax(l->net, theirs, 1, &theirs));
    EVI_TRY(ev_model_soft_cross_entropy(l->net, ours, theirs, NULL, &loss));
    return ev_model_loss(l->net, "class", loss, l->o.class_weight);
}

static ev_status same_size(const lesson *l, const char *who, ev_value made)
{
    const evi_shape *s = &evi_model_edge(l->net, made)->shape;
    if (s->dim[3] == l->width && s->dim[2] == l->height)
        return EV_OK;
    return evi_fail(EV_ERR_SHAPE,
                    "of pictures of %dx%d the %s makes %dx%d: choose a size that stays what it is, "
                    "as one divisible by 4",
                    (int)l->width, (int)l->height, who, (int)s->dim[3], (int)s->dim[2]);
}

static ev_status draw(lesson *l)
{
    const int64_t dims[4] = {-1, l->channels, l->height, l->width};
    ev_value image = EV_NO_VALUE, made = EV_NO_VALUE, wanted = EV_NO_VALUE, loss = EV_NO_VALUE;
    EVI_TRY(ev_model_input(l->net, "image", EV_TYPE_FLOAT32, 4, dims, &image));
    EVI_TRY(ev_model_call(l->net, l->student, &image, 1, 0, &made, 1));
    EVI_TRY(ev_model_call(l->net, l->teacher, &image, 1, 1, &wanted, 1));
    EVI_TRY(same_size(l, "student", made));
    EVI_TRY(same_size(l, "teacher", wanted));
    EVI_TRY(ev_model_l1_loss(l->net, made, wanted, 0, &loss));
    EVI_TRY(ev_model_loss(l->net, "difference", loss, 1));
    if (l->o.classifier != NULL)
        EVI_TRY(draw_opinion(l, made, wanted));
    return ev_model_init(l->net, 1); /* it has no weights of its own */
}

/* ---- the run --------------------------------------------------------------------------------- */

static ev_status prepare(ev_context *ctx, ev_dataset *pictures, lesson *l)
{
    const evi_gan_feed_options feed = {.width = l->width,
                                       .height = l->height,
                                       .load_width = l->width,
                                       .load_height = l->height,
                                       .channels = l->channels,
                                       .batch = l->o.batch_size,
                                       .flip = l->o.no_flip == 0,
                                       .seed = l->o.seed,
                                       .stream = STREAM_DISTILL};
    ev_train_options t;
    EV_OPTIONS_INIT(&t);
    t.learning_rate = l->o.learning_rate;
    t.batch_size = l->o.batch_size;
    t.max_epochs = l->o.epochs;
    t.schedule = EV_SCHEDULE_LINEAR;
    t.schedule_epochs = l->o.epochs / 2 + l->o.epochs % 2;
    t.seed = l->o.seed;
    EVI_TRY(evi_gan_feed_create(ctx, pictures, &feed, &l->feed));
    l->n_steps = EVI_MAX(1, ev_dataset_size(pictures) / l->o.batch_size);
    EVI_TRY(ev_model_create(ctx, &l->net));
    EVI_TRY(draw(l));
    return ev_trainer_create(ctx, l->net, NULL, NULL, &t, &l->trainer);
}

static ev_status run_step(lesson *l, int64_t number, double *difference, double *loss)
{
    const int64_t n = (int64_t)l->n_steps * l->o.epochs;
    ev_tensor *images = NULL;
    double losses[2] = {0};
    EVI_TRY(evi_gan_feed_batch(l->feed, number, &images, NULL));
    const ev_feed feed = {"image", images};
    EVI_TRY(ev_trainer_step(l->trainer, &feed, 1, losses, l->o.classifier != NULL ? 2 : 1));
    *difference = losses[0];
    *loss = losses[0] + (double)l->o.class_weight * losses[1];
    if (l->o.on_step != NULL && l->o.on_step(l->o.user, (int32_t)EVI_MIN(number, INT32_MAX),
                                             (int32_t)EVI_MIN(n, INT32_MAX), *loss) != 0)
        return evi_fail(EV_ERR_CANCELLED, "on_step stopped after step %lld", (long long)number + 1);
    return EV_OK;
}

static ev_status run_epoch(lesson *l, int32_t epoch)
{
    double sum = 0, difference = 0;
    for (int32_t i = 0; i < l->n_steps; i++) {
        double d = 0, loss = 0;
        EVI_TRY(run_step(l, (int64_t)epoch * l->n_steps + i, &d, &loss));
        difference += d;
        sum += loss;
    }
    l->difference = difference / l->n_steps;
    l->loss = sum / l->n_steps;
    return ev_trainer_end_epoch(l->trainer, (double)NAN, (double)NAN, NULL);
}

static ev_status run(lesson *l)
{
    for (int32_t epoch = 0; epoch < l->o.epochs; epoch++) {
        EVI_TRY(run_epoch(l, epoch));
        if (l->o.on_epoch != NULL && l->o.on_epoch(l->o.user, epoch, l->o.epochs, l->loss) != 0)
            return evi_fail(EV_ERR_CANCELLED, "on_epoch stopped after epoch %d of %d",
                            (int)epoch + 1, (int)l->o.epochs);
    }
    return EV_OK;
}

static void end(lesson *l)
{
    ev_trainer_destroy(l->trainer);
    ev_model_destroy(l->net);
    evi_gan_feed_destroy(l->feed);
}

ev_status ev_generator_distill(ev_context *ctx, ev_model *student, ev_model *teacher,
                               ev_dataset *pictures, const ev_distill_options *opt,
                               double *loss_out)
{
    lesson l = {.function = __func__, .student = student, .teacher = teacher};
    if (loss_out != NULL)
        *loss_out = 0;
    EVI_CHECK_HANDLE(ctx, EVI_MAGIC_CONTEXT);
    EVI_CHECK_HANDLE(student, EVI_MAGIC_MODEL);
    EVI_CHECK_HANDLE(teacher, EVI_MAGIC_MODEL);
    EVI_CHECK_HANDLE(pictures, EVI_MAGIC_DATASET);
    EVI_TRY(read_options(opt, &l));
    if (l.o.classifier != NULL)
        EVI_TRY(evi_check_handle(l.o.classifier, EVI_MAGIC_MODEL, __func__, "classifier"));
    EVI_TRY(check_models(&l));
    ev_status status = prepare(ctx, pictures, &l);
    if (status == EV_OK)
        status = run(&l);
    end(&l);
    if (status != EV_OK)
        return evi_fail_in(status, "%s", __func__);
    if (loss_out != NULL)
        *loss_out = l.difference;
    return EV_OK;
}
