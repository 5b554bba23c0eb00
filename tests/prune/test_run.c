/* SPDX-License-Identifier: MIT */
/* Whole runs of pruning: schedules, norms estimated anew, teachers, floors, resuming, controls. */
#include "run_case.h"
#include <math.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- schedules ----------------------------------------------------------------------------- */

static double by_callback(void *user, int32_t step, int32_t n_steps, double goal)
{
    (void)user;
    return step == n_steps ? goal : 1 - 0.1 * step;
}

START_TEST(schedules)
{
    static const double want[][4] = {{0},
                                     {0.2, 0.2, 0.2, 0.2},
                                     {0.8, 0.6, 0.4, 0.2},
                                     {0.5375, 0.3, 0.2125, 0.2},
                                     {0.882842712, 0.6, 0.317157288, 0.2},
                                     {0.9, 0.8, 0.7, 0.2}};
    ev_prune_options o;
    EV_OPTIONS_INIT(&o);
    o.schedule = _i;
    o.schedule_fn = by_callback;
    for (int32_t s = 1; s <= 4; s++) {
        double expected = want[_i == 0 ? EV_PRUNE_SCHEDULE_CUBIC : _i][s - 1];
        ck_assert_double_eq_tol(evi_prune_share(&o, s, 4, 0.2), expected, 1e-8);
    }
}
END_TEST

/* Each schedule as a whole run: as many steps as asked for, each as small as planned. */
START_TEST(schedule_runs)
{
    rc_job j;
    ev_model *out = NULL;
    ev_prune_report *report = NULL;
    ev_prune_step s;
    ev_prune_summary summary;
    EV_OPTIONS_INIT(&s);
    EV_OPTIONS_INIT(&summary);
    rc_usual(&j)->o.schedule = _i;
    j.o.schedule_fn = by_callback;
    j.o.final_epochs = -1;
    j.o.step_epochs = -1;
    uint32_t before = rc_crc(rc_trained);
    t_ok(ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j.o, &out, &report));
    ck_assert_uint_eq(rc_crc(rc_trained), before);
    t_ok(ev_prune_report_summary(report, &summary));
    ck_assert_int_eq(summary.n_steps, _i == EV_PRUNE_SCHEDULE_ONE_SHOT ? 1 : 3);
    ck_assert_int_eq(summary.goal_met, 1);
    ck_assert_int_eq(j.n_steps, summary.n_steps + 1);
    double whole = (double)ev_model_macs(rc_trained);
    for (int32_t i = 0; i <= summary.n_steps; i++) {
        t_ok(ev_prune_report_step(report, i, &s));
        ck_assert_int_eq(s.index, i);
        ck_assert_double_le(s.macs, s.goal * whole * 1.0001);
    }
    t_status(ev_prune_report_step(report, summary.n_steps + 1, &s), EV_ERR_ARGUMENT);
    ck_assert_double_le((double)ev_model_macs(out), 0.3 * whole);
    ck_assert_double_ge((double)ev_model_macs(out), 0.15 * whole);
    ev_model_destroy(out);
    ev_prune_report_destroy(report);
}
END_TEST

/* Layers may go too, and milliseconds may be the unit: the report then knows the time. */
START_TEST(depth_and_time)
{
    rc_job j;
    ev_model *out = NULL;
    ev_prune_report *report = NULL;
    ev_prune_counts c;
    ev_prune_step s;
    char *text = NULL;
    EV_OPTIONS_INIT(&c);
    EV_OPTIONS_INIT(&s);
    rc_usual(&j)->o.depth = _i;
    j.o.n_steps = 2;
    j.o.final_epochs = 1;
    j.o.goal.ratio = 0.7;
    j.o.goal.unit = _i == 0 ? EV_UNIT_MS : EV_UNIT_PARAMETERS;
    j.o.measure = 1;
    ev_status status = ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j.o, &out, &report);
    ck_assert_msg(status == EV_OK || (_i == 0 && status == EV_ERR_GOAL), "%s", ev_last_error());
    if (status == EV_OK) {
        t_ok(ev_prune_report_counts(report, &c));
        ck_assert_int_eq(c.parameters[0], ev_model_parameter_count(rc_trained));
        ck_assert_int_eq(c.parameters[1], ev_model_parameter_count(out));
        ck_assert_int_lt(c.parameters[1], c.parameters[0]);
        ck_assert(c.ms_measured[0] > 0 && c.ms_measured[1] > 0);
        t_ok(ev_prune_report_step(report, 2, &s));
        ck_assert(s.ms > 0);
        t_ok(ev_prune_report_describe(report, EV_DESCRIBE_TABLE, &text));
        ck_assert(strncmp(text, "Time fell", 9) == 0 ||
                  strncmp(text, "TIME DID NOT FALL", 17) == 0);
        ev_string_destroy(text);
    }
    ev_model_destroy(out);
    ev_prune_report_destroy(report);
}
END_TEST

