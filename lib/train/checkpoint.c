/* SPDX-License-Identifier: MIT */
/* What a checkpoint holds, and how a run goes on from one. */
#include "train/safetensors.h"
#include "train/trainer.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define CHECKPOINT_VERSION 1
#define N_INTEGERS 9
#define N_NUMBERS 5
#define N_HISTORY 8 /* numbers an epoch */
#define REAL_TYPE (sizeof(evi_real) == sizeof(double) ? EVI_ST_F64 : EVI_ST_F32)
#define NAME_BYTES (EVI_MAX_NAME + EVI_ST_PREFIX + 64)

/* A trainer's part of a file: all names in it begin with the prefix, which may be empty. */
typedef struct section {
    evi_st_file *file;
    const char *path, *prefix;
    bool copy; /* reading; false: only look whether everything is there */
} section;

static const char *full_name(const section *s, const char *name, char out[NAME_BYTES])
{
    snprintf(out, NAME_BYTES, "%s%s", s->prefix, name);
    return out;
}

/* ---- the vectors, one weight tensor at a time ---------------------------------------------- */

typedef ev_status (*visit_fn)(void *arg, const char *name, const evi_shape *shape, evi_real *data,
                              int64_t count);

static int32_t stores_with_weights(const ev_trainer *t)
{
    int32_t n = 0;
    for (int32_t i = 0; i < t->n_stores; i++)
        n += t->stores[i].store->n_params > 0;
    return n;
}

static ev_status visit_param(const ev_trainer *t, const char *kind, int32_t store,
                             const evi_param *p, evi_real *vector, visit_fn visit, void *arg)
{
    char name[NAME_BYTES];
    if (stores_with_weights(t) > 1)
        snprintf(name, sizeof(name), "%s/%d/%s", kind, (int)store, p->name);
    else
        snprintf(name, sizeof(name), "%s/%s", kind, p->name);
    return visit(arg, name, &p->shape, vector + p->offset, p->count);
}

/* All params of one store in one vector; gradients' companions hold only the trainable ones. */
static ev_status visit_vector(const ev_trainer *t, const char *kind, int32_t store,
                              evi_real *vector, bool trainable_only, visit_fn visit, void *arg)
{
    const evi_store *s = t->stores[store].store;
    for (int32_t i = 0; i < s->n_params && vector != NULL; i++)
        if (s->params[i].trainable || !trainable_only)
            EVI_TRY(visit_param(t, kind, store, &s->params[i], vector, visit, arg));
    return EV_OK;
}

/* While swapped the latest weights lie in `best`, and the best in the model.  In a part of a larger
 * file weights that others train, or nobody, are left out. */
static ev_status visit_all(const ev_trainer *t, bool swapped, bool with_best, visit_fn visit,
                           section *arg)
{
    for (int32_t i = 0; i < t->n_stores; i++) {
        const evi_train_store *s = &t->stores[i];
        evi_real *live = s->store->weights, *best = s->best;
        bool turned = swapped && best != NULL;
        if (s->trained == 0 && s->moves == 0 && arg->prefix[0] != '\0')
            continue;
        EVI_TRY(visit_vector(t, "weight", i, turned ? best : live, false, visit, arg));
        EVI_TRY(visit_vector(t, "moment1", i, s->moment1, true, visit, arg));
        EVI_TRY(visit_vector(t, "moment2", i, s->moment2, true, visit, arg));
        if (with_best && best != NULL)
            EVI_TRY(visit_vector(t, "best", i, turned ? live : best, false, visit, arg));
    }
    return EV_OK;
}

/* ---- the rest ------------------------------------------------------------------------------ */

static void pack_state(const evi_train_state *s, int64_t integers[N_INTEGERS],
                       double numbers[N_NUMBERS])
{
    const int64_t i[N_INTEGERS] = { s->epoch, s->batch, s->steps, s->best_epoch, s->waiting,
                                    s->plateau_waiting, s->has_best, s->n_images, s->n_right };
    const double n[N_NUMBERS] = { s->base_rate, s->plateau_factor, s->plateau_best,
                                  s->watched_best, s->loss_sum };
    memcpy(integers, i, sizeof(i));
    memcpy(numbers, n, sizeof(n));
}

