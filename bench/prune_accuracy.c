/* SPDX-License-Identifier: MIT */
/* How much accuracy pruning costs, on CIFAR-10's binary files:
 *
 *     bench/prune_accuracy DATA OUT [NET] [SEEDS] [EPOCHS] [TUNE] [THREADS] [RATIOS] [CRITERIA]
 *                          [RATE]
 *
 * DATA holds train_10k.bin and val_2k.bin.  A net is trained for EPOCHS, then pruned in three steps
 * to shares of its multiply-adds, by each criterion, local and global, with TUNE epochs of fine-
 * tuning in all; beside it by chance, and the architecture that L1 (global) found is trained from
 * random weights for TUNE epochs, and for EPOCHS + TUNE.  Best weights are those of the least
 * training loss: the validation pictures choose nothing.  (Without the word "whole" in CRITERIA the
 * last is left out.)  OUT/rows.csv gets a line a result; what is there is not done again. */
#include "bench.h"

#include <math.h>
#include <stdbool.h>
#include <sys/stat.h>

enum { SIDE = 32, PIXELS = 3 * SIDE * SIDE, CLASSES = 10, STEPS = 3 };

typedef struct study {
    ev_context *ctx;
    ev_dataset *train, *valid;
    const char *net;
    char rows[512], folder[384];
    int32_t epochs, tune;
    bool has_whole; /* also trains the pruned architecture for the whole budget */
    double rate;    /* learning rate of training; a fifth of it when fine-tuning */
    uint64_t seed;
} study;

static ev_dataset *read_records(ev_context *ctx, const char *folder, const char *name)
{
    char path[512];
    unsigned char record[1 + PIXELS];
    struct stat info;
    ev_tensor *x = NULL;
    ev_dataset *out = NULL;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (f == NULL || fstat(fileno(f), &info) != 0) {
        fprintf(stderr, "cannot read %s\n", path);
        exit(1);
    }
    const int64_t n = info.st_size / (1 + PIXELS), dims[4] = {n, 3, SIDE, SIDE};
    MUST(ev_tensor_create(ctx, EV_TYPE_UINT8, 4, dims, &x));
    int32_t *labels = malloc((size_t)n * sizeof(int32_t));
    for (int64_t i = 0; i < n && labels != NULL; i++) {
        if (fread(record, sizeof record, 1, f) != 1)
            exit(1);
        labels[i] = record[0];
        memcpy((char *)ev_tensor_data(x) + i * PIXELS, record + 1, PIXELS);
    }
    fclose(f);
    MUST(ev_dataset_from_tensor(ctx, x, labels, CLASSES, NULL, &out));
    ev_tensor_destroy(x);
    free(labels);
    return out;
}

static double accuracy(const study *s, ev_model *m)
{
    ev_metrics *metrics = NULL;
    MUST(ev_evaluate(s->ctx, m, s->valid, NULL, &metrics));
    double share = ev_metrics_accuracy(metrics);
    ev_metrics_destroy(metrics);
    return share;
}

/* Stochastic gradient descent with half a cosine, flips and shifts by four pixels. */
static ev_train_options recipe(const study *s, double rate, int32_t epochs,
                               ev_augment_options *augment)
{
    ev_train_options t;
    EV_OPTIONS_INIT(&t);
    EV_OPTIONS_INIT(augment);
    augment->flip = 1;
    augment->shift_x = augment->shift_y = 0.125F;
    t.optimizer = EV_OPTIMIZER_SGD;
    t.learning_rate = (float)rate;
    t.l2 = 5e-4F;
    t.schedule = EV_SCHEDULE_COSINE;
    t.batch_size = 64;
    t.max_epochs = epochs;
    t.patience = -1;
    t.monitor = EV_MONITOR_TRAIN_LOSS;
    t.seed = s->seed;
    t.augment = augment;
    return t;
}

static void train(const study *s, ev_model *m, int32_t epochs)
{
    ev_augment_options augment;
    ev_train_options t = recipe(s, s->rate, epochs, &augment);
    ev_trainer *trainer = NULL;
    MUST(ev_trainer_create(s->ctx, m, s->train, NULL, &t, &trainer));
    MUST(ev_trainer_run(trainer));
    ev_trainer_destroy(trainer);
}

/* True when OUT/rows.csv has this result. */
static bool is_done(const study *s, const char *method, double ratio)
{
    char key[256], line[512];
    bool found = false;
    FILE *f = fopen(s->rows, "r");
    snprintf(key, sizeof key, "%s,%llu,%s,%g,", s->net, (unsigned long long)s->seed, method, ratio);
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL)
        found = strncmp(line, key, strlen(key)) == 0;
    if (f != NULL)
        fclose(f);
    return found;
}

static void tell(const study *s, const char *method, double ratio, ev_model *m,
                 double before_tuning, int32_t epochs, double began)
{
    struct stat info;
    const bool is_new = stat(s->rows, &info) != 0;
    FILE *f = fopen(s->rows, "a");
    char line[512];
    if (f == NULL)
        exit(1);
    if (is_new)
        fprintf(f, "net,seed,method,ratio,parameters,macs,accuracy_pruned,accuracy,epochs,"
                   "seconds\n");
    snprintf(line, sizeof line, "%s,%llu,%s,%g,%lld,%lld,%.4f,%.4f,%d,%.0f\n", s->net,
             (unsigned long long)s->seed, method, ratio, (long long)ev_model_parameter_count(m),
             (long long)ev_model_macs(m), before_tuning, accuracy(s, m), (int)epochs,
             bench_now() - began);
    fputs(line, f);
    fputs(line, stderr);
    fclose(f);
}

