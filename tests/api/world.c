/* SPDX-License-Identifier: MIT */
#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TRY(call)                   \
    do {                            \
        ev_status status_ = (call); \
        if (status_ != EV_OK)       \
            return status_;         \
    } while (0)

int32_t api_swallow(void *user, const void *bytes, uint64_t n)
{
    (void)user;
    return bytes == NULL && n > 0;
}

bool api_no_training(void)
{
    ev_context *ctx = NULL;
    ev_metrics *metrics = NULL;
    bool none = ev_context_create(NULL, &ctx) == EV_OK &&
                ev_metrics_create(ctx, 2, 0, &metrics) == EV_ERR_UNSUPPORTED;
    ev_metrics_destroy(metrics);
    ev_context_destroy(ctx);
    return none;
}

static void path_in(char out[API_PATH], const char *dir, const char *name)
{
    (void)snprintf(out, API_PATH, "%s/%s", dir, name);
}

static void paths(api_world *w, const char *dir)
{
    path_in(w->folder, dir, "pictures");
    path_in(w->counts_folder, dir, "counts");
    path_in(w->new_path, dir, "new.ppm");
    path_in(w->model_path, dir, "model.onnx");
    path_in(w->picture_path, dir, "pictures/a/1.ppm");
    path_in(w->manifest_path, dir, "manifest.csv");
    path_in(w->checkpoint_path, dir, "run.safetensors");
    path_in(w->gan_path, dir, "gan.safetensors");
}

/* ---- drawing --------------------------------------------------------------------------------- */

