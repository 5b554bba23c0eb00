/* SPDX-License-Identifier: MIT */
/* Whole runs: the same bits for any number of threads and after any interruption; what callbacks
 * are told; sheets. */
#include "sets.h"

#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { N_A = 5, N_B = 7, PLACES = 4 };

/* ---- a run that can be interrupted ----------------------------------------------------------- */

typedef struct variant {
    const char *name;
    int32_t order, batch, replacement, split,
        labels; /* labels: 1 + EV_LABELS_*; 0: no classifier */
    int32_t no_pool;
} variant;

static const variant variants[] = {
    {.name = "plain", .batch = 1},
    {.name = "authors' order", .batch = 1, .order = EV_ORDER_AUTHORS},
    {.name = "batch 2, no history", .batch = 2, .no_pool = 1},
    {.name = "replacement", .batch = 1, .replacement = 1},
    {.name = "term by term", .batch = 1, .split = 1},
    {.name = "the same in the authors' order", .batch = 2, .split = 1, .order = EV_ORDER_AUTHORS},
    {.name = "labels of both sets", .batch = 2, .labels = 1 + EV_LABELS_BOTH},
    {.name = "the classifier's answers", .batch = 1, .labels = 1 + EV_LABELS_CLASSIFIER},
};

typedef struct job {
    const variant *v;
    const char *resume; /* NULL: from the start */
    const char *save;   /* NULL: not */
    int64_t stop_at;    /* total steps; 0: none */
    int32_t stop_epoch; /* stop after so many epochs, from on_epoch; 0: none */
    int32_t again;      /* run on after the stop, in the same object */
    int32_t threads;
    const char *checkpoint; /* every 2 steps and every epoch */
    int64_t kill_at;        /* the process ends itself; 0: not */
    int64_t n_steps, n_epochs;
    ev_cyclegan_losses sums; /* of the steps of the epoch under way */
} job;

static void add(ev_cyclegan_losses *to, const ev_cyclegan_losses *x)
{
    to->d_a += x->d_a;
    to->g_a += x->g_a;
    to->cycle_b += x->cycle_b;
    to->idt_a += x->idt_a;
    to->class_b += x->class_b;
}

static int32_t on_step(void *user, const ev_cyclegan_step_info *s)
{
    job *j = user;
    ck_assert_int_eq(s->total_steps, (int64_t)s->epoch * s->n_steps + s->step);
    ck_assert_int_eq(s->n_epochs, 3);
    ck_assert(s->seconds >= 0 && s->learning_rate > 0);
    ck_assert(isfinite(s->losses->d_a) && s->losses->cycle_a > 0 && s->losses->idt_b > 0);
    add(&j->sums, s->losses);
    j->n_steps++;
    if (j->kill_at != 0 && j->kill_at == s->total_steps)
        (void)raise(SIGKILL);
    return j->stop_at == s->total_steps;
}

static bool near(double mean, double sum, int32_t n)
{
    return fabs(mean - sum / n) <= 1e-9 * (fabs(mean) + 1);
}

static int32_t on_epoch(void *user, const ev_cyclegan_step_info *s)
{
    job *j = user;
    ck_assert_int_eq(s->step, s->n_steps);
    ck_assert_int_eq(s->total_steps, (int64_t)(s->epoch + 1) * s->n_steps);
    if (j->resume == NULL && j->again == 0) {
        ck_assert(near(s->losses->d_a, j->sums.d_a, s->n_steps));
        ck_assert(near(s->losses->g_a, j->sums.g_a, s->n_steps));
        ck_assert(near(s->losses->cycle_b, j->sums.cycle_b, s->n_steps));
        ck_assert(near(s->losses->idt_a, j->sums.idt_a, s->n_steps));
        ck_assert(near(s->losses->class_b, j->sums.class_b, s->n_steps));
    }
    memset(&j->sums, 0, sizeof(j->sums));
    j->n_epochs++;
    return j->stop_epoch == s->epoch + 1;
}

