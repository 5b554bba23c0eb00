/* SPDX-License-Identifier: MIT */
/* Datasets: folders, manifests, caps, splits, subsets, filters, leaks. */
#include <edgevision/dataset.h>
#include <math.h>
#include <sys/stat.h>
#include <unistd.h>
#include "support.h"

static ev_context *ctx;
static char dir[T_PATH];

static void setup(void)
{
    ctx = t_context(NULL, 1);
    t_folder(dir);
}

static void teardown(void)
{
    t_folder_remove(dir);
    ev_context_destroy(ctx);
}

static void write_text(const char *name, const char *text)
{
    char path[T_PATH];
    t_write(t_path(path, dir, name), text, strlen(text));
}

static void make_folder(const char *name)
{
    char path[T_PATH];
    ck_assert_int_eq(mkdir(t_path(path, dir, name), 0777), 0);
}

static ev_dataset *read_text(const char *text)
{
    char path[T_PATH];
    ev_dataset *d = NULL;
    write_text("m.csv", text);
    t_ok(ev_dataset_read_manifest(ctx, t_path(path, dir, "m.csv"), NULL, &d));
    return d;
}

/* n items in clips of ten, four classes of very different sizes, many clips of one class. */
static ev_dataset *clips(int32_t n)
{
    static const char *const names[] = {"empty", "pedestrian", "dog_walker", "bicyclist"};
    ev_dataset *d = NULL;
    t_ok(ev_dataset_create(ctx, 4, names, &d));
    for (int32_t i = 0; i < n; i++) {
        char path[64], group[64];
        int32_t clip = i / 10, label = clip % 10 < 5 ? 0 : clip % 10 < 8 ? 1 : clip % 10 - 6;
        if (i % 10 < 3)
            label = 0; /* a clip starts empty */
        snprintf(path, sizeof(path), "frames/%05d.png", (int)i);
        snprintf(group, sizeof(group), "clip%d", (int)clip);
        t_ok(ev_dataset_add_path(d, path, label, group));
    }
    return d;
}

/* ---- make ------------------------------------------------------------------------------------ */