static ev_status draw_classifier(ev_context *ctx, ev_model **out)
{
    const int64_t dims[4] = {-1, 3, 8, 8};
    ev_value x = 0;
    TRY(ev_model_create(ctx, out));
    TRY(ev_model_input(*out, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    TRY(ev_model_conv2d(*out, x, 4, 3, NULL, &x));
    TRY(ev_model_batch_norm(*out, x, NULL, &x));
    TRY(ev_model_activation(*out, x, EV_ACTIVATION_RELU, 0, 0, &x));
    TRY(ev_model_max_pool2d(*out, x, 4, NULL, &x));
    TRY(ev_model_flatten(*out, x, 1, &x));
    TRY(ev_model_dense(*out, x, 2, NULL, &x));
    TRY(ev_model_output(*out, "logits", x));
    TRY(ev_model_set_meta(*out, "note", "some"));
    return ev_model_init(*out, 1);
}

static ev_status draw_open(api_world *w)
{
    ev_model *m = NULL;
    const int64_t labels = -1;
    TRY(ev_model_create(w->ctx, &m));
    w->drawing = m;
    TRY(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, w->any_dims, &w->x));
    TRY(ev_model_input(m, "labels", EV_TYPE_INT32, 1, &labels, &w->label_value));
    TRY(ev_model_flatten(m, w->x, 1, &w->flat));
    TRY(ev_model_matmul(m, w->x, w->x, &w->square));
    w->square = w->x; /* 8 x 8 matrices */
    TRY(ev_model_mse_loss(m, w->flat, EV_NO_VALUE, 1, &w->loss));
    for (int32_t i = 0; i < 64; i++)
        w->values[i] = w->x;
    return EV_OK;
}

/* ---- plain arguments ------------------------------------------------------------------------- */

static ev_status plain(api_world *w)
{
    static const int64_t dims[8] = {2, 3, 8, 8, 1, 1, 1, 1};
    static const int64_t any_dims[8] = {-1, 3, 8, 8, 1, 1, 1, 1};
    static const int64_t reshape[8] = {0, -1, 1, 1, 1, 1, 1, 1};
    static const int32_t order[8] = {0, 2, 3, 1, 4, 5, 6, 7};
    w->dims = malloc(sizeof(dims));
    w->any_dims = malloc(sizeof(dims));
    w->reshape = malloc(sizeof(dims));
    w->order = malloc(sizeof(order));
    if (w->dims == NULL || w->any_dims == NULL || w->reshape == NULL || w->order == NULL)
        return EV_ERR_MEMORY;
    memcpy(w->dims, dims, sizeof(dims));
    memcpy(w->any_dims, any_dims, sizeof(any_dims));
    memcpy(w->reshape, reshape, sizeof(reshape));
    memcpy(w->order, order, sizeof(order));
    for (int32_t i = 0; i < 64; i++) {
        (void)snprintf(w->name_texts[i], sizeof(w->name_texts[i]), "%d", (int)i);
        w->names[i] = w->name_texts[i];
        w->sizes[i] = 1 + (i & 1);
        w->labels[i] = i & 1;
        w->items[i] = i & 1;
        w->fractions[i] = 1;
    }
    return EV_OK;
}

void *api_block(api_world *w, size_t n)
{
    void **place = &w->blocks[w->n_blocks++ % 64];
    free(*place);
    *place = malloc(n);
    if (*place != NULL)
        (void)ev_options_init(*place, n);
    return *place;
}

/* ---- files ----------------------------------------------------------------------------------- */

static ev_status read_whole(const char *path, const void **out, uint64_t *n_out)
{
    FILE *f = fopen(path, "rb");
    unsigned char *data = malloc(1 << 16);
    *out = data;
    *n_out = f != NULL && data != NULL ? fread(data, 1, 1 << 16, f) : 0;
    if (f != NULL)
        (void)fclose(f);
    return *n_out > 0 ? EV_OK : EV_ERR_IO;
}

static ev_status write_pictures(ev_context *ctx, const char *dir)
{
    static const char *const names[] = {
        "pictures/a/1.ppm", "pictures/b/2.ppm",
        "counts/persons_1_dogs_0_bikes_0_frame_2020-03-01_12-00-00nr5_.ppm"};
    for (int32_t i = 0; i < 3; i++) {
        char path[API_PATH];
        ev_image *image = NULL;
        path_in(path, dir, names[i]);
        TRY(ev_image_create(ctx, 8, 8, EV_PIXEL_RGB, &image));
        memset(ev_image_data(image), 50 + 60 * i, 192);
        ev_status status = ev_image_save(image, path, 0);
        ev_image_destroy(image);
        TRY(status);
    }
    return EV_OK;
}

static ev_status world_trainer(api_world *w);

ev_status api_files_write(const char *dir)
{
    static const char *const folders[] = {"pictures", "pictures/a", "pictures/b", "counts"};
    char path[API_PATH];
    api_world w;
    memset(&w, 0, sizeof(w));
    for (int32_t i = 0; i < 4; i++) {
        path_in(path, dir, folders[i]);
        if (mkdir(path, 0755) != 0)
            return EV_ERR_IO;
    }
    path_in(path, dir, "manifest.csv");
    FILE *f = fopen(path, "w");
    if (f == NULL)
        return EV_ERR_IO;
    (void)fputs("path,label,group,size\npictures/a/1.ppm,a,g1,1\npictures/b/2.ppm,b,g2,2\n", f);
    (void)fclose(f);
    TRY(plain(&w));
    paths(&w, dir);
    TRY(ev_context_create(NULL, &w.ctx));
    ev_status status = write_pictures(w.ctx, dir);
    if (status == EV_OK)
        status = draw_classifier(w.ctx, &w.model);
    if (status == EV_OK)
        status = ev_model_save(w.model, w.model_path);
    if (status == EV_OK && !api_no_training()) {
        status = ev_dataset_read_manifest(w.ctx, w.manifest_path, NULL, &w.listed);
        if (status == EV_OK)
            status = world_trainer(&w);
        if (status == EV_OK)
            status = ev_trainer_save(w.trainer, w.checkpoint_path);
        if (status == EV_OK)
            status = ev_cyclegan_save(api_gan(&w), w.gan_path);
    }
    api_world_end(&w);
    return status;
}

/* ---- the objects ----------------------------------------------------------------------------- */

static ev_status world_tensors(api_world *w)
{
    const int64_t two = 2, pair[2] = {2, 2};
    TRY(ev_tensor_create(w->ctx, EV_TYPE_FLOAT32, 4, w->dims, &w->tensor));
    TRY(ev_tensor_create(w->ctx, EV_TYPE_INT32, 1, &two, &w->label_tensor));
    TRY(ev_tensor_create(w->ctx, EV_TYPE_FLOAT32, 2, pair, &w->logits));
    TRY(ev_tensor_create(w->ctx, EV_TYPE_FLOAT32, 2, pair, &w->result));
    float *x = ev_tensor_data(w->tensor);
    for (int32_t i = 0; i < 384; i++)
        x[i] = (float)(i % 17) / 17.0f;
    ((int32_t *)ev_tensor_data(w->label_tensor))[1] = 1;
    w->inputs[0] = w->inputs[1] = w->tensor;
    w->outputs[0] = w->outputs[1] = w->result;
    w->feeds[0] = (ev_feed){"image", w->tensor};
    w->feeds[1] = (ev_feed){"labels", w->label_tensor};
    return EV_OK;
}

static ev_status world_trainer(api_world *w)
{
    ev_train_options o;
    double loss = 0;
    EV_OPTIONS_INIT(&o);
    o.batch_size = 2;
    o.max_epochs = 2;
    o.loader_threads = -1;
    o.cache_bytes = -1;
    if (w->tensor == NULL)
        TRY(world_tensors(w));
    TRY(ev_trainer_create(w->ctx, w->model, w->listed, w->listed, &o, &w->trainer));
    TRY(ev_trainer_step(w->trainer, w->feeds, 2, &loss, 1));
    TRY(ev_trainer_end_epoch(w->trainer, 0.5, 0.5, NULL));
    return ev_trainer_step(w->trainer, w->feeds, 2, &loss, 1);
}

static ev_status world_data(api_world *w)
{
    ev_loader_options o;
    EV_OPTIONS_INIT(&o);
    o.width = o.height = 8;
    o.batch_size = 1;
    o.n_threads = -1;
    TRY(ev_image_create(w->ctx, 8, 8, EV_PIXEL_RGB, &w->image));
    if (api_no_training())
        return EV_OK;
    TRY(ev_dataset_create(w->ctx, 2, w->names, &w->fresh));
    TRY(ev_dataset_read_manifest(w->ctx, w->manifest_path, NULL, &w->listed));
    return ev_loader_create(w->ctx, w->listed, &o, &w->loader);
}

static ev_status world_run(api_world *w)
{
    ev_plan_options o;
    EV_OPTIONS_INIT(&o);
    o.max_batch = 2;
    TRY(ev_plan_create(w->ctx, w->model, &o, &w->plan));
    TRY(ev_session_create(w->plan, &w->session));
    return ev_session_run(w->session, w->inputs, 1, w->outputs, 1);
}

/* ---- pruning: made when first asked for ------------------------------------------------------ */

/* Two convolutions and two dense layers on pictures of 8x8: groups of 8, 8 and 16. */
static ev_status draw_prunable(ev_context *ctx, ev_model **out)
{
    const int64_t dims[4] = {-1, 3, 8, 8};
    ev_value x = 0;
    TRY(ev_model_create(ctx, out));
    TRY(ev_model_input(*out, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    for (int32_t i = 0; i < 2; i++) {
        TRY(ev_model_conv2d(*out, x, 8, 3, NULL, &x));
        TRY(ev_model_activation(*out, x, EV_ACTIVATION_RELU, 0, 0, &x));
    }
    TRY(ev_model_max_pool2d(*out, x, 4, NULL, &x));
    TRY(ev_model_flatten(*out, x, 1, &x));
    TRY(ev_model_dense(*out, x, 16, NULL, &x));
    TRY(ev_model_activation(*out, x, EV_ACTIVATION_RELU, 0, 0, &x));
    TRY(ev_model_dense(*out, x, 2, NULL, &x));
    TRY(ev_model_output(*out, "logits", x));
    return ev_model_init(*out, 1);
}

ev_model *api_prunable(api_world *w)
{
    if (w->prunable == NULL)
        (void)draw_prunable(w->ctx, &w->prunable);
    return w->prunable;
}

ev_pruner *api_pruner(api_world *w)
{
    ev_pruner_options o;
    EV_OPTIONS_INIT(&o);
    o.round_to = 1;
    if (w->pruner == NULL && ev_pruner_create(w->ctx, api_prunable(w), &o, &w->pruner) == EV_OK)
        (void)ev_pruner_score(w->pruner, NULL);
    return w->pruner;
}

ev_prune_plan *api_prune_plan(api_world *w)
{
    if (w->prune_plan == NULL)
        (void)ev_pruner_plan(api_pruner(w), NULL, &w->prune_plan);
    return w->prune_plan;
}

void *api_score_options(api_world *w)
{
    ev_score_options *o = api_block(w, sizeof(*o));
    if (o != NULL)
        o->data = w->listed;
    return o;
}

void *api_prune_options(api_world *w)
{
    ev_prune_options *o = api_block(w, sizeof(*o));
    if (o == NULL)
        return NULL;
    o->goal.unit = EV_UNIT_PARAMETERS;
    o->goal.ratio = 0.8;
    o->criterion = EV_CRITERION_L2;
    o->n_steps = o->step_epochs = o->final_epochs = o->norm_batches = o->no_controls = 1;
    return o;
}

ev_prune_report *api_prune_report(api_world *w)
{
    ev_model *smaller = NULL;
    if (w->prune_report == NULL)
        (void)ev_prune_run(w->ctx, api_prunable(w), w->listed, w->listed, api_prune_options(w),
                           &smaller, &w->prune_report);
    ev_model_destroy(smaller);
    return w->prune_report;
}

/* ---- domains: made when first asked for ------------------------------------------------------ */

static void generator_options(ev_generator_options *o)
{
    EV_OPTIONS_INIT(o);
    o->image_width = o->image_height = 8;
    o->base_width = 4;
    o->n_blocks = 1;
}

ev_model *api_generator(api_world *w, int32_t number)
{
    ev_generator_options o;
    generator_options(&o);
    if (w->generators[number] == NULL &&
        ev_zoo_generator(w->ctx, &o, &w->generators[number]) == EV_OK)
        (void)ev_model_init(w->generators[number], 1 + (uint64_t)number);
    return w->generators[number];
}

static ev_status draw_scored(ev_context *ctx, ev_model **out)
{
    const int64_t dims[4] = {-1, 3, 8, 8};
    ev_value x = 0, y = 0;
    TRY(ev_model_create(ctx, out));
    TRY(ev_model_input(*out, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    TRY(ev_model_flatten(*out, x, 1, &x));
    TRY(ev_model_dense(*out, x, 2, NULL, &y));
    TRY(ev_model_output(*out, "logits", y));
    TRY(ev_model_dense(*out, x, 1, NULL, &y));
    TRY(ev_model_output(*out, "score", y));
    TRY(ev_model_set_meta(*out, "edgevision.domain.threshold", "0.5"));
    return ev_model_init(*out, 1);
}

ev_model *api_scored(api_world *w)
{
    if (w->scored == NULL)
        (void)draw_scored(w->ctx, &w->scored);
    return w->scored;
}

ev_translator *api_translator(api_world *w)
{
    if (w->translator == NULL)
        (void)ev_translator_create(w->ctx, api_generator(w, 0), NULL, &w->translator);
    return w->translator;
}

ev_router *api_router(api_world *w)
{
    if (w->router == NULL)
        (void)ev_router_create(w->ctx, api_scored(w), api_generator(w, 0), NULL, &w->router);
    return w->router;
}

void *api_gan_options(api_world *w)
{
    ev_cyclegan_options *o = api_block(w, sizeof(*o));
    ev_generator_options *g = api_block(w, sizeof(*g));
    ev_discriminator_options *d = api_block(w, sizeof(*d));
    if (o == NULL || g == NULL || d == NULL)
        return NULL;
    generator_options(g);
    d->base_width = 4;
    d->n_layers = 1;
    o->width = 8;
    o->batch_size = o->epochs = o->pool_size = 2;
    o->steps_per_epoch = 1;
    o->cache_bytes = o->loader_threads = -1;
    o->generator = g;
    o->discriminator = d;
    return o;
}

ev_cyclegan *api_gan(api_world *w)
{
    if (w->gan == NULL)
        (void)ev_cyclegan_create(w->ctx, w->listed, w->listed, api_gan_options(w), &w->gan);
    return w->gan;
}

static int32_t enough(void *user, int32_t epoch, int32_t n_epochs, double loss)
{
    (void)user;
    (void)n_epochs;
    (void)loss;
    return epoch >= 3;
}

void *api_distill_options(api_world *w)
{
    ev_distill_options *o = api_block(w, sizeof(*o));
    if (o == NULL)
        return NULL;
    o->epochs = 2;
    o->on_epoch = enough;
    return o;
}

ev_status api_world_start(const ev_context_options *opt, const char *dir, api_world *w)
{
    memset(w, 0, sizeof(*w));
    TRY(plain(w));
    paths(w, dir);
    TRY(ev_context_create(opt, &w->ctx));
    TRY(world_tensors(w));
    TRY(world_data(w));
    TRY(draw_open(w));
    TRY(draw_classifier(w->ctx, &w->model));
    if (!api_no_training()) {
        TRY(world_trainer(w));
        TRY(ev_metrics_create(w->ctx, 2, 0, &w->metrics));
        TRY(ev_metrics_add(w->metrics, w->logits, w->labels, NULL));
    }
    TRY(world_run(w));
    TRY(read_whole(w->model_path, &w->model_bytes, &w->n_model_bytes));
    return read_whole(w->picture_path, &w->picture, &w->n_picture);
}

void api_world_end(api_world *w)
{
    free((void *)(uintptr_t)w->model_bytes);
    free((void *)(uintptr_t)w->picture);
    ev_router_destroy(w->router);
    ev_translator_destroy(w->translator);
    ev_cyclegan_destroy(w->gan);
    ev_model_destroy(w->scored);
    ev_model_destroy(w->generators[0]);
    ev_model_destroy(w->generators[1]);
    ev_prune_report_destroy(w->prune_report);
    ev_prune_plan_destroy(w->prune_plan);
    ev_pruner_destroy(w->pruner);
    ev_model_destroy(w->prunable);
    ev_metrics_destroy(w->metrics);
    ev_trainer_destroy(w->trainer);
    ev_session_destroy(w->session);
    ev_plan_destroy(w->plan);
    ev_model_destroy(w->model);
    ev_model_destroy(w->drawing);
    ev_loader_destroy(w->loader);
    ev_dataset_destroy(w->listed);
    ev_dataset_destroy(w->fresh);
    ev_image_destroy(w->image);
    ev_tensor_destroy(w->result);
    ev_tensor_destroy(w->logits);
    ev_tensor_destroy(w->label_tensor);
    ev_tensor_destroy(w->tensor);
    ev_context_destroy(w->ctx);
    for (int32_t i = 0; i < 64; i++)
        free(w->blocks[i]);
    free(w->dims);
    free(w->any_dims);
    free(w->reshape);
    free(w->order);
}

void *api_world_object(const api_world *w, int32_t handle)
{
    switch (handle) {
    case API_ev_context: return w->ctx;
    case API_ev_tensor: return w->tensor;
    case API_ev_image: return w->image;
    case API_ev_dataset: return w->listed;
    case API_ev_loader: return w->loader;
    case API_ev_model: return w->model;
    case API_ev_plan: return w->plan;
    case API_ev_session: return w->session;
    case API_ev_trainer: return w->trainer;
    case API_ev_metrics: return w->metrics;
    case API_ev_pruner: return w->pruner;
    case API_ev_prune_plan: return w->prune_plan;
    case API_ev_prune_report: return w->prune_report;
    case API_ev_cyclegan: return w->gan;
    case API_ev_translator: return w->translator;
    case API_ev_router: return w->router;
    default: return NULL;
    }
}
