/* SPDX-License-Identifier: MIT */
/* The state of a track in a folder: one safetensors file, replaced atomically.
 *
 *   edgevision.prune, edgevision.options   version of the file; what this run's options must equal
 *   state/integers, state/numbers          see pack()
 *   state/records                          one row for each record, see pack_record()
 *   level/<i>/channels, level/<i>/blocks   what each step kept (evi_prune_level)
 *   good/<s>/<name>, candidate/<s>/<name>  weights; s counts the stores of the model
 *
 * Layers are not in the file: a track that goes on draws its models again from the caller's by the
 * levels, and then takes the weights. */
#include "prune/run.h"

#include "train/safetensors.h"
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { VERSION = 1, N_INTEGERS = 6, N_NUMBERS = 3, N_RECORD = 13 };
#define REAL_TYPE (sizeof(evi_real) == sizeof(double) ? EVI_ST_F64 : EVI_ST_F32)
#define NAME_BYTES (EVI_MAX_NAME + 64)

/* ---- paths ----------------------------------------------------------------------------------- */

ev_status evi_prune_path(const evi_prune_job *job, const char *track, const char *what, char **out)
{
    *out = NULL;
    if (job->o.folder == NULL)
        return EV_OK;
    evi_text text;
    evi_text_start(&text, job->ctx);
    evi_text_add(&text, "%s/%s%s%s", job->o.folder, track != NULL ? track : "",
                 track != NULL && what != NULL ? "-" : "", what != NULL ? what : "");
    if (what == NULL)
        evi_text_add(&text, ".safetensors");
    ev_status status = text.status;
    if (status == EV_OK)
        status = evi_strdup(job->ctx, text.data, out);
    evi_text_end(&text);
    return status;
}

bool evi_prune_file_exists(ev_context *ctx, const char *path)
{
    void *user;
    const ev_file_hooks *f = evi_files(ctx, &user);
    int64_t handle = f->open(user, path, 0);
    if (handle >= 0)
        (void)f->close(user, handle);
    return handle != -ENOENT; /* what is there but cannot be opened is told by the reader */
}

