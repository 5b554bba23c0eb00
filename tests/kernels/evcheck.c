/* SPDX-License-Identifier: MIT */
/* Check every kernel of every instruction set against the reference, and the drivers on top of
 * them against naive loops.
 *
 *     evcheck [--cpu ref|avx2|avx512|neon] [--seed N] [--long] | --bench ...
 *
 * Exit code 0: all well; 1: a case failed, or a kernel is NOT BUILT; 2: wrong usage. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "evcheck.h"

#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int64_t n_cases, n_failures;
static char case_name[256];
static uint64_t state = 1;

/* ---- random numbers: splitmix-like, enough for tests ----------------------------------------- */

uint32_t rnd(void)
{
    uint64_t z = state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 31)) * 0xd6e8feb86659fd93u;
    z = (z ^ (z >> 29)) * 0xd6e8feb86659fd93u;
    return (uint32_t)(z >> 32);
}

int64_t rnd_in(int64_t low, int64_t high)
{
    return low + (int64_t)(rnd() % (uint64_t)(high - low + 1));
}

double rnd_real(void)
{
    return (double)rnd() / 2147483648.0 - 1;
}

void rnd_seed(uint64_t seed)
{
    state = seed * 0x2545f4914f6cdd1du;
}

/* ---- guarded memory: two fixed arenas, each between pages without access --------------------- */

enum { SLOTS = 24 };
static struct {
    char *at;
    size_t size;
} slot[SLOTS];
static int n_slots;
static size_t slack; /* bytes left between a buffer and its guard */

static void *take(int64_t n_bytes, int at_end)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);

    n_bytes += (int64_t)slack;
    const size_t need = (size_t)n_bytes / page * page + page;

    if (n_slots == SLOTS) {
        fprintf(stderr, "evcheck: too many buffers in %s\n", case_name);
        exit(1);
    }
    if (slot[n_slots].size < need) { /* grow, and keep for the next cases */
        size_t size = 4 * need;

        if (slot[n_slots].at)
            munmap(slot[n_slots].at - page, slot[n_slots].size + 2 * page);
        slot[n_slots].at =
            mmap(NULL, size + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (slot[n_slots].at == MAP_FAILED ||
            mprotect(slot[n_slots].at + page, size, PROT_READ | PROT_WRITE) != 0) {
            fprintf(stderr, "evcheck: no memory\n");
            exit(1);
        }
        slot[n_slots].at += page;
        slot[n_slots].size = size;
    }
    char *at = slot[n_slots].at;

    at += at_end ? slot[n_slots].size - (size_t)n_bytes : 0;
    n_slots++;
    return at;
}

evi_real *guard_end(int64_t n)
{
    return take(n * (int64_t)sizeof(evi_real), 1);
}

evi_real *guard_begin(int64_t n)
{
    return take(n * (int64_t)sizeof(evi_real), 0);
}

void *guard_bytes(int64_t n_bytes)
{
    return take(n_bytes, rnd() & 1);
}

void guard_reset(void)
{
    n_slots = 0;
}

evi_real *guard_random(int64_t n)
{
    evi_real *p = rnd() & 1 ? guard_end(n) : guard_begin(n);

    for (int64_t i = 0; i < n; i++)
        p[i] = (evi_real)rnd_real();
    return p;
}

evi_real *guard_copy(const evi_real *from, int64_t n)
{
    evi_real *p = rnd() & 1 ? guard_end(n) : guard_begin(n);

    if (n > 0)
        memcpy(p, from, (size_t)n * sizeof(*p));
    return p;
}

/* ---- report ---------------------------------------------------------------------------------- */

void set_case(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vsnprintf(case_name, sizeof(case_name), format, list);
    va_end(list);
}

void fail_case(const char *format, ...)
{
    va_list list;

    if (++n_failures > 20)
        return;
    printf("FAILED %s: ", case_name);
    va_start(list, format);
    vprintf(format, list);
    va_end(list);
    printf("\n");
}

