/* SPDX-License-Identifier: MIT */
/* The ONNX backend cases of the test data: how many pass, by operator.
 *
 *   conformance [--threads N] [--cpu-disable MASK] [--saved] [--minimum N] [--verbose]
 *
 * --saved: each model goes through our writer and reader first.
 *
 * Exit status 77 (skipped) without the data. */
#include "pb.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPS 128

/* Convolution and pooling over volumes, and what belongs to them, are out of scope. */
static const char *const waived[] = {
    "node/test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_False",
    "node/test_averagepool_3d_dilations_large_count_include_pad_is_0_ceil_mode_is_True",
    "node/test_averagepool_3d_dilations_large_count_include_pad_is_1_ceil_mode_is_True",
    "node/test_maxpool_3d_dilations_use_ref_impl",
    "node/test_maxpool_3d_dilations_use_ref_impl_large",
    "pytorch-converted/test_AvgPool3d_stride",
    "pytorch-converted/test_AvgPool3d_stride1_pad0_gpu_input",
    "pytorch-converted/test_Conv3d",
    "pytorch-converted/test_Conv3d_dilated",
    "pytorch-converted/test_Conv3d_dilated_strided",
    "pytorch-converted/test_Conv3d_groups",
    "pytorch-converted/test_Conv3d_stride",
    "pytorch-converted/test_Conv3d_stride_padding",
    "pytorch-converted/test_MaxPool3d",
    "pytorch-converted/test_MaxPool3d_stride",
    "pytorch-converted/test_MaxPool3d_stride_padding",
};

typedef struct row {
    char op[64];
    int passed, total;
} row;

typedef struct table {
    row rows[MAX_OPS];
    int n, passed, total, waived, flagged, bound;
} table;

static row *row_of(table *t, const char *op)
{
    for (int i = 0; i < t->n; i++)
        if (strcmp(t->rows[i].op, op) == 0)
            return &t->rows[i];
    if (t->n == MAX_OPS)
        return &t->rows[MAX_OPS - 1];
    snprintf(t->rows[t->n].op, sizeof(t->rows[0].op), "%s", op);
    return &t->rows[t->n++];
}

static bool is_waived(const char *dir)
{
    for (size_t i = 0; i < sizeof(waived) / sizeof(waived[0]); i++)
        if (strcmp(waived[i], dir) == 0)
            return true;
    return false;
}

/* "Conv*1,Relu*2": one case counts for each operator in it. */
static void count_ops(table *t, char *ops, bool passed)
{
    for (char *op = strtok(ops, ","); op != NULL; op = strtok(NULL, ",")) {
        op[strcspn(op, "*")] = '\0';
        row *r = row_of(t, op);
        r->total++;
        r->passed += passed;
    }
}

static void run_row(ev_context *ctx, const char *base, char *line, bool saved, bool verbose,
                    table *t)
{
    char *column[9] = {0}, folder[PB_PATH];
    for (int i = 0; i < 9 && line != NULL; i++)
        column[i] = strsep(&line, "\t\n");
    if (column[7] == NULL)
        return;
    if (column[7][0] != '\0' || is_waived(column[0])) {
        t->flagged += column[7][0] != '\0';
        t->waived += column[7][0] == '\0';
        return;
    }
    pb_case c;
    snprintf(folder, sizeof(folder), "%s/%s", base, column[0]);
    pb_run_case(ctx, folder, saved, 1e-6, 1e-5, &c);
    bool passed = c.n_sets > 0 && c.status == EV_OK && c.error.reason == NULL && c.error.worst <= 1;
    t->total++;
    t->passed += passed;
    t->bound += c.n_bound > 0;
    if (!passed)
        printf("FAILED %s (opset %s): %s %s%s, worst %.3g x tolerance\n", column[0], column[2],
               ev_status_name(c.status), c.line, c.error.reason == NULL ? "" : c.error.reason,
               c.error.worst);
    else if (verbose)
        printf("passed %s, %d bound, worst %.3g\n", column[0], (int)c.n_bound, c.error.worst);
    count_ops(t, column[5], passed);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const row *)a)->op, ((const row *)b)->op);
}

static void print_table(table *t)
{
    qsort(t->rows, (size_t)t->n, sizeof(row), by_name);
    printf("%-24s %6s %6s\n", "operator", "passed", "cases");
    for (int i = 0; i < t->n; i++)
        printf("%-24s %6d %6d%s\n", t->rows[i].op, t->rows[i].passed, t->rows[i].total,
               t->rows[i].passed < t->rows[i].total ? "  <--" : "");
    printf("%-24s %6d %6d\n", "all cases", t->passed, t->total);
    printf("left out: %d that need NumPy's random stream, %d over volumes; %d with bound inputs\n",
           t->flagged, t->waived, t->bound);
}

int main(int argc, char **argv)
{
    const char *base = t_testdata("onnx-node");
    ev_context_options opt;
    EV_OPTIONS_INIT(&opt);
    int minimum = 0;
    bool verbose = false, saved = false;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : "0";
        if (strcmp(argv[i], "--threads") == 0)
            opt.n_threads = atoi(value);
        else if (strcmp(argv[i], "--cpu-disable") == 0)
            opt.cpu_disable = (uint32_t)atoi(value);
        else if (strcmp(argv[i], "--minimum") == 0)
            minimum = atoi(value);
        else if (strcmp(argv[i], "--saved") == 0)
            saved = true;
        else if (strcmp(argv[i], "--verbose") == 0)
            verbose = true;
    }
    char path[PB_PATH], line[2048];
    snprintf(path, sizeof(path), "%s/index.tsv", base == NULL ? "" : base);
    FILE *index = fopen(path, "r");
    if (index == NULL) {
        printf("SKIPPED: no onnx-node in the test data (set EV_TESTDATA)\n");
        return 77;
    }
    static table t;
    ev_context *ctx = NULL;
    if (ev_context_create(&opt, &ctx) != EV_OK)
        return 1;
    uint64_t before = ev_context_memory_bytes(ctx);
    for (int n = 0; fgets(line, sizeof(line), index) != NULL; n++)
        if (n > 0)
            run_row(ctx, base, line, saved, verbose, &t);
    fclose(index);
    uint64_t left = ev_context_memory_bytes(ctx) - before;
    ev_context_destroy(ctx);
    print_table(&t);
    if (left != 0)
        printf("%llu bytes were not given back\n", (unsigned long long)left);
    return t.passed < minimum || left != 0;
}