static bool in_range(int64_t x, int64_t low, int64_t high)
{
    return x >= low && x <= high;
}

/* False when a number cannot be: then the file does not come from here. */
static bool unpack_state(const int64_t *i, const double *n, evi_train_state *out)
{
    if (!in_range(i[0], 0, INT32_MAX - 1) || !in_range(i[1], 0, INT32_MAX - 1) ||
        !in_range(i[2], 0, INT64_MAX - 1) || !in_range(i[3], -1, i[0] - 1) ||
        !in_range(i[4], 0, INT32_MAX - 1) || !in_range(i[5], 0, INT32_MAX - 1) ||
        !in_range(i[6], 0, 1) || !in_range(i[7], 0, INT64_MAX - 65536) ||
        !in_range(i[8], 0, i[7]))
        return false;
    *out = (evi_train_state){
        .epoch = (int32_t)i[0], .batch = (int32_t)i[1], .steps = i[2],
        .best_epoch = (int32_t)i[3], .waiting = (int32_t)i[4],
        .plateau_waiting = (int32_t)i[5], .has_best = (int32_t)i[6],
        .n_images = i[7], .n_right = i[8],
        .base_rate = n[0], .plateau_factor = n[1], .plateau_best = n[2], .watched_best = n[3],
        .loss_sum = n[4],
    };
    return out->base_rate > 0 && out->plateau_factor >= 0;
}

static void pack_epoch(const ev_epoch *e, double *to)
{
    to[0] = e->train_loss;
    to[1] = e->train_accuracy;
    to[2] = e->valid_loss;
    to[3] = e->valid_accuracy;
    to[4] = e->learning_rate;
    to[5] = e->seconds;
    to[6] = (double)e->steps;
    to[7] = e->is_best;
}

static void unpack_epoch(const ev_trainer *t, int32_t index, const double *from, ev_epoch *e)
{
    *e = (ev_epoch){
        .struct_size = (uint32_t)sizeof(*e), .index = index, .train_loss = from[0],
        .train_accuracy = from[1], .valid_loss = from[2], .valid_accuracy = from[3],
        .learning_rate = from[4], .seconds = from[5],
        .steps = from[6] >= 0 && from[6] < 9e15 ? (int64_t)from[6] : 0,
        .is_best = from[7] != 0, .n_epochs = t->o.max_epochs,
    };
}

/* ---- save ---------------------------------------------------------------------------------- */

static ev_status save_visit(void *arg, const char *name, const evi_shape *shape, evi_real *data,
                            int64_t count)
{
    const section *s = arg;
    char full[NAME_BYTES];
    (void)count;
    return evi_st_add(s->file, full_name(s, name, full), REAL_TYPE, shape, data);
}

/* A table that lives in the file's own memory; to be filled by the caller. */
static ev_status save_table(const section *s, const char *name, int32_t type, int32_t rank,
                            int64_t n, int64_t width, void *out)
{
    const evi_shape shape = { .rank = rank, .dim = { n, width } };
    char full[NAME_BYTES];
    return evi_st_add_own(s->file, full_name(s, name, full), type, &shape, out);
}

static ev_status save_text(const section *s, const char *key, const char *value)
{
    char full[NAME_BYTES];
    return evi_st_add_text(s->file, full_name(s, key, full), value);
}

static ev_status save_texts(const section *s, const ev_trainer *t)
{
    char version[16];
    snprintf(version, sizeof(version), "%d", CHECKPOINT_VERSION);
    EVI_TRY(save_text(s, "edgevision.checkpoint", version));
    EVI_TRY(save_text(s, "edgevision.version", ev_version()));
    return save_text(s, "edgevision.options", t->options_text);
}

