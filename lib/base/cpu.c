/* SPDX-License-Identifier: MIT */
/* What the processor can do.  A pure function of the machine: no globals, no environment. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getaffinity */
#endif
#include "base/context.h"

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif
#include <errno.h>
#include <sched.h>
#include <unistd.h>

#if defined(__x86_64__) || defined(__i386__)
/* Which register files the system saves: SSE 2, AVX 4, the three of AVX-512 E0. */
static uint32_t saved_state(void)
{
    uint32_t low = 0, high = 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return low;
}
#endif

uint32_t evi_cpu_detect(void)
{
    uint32_t flags = 0;
#if defined(__x86_64__) || defined(__i386__)
    const uint32_t wide = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
    const uint32_t basic = bit_OSXSAVE | bit_AVX | bit_FMA;
    uint32_t a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & basic) != basic)
        return 0;
    const uint32_t state = saved_state();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & bit_AVX2) == 0 || (state & 6) != 6)
        return 0;
    flags |= EV_CPU_AVX2;
    if ((b & wide) == wide && (state & 0xe6) == 0xe6)
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