static double nonsense(void *user, int32_t step, int32_t n_steps, double goal)
{
    (void)user, (void)n_steps;
    return step == 1 ? 1 : goal * -1;
}

/* A goal that is met already takes nothing; shares that cannot be are refused. */
START_TEST(odd_shares)
{
    rc_job j;
    ev_model *out = NULL;
    rc_usual(&j)->o.goal.ratio = 1;
    t_ok(ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j.o, &out, NULL));
    ck_assert_int_eq(ev_model_macs(out), ev_model_macs(rc_trained));
    ev_model_destroy(out);
    rc_usual(&j)->o.schedule = EV_PRUNE_SCHEDULE_CALLBACK;
    j.o.schedule_fn = nonsense;
    t_status(ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j.o, &out, NULL),
             EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "schedule_fn"));
    ck_assert_ptr_null(out);
}
END_TEST

/* ---- norms --------------------------------------------------------------------------------- */

/* A norm behind a dropout, as a model of its own. */
static ev_model *norm_net(void)
{
    const int64_t dims[4] = {-1, 3, RC_SIDE, RC_SIDE};
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE;
    t_ok(ev_model_create(rc_ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_dropout(m, x, 0.5f, &x));
    t_ok(ev_model_batch_norm(m, x, NULL, &x));
    t_ok(ev_model_global_average_pool(m, x, &x));
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_output(m, "logits", x));
    t_ok(ev_model_init(m, 1));
    return m;
}