static ev_model *classifier(ev_context *ctx)
{
    const int64_t dims[4] = {-1, 3, 12, 12};
    ev_model *m = NULL;
    ev_value x = EV_NO_VALUE;
    t_ok(ev_model_create(ctx, &m));
    t_ok(ev_model_input(m, "image", EV_TYPE_FLOAT32, 4, dims, &x));
    t_ok(ev_model_conv2d(m, x, 4, 3, NULL, &x));
    t_ok(ev_model_flatten(m, x, 1, &x));
    t_ok(ev_model_dense(m, x, 3, NULL, &x));
    t_ok(ev_model_output(m, "logits", x));
    t_ok(ev_model_init(m, 3));
    return m;
}

static void options(job *j, ev_context *ctx, tg_options *t)
{
    tg_fill(t);
    t->o.order = j->v->order;
    t->o.batch_size = j->v->batch;
    t->o.replacement = j->v->replacement;
    t->o.pool_size = j->v->no_pool ? -1 : 3;
    t->o.on_step = on_step;
    t->o.on_epoch = on_epoch;
    t->o.user = j;
    t->o.checkpoint = j->checkpoint;
    t->o.checkpoint_steps = 2;
    if (j->v->labels > 0) {
        t->o.classifier = classifier(ctx);
        t->o.class_labels = j->v->labels - 1;
    }
    if (j->v->split != 0) {
        ev_memory m;
        ev_context *alone = t_context(NULL, 1);
        EV_OPTIONS_INIT(&m);
        t->o.width = t->o.height = t->o.load_width = t->o.load_height = 40;
        t_ok(ev_cyclegan_memory(alone, &t->o, &m));
        t->o.max_bytes = m.total_bytes - 1;
        ev_context_destroy(alone);
    }
}

/* Runs the job; gives a checksum of all weights. */
static uint32_t train(job *j)
{
    ev_context *ctx = t_context(NULL, j->threads > 0 ? j->threads : 1);
    ev_dataset *a = tg_set(ctx, N_A, 20, 0), *b = tg_set(ctx, N_B, 24, 1);
    ev_cyclegan *gan = NULL;
    tg_options t;
    options(j, ctx, &t);
    t_ok(ev_cyclegan_create(ctx, a, b, &t.o, &gan));
    ck_assert_int_eq(gan->is_split, j->v->split);
    if (j->resume != NULL)
        t_ok(ev_cyclegan_resume(gan, j->resume));
    bool stops = j->stop_at != 0 || j->stop_epoch != 0;
    t_status(ev_cyclegan_run(gan), stops ? EV_ERR_CANCELLED : EV_OK);
    if (j->save != NULL)
        t_ok(ev_cyclegan_save(gan, j->save));
    if (j->again != 0)
        t_ok(ev_cyclegan_run(gan));
    if (j->again != 0 || !stops) {
        ck_assert_int_eq(ev_cyclegan_epoch(gan), 3);
        ck_assert_int_eq(ev_cyclegan_steps(gan), 3 * (N_B / j->v->batch));
        t_ok(ev_cyclegan_run(gan)); /* nothing more to do */
    }
    uint32_t crc = tg_weights(gan);
    ev_cyclegan_destroy(gan);
    ev_model_destroy(t.o.classifier);
    ev_dataset_destroy(a);
    ev_dataset_destroy(b);
    ev_context_destroy(ctx);
    return crc;
}

static char folder[T_PATH], path[T_PATH];

static void start(void)
{
    t_folder(folder);
    t_path(path, folder, "gan.safetensors");
}

static void end(void)
{
    t_folder_remove(folder);
}

/* ---- the same bits --------------------------------------------------------------------------- */

/* At the first step, in mid-epoch, at an epoch's last step, from on_epoch: saved and resumed in
 * another object with other threads, and gone on with in the same one. */