void evi_prune_file_remove(ev_context *ctx, const char *path)
{
    void *user;
    const ev_file_hooks *f = evi_files(ctx, &user);
    int saved_errno = errno;
    if (path != NULL)
        (void)f->remove(user, path);
    errno = saved_errno;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static void pack_record(const evi_prune_record *r, double *to)
{
    const ev_prune_step *s = &r->step;
    const double row[N_RECORD] = {s->index,
                                  s->n_steps,
                                  s->kept,
                                  s->goal,
                                  (double)s->parameters,
                                  s->macs,
                                  s->ms,
                                  s->accuracy_pruned,
                                  s->accuracy,
                                  s->seconds,
                                  r->epochs,
                                  r->tune_only,
                                  r->share};
    memcpy(to, row, sizeof(row));
}

static bool in_range(double x, double low, double high)
{
    return x >= low && x <= high;
}

static bool unpack_record(const double *from, evi_prune_record *r)
{
    if (!in_range(from[0], 0, 1e6) || !in_range(from[1], 0, 1e6) || !in_range(from[2], 0, 1) ||
        !in_range(from[4], 0, 9e15) || !in_range(from[10], 0, 2e9) || !in_range(from[11], 0, 1))
        return false;
    *r = (evi_prune_record){
        .step = {.struct_size = (uint32_t)sizeof(ev_prune_step),
                 .index = (int32_t)from[0],
                 .n_steps = (int32_t)from[1],
                 .kept = (int32_t)from[2],
                 .goal = from[3],
                 .parameters = (int64_t)from[4],
                 .macs = from[5],
                 .ms = from[6],
                 .accuracy_pruned = from[7],
                 .accuracy = from[8],
                 .seconds = from[9]},
        .share = from[12],
        .epochs = (int32_t)from[10],
        .tune_only = (int32_t)from[11],
    };
    return true;
}

static bool makes_level(const evi_prune_track *t)
{
    return t->candidate != NULL && !t->pending.tune_only;
}

static void pack(const evi_prune_track *t, int64_t i[N_INTEGERS], double n[N_NUMBERS])
{
    const evi_prune_job *job = t->job;
    const int64_t integers[N_INTEGERS] = {t->n_records,   t->n_levels,        t->candidate != NULL,
                                          makes_level(t), job->controls_done, job->scratch_epochs};
    const double numbers[N_NUMBERS] = {job->ms, job->accuracy_scratch, job->accuracy_random};
    memcpy(i, integers, sizeof(integers));
    memcpy(n, numbers, sizeof(numbers));
}

/* ---- weights --------------------------------------------------------------------------------- */

typedef ev_status (*visit_fn)(void *arg, const char *name, evi_param *p);

static ev_status visit_stores(evi_store **stores, int32_t n, const char *kind, visit_fn visit,
                              void *arg)
{
    char name[NAME_BYTES];
    for (int32_t s = 0; s < n; s++)
        for (int32_t i = 0; i < stores[s]->n_params; i++) {
            snprintf(name, sizeof(name), "%s/%d/%s", kind, (int)s, stores[s]->params[i].name);
            EVI_TRY(visit(arg, name, &stores[s]->params[i]));
        }
    return EV_OK;
}

static ev_status visit_model(const ev_model *model, const char *kind, visit_fn visit, void *arg)
{
    evi_store **stores = NULL;
    int32_t n = 0;
    EVI_TRY(evi_model_stores(model, &stores, &n));
    ev_status status = visit_stores(stores, n, kind, visit, arg);
    evi_free(stores);
    return status;
}

/* ---- save ------------------------------------------------------------------------------------ */

static ev_status save_weight(void *arg, const char *name, evi_param *p)
{
    return evi_st_add(arg, name, REAL_TYPE, &p->shape, p->data);
}

static ev_status save_table(evi_st_file *f, const char *name, int32_t type, const void *data,
                            int32_t rank, int64_t n, int64_t width)
{
    const evi_shape shape = {.rank = rank, .dim = {n, width}};
    return evi_st_add(f, name, type, &shape, data);
}

static ev_status save_levels(evi_st_file *f, const evi_prune_track *t)
{
    char name[64];
    for (int32_t i = 0; i < t->n_levels + makes_level(t); i++) {
        const evi_prune_level *l = &t->levels[i];
        snprintf(name, sizeof(name), "level/%d/channels", (int)i);
        EVI_TRY(save_table(f, name, EVI_ST_I64, l->keep, 1, l->n, 0));
        snprintf(name, sizeof(name), "level/%d/blocks", (int)i);
        EVI_TRY(save_table(f, name, EVI_ST_I64, l->keep_block, 1, l->n_blocks, 0));
    }
    return EV_OK;
}

static ev_status write_state(evi_st_file *f, const evi_prune_track *t, double *rows,
                             const char *path)
{
    int64_t integers[N_INTEGERS];
    double numbers[N_NUMBERS];
    char version[16];
    int32_t n = t->n_records + 1; /* the last one is what is under way */
    pack(t, integers, numbers);
    for (int32_t i = 0; i < t->n_records; i++)
        pack_record(&t->records[i], rows + (int64_t)i * N_RECORD);
    pack_record(&t->pending, rows + (int64_t)t->n_records * N_RECORD);
    snprintf(version, sizeof(version), "%d", VERSION);
    EVI_TRY(evi_st_add_text(f, "edgevision.prune", version));
    EVI_TRY(evi_st_add_text(f, "edgevision.options", t->job->options_text));
    EVI_TRY(save_table(f, "state/integers", EVI_ST_I64, integers, 1, N_INTEGERS, 0));
    EVI_TRY(save_table(f, "state/numbers", EVI_ST_F64, numbers, 1, N_NUMBERS, 0));
    EVI_TRY(save_table(f, "state/records", EVI_ST_F64, rows, 2, n, N_RECORD));
    EVI_TRY(save_levels(f, t));
    if (t->n_levels > 0)
        EVI_TRY(visit_model(t->good, "good", save_weight, f));
    if (t->candidate != NULL)
        EVI_TRY(visit_model(t->candidate, "candidate", save_weight, f));
    return evi_st_write(f, path);
}

static ev_status save_to(const evi_prune_track *t, const char *path)
{
    evi_st_file file;
    double *rows = NULL;
    EVI_TRY(
        evi_calloc(t->job->ctx, ((uint64_t)t->n_records + 1) * N_RECORD, sizeof(double), &rows));
    evi_st_start(&file, t->job->ctx);
    ev_status status = write_state(&file, t, rows, path);
    evi_st_end(&file);
    evi_free(rows);
    return status;
}

ev_status evi_prune_state_save(const evi_prune_track *t)
{
    char *path = NULL;
    EVI_TRY(evi_prune_path(t->job, t->name, NULL, &path));
    ev_status status = path != NULL ? save_to(t, path) : EV_OK;
    evi_free(path);
    return status;
}

/* ---- load ------------------------------------------------------------------------------------ */

typedef struct loader {
    evi_st_file *file;
    const char *path;
} loader;

static ev_status damaged(const loader *l, const char *name)
{
    return evi_fail(EV_ERR_FORMAT, "ev_prune_run: '%s': '%s' is missing or damaged", l->path, name);
}

static ev_status load_weight(void *arg, const char *name, evi_param *p)
{
    const loader *l = arg;
    const evi_st_tensor *x = evi_st_find(l->file, name);
    if (x == NULL || x->type != REAL_TYPE || !evi_shape_equal(&x->shape, &p->shape))
        return damaged(l, name);
    if (p->count > 0)
        memcpy(p->data, x->data, (size_t)p->count * sizeof(evi_real));
    return EV_OK;
}

static ev_status own_all(const ev_model *model)
{
    evi_store **stores = NULL;
    int32_t n = 0;
    EVI_TRY(evi_model_stores(model, &stores, &n));
    ev_status status = EV_OK;
    for (int32_t i = 0; i < n && status == EV_OK; i++)
        status = evi_store_own(stores[i], "ev_prune_run");
    evi_free(stores);
    return status;
}

static ev_status load_model(const loader *l, const char *kind, ev_model *model)
{
    EVI_TRY(own_all(model));
    return visit_model(model, kind, load_weight, (void *)(uintptr_t)l);
}

static const evi_st_tensor *find_table(const loader *l, const char *name, int32_t type,
                                       int32_t rank, int64_t width)
{
    const evi_st_tensor *x = evi_st_find(l->file, name);
    bool good = x != NULL && x->type == type && x->shape.rank == rank &&
                (rank < 2 || x->shape.dim[1] == width);
    if (!good)
        (void)damaged(l, name);
    return good ? x : NULL;
}

static ev_status load_table(const loader *l, const char *name, int32_t type, int64_t n, void *to)
{
    const evi_st_tensor *x = find_table(l, name, type, 1, 0);
    if (x == NULL)
        return EV_ERR_FORMAT;
    if (x->shape.dim[0] != n)
        return damaged(l, name);
    memcpy(to, x->data, (size_t)n * sizeof(int64_t));
    return EV_OK;
}

/* Names the first "key=value" in which the two texts differ. */
static ev_status check_options(const loader *l, const char *ours)
{
    const char *version = evi_st_find_text(l->file, "edgevision.prune");
    const char *theirs = evi_st_find_text(l->file, "edgevision.options");
    int64_t number = 0;
    if (version == NULL || theirs == NULL || !evi_parse_int(version, strlen(version), &number))
        return evi_fail(EV_ERR_FORMAT, "ev_prune_run: '%s' is not the state of a pruning run",
                        l->path);
    if (number > VERSION)
        return evi_fail(EV_ERR_VERSION, "ev_prune_run: '%s' was written by a newer release",
                        l->path);
    while (*ours != '\0' || *theirs != '\0') {
        size_t n = strcspn(ours, ";"), m = strcspn(theirs, ";");
        if (n != m || memcmp(ours, theirs, n) != 0)
            return evi_fail(EV_ERR_ARGUMENT,
                            "ev_prune_run: '%s' is of a run with %.*s, this one "
                            "has %.*s",
                            l->path, (int)EVI_MIN(m, 64), theirs, (int)EVI_MIN(n, 64), ours);
        ours += n + (ours[n] == ';');
        theirs += m + (theirs[m] == ';');
    }
    return EV_OK;
}

static ev_status load_level(const loader *l, evi_prune_track *t, int32_t i)
{
    char channels[64], blocks[64];
    snprintf(channels, sizeof(channels), "level/%d/channels", (int)i);
    snprintf(blocks, sizeof(blocks), "level/%d/blocks", (int)i);
    const evi_st_tensor *a = find_table(l, channels, EVI_ST_I64, 1, 0);
    const evi_st_tensor *b = a != NULL ? find_table(l, blocks, EVI_ST_I64, 1, 0) : NULL;
    if (b == NULL)
        return EV_ERR_FORMAT;
    evi_prune_level *level = &t->levels[i];
    EVI_TRY(evi_prune_level_new(t->job->ctx, a->shape.dim[0], b->shape.dim[0], level));
    EVI_TRY(load_table(l, channels, EVI_ST_I64, level->n, level->keep));
    return load_table(l, blocks, EVI_ST_I64, level->n_blocks, level->keep_block);
}

/* Draw the chain again; the weights on the way do not matter. */
static ev_status load_models(const loader *l, evi_prune_track *t, bool candidate, bool level)
{
    for (int32_t i = 0; i < t->n_levels; i++) {
        ev_model *next = NULL;
        EVI_TRY(evi_prune_level_apply(t->job, &t->levels[i], i, t->good, &next));
        ev_model_destroy(t->good);
        t->good = next;
    }
    if (t->n_levels > 0)
        EVI_TRY(load_model(l, "good", t->good));
    if (!candidate)
        return EV_OK;
    if (level)
        EVI_TRY(evi_prune_level_apply(t->job, &t->levels[t->n_levels], t->n_levels, t->good,
                                      &t->candidate));
    else
        EVI_TRY(ev_model_clone(t->good, &t->candidate));
    t->resumed = true;
    return load_model(l, "candidate", t->candidate);
}

static ev_status load_records(const loader *l, evi_prune_track *t, int64_t n)
{
    const evi_st_tensor *x = find_table(l, "state/records", EVI_ST_F64, 2, N_RECORD);
    if (x == NULL)
        return EV_ERR_FORMAT;
    if (n < 1 || x->shape.dim[0] != n + 1)
        return damaged(l, "state/records");
    EVI_TRY(evi_calloc(t->job->ctx, (uint64_t)n, sizeof(evi_prune_record), &t->records));
    for (int64_t i = 0; i <= n; i++) {
        double row[N_RECORD];
        memcpy(row, (const char *)x->data + (size_t)i * sizeof(row), sizeof(row));
        if (!unpack_record(row, i < n ? &t->records[i] : &t->pending))
            return damaged(l, "state/records");
    }
    t->n_records = (int32_t)n;
    return EV_OK;
}

static ev_status load_state(evi_st_file *f, evi_prune_track *t, const char *path)
{
    const loader l = {f, path};
    int64_t i[N_INTEGERS];
    double n[N_NUMBERS];
    EVI_TRY(evi_st_read(f, path));
    EVI_TRY(check_options(&l, t->job->options_text));
    EVI_TRY(load_table(&l, "state/integers", EVI_ST_I64, N_INTEGERS, i));
    EVI_TRY(load_table(&l, "state/numbers", EVI_ST_F64, N_NUMBERS, n));
    if (i[0] < 1 || i[0] > 1000000 || i[1] < 0 || i[1] > i[0])
        return damaged(&l, "state/integers");
    EVI_TRY(load_records(&l, t, i[0]));
    int32_t levels = (int32_t)i[1] + (i[3] != 0);
    EVI_TRY(evi_prune_level_slots(t, levels));
    for (int32_t k = 0; k < levels; k++)
        EVI_TRY(load_level(&l, t, k));
    t->n_levels = (int32_t)i[1];
    EVI_TRY(load_models(&l, t, i[2] != 0, i[3] != 0));
    if (t->script != NULL)
        return EV_OK;
    t->job->controls_done = (int32_t)(i[4] & (EVI_DONE_SCRATCH | EVI_DONE_RANDOM));
    t->job->scratch_epochs = (int32_t)EVI_MIN(EVI_MAX(i[5], 0), INT32_MAX);
    t->job->ms = n[0];
    t->job->accuracy_scratch = n[1];
    t->job->accuracy_random = n[2];
    return EV_OK;
}

ev_status evi_prune_state_load(evi_prune_track *t)
{
    char *path = NULL;
    evi_st_file file;
    EVI_TRY(evi_prune_path(t->job, t->name, NULL, &path));
    if (path == NULL || !evi_prune_file_exists(t->job->ctx, path)) {
        evi_free(path);
        return EV_OK;
    }
    evi_st_start(&file, t->job->ctx);
    ev_status status = load_state(&file, t, path);
    evi_st_end(&file);
    evi_free(path);
    return status;
}
