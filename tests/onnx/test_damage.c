/* SPDX-License-Identifier: MIT */
/* Damaged and hostile files: an error or a sound model, never a crash, within bounded memory and time.
 * With EV_RUN_ALL=1 every byte and bit; otherwise a sample. */
#include "drawn.h"
#include "graph/graph.h"
#include "mutate.h"
#include "support.h"

static long n_loads, n_refused, n_loaded, n_run;

static bool run_all(void)
{
    const char *all = getenv("EV_RUN_ALL");
    return all != NULL && strcmp(all, "1") == 0;
}

/* Where it loads and is not too large: plan and run it once. */
static void try_run(ev_context *ctx, ev_model *m)
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

/* Load; give the status; hold memory and time against the limits. */
static ev_status try_load(ev_context *ctx, const void *data, uint64_t n_bytes, ev_model **out)
{
    ev_model *m = NULL;
    uint64_t before = ev_context_memory_bytes(ctx);
    double start = evi_seconds();
    ev_status status = ev_model_load_memory(ctx, data, n_bytes, NULL, &m);
    uint64_t limit = 16 * n_bytes + ((uint64_t)64 << 20);
    ck_assert_msg(ev_context_memory_peak_bytes(ctx) <= before + limit,
                  "%llu bytes for a file of %llu",
                  (unsigned long long)ev_context_memory_peak_bytes(ctx),
                  (unsigned long long)n_bytes);
    ck_assert_msg(evi_seconds() - start < 2.0, "%.2f s", evi_seconds() - start);
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

static void load_and_run(const void *data, uint64_t n_bytes)
{
    ev_context *ctx = t_context(NULL, 1); /* a new one each time: the peak is of this load */
    ev_model *m = NULL;
    if (try_load(ctx, data, n_bytes, &m) == EV_OK)
        try_run(ctx, m);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
}

static void report(const char *what)
{
    printf("%s: %ld loads, %ld refused, %ld sound, %ld of these run\n", what, n_loads, n_refused,
           n_loaded, n_run);
    fflush(stdout);
}

static void saved(ev_context *ctx, const char *name, void **bytes, uint64_t *n)
{
    ev_model *m = NULL;
    t_ok(drawn_model(ctx, drawn_find(name), &m));
    t_ok(ev_model_save_memory(m, bytes, n));
    ev_model_destroy(m);
}

/* ---- our own files: the checksum finds everything --------------------------------------------------- */

START_TEST(truncated)
{
    ev_context *ctx = t_context(NULL, 1);
    void *bytes = NULL;
    uint64_t n = 0;
    saved(ctx, "dense", &bytes, &n);
    ck_assert_msg(n <= 20 << 10, "%llu", (unsigned long long)n);
    for (uint64_t k = 0; k < n; k++) {
        char *part = malloc(k + 1); /* so that a read behind it is found */
        memcpy(part, bytes, k);
        ck_assert_msg(try_load(ctx, part, k, NULL) != EV_OK, "cut at %llu", (unsigned long long)k);
        free(part);
    }
    ev_bytes_destroy(bytes);
    ev_context_destroy(ctx);
    report("truncation at every byte");
}
END_TEST

START_TEST(flipped)
{
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    drawn_run want, got;
    t_ok(drawn_model(ctx, drawn_find("dense"), &m));
    t_ok(drawn_run_model(ctx, m, 1, &want));
    t_ok(ev_model_save_memory(m, &bytes, &n));
    ck_assert_msg(n <= 20 << 10, "%llu", (unsigned long long)n);
    uint8_t *copy = malloc(n);
    long unnoticed = 0;
    for (uint64_t bit = 0; bit < 8 * n; bit += run_all() ? 1 : 13) {
        ev_model *again = NULL;
        memcpy(copy, bytes, n);
        copy[bit / 8] ^= (uint8_t)(1 << bit % 8);
        if (try_load(ctx, copy, n, &again) != EV_OK)
            continue;
        /* only the name of the note that holds the checksum can be hit without notice */
        ck_assert_msg(bit / 8 < 28, "bit %llu is not noticed", (unsigned long long)bit);
        t_ok(drawn_run_model(ctx, again, 1, &got));
        for (int32_t i = 0; i < want.n_outputs; i++)
            ck_assert(memcmp(ev_tensor_data(want.outputs[i]), ev_tensor_data(got.outputs[i]),
                             ev_tensor_bytes(want.outputs[i])) == 0);
        drawn_run_end(&got);
        ev_model_destroy(again);
        unnoticed++;
    }
    free(copy);
    drawn_run_end(&want);
    ev_bytes_destroy(bytes);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    report("single bits of a file with checksum");
    printf("  unnoticed, in the note's own name, with equal outputs: %ld\n", unnoticed);
}
END_TEST

START_TEST(crc_of_the_weights)
{
    ev_context *ctx = t_context(NULL, 1);
    void *bytes = NULL;
    uint64_t n = 0;
    evi_onnx_file file;
    saved(ctx, "dense", &bytes, &n);
    t_ok(evi_onnx_parse(ctx, bytes, n, EVI_MAX_NODES, &file));
    uint8_t *weights = (uint8_t *)(uintptr_t)file.tensors[0].raw.at;
    evi_onnx_file_end(&file);
    weights[5] ^= 4;
    t_status(ev_model_load_memory(ctx, bytes, n, NULL, &(ev_model *){NULL}), EV_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "checksum"));
    ((uint8_t *)bytes)[4] ^= 1; /* without the note for the file the one for the weights holds */
    t_status(ev_model_load_memory(ctx, bytes, n, NULL, &(ev_model *){NULL}), EV_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "weights"));
    weights[5] ^= 4;
    ev_model *m = NULL;
    t_ok(ev_model_load_memory(ctx, bytes, n, NULL, &m));
    ev_model_destroy(m);
    ev_bytes_destroy(bytes);
    ev_context_destroy(ctx);
}
END_TEST