ev_status evi_trainer_put(ev_trainer *t, evi_st_file *f, const char *prefix)
{
    section s = { .file = f, .prefix = prefix };
    int64_t *integers = NULL;
    double *numbers = NULL, *history = NULL;
    EVI_TRY(save_texts(&s, t));
    EVI_TRY(save_table(&s, "state/integers", EVI_ST_I64, 1, N_INTEGERS, 0, &integers));
    EVI_TRY(save_table(&s, "state/numbers", EVI_ST_F64, 1, N_NUMBERS, 0, &numbers));
    EVI_TRY(save_table(&s, "state/history", EVI_ST_F64, 2, t->state.epoch, N_HISTORY, &history));
    pack_state(&t->state, integers, numbers);
    for (int32_t i = 0; i < t->state.epoch; i++)
        pack_epoch(&t->history[i], history + (int64_t)i * N_HISTORY);
    return visit_all(t, t->swapped != 0, t->state.has_best != 0, save_visit, &s);
}

ev_status ev_trainer_save(ev_trainer *trainer, const char *path)
{
    EVI_CHECK_HANDLE(trainer, EVI_MAGIC_TRAINER);
    EVI_CHECK_POINTER(path);
    evi_st_file file;
    evi_st_start(&file, trainer->handle.ctx);
    ev_status status = evi_trainer_put(trainer, &file, "");
    if (status == EV_OK)
        status = evi_st_write(&file, path);
    evi_st_end(&file);
    return status;
}

/* ---- resume -------------------------------------------------------------------------------- */

static const evi_st_tensor *find(const section *s, const char *name)
{
    char full[NAME_BYTES];
    return evi_st_find(s->file, full_name(s, name, full));
}

static const char *find_text(const section *s, const char *key)
{
    char full[NAME_BYTES];
    return evi_st_find_text(s->file, full_name(s, key, full));
}

static ev_status load_visit(void *arg, const char *name, const evi_shape *shape, evi_real *data,
                            int64_t count)
{
    const section *s = arg;
    const evi_st_tensor *x = find(s, name);
    char want[EVI_SHAPE_TEXT], have[EVI_SHAPE_TEXT];
    if (x == NULL)
        return evi_fail(EV_ERR_SHAPE, "'%s' is of another model: it has no '%s%s'", s->path,
                        s->prefix, name);
    if (!evi_shape_equal(&x->shape, shape) || x->type != REAL_TYPE)
        return evi_fail(EV_ERR_SHAPE, "'%s' is of another model: '%s%s' is %s there, %s here",
                        s->path, s->prefix, name, evi_shape_text(&x->shape, have),
                        evi_shape_text(shape, want));
    if (s->copy)
        memcpy(data, x->data, (size_t)count * sizeof(evi_real));
    return EV_OK;
}

/* The table's elements, of any alignment; NULL after a failure. */
static const void *find_table(const section *s, const char *name, int32_t type, int32_t rank,
                              int64_t n, int64_t width)
{
    const evi_st_tensor *x = find(s, name);
    const evi_shape want = { .rank = rank, .dim = { n, width } };
    if (x == NULL || x->type != type || !evi_shape_equal(&x->shape, &want)) {
        (void)evi_fail(EV_ERR_FORMAT, "'%s': '%s%s' is missing or damaged", s->path, s->prefix,
                       name);
        return NULL;
    }
    return x->data;
}

static ev_status check_version(const section *s)
{
    const char *text = find_text(s, "edgevision.checkpoint");
    int64_t version = 0;
    if (text == NULL || !evi_parse_int(text, strlen(text), &version) || version < 1)
        return evi_fail(EV_ERR_FORMAT, "'%s' is not a training checkpoint", s->path);
    if (version > CHECKPOINT_VERSION)
        return evi_fail(EV_ERR_VERSION, "'%s' is of checkpoint version %lld, this release (%s) "
                                        "knows %d",
                        s->path, (long long)version, ev_version(), CHECKPOINT_VERSION);
    return EV_OK;
}

