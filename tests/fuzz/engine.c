/* SPDX-License-Identifier: MIT */
#include "engine.h"

#include "api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define POOL 8
#define CALLS_MAX 48

#define CHECK(condition, name)                                                              \
    do {                                                                                    \
        if (!(condition)) {                                                                 \
            (void)fprintf(stderr, "%s: %s: \"%s\"\n", (name), #condition, ev_last_error()); \
            abort();                                                                        \
        }                                                                                   \
    } while (0)

typedef struct engine {
    const uint8_t *bytes;
    size_t left;
    int32_t mode;
    api_world world;
    void *pool[API_N_HANDLES][POOL]; /* what calls made */
    unsigned char block[2][1024];    /* structs, one for each of two arguments */
    api_world good;                  /* its arrays as they were */
    int64_t dims[3][8];
    int32_t order[8];
} engine;

/* ---- memory that is counted, files that are not synced --------------------------------------- */

static long n_live;

static void *count_alloc(void *user, size_t size, size_t alignment)
{
    (void)user;
    void *p = aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    (void)__atomic_add_fetch(&n_live, p != NULL, __ATOMIC_RELAXED);
    return p;
}

static void count_free(void *user, void *pointer, size_t size)
{
    (void)user;
    (void)size;
    (void)__atomic_sub_fetch(&n_live, pointer != NULL, __ATOMIC_RELAXED);
    free(pointer);
}

static char folder[API_PATH];

static void remove_folder(void)
{
    static const char *const names[] = {
        "pictures/a/1.ppm", "pictures/b/2.ppm",
        "pictures/a",       "pictures/b",
        "pictures",         "counts/persons_1_dogs_0_bikes_0_frame_2020-03-01_12-00-00nr5_.ppm",
        "counts",           "manifest.csv",
        "model.onnx",       "run.safetensors",
        "gan.safetensors",  "new.ppm",
        ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[API_PATH + 80];
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)remove(path);
    }
}

static void files_once(void)
{
    if (folder[0] != '\0')
        return;
    const char *top = getenv("TMPDIR");
    (void)snprintf(folder, sizeof(folder), "%s/ev-fuzz-XXXXXX", top != NULL ? top : "/tmp");
    CHECK(mkdtemp(folder) != NULL, "mkdtemp");
    CHECK(api_files_write(folder) == EV_OK, "files");
    (void)atexit(remove_folder);
}

/* ---- choices from the bytes ------------------------------------------------------------------ */

static uint32_t byte(engine *e)
{
    if (e->left == 0)
        return 0;
    e->left--;
    return *e->bytes++;
}

static uint32_t below(engine *e, uint32_t n)
{
    return n > 0 ? byte(e) % n : 0;
}

/* Mostly small, sometimes far out. */
static int64_t whole(engine *e, bool small)
{
    static const int64_t odd[] = {-1,        -2,        16,      32,        33,        64,
                                  255,       256,       1000,    65535,     65536,     65537,
                                  INT32_MAX, INT32_MIN, 1 << 24, INT64_MAX, INT64_MIN, -100};
    uint32_t b = byte(e);
    if (b < 208)
        return b % (small ? 5 : 13);
    return small ? (b & 1) - 1 : odd[b % (sizeof(odd) / sizeof(odd[0]))];
}

static double real(engine *e)
{
    static const double odd[] = {0, 1, 0.5, -1, 1e-3, 1e30, -1e30, 1e-40, 2, 255};
    uint32_t b = byte(e);
    if (b >= 250)
        return b == 255 ? (double)__builtin_nanf("") : b == 254 ? (double)__builtin_inff() : -5e5;
    return odd[b % (sizeof(odd) / sizeof(odd[0]))];
}

static void number(engine *e, int32_t kind, bool small, api_slot *out)
{
    switch (kind) {
    case API_I32:
    case API_U32: out->i32 = (int32_t)whole(e, small); break;
    case API_I64: out->i64 = whole(e, small); break;
    case API_U64: out->u64 = (uint64_t)whole(e, small); break;
    case API_F32: out->f32 = (float)real(e); break;
    default: out->f64 = real(e); break;
    }
}

