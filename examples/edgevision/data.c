/* SPDX-License-Identifier: MIT */
/* edgevision data: manifests of labelled pictures. */
#include <stdlib.h>
#include <string.h>

#include "tool.h"

typedef struct data_options {
    const char *out, *cap_class;
    int32_t json, by_group, random, limit;
    number_list split, subset;
    uint64_t seed;
} data_options;

static const char *const part_names[] = {"train.csv", "valid.csv", "test.csv"};

/* Write to a file, or to stdout as path, label, group. */
static int put(const ev_dataset *data, const char *out)
{
    if (out && strcmp(out, "-") != 0) {
        ev_status status = ev_dataset_write_manifest(data, out);
        if (status == EV_OK) {
            note("%s: %d pictures", out, (int)ev_dataset_size(data));
        }
        return status == EV_OK ? 0 : fail_status(EXIT_IO, status, NULL);
    }
    text t = {0};
    text_add(&t, "path,label,group\n");
    for (int32_t i = 0; i < ev_dataset_size(data); i++) {
        const char *group = ev_dataset_group(data, i);
        text_csv(&t, ev_dataset_path(data, i));
        text_add(&t, ",");
        text_csv(&t, ev_dataset_class_name(data, ev_dataset_label(data, i)));
        text_add(&t, ",");
        text_csv(&t, group ? group : "");
        text_add(&t, "\n");
    }
    fputs(t.data, stdout);
    text_free(&t);
    return 0;
}

static int cap(const ev_dataset *data, const data_options *o)
{
    ev_dataset *less = NULL;
    int32_t label = -1;
    if (o->cap_class) {
        label = ev_dataset_class_index(data, o->cap_class);
        if (label < 0) {
            return fail(EXIT_USAGE, "--class %s: the data has no such class", o->cap_class);
        }
    }
    ev_status status = ev_dataset_cap(data, label, o->limit, o->seed, &less);
    int code = status == EV_OK ? put(less, o->out) : fail_status(EXIT_DATA, status, NULL);
    ev_dataset_destroy(less);
    return code;
}

static int split(const ev_dataset *data, const data_options *o)
{
    ev_dataset *parts[LIST_MAX] = {0};
    char path[PATH_SIZE], name[32];
    int kind = o->by_group ? EV_SPLIT_GROUPED : o->random ? EV_SPLIT_RANDOM : EV_SPLIT_STRATIFIED;
    int code = o->out ? make_folder(o->out)
                      : fail(EXIT_USAGE, "-o DIR is missing: where train.csv ... go");
    if (!code && o->split.n < 2) {
        code = fail(EXIT_USAGE, "--fractions wants two or more numbers");
    }
    if (!code) {
        code = split_data(data, &o->split, kind, o->seed, parts);
    }
    for (int32_t i = 0; i < o->split.n && !code; i++) {
        snprintf(name, sizeof name, "part%d.csv", (int)i + 1);
        path_join(path, o->out, o->split.n <= 3 ? part_names[i] : name);
        code = put(parts[i], path);
    }
    for (int32_t i = 0; i < o->subset.n && !code; i++) {
        ev_dataset *part = NULL;
        double share = o->subset.value[i] / 100;
        ev_status status = ev_dataset_subset(parts[0], share, o->seed, &part);
        snprintf(name, sizeof name, "train-%g.csv", o->subset.value[i]);
        code = status == EV_OK ? put(part, path_join(path, o->out, name))
                               : fail_status(EXIT_DATA, status, NULL);
        ev_dataset_destroy(part);
    }
    for (int32_t i = 0; i < LIST_MAX; i++) {
        ev_dataset_destroy(parts[i]);
    }
    return code;
}

static int stats(const ev_dataset *data, const data_options *o)
{
    text t = {0};
    int32_t n = ev_dataset_size(data);
    text_add(&t, o->json ? "{\"pictures\": %d, \"groups\": %d, \"classes\": {"
                         : "class\tpictures\tshare_%%\n", (int)n, (int)ev_dataset_groups(data));
    for (int32_t c = 0; c < ev_dataset_classes(data); c++) {
        int32_t count = ev_dataset_class_count(data, c);
        if (o->json) {
            text_add(&t, c ? ", " : "");
            text_json(&t, ev_dataset_class_name(data, c));
            text_add(&t, ": %d", (int)count);
        } else {
            text_add(&t, "%s\t%d\t%.1f\n", ev_dataset_class_name(data, c), (int)count,
                     n ? 100.0 * count / n : 0.0);
        }
    }
    if (o->json) {
        text_add(&t, "}}\n");
    } else {
        text_add(&t, "all\t%d\t100.0\ngroups\t%d\t\n", (int)n, (int)ev_dataset_groups(data));
    }
    print_table(&t, stdout);
    return 0;
}