static ev_model *base_model(const study *s)
{
    char path[512];
    struct stat info;
    ev_model *m = NULL;
    ev_preprocess pixels;
    snprintf(path, sizeof path, "%s/%s-seed%llu.onnx", s->folder, s->net,
             (unsigned long long)s->seed);
    if (stat(path, &info) == 0) {
        MUST(ev_model_load(s->ctx, path, NULL, &m));
        return m;
    }
    double began = bench_now();
    ev_zoo_options zoo;
    EV_OPTIONS_INIT(&zoo);
    zoo.width = SIDE;
    zoo.n_classes = CLASSES;
    MUST(ev_zoo_create(s->ctx, s->net, &zoo, &m));
    EV_OPTIONS_INIT(&pixels);
    pixels.width = pixels.height = SIDE;
    for (int i = 0; i < 3; i++) {
        pixels.mean[i] = 0.47F;
        pixels.std[i] = 0.25F;
    }
    MUST(ev_model_set_preprocess(m, &pixels));
    MUST(ev_model_init(m, s->seed));
    train(s, m, s->epochs);
    MUST(ev_model_save(m, path));
    tell(s, "base", 1, m, NAN, s->epochs, began);
    return m;
}

static void prune(const study *s, ev_model *base, int32_t criterion, int32_t scope,
                  const char *method, double ratio, bool scratch)
{
    ev_prune_options o;
    ev_augment_options augment;
    ev_train_options t = recipe(s, s->rate / 5, 1, &augment);
    ev_model *smaller = NULL;
    ev_prune_report *report = NULL;
    ev_prune_step step;
    double began = bench_now();
    EV_OPTIONS_INIT(&o);
    EV_OPTIONS_INIT(&step);
    o.goal.unit = EV_UNIT_MACS;
    o.goal.ratio = ratio;
    o.criterion = criterion;
    o.scope = scope;
    o.n_steps = STEPS;
    o.step_epochs = 1;
    o.final_epochs = s->tune - (STEPS - 1);
    o.no_controls = 1;
    o.seed = s->seed;
    o.n_images = 512;
    o.train = &t;
    MUST(ev_prune_run(s->ctx, base, s->train, s->valid, &o, &smaller, &report));
    MUST(ev_prune_report_step(report, STEPS, &step));
    if (!is_done(s, method, ratio))
        tell(s, method, ratio, smaller, step.accuracy_pruned, s->tune, began);
    for (int32_t whole = 0; scratch && whole <= s->has_whole; whole++) {
        const char *name = whole ? "scratch-whole" : "scratch-same";
        const int32_t epochs = s->tune + (whole ? s->epochs : 0);
        if (is_done(s, name, ratio))
            continue;
        began = bench_now();
        MUST(ev_model_init(smaller, s->seed + 100));
        train(s, smaller, epochs);
        tell(s, name, ratio, smaller, NAN, epochs, began);
    }
    ev_model_destroy(smaller);
    ev_prune_report_destroy(report);
}

static void all_of_seed(const study *s, const char *ratios, const char *criteria)
{
    static const struct {
        const char *name;
        int32_t criterion;
    } known[] = {{"l1", EV_CRITERION_L1},
                 {"taylor", EV_CRITERION_TAYLOR},
                 {"fpgm", EV_CRITERION_FPGM},
                 {"random", EV_CRITERION_RANDOM}};
    ev_model *base = base_model(s);
    for (const char *at = ratios; at != NULL; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        const double ratio = atof(at);
        for (int i = 0; i < 4; i++) {
            for (int32_t scope = 0; scope < 2 && strstr(criteria, known[i].name); scope++) {
                char method[64];
                snprintf(method, sizeof method, "%s-%s", known[i].name,
                         scope == EV_SCOPE_LOCAL ? "local" : "global");
                const bool scratch = known[i].criterion == EV_CRITERION_L1 && scope == 0;
                const char *last = s->has_whole ? "scratch-whole" : "scratch-same";
                if (!is_done(s, method, ratio) || (scratch && !is_done(s, last, ratio)))
                    prune(s, base, known[i].criterion, scope, method, ratio, scratch);
            }
        }
    }
    ev_model_destroy(base);
}

int main(int argc, char **argv)
{
    study s = {.net = argc > 3 ? argv[3] : "ResNet-20"};
    if (argc < 3) {
        fprintf(stderr, "usage: prune_accuracy DATA OUT [NET] [SEEDS] [EPOCHS] [TUNE] [THREADS] "
                        "[RATIOS] [CRITERIA] [RATE]\n");
        return 2;
    }
    bench_options o = {.threads = argc > 7 ? atoi(argv[7]) : 1};
    const char *criteria = argc > 9 ? argv[9] : "l1,taylor,fpgm,random,whole";
    s.has_whole = strstr(criteria, "whole") != NULL;
    s.rate = argc > 10 ? atof(argv[10]) : 0.05;
    s.epochs = argc > 5 ? atoi(argv[5]) : 24;
    s.tune = argc > 6 ? atoi(argv[6]) : 6;
    snprintf(s.folder, sizeof s.folder, "%s", argv[2]);
    snprintf(s.rows, sizeof s.rows, "%s/rows.csv", argv[2]);
    mkdir(s.folder, 0777);
    s.ctx = bench_context(&o);
    s.train = read_records(s.ctx, argv[1], "train_10k.bin");
    s.valid = read_records(s.ctx, argv[1], "val_2k.bin");
    for (const char *at = argc > 4 ? argv[4] : "1"; at != NULL;
         at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL) {
        s.seed = (uint64_t)atoll(at);
        all_of_seed(&s, argc > 8 ? argv[8] : "0.5,0.25", criteria);
    }
    ev_dataset_destroy(s.train);
    ev_dataset_destroy(s.valid);
    ev_context_destroy(s.ctx);
    return 0;
}