START_TEST(resume)
{
    const variant *v = &variants[_i];
    int32_t n = N_B / v->batch;
    const int64_t places[PLACES] = {1, n + n / 2, 2 * n, 0};
    job whole = {.v = v};
    uint32_t want = train(&whole);
    ck_assert_int_eq(whole.n_steps, 3 * n);
    ck_assert_int_eq(whole.n_epochs, 3);
    for (int32_t i = 0; i < PLACES; i++) {
        int32_t stop_epoch = places[i] == 0 ? 2 : 0;
        job first = {.v = v, .stop_at = places[i], .stop_epoch = stop_epoch, .save = path};
        first.again = i % 2 + 1;
        ck_assert_uint_eq(train(&first), want);
        job second = {.v = v, .resume = path, .threads = 2};
        ck_assert_uint_eq(train(&second), want);
        ck_assert_int_eq(second.n_steps, 3 * n - (places[i] == 0 ? 2 * (int64_t)n : places[i]));
    }
}
END_TEST

START_TEST(threads)
{
    job one = {.v = &variants[_i]}, four = {.v = &variants[_i], .threads = 4};
    ck_assert_uint_eq(train(&one), train(&four));
}
END_TEST

/* ---- kill -9 --------------------------------------------------------------------------------- */

/* A child goes on from the checkpoint, if there is one, until it is killed: by itself in the middle
 * of a step's callback, or from outside at any moment.  Gives true when it got through. */
static bool live(int64_t microseconds)
{
    int state = 0;
    fflush(stdout);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        job j = {.v = &variants[0], .checkpoint = path};
        j.resume = t_exists(path) ? path : NULL;
        (void)train(&j);
        _exit(0);
    }
    if (microseconds > 0) {
        const struct timespec wait = {.tv_nsec = (long)microseconds * 1000};
        (void)nanosleep(&wait, NULL);
        (void)kill(child, SIGKILL);
    }
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFSIGNALED(state) ? WTERMSIG(state) == SIGKILL : WEXITSTATUS(state) == 0);
    return WIFEXITED(state);
}

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* What a checkpoint of a finished run holds. */
static uint32_t weights_of(const char *file)
{
    job j = {.v = &variants[0], .resume = file};
    return train(&j);
}

START_TEST(kill_at_any_moment)
{
    job whole = {.v = &variants[0]};
    uint32_t want = train(&whole);
    uint64_t chance = 20261122;
    double t0 = seconds();
    int32_t killed = 0, finished = 0;
    ck_assert(live(0));
    double once = seconds() - t0;
    ck_assert_uint_eq(weights_of(path), want);
    (void)unlink(path);
    while (killed < 20 && finished < 200) {
        /* short lives: several a run; the longest ones may get through */
        int64_t most = (int64_t)(once * 1e6 * 0.7) + 1000;
        if (!live(1 + (int64_t)(t_random(&chance) % (uint32_t)most))) {
            killed++;
            continue;
        }
        finished++;
        ck_assert_uint_eq(weights_of(path), want);
        (void)unlink(path);
    }
    ck_assert_int_eq(killed, 20);
    ck_assert(live(0));
    ck_assert_uint_eq(weights_of(path), want);
}
END_TEST

/* ---- sheets ---------------------------------------------------------------------------------- */

static int32_t differences(ev_image *x, int32_t left, int32_t top, ev_image *y)
{
    int32_t worst = 0;
    for (int32_t r = 0; r < ev_image_height(y); r++)
        for (int32_t k = 0; k < 3 * ev_image_width(y); k++) {
            int32_t p = ev_image_data(x)[(top + r) * ev_image_stride(x) + 3 * left + k];
            int32_t q = ev_image_data(y)[r * ev_image_stride(y) + k];
            worst = EVI_MAX(worst, abs(p - q));
        }
    return worst;
}

