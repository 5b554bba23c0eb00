/* SPDX-License-Identifier: MIT */
/* What may go wrong in a run: no memory, files that fail or are damaged, other runs' files, numbers
 * that are not finite.  The last good state is there afterwards, and the run can go on. */
#include "sets.h"

#include <math.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct small {
    ev_context *ctx;
    ev_dataset *a, *b;
    ev_cyclegan *gan;
} small;

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

/* 3 epochs of 4 steps. */
static small begin_in(ev_context *ctx, const tg_options *t)
{
    small s = {.ctx = ctx, .a = tg_set(ctx, 3, 20, 0), .b = tg_set(ctx, 4, 20, 1)};
    t_ok(ev_cyclegan_create(ctx, s.a, s.b, &t->o, &s.gan));
    return s;
}

static small begin(const tg_options *t)
{
    return begin_in(t_context(NULL, 1), t);
}

static void finish(small *s)
{
    ev_cyclegan_destroy(s->gan);
    ev_dataset_destroy(s->a);
    ev_dataset_destroy(s->b);
    ev_context_destroy(s->ctx);
}

static int32_t stop_after(void *user, const ev_cyclegan_step_info *s)
{
    return s->total_steps == *(const int64_t *)user;
}

/* A run that stands after n steps. */
static small begin_at(int64_t n, tg_options *t)
{
    tg_fill(t);
    t->o.on_step = stop_after;
    t->o.user = &n;
    small s = begin(t);
    t_status(ev_cyclegan_run(s.gan), EV_ERR_CANCELLED);
    s.gan->o.o.on_step = NULL;
    return s;
}

static uint32_t final_weights(void)
{
    tg_options t;
    tg_fill(&t);
    small s = begin(&t);
    t_ok(ev_cyclegan_run(s.gan));
    uint32_t crc = tg_weights(s.gan);
    finish(&s);
    return crc;
}

/* ---- memory ---------------------------------------------------------------------------------- */

static ev_status whole_life(ev_context *ctx, void *arg)
{
    ev_dataset *const *sets = arg;
    tg_options t;
    ev_cyclegan *gan = NULL, *other = NULL;
    ev_image *sheet = NULL;
    tg_fill(&t);
    t.o.epochs = 1;
    t.o.steps_per_epoch = 2;
    t.o.cache_bytes = -1;
    ev_status status = ev_cyclegan_create(ctx, sets[0], sets[1], &t.o, &gan);
    if (status == EV_OK)
        status = ev_cyclegan_run(gan);
    if (status == EV_OK)
        status = ev_cyclegan_save(gan, path);
    if (status == EV_OK)
        status = ev_cyclegan_create(ctx, NULL, NULL, &t.o, &other);
    if (status == EV_OK)
        status = ev_cyclegan_resume(other, path);
    if (status == EV_OK)
        status = ev_cyclegan_read_options(ctx, path, &t.o, &t.g, &t.d);
    if (status == EV_OK)
        status = ev_cyclegan_grid(gan, sets[0], NULL, 1, sets[1], NULL, 1, &sheet);
    ev_image_destroy(sheet);
    ev_cyclegan_destroy(gan);
    ev_cyclegan_destroy(other);
    return status;
}

/* The k-th allocation fails, alone or with all later ones; true when there are not so many. */
static bool life_with(ev_dataset **sets, long k, bool all_after)
{
    t_hooks h = {0};
    ev_context *ctx = t_context(&h, 1);
    h.fail_all_after = all_after;
    h.fail_alloc = h.n_allocs + k;
    ev_status status = whole_life(ctx, sets);
    bool over = h.n_allocs < h.fail_alloc;
    ck_assert(status == EV_ERR_MEMORY || status == EV_OK);
    ck_assert(!over || status == EV_OK);
    ev_context_destroy(ctx);
    ck_assert_int_eq(h.n_live, 0);
    return over;
}

/* Every 17th of about 4000; the next test tries all of a run, a save and a resume. */
START_TEST(no_memory_anywhere)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_dataset *sets[2] = {tg_set(ctx, 3, 20, 0), tg_set(ctx, 3, 20, 1)};
    for (long k = 1; !life_with(sets, k, k % 2 == 0); k += 17)
        ck_assert_int_lt(k, 100000);
    ev_dataset_destroy(sets[0]);
    ev_dataset_destroy(sets[1]);
    ev_context_destroy(ctx);
}
END_TEST

/* Allocations fail one after the other in the same object: run, save and resume give an error, and
 * in the end the weights are those of a run that never heard of it. */
