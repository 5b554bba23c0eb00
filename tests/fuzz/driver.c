/* SPDX-License-Identifier: MIT */
/* The plain main() of a fuzz target, for compilers without libFuzzer: replays files, then mutates
 * them for some seconds.
 *
 *   fuzz_onnx [--seconds N] [--seed S] [--max-bytes N] FILE-OR-FOLDER...
 *   fuzz_onnx --self-test      the driver notices a crash and keeps its input
 *
 * Exit code 0: nothing was found.  A crash or a hang (20 s) leaves the input in ./crash-<pid>. */
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define SEEDS_MAX 4096
#define HANG_SECONDS 20

typedef struct input {
    uint8_t *bytes;
    size_t n;
} input;

static input seeds[SEEDS_MAX], current;
static int32_t n_seeds;
static size_t max_bytes = 1 << 16;
static uint64_t state = 1;
static long n_runs;
static bool self_test;

#if defined(__SANITIZE_ADDRESS__)
#define HAS_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#endif
#endif
#ifdef HAS_ASAN
void __sanitizer_set_death_callback(void (*callback)(void));
#endif
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1:abort_on_error=0";
}

static uint32_t next(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 32);
}

/* ---- keeping what crashed -------------------------------------------------------------------- */

static void keep_input(void)
{
    char name[64];
    (void)snprintf(name, sizeof(name), "crash-%ld", (long)getpid());
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd >= 0) {
        (void)!write(fd, current.bytes, current.n);
        (void)close(fd);
        (void)!write(2, "input kept in ", 14);
        (void)!write(2, name, strlen(name));
        (void)!write(2, "\n", 1);
    }
}

static void on_signal(int number)
{
    if (number == SIGALRM)
        (void)!write(2, "hang\n", 5);
    keep_input();
    (void)signal(number, SIG_DFL);
    _exit(2);
}

static void one(const uint8_t *bytes, size_t n)
{
    /* a block of its own, so that reading past the end is found */
    current = (input){malloc(n + (n == 0)), n};
    if (current.bytes == NULL)
        return;
    memcpy(current.bytes, bytes, n);
    (void)alarm(HANG_SECONDS);
    if (self_test && n > 2 && bytes[0] == 'F' && bytes[1] > 200)
        abort();
    (void)LLVMFuzzerTestOneInput(current.bytes, n);
    (void)alarm(0);
    free(current.bytes);
    n_runs++;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void add_seed(const uint8_t *bytes, size_t n)
{
    uint8_t *copy = n_seeds < SEEDS_MAX ? malloc(n + 1) : NULL;
    if (copy == NULL)
        return;
    memcpy(copy, bytes, n);
    seeds[n_seeds++] = (input){copy, n};
}

static void replay_file(const char *path)
{
    static uint8_t buffer[1 << 20];
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        (void)fprintf(stderr, "cannot read %s\n", path);
        exit(2);
    }
    size_t n = fread(buffer, 1, sizeof(buffer), f);
    (void)fclose(f);
    add_seed(buffer, n);
    one(buffer, n);
}

static void replay(const char *path)
{
    DIR *d = opendir(path);
    if (d == NULL) {
        replay_file(path);
        return;
    }
    for (struct dirent *e = readdir(d); e != NULL; e = readdir(d)) {
        char inner[1024];
        (void)snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            replay_file(inner);
    }
    (void)closedir(d);
}

/* ---- mutations ------------------------------------------------------------------------------- */

static size_t place(size_t n)
{
    return n > 0 ? next() % n : 0;
}

static void overwrite(uint8_t *b, size_t n)
{
    static const uint64_t numbers[] = {0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fffffff,
                                       0x80000000u, 0xffffffffu, INT64_MAX, UINT64_MAX};
    uint64_t value = numbers[next() % (sizeof(numbers) / sizeof(numbers[0]))];
    size_t width = (size_t)1 << next() % 4;
    if (n < width)
        return;
    size_t at = place(n - width + 1);
    bool big = (next() & 1) != 0;
    for (size_t i = 0; i < width; i++)
        b[at + i] = (uint8_t)(value >> 8 * (big ? width - 1 - i : i));
}

