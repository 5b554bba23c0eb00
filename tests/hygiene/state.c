/* SPDX-License-Identifier: MIT */
/* Around every public function: errno, floating-point mode, locale, signal mask, working directory
 * and open files are what they were. */
#include "hygiene.h"

#include <dirent.h>
#include <errno.h>
#include <fenv.h>
#include <locale.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct process {
    int error, rounding, n_files;
    unsigned control; /* of the SSE unit: rounding, masks, flush to zero */
    mode_t mask;
    char locale[256], folder[512];
    sigset_t blocked;
} process;

static int open_files(void)
{
    int n = 0;
    DIR *d = opendir("/proc/self/fd");
    for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d))
        n++;
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static unsigned control_word(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_stmxcsr() & 0xffc0u; /* without the flags of what has happened */
#else
    return 0;
#endif
}

static void look(process *p)
{
    memset(p, 0, sizeof(*p));
    p->error = errno;
    p->rounding = fegetround();
    p->control = control_word();
    p->n_files = open_files();
    p->mask = umask(022);
    (void)umask(p->mask);
    (void)snprintf(p->locale, sizeof(p->locale), "%s", setlocale(LC_ALL, NULL));
    ck_assert_ptr_nonnull(getcwd(p->folder, sizeof(p->folder)));
    (void)pthread_sigmask(SIG_SETMASK, NULL, &p->blocked);
}

static const char *difference(const process *a, const process *b)
{
    if (a->error != b->error)
        return "errno";
    if (a->rounding != b->rounding || a->control != b->control)
        return "floating-point mode";
    if (a->n_files != b->n_files)
        return "open files";
    if (a->mask != b->mask)
        return "umask";
    if (strcmp(a->locale, b->locale) != 0)
        return "locale";
    if (strcmp(a->folder, b->folder) != 0)
        return "working directory";
    for (int i = 1; i < 32; i++)
        if (sigismember(&a->blocked, i) != sigismember(&b->blocked, i))
            return "signal mask";
    return NULL;
}

static bool is_destroy(const char *name)
{
    size_t n = strlen(name);
    return n > 8 && strcmp(name + n - 8, "_destroy") == 0;
}

/* One good call, or one with the argument `bad` NULL. */
static const char *call(const api_function *f, int32_t bad)
{
    api_world w;
    api_slot a[API_MOST_ARGUMENTS], result;
    process before, after;
    hygiene_world(2, &w);
    memset(a, 0, sizeof(a));
    memset(&result, 0, sizeof(result));
    f->good(&w, a);
    for (int32_t i = 0; is_destroy(f->name) && i < f->n; i++)
        a[i].p = NULL;
    if (bad >= 0)
        a[bad].p = NULL;
    errno = 4242;
    look(&before);
    errno = 4242;
    f->call(a, &result);
    look(&after);
    if (f->returns != API_STATUS || result.i32 == EV_OK)
        api_results_end(f, a, &result);
    api_world_end(&w);
    return difference(&before, &after);
}

START_TEST(the_process_is_as_it_was)
{
    int32_t n_bad = 0;
    ck_assert_int_eq(fesetround(FE_TONEAREST), 0);
    for (int32_t i = 0; i < api_n_functions(); i++) {
        const api_function *f = api_at(i);
        for (int32_t bad = -1; bad < (f->n > 0 ? 1 : 0); bad++) {
            const char *what = call(f, bad);
            if (what == NULL)
                continue;
            n_bad++;
            fprintf(stderr, "%s changes: %s\n", f->name, what);
        }
    }
    ck_assert_int_eq(n_bad, 0);
}
END_TEST

START_TEST(a_change_is_noticed)
{
    process a, b;
    look(&a);
    b = a;
    ck_assert_ptr_null(difference(&a, &b));
    ck_assert_int_eq(chdir("/"), 0);
    look(&b);
    b.error = a.error;
    ck_assert_ptr_nonnull(difference(&a, &b));
    int fd = dup(0);
    b = a;
    b.n_files = open_files();
    ck_assert_str_eq(difference(&a, &b), "open files");
    (void)close(fd);
    (void)fesetround(FE_UPWARD);
    look(&b);
    b.error = a.error;
    ck_assert_str_eq(difference(&a, &b), "floating-point mode");
}
END_TEST

/* The caller's rounding mode is the caller's: it is kept, and what is computed is still sound. */
START_TEST(another_rounding_mode)
{
    api_world w;
    (void)fesetround(FE_UPWARD);
    hygiene_world(2, &w);
    ck_assert_int_eq(fegetround(), FE_UPWARD);
    api_world_end(&w);
}
END_TEST

TCase *state_case(void)
{
    TCase *c = tcase_create("state");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, the_process_is_as_it_was);
    tcase_add_test(c, a_change_is_noticed);
    tcase_add_test(c, another_rounding_mode);
    return c;
}