void expect_near(const char *what, const evi_real *got, const evi_real *want, int64_t n,
                 double tolerance)
{
    n_cases++;
    for (int64_t i = 0; i < n; i++) {
        double a = (double)got[i], b = (double)want[i];

        if (isnan(a) && isnan(b))
            continue;
        if (a == b || fabs(a - b) <= tolerance)
            continue;
        fail_case("%s[%lld] is %.9g, should be %.9g, tolerance %.3g", what, (long long)i, a, b,
                  tolerance);
        return;
    }
}

void expect_same(const char *what, const void *got, const void *want, int64_t n_bytes)
{
    n_cases++;
    if (n_bytes > 0 && memcmp(got, want, (size_t)n_bytes) != 0)
        fail_case("%s: not the same bits", what);
}

static void on_fault(int number)
{
    static const char text[] = "evcheck: access outside a buffer, or an illegal instruction, in ";

    (void)number;
    (void)!write(2, text, sizeof(text) - 1);
    (void)!write(2, case_name, strlen(case_name));
    (void)!write(2, "\n", 1);
    _exit(1);
}

/* qemu 7.2 reads all lanes of a masked load, as no processor does.  Where that is so, the guards
 * stand a vector away, and say so. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <setjmp.h>

static sigjmp_buf probe_failed;

static void on_probe(int number)
{
    (void)number;
    siglongjmp(probe_failed, 1);
}

__attribute__((target("avx2"))) static float masked_load(const float *p)
{
    return _mm256_cvtss_f32(_mm256_maskload_ps(p, _mm256_setr_epi32(-1, 0, 0, 0, 0, 0, 0, 0)));
}

static void probe_guards(void)
{
    const evi_real *one = guard_end(1);

    if (!__builtin_cpu_supports("avx2"))
        return;
    signal(SIGSEGV, on_probe);
    if (sigsetjmp(probe_failed, 1) == 0) {
        volatile float seen = masked_load((const float *)(const void *)one);
        (void)seen;
    } else {
        slack = 64;
        printf("evcheck: masked loads fault here, guards stand 64 bytes away\n");
    }
    guard_reset();
}
#else
static void probe_guards(void)
{
}
#endif

/* What this processor has, by the compiler's own means: the library's detection is tested apart. */
static uint32_t cpu_flags(void)
{
#if defined(__x86_64__) || defined(__i386__)
    uint32_t flags = 0;

    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        flags |= EV_CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
        flags |= EV_CPU_AVX512;
    return flags;
#elif defined(__aarch64__)
    return EV_CPU_NEON;
#else
    return 0;
#endif
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        uint32_t cpu;
    } set[] = {{"ref", 0},
               {"neon", EV_CPU_NEON},
               {"avx2", EV_CPU_AVX2},
               {"avx512", EV_CPU_AVX2 | EV_CPU_AVX512}};
    const char *only = NULL;
    int amount = 1;
    uint64_t seed = 1;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--bench") == 0)
            return bench_main(argc, argv);
        else if (strcmp(argv[i], "--long") == 0)
            amount = 10;
        else if (strcmp(argv[i], "--cpu") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else
            return fprintf(stderr, "usage: evcheck [--cpu SET] [--seed N] [--long] [--bench]\n"), 2;
    }
    probe_guards();
    signal(SIGSEGV, on_fault);
    signal(SIGBUS, on_fault);
    signal(SIGILL, on_fault);
    for (int i = 0; i < EVI_COUNT(set); i++) {
        const evi_kernels *k = evi_kernels_for(set[i].cpu);

        if ((only && strcmp(only, set[i].name) != 0) || (cpu_flags() & set[i].cpu) != set[i].cpu)
            continue;
        n_cases = n_failures = 0;
        rnd_seed(seed);
        if (strcmp(k->name, set[i].name) != 0) {
            if (sizeof(evi_real) == sizeof(double)) /* has the reference only */
                continue;
            return printf("%-7s NOT BUILT\n", set[i].name), 1;
        }
        check_kernels(k);
        check_drivers(k, amount);
        check_winograd(k, 100 * amount);
        check_winograd_weights(k, amount);
        printf("%-7s %lld cases, %lld failed\n", set[i].name, (long long)n_cases,
               (long long)n_failures);
        if (n_failures)
            return 1;
    }
    return 0;
}