static size_t insert(uint8_t *b, size_t n, const uint8_t *from, size_t m)
{
    if (n + m > max_bytes)
        return n;
    size_t at = place(n + 1);
    memmove(b + at + m, b + at, n - at);
    memcpy(b + at, from, m);
    return n + m;
}

static size_t mutate_once(uint8_t *b, size_t n)
{
    uint8_t part[64];
    const input *other = &seeds[place((size_t)n_seeds)];
    switch (next() % 8) {
    case 0:
        if (n > 0)
            b[place(n)] ^= (uint8_t)(1 << next() % 8);
        return n;
    case 1:
        if (n > 0)
            b[place(n)] = (uint8_t)next();
        return n;
    case 2: overwrite(b, n); return n;
    case 3: return next() % 8 == 0 ? place(n + 1) : n;
    case 4: {
        size_t at = place(n), m = place(n - at < 64 ? n - at + 1 : 64);
        memmove(b + at, b + at + m, n - at - m);
        return n - m;
    }
    case 5:
        for (size_t i = 0; i < sizeof(part); i++)
            part[i] = (uint8_t)next();
        return insert(b, n, part, 1 + place(next() % 4 == 0 ? 63 : 4));
    case 6: {
        size_t at = place(n), m = n - at < sizeof(part) ? n - at : sizeof(part);
        memcpy(part, b + at, m);
        return insert(b, n, part, m);
    }
    default: {
        size_t at = place(other->n), m = other->n - at < 64 ? other->n - at : 64;
        return other->n > 0 ? insert(b, n, other->bytes + at, place(m + 1)) : n;
    }
    }
}

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void fuzz(double seconds)
{
    double end = now() + seconds;
    uint8_t *b = malloc(max_bytes + 1);
    while (b != NULL && now() < end) {
        const input *from = &seeds[place((size_t)n_seeds)];
        size_t n = from->n < max_bytes ? from->n : max_bytes;
        memcpy(b, from->bytes, n);
        for (uint32_t k = 1 + next() % 8; k > 0; k--)
            n = mutate_once(b, n);
        one(b, n);
    }
    free(b);
}

/* A child whose target crashes on inputs that a short search finds. */
static int run_self_test(void)
{
    pid_t child = fork();
    if (child == 0) {
        (void)!freopen("/dev/null", "w", stderr);
        self_test = true;
        n_seeds = 0;
        add_seed((const uint8_t *)"FUZZ", 4);
        (void)chdir(getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
        fuzz(20);
        _exit(0);
    }
    int status = 0;
    char name[1200];
    (void)waitpid(child, &status, 0);
    (void)snprintf(name, sizeof(name), "%s/crash-%ld",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp", (long)child);
    bool noticed = WIFEXITED(status) && WEXITSTATUS(status) == 2 && unlink(name) == 0;
    (void)printf("self-test: a crash is %s\n", noticed ? "noticed" : "NOT NOTICED");
    return noticed ? 0 : 1;
}

int main(int argc, char **argv)
{
    double seconds = 0;
    bool test = false;
    (void)signal(SIGABRT, on_signal);
    (void)signal(SIGALRM, on_signal);
#ifdef HAS_ASAN
    __sanitizer_set_death_callback(keep_input);
#else
    (void)signal(SIGSEGV, on_signal);
    (void)signal(SIGFPE, on_signal);
    (void)signal(SIGBUS, on_signal);
#endif
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--self-test") == 0)
            test = true;
        else if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
            seconds = atof(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            state = strtoull(argv[++i], NULL, 0) * 0x9E3779B97F4A7C15u + 1;
        else if (i + 1 < argc && strcmp(argv[i], "--max-bytes") == 0)
            max_bytes = (size_t)strtoull(argv[++i], NULL, 0);
        else
            replay(argv[i]);
    }
    if (test)
        return run_self_test();
    if (seconds > 0 && n_seeds > 0)
        fuzz(seconds);
    (void)printf("%ld executions, %d files, nothing found\n", n_runs, (int)n_seeds);
    for (int32_t i = 0; i < n_seeds; i++)
        free(seeds[i].bytes);
    return n_runs > 0 ? 0 : 1;
}