/* ---- files without checksum ----------------------------------------------------------------------- */

START_TEST(flipped_without_checksum)
{
    static const char *const names[] = {"conv", "norms", "shapes", "pads"};
    ev_context *ctx = t_context(NULL, 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        void *bytes = NULL;
        uint64_t n = 0;
        evi_text plain;
        evi_text_start(&plain, ctx);
        saved(ctx, names[i], &bytes, &n);
        mutate_strip(bytes, n, &plain);
        ck_assert(plain.length <= 20 << 10);
        for (uint64_t bit = 0; bit < 8 * plain.length; bit += run_all() ? 1 : 29) {
            plain.data[bit / 8] = (char)(plain.data[bit / 8] ^ (1 << bit % 8));
            load_and_run(plain.data, plain.length);
            plain.data[bit / 8] = (char)(plain.data[bit / 8] ^ (1 << bit % 8));
        }
        for (uint64_t k = 0; k < plain.length; k += run_all() ? 1 : 7) {
            char *part = malloc(k + 1);
            memcpy(part, plain.data, k);
            load_and_run(part, k);
            free(part);
        }
        evi_text_end(&plain);
        ev_bytes_destroy(bytes);
    }
    ev_context_destroy(ctx);
    report("bits and cuts of files without checksum");
}
END_TEST

/* Every number of the file becomes each of these, every text empty, long or another, every field is
 * dropped and doubled. */
