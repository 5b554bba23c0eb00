/* SPDX-License-Identifier: MIT */
/* The renderer of the underpass: repeatable pictures, right counts, truth that holds. */
#include "clip.h"
#include "scene.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 96, HEIGHT = 54, BYTES = 3 * WIDTH * HEIGHT };

static scene_frame walker(int label, float z)
{
    scene_frame f = {.seed = 7, .clutter = 8, .dome = 9, .hour = 12.0f, .cloud = 0.4f,
                     .flicker = 1.0f, .n_subjects = 1};
    f.subjects[0] = (scene_subject){.look = 42, .label = label, .x = -0.5f, .z = z,
                                    .speed = 1.3f, .phase = 1.0f};
    return f;
}

static int differing(const uint8_t *a, const uint8_t *b, int by)
{
    int n = 0;
    for (int i = 0; i < BYTES; i++)
        n += abs(a[i] - b[i]) > by;
    return n;
}

START_TEST(same_seed_same_pixels)
{
    static uint8_t a[BYTES], b[BYTES];
    for (int domain = 0; domain < SCENE_N_DOMAINS; domain++) {
        scene_frame f = walker(SCENE_DOG_WALKER, 5.0f);
        f.domain = domain;
        ck_assert(scene_render(&f, WIDTH, HEIGHT, a));
        ck_assert(scene_render(&f, WIDTH, HEIGHT, b));
        ck_assert_mem_eq(a, b, BYTES);
        f.seed++;
        ck_assert(scene_render(&f, WIDTH, HEIGHT, b));
        ck_assert_int_ne(memcmp(a, b, BYTES), 0);
    }
}
END_TEST

START_TEST(subjects_and_domains_show)
{
    static uint8_t a[BYTES], b[BYTES];
    scene_frame    empty = walker(SCENE_PEDESTRIAN, 5.0f);
    empty.n_subjects = 0;
    ck_assert(scene_render(&empty, WIDTH, HEIGHT, a));
    for (int label = SCENE_PEDESTRIAN; label <= SCENE_OTHER; label++) {
        scene_frame f = walker(label, 5.0f);
        ck_assert(scene_render(&f, WIDTH, HEIGHT, b));
        ck_assert_msg(differing(a, b, 20) > 30, "%s does not show", scene_label_name(label));
    }
    for (int domain = SCENE_NIGHT; domain < SCENE_N_DOMAINS; domain++) {
        empty.domain = domain;
        ck_assert(scene_render(&empty, WIDTH, HEIGHT, b));
        ck_assert_int_gt(differing(a, b, 20), BYTES / 20);
    }
}
END_TEST

START_TEST(any_size)
{
    static const int size[][2] = {{8, 8}, {31, 17}, {224, 224}, {64, 300}};
    scene_frame      f = walker(SCENE_BICYCLIST, 6.0f);
    uint8_t         *rgb = malloc(3 * 300 * 300);
    f.domain = SCENE_SPRAY;
    ck_assert_ptr_nonnull(rgb);
    for (int i = 0; i < 4; i++)
        ck_assert(scene_render(&f, size[i][0], size[i][1], rgb));
    ck_assert(!scene_render(&f, 7, 100, rgb));
    ck_assert(!scene_render(&f, 100, 8193, rgb));
    free(rgb);
}
END_TEST

START_TEST(truth_of_one)
{
    scene_truth t;
    scene_frame f = walker(SCENE_PEDESTRIAN, 6.0f);
    scene_truth_of(&f, &t);
    ck_assert_int_eq(t.label, SCENE_PEDESTRIAN);
    ck_assert_int_eq(t.drop, SCENE_KEEP);
    ck_assert_int_eq(t.n_objects, 1);
    ck_assert_int_eq(t.persons, 1);
    ck_assert_float_gt(t.visible_share, 0.95f);
    ck_assert_float_gt(t.y1 - t.y0, 200.0f); /* 1.75 m at 6 m */

    f.subjects[0].z = 17.0f;
    scene_truth_of(&f, &t);
    ck_assert_int_eq(t.drop, SCENE_DROP_FAR);
    f.subjects[0].z = 1.6f; /* only the head and shoulders in view */
    scene_truth_of(&f, &t);
    ck_assert_int_eq(t.drop, SCENE_DROP_PARTIAL);
    f.subjects[0].z = -1.0f; /* behind the camera */
    scene_truth_of(&f, &t);
    ck_assert_int_eq(t.label, SCENE_EMPTY);
    f.n_subjects = 0;
    scene_truth_of(&f, &t);
    ck_assert_int_eq(t.label, SCENE_EMPTY);
    ck_assert_int_eq(t.drop, SCENE_KEEP);
    ck_assert_float_eq(t.visible_share, 1.0f);
}
END_TEST