/* One that calls it twice on the same picture: its running numbers move twice in each pass. */
static ev_model *norm_twice(ev_model *callee)
{
    const int64_t dims[4] = {-1, 3, RC_SIDE, RC_SIDE};
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE, y[2];
    t_ok(ev_model_create(rc_ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    for (int32_t i = 0; i < 2; i++)
        t_ok(ev_model_call(m, callee, &x, 1, 0, &y[i], 1));
    t_ok(ev_model_add(m, y[0], y[1], &x));
    t_ok(ev_model_output(m, "logits", x));
    t_ok(ev_model_init(m, 1));
    return m;
}

/* On the picture itself means over batches can be summed up by hand. */
START_TEST(norms)
{
    ev_model *m = norm_net(), *caller = _i == 0 ? ev_model_ref(m) : norm_twice(m);
    ev_loader_options l;
    ev_loader *loader = NULL;
    ev_tensor *mean = NULL, *variance = NULL, *images = NULL;
    double want[2][3] = {{0}};
    int32_t n = 0, batches = 0;
    ev_train_options t = rc_training();
    t_ok(evi_prune_norms(rc_ctx, caller, rc_train, &t, 4));
    EV_OPTIONS_INIT(&l);
    l.batch_size = 16;
    l.shuffle = 1;
    l.drop_last = 1;
    l.width = l.height = RC_SIDE;
    t_ok(ev_loader_create(rc_ctx, rc_train, &l, &loader));
    t_ok(ev_loader_start_epoch(loader, 0, 0));
    for (; batches < 4; batches++) {
        t_ok(ev_loader_next(loader, &images, NULL, NULL, &n));
        const evi_real *p = ev_tensor_data(images);
        for (int32_t c = 0; c < 3; c++) {
            double sum = 0, squares = 0, count = (double)n * RC_SIDE * RC_SIDE;
            for (int32_t i = 0; i < n * RC_SIDE * RC_SIDE; i++)
                sum += (double)p[(i / (RC_SIDE * RC_SIDE) * 3 + c) * RC_SIDE * RC_SIDE +
                                 i % (RC_SIDE * RC_SIDE)];
            for (int32_t i = 0; i < n * RC_SIDE * RC_SIDE; i++) {
                double v = (double)p[(i / (RC_SIDE * RC_SIDE) * 3 + c) * RC_SIDE * RC_SIDE +
                                     i % (RC_SIDE * RC_SIDE)];
                squares += (v - sum / count) * (v - sum / count);
            }
            want[0][c] += sum / count / 4;
            want[1][c] += squares / (count - 1) / 4;
        }
    }
    t_ok(ev_model_weight(m, "norm1.mean", &mean));
    t_ok(ev_model_weight(m, "norm1.variance", &variance));
    for (int32_t c = 0; c < 3; c++) {
        ck_assert_double_eq_tol((double)((const evi_real *)ev_tensor_data(mean))[c], want[0][c],
                                1e-6);
        ck_assert_double_eq_tol((double)((const evi_real *)ev_tensor_data(variance))[c], want[1][c],
                                1e-6);
    }
    ev_tensor_destroy(mean);
    ev_tensor_destroy(variance);
    ev_loader_destroy(loader);
    ev_model_destroy(m);
    ev_model_destroy(caller);
}
END_TEST

/* ---- a teacher ----------------------------------------------------------------------------- */

static void softmax(const evi_real *x, double t, double *p)
{
    double sum = 0;
    for (int32_t c = 0; c < RC_CLASSES; c++)
        sum += p[c] = exp((double)x[c] / t);
    for (int32_t c = 0; c < RC_CLASSES; c++)
        p[c] /= sum;
}

/* The composed loss against plain arithmetic on logits that come out of the net. */
START_TEST(teacher_loss)
{
    const int64_t dims[4] = {5, 3, RC_SIDE, RC_SIDE}, told[2] = {5, RC_CLASSES}, n = 5;
    const evi_teacher teacher = {rc_trained, 0.3, 2.5};
    ev_model *student = rc_net(rc_ctx);
    ev_train_options o = rc_training();
    ev_trainer *t = NULL;
    ev_tensor *image = NULL, *labels = NULL, *opinion = NULL;
    double losses[2], hard = 0, soft = 0, p[RC_CLASSES], q[RC_CLASSES];
    uint64_t state = 5;
    t_ok(evi_trainer_create_taught(rc_ctx, student, &teacher, NULL, NULL, &o, &t));
    t_ok(ev_tensor_create(rc_ctx, EV_TYPE_FLOAT32, 4, dims, &image));
    t_ok(ev_tensor_create(rc_ctx, EV_TYPE_INT32, 1, &n, &labels));
    t_ok(ev_tensor_create(rc_ctx, EV_TYPE_FLOAT32, 2, told, &opinion));
    for (int64_t i = 0; i < ev_tensor_count(image); i++)
        ((evi_real *)ev_tensor_data(image))[i] = (evi_real)t_random_float(&state);
    for (int64_t i = 0; i < 5 * RC_CLASSES; i++)
        ((evi_real *)ev_tensor_data(opinion))[i] = (evi_real)(3 * t_random_float(&state));
    for (int32_t i = 0; i < 5; i++)
        ((int32_t *)ev_tensor_data(labels))[i] = i % RC_CLASSES;
    const ev_feed feeds[3] = {{"image", image}, {"labels", labels}, {"teacher", opinion}};
    t_ok(ev_trainer_step(t, feeds, 3, losses, 2));
    const evi_real *logits = ev_tensor_data(ev_trainer_output(t, 0));
    for (int32_t i = 0; i < 5; i++) {
        softmax(logits + i * RC_CLASSES, 1, p);
        hard -= log(p[i % RC_CLASSES]) / 5;
        softmax(logits + i * RC_CLASSES, 2.5, p);
        softmax((const evi_real *)ev_tensor_data(opinion) + i * RC_CLASSES, 2.5, q);
        for (int32_t c = 0; c < RC_CLASSES; c++)
            soft -= q[c] * log(p[c]) / 5;
    }
    ck_assert_double_eq_tol(losses[0], hard, 1e-5);
    ck_assert_double_eq_tol(losses[1], soft, 1e-5);
    ck_assert_double_eq_tol((double)t->parts[0].net->outputs[1].weight, 0.7, 1e-6);
    ck_assert_double_eq_tol((double)t->parts[0].net->outputs[2].weight, 0.3 * 2.5 * 2.5, 1e-6);
    ev_trainer_destroy(t);
    ev_tensor_destroy(image);
    ev_tensor_destroy(labels);
    ev_tensor_destroy(opinion);
    ev_model_destroy(student);
}
END_TEST

/* The teacher keeps its bits and its plans; what it says does change the student. */
START_TEST(teacher_is_untouched)
{
    rc_job j;
    ev_model *out[2] = {NULL};
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_tensor *x = NULL;
    const int64_t dims[4] = {1, 3, RC_SIDE, RC_SIDE};
    uint32_t before = rc_crc(rc_trained);
    t_ok(ev_plan_create(rc_ctx, rc_trained, NULL, &plan));
    t_ok(ev_session_create(plan, &session));
    for (int32_t i = 0; i < 2; i++) {
        rc_usual(&j)->o.distill = i * 0.7;
        t_ok(ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j.o, &out[i], NULL));
    }
    ck_assert_uint_eq(rc_crc(rc_trained), before);
    ck_assert_uint_ne(rc_crc(out[0]), rc_crc(out[1]));
    t_ok(ev_tensor_create(rc_ctx, EV_TYPE_FLOAT32, 4, dims, &x));
    const ev_tensor *input = x;
    t_ok(ev_session_run(session, &input, 1, NULL, 0)); /* the plan is not stale */
    ev_tensor_destroy(x);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_model_destroy(out[0]);
    ev_model_destroy(out[1]);
}
END_TEST

/* ---- floors -------------------------------------------------------------------------------- */

START_TEST(floor_takes_back)
{
    rc_job j;
    ev_model *out = NULL;
    ev_prune_report *report = NULL;
    ev_prune_summary s;
    char *text = NULL;
    EV_OPTIONS_INIT(&s);
    rc_usual(&j)->o.accuracy_floor = 1.0; /* nobody reaches it */
    j.o.goal.ratio = 0.1;
    j.o.step_epochs = -1;
    t_status(ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j.o, &out, &report),
             EV_ERR_GOAL);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "floor"));
    ck_assert_ptr_nonnull(report);
    t_ok(ev_prune_report_summary(report, &s));
    ck_assert_int_eq(s.goal_met, 0);
    ck_assert_int_eq(j.last.kept, 0);
    ck_assert_int_eq(j.last.index, s.n_steps);
    ck_assert_int_eq(out != NULL, s.n_steps > 1);
    t_ok(ev_prune_report_describe(report, EV_DESCRIBE_TABLE, &text));
    *strchr(text, '\n') = '\0';
    ck_assert_ptr_nonnull(strstr(text, out != NULL ? "Time was not measured" : "NO SMALLER MODEL"));
    ck_assert_ptr_nonnull(strstr(text, "THE GOAL WAS MISSED"));
    ev_string_destroy(text);
    ev_model_destroy(out);
    ev_prune_report_destroy(report);
}
END_TEST