START_TEST(run_goes_on_without_memory)
{
    t_hooks h = {0};
    ev_context_options c;
    ev_context *ctx = NULL;
    tg_options t;
    uint32_t want = final_weights();
    int32_t failures = 0;
    t_options(&h, false, &c);
    t_ok(ev_context_create(&c, &ctx));
    tg_fill(&t);
    t.o.cache_bytes = -1;
    t.o.checkpoint = path;
    small s = begin_in(ctx, &t);
    for (long k = 1;; k++) {
        h.fail_alloc = h.n_allocs + k;
        ev_status status = ev_cyclegan_run(s.gan);
        h.fail_alloc = 0;
        if (status == EV_OK)
            break;
        ck_assert_int_eq(status, EV_ERR_MEMORY);
        failures++;
        uint32_t now = tg_weights(s.gan);
        h.fail_alloc = h.n_allocs + k;
        status = ev_cyclegan_save(s.gan, path);
        h.fail_alloc = 0;
        if (status == EV_OK && k % 3 == 0) {
            h.fail_alloc = h.n_allocs + k / 3;
            status = ev_cyclegan_resume(s.gan, path);
            h.fail_alloc = 0;
        }
        ck_assert(status == EV_OK || status == EV_ERR_MEMORY);
        ck_assert_uint_eq(tg_weights(s.gan), now);
    }
    ck_assert_int_gt(failures, 30);
    ck_assert_uint_eq(tg_weights(s.gan), want);
    finish(&s);
    ck_assert_int_eq(h.n_live, 0);
}
END_TEST

/* ---- files ----------------------------------------------------------------------------------- */

/* Every file call of a save fails once: an error, and the old file is still there and whole. */
START_TEST(files_that_fail)
{
    t_hooks h = {0};
    ev_context_options c;
    ev_context *ctx = NULL;
    tg_options t;
    int32_t failed = 0;
    t_options(&h, true, &c);
    t_ok(ev_context_create(&c, &ctx));
    tg_fill(&t);
    t.o.epochs = 2;
    small s = begin_in(ctx, &t);
    t_ok(ev_cyclegan_save(s.gan, path));
    uint32_t fresh = tg_weights(s.gan);
    for (long k = 1;; k++) {
        t_ok(ev_cyclegan_run(s.gan)); /* away from the file's state */
        uint32_t now = tg_weights(s.gan);
        memset(h.n_calls, 0, sizeof(h.n_calls));
        h.fail_kind = T_FILE_ANY;
        h.fail_call = k;
        ev_status status = ev_cyclegan_save(s.gan, path);
        h.fail_call = 0;
        if (status == EV_OK)
            break;
        ck_assert_int_eq(status, EV_ERR_IO);
        ck_assert_uint_eq(tg_weights(s.gan), now);
        failed++;
        t_ok(ev_cyclegan_resume(s.gan, path));
        ck_assert_uint_eq(tg_weights(s.gan), fresh);
        ck_assert_int_eq(ev_cyclegan_epoch(s.gan), 0);
    }
    ck_assert_int_gt(failed, 3);
    finish(&s);
}
END_TEST

/* A full disk during a run: the run ends with the reason, and goes on when there is room again. */
START_TEST(full_disk)
{
    t_hooks h = {.fail_kind = T_FILE_WRITE, .fail_errno = 28 /* ENOSPC */};
    ev_context_options c;
    ev_context *ctx = NULL;
    tg_options t;
    uint32_t want = final_weights();
    t_options(&h, true, &c);
    t_ok(ev_context_create(&c, &ctx));
    tg_fill(&t);
    t.o.checkpoint = path;
    t.o.checkpoint_steps = 3;
    small s = begin_in(ctx, &t);
    for (long k = 1;; k++) {
        h.fail_call = h.n_calls[T_FILE_WRITE] + k % 40 + 1;
        ev_status status = ev_cyclegan_run(s.gan);
        h.fail_call = 0;
        if (status == EV_OK)
            break;
        ck_assert_int_eq(status, EV_ERR_IO);
        ck_assert_ptr_nonnull(strstr(ev_last_error(), "gan.safetensors"));
    }
    ck_assert_uint_eq(tg_weights(s.gan), want);
    finish(&s);
}
END_TEST

/* The process ends at each file call of a save in turn: what lies there is the old state or the new
 * one, and a run goes on from it. */
