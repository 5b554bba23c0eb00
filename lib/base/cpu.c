/* SPDX-License-Identifier: MIT */
/* What the processor can do.  A pure function of the machine: no globals, no environment. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "base/context.h"

#include <errno.h>
#include <sched.h>
#include <unistd.h>

uint32_t evi_cpu_detect(void)
{
    uint32_t flags = 0;
#if defined(__x86_64__) || defined(__i386__)
    __builtin_cpu_init(); /* also asks the system whether it saves the wide registers */
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        flags |= EV_CPU_AVX2;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        (flags & EV_CPU_AVX2) != 0)
        flags |= EV_CPU_AVX512;
#elif defined(__aarch64__)
    flags |= EV_CPU_NEON; /* part of the architecture */
#endif
    return flags;
}

int32_t evi_cpu_cores(void)
{
    int saved_errno = errno;
    long n = -1;
#if defined(__linux__)
    cpu_set_t set; /* containers and taskset give fewer cores than the machine has */
    if (sched_getaffinity(0, sizeof(set), &set) == 0)
        n = CPU_COUNT(&set);
#endif
    if (n < 1)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    errno = saved_errno;
    return n < 1 ? 1 : (int32_t)EVI_MIN(n, 256L);
}