/* No goal: as small as the floor allows, searched for and fine-tuned at the end. */
START_TEST(as_small_as_the_floor)
{
    rc_job j;
    ev_model *out = NULL;
    ev_prune_report *report = NULL;
    ev_prune_summary s;
    ev_prune_step step;
    EV_OPTIONS_INIT(&s);
    EV_OPTIONS_INIT(&step);
    rc_usual(&j)->o.accuracy_floor = -0.1;
    j.o.goal.ratio = 0;
    j.o.goal.unit = 0;
    j.o.n_steps = 0;
    t_ok(ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j.o, &out, &report));
    t_ok(ev_prune_report_summary(report, &s));
    ck_assert_double_ge(s.accuracy_after, s.accuracy_before - 0.1 - 1e-9);
    ck_assert_int_eq(s.goal_met, 1);
    ck_assert_int_ge(s.n_steps, 4);
    int32_t back = 0;
    double share = 1;
    for (int32_t i = 1; i < s.n_steps; i++) {
        t_ok(ev_prune_report_step(report, i, &step));
        back += step.kept == 0;
        ck_assert_double_ge(share * 0.8, back == 0 ? step.goal - 1e-9 : 0);
        share = (double)step.macs / (double)ev_model_macs(rc_trained);
    }
    ck_assert_int_ge(back, 1);
    ck_assert_int_le(back, 3);
    ck_assert_int_lt(ev_model_macs(out), ev_model_macs(rc_trained));
    ev_model_destroy(out);
    ev_prune_report_destroy(report);
}
END_TEST

/* ---- resuming ------------------------------------------------------------------------------ */

typedef struct result {
    uint32_t crc;
    ev_prune_summary s;
} result;

static void with_controls(rc_job *j)
{
    j->o.no_controls = 0;
    j->o.distill = 0.5;
    j->t.learning_rate = 1e-3f;
}

/* Runs to the end. */
static result complete(rc_job *j)
{
    result r = {0};
    ev_model *out = NULL;
    ev_prune_report *report = NULL;
    EV_OPTIONS_INIT(&r.s);
    t_ok(ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j->o, &out, &report));
    t_ok(ev_prune_report_summary(report, &r.s));
    r.crc = rc_crc(out);
    ev_model_destroy(out);
    ev_prune_report_destroy(report);
    return r;
}

static void same(const result *a, const result *b)
{
    ck_assert_uint_eq(a->crc, b->crc);
    ck_assert_int_eq(memcmp(&a->s, &b->s, sizeof(a->s)), 0);
}