START_TEST(killed_while_saving)
{
    tg_options t;
    int32_t n_old = 0, n_new = 0, state = 0;
    small s = begin_at(2, &t);
    t_ok(ev_cyclegan_save(s.gan, path));
    for (long k = 1;; k++) {
        fflush(stdout);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0) {
            t_hooks h = {0};
            ev_context_options c;
            ev_context *ctx = NULL;
            t_options(&h, true, &c);
            t_ok(ev_context_create(&c, &ctx));
            tg_fill(&t);
            small other = begin_in(ctx, &t);
            t_ok(ev_cyclegan_run(other.gan));
            h.kill = true;
            h.fail_kind = T_FILE_ANY;
            h.fail_call = h.n_calls[T_FILE_ANY] + k;
            t_ok(ev_cyclegan_save(other.gan, path));
            _exit(0);
        }
        ck_assert_int_eq(waitpid(child, &state, 0), child);
        ck_assert(WIFEXITED(state) && (WEXITSTATUS(state) == 77 || WEXITSTATUS(state) == 0));
        t_ok(ev_cyclegan_resume(s.gan, path));
        bool is_old = ev_cyclegan_steps(s.gan) == 2;
        ck_assert(is_old || ev_cyclegan_steps(s.gan) == 12);
        n_old += is_old;
        n_new += !is_old;
        if (WEXITSTATUS(state) == 0)
            break;
    }
    ck_assert_int_gt(n_old, 3);
    ck_assert_int_gt(n_new, 0);
    finish(&s);
}
END_TEST

/* Truncations and flipped bits are refused, and nothing changes. */
START_TEST(damaged_files)
{
    tg_options t;
    size_t n = 0;
    char other[T_PATH];
    small s = begin_at(6, &t);
    t_ok(ev_cyclegan_save(s.gan, path));
    t_path(other, folder, "damaged");
    char *whole = t_read(path, &n);
    uint32_t before = tg_weights(s.gan);
    ev_cyclegan_options o;
    ev_generator_options g;
    ev_discriminator_options d;
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&g);
    EV_OPTIONS_INIT(&d);
    for (size_t k = 0; k < n; k += n / 150 + 1) {
        t_write(other, whole, k);
        t_status(ev_cyclegan_resume(s.gan, other), EV_ERR_FORMAT);
        t_status(ev_cyclegan_read_options(s.ctx, other, &o, &g, &d), EV_ERR_FORMAT);
    }
    for (size_t bit = 0; bit < 8 * n; bit += 8 * n / 400 + 1) {
        whole[bit / 8] ^= (char)(1 << bit % 8);
        t_write(other, whole, n);
        t_status(ev_cyclegan_resume(s.gan, other), EV_ERR_FORMAT);
        whole[bit / 8] ^= (char)(1 << bit % 8);
    }
    t_status(ev_cyclegan_resume(s.gan, t_path(other, folder, "none")), EV_ERR_IO);
    t_status(ev_cyclegan_resume(s.gan, folder), EV_ERR_IO);
    t_status(ev_cyclegan_resume(s.gan, NULL), EV_ERR_ARGUMENT);
    t_status(ev_cyclegan_save(s.gan, NULL), EV_ERR_ARGUMENT);
    ck_assert_uint_eq(tg_weights(s.gan), before);
    ck_assert_int_eq(ev_cyclegan_steps(s.gan), 6);
    t_ok(ev_cyclegan_run(s.gan));
    ck_assert_uint_eq(tg_weights(s.gan), final_weights());
    free(whole);
    finish(&s);
}
END_TEST

/* ---- files of other runs --------------------------------------------------------------------- */

static void refused(const tg_options *t, ev_status want, const char *words)
{
    small s = begin(t);
    uint32_t before = tg_weights(s.gan);
    t_status(ev_cyclegan_resume(s.gan, path), want);
    ck_assert_msg(strstr(ev_last_error(), words) != NULL, "%s", ev_last_error());
    ck_assert_uint_eq(tg_weights(s.gan), before);
    ck_assert_int_eq(ev_cyclegan_steps(s.gan), 0);
    finish(&s);
}

START_TEST(other_runs)
{
    tg_options t;
    small s = begin_at(5, &t);
    t_ok(ev_cyclegan_save(s.gan, path));
    finish(&s);
    tg_fill(&t);
    t.g.n_blocks = 2;
    refused(&t, EV_ERR_SHAPE, "generator.n_blocks=1");
    tg_fill(&t);
    t.d.base_width = 3;
    refused(&t, EV_ERR_SHAPE, "discriminator.base_width=2");
    tg_fill(&t);
    t.o.cycle_weight = 9;
    refused(&t, EV_ERR_ARGUMENT, "was made with cycle_weight=10, this run has cycle_weight=9");
    tg_fill(&t);
    t.o.seed = 2;
    refused(&t, EV_ERR_ARGUMENT, "seed=1");
    tg_fill(&t);
    t.o.order = EV_ORDER_AUTHORS;
    refused(&t, EV_ERR_ARGUMENT, "order=0");
}
END_TEST

