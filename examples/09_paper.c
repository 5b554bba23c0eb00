/* SPDX-License-Identifier: MIT */
/*
 * 09: the whole paper in one program of ordinary calls (doi 10.1145/3423423.3423437).
 *
 *     cc 09_paper.c $(pkg-config --cflags --libs edgevision) -lm && ./a.out [DAY NIGHT [SIDE]]
 *
 * A camera in an underpass: is it empty, or is somebody there, walking or riding?  How small may
 * the network be that tells (research question 1), and can pictures taken at night be carried into
 * the day that it has learnt (research question 2)?  DAY and NIGHT are folders with one folder of
 * pictures per class, the same classes in both, one of them called "empty".  Without them the
 * program draws pictures of its own, so small that all of it takes less than a minute.
 */
#include <edgevision/edgevision.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 32, DAY = 480, NIGHT = 300 };
enum { TRAIN, VALID, TEST };
enum { SMALLEST = 1, LARGEST = 4 }; /* architectures of the paper's table 1; it went up to 11 */

static int check(ev_status status)
{
    if (status != EV_OK) {
        fprintf(stderr, "%s: %s\n", ev_status_name(status), ev_last_error());
    }
    return status != EV_OK;
}

/* ---- pictures: a floor, a wall, daylight or a lamp; perhaps a walker, perhaps a rider -------- */

static uint32_t dice(uint32_t *state, uint32_t n)
{
    *state = *state * 1664525U + 1013904223U;
    return (uint32_t)(((uint64_t)(*state >> 8) * n) >> 24);
}

/* What is at a pixel beside the scenery: 0 nothing, 1 clothes, 2 skin, 3 rubber. */
static int figure_at(int label, int x, int y, int cx, int foot)
{
    int dx = abs(x - cx), up = foot - y;
    if (label == 0 || up < 0) {
        return 0;
    }
    if (label == 2 && up <= 6) { /* two wheels and the frame between */
        int r = (dx - 5) * (dx - 5) + (up - 3) * (up - 3);
        return (r >= 4 && r <= 11) || (up == 4 && dx < 5) ? 3 : 0;
    }
    if (up <= 12) {
        return dx <= 1 + (up > 6) && !(up < 5 && dx == 0) ? 1 : 0;
    }
    return up <= 15 && dx <= 1 ? 2 : 0;
}