START_TEST(by_hand)
{
    ev_dataset *d = NULL, *part = NULL;
    static const char *const twice[] = {"a", "a"}, *const none[] = {"a", ""};
    t_status(ev_dataset_create(ctx, 0, NULL, &d), EV_ERR_ARGUMENT);
    t_status(ev_dataset_create(ctx, 2, twice, &d), EV_ERR_ARGUMENT);
    t_status(ev_dataset_create(ctx, 2, none, &d), EV_ERR_ARGUMENT);
    t_ok(ev_dataset_create(ctx, 3, NULL, &d));
    ck_assert_str_eq(ev_dataset_class_name(d, 2), "2");
    ck_assert_int_eq(ev_dataset_class_index(d, "1"), 1);
    ck_assert_int_eq(ev_dataset_class_index(d, "9"), -1);
    for (int32_t i = 0; i < 200; i++)
        t_ok(ev_dataset_add_path(d, "x.png", i % 3, i < 100 ? "g" : NULL));
    t_status(ev_dataset_add_path(d, "x.png", 3, NULL), EV_ERR_ARGUMENT);
    t_status(ev_dataset_add_path(d, "x.png", -1, NULL), EV_ERR_ARGUMENT);
    t_status(ev_dataset_add_path(d, "", 0, NULL), EV_ERR_ARGUMENT);
    ck_assert_int_eq(ev_dataset_size(d), 200);
    ck_assert_int_eq(ev_dataset_class_count(d, 0), 67);
    ck_assert_int_eq(ev_dataset_groups(d), 1);
    ck_assert_str_eq(ev_dataset_group(d, 99), "g");
    ck_assert_ptr_null(ev_dataset_group(d, 100));
    ck_assert_int_eq(ev_dataset_label(d, 200), -1);
    ck_assert_ptr_null(ev_dataset_path(d, -1));
    static const int32_t chosen[] = {5, 199, 5};
    t_ok(ev_dataset_select(d, chosen, 3, &part));
    ck_assert_int_eq(ev_dataset_size(part), 3);
    ck_assert_int_eq(ev_dataset_label(part, 1), 199 % 3);
    t_status(ev_dataset_add_path(d, "x.png", 0, NULL), EV_ERR_STATE);
    ev_dataset_destroy(part);
    t_ok(ev_dataset_add_path(d, "x.png", 0, NULL));
    static const int32_t outside[] = {201};
    t_status(ev_dataset_select(d, outside, 1, &part), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(part);
    ev_dataset_destroy(d);
    ck_assert_int_eq(ev_dataset_size(NULL) + ev_dataset_classes(NULL) + ev_dataset_groups(NULL), 0);
}
END_TEST

START_TEST(from_tensor)
{
    const int64_t dims[4] = {3, 1, 2, 2};
    static const int32_t labels[] = {1, 0, 1}, wrong[] = {1, 2, 1};
    ev_tensor *tensor = NULL;
    ev_dataset *d = NULL;
    ev_image *image = NULL;
    t_ok(ev_tensor_create(ctx, EV_TYPE_UINT8, 4, dims, &tensor));
    for (int i = 0; i < 12; i++)
        ((uint8_t *)ev_tensor_data(tensor))[i] = (uint8_t)(i * 20);
    t_status(ev_dataset_from_tensor(ctx, tensor, wrong, 2, NULL, &d), EV_ERR_ARGUMENT);
    ck_assert_ptr_null(d);
    t_ok(ev_dataset_from_tensor(ctx, tensor, labels, 2, NULL, &d));
    ck_assert_int_eq(ev_dataset_label(d, 2), 1);
    t_ok(ev_dataset_image(d, 2, NULL, &image));
    ck_assert_int_eq(ev_image_format(image), EV_PIXEL_RGB);
    ck_assert_int_eq(ev_image_data(image)[3], 9 * 20);
    ev_image_destroy(image);
    t_status(ev_dataset_image(d, 3, NULL, &image), EV_ERR_ARGUMENT);
    char path[T_PATH];
    t_status(ev_dataset_write_manifest(d, t_path(path, dir, "x.csv")), EV_ERR_ARGUMENT);
    ev_dataset_destroy(d);
    ev_tensor_destroy(tensor);
}
END_TEST

START_TEST(folders)
{
    make_folder("dog");
    make_folder("cat");
    make_folder("zebra");
    make_folder(".hidden");
    make_folder("cat/clip2");
    make_folder("cat/clip2/deep");
    write_text("dog/b.png", "");
    write_text("dog/a.JPG", "");
    write_text("dog/notes.txt", "");
    write_text("dog/.x.png", "");
    write_text("cat/clip2/1.ppm", "");
    write_text("cat/clip2/deep/2.bmp", "");
    write_text("top.png", "");
    char path[T_PATH];
    ck_assert_int_eq(symlink("..", t_path(path, dir, "cat/clip2/round")), 0);
    ev_dataset *d = NULL;
    t_ok(ev_dataset_scan(ctx, dir, NULL, &d));
    ck_assert_int_eq(ev_dataset_classes(d), 3);
    ck_assert_str_eq(ev_dataset_class_name(d, 0), "cat");
    ck_assert_str_eq(ev_dataset_class_name(d, 2), "zebra");
    ck_assert_int_eq(ev_dataset_size(d), 4);
    ck_assert_str_eq(ev_dataset_path(d, 0), t_path(path, dir, "cat/clip2/1.ppm"));
    ck_assert_str_eq(ev_dataset_group(d, 1), "clip2");
    ck_assert_str_eq(ev_dataset_path(d, 2), t_path(path, dir, "dog/a.JPG"));
    ck_assert_ptr_null(ev_dataset_group(d, 2));
    ev_dataset_destroy(d);
    static const char *const names[] = {"dog", "cat"};
    ev_dataset_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.n_classes = 2;
    opt.class_names = names;
    t_ok(ev_dataset_scan(ctx, dir, &opt, &d));
    ck_assert_int_eq(ev_dataset_label(d, 0), 1);
    ev_dataset_destroy(d);
    opt.n_classes = 1;
    t_status(ev_dataset_scan(ctx, dir, &opt, &d), EV_ERR_FORMAT);
    opt.drop_unknown = 1;
    t_ok(ev_dataset_scan(ctx, dir, &opt, &d));
    ck_assert_int_eq(ev_dataset_size(d), 2);
    ev_dataset_destroy(d);
    t_status(ev_dataset_scan(ctx, "/nonexistent-folder", NULL, &d), EV_ERR_IO);
    t_status(ev_dataset_scan(ctx, t_path(path, dir, "zebra"), NULL, &d), EV_ERR_FORMAT);
}
END_TEST

START_TEST(counts_in_names)
{
    static const struct {
        const char *name;
        int32_t label;
    } files[] = {{"persons_0_dogs_0_bikes_0_frame_2020-03-01_12-00-00nr1_.jpg", 0},
                 {"persons_0_dogs_0_bikes_1_frame_2020-03-01_12-00-00nr2_.jpg", 3},
                 {"persons_0_dogs_0_bikes_2_frame_2020-03-01_12-00-00nr3_.jpg", -1},
                 {"persons_0_dogs_1_bikes_0_frame_2020-03-01_12-00-00nr4_.jpg", -1},
                 {"persons_1_dogs_0_bikes_0_frame_2020-03-01_12-00-00nr5_.jpg", 1},
                 {"persons_1_dogs_0_bikes_1_frame_2020-03-02_12-00-00nr6_.jpg", 3},
                 {"persons_1_dogs_1_bikes_0_frame_2020-03-02_12-00-00nr7_.jpg", 2},
                 {"persons_1_dogs_1_bikes_1_frame_2020-03-02_12-00-00nr8_.jpg", -1},
                 {"persons_2_dogs_0_bikes_0_frame_2020-03-02_12-00-00nr9_.jpg", -1},
                 {"persons_x_dogs_0_bikes_0_.jpg", -1},
                 {"something.jpg", -1}};
    for (int i = 0; i < 11; i++)
        write_text(files[i].name, "");
    ev_dataset *d = NULL;
    t_ok(ev_dataset_scan_counts(ctx, dir, &d));
    int32_t at = 0;
    for (int i = 0; i < 11; i++)
        if (files[i].label >= 0) {
            ck_assert_int_eq(ev_dataset_label(d, at), files[i].label);
            ck_assert_ptr_nonnull(strstr(ev_dataset_path(d, at), files[i].name));
            at++;
        }
    ck_assert_int_eq(ev_dataset_size(d), at);
    ck_assert_str_eq(ev_dataset_class_name(d, 2), "dog_walker");
    ck_assert_str_eq(ev_dataset_group(d, 0), "2020-03-01_12-00-00");
    ck_assert_int_eq(ev_dataset_groups(d), 2);
    ck_assert_str_eq(ev_dataset_value(d, 1, ev_dataset_column_index(d, "bikes")), "1");
    ev_dataset_destroy(d);
}
END_TEST

/* ---- manifests ------------------------------------------------------------------------------- */

START_TEST(manifest)
{
    ev_dataset *d = read_text("\xef\xbb\xbflabel,path,clip,visible,note\r\n"
                              "b,x/1.png,k1,0.5,\"a, \"\"quoted\"\"\nnote\"\r\n"
                              "\r\n"
                              "a,/abs/2.png,,1,\n"
                              "\"b\",3.png,k1,,last");
    char path[T_PATH], again[T_PATH];
    ck_assert_int_eq(ev_dataset_size(d), 3);
    ck_assert_str_eq(ev_dataset_class_name(d, 0), "a");
    ck_assert_int_eq(ev_dataset_label(d, 0), 1);
    ck_assert_str_eq(ev_dataset_path(d, 0), t_path(path, dir, "x/1.png"));
    ck_assert_str_eq(ev_dataset_path(d, 1), "/abs/2.png");
    ck_assert_str_eq(ev_dataset_group(d, 2), "k1");
    ck_assert_ptr_null(ev_dataset_group(d, 1));
    ck_assert_int_eq(ev_dataset_columns(d), 2);
    ck_assert_str_eq(ev_dataset_value(d, 0, 1), "a, \"quoted\"\nnote");
    ck_assert_str_eq(ev_dataset_value(d, 2, 0), "");
    /* what is written is read back the same */
    t_ok(ev_dataset_write_manifest(d, t_path(again, dir, "again.csv")));
    char *text = t_read(again, NULL);
    ck_assert_ptr_nonnull(strstr(text, "\nx/1.png,b,k1,0.5,"));
    free(text);
    ev_dataset *e = NULL;
    t_ok(ev_dataset_read_manifest(ctx, again, NULL, &e));
    for (int32_t i = 0; i < 3; i++) {
        ck_assert_str_eq(ev_dataset_path(d, i), ev_dataset_path(e, i));
        ck_assert_int_eq(ev_dataset_label(d, i), ev_dataset_label(e, i));
        for (int32_t c = 0; c < 2; c++)
            ck_assert_str_eq(ev_dataset_value(d, i, c), ev_dataset_value(e, i, c));
    }
    ev_dataset_destroy(d);
    ev_dataset_destroy(e);
    /* paths that name no file at all */
    d = read_text("path,label\n/,a\n//,a\n/.,a\n.,a\n./,b\n");
    t_ok(ev_dataset_write_manifest(d, t_path(again, dir, "again.csv")));
    ev_dataset_destroy(d);
    d = read_text("path,label\na,10\nb,9\nc,10\n");
    ck_assert_str_eq(ev_dataset_class_name(d, 0), "9"); /* numbers by value */
    ev_dataset_destroy(d);
}
END_TEST

START_TEST(hostile_manifests)
{
    static const char *const bad[] = {
        "", "\n\n", "path,label\n", "path\na\n", "label\na\n", "path,label,path\na,b,c\n",
        "path,label\na\n", "path,label\na,b,c\n", "path,label\n,b\n", "path,label\na,\n",
        "path,label\n\"a,b\n", "path,label\n\"a\"x,b\n", "path,label,x,x\na,b,c,d\n",
        "path,label,group,group\na,b,c,d\n", "\"path", "\xff\xfe\x00"};
    char path[T_PATH];
    ev_dataset *d = NULL;
    for (int i = 0; i < 16; i++) {
        write_text("m.csv", bad[i]);
        t_path(path, dir, "m.csv");
        t_status(ev_dataset_read_manifest(ctx, path, NULL, &d), EV_ERR_FORMAT);
        ck_assert_ptr_null(d);
        ck_assert_ptr_nonnull(strstr(ev_last_error(), "m.csv"));
    }
    t_write(path, "path,label\na\0b,c\n", 17);
    t_status(ev_dataset_read_manifest(ctx, path, NULL, &d), EV_ERR_FORMAT);
    /* many columns, many commas */
    size_t n = 100000;
    char *many = malloc(n);
    memset(many, ',', n);
    t_write(path, many, n);
    t_status(ev_dataset_read_manifest(ctx, path, NULL, &d), EV_ERR_FORMAT);
    free(many);
    t_status(ev_dataset_read_manifest(ctx, t_path(path, dir, "none.csv"), NULL, &d), EV_ERR_IO);
    /* every cut and every changed byte of a good one: an error or a dataset */
    static const char good[] = "path,label,group\r\n\"a\"\"b\",x,g\n\nc,y,\n";
    for (size_t i = 0; i < sizeof(good) * 8; i++) {
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        if (i < sizeof(good))
            text[i] = '\0';
        else
            text[i % sizeof(good)] = ",\"\n\r\0xé"[i / sizeof(good) % 8];
        t_write(t_path(path, dir, "m.csv"), text, i < sizeof(good) ? i : sizeof(good) - 1);
        if (ev_dataset_read_manifest(ctx, path, NULL, &d) == EV_OK)
            ck_assert_int_gt(ev_dataset_size(d), 0);
        ev_dataset_destroy(d);
    }
}
END_TEST

/* ---- choose ---------------------------------------------------------------------------------- */

static void same_items(const ev_dataset *a, const ev_dataset *b)
{
    ck_assert_int_eq(ev_dataset_size(a), ev_dataset_size(b));
    for (int32_t i = 0; i < ev_dataset_size(a); i++)
        ck_assert_str_eq(ev_dataset_path(a, i), ev_dataset_path(b, i));
}

START_TEST(caps)
{
    ev_dataset *d = clips(1000), *a = NULL, *b = NULL, *c = NULL;
    int32_t largest = 0;
    for (int32_t k = 1; k < 4; k++)
        if (ev_dataset_class_count(d, k) > largest)
            largest = ev_dataset_class_count(d, k);
    t_ok(ev_dataset_cap(d, 0, 0, 7, &a)); /* step D of the paper */
    ck_assert_int_eq(ev_dataset_class_count(a, 0), largest);
    ck_assert_int_eq(ev_dataset_class_count(a, 1), ev_dataset_class_count(d, 1));
    t_ok(ev_dataset_cap(d, 0, 0, 7, &b));
    same_items(a, b);
    t_ok(ev_dataset_cap(d, 0, 0, 8, &c));
    ck_assert_int_eq(ev_dataset_size(a), ev_dataset_size(c));
    bool differs = false;
    for (int32_t i = 0; i < ev_dataset_size(a); i++) {
        differs = differs || strcmp(ev_dataset_path(a, i), ev_dataset_path(c, i)) != 0;
        if (i > 0)
            ck_assert(strcmp(ev_dataset_path(a, i - 1), ev_dataset_path(a, i)) < 0);
    }
    ck_assert(differs);
    ev_dataset_destroy(b);
    ev_dataset_destroy(c);
    t_ok(ev_dataset_cap(d, -1, 20, 7, &b));
    for (int32_t k = 0; k < 4; k++)
        ck_assert_int_eq(ev_dataset_class_count(b, k), 20);
    t_ok(ev_dataset_cap(b, -1, 0, 7, &c));
    same_items(b, c);
    ev_dataset_destroy(c);
    t_status(ev_dataset_cap(d, 4, 0, 7, &c), EV_ERR_ARGUMENT);
    t_status(ev_dataset_cap(d, 0, -1, 7, &c), EV_ERR_ARGUMENT);
    ev_dataset_destroy(a);
    ev_dataset_destroy(b);
    ev_dataset_destroy(d);
}
END_TEST

static const double PAPER[3] = {64, 16, 20};

/* Each item in one part; sizes as the fractions say, within `off` items a class. */
static void check_parts(const ev_dataset *d, ev_dataset **parts, int32_t n, double off,
                        bool classes)
{
    static uint8_t seen[100000];
    memset(seen, 0, sizeof(seen));
    for (int32_t p = 0; p < n; p++) {
        for (int32_t i = 0; i < ev_dataset_size(parts[p]); i++) {
            int number = atoi(ev_dataset_path(parts[p], i) + 7);
            ck_assert_int_eq(seen[number], 0);
            seen[number] = 1;
        }
        double share = PAPER[p] / 100;
        for (int32_t c = 0; classes && c < 4; c++)
            ck_assert(fabs(ev_dataset_class_count(parts[p], c) -
                           share * ev_dataset_class_count(d, c)) <= off);
        ck_assert(fabs(ev_dataset_size(parts[p]) - share * ev_dataset_size(d)) <= 4 * off);
    }
    int32_t total = 0;
    for (int32_t p = 0; p < n; p++)
        total += ev_dataset_size(parts[p]);
    ck_assert_int_eq(total, ev_dataset_size(d));
}

static void end_parts(ev_dataset **parts, int32_t n)
{
    for (int32_t p = 0; p < n; p++)
        ev_dataset_destroy(parts[p]);
}

START_TEST(splits)
{
    ev_dataset *d = clips(2240), *parts[3], *again[3];
    t_ok(ev_dataset_split(d, PAPER, 3, EV_SPLIT_DEFAULT, 3, parts));
    check_parts(d, parts, 3, 1, true);
    t_ok(ev_dataset_split(d, PAPER, 3, EV_SPLIT_STRATIFIED, 3, again));
    for (int p = 0; p < 3; p++)
        same_items(parts[p], again[p]);
    end_parts(parts, 3);
    end_parts(again, 3);
    t_ok(ev_dataset_split(d, PAPER, 3, EV_SPLIT_RANDOM, 3, parts));
    check_parts(d, parts, 3, 0.25, false);
    end_parts(parts, 3);
    static const double bad[] = {0.5, -1};
    t_status(ev_dataset_split(d, bad, 2, 0, 1, parts), EV_ERR_ARGUMENT);
    t_status(ev_dataset_split(d, PAPER, 1, 0, 1, parts), EV_ERR_ARGUMENT);
    t_status(ev_dataset_split(d, PAPER, 3, 9, 1, parts), EV_ERR_ARGUMENT);
    ck_assert(parts[0] == NULL && parts[1] == NULL && parts[2] == NULL);
    ev_dataset_destroy(d);
}
END_TEST

START_TEST(grouped_split)
{
    ev_dataset *d = clips(2240), *parts[3], *again[3];
    t_ok(ev_dataset_split(d, PAPER, 3, EV_SPLIT_GROUPED, 3, parts));
    t_ok(ev_dataset_split(d, PAPER, 3, EV_SPLIT_GROUPED, 3, again));
    check_parts(d, parts, 3, 10, true); /* clips have ten frames */
    for (int p = 0; p < 3; p++)
        same_items(parts[p], again[p]);
    int32_t groups = 0;
    for (int p = 0; p < 3; p++)
        groups += ev_dataset_groups(parts[p]);
    ck_assert_int_eq(groups, 224);
    ev_leak_report report;
    EV_OPTIONS_INIT(&report);
    t_ok(ev_dataset_leaks(parts[0], parts[2], &report));
    ck_assert_int_eq(report.shared_groups, 0);
    ck_assert_int_eq(report.unreadable_items,
                     ev_dataset_size(parts[0]) + ev_dataset_size(parts[2]));
    end_parts(parts, 3);
    end_parts(again, 3);
    /* a random split does leak, and the report says so */
    t_ok(ev_dataset_split(d, PAPER, 3, EV_SPLIT_RANDOM, 3, parts));
    t_ok(ev_dataset_leaks(parts[0], parts[2], &report));
    ck_assert_int_gt(report.shared_groups, 100);
    ck_assert_int_le(report.grouped_items_b, ev_dataset_size(parts[2]));
    ck_assert_int_gt(report.grouped_items_b, ev_dataset_size(parts[2]) / 2);
    end_parts(parts, 3);
    ev_dataset_destroy(d);
}
END_TEST

/* One huge clip and items without any; more parts than groups. */
START_TEST(awkward_groups)
{
    ev_dataset *d = NULL, *parts[3];
    t_ok(ev_dataset_create(ctx, 4, NULL, &d));
    for (int i = 0; i < 100; i++) {
        char path[64];
        snprintf(path, sizeof(path), "frames/%05d.png", i);
        t_ok(ev_dataset_add_path(d, path, i % 2, i < 60 ? "huge" : NULL));
    }
    t_ok(ev_dataset_split(d, PAPER, 3, EV_SPLIT_GROUPED, 1, parts));
    ck_assert_int_eq(ev_dataset_size(parts[0]), 64);
    ck_assert_int_eq(ev_dataset_size(parts[1]), 16);
    end_parts(parts, 3);
    ev_dataset *few = NULL;
    static const int32_t two[] = {0, 1};
    t_ok(ev_dataset_select(d, two, 2, &few));
    for (int kind = 1; kind <= 3; kind++) {
        t_ok(ev_dataset_split(few, PAPER, 3, kind, 1, parts));
        ck_assert_int_eq(ev_dataset_size(parts[0]) + ev_dataset_size(parts[1]) +
                             ev_dataset_size(parts[2]), 2);
        end_parts(parts, 3);
    }
    ev_dataset_destroy(few);
    t_ok(ev_dataset_select(d, NULL, 0, &few));
    for (int kind = 1; kind <= 3; kind++) {
        t_ok(ev_dataset_split(few, PAPER, 3, kind, 1, parts));
        end_parts(parts, 3);
    }
    ev_dataset_destroy(few);
    ev_dataset_destroy(d);
}
END_TEST

static bool contains(const ev_dataset *d, const char *path)
{
    for (int32_t i = 0; i < ev_dataset_size(d); i++)
        if (strcmp(ev_dataset_path(d, i), path) == 0)
            return true;
    return false;
}

START_TEST(subsets)
{
    ev_dataset *d = clips(700), *part[4];
    for (int k = 0; k < 4; k++) {
        t_ok(ev_dataset_subset(d, 0.25 * (k + 1), 5, &part[k]));
        for (int32_t c = 0; c < 4; c++)
            ck_assert_int_eq(ev_dataset_class_count(part[k], c),
                             (int32_t)(0.25 * (k + 1) * ev_dataset_class_count(d, c) + 0.5));
    }
    for (int k = 0; k < 3; k++)
        for (int32_t i = 0; i < ev_dataset_size(part[k]); i++)
            ck_assert(contains(part[k + 1], ev_dataset_path(part[k], i)));
    same_items(d, part[3]);
    end_parts(part, 4);
    ev_dataset *out = NULL;
    t_status(ev_dataset_subset(d, 0, 1, &out), EV_ERR_ARGUMENT);
    t_status(ev_dataset_subset(d, 1.01, 1, &out), EV_ERR_ARGUMENT);
    t_status(ev_dataset_subset(d, NAN, 1, &out), EV_ERR_ARGUMENT);
    t_ok(ev_dataset_subset(d, 1e-9, 1, &out));
    ck_assert_int_eq(ev_dataset_size(out), 4); /* at least one of each class */
    ev_dataset_destroy(out);
    ev_dataset_destroy(d);
}
END_TEST

START_TEST(filters)
{
    ev_dataset *d = read_text("path,label,persons,visible,camera\na,x,1,0.5,c1\nb,x,2,1,c1\n"
                              "c,y,0,,c2\nd,y,1,1e0,\n"),
               *out = NULL;
    t_ok(ev_dataset_filter(d, "persons", -INFINITY, 1, 0, &out));
    ck_assert_int_eq(ev_dataset_size(out), 3);
    ev_dataset_destroy(out);
    t_ok(ev_dataset_filter(d, "visible", 0.9, INFINITY, 0, &out));
    ck_assert_int_eq(ev_dataset_size(out), 2);
    ev_dataset_destroy(out);
    t_ok(ev_dataset_filter(d, "visible", 0.9, INFINITY, 1, &out));
    ck_assert_int_eq(ev_dataset_size(out), 3);
    ev_dataset_destroy(out);
    t_status(ev_dataset_filter(d, "camera", 0, 1, 0, &out), EV_ERR_FORMAT);
    t_status(ev_dataset_filter(d, "nothing", 0, 1, 0, &out), EV_ERR_ARGUMENT);
    t_status(ev_dataset_filter(d, "persons", NAN, 1, 0, &out), EV_ERR_ARGUMENT);
    t_ok(ev_dataset_where(d, "camera", "c1", 0, &out));
    ck_assert_int_eq(ev_dataset_size(out), 2);
    ev_dataset_destroy(out);
    t_ok(ev_dataset_where(d, "label", "y", 1, &out));
    ck_assert_int_eq(ev_dataset_size(out), 2);
    ev_dataset_destroy(out);
    t_ok(ev_dataset_where(d, "group", "", 0, &out));
    ck_assert_int_eq(ev_dataset_size(out), 4);
    ev_dataset_destroy(out);
    t_status(ev_dataset_where(d, "nothing", "", 0, &out), EV_ERR_ARGUMENT);
    ev_dataset_destroy(d);
}
END_TEST

START_TEST(leaks)
{
    char path[T_PATH];
    ev_dataset *a = NULL, *b = NULL;
    ev_image *image = NULL, *copy = NULL;
    static const char *const files[] = {"1.png", "2.png", "3.png", "4.png"};
    static const char *const bytes[] = {"one", "two", "one", "four"};
    t_ok(ev_dataset_create(ctx, 1, NULL, &a));
    t_ok(ev_dataset_create(ctx, 1, NULL, &b));
    for (int i = 0; i < 4; i++) {
        write_text(files[i], bytes[i]);
        t_path(path, dir, files[i]);
        t_ok(ev_dataset_add_path(i < 2 ? a : b, path, 0, i == 1 ? "q" : "p"));
    }
    t_ok(ev_image_create(ctx, 3, 2, EV_PIXEL_RGB, &image));
    t_ok(ev_image_crop(image, 0, 0, 3, 2, &copy));
    t_ok(ev_dataset_add_image(a, image, 0, NULL));
    t_ok(ev_dataset_add_image(b, copy, 0, NULL));
    t_ok(ev_dataset_add_path(b, t_path(path, dir, "none.png"), 0, NULL));
    ev_leak_report report;
    EV_OPTIONS_INIT(&report);
    t_ok(ev_dataset_leaks(a, b, &report));
    ck_assert_int_eq(report.shared_pictures, 2);
    ck_assert_int_eq(report.first_a, 0);
    ck_assert_int_eq(report.first_b, 0);
    ck_assert_int_eq(report.shared_groups, 1);
    ck_assert_int_eq(report.grouped_items_a, 1);
    ck_assert_int_eq(report.grouped_items_b, 2);
    ck_assert_int_eq(report.unreadable_items, 1);
    t_status(ev_dataset_leaks(a, NULL, &report), EV_ERR_ARGUMENT);
    t_status(ev_dataset_leaks(a, b, NULL), EV_ERR_ARGUMENT);
    ev_image_destroy(image);
    ev_image_destroy(copy);
    ev_dataset_destroy(a);
    ev_dataset_destroy(b);
}
END_TEST

int main(void)
{
    Suite *s = suite_create("dataset");
    TCase *c = tcase_create("dataset");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_test(c, by_hand);
    tcase_add_test(c, from_tensor);
    tcase_add_test(c, folders);
    tcase_add_test(c, counts_in_names);
    tcase_add_test(c, manifest);
    tcase_add_test(c, hostile_manifests);
    tcase_add_test(c, caps);
    tcase_add_test(c, splits);
    tcase_add_test(c, grouped_split);
    tcase_add_test(c, awkward_groups);
    tcase_add_test(c, subsets);
    tcase_add_test(c, filters);
    tcase_add_test(c, leaks);
    suite_add_tcase(s, c);
    return t_run(s);
}
