/* SPDX-License-Identifier: MIT */
/* Checkpoints: the same bits after any interruption, and no harm from any file. */
#include "train.h"

#include "train/safetensors.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- a run that can be interrupted --------------------------------------------------------- */

enum { STEPS = 24 }; /* 4 epochs of 6 */

typedef struct job {
    const char *path;   /* checkpoint, or NULL */
    const char *resume; /* NULL: from the start */
    int32_t stop_at;    /* step to cancel at; 0: none */
    int32_t kill_at;    /* step to be killed at; 0: none */
    int32_t save_at;    /* step to save at, from the callback */
    int32_t threads, optimizer;
    bool valid;
    ev_trainer *trainer;
} job;

static int32_t on_step(void *user, const ev_step *s)
{
    job *j = user;
    if (j->save_at == s->step)
        t_ok(ev_trainer_save(j->trainer, j->path));
    if (j->kill_at == s->step)
        (void)raise(SIGKILL);
    return j->stop_at == s->step;
}

static void options(job *j, ev_train_options *o, ev_augment_options *a)
{
    EV_OPTIONS_INIT(o);
    EV_OPTIONS_INIT(a);
    a->flip = 1;
    a->shift_x = 0.1f;
    o->augment = a;
    o->batch_size = 8;
    o->max_epochs = 4;
    o->learning_rate = 2e-3f;
    o->optimizer = j->optimizer;
    o->schedule = EV_SCHEDULE_COSINE;
    o->warmup_steps = 5;
    o->loader_threads = -1;
    o->on_step = on_step;
    o->user = j;
}

/* Runs the job; gives a checksum of the weights and of the last epoch's numbers. */
static uint32_t train(job *j)
{
    ev_context *ctx = t_context(NULL, j->threads > 0 ? j->threads : 1);
    ev_model *m = tt_picture_net(ctx);
    ev_dataset *set = tt_pictures(ctx, 45, 11), *valid = tt_pictures(ctx, 20, 12);
    ev_train_options o;
    ev_augment_options a;
    options(j, &o, &a);
    if (j->kill_at > 0) {
        o.checkpoint = j->path;
        o.checkpoint_steps = 5;
    }
    t_ok(ev_trainer_create(ctx, m, set, j->valid ? valid : NULL, &o, &j->trainer));
    if (j->resume != NULL)
        t_ok(ev_trainer_resume(j->trainer, j->resume));
    t_status(ev_trainer_run(j->trainer), j->stop_at > 0 ? EV_ERR_CANCELLED : EV_OK);
    if (j->stop_at > 0 && j->path != NULL)
        t_ok(ev_trainer_save(j->trainer, j->path));
    uint32_t crc = tt_weights_crc(m);
    if (j->stop_at == 0) {
        ev_epoch e;
        EV_OPTIONS_INIT(&e);
        ck_assert_int_eq(ev_trainer_steps(j->trainer), STEPS);
        t_ok(ev_trainer_history(j->trainer, 3, &e));
        crc = evi_crc32c(crc, &e.train_loss, 2 * sizeof(double)); /* and the accuracy */
    }
    ev_trainer_destroy(j->trainer);
    ev_dataset_destroy(set);
    ev_dataset_destroy(valid);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    return crc;
}

/* ---- the same bits ------------------------------------------------------------------------- */

static char folder[T_PATH], path[T_PATH];

static void start(void)
{
    t_folder(folder);
    t_path(path, folder, "run.safetensors");
}

static void end(void)
{
    t_folder_remove(folder);
}

static const int32_t optimizers[] = { EV_OPTIMIZER_ADAM, EV_OPTIMIZER_SGD,
                                      EV_OPTIMIZER_RMSPROP };

/* Stopped after 9 steps (in mid-epoch), saved, resumed in a new trainer. */
START_TEST(resume_in_mid_epoch)
{
    job whole = { .optimizer = optimizers[_i], .valid = _i != 1 };
    uint32_t want = train(&whole);
    job first = { .optimizer = optimizers[_i], .valid = _i != 1, .stop_at = 9, .path = path };
    (void)train(&first);
    job second = { .optimizer = optimizers[_i], .valid = _i != 1, .resume = path, .threads = 3 };
    ck_assert_uint_eq(train(&second), want);
}
END_TEST