START_TEST(sheet)
{
    static const int32_t items[] = {3, 0};
    ev_context *ctx = t_context(NULL, 1);
    ev_dataset *a = tg_set(ctx, N_A, 16, 0), *b = tg_set(ctx, N_B, 16, 1);
    ev_cyclegan *gan = NULL;
    ev_image *all = NULL, *real = NULL, *made = NULL;
    tg_options t;
    tg_fill(&t);
    t_ok(ev_cyclegan_create(ctx, a, b, &t.o, &gan));
    t_ok(ev_cyclegan_grid(gan, a, items, 2, b, NULL, 1, &all));
    ck_assert_int_eq(ev_image_width(all), 4 * 16 + 3 * 2);
    ck_assert_int_eq(ev_image_height(all), 3 * 16 + 2 * 2);
    ck_assert_int_eq(ev_image_format(all), EV_PIXEL_RGB);
    ck_assert_int_eq(ev_image_data(all)[3 * 16], 255);
    t_ok(ev_dataset_image(a, 3, NULL, &real));
    ck_assert_int_eq(differences(all, 0, 0, real), 0);
    t_ok(ev_cyclegan_translate(gan, EV_A_TO_B, real, NULL, &made));
    ck_assert_int_eq(differences(all, 18, 0, made), 0);
    ev_image_destroy(made);
    t_ok(ev_cyclegan_translate(gan, EV_B_TO_A, real, NULL, &made));
    ck_assert_int_eq(differences(all, 54, 0, made), 0);
    ev_image_destroy(made);
    ev_image_destroy(real);
    t_ok(ev_dataset_image(b, 0, NULL, &real));
    ck_assert_int_eq(differences(all, 0, 36, real), 0);
    t_ok(ev_cyclegan_translate(gan, EV_B_TO_A, real, NULL, &made));
    ck_assert_int_eq(differences(all, 18, 36, made), 0);
    ev_image_destroy(all);
    ev_image_destroy(made);
    ev_image_destroy(real);
    t_status(ev_cyclegan_grid(gan, NULL, NULL, 3, b, NULL, 0, &all), EV_ERR_ARGUMENT);
    t_status(ev_cyclegan_grid(gan, a, NULL, N_A + 1, NULL, NULL, 0, &all), EV_ERR_ARGUMENT);
    t_status(ev_cyclegan_grid(gan, a, (const int32_t[]){N_A}, 1, NULL, NULL, 0, &all),
             EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "items_a[0] is 5"));
    ck_assert_ptr_null(all);
    ev_cyclegan_destroy(gan);
    ev_dataset_destroy(a);
    ev_dataset_destroy(b);
    ev_context_destroy(ctx);
}
END_TEST

/* Grey generators: the sheet is RGB all the same. */
START_TEST(grey)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_dataset *a = tg_set(ctx, N_A, 16, 0);
    ev_cyclegan *gan = NULL;
    ev_image *all = NULL;
    tg_options t;
    tg_fill(&t);
    t.g.channels = 1;
    t.o.steps_per_epoch = 2;
    t.o.epochs = 1;
    t_ok(ev_cyclegan_create(ctx, a, a, &t.o, &gan));
    t_ok(ev_cyclegan_run(gan));
    ck_assert_int_eq(ev_cyclegan_steps(gan), 2);
    t_ok(ev_cyclegan_grid(gan, a, NULL, 1, NULL, NULL, 0, &all));
    ck_assert_int_eq(ev_image_format(all), EV_PIXEL_RGB);
    ck_assert_int_eq(ev_image_data(all)[0], ev_image_data(all)[1]);
    ev_image_destroy(all);
    ev_cyclegan_destroy(gan);
    ev_dataset_destroy(a);
    ev_context_destroy(ctx);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gan_run");
    TCase *t = tcase_create("run");
    tcase_add_checked_fixture(t, start, end);
    tcase_set_timeout(t, 100);
    tcase_add_loop_test(t, resume, 0, EVI_COUNT(variants));
    tcase_add_loop_test(t, threads, 0, EVI_COUNT(variants));
    if (!T_TSAN)
        tcase_add_test(t, kill_at_any_moment);
    tcase_add_test(t, sheet);
    tcase_add_test(t, grey);
    suite_add_tcase(suite, t);
    return t_run(suite);
}