START_TEST(field_by_field)
{
    static const uint64_t numbers[] = {0, 1, 2, 3, 7, 8, 9, 16, 17, 255, 65535, 65536, 1u << 24,
                                       0x7ffffffe, 0x7fffffff, 0x80000000u, 0xffffffffu,
                                       (uint64_t)1 << 32, (uint64_t)1 << 61, INT64_MAX,
                                       (uint64_t)INT64_MIN, UINT64_MAX - 1, UINT64_MAX};
    static char long_text[400];
    memset(long_text, 'a', sizeof(long_text));
    const evi_span texts[] = {{"", 0}, {long_text, 255}, {long_text, 256}, {long_text, 400},
                              {"image", 5}, {"Conv", 4}, {"Reshape", 7}, {"a\0b", 3},
                              {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10}};
    ev_context *ctx = t_context(NULL, 1);
    int32_t step = run_all() ? 1 : 3;
    for (int32_t i = 0; drawn_at(i) != NULL; i++) {
        void *bytes = NULL;
        uint64_t n = 0;
        evi_text plain, changed;
        if (strncmp(drawn_at(i)->name, "arch", 4) == 0 || strcmp(drawn_at(i)->name, "resnet20") == 0 ||
            strcmp(drawn_at(i)->name, "generator") == 0)
            continue; /* too large for so many copies */
        evi_text_start(&plain, ctx);
        evi_text_start(&changed, ctx);
        saved(ctx, drawn_at(i)->name, &bytes, &n);
        mutate_strip(bytes, n, &plain);
        for (int32_t kind = 0; kind < MUTATE_KINDS; kind++) {
            int32_t choices = kind == MUTATE_NUMBER ? EVI_COUNT(numbers)
                              : kind == MUTATE_TEXT ? EVI_COUNT(texts)
                                                    : 1;
            for (int32_t c = 0; c < choices; c++)
                for (int32_t t = c % step; mutate(plain.data, plain.length, kind, t, numbers[c],
                                                  texts[c % EVI_COUNT(texts)], &changed);
                     t += step)
                    load_and_run(changed.data, changed.length);
        }
        evi_text_end(&changed);
        evi_text_end(&plain);
        ev_bytes_destroy(bytes);
    }
    ev_context_destroy(ctx);
    report("field by field");
}
END_TEST

START_TEST(random_bytes)
{
    ev_context *ctx = t_context(NULL, 1);
    uint64_t state = 4711;
    uint8_t short_file[65];
    for (int32_t i = 0; i < 20000; i++) {
        uint64_t n = t_random(&state) % 65;
        for (uint64_t k = 0; k < n; k++)
            short_file[k] = (uint8_t)t_random(&state);
        try_load(ctx, short_file, n, NULL);
    }
    ev_context_destroy(ctx);
    report("short random files");
}
END_TEST

/* ---- hostile files --------------------------------------------------------------------------------- */

static void begin_model(evi_text *t, ev_context *ctx, int64_t opset, uint64_t *graph)
{
    evi_text_start(t, ctx);
    evi_put_int(t, MODEL_IR, 8);
    uint64_t mark = evi_put_begin(t, MODEL_OPSET);
    evi_put_int(t, OPSET_VERSION, opset);
    evi_put_end(t, mark);
    *graph = evi_put_begin(t, MODEL_GRAPH);
}

static void put_port(evi_text *t, uint32_t field, const char *name, int32_t type, int32_t rank,
                     const int64_t *dims)
{
    uint64_t a = evi_put_begin(t, field);
    evi_put_string(t, INFO_NAME, name);
    uint64_t b = evi_put_begin(t, INFO_TYPE), c = evi_put_begin(t, TYPE_TENSOR);
    evi_put_int(t, TENSOR_TYPE_ELEM, type);
    uint64_t d = evi_put_begin(t, TENSOR_TYPE_SHAPE);
    for (int32_t i = 0; i < rank; i++) {
        uint64_t e = evi_put_begin(t, SHAPE_DIM);
        evi_put_int(t, DIM_VALUE, dims[i]);
        evi_put_end(t, e);
    }
    evi_put_end(t, d);
    evi_put_end(t, c);
    evi_put_end(t, b);
    evi_put_end(t, a);
}

static uint64_t begin_node(evi_text *t, const char *op, const char *in, const char *in2,
                           const char *out)
{
    uint64_t mark = evi_put_begin(t, GRAPH_NODE);
    evi_put_string(t, NODE_INPUT, in);
    if (in2 != NULL)
        evi_put_string(t, NODE_INPUT, in2);
    evi_put_string(t, NODE_OUTPUT, out);
    evi_put_string(t, NODE_NAME, out);
    evi_put_string(t, NODE_OP, op);
    return mark;
}

static void put_ints(evi_text *t, const char *name, const int64_t *v, int32_t n)
{
    uint64_t mark = evi_put_begin(t, NODE_ATTRIBUTE);
    evi_put_string(t, ATTR_NAME, name);
    for (int32_t i = 0; i < n; i++)
        evi_put_int(t, ATTR_INTS, v[i]);
    evi_put_int(t, ATTR_TYPE, ATTR_TYPE_INTS);
    evi_put_end(t, mark);
}