/* Saved from the callback; the run goes on undisturbed. */
START_TEST(save_on_the_way)
{
    job whole = { .valid = true };
    uint32_t want = train(&whole);
    for (int32_t at = 1; at <= STEPS; at += 7) {
        job first = { .valid = true, .save_at = at, .path = path };
        ck_assert_uint_eq(train(&first), want);
        job second = { .valid = true, .resume = path };
        ck_assert_uint_eq(train(&second), want);
    }
}
END_TEST

static void killed_child(int32_t at)
{
    fflush(stdout);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        job j = { .valid = true, .kill_at = at, .path = path };
        (void)train(&j);
        _exit(0);
    }
    int state = 0;
    ck_assert_int_eq(waitpid(child, &state, 0), child);
    ck_assert(WIFSIGNALED(state) && WTERMSIG(state) == SIGKILL);
}

START_TEST(kill_and_resume)
{
    job whole = { .valid = true };
    uint32_t want = train(&whole);
    static const int32_t at[] = { 8, 14, 23 };
    for (int32_t i = 0; i < EVI_COUNT(at); i++) {
        killed_child(at[i]);
        job second = { .valid = true, .resume = path };
        ck_assert_uint_eq(train(&second), want);
    }
}
END_TEST

/* ---- files that are not ours --------------------------------------------------------------- */

typedef struct small {
    ev_context *ctx;
    ev_model *model;
    ev_trainer *trainer;
} small;

static small small_trainer(ev_context *ctx, int32_t batch_size)
{
    small s = { .ctx = ctx };
    ev_train_options o;
    EV_OPTIONS_INIT(&o);
    o.batch_size = batch_size;
    o.monitor = EV_MONITOR_TRAIN_LOSS;
    s.model = tt_small_net(ctx);
    t_ok(ev_trainer_create(ctx, s.model, NULL, NULL, &o, &s.trainer));
    return s;
}

static void small_step(small *s)
{
    const int64_t dims[4] = { 2, 2, 4, 4 };
    ev_tensor *x = tt_tensor(s->ctx, 500, 4, dims), *y = tt_label_tensor(s->ctx, 600, 2, 3);
    const ev_feed feeds[2] = { { "image", x }, { "labels", y } };
    t_ok(ev_trainer_step(s->trainer, feeds, 2, NULL, 0));
    ev_tensor_destroy(x);
    ev_tensor_destroy(y);
}

static void small_end(small *s)
{
    ev_trainer_destroy(s->trainer);
    ev_model_destroy(s->model);
    ev_context_destroy(s->ctx);
}

/* Every truncation and every flipped bit (every 7th beyond the header) is refused. */
START_TEST(damaged_files)
{
    small s = small_trainer(t_context(NULL, 1), 2);
    char other[T_PATH];
    size_t n = 0;
    small_step(&s);
    t_ok(ev_trainer_end_epoch(s.trainer, 1, 1, NULL));
    t_ok(ev_trainer_save(s.trainer, path));
    char *whole = t_read(path, &n);
    t_path(other, folder, "damaged");
    uint32_t before = tt_weights_crc(s.model);
    for (size_t k = 0; k < n; k += k < 3000 ? 13 : 101) {
        t_write(other, whole, k);
        t_status(ev_trainer_resume(s.trainer, other), EV_ERR_FORMAT);
    }
    for (size_t bit = 0; bit < 8 * n; bit += bit < 8 * 600 ? 7 : 97) {
        whole[bit / 8] ^= (char)(1 << bit % 8);
        t_write(other, whole, n);
        t_status(ev_trainer_resume(s.trainer, other), EV_ERR_FORMAT);
        whole[bit / 8] ^= (char)(1 << bit % 8);
    }
    ck_assert_uint_eq(tt_weights_crc(s.model), before);
    t_status(ev_trainer_resume(s.trainer, folder), EV_ERR_IO);
    t_path(other, folder, "none");
    t_status(ev_trainer_resume(s.trainer, other), EV_ERR_IO);
    t_ok(ev_trainer_resume(s.trainer, path));
    free(whole);
    small_end(&s);
}
END_TEST