ev_status evi_train_compare(const char *path, const char *theirs, const char *ours,
                            const char **differs_out)
{
    if (theirs == NULL)
        return evi_fail(EV_ERR_FORMAT, "'%s' does not say with which options it was made", path);
    while (*ours != '\0' || *theirs != '\0') {
        size_t n = strcspn(ours, ";"), m = strcspn(theirs, ";");
        *differs_out = n > 0 ? ours : theirs;
        if (n != m || memcmp(ours, theirs, n) != 0)
            return evi_fail(EV_ERR_ARGUMENT, "'%s' was made with %.*s, this run has %.*s", path,
                            (int)EVI_MIN(m, 64), theirs, (int)EVI_MIN(n, 64), ours);
        ours += n + (ours[n] == ';');
        theirs += m + (theirs[m] == ';');
    }
    return EV_OK;
}

static ev_status check_options(const section *s, const ev_trainer *t)
{
    const char *differs = NULL;
    return evi_train_compare(s->path, find_text(s, "edgevision.options"), t->options_text,
                             &differs);
}

static ev_status read_state(const section *s, evi_train_state *state)
{
    int64_t i[N_INTEGERS];
    double n[N_NUMBERS];
    const void *integers = find_table(s, "state/integers", EVI_ST_I64, 1, N_INTEGERS, 0);
    if (integers == NULL)
        return EV_ERR_FORMAT;
    const void *numbers = find_table(s, "state/numbers", EVI_ST_F64, 1, N_NUMBERS, 0);
    if (numbers == NULL)
        return EV_ERR_FORMAT;
    memcpy(i, integers, sizeof(i));
    memcpy(n, numbers, sizeof(n));
    if (!unpack_state(i, n, state))
        return evi_fail(EV_ERR_FORMAT, "'%s': the state is out of range", s->path);
    return EV_OK;
}

static ev_status room_for_history(ev_trainer *t, int32_t epochs)
{
    if (epochs <= t->history_capacity)
        return EV_OK;
    EVI_TRY(evi_realloc(t->handle.ctx, (uint64_t)epochs, sizeof(ev_epoch), &t->history));
    t->history_capacity = epochs;
    return EV_OK;
}

static void take_history(ev_trainer *t, const char *history)
{
    for (int32_t i = 0; i < t->state.epoch; i++) {
        double row[N_HISTORY];
        memcpy(row, history + (size_t)i * sizeof(row), sizeof(row));
        unpack_epoch(t, i, row, &t->history[i]);
    }
}

ev_status evi_trainer_take(ev_trainer *t, evi_st_file *f, const char *path, const char *prefix,
                           bool copy)
{
    evi_train_state state;
    section s = { .file = f, .path = path, .prefix = prefix };
    EVI_TRY(check_version(&s));
    EVI_TRY(read_state(&s, &state));
    const void *history = find_table(&s, "state/history", EVI_ST_F64, 2, state.epoch, N_HISTORY);
    if (history == NULL)
        return EV_ERR_FORMAT;
    EVI_TRY(visit_all(t, false, state.has_best != 0, load_visit, &s));
    EVI_TRY(check_options(&s, t));
    EVI_TRY(room_for_history(t, state.epoch));
    if (!copy)
        return EV_OK;
    /* nothing can fail from here on */
    t->state = state;
    t->swapped = 0;
    s.copy = true;
    (void)visit_all(t, false, state.has_best != 0, load_visit, &s);
    take_history(t, history);
    t->epoch_start = evi_seconds();
    evi_train_touch(t);
    return EV_OK;
}

ev_status ev_trainer_resume(ev_trainer *trainer, const char *path)
{
    EVI_CHECK_HANDLE(trainer, EVI_MAGIC_TRAINER);
    EVI_CHECK_POINTER(path);
    evi_st_file file;
    evi_st_start(&file, trainer->handle.ctx);
    ev_status status = evi_st_read(&file, path);
    if (status == EV_OK)
        status = evi_trainer_take(trainer, &file, path, "", true);
    evi_st_end(&file);
    return status;
}