START_TEST(other_sets)
{
    tg_options t;
    ev_cyclegan *gan = NULL;
    small s = begin_at(5, &t);
    t_ok(ev_cyclegan_save(s.gan, path));
    tg_fill(&t);
    t_ok(ev_cyclegan_create(s.ctx, s.b, s.b, &t.o, &gan));
    t_status(ev_cyclegan_resume(gan, path), EV_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "made with 3 pictures in set A, this run has 4"));
    ev_cyclegan_destroy(gan);
    /* without sets: to look at it, to take the generators out */
    t_ok(ev_cyclegan_create(s.ctx, NULL, NULL, &t.o, &gan));
    t_status(ev_cyclegan_run(gan), EV_ERR_STATE);
    t_ok(ev_cyclegan_resume(gan, path));
    ck_assert_uint_eq(tg_weights(gan), tg_weights(s.gan));
    ck_assert_int_eq(ev_cyclegan_steps(gan), 5);
    ev_cyclegan_destroy(gan);
    finish(&s);
}
END_TEST

/* A trainer's checkpoint is no CycleGAN's. */
START_TEST(trainers_file)
{
    tg_options t;
    tg_fill(&t);
    small s = begin(&t);
    t_ok(ev_trainer_save(s.gan->trainers[0], path));
    finish(&s);
    refused(&t, EV_ERR_FORMAT, "is not a checkpoint of a CycleGAN");
}
END_TEST

/* The options of a file make the object that goes on from it. */
START_TEST(options_from_the_file)
{
    tg_options t, u;
    tg_fill(&t);
    t.o.identity_weight = -1;
    t.o.decay_epochs = 2;
    t.o.no_flip = 1;
    t.g.affine = 1;
    t.d.n_layers = 2;
    small s = begin(&t);
    t_ok(ev_cyclegan_save(s.gan, path));
    t_ok(ev_cyclegan_run(s.gan));
    EV_OPTIONS_INIT(&u.o);
    EV_OPTIONS_INIT(&u.g);
    EV_OPTIONS_INIT(&u.d);
    t_ok(ev_cyclegan_read_options(s.ctx, path, &u.o, &u.g, &u.d));
    ck_assert_ptr_eq(u.o.generator, &u.g);
    ck_assert_ptr_eq(u.o.discriminator, &u.d);
    ck_assert(u.o.identity_weight < 0);
    ck_assert_int_eq(u.o.decay_epochs, 2);
    ck_assert_int_eq(u.o.no_flip, 1);
    ck_assert_int_eq(u.g.affine, 1);
    ck_assert_int_eq(u.d.n_layers, 2);
    ck_assert_ptr_null(u.o.checkpoint);
    ck_assert_ptr_null(u.o.user);
    ck_assert_ptr_null(u.o.classifier);
    ev_cyclegan *gan = NULL;
    t_ok(ev_cyclegan_create(s.ctx, s.a, s.b, &u.o, &gan));
    t_ok(ev_cyclegan_resume(gan, path));
    t_ok(ev_cyclegan_run(gan));
    ck_assert_uint_eq(tg_weights(gan), tg_weights(s.gan));
    ev_cyclegan_destroy(gan);
    t_status(ev_cyclegan_read_options(s.ctx, path, &u.o, NULL, &u.d), EV_ERR_ARGUMENT);
    finish(&s);
}
END_TEST

/* ---- numbers that are not finite ------------------------------------------------------------- */

typedef struct poison {
    ev_cyclegan *gan;
    int64_t at; /* total steps */
    int64_t snapshot_at;
    uint32_t snapshot; /* of the weights then */
    int32_t direction;
} poison;

static int32_t put_poison(void *user, const ev_cyclegan_step_info *s)
{
    poison *p = user;
    if (s->total_steps == p->snapshot_at)
        p->snapshot = tg_weights(p->gan);
    if (s->total_steps == p->at)
        p->gan->nets.generators[p->direction]->store->weights[3] = (evi_real)NAN;
    return 0;
}

/* After 7 of 12 steps a weight becomes NaN; the state goes back to the start of the epoch (step 4),
 * or to the checkpoint (step 6), and the run then gets through with the right bits. */
