/* SPDX-License-Identifier: MIT */
#include "hygiene.h"

#include "base/base.h"
#include <stdalign.h>
#include <unistd.h>

char hygiene_files[T_PATH];

void hygiene_world(int32_t n_threads, api_world *w)
{
    ev_context_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.n_threads = n_threads;
    t_ok(api_world_start(&opt, hygiene_files, w));
}

long hygiene_resident(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f == NULL || fscanf(f, "%*d %ld", &pages) != 1)
        pages = 0;
    if (f != NULL)
        (void)fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

ev_model *hygiene_net(ev_context *ctx)
{
    const int64_t dims[4] = {-1, 3, 20, 18};
    ev_conv2d_options depth;
    ev_model *m = NULL;
    ev_value x = 0, y = 0, both[2];
    EV_OPTIONS_INIT(&depth);
    depth.groups = 8;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_conv2d(m, x, 8, 3, NULL, &x));
    t_ok(ev_model_batch_norm(m, x, NULL, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_RELU, 0, 0, &x));
    t_ok(ev_model_conv2d(m, x, 8, 3, &depth, &y));
    t_ok(ev_model_add(m, x, y, &y));
    both[0] = x;
    both[1] = y;
    t_ok(ev_model_concat(m, both, 2, 1, &x));
    t_ok(ev_model_instance_norm(m, x, NULL, &x));
    t_ok(ev_model_average_pool2d(m, x, 2, NULL, &x));
    t_ok(ev_model_conv_transpose2d(m, x, 6, 3, NULL, &x));
    t_ok(ev_model_activation(m, x, EV_ACTIVATION_TANH, 0, 0, &x));
    t_ok(ev_model_max_pool2d(m, x, 3, NULL, &x));
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_dropout(m, x, 0.25f, &x));
    t_ok(ev_model_dense(m, x, NET_OUTPUTS, NULL, &x));
    t_ok(ev_model_output(m, "logits", x));
    t_ok(ev_model_init(m, 5));
    return m;
}

ev_plan *hygiene_plan(ev_context *ctx, ev_model *m, int32_t max_batch)
{
    ev_plan *plan = NULL;
    ev_plan_options o;
    EV_OPTIONS_INIT(&o);
    o.max_batch = max_batch;
    t_ok(ev_plan_create(ctx, m, &o, &plan));
    return plan;
}

#define PICTURE (3 * 20 * 18)
#define IMAGES_MAX 8

/* Pictures at `offset` bytes; a tensor over them. */
static ev_tensor *pictures(ev_context *ctx, int32_t n_images, size_t offset, char *room)
{
    float plain[IMAGES_MAX * PICTURE];
    const int64_t dims[4] = {n_images, 3, 20, 18};
    size_t n_bytes = (size_t)n_images * PICTURE * sizeof(float);
    ev_tensor *x = NULL;
    t_fill(plain, (size_t)n_images * PICTURE, 9);
    memcpy(room + offset, plain, n_bytes);
    t_ok(ev_tensor_wrap(ctx, EV_TYPE_FLOAT32, 4, dims, room + offset, n_bytes, &x));
    return x;
}

void hygiene_infer(ev_context *ctx, ev_plan *plan, int32_t n_images, size_t offset, float *to)
{
    char *room = malloc(IMAGES_MAX * PICTURE * sizeof(float) + 64);
    ev_tensor *x = pictures(ctx, n_images, offset, room);
    ev_session *s = NULL;
    const ev_tensor *in = x;
    t_ok(ev_session_create(plan, &s));
    t_ok(ev_session_run(s, &in, 1, NULL, 0));
    memcpy(to, ev_tensor_data(ev_session_output(s, 0)),
           (size_t)n_images * NET_OUTPUTS * sizeof(float));
    ev_session_destroy(s);
    ev_tensor_destroy(x);
    free(room);
}

static uint32_t weights_crc(ev_model *m)
{
    uint32_t crc = 0;
    for (int32_t i = 0; i < ev_model_n_weights(m); i++) {
        ev_tensor *w = NULL;
        t_ok(ev_model_weight(m, ev_model_weight_name(m, i), &w));
        crc = evi_crc32c(crc, ev_tensor_data(w), ev_tensor_bytes(w));
        ev_tensor_destroy(w);
    }
    return crc;
}

uint32_t hygiene_train(int32_t n_threads, int32_t n_images, size_t offset)
{
    ev_context *ctx = t_context(NULL, n_threads);
    ev_model *m = hygiene_net(ctx);
    char *room = malloc(IMAGES_MAX * PICTURE * sizeof(float) + 64);
    ev_tensor *x = pictures(ctx, n_images, offset, room), *labels = NULL;
    const int64_t n = n_images;
    ev_train_options o;
    ev_trainer *t = NULL;
    EV_OPTIONS_INIT(&o);
    o.batch_size = n_images;
    t_ok(ev_tensor_create(ctx, EV_TYPE_INT32, 1, &n, &labels));
    for (int32_t i = 0; i < n_images; i++)
        ((int32_t *)ev_tensor_data(labels))[i] = i % NET_OUTPUTS;
    t_ok(ev_trainer_create(ctx, m, NULL, NULL, &o, &t));
    const ev_feed feeds[2] = {{"image", x}, {"labels", labels}};
    for (int32_t i = 0; i < 3; i++)
        t_ok(ev_trainer_step(t, feeds, 2, NULL, 0));
    uint32_t crc = weights_crc(m);
    ev_trainer_destroy(t);
    ev_tensor_destroy(labels);
    ev_tensor_destroy(x);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    free(room);
    return crc;
}

int main(void)
{
    t_folder(hygiene_files);
    t_ok(api_files_write(hygiene_files));
    Suite *s = suite_create("hygiene");
    suite_add_tcase(s, state_case());
    suite_add_tcase(s, threads_case());
    suite_add_tcase(s, growth_case());
    suite_add_tcase(s, numbers_case());
    suite_add_tcase(s, files_case());
    suite_add_tcase(s, killed_case());
    int result = t_run(s);
    t_folder_remove(hygiene_files);
    return result;
}
