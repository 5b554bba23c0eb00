/* SPDX-License-Identifier: MIT */
/* The demo's path (scan, cap, split, draw, train, evaluate, save, load, predict) with every
 * allocation failing in turn: an error each time, nothing leaked, and the old model file stays
 * whole. */
#include "support.h"
#include <edgevision/edgevision.h>
#include <sys/stat.h>

#define SIDE 12
#define CLASSES 2
#define EACH 6

typedef struct place {
    char folder[T_PATH];
    char pictures[T_PATH];
    char model[T_PATH];
    char checkpoint[T_PATH];
} place;

/* Stop at the first failure, but end what was made. */
#define STEP(call)                                                                                 \
    if (status == EV_OK)                                                                           \
    status = (call)

static void write_pictures(const place *p)
{
    ev_context *ctx = t_context(NULL, 1);
    char path[T_PATH], name[64];
    for (int32_t c = 0; c < CLASSES; c++) {
        snprintf(name, sizeof name, "class%d", (int)c);
        t_path(path, p->pictures, name);
        ck_assert_int_eq(mkdir(path, 0755), 0);
        for (int32_t i = 0; i < EACH; i++) {
            ev_image *image = NULL;
            t_ok(ev_image_create(ctx, SIDE, SIDE, EV_PIXEL_RGB, &image));
            memset(ev_image_data(image), 40 * i + 100 * c, SIDE * SIDE * 3);
            snprintf(name, sizeof name, "class%d/%d.ppm", (int)c, (int)i);
            t_ok(ev_image_save(image, t_path(path, p->pictures, name), 0));
            ev_image_destroy(image);
        }
    }
    ev_context_destroy(ctx);
}

static ev_status train(ev_context *ctx, ev_model *model, ev_dataset **parts, const place *p)
{
    ev_train_options o;
    ev_trainer *trainer = NULL;
    ev_metrics *metrics = NULL;
    EV_OPTIONS_INIT(&o);
    o.batch_size = 4;
    o.max_epochs = 1;
    o.loader_threads = -1;
    o.checkpoint = p->checkpoint;
    ev_status status = ev_trainer_create(ctx, model, parts[0], parts[1], &o, &trainer);
    STEP(ev_trainer_run(trainer));
    STEP(ev_evaluate(ctx, model, parts[2], NULL, &metrics));
    STEP(ev_trainer_resume(trainer, p->checkpoint));
    ev_metrics_destroy(metrics);
    ev_trainer_destroy(trainer);
    return status;
}

static ev_status predict(ev_context *ctx, const place *p, const ev_dataset *data)
{
    ev_model *model = NULL;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_image *image = NULL;
    ev_tensor *x = NULL;
    const int64_t dims[4] = { 1, 3, SIDE, SIDE };
    ev_status status = ev_model_load(ctx, p->model, NULL, &model);
    STEP(ev_plan_create(ctx, model, NULL, &plan));
    STEP(ev_session_create(plan, &session));
    STEP(ev_image_load(ctx, ev_dataset_path(data, 0), NULL, &image));
    STEP(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    STEP(ev_image_to_tensor(image, NULL, x, 0));
    const ev_tensor *in = x;
    STEP(ev_session_run(session, &in, 1, NULL, 0));
    ev_tensor_destroy(x);
    ev_image_destroy(image);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_model_destroy(model);
    return status;
}

static ev_status demo(ev_context *ctx, void *arg)
{
    const place *p = arg;
    const double fractions[3] = { 0.6, 0.2, 0.2 };
    ev_dataset *all = NULL, *capped = NULL, *parts[3] = { NULL, NULL, NULL };
    ev_zoo_options zo;
    ev_model *model = NULL;
    EV_OPTIONS_INIT(&zo);
    zo.width = zo.height = SIDE;
    zo.n_classes = CLASSES;
    ev_status status = ev_dataset_scan(ctx, p->pictures, NULL, &all);
    STEP(ev_dataset_cap(all, 0, EACH, 1, &capped));
    STEP(ev_dataset_split(capped, fractions, 3, EV_SPLIT_STRATIFIED, 1, parts));
    STEP(ev_zoo_arch(ctx, 1, &zo, &model));
    STEP(ev_model_init(model, 1));
    STEP(train(ctx, model, parts, p));
    STEP(ev_model_save(model, p->model));
    STEP(predict(ctx, p, all));
    ev_model_destroy(model);
    for (int32_t i = 0; i < 3; i++)
        ev_dataset_destroy(parts[i]);
    ev_dataset_destroy(capped);
    ev_dataset_destroy(all);
    return status;
}

static place start(void)
{
    place p;
    t_folder(p.folder);
    t_path(p.pictures, p.folder, "pictures");
    t_path(p.model, p.folder, "model.onnx");
    t_path(p.checkpoint, p.folder, "checkpoint.safetensors");
    ck_assert_int_eq(mkdir(p.pictures, 0755), 0);
    write_pictures(&p);
    return p;
}

START_TEST(every_allocation_of_the_demo_fails_once)
{
    place p = start();
    long n = t_each_alloc(demo, &p, 1, 0);
    ck_assert_int_gt(n, 500); /* it would notice: so many failures were seen */
    printf("%ld allocations, each failed alone and with all later ones\n", n);
    t_folder_remove(p.folder);
}
END_TEST

/* The loop itself must notice a body that ignores a failure. */
static ev_status ignores_failure(ev_context *ctx, void *arg)
{
    ev_tensor *t = NULL;
    const int64_t dim = 4;
    (void)arg;
    (void)ev_tensor_create(ctx, EV_TYPE_FLOAT32, 1, &dim, &t);
    ev_tensor_destroy(t);
    return t == NULL ? EV_ERR_FORMAT : EV_OK;
}

START_TEST(the_loop_notices_a_wrong_status)
{
    t_each_alloc(ignores_failure, NULL, 1, 0);
}
END_TEST

static ev_status leaks(ev_context *ctx, void *arg)
{
    ev_tensor *a = NULL, *b = NULL;
    const int64_t dim = 4;
    (void)arg;
    ev_status status = ev_tensor_create(ctx, EV_TYPE_FLOAT32, 1, &dim, &a);
    STEP(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 1, &dim, &b));
    if (status == EV_OK)
        ev_tensor_destroy(a); /* forgotten when b fails */
    ev_tensor_destroy(b);
    return status;
}

START_TEST(the_loop_notices_a_leak)
{
    t_each_alloc(leaks, NULL, 1, 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("faults");
    TCase *c = tcase_create("demo path");
    tcase_set_timeout(c, 600);
    tcase_add_test(c, every_allocation_of_the_demo_fails_once);
    tcase_add_exit_test(c, the_loop_notices_a_wrong_status, 1);
    tcase_add_exit_test(c, the_loop_notices_a_leak, 1);
    suite_add_tcase(s, c);
    return t_run(s);
}
