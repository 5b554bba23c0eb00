/* SPDX-License-Identifier: MIT */
/* Files that mean harm: sizes, numbers and nesting that nobody writes by accident. */
#include "damage.h"
#include "onnx/onnx.h"

/* ---- hostile files --------------------------------------------------------------------------- */

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

static void put_tensor(evi_text *t, const char *name, int32_t rank, const int64_t *dims,
                       int32_t type, const void *raw, uint64_t n_bytes)
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
    ev_status status = damage_load(ctx, t->data, t->length, &m);
    if (status == EV_OK && run)
        damage_run(ctx, m);
    ev_model_destroy(m);
    ev_context_destroy(ctx);
    evi_text_end(t);
    return status;
}

START_TEST(windows_out_of_range)
{
    static const int64_t values[] = {0,         -1,       65536, INT32_MAX, (int64_t)1 << 31,
                                     INT64_MAX, INT64_MIN};
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
    static const int64_t sizes[] = {0,
                                    1,
                                    (1 << 24) - 1,
                                    INT32_MAX - 1,
                                    INT32_MAX,
                                    (int64_t)1 << 31,
                                    UINT32_MAX,
                                    (int64_t)1 << 61,
                                    INT64_MAX,
                                    -1,
                                    INT64_MIN};
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
        ck_assert(damage_load(ctx, inner.data, inner.length, NULL) != EV_OK);
        evi_text_end(&inner);
        evi_text_end(&outer);
    }
    /* groups: the start tag 10,000 times */
    char *groups = malloc(10000);
    memset(groups, 0x3b, 10000);
    t_status(damage_load(ctx, groups, 10000, NULL), EV_ERR_FORMAT);
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

static Suite *suite(void)
{
    Suite *s = suite_create("onnx hostile files");
    TCase *c = tcase_create("all");
    tcase_set_timeout(c, damage_run_all() ? 3600 : 240);
    tcase_add_test(c, windows_out_of_range);
    tcase_add_test(c, dimensions_out_of_range);
    tcase_add_test(c, small_files_with_large_results);
    tcase_add_test(c, nested_10000_deep);
    tcase_add_test(c, many_parts);
    tcase_add_test(c, named_errors);
    tcase_add_test(c, external_data_is_refused);
    suite_add_tcase(s, c);
    return s;
}

int main(void)
{
    return t_run(suite());
}
