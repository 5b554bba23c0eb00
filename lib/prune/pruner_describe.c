/* SPDX-License-Identifier: MIT */
/* What can go from a model and what cannot, as a table and as JSON. */
#include "prune/prune.h"
#include <math.h>
#include <stdio.h>

static const char *kind_of(int32_t kind)
{
    static const char *const names[] = {"", "residual", "layer", "stage", "dense"};
    return names[kind];
}

static void spaces(evi_text *t, int32_t n)
{
    for (int32_t i = 0; i < n; i++)
        evi_text_add(t, " ");
}

/* A whole number at least `width` wide; no locale has a say in it. */
static void add_whole(evi_text *t, double x, int32_t width)
{
    char digits[32];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)llround(x));
    spaces(t, width - n);
    evi_text_add(t, "%s", digits);
}

static void group_row(evi_text *t, const ev_pruner *p, int32_t i)
{
    ev_prune_group g = {.struct_size = sizeof g};
    ev_pruner_group(p, i, &g);
    evi_text_add(t, "%5d  %-24s %9d %9d %9d ", (int)i, g.layer, (int)g.n_channels, (int)g.min_width,
                 (int)g.round_to);
    add_whole(t, g.params_per_channel, 12);
    evi_text_add(t, " %7d  %s\n", (int)g.n_layers, g.blocked != NULL ? g.blocked : "-");
}

static void block_row(evi_text *t, const ev_pruner *p, int32_t i)
{
    ev_prune_block b = {.struct_size = sizeof b};
    ev_pruner_block(p, i, &b);
    evi_text_add(t, "%5d  %-24s %-9s %9d ", (int)i, b.layer, kind_of(b.kind), (int)b.n_layers);
    add_whole(t, (double)b.parameters, 12);
    add_whole(t, b.macs, 16);
    evi_text_add(t, "  %s", b.redraws ? "drawn anew" : "stays as it is");
    if (!isnan(b.score)) {
        evi_text_add(t, "  ");
        evi_text_double(t, b.score);
    }
    evi_text_add(t, "\n");
}

static void add_table(evi_text *t, const ev_pruner *p)
{
    int32_t free_groups = 0;
    for (int32_t i = 0; i < p->groups.n; i++)
        free_groups += p->reasons[i] == NULL;
    evi_text_add(t, "%d groups of tied channels, %d of which can shrink\n", (int)p->groups.n,
                 (int)free_groups);
    evi_text_add(t, "%5s  %-24s %9s %9s %9s %12s %7s  %s\n", "group", "first layer", "channels",
                 "at least", "multiple", "weights each", "layers", "blocked by");
    for (int32_t i = 0; i < p->groups.n; i++)
        group_row(t, p, i);
    evi_text_add(t, "%d blocks that can be left out\n", (int)p->blocks.n);
    if (p->blocks.n == 0)
        return;
    evi_text_add(t, "%5s  %-24s %-9s %9s %12s%16s  %s\n", "block", "first layer", "kind", "layers",
                 "parameters", "multiply-adds", "the next layer");
    for (int32_t i = 0; i < p->blocks.n; i++)
        block_row(t, p, i);
}

static void json_number(evi_text *t, const char *name, double x)
{
    evi_text_add(t, ",\"%s\":", name);
    if (isfinite(x))
        evi_text_double(t, x);
    else
        evi_text_add(t, "null");
}

static void json_group(evi_text *t, const ev_pruner *p, int32_t i)
{
    ev_prune_group g = {.struct_size = sizeof g};
    ev_pruner_group(p, i, &g);
    evi_text_add(t, "%s{\"layer\":", i > 0 ? "," : "");
    evi_text_json_string(t, g.layer);
    evi_text_add(t, ",\"channels\":%d,\"min_width\":%d,\"round_to\":%d", (int)g.n_channels,
                 (int)g.min_width, (int)g.round_to);
    json_number(t, "params_per_channel", g.params_per_channel);
    evi_text_add(t, ",\"layers\":[");
    for (int32_t k = 0; k < g.n_layers; k++) {
        evi_text_add(t, "%s", k > 0 ? "," : "");
        evi_text_json_string(t, ev_pruner_group_layer(p, i, k));
    }
    evi_text_add(t, "],\"blocked\":");
    if (g.blocked != NULL)
        evi_text_json_string(t, g.blocked);
    else
        evi_text_add(t, "null");
    evi_text_add(t, "}");
}

static void json_block(evi_text *t, const ev_pruner *p, int32_t i)
{
    ev_prune_block b = {.struct_size = sizeof b};
    ev_pruner_block(p, i, &b);
    evi_text_add(t, "%s{\"kind\":\"%s\",\"layer\":", i > 0 ? "," : "", kind_of(b.kind));
    evi_text_json_string(t, b.layer);
    evi_text_add(t, ",\"layers\":%d,\"redraws\":%d,\"parameters\":%lld", (int)b.n_layers,
                 (int)b.redraws, (long long)b.parameters);
    evi_text_add(t, ",\"macs\":%lld", (long long)llround(b.macs));
    json_number(t, "score", b.score);
    evi_text_add(t, "}");
}

static void add_json(evi_text *t, const ev_pruner *p)
{
    evi_text_add(t, "{\"groups\":[");
    for (int32_t i = 0; i < p->groups.n; i++)
        json_group(t, p, i);
    evi_text_add(t, "],\"blocks\":[");
    for (int32_t i = 0; i < p->blocks.n; i++)
        json_block(t, p, i);
    evi_text_add(t, "]}\n");
}

ev_status ev_pruner_describe(const ev_pruner *pruner, int32_t kind, char **out)
{
    EVI_CHECK_POINTER(out);
    *out = NULL;
    EVI_CHECK_HANDLE(pruner, EVI_MAGIC_PRUNER);
    evi_text t;
    evi_text_start(&t, pruner->handle.ctx);
    switch (kind) {
    case EV_DESCRIBE_TABLE: add_table(&t, pruner); break;
    case EV_DESCRIBE_JSON: add_json(&t, pruner); break;
    default: return evi_fail(EV_ERR_ARGUMENT, "%s: there is no kind %d", __func__, (int)kind);
    }
    if (t.status != EV_OK) {
        ev_status status = t.status;
        evi_text_end(&t);
        return status;
    }
    *out = evi_give(t.data);
    return EV_OK;
}