static int leaks(const ev_dataset *a, const ev_dataset *b, int32_t json)
{
    ev_leak_report r;
    EV_OPTIONS_INIT(&r);
    ev_status status = ev_dataset_leaks(a, b, &r);
    if (status != EV_OK) {
        return fail_status(EXIT_DATA, status, NULL);
    }
    printf(json ? "{\"shared_groups\": %d, \"shared_pictures\": %d, \"unreadable\": %d}\n"
                : "shared_groups\t%d\nshared_pictures\t%d\nunreadable\t%d\n",
           (int)r.shared_groups, (int)r.shared_pictures, (int)r.unreadable_items);
    return r.shared_groups || r.shared_pictures ? EXIT_GOAL : 0;
}

static int act(ev_context *ctx, const syntax *s, const data_options *o)
{
    const char *what = s->files[0];
    ev_dataset *data = NULL, *other = NULL;
    bool two = !strcmp(what, "leaks");
    if (strcmp(what, "scan") != 0 && strcmp(what, "cap") != 0 && strcmp(what, "split") != 0 &&
        strcmp(what, "stats") != 0 && !two) {
        return fail(EXIT_USAGE, "what is %s? scan, cap, split, stats or leaks", what);
    }
    if (s->n_files != (two ? 3 : 2)) {
        return fail(EXIT_USAGE, "usage: edgevision data %s", s->usage);
    }
    int code = open_data(ctx, s->files[1], NULL, &data);
    if (!code && two) {
        code = open_data(ctx, s->files[2], NULL, &other);
    }
    if (!code) {
        code = two                       ? leaks(data, other, o->json)
               : !strcmp(what, "scan")   ? put(data, o->out)
               : !strcmp(what, "cap")    ? cap(data, o)
               : !strcmp(what, "split")  ? split(data, o)
                                         : stats(data, o);
    }
    ev_dataset_destroy(data);
    ev_dataset_destroy(other);
    return code;
}

int verb_data(int argc, char **argv)
{
    data_options o = {.split = {3, {64, 16, 20}}, .seed = 1};
    const option table[] = {
        {"out", 'o', OPTION_TEXT, &o.out, "PATH", "manifest to write (split: folder); default "
         "stdout", 0, 0, NULL},
        {"class", 0, OPTION_TEXT, &o.cap_class, "NAME", "cap: this class only (default every)", 0,
         0, NULL},
        {"limit", 0, OPTION_INT, &o.limit, "N", "cap: most pictures of a class (default: as many\n"
         "as the largest other, or as the smallest)", 0, INT32_MAX, NULL},
        {"fractions", 0, OPTION_LIST, &o.split, "A,B,C", "split: shares of train, validation, test",
         1e-9, 1e9, NULL},
        {"by-group", 0, OPTION_FLAG, &o.by_group, NULL, "split: keep clips together", 0, 0, NULL},
        {"random", 0, OPTION_FLAG, &o.random, NULL, "split: without regard to classes", 0, 0, NULL},
        {"subset", 0, OPTION_LIST, &o.subset, "A,B",
         "split: also parts of the training set in %, nested", 1e-9, 100, NULL},
        {"seed", 0, OPTION_SEED, &o.seed, "N", "same seed, same choice", 0, 0, NULL},
        {"json", 0, OPTION_FLAG, &o.json, NULL, "stats, leaks: for machines", 0, 0, NULL},
        {"quiet", 'q', OPTION_FLAG, &tool_quiet, NULL, "no messages but errors", 0, 0, NULL},
    };
    syntax s = {.verb = "data", .usage = "scan|cap|split|stats DATA [options]\n"
                                         "       edgevision data leaks DATA DATA",
                .purpose = "Manifests (CSV: path,label,group) of labelled pictures.  DATA: a "
                           "folder with one folder per\nclass, a folder with counts in the file "
                           "names, or a manifest.  leaks: what two of them share\n(exit code 1 if "
                           "anything).",
                .options = table, .n_options = N_OPTIONS(table), .min_rest = 1, .max_rest = 3,
                .examples = "  edgevision data scan pictures/ -o all.csv\n"
                            "  edgevision data cap all.csv --class empty -o capped.csv\n"
                            "  edgevision data split capped.csv --by-group -o parts/ --subset "
                            "25,50,75\n"};
    ev_context *ctx = NULL;
    int code = options_parse(&s, argc, argv);
    if (code) {
        return code == 1 ? 0 : code;
    }
    code = open_context(1, &ctx);
    if (!code) {
        code = act(ctx, &s, &o);
        ev_context_destroy(ctx);
    }
    return code;
}