/* Stopped after each step and each epoch in turn, gone on with in the same folder. */
START_TEST(resume)
{
    rc_job j;
    char folder[T_PATH], path[T_PATH];
    t_folder(folder);
    with_controls(rc_usual(&j));
    result want = complete(&j);
    int32_t n_steps = j.n_steps, n_epochs = j.n_epochs;
    ck_assert_int_eq(n_steps, 4);
    ck_assert_int_eq(n_epochs, 3 * (1 + 1 + 2));
    ck_assert(!isnan(want.s.accuracy_random) && !isnan(want.s.accuracy_scratch));
    for (int32_t at = 0; at < n_steps + n_epochs; at++) {
        ev_model *out = NULL;
        ev_prune_report *report = NULL;
        with_controls(rc_usual(&j));
        j.o.folder = folder;
        j.stop_step = at < n_steps ? at : -1;
        j.stop_epoch = at < n_steps ? -1 : at - n_steps;
        t_status(ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j.o, &out, &report),
                 EV_ERR_CANCELLED);
        ck_assert_ptr_null(out);
        ck_assert_ptr_null(report);
        int32_t told = j.n_epochs;
        with_controls(rc_usual(&j));
        j.o.folder = folder;
        result have = complete(&j);
        same(&have, &want);
        ck_assert_int_eq(told + j.n_epochs, n_epochs); /* none was done twice */
        ck_assert(t_exists(t_path(path, folder, "model.onnx")));
        ck_assert(t_exists(t_path(path, folder, "report.json")));
        t_folder_remove(folder);
        t_folder(folder);
    }
    t_folder_remove(folder);
}
END_TEST

/* Killed: what comes after is the same, also with other numbers of threads. */
START_TEST(killed)
{
    rc_job j;
    char folder[T_PATH];
    t_folder(folder);
    with_controls(rc_usual(&j));
    result want = complete(&j);
    for (int32_t at = 0; at < 12; at += 3) {
        fflush(stdout);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        with_controls(rc_usual(&j));
        j.o.folder = folder;
        if (child == 0) {
            j.kill_epoch = at;
            (void)complete(&j);
            _exit(0);
        }
        int how = 0;
        ck_assert_int_eq(waitpid(child, &how, 0), child);
        ck_assert(WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        ev_context *one = rc_ctx;
        rc_ctx = t_context(NULL, 3);
        result have = complete(&j);
        ev_context_destroy(rc_ctx);
        rc_ctx = one;
        same(&have, &want);
        ck_assert_int_le(j.n_epochs, 12 - at);
        t_folder_remove(folder);
        t_folder(folder);
    }
    t_folder_remove(folder);
}
END_TEST

/* A finished run gives its result again without work; other options are refused by name. */
START_TEST(folder_of_another_run)
{
    rc_job j;
    ev_model *out = NULL;
    char folder[T_PATH];
    t_folder(folder);
    rc_usual(&j)->o.folder = folder;
    result first = complete(&j);
    rc_usual(&j)->o.folder = folder;
    result again = complete(&j);
    same(&first, &again);
    ck_assert_int_eq(j.n_epochs, 0);
    rc_usual(&j)->o.folder = folder;
    j.o.distill = 0.25;
    t_status(ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j.o, &out, NULL),
             EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "distill=0.25"));
    rc_usual(&j)->o.folder = folder;
    j.t.label_smoothing = 0.125f;
    t_status(ev_prune_run(rc_ctx, rc_trained, rc_train, rc_valid, &j.o, &out, NULL),
             EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "label_smoothing=0.125"));
    ck_assert_ptr_null(out);
    t_folder_remove(folder);
}
END_TEST

/* ---- all ----------------------------------------------------------------------------------- */

int main(void)
{
    Suite *s = suite_create("prune_run");
    TCase *c = tcase_create("prune_run");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, rc_start, rc_end);
    tcase_add_loop_test(c, schedules, 0, 6);
    tcase_add_loop_test(c, schedule_runs, 0, 6);
    tcase_add_loop_test(c, depth_and_time, 0, 3);
    tcase_add_test(c, odd_shares);
    tcase_add_loop_test(c, norms, 0, 2);
    tcase_add_test(c, teacher_loss);
    tcase_add_test(c, teacher_is_untouched);
    tcase_add_test(c, floor_takes_back);
    tcase_add_test(c, as_small_as_the_floor);
    tcase_add_test(c, resume);
#if !T_TSAN
    tcase_add_test(c, killed);
#endif
    tcase_add_test(c, folder_of_another_run);
    rc_add_faults(c);
    suite_add_tcase(s, c);
    return t_run(s);
}