/* A header with a right checksum is still not trusted. */
static ev_status read_header(ev_context *ctx, const char *json, uint64_t n_data)
{
    char bytes[2048] = { 0 }, digits[9];
    uint64_t n = strlen(json), total = 8 + n + n_data;
    evi_st_file f;
    for (int32_t i = 0; i < 8; i++)
        bytes[i] = (char)(n >> 8 * i);
    memcpy(bytes + 8, json, (size_t)n);
    char *at = strstr(bytes + 8, "00000000");
    if (at != NULL) {
        snprintf(digits, sizeof(digits), "%08x", (unsigned)evi_crc32c(0, bytes, total));
        memcpy(at, digits, 8);
    }
    t_write(path, bytes, (size_t)total);
    evi_st_start(&f, ctx);
    ev_status status = evi_st_read(&f, path);
    evi_st_end(&f);
    return status;
}

#define HEAD "{\"__metadata__\":{\"crc32c\":\"00000000\"}"

static const struct {
    const char *json;
    uint64_t n_data;
    ev_status want;
} headers[] = {
    { HEAD "}", 0, EV_OK },
    { HEAD ",\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8, EV_OK },
    { HEAD ",\"a\":{\"shape\":[],\"data_offsets\":[0,4],\"dtype\":\"F32\"}}  ", 4, EV_OK },
    { HEAD ",\"\\u00e9\\ud83d\\ude00\\n\":{\"dtype\":\"I64\",\"shape\":[0],"
           "\"data_offsets\":[0,0]}}", 0, EV_OK },
    { HEAD ",\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 12, EV_ERR_FORMAT },
    { HEAD ",\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 4, EV_ERR_FORMAT },
    { HEAD ",\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[4,12]}}", 12, EV_ERR_FORMAT },
    { HEAD ",\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", 8, EV_ERR_FORMAT },
    { HEAD ",\"a\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, EV_ERR_FORMAT },
    { HEAD ",\"a\":{\"dtype\":\"F32\",\"shape\":[9999999999],\"data_offsets\":[0,8]}}", 8,
      EV_ERR_FORMAT },
    { HEAD ",\"a\":{\"dtype\":\"F32\",\"shape\":[-2],\"data_offsets\":[0,8]}}", 8, EV_ERR_FORMAT },
    { HEAD ",\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,2],\"data_offsets\":[0,8]}}", 8,
      EV_ERR_FORMAT },
    { HEAD ",\"a\":{\"dtype\":\"F32\",\"dtype\":\"F32\",\"data_offsets\":[0,8]}}", 8,
      EV_ERR_FORMAT },
    { HEAD ",\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}", 8, EV_ERR_FORMAT },
    { HEAD ",\"a\":[[[[[[[[[[", 0, EV_ERR_FORMAT },
    { HEAD ",\"a\\u0000\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
      EV_ERR_FORMAT },
    { HEAD ",\"\\ud83d\":{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}", 0,
      EV_ERR_FORMAT },
    { HEAD ",\"a", 0, EV_ERR_FORMAT },
    { HEAD "}x", 0, EV_ERR_FORMAT },
    { "{}", 0, EV_ERR_FORMAT },
};

START_TEST(hostile_headers)
{
    ev_context *ctx = t_context(NULL, 1);
    for (int32_t i = 0; i < EVI_COUNT(headers); i++) {
        ev_status status = read_header(ctx, headers[i].json, headers[i].n_data);
        ck_assert_msg(status == headers[i].want, "header %d: %s", (int)i, ev_status_name(status));
    }
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(other_runs)
{
    small s = small_trainer(t_context(NULL, 1), 2), t = small_trainer(t_context(NULL, 1), 3);
    small_step(&s);
    t_ok(ev_trainer_save(s.trainer, path));
    t_status(ev_trainer_resume(t.trainer, path), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "batch_size=2"));
    ev_train_options o;
    ev_trainer *u = NULL;
    EV_OPTIONS_INIT(&o);
    ev_model *m = tt_picture_net(s.ctx);
    t_ok(ev_trainer_create(s.ctx, m, NULL, NULL, &o, &u));
    t_status(ev_trainer_resume(u, path), EV_ERR_SHAPE);
    t_status(ev_trainer_resume(u, NULL), EV_ERR_ARGUMENT);
    t_status(ev_trainer_save(u, NULL), EV_ERR_ARGUMENT);
    ck_assert_int_eq(ev_trainer_steps(u), 0);
    ev_trainer_destroy(u);
    ev_model_destroy(m);
    small_end(&s);
    small_end(&t);
}
END_TEST

/* A file of the first release's first days, and what its run came to two steps later. */
START_TEST(old_file)
{
    ev_context *ctx = t_context(NULL, 1);
    const int64_t dims[4] = { 4, 2, 4, 4 };
    ev_model *m = tt_small_net(ctx);
    ev_trainer *t = NULL;
    ev_train_options o;
    EV_OPTIONS_INIT(&o);
    o.batch_size = 4;
    o.max_epochs = 5;
    o.monitor = EV_MONITOR_TRAIN_LOSS;
    o.schedule = EV_SCHEDULE_COSINE;
    ev_tensor *x = tt_tensor(ctx, 1, 4, dims), *y = tt_label_tensor(ctx, 2, 4, 3);
    const ev_feed f[2] = { { "image", x }, { "labels", y } };
    t_ok(ev_trainer_create(ctx, m, NULL, NULL, &o, &t));
    t_ok(ev_trainer_resume(t, T_GOLDEN "/checkpoint.safetensors"));
    ck_assert_int_eq(ev_trainer_epoch(t), 1);
    ck_assert_int_eq(ev_trainer_batch(t), 2);
    ck_assert_int_eq(ev_trainer_best_epoch(t), 0);
    for (int32_t i = 0; i < 2; i++)
        t_ok(ev_trainer_step(t, f, 2, NULL, 0));
    int64_t n = 0;
    double *w = tt_weights(m, &n), sum = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) {
        sum += w[i];
        squares += w[i] * w[i];
    }
    ck_assert_int_eq(n, 137);
    ck_assert_double_eq_tol(sum, -3.45993092, 1e-5);
    ck_assert_double_eq_tol(squares, 4.67488287, 1e-5);
    free(w);
    ev_trainer_destroy(t);
    ev_tensor_destroy(x);
    ev_tensor_destroy(y);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- faults -------------------------------------------------------------------------------- */

static ev_status save_and_resume(ev_context *ctx, void *arg)
{
    ev_model *m = NULL;
    ev_trainer *t = NULL;
    ev_train_options o;
    ev_zoo_options z;
    (void)arg;
    EV_OPTIONS_INIT(&z);
    EV_OPTIONS_INIT(&o);
    z.width = 8;
    o.batch_size = 1;
    ev_status status = ev_zoo_arch(ctx, 1, &z, &m);
    if (status == EV_OK)
        status = ev_model_init(m, 1);
    if (status == EV_OK)
        status = ev_trainer_create(ctx, m, NULL, NULL, &o, &t);
    if (status == EV_OK)
        status = ev_trainer_save(t, path);
    if (status == EV_OK)
        status = ev_trainer_resume(t, path);
    ev_trainer_destroy(t);
    ev_model_destroy(m);
    return status;
}

START_TEST(out_of_memory)
{
    ck_assert_int_gt(t_each_alloc(save_and_resume, NULL, 1, 0), 100);
}
END_TEST

/* Every file call fails once: an error, and the old checkpoint is still there and whole. */
START_TEST(files_that_fail)
{
    t_hooks h = { 0 };
    ev_context_options c;
    ev_context *ctx = NULL;
    t_options(&h, true, &c);
    t_ok(ev_context_create(&c, &ctx));
    small s = small_trainer(ctx, 2);
    small_step(&s);
    t_ok(ev_trainer_save(s.trainer, path));
    uint32_t saved = tt_weights_crc(s.model);
    int32_t failed = 0;
    for (long k = 1;; k++) {
        small_step(&s);
        memset(h.n_calls, 0, sizeof(h.n_calls));
        h.fail_kind = T_FILE_ANY;
        h.fail_call = k;
        ev_status status = ev_trainer_save(s.trainer, path);
        h.fail_call = 0;
        if (status == EV_OK)
            break;
        ck_assert_int_eq(status, EV_ERR_IO);
        failed++;
        t_ok(ev_trainer_resume(s.trainer, path));
        ck_assert_uint_eq(tt_weights_crc(s.model), saved);
    }
    ck_assert_int_gt(failed, 3);
    small_step(&s);
    uint32_t now = tt_weights_crc(s.model);
    for (long k = 1;; k++) {
        memset(h.n_calls, 0, sizeof(h.n_calls));
        h.fail_call = k;
        ev_status status = ev_trainer_resume(s.trainer, path);
        h.fail_call = 0;
        if (status == EV_OK && h.n_calls[T_FILE_ANY] < k)
            break;
        if (status != EV_OK) { /* closing a file that was read may fail without harm */
            ck_assert_int_eq(status, EV_ERR_IO);
            ck_assert_uint_eq(tt_weights_crc(s.model), now);
        }
    }
    small_end(&s);
}
END_TEST

/* The process ends at each file call of a save in turn: what lies there is the old checkpoint or
 * the new one, never anything else, and the next save gets through. */
START_TEST(killed_while_saving)
{
    small s = small_trainer(t_context(NULL, 1), 2);
    small_step(&s);
    t_ok(ev_trainer_save(s.trainer, path));
    uint32_t old = tt_weights_crc(s.model), new = 0;
    int32_t n_old = 0, n_new = 0, state = 0;
    small_step(&s);
    new = tt_weights_crc(s.model);
    for (long k = 1;; k++) {
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            t_hooks h = { .kill = true, .fail_kind = T_FILE_ANY };
            ev_context_options c;
            ev_context *ctx = NULL;
            t_options(&h, true, &c);
            if (ev_context_create(&c, &ctx) != EV_OK)
                _exit(1);
            small other = small_trainer(ctx, 2);
            small_step(&other);
            small_step(&other);
            h.fail_call = k;
            _exit(ev_trainer_save(other.trainer, path) == EV_OK ? 0 : 1);
        }
        ck_assert_int_eq(waitpid(child, &state, 0), child);
        ck_assert(WIFEXITED(state));
        t_ok(ev_trainer_resume(s.trainer, path));
        uint32_t now = tt_weights_crc(s.model);
        ck_assert(now == old || now == new);
        n_old += now == old;
        n_new += now == new;
        if (WEXITSTATUS(state) == 0)
            break;
        ck_assert_int_eq(WEXITSTATUS(state), 77);
    }
    ck_assert_int_gt(n_old, 2);
    ck_assert_int_gt(n_new, 0);
    small_end(&s);
}
END_TEST

Suite *tt_checkpoint_suite(void)
{
    Suite *s = suite_create("checkpoints");
    TCase *c = tcase_create("checkpoints");
    tcase_add_checked_fixture(c, start, end);
    tcase_add_loop_test(c, resume_in_mid_epoch, 0, EVI_COUNT(optimizers));
    tcase_add_test(c, save_on_the_way);
    tcase_add_test(c, kill_and_resume);
    tcase_add_test(c, damaged_files);
    tcase_add_test(c, hostile_headers);
    tcase_add_test(c, other_runs);
    tcase_add_test(c, old_file);
    tcase_add_test(c, out_of_memory);
    tcase_add_test(c, files_that_fail);
    tcase_add_test(c, killed_while_saving);
    suite_add_tcase(s, c);
    return s;
}
