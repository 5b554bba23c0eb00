/* SPDX-License-Identifier: MIT */
/* The inside of ev_context, for the files of base only. */
#ifndef EVI_CONTEXT_H
#define EVI_CONTEXT_H

#include "base/base.h"
#include "base/parallel.h"

struct ev_context {
    evi_handle handle;
    int32_t n_threads;
    uint32_t cpu;
    int32_t log_level;
    bool own_files; /* the caller's hooks, with the caller's user pointer */
    uint64_t limit; /* 0: none */
    _Atomic uint64_t used;
    _Atomic uint64_t peak;
    ev_alloc_fn alloc; /* NULL: the C library */
    ev_free_fn free;
    ev_log_fn log;
    void *user;
    ev_file_hooks files;
    evi_pool *pool; /* NULL with one thread */
};

/* cpu.c: what the processor can do, and how many cores this process may use. */
uint32_t evi_cpu_detect(void);
int32_t evi_cpu_cores(void);

/* file.c: the ordinary file system. */
void evi_files_default(ev_file_hooks *hooks);

/* alloc.c: the context's own block, taken before there is a context to count it. */
ev_status evi_context_block(const ev_context *like, ev_context **out);

#endif