START_TEST(not_a_number)
{
    tg_options t;
    char words[64];
    uint32_t want = final_weights();
    poison p = {.at = 7, .direction = _i % 2, .snapshot_at = _i < 2 ? 4 : 6};
    tg_fill(&t);
    t.o.on_step = put_poison;
    t.o.user = &p;
    t.o.checkpoint = _i < 2 ? NULL : path;
    t.o.checkpoint_steps = 3;
    small s = begin(&t);
    p.gan = s.gan;
    t_status(ev_cyclegan_run(s.gan), EV_ERR_DIVERGED);
    (void)snprintf(words, sizeof(words), "the state is that after step %d again",
                   (int)p.snapshot_at);
    ck_assert_msg(strstr(ev_last_error(), words) != NULL, "%s", ev_last_error());
    ck_assert_msg(strstr(ev_last_error(), "step 8: the loss ") != NULL, "%s", ev_last_error());
    ck_assert_int_eq(ev_cyclegan_steps(s.gan), p.snapshot_at);
    ck_assert_int_eq(ev_cyclegan_epoch(s.gan), 1);
    ck_assert_uint_eq(tg_weights(s.gan), p.snapshot);
    p.at = p.snapshot_at = 0;
    t_ok(ev_cyclegan_run(s.gan));
    ck_assert_uint_eq(tg_weights(s.gan), want);
    finish(&s);
}
END_TEST

/* A checkpoint is there from the start, and one that was resumed from counts; a file of somebody
 * else is not overwritten before the first epoch is through. */
START_TEST(checkpoint_at_the_start)
{
    tg_options t;
    size_t n = 0;
    poison p = {.at = 2, .direction = 0};
    tg_fill(&t);
    t.o.on_step = put_poison;
    t.o.user = &p;
    t.o.checkpoint = path;
    small s = begin(&t);
    p.gan = s.gan;
    uint32_t fresh = tg_weights(s.gan);
    t_status(ev_cyclegan_run(s.gan), EV_ERR_DIVERGED);
    ck_assert_msg(strstr(ev_last_error(), "gan.safetensors") != NULL, "%s", ev_last_error());
    ck_assert_uint_eq(tg_weights(s.gan), fresh);
    finish(&s);
    s = begin(&t);
    p.gan = s.gan;
    t_ok(ev_cyclegan_resume(s.gan, path));
    t_status(ev_cyclegan_run(s.gan), EV_ERR_DIVERGED);
    ck_assert_msg(strstr(ev_last_error(), "gan.safetensors") != NULL, "%s", ev_last_error());
    finish(&s);
    t_write(path, "precious", 8);
    s = begin(&t);
    p.gan = s.gan;
    t_status(ev_cyclegan_run(s.gan), EV_ERR_DIVERGED);
    ck_assert_msg(strstr(ev_last_error(), "a copy in memory") != NULL, "%s", ev_last_error());
    ck_assert_uint_eq(tg_weights(s.gan), fresh);
    char *now = t_read(path, &n);
    ck_assert_str_eq(now, "precious");
    free(now);
    finish(&s);
}
END_TEST

START_TEST(absurd_rate)
{
    tg_options t;
    tg_fill(&t);
    t.o.learning_rate = 1e6f;
    t.o.steps_per_epoch = 40;
    t.g.affine = 1;
    small s = begin(&t);
    uint32_t before = tg_weights(s.gan);
    for (int32_t d = 0; d < 2; d++)
        for (int32_t i = 0; i < 20; i++)
            s.gan->nets.discriminators[d]->store->weights[i] = (evi_real)1e38;
    uint32_t changed = tg_weights(s.gan);
    ck_assert_uint_ne(before, changed);
    t_status(ev_cyclegan_run(s.gan), EV_ERR_DIVERGED);
    ck_assert_uint_eq(tg_weights(s.gan), changed);
    ck_assert_int_eq(ev_cyclegan_steps(s.gan), 0);
    finish(&s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gan_faults");
    TCase *t = tcase_create("faults");
    tcase_add_checked_fixture(t, start, end);
    tcase_set_timeout(t, 100);
    tcase_add_test(t, no_memory_anywhere);
    tcase_add_test(t, run_goes_on_without_memory);
    tcase_add_test(t, files_that_fail);
    tcase_add_test(t, full_disk);
    if (!T_TSAN)
        tcase_add_test(t, killed_while_saving);
    tcase_add_test(t, damaged_files);
    tcase_add_test(t, other_runs);
    tcase_add_test(t, other_sets);
    tcase_add_test(t, trainers_file);
    tcase_add_test(t, options_from_the_file);
    tcase_add_loop_test(t, not_a_number, 0, 4);
    tcase_add_test(t, checkpoint_at_the_start);
    tcase_add_test(t, absurd_rate);
    suite_add_tcase(suite, t);
    return t_run(suite);
}