START_TEST(truth_of_two)
{
    scene_truth t;
    scene_frame f = walker(SCENE_PEDESTRIAN, 5.0f);
    f.n_subjects = 2;
    f.subjects[1] = f.subjects[0];
    f.subjects[1].label = SCENE_BICYCLIST;
    f.subjects[1].z = 9.0f;
    f.subjects[1].x = 1.0f;
    scene_truth_of(&f, &t);
    ck_assert_int_eq(t.n_objects, 2);
    ck_assert_int_eq(t.persons, 2);
    ck_assert_int_eq(t.bicycles, 1);
    ck_assert_int_eq(t.label, SCENE_PEDESTRIAN);
    ck_assert_int_eq(t.drop, SCENE_DROP_SEVERAL);
}
END_TEST

static void check_truth(const scene_truth *t)
{
    ck_assert(t->x0 >= 0 && t->y0 >= 0 && t->x0 <= t->x1 && t->y0 <= t->y1);
    ck_assert(t->x1 <= SCENE_NOMINAL_WIDTH && t->y1 <= SCENE_NOMINAL_HEIGHT);
    ck_assert(t->visible_share >= 0.0f && t->visible_share <= 1.0f);
    ck_assert(t->dog_share >= 0.0f && t->dog_share <= 1.0f);
    ck_assert(t->distance_m >= 0.0f && isfinite(t->distance_m));
    ck_assert_int_eq(t->label == SCENE_EMPTY, t->n_objects == 0);
    if (t->label != SCENE_EMPTY && t->label < SCENE_OTHER && t->drop == SCENE_KEEP)
        ck_assert(t->x1 - t->x0 > 5.0f && t->y1 - t->y0 > 5.0f);
}

START_TEST(exact_counts)
{
    static const campaign_options opt = {.counts = {30, 25, 12, 14}, .exact = true, .seed = 3};
    campaign c;
    int      n[SCENE_N_LABELS] = {0};
    ck_assert(campaign_plan(&opt, &c));
    for (size_t i = 0; i < c.n_frames; i++) {
        check_truth(&c.frames[i].truth);
        ck_assert_int_eq(c.frames[i].truth.drop, SCENE_KEEP);
        n[c.frames[i].truth.label]++;
    }
    for (int i = 0; i < SCENE_N_LABELS; i++)
        ck_assert_int_eq(n[i], i < SCENE_OTHER ? opt.counts[i] : 0);
    campaign_free(&c);
}
END_TEST

START_TEST(whole_campaign)
{
    static const campaign_options opt = {.counts = {60, 60, 20, 20}, .total = 700, .seed = 4,
                                         .domain = -1};
    campaign c;
    int      n[SCENE_N_LABELS] = {0}, dropped = 0;
    ck_assert(campaign_plan(&opt, &c));
    ck_assert_uint_eq(c.n_frames, 700);
    for (size_t i = 0; i < c.n_frames; i++) {
        const scene_truth *t = &c.frames[i].truth;
        check_truth(t);
        dropped += t->drop != SCENE_KEEP;
        n[t->label] += t->drop == SCENE_KEEP;
    }
    ck_assert_int_gt(dropped, 0);
    ck_assert_int_ge(n[SCENE_EMPTY], 60);
    ck_assert_int_eq(n[SCENE_PEDESTRIAN], 60);
    ck_assert_int_eq(n[SCENE_DOG_WALKER], 20);
    ck_assert_int_eq(n[SCENE_BICYCLIST], 20);
    campaign_free(&c);
}
END_TEST

START_TEST(clips_begin_and_end_empty)
{
    for (int id = 1; id <= 12; id++) {
        clip        c;
        scene_frame f;
        scene_truth t;
        clip_plan(&c, 5, id, SCENE_DAY, SCENE_PEDESTRIAN + id % 3, 9);
        ck_assert(clip_trigger(&c));
        ck_assert(c.end_s > c.begin_s + 5.0);
        clip_frame(&c, 0.0, &f);
        scene_truth_of(&f, &t);
        /* at most somebody still far outside, too small to move the trigger */
        ck_assert(t.label == SCENE_EMPTY || t.drop == SCENE_DROP_FAR ||
                  t.drop == SCENE_DROP_SEVERAL);
    }
}
END_TEST

int main(void)
{
    Suite   *s = suite_create("underpass");
    TCase   *t = tcase_create("scene");
    SRunner *r = srunner_create(s);

    tcase_set_timeout(t, 60);
    tcase_add_test(t, same_seed_same_pixels);
    tcase_add_test(t, subjects_and_domains_show);
    tcase_add_test(t, any_size);
    tcase_add_test(t, truth_of_one);
    tcase_add_test(t, truth_of_two);
    tcase_add_test(t, exact_counts);
    tcase_add_test(t, whole_campaign);
    tcase_add_test(t, clips_begin_and_end_empty);
    suite_add_tcase(s, t);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
