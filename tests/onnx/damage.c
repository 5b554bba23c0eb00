/* SPDX-License-Identifier: MIT */
#include "damage.h"

#include <time.h>

static long n_loads, n_refused, n_loaded, n_run;

bool damage_run_all(void)
{
    const char *all = getenv("EV_RUN_ALL");
    return all != NULL && strcmp(all, "1") == 0;
}

void damage_run(ev_context *ctx, ev_model *m)
{
    ev_memory memory;
    EV_OPTIONS_INIT(&memory);
    bool bounded = m->n_inputs <= DRAWN_MAX && m->n_outputs <= DRAWN_MAX;
    for (int32_t i = 0; bounded && i < m->n_values; i++)
        bounded = evi_shape_count(&m->values[i].edge.shape) < 1 << 20;
    if (!bounded || ev_model_macs(m) > 10000000 || ev_plan_memory(ctx, m, NULL, &memory) != EV_OK ||
        memory.total_bytes > 32u << 20)
        return;
    drawn_run run;
    (void)drawn_run_model(ctx, m, 1, &run);
    drawn_run_end(&run);
    n_run++;
}

ev_status damage_load(ev_context *ctx, const void *data, uint64_t n_bytes, ev_model **out)
{
    ev_model *m = NULL;
    uint64_t before = ev_context_memory_bytes(ctx);
    clock_t start = clock(); /* not the wall: the machine may have other work */
    ev_status status = ev_model_load_memory(ctx, data, n_bytes, NULL, &m);
    uint64_t limit = 16 * n_bytes + ((uint64_t)64 << 20);
    ck_assert_msg(
        ev_context_memory_peak_bytes(ctx) <= before + limit, "%llu bytes for a file of %llu",
        (unsigned long long)ev_context_memory_peak_bytes(ctx), (unsigned long long)n_bytes);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    ck_assert_msg(seconds < 2.0, "%.2f s", seconds);
    ck_assert(status == EV_OK || ev_last_error()[0] != '\0');
    ck_assert_msg(status != EV_ERR_INTERNAL, "%s", ev_last_error());
    ck_assert_msg((m != NULL) == (status == EV_OK), "an out pointer after an error");
    n_loads++;
    n_refused += status != EV_OK;
    n_loaded += status == EV_OK;
    if (out != NULL)
        *out = m;
    else
        ev_model_destroy(m);
    if (status != EV_OK)
        ck_assert(ev_context_memory_bytes(ctx) == before);
    return status;
}

void damage_load_and_run(const void *data, uint64_t n_bytes)
{
    ev_context *ctx = t_context(NULL, 1); /* a new one each time: the peak is of this load */
    ev_model *m = NULL;
    if (damage_load(ctx, data, n_bytes, &m) == EV_OK)
        damage_run(ctx, m);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}

void damage_report(const char *what)
{
    printf("%s: %ld loads, %ld refused, %ld sound, %ld of these run\n", what, n_loads, n_refused,
           n_loaded, n_run);
    fflush(stdout);
}

void damage_saved(ev_context *ctx, const char *name, void **bytes, uint64_t *n)
{
    ev_model *m = NULL;
    t_ok(drawn_model(ctx, drawn_find(name), &m));
    t_ok(ev_model_save_memory(m, bytes, n));
    ev_model_destroy(m);
}
