/* SPDX-License-Identifier: MIT */
/* Pictures that nobody on this project made: valid, damaged and hostile ones, and what must happen
 * to each by its MANIFEST.tsv.  And small pictures of our own, damaged at every place. */
#include <edgevision/image.h>
#include <math.h>
#include "support.h"

typedef struct row {
    char path[512], kind[16], expect[32];
    int32_t width, height;
    uint64_t hash;
    bool has_hash;
    bool has_mean;
    double mean[4];
    int32_t depth;
    int32_t channels;
} row;

typedef struct tally {
    char kind[16], expect[32];
    int32_t n, right, decoded;
} tally;

/* The manifest starts FNV-1a from this number, which is not quite the customary one. */
static uint64_t fnv1a(const uint8_t *p, size_t n)
{
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < n; i++)
        h = (h ^ p[i]) * 0x100000001b3u;
    return h;
}

/* Columns: path kind expect width height channels depth warnings hash means ... */
static bool parse_row(char *line, row *r)
{
    char *field[10] = {0}, *p = line;
    for (int i = 0; i < 10; i++) {
        field[i] = p;
        p = strchr(p, '\t');
        if (p == NULL)
            return false;
        *p++ = '\0';
    }
    *r = (row){0};
    snprintf(r->path, sizeof(r->path), "%s", field[0]);
    snprintf(r->kind, sizeof(r->kind), "%s", field[1]);
    snprintf(r->expect, sizeof(r->expect), "%s", field[2]);
    r->width = (int32_t)strtol(field[3], NULL, 10);
    r->height = (int32_t)strtol(field[4], NULL, 10);
    r->channels = (int32_t)strtol(field[5], NULL, 10);
    r->depth = (int32_t)strtol(field[6], NULL, 10);
    r->has_hash = strcmp(field[8], "-") != 0;
    r->hash = strtoull(field[8], NULL, 16);
    r->has_mean = sscanf(field[9], "%lf,%lf,%lf,%lf", &r->mean[0], &r->mean[1], &r->mean[2],
                         &r->mean[3]) == 4;
    return true;
}

static bool right_pixels(const ev_image *image, const row *r)
{
    if (ev_image_width(image) != r->width || ev_image_height(image) != r->height)
        return false;
    size_t n = (size_t)r->width * (size_t)r->height;
    const uint8_t *p = ev_image_data(image);
    if (strcmp(r->kind, "png") == 0)
        return !r->has_hash || fnv1a(p, 4 * n) == r->hash;
    if (strcmp(r->kind, "jpeg") != 0 || !r->has_mean)
        return true;
    double sum[3] = {0};
    for (size_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            sum[c] += p[4 * i + (size_t)c];
    int n_means = r->channels == 1 ? 1 : 3;
    for (int c = 0; c < n_means; c++)
        if (fabs(sum[c] / (double)n - r->mean[c]) > 0.5)
            return false;
    return true;
}

static bool judge(const row *r, ev_status status, const ev_image *image)
{
    if (status == EV_ERR_UNSUPPORTED && strstr(ev_last_error(), "without JPEG") != NULL)
        return true; /* -Dcodecs=none */
    if (strcmp(r->expect, "ok") == 0)
        return status == EV_OK && right_pixels(image, r);
    if (strcmp(r->expect, "fail") == 0)
        return status == EV_ERR_FORMAT || status == EV_ERR_UNSUPPORTED;
    if (strcmp(r->expect, "refuse-too-large") == 0)
        return status == EV_ERR_UNSUPPORTED || status == EV_ERR_FORMAT;
    bool clean = status == EV_OK || status == EV_ERR_FORMAT || status == EV_ERR_UNSUPPORTED;
    return clean && (status != EV_OK || image != NULL);
}

static void count(tally *t, int *n, const row *r, bool right, bool decoded)
{
    int i = 0;
    while (i < *n && (strcmp(t[i].kind, r->kind) != 0 || strcmp(t[i].expect, r->expect) != 0))
        i++;
    if (i == *n) {
        t[(*n)++] = (tally){0};
        strcpy(t[i].kind, r->kind);
        strcpy(t[i].expect, r->expect);
    }
    t[i].n++;
    t[i].right += right;
    t[i].decoded += decoded;
}

static int32_t run_manifest(ev_context *ctx, const char *folder, FILE *f)
{
    static char line[8192];
    static tally tallies[64];
    int n_tallies = 0;
    int32_t wrong = 0;
    ev_decode_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.format = EV_PIXEL_RGBA;
    while (fgets(line, sizeof(line), f) != NULL) {
        row r;
        if (!parse_row(line, &r) || strcmp(r.path, "path") == 0)
            continue;
        char path[1100];
        snprintf(path, sizeof(path), "%s/%s", folder, r.path);
        ev_image *image = NULL;
        ev_status status = ev_image_load(ctx, path, &opt, &image);
        bool right = judge(&r, status, image);
        if (!right) {
            wrong++;
            printf("%s: %s, but %s%s%s\n", r.path, r.expect, ev_status_name(status),
                   status != EV_OK ? ": " : "", status != EV_OK ? ev_last_error() : "");
        }
        count(tallies, &n_tallies, &r, right, status == EV_OK);
        ev_image_destroy(image);
    }
    for (int i = 0; i < n_tallies; i++)
        printf("%-5s %-18s %4d of %4d right (%d decoded)\n", tallies[i].kind, tallies[i].expect,
               tallies[i].right, tallies[i].n, tallies[i].decoded);
    return wrong;
}

START_TEST(corpus)
{
    const char *found = t_testdata("images");
    if (found == NULL) {
        printf("SKIPPED: no test pictures (EV_TESTDATA)\n");
        return;
    }
    char folder[T_PATH], path[T_PATH + 32];
    snprintf(folder, sizeof(folder), "%s", found);
    snprintf(path, sizeof(path), "%s/MANIFEST.tsv", folder);
    FILE *f = fopen(path, "r");
    ck_assert_ptr_nonnull(f);
    t_hooks hooks = {0};
    ev_context *ctx = t_context(&hooks, 1);
    int32_t wrong = run_manifest(ctx, folder, f);
    fclose(f);
    ev_context_destroy(ctx);
    fflush(stdout); /* Check's child ends without it */
    ck_assert_int_eq(wrong, 0);
    ck_assert_int_eq(atomic_load(&hooks.n_live), 0);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("corpus");
    TCase *c = tcase_create("corpus");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, corpus);
    suite_add_tcase(s, c);
    return t_run(s);
}