static void put_int(evi_text *t, const char *name, int64_t v)
{
    uint64_t mark = evi_put_begin(t, NODE_ATTRIBUTE);
    evi_put_string(t, ATTR_NAME, name);
    evi_put_int(t, ATTR_I, v);
    evi_put_int(t, ATTR_TYPE, ATTR_TYPE_INT);
    evi_put_end(t, mark);
}

static void put_tensor(evi_text *t, const char *name, int32_t rank, const int64_t *dims, int32_t type,
                       const void *raw, uint64_t n_bytes)
{
    uint64_t mark = evi_put_begin(t, GRAPH_INITIALIZER);
    for (int32_t i = 0; i < rank; i++)
        evi_put_int(t, TENSOR_DIMS, dims[i]);
    evi_put_int(t, TENSOR_TYPE, type);
    evi_put_string(t, TENSOR_NAME, name);
    evi_put_bytes(t, TENSOR_RAW, raw, n_bytes);
    evi_put_end(t, mark);
}

/* Ends the file and loads it. */
static ev_status finish_and_load(evi_text *t, uint64_t graph, bool run)
{
    const int64_t dims[4] = {1, 1, 8, 8};
    put_port(t, GRAPH_OUTPUT, "y", ONNX_FLOAT, 4, dims);
    evi_put_end(t, graph);
    ev_context *ctx = t_context(NULL, 1);
    ev_model *m = NULL;
    ev_status status = try_load(ctx, t->data, t->length, &m);
    if (status == EV_OK && run)
        try_run(ctx, m);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    evi_text_end(t);
    return status;
}