static void draw_picture(uint8_t pixels[3][SIDE][SIDE], int label, int night, uint32_t *random)
{
    const int tint[3] = {90, 100, 60}; /* old lamps, in % */
    int cx = 8 + (int)dice(random, SIDE - 16), foot = SIDE - 8 + (int)dice(random, 6);
    int light = (int)dice(random, 30), clothes[3];
    for (int c = 0; c < 3; c++) {
        clothes[c] = 40 + (int)dice(random, 120);
    }
    for (int i = 0; i < SIDE * SIDE; i++) {
        int x = i % SIDE, y = i / SIDE, what = figure_at(label, x, y, cx, foot);
        int wall = y < SIDE / 2 ? 150 + (x / 4 + y / 4) % 2 * 14 : 125 + y - (x == SIDE / 2) * 40;
        for (int c = 0; c < 3; c++) {
            int v = what == 0 ? wall : what == 1 ? clothes[c] : what == 2 ? 200 - 25 * c : 15;
            int noise = (int)dice(random, 40) - 20;
            v = night ? (v - 20) * tint[c] / 260 + 24 + noise : v + light + noise;
            pixels[c][y][x] = (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
        }
    }
}

static ev_status draw_pictures(ev_context *ctx, int night, int n, ev_dataset **out)
{
    static const char *const names[] = {"empty", "pedestrian", "bicyclist"};
    static uint8_t pixels[2][DAY][3][SIDE][SIDE]; /* the tensors are views of it */
    int32_t labels[DAY];
    const int64_t dims[] = {n, 3, SIDE, SIDE};
    uint32_t random = night ? 5 : 3;
    ev_tensor *view = NULL;
    for (int i = 0; i < n; i++) {
        labels[i] = i % 5 < 2 ? 0 : 1 + i % 2; /* more empty ones than others */
        draw_picture(pixels[night][i], labels[i], night, &random);
    }
    ev_status status = ev_tensor_wrap(ctx, EV_TYPE_UINT8, 4, dims, pixels[night],
                                      (uint64_t)n * sizeof pixels[night][0], &view);
    status = status ? status : ev_dataset_from_tensor(ctx, view, labels, 3, names, out);
    ev_tensor_destroy(view);
    return status;
}

/* ---- steps A to E: pictures by day, capped and split; pictures by night ---------------------- */

typedef struct pictures {
    int32_t side, empty, n_classes;
    ev_dataset *day[3];        /* TRAIN, VALID, TEST */
    ev_dataset *night, *judge; /* for the CycleGAN, without looking at labels; to judge with */
} pictures;

static ev_status open_pictures(ev_context *ctx, int argc, char **argv, pictures *p)
{
    static const double shares[] = {64, 16, 20}, halves[] = {60, 40};
    ev_dataset *all = NULL, *capped = NULL, *dark = NULL, *parts[2] = {NULL, NULL};
    int own = argc < 3;
    p->side = argc > 3 ? atoi(argv[3]) : own ? SIDE : 64;
    ev_status status =
        own ? draw_pictures(ctx, 0, DAY, &all) : ev_dataset_scan(ctx, argv[1], NULL, &all);
    status = status ? status
             : own  ? draw_pictures(ctx, 1, NIGHT, &dark)
                    : ev_dataset_scan(ctx, argv[2], NULL, &dark);
    p->empty = ev_dataset_class_index(all, "empty");
    p->n_classes = ev_dataset_classes(all);
    if (status == EV_OK && p->empty >= 0) { /* step D: at most as many as of the next class */
        status = ev_dataset_cap(all, p->empty, 0, 1, &capped);
    }
    status =
        status ? status
               : ev_dataset_split(capped ? capped : all, shares, 3, EV_SPLIT_STRATIFIED, 1, p->day);
    status = status ? status : ev_dataset_split(dark, halves, 2, EV_SPLIT_STRATIFIED, 1, parts);
    p->night = parts[0];
    p->judge = parts[1];
    printf("A-E  %d pictures by day, %d after the cap, %d to train; %d by night\n",
           (int)ev_dataset_size(all), (int)ev_dataset_size(capped ? capped : all),
           (int)ev_dataset_size(p->day[TRAIN]), (int)ev_dataset_size(dark));
    ev_dataset_destroy(all);
    ev_dataset_destroy(capped);
    ev_dataset_destroy(dark);
    return status;
}

/* ---- research question 1: how small may it be? ----------------------------------------------- */

static double accuracy(ev_context *ctx, ev_model *model, ev_dataset *set)
{
    ev_metrics *m = NULL;
    double x = check(ev_evaluate(ctx, model, set, NULL, &m)) ? NAN : 100 * ev_metrics_accuracy(m);
    ev_metrics_destroy(m);
    return x;
}

static ev_status fit(ev_context *ctx, const pictures *p, int32_t arch, ev_model **model)
{
    const char *names[64];
    ev_zoo_options net;
    ev_preprocess pixels;
    ev_train_options opt;
    ev_trainer *trainer = NULL;
    EV_OPTIONS_INIT(&net);
    EV_OPTIONS_INIT(&pixels);
    EV_OPTIONS_INIT(&opt);
    net.width = p->side;
    net.n_classes = p->n_classes;
    for (int32_t i = 0; i < p->n_classes && i < 64; i++) {
        names[i] = ev_dataset_class_name(p->day[TRAIN], i);
    }
    for (int c = 0; c < 3; c++) {
        pixels.mean[c] = pixels.std[c] = 0.5F; /* pixels become -1..1 */
    }
    opt.batch_size = 16;
    opt.max_epochs = 12;
    opt.patience = 4; /* early stopping, step G */
    ev_status status = ev_zoo_arch(ctx, arch, &net, model);
    if (status != EV_OK || (status = ev_model_set_preprocess(*model, &pixels)) ||
        (status = ev_model_set_classes(*model, names, p->n_classes)) ||
        (status = ev_model_init(*model, 1)) ||
        (status = ev_trainer_create(ctx, *model, p->day[TRAIN], p->day[VALID], &opt, &trainer))) {
        return status;
    }
    status = ev_trainer_run(trainer);
    ev_trainer_destroy(trainer);
    return status;
}

/* Experiment A: the smallest net within one point of the largest, on the validation set. */
static ev_status choose(ev_context *ctx, const pictures *p, ev_model **out, ev_model **largest)
{
    ev_model *nets[LARGEST + 1] = {NULL};
    double valid[LARGEST + 1];
    int32_t best = LARGEST;
    ev_status status = EV_OK;
    for (int32_t a = LARGEST; a >= SMALLEST && status == EV_OK; a--) {
        status = fit(ctx, p, a, &nets[a]);
        valid[a] = status ? NAN : accuracy(ctx, nets[a], p->day[VALID]);
        best = valid[a] >= valid[LARGEST] - 1 ? a : best;
        printf("G    Arch%d  %7lld parameters  validation %5.1f %%\n", (int)a,
               (long long)ev_model_parameter_count(nets[a]), valid[a]);
    }
    *out = ev_model_ref(nets[best]);
    *largest = ev_model_ref(nets[LARGEST]);
    for (int32_t a = SMALLEST; a <= LARGEST; a++) {
        ev_model_destroy(nets[a]);
    }
    printf("RQ1  chosen: Arch%d, test %.1f %%\n", (int)best, accuracy(ctx, *out, p->day[TEST]));
    return status;
}

/* What the paper leaves for later: of the largest net take the channels that matter least
 * (Molchanov et al.). */
static ev_status prune(ev_context *ctx, const pictures *p, ev_model *model, ev_model **out)
{
    ev_prune_options opt;
    EV_OPTIONS_INIT(&opt);
    opt.goal.unit = EV_UNIT_MACS;
    opt.goal.ratio = 0.3;
    opt.n_steps = 2;
    ev_status status = ev_prune_run(ctx, model, p->day[TRAIN], p->day[VALID], &opt, out, NULL);
    if (status == EV_OK) {
        printf("RQ1  pruned: %lld parameters, %lld of %lld multiply-adds, test %.1f %%\n",
               (long long)ev_model_parameter_count(*out), (long long)ev_model_macs(*out),
               (long long)ev_model_macs(model), accuracy(ctx, *out, p->day[TEST]));
    }
    return status;
}

/* ---- research question 2: night becomes day -------------------------------------------------- */

static int32_t on_epoch(void *user, const ev_cyclegan_step_info *e)
{
    const ev_cyclegan_losses *l = e->losses;
    (void)user;
    printf("     epoch %2d  D_A %.3f  G_A %.3f  cycle_A %.3f  idt_A %.3f\n", (int)e->epoch + 1,
           l->d_a, l->g_a, l->cycle_a, l->idt_a);
    return 0; /* go on */
}

/* Set A is the night, set B the day; labels are not looked at. */
static ev_status carry(ev_context *ctx, const pictures *p, ev_model **to_day)
{
    ev_cyclegan_options opt;
    ev_generator_options g;
    ev_discriminator_options d;
    ev_cyclegan *gan = NULL;
    ev_model *shared = NULL;
    EV_OPTIONS_INIT(&opt);
    EV_OPTIONS_INIT(&g);
    EV_OPTIONS_INIT(&d);
    g.base_width = 12; /* the paper: 64, six blocks, 100 epochs */
    g.n_blocks = 2;
    d.base_width = 16;
    d.n_layers = 2;
    opt.generator = &g;
    opt.discriminator = &d;
    opt.width = p->side;
    opt.epochs = 8;
    opt.no_flip = 1; /* the camera is fixed */
    opt.on_epoch = on_epoch;
    ev_status status = ev_cyclegan_create(ctx, p->night, p->day[TRAIN], &opt, &gan);
    status = status ? status : ev_cyclegan_run(gan);
    status = status ? status : ev_cyclegan_generator(gan, EV_A_TO_B, &shared);
    status = status ? status : ev_model_clone(shared, to_day); /* the run's weights end with it */
    ev_model_destroy(shared);
    ev_cyclegan_destroy(gan);
    return status;
}

/* Figures 8 and 9, and whether the generator makes up or loses people. */
static ev_status judge(ev_context *ctx, const pictures *p, ev_model *model, ev_model *to_day)
{
    ev_metrics *day = NULL, *night = NULL, *carried = NULL;
    ev_hallucinations h;
    EV_OPTIONS_INIT(&h);
    ev_status status = ev_evaluate(ctx, model, p->day[TEST], NULL, &day);
    status = status ? status : ev_translate_evaluate(ctx, model, NULL, p->judge, &night);
    status = status ? status : ev_translate_evaluate(ctx, model, to_day, p->judge, &carried);
    for (int32_t c = 0; c < p->n_classes && status == EV_OK; c++) {
        printf("RQ2  %-12s day %5.1f %%  night %5.1f %%  night2day %5.1f %%\n",
               ev_dataset_class_name(p->judge, c), 100 * ev_metrics_recall(day, c),
               100 * ev_metrics_recall(night, c), 100 * ev_metrics_recall(carried, c));
    }
    if (status == EV_OK) {
        printf("RQ2  in all       day %5.1f %%  night %5.1f %%  night2day %5.1f %%\n",
               100 * ev_metrics_accuracy(day), 100 * ev_metrics_accuracy(night),
               100 * ev_metrics_accuracy(carried));
    }
    if (status == EV_OK && p->empty >= 0) {
        status = ev_metrics_hallucinations(night, carried, p->empty, &h);
        printf("RQ2  something seen in %d of %d empty pictures (%d untranslated), nothing in %d of "
               "%d others (%d)\n",
               (int)h.invented, (int)h.n_empty, (int)h.invented_before, (int)h.vanished,
               (int)h.n_objects, (int)h.vanished_before);
    }
    ev_metrics_destroy(day);
    ev_metrics_destroy(night);
    ev_metrics_destroy(carried);
    return status;
}

/* On the device nobody says what time it is: a score decides for each picture. */
static ev_status route(ev_context *ctx, const pictures *p, ev_model *model, ev_model *to_day)
{
    ev_model *scored = NULL;
    ev_router *router = NULL;
    ev_routed one;
    ev_status status = ev_domain_fit(ctx, model, p->day[VALID], NULL, &scored);
    status = status ? status : ev_router_create(ctx, scored, to_day, NULL, &router);
    for (int night = 0; night < 2 && status == EV_OK; night++) {
        ev_dataset *set = night ? p->judge : p->day[TEST];
        int32_t routes[3] = {0, 0, 0}, right = 0, n = ev_dataset_size(set);
        for (int32_t i = 0; i < n && status == EV_OK; i++) {
            ev_image *image = NULL;
            EV_OPTIONS_INIT(&one);
            status = ev_dataset_image(set, i, NULL, &image);
            status = status ? status : ev_router_run(router, image, &one);
            if (status == EV_OK) {
                routes[one.route]++;
                right += one.label == ev_dataset_label(set, i);
            }
            ev_image_destroy(image);
        }
        printf("RQ2  routed, %-5s  %d as they are, %d translated, %d not trusted; right %.1f %%\n",
               night ? "night" : "day", (int)routes[EV_ROUTE_INSIDE],
               (int)routes[EV_ROUTE_TRANSLATED], (int)routes[EV_ROUTE_ABSTAINED],
               100.0 * right / n);
    }
    ev_router_destroy(router);
    ev_model_destroy(scored);
    return status;
}

int main(int argc, char **argv)
{
    ev_context_options machine;
    ev_context *ctx = NULL;
    pictures p = {.empty = -1};
    ev_model *chosen = NULL, *largest = NULL, *small = NULL, *to_day = NULL;

    EV_OPTIONS_INIT(&machine);
    machine.n_threads = -1; /* all cores; changes no result */
    if (check(ev_context_create(&machine, &ctx)) || check(open_pictures(ctx, argc, argv, &p)) ||
        check(choose(ctx, &p, &chosen, &largest)) || check(prune(ctx, &p, largest, &small)) ||
        check(carry(ctx, &p, &to_day)) || check(judge(ctx, &p, small, to_day)) ||
        check(route(ctx, &p, small, to_day)) || check(ev_model_save(small, "classifier.onnx")) ||
        check(ev_model_save(to_day, "night_to_day.onnx"))) {
        return 1;
    }
    printf("saved: classifier.onnx, night_to_day.onnx\n");
    ev_model_destroy(chosen);
    ev_model_destroy(largest);
    ev_model_destroy(small);
    ev_model_destroy(to_day);
    for (int i = 0; i < 3; i++) {
        ev_dataset_destroy(p.day[i]);
    }
    ev_dataset_destroy(p.night);
    ev_dataset_destroy(p.judge);
    ev_context_destroy(ctx);
    return 0;
}