static void *object(engine *e, int32_t handle)
{
    uint32_t b = byte(e);
    if (b >= 252)
        return NULL;
    if (b >= 248)
        return api_world_object(&e->world, 1 + (int32_t)below(e, API_N_HANDLES - 1));
    void *made = e->pool[handle][b % POOL];
    if (e->mode == ENGINE_DRAWING && handle == API_ev_model)
        return b < 240 ? e->world.drawing : e->world.model;
    if (handle == API_ev_model && made == NULL && (b & 8) != 0)
        return e->world.drawing;
    return made != NULL ? made : api_world_object(&e->world, handle);
}

static bool ends_with(const char *name, const char *end)
{
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* Numbers only: pointers and functions stay NULL, but for few, so that all that it points to is
 * there. */
static void *options(engine *e, const api_argument *arg, int32_t index)
{
    unsigned char *block = e->block[index & 1];
    uint32_t stamp = (uint32_t)arg->options->n_bytes, b = byte(e);
    if (b >= 248 || (e->mode == ENGINE_ALL && arg->kind == API_STRUCT_IN && b < 80))
        return NULL;
    memset(block, 0, sizeof(e->block[0]));
    if (b == 247)
        stamp = byte(e) * 4;
    memcpy(block, &stamp, sizeof(stamp));
    for (int32_t i = 0; arg->kind == API_STRUCT_IN && i < arg->options->n_fields; i++) {
        const api_field *field = &arg->options->fields[i];
        api_slot value;
        bool wide = field->kind == API_I64 || field->kind == API_U64 || field->kind == API_F64;
        if (field->kind == API_POINTER || field->kind == API_FN || field->kind == API_TEXT)
            continue;
        if (e->mode != ENGINE_OPTIONS && (byte(e) & 3) != 0)
            continue;
        memset(&value, 0, sizeof(value));
        number(e, field->kind, ends_with(field->name, "epochs"), &value); /* or it takes hours */
        memcpy(block + field->offset, &value, wide ? 8 : 4);
    }
    return block;
}

static void *text(engine *e, void *good)
{
    static const char *const texts[] = {"",  "image", "a",     "two\nlines", "\xff\xfe",
                                        "1", "size",  "label", "one",        "conv1.weight"};
    uint32_t b = byte(e);
    if (b >= 250)
        return NULL;
    if (b >= 128)
        return (void *)(uintptr_t)texts[b % (sizeof(texts) / sizeof(texts[0]))];
    return good;
}

static void keep_arrays(engine *e)
{
    e->good = e->world;
    memcpy(e->dims[0], e->world.dims, sizeof(e->dims[0]));
    memcpy(e->dims[1], e->world.any_dims, sizeof(e->dims[0]));
    memcpy(e->dims[2], e->world.reshape, sizeof(e->dims[0]));
    memcpy(e->order, e->world.order, sizeof(e->order));
}

static void good_arrays(engine *e)
{
    api_world *w = &e->world;
    memcpy(w->dims, e->dims[0], sizeof(e->dims[0]));
    memcpy(w->any_dims, e->dims[1], sizeof(e->dims[0]));
    memcpy(w->reshape, e->dims[2], sizeof(e->dims[0]));
    memcpy(w->order, e->order, sizeof(e->order));
    memcpy(w->sizes, e->good.sizes, sizeof(w->sizes));
    memcpy(w->values, e->good.values, sizeof(w->values));
    memcpy(w->labels, e->good.labels, sizeof(w->labels));
    memcpy(w->items, e->good.items, sizeof(w->items));
    memcpy(w->fractions, e->good.fractions, sizeof(w->fractions));
    memcpy(w->inputs, e->good.inputs, sizeof(w->inputs));
    memcpy(w->outputs, e->good.outputs, sizeof(w->outputs));
    memcpy(w->feeds, e->good.feeds, sizeof(w->feeds));
}

/* Arrays that arguments point to. */
static void arrays(engine *e)
{
    api_world *w = &e->world;
    for (int32_t i = 0; i < 8; i++) {
        w->dims[i] = w->reshape[i] = whole(e, false);
        w->any_dims[i] = i == 0 ? -1 : w->dims[i];
        w->order[i] = (int32_t)below(e, 5);
        w->sizes[i] = whole(e, false);
        w->values[i] = (ev_value)whole(e, false);
        w->labels[i] = (int32_t)whole(e, true);
        w->items[i] = (int32_t)whole(e, true);
        w->fractions[i] = real(e);
    }
    for (int32_t i = 0; i < 4; i++) {
        w->inputs[i] = object(e, API_ev_tensor);
        w->outputs[i] = object(e, API_ev_tensor);
        w->feeds[i].tensor = w->inputs[i];
        w->feeds[i].name = text(e, (void *)(uintptr_t)(i & 1 ? "labels" : "image"));
    }
}

static void argument(engine *e, const api_argument *arg, int32_t index, api_slot *slot)
{
    uint32_t b = byte(e);
    if (b < 112)
        return; /* the good one */
    switch (arg->kind) {
    case API_HANDLE: slot->p = object(e, arg->handle); break;
    case API_STRUCT_IN:
    case API_STRUCT_OUT: slot->p = options(e, arg, index); break;
    case API_TEXT: slot->p = text(e, slot->p); break;
    case API_FN:
        if (b == 255)
            slot->fn = NULL;
        break;
    case API_POINTER:
    case API_OUT_HANDLE:
    case API_OUT_POINTER:
    case API_OUT_NUMBER:
        if (b == 255)
            slot->p = NULL;
        break;
    case API_U64:
        if ((arg->flags & API_MAY_BE_COUNT) == 0)
            slot->u64 = (uint64_t)whole(e, false);
        break;
    default: number(e, arg->kind, (arg->flags & API_MAY_BE_COUNT) != 0, slot); break;
    }
}

/* ---- calls ----------------------------------------------------------------------------------- */

static bool chosen(const engine *e, const api_function *f)
{
    bool drawing = strncmp(f->name, "ev_model_", 9) == 0 && !ends_with(f->name, "_destroy") &&
                   f->n > 0 && f->arguments[0].handle == API_ev_model;
    bool with_options = false;
    for (int32_t i = 0; i < f->n; i++)
        with_options = with_options || f->arguments[i].kind == API_STRUCT_IN;
    if (strcmp(f->name, "ev_options_init") == 0 || ends_with(f->name, "string_destroy") ||
        ends_with(f->name, "bytes_destroy"))
        return false; /* would write over the world, or end what the library did not give */
    return e->mode == ENGINE_DRAWING ? drawing : e->mode == ENGINE_OPTIONS ? with_options : true;
}

/* A destroy ends only what a call has made. */
static bool destroy(engine *e, const api_function *f)
{
    if (!ends_with(f->name, "_destroy"))
        return false;
    void **place = &e->pool[f->arguments[0].handle][below(e, POOL)];
    api_handle_end(f->arguments[0].handle, *place);
    *place = NULL;
    return true;
}

/* Keep what came out for later calls; contexts have no limit of memory and end at once. */
static void keep(engine *e, const api_function *f, const api_slot *a)
{
    for (int32_t i = 0; i < f->n; i++) {
        const api_argument *arg = &f->arguments[i];
        if (arg->kind != API_OUT_HANDLE || a[i].p == NULL || arg->handle == API_ev_context ||
            (arg->flags & (API_MAY_BE_BORROWED | API_MAY_BE_ARRAY)) != 0)
            continue;
        void **place = &e->pool[arg->handle][below(e, POOL)];
        api_handle_end(arg->handle, *place);
        *place = *(void **)a[i].p;
        *(void **)a[i].p = NULL;
    }
}

static void clear_outputs(const api_function *f, const api_slot *a)
{
    for (int32_t i = 0; i < f->n; i++)
        if (a[i].p != NULL &&
            (f->arguments[i].kind == API_OUT_HANDLE || f->arguments[i].kind == API_OUT_POINTER))
            *(void **)a[i].p = NULL;
}

static void one_call(engine *e)
{
    api_slot a[API_MOST_ARGUMENTS], result;
    const api_function *f = api_at((int32_t)(byte(e) << 8 | byte(e)) % api_n_functions());
    for (int32_t i = 0; !chosen(e, f) && i < api_n_functions(); i++)
        f = api_at((int32_t)(f - api_at(0) + 1) % api_n_functions());
    if (destroy(e, f))
        return;
    memset(a, 0, sizeof(a));
    memset(&result, 0, sizeof(result));
    good_arrays(e);
    if (byte(e) >= 160)
        arrays(e);
    f->good(&e->world, a);
    for (int32_t i = 0; i < f->n; i++)
        argument(e, &f->arguments[i], i, &a[i]);
    clear_outputs(f, a);
    (void)ev_options_init(NULL, 0);
    f->call(a, &result);
    /* with EV_ERR_GOAL comes what there is */
    if (f->returns == API_STATUS && result.i32 != EV_OK && result.i32 != EV_ERR_GOAL) {
        CHECK(result.i32 < 0 && result.i32 >= EV_ERR_GOAL && result.i32 != EV_ERR_INTERNAL,
              f->name);
        CHECK(strncmp(ev_last_error(), "ev_options_init: options", 24) != 0, f->name);
        for (int32_t i = 0; i < f->n; i++)
            CHECK(f->arguments[i].kind != API_OUT_HANDLE || a[i].p == NULL ||
                      *(void **)a[i].p == NULL,
                  f->name);
        return;
    }
    if (f->returns == API_STATUS)
        keep(e, f, a);
    api_results_end(f, a, &result);
}

/* What the drawn model can do: be given weights, run, trained, saved and loaded. */
static void finale(engine *e)
{
    api_world *w = &e->world;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_trainer *trainer = NULL;
    ev_model *again = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    ev_train_options o;
    double loss = 0;
    EV_OPTIONS_INIT(&o);
    o.batch_size = 2;
    for (int32_t v = 0; v < 40; v += 3)
        (void)ev_model_output(w->drawing, e->world.names[v], v);
    (void)ev_model_loss(w->drawing, "loss", w->loss, 1);
    (void)ev_model_init(w->drawing, 1);
    if (ev_model_macs(w->drawing) > 20000000)
        return;
    const ev_tensor *in[2] = {w->tensor, w->label_tensor};
    ev_plan_options po;
    EV_OPTIONS_INIT(&po);
    po.max_batch = 2;
    if (ev_plan_create(w->ctx, w->drawing, &po, &plan) == EV_OK &&
        ev_session_create(plan, &session) == EV_OK)
        (void)ev_session_run(session, in, 2, NULL, 0);
    w->feeds[0] = (ev_feed){"image", w->tensor};
    w->feeds[1] = (ev_feed){"labels", w->label_tensor};
    if (ev_trainer_create(w->ctx, w->drawing, NULL, NULL, &o, &trainer) == EV_OK)
        (void)ev_trainer_step(trainer, w->feeds, 2, &loss, 1);
    if (ev_model_save_memory(w->drawing, &bytes, &n) == EV_OK) {
        ev_status status = ev_model_load_memory(w->ctx, bytes, n, NULL, &again);
        CHECK(status == EV_OK || status == EV_ERR_MEMORY, "what was saved can be loaded");
    }
    ev_bytes_destroy(bytes);
    ev_model_destroy(again);
    ev_trainer_destroy(trainer);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
}

void engine_run(const uint8_t *bytes, size_t n, int32_t mode)
{
    static engine e; /* large */
    ev_context_options opt;
    files_once();
    memset(&e, 0, sizeof(e));
    e.bytes = bytes;
    e.left = n;
    e.mode = mode;
    EV_OPTIONS_INIT(&opt);
    opt.alloc = count_alloc;
    opt.free = count_free;
    opt.memory_limit_bytes = (uint64_t)8 << 20;
    n_live = 0;
    CHECK(api_world_start(&opt, folder, &e.world) == EV_OK, "world");
    keep_arrays(&e);
    for (int32_t i = 0; i < CALLS_MAX && e.left > 0; i++)
        one_call(&e);
    if (mode == ENGINE_DRAWING)
        finale(&e);
    for (int32_t h = 1; h < API_N_HANDLES; h++)
        for (int32_t i = 0; i < POOL; i++)
            api_handle_end(h, e.pool[h][i]);
    api_world_end(&e.world);
    CHECK(n_live == 0, "blocks left behind");
}