START_TEST(windows_out_of_range)
{
    static const int64_t values[] = {0, -1, 65536, INT32_MAX, (int64_t)1 << 31, INT64_MAX, INT64_MIN};
    static const char *const names[] = {"kernel_shape", "strides", "dilations", "pads"};
    static const char *const ops[] = {"Conv", "ConvTranspose", "MaxPool", "AveragePool"};
    const int64_t dims[4] = {1, 1, 8, 8}, w_dims[4] = {1, 1, 3, 3};
    const float w[9] = {0};
    ev_context *ctx = t_context(NULL, 1);
    for (int32_t o = 0; o < 4; o++)
        for (int32_t a = 0; a < 5; a++)
            for (int32_t v = 0; v < EVI_COUNT(values); v++) {
                evi_text t;
                uint64_t graph;
                const int64_t ones[2] = {3, 3};
                int64_t bad[4] = {values[v], 1, 1, values[v]};
                begin_model(&t, ctx, 19, &graph);
                put_port(&t, GRAPH_INPUT, "x", ONNX_FLOAT, 4, dims);
                if (o < 2)
                    put_tensor(&t, "w", 4, w_dims, ONNX_FLOAT, w, sizeof(w));
                uint64_t node = begin_node(&t, ops[o], "x", o < 2 ? "w" : NULL, "y");
                if (a == 4)
                    put_int(&t, "group", values[v]);
                else
                    put_ints(&t, names[a], bad, a == 3 ? 4 : 2);
                if (a != 0)
                    put_ints(&t, "kernel_shape", ones, 2);
                evi_put_end(&t, node);
                ev_status status = finish_and_load(&t, graph, true);
                bool zero_pad = a == 3 && values[v] == 0;
                if (zero_pad)
                    continue;
                ck_assert_msg(status != EV_OK, "%s %d %lld", ops[o], (int)a, (long long)values[v]);
            }
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(dimensions_out_of_range)
{
    static const int64_t sizes[] = {0, 1, (1 << 24) - 1, INT32_MAX - 1, INT32_MAX, (int64_t)1 << 31,
                                    UINT32_MAX, (int64_t)1 << 61, INT64_MAX, -1, INT64_MIN};
    ev_context *ctx = t_context(NULL, 1);
    for (int32_t rank = 0; rank <= 9; rank++)
        for (int32_t v = 0; v < EVI_COUNT(sizes); v++) {
            evi_text t;
            uint64_t graph;
            const float w[4] = {0};
            int64_t dims[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
            for (int32_t d = 0; d < rank; d++)
                dims[d] = sizes[v];
            begin_model(&t, ctx, 17, &graph);
            put_port(&t, GRAPH_INPUT, "x", ONNX_FLOAT, rank, dims);
            put_tensor(&t, "w", rank, dims, ONNX_FLOAT, w, sizeof(w));
            evi_put_end(&t, begin_node(&t, "Add", "x", "w", "y"));
            ev_status status = finish_and_load(&t, graph, true);
            ck_assert_msg(status != EV_OK, "4 bytes were enough for rank %d of %lld", (int)rank,
                          (long long)sizes[v]);
        }
    ev_context_destroy(ctx);
}
END_TEST

/* Operators whose result may be huge although the file is small. */
START_TEST(small_files_with_large_results)
{
    static const char *const ops[] = {"ConstantOfShape", "Expand", "Tile", "Reshape", "Pad"};
    const int64_t lists[][4] = {{1 << 15, 1 << 15, 1, 1},
                                              {INT32_MAX, 1, 1, 1},
                                              {1 << 20, 1 << 20, 1 << 20, 1},
                                              {INT64_MAX, 2, 1, 1},
                                              {-1, -1, -1, -1}};
    const int64_t four[1] = {4}, shape[4] = {1, 1, 1, 1};
    const float w[1] = {1};
    ev_context *ctx = t_context(NULL, 1);
    for (int32_t o = 0; o < EVI_COUNT(ops); o++)
        for (int32_t v = 0; v < EVI_COUNT(lists); v++) {
            evi_text t;
            uint64_t graph;
            begin_model(&t, ctx, 17, &graph);
            put_tensor(&t, "w", 4, shape, ONNX_FLOAT, w, sizeof(w));
            put_tensor(&t, "list", 1, four, ONNX_INT64, lists[v], sizeof(lists[v]));
            bool only = strcmp(ops[o], "ConstantOfShape") == 0;
            evi_put_end(&t, begin_node(&t, ops[o], only ? "list" : "w", only ? NULL : "list", "z"));
            evi_put_end(&t, begin_node(&t, "Relu", "z", NULL, "y"));
            (void)finish_and_load(&t, graph, true);
        }
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(nested_10000_deep)
{
    ev_context *ctx = t_context(NULL, 1);
    /* bytes that are a message in a message in a message, at every place where one may stand */
    static const uint32_t fields[] = {MODEL_GRAPH, MODEL_META, GRAPH_NODE, 5, 11, 2, 6, 20, 25};
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        evi_text inner, outer;
        evi_text_start(&inner, ctx);
        evi_text_start(&outer, ctx);
        for (int32_t k = 0; k < 10000; k++) {
            outer.length = 0;
            evi_put_bytes(&outer, fields[i], inner.data == NULL ? "" : inner.data, inner.length);
            evi_text swap = inner;
            inner = outer;
            outer = swap;
        }
        ck_assert(try_load(ctx, inner.data, inner.length, NULL) != EV_OK);
        evi_text_end(&inner);
        evi_text_end(&outer);
    }
    /* groups: the start tag 10,000 times */
    char *groups = malloc(10000);
    memset(groups, 0x3b, 10000);
    t_status(try_load(ctx, groups, 10000, NULL), EV_ERR_FORMAT);
    free(groups);
    ev_context_destroy(ctx);
}
END_TEST

/* Many nodes, inputs, initializers, notes: within the limits in good time, refused beyond. */
START_TEST(many_parts)
{
    ev_context *ctx = t_context(NULL, 1);
    for (int32_t n = 65536; n <= 65537; n++) {
        evi_text t;
        uint64_t graph;
        char from[16] = "x", to[16];
        const int64_t dims[4] = {1, 1, 8, 8};
        begin_model(&t, ctx, 17, &graph);
        put_port(&t, GRAPH_INPUT, "x", ONNX_FLOAT, 4, dims);
        for (int32_t i = 0; i < n; i++) {
            snprintf(to, sizeof(to), i == n - 1 ? "y" : "v%x", (unsigned)i);
            evi_put_end(&t, begin_node(&t, "Relu", from, NULL, to));
            memcpy(from, to, sizeof(from));
        }
        ev_status status = finish_and_load(&t, graph, false);
        ck_assert_int_eq(status, n == 65536 ? EV_OK : EV_ERR_UNSUPPORTED);
    }
    static const uint32_t fields[] = {GRAPH_INITIALIZER, GRAPH_INPUT, GRAPH_OUTPUT};
    for (int32_t f = 0; f < 3; f++) {
        evi_text t;
        uint64_t graph;
        begin_model(&t, ctx, 17, &graph);
        for (int32_t i = 0; i < 300000; i++)
            evi_put_bytes(&t, fields[f], "", 0);
        ck_assert(finish_and_load(&t, graph, false) != EV_OK);
    }
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(named_errors)
{
    ev_context *ctx = t_context(NULL, 1);
    evi_text t;
    uint64_t graph;
    const int64_t dims[4] = {1, 1, 8, 8}, pads[3] = {1, 2, 3};
    begin_model(&t, ctx, 17, &graph);
    put_port(&t, GRAPH_INPUT, "x", ONNX_FLOAT, 4, dims);
    uint64_t node = begin_node(&t, "MaxPool", "x", NULL, "y");
    put_ints(&t, "pads", pads, 3);
    evi_put_end(&t, node);
    ck_assert_int_eq(finish_and_load(&t, graph, false), EV_ERR_FORMAT);
    ck_assert_msg(strstr(ev_last_error(), "node 0 'y' (MaxPool)") != NULL &&
                      strstr(ev_last_error(), "attribute 'pads'") != NULL,
                  "%s", ev_last_error());
    /* all operators that are unknown, at once */
    begin_model(&t, ctx, 17, &graph);
    put_port(&t, GRAPH_INPUT, "x", ONNX_FLOAT, 4, dims);
    evi_put_end(&t, begin_node(&t, "FlyToTheMoon", "x", NULL, "first"));
    evi_put_end(&t, begin_node(&t, "Relu", "first", NULL, "second"));
    evi_put_end(&t, begin_node(&t, "Land", "second", NULL, "y"));
    ck_assert_int_eq(finish_and_load(&t, graph, false), EV_ERR_UNSUPPORTED);
    ck_assert_msg(strstr(ev_last_error(), "'first' (FlyToTheMoon), 'y' (Land)") != NULL, "%s",
                  ev_last_error());
    /* read before it is made: also how a cycle looks */
    begin_model(&t, ctx, 17, &graph);
    put_port(&t, GRAPH_INPUT, "x", ONNX_FLOAT, 4, dims);
    evi_put_end(&t, begin_node(&t, "Add", "x", "y", "z"));
    evi_put_end(&t, begin_node(&t, "Relu", "z", NULL, "y"));
    ck_assert_int_eq(finish_and_load(&t, graph, false), EV_ERR_FORMAT);
    /* a name twice */
    begin_model(&t, ctx, 17, &graph);
    put_port(&t, GRAPH_INPUT, "x", ONNX_FLOAT, 4, dims);
    evi_put_end(&t, begin_node(&t, "Relu", "x", NULL, "y"));
    evi_put_end(&t, begin_node(&t, "Relu", "x", NULL, "y"));
    ck_assert_int_eq(finish_and_load(&t, graph, false), EV_ERR_FORMAT);
    ev_context_destroy(ctx);
}
END_TEST

START_TEST(external_data_is_refused)
{
    static const char *const paths[] = {"weights.bin", "../weights.bin", "/etc/passwd",
                                        "a/../../b"};
    ev_context *ctx = t_context(NULL, 1);
    for (int32_t i = 0; i < 8; i++) {
        evi_text t;
        uint64_t graph;
        const int64_t dims[4] = {1, 1, 8, 8};
        begin_model(&t, ctx, 17, &graph);
        put_port(&t, GRAPH_INPUT, "x", ONNX_FLOAT, 4, dims);
        uint64_t tensor = evi_put_begin(&t, GRAPH_INITIALIZER);
        evi_put_int(&t, TENSOR_DIMS, 1);
        evi_put_int(&t, TENSOR_TYPE, ONNX_FLOAT);
        evi_put_string(&t, TENSOR_NAME, "w");
        if (i < 4) {
            uint64_t entry = evi_put_begin(&t, TENSOR_EXTERNAL);
            evi_put_string(&t, 1, "location");
            evi_put_string(&t, 2, paths[i]);
            evi_put_end(&t, entry);
        } else {
            evi_put_bytes(&t, TENSOR_RAW, "\0\0\0\0", 4);
            evi_put_int(&t, TENSOR_LOCATION, i - 3);
        }
        evi_put_end(&t, tensor);
        evi_put_end(&t, begin_node(&t, "Add", "x", "w", "y"));
        ck_assert_int_eq(finish_and_load(&t, graph, false), EV_ERR_UNSUPPORTED);
        ck_assert_ptr_nonnull(strstr(ev_last_error(), "external data"));
    }
    ev_context_destroy(ctx);
}
END_TEST

/* ---- no memory ------------------------------------------------------------------------------------- */

typedef struct load_arg {
    const void *bytes;
    uint64_t n;
} load_arg;

static ev_status body_load(ev_context *ctx, void *arg)
{
    const load_arg *a = arg;
    ev_model *m = NULL;
    ev_status status = ev_model_load_memory(ctx, a->bytes, a->n, NULL, &m);
    ev_model_destroy(m);
    return status;
}

static ev_status body_save(ev_context *ctx, void *arg)
{
    const load_arg *a = arg;
    ev_model *m = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    ev_status status = ev_model_load_memory(ctx, a->bytes, a->n, NULL, &m);
    if (status == EV_OK)
        status = ev_model_save_memory(m, &bytes, &n);
    if (status == EV_OK)
        status = ev_model_save(m, "/dev/null.onnx") == EV_ERR_MEMORY ? EV_ERR_MEMORY : EV_OK;
    ev_bytes_destroy(bytes);
    ev_model_destroy(m);
    return status;
}

START_TEST(no_memory)
{
    static const char *const names[] = {"dense", "calls", "norms", "odd_resize", "shapes"};
    ev_context *ctx = t_context(NULL, 1);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        load_arg a;
        void *bytes = NULL;
        saved(ctx, names[i], &bytes, &a.n);
        a.bytes = bytes;
        long k = t_each_alloc(body_load, &a, 1, 0), s = t_each_alloc(body_save, &a, 1, 0);
        printf("%s: %ld allocations to load, %ld to load and save, each failed in turn\n", names[i],
               k, s);
        ev_bytes_destroy(bytes);
    }
    ev_context_destroy(ctx);
}
END_TEST

/* Saving the drawn model itself: calls are drawn in, which a loaded one no longer has. */
static ev_status body_draw(ev_context *ctx, void *arg)
{
    ev_model *m = NULL;
    void *bytes = NULL;
    uint64_t n = 0;
    ev_status status = drawn_model(ctx, drawn_find(arg), &m);
    if (status == EV_OK)
        status = ev_model_save_memory(m, &bytes, &n);
    ev_bytes_destroy(bytes);
    ev_model_destroy(m);
    return status;
}

START_TEST(no_memory_for_calls)
{
    char name[] = "calls";
    printf("calls: %ld allocations to draw and save, each failed in turn\n",
           t_each_alloc(body_draw, name, 1, 0));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("onnx damage");
    TCase *c = tcase_create("damage");
    tcase_set_timeout(c, run_all() ? 3600 : 240);
    tcase_add_test(c, truncated);
    tcase_add_test(c, flipped);
    tcase_add_test(c, crc_of_the_weights);
    tcase_add_test(c, flipped_without_checksum);
    tcase_add_test(c, field_by_field);
    tcase_add_test(c, random_bytes);
    tcase_add_test(c, windows_out_of_range);
    tcase_add_test(c, dimensions_out_of_range);
    tcase_add_test(c, small_files_with_large_results);
    tcase_add_test(c, nested_10000_deep);
    tcase_add_test(c, many_parts);
    tcase_add_test(c, named_errors);
    tcase_add_test(c, external_data_is_refused);
    tcase_add_test(c, no_memory);
    tcase_add_test(c, no_memory_for_calls);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
