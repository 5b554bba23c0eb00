/* SPDX-License-Identifier: MIT */
/* What a CycleGAN's training leaves in its folder: losses.csv (a line an epoch), steps.csv (a line
   every so many steps), sheets of samples, generators.  Both CSV files are cut back to the
   checkpoint when a run goes on, so that they end up as if it had never stopped. */
#include "gan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const char *const gan_loss_names[GAN_N_LOSSES] = {
    "D_A", "G_A", "cycle_A", "idt_A", "D_B", "G_B", "cycle_B", "idt_B", "class_A", "class_B"};

void gan_loss_values(const ev_cyclegan_losses *l, double out[GAN_N_LOSSES])
{
    const double values[GAN_N_LOSSES] = {l->d_a, l->g_a,     l->cycle_a, l->idt_a,   l->d_b,
                                         l->g_b, l->cycle_b, l->idt_b,   l->class_a, l->class_b};
    memcpy(out, values, sizeof values);
}

int gan_n_losses(const gan_run *r)
{
    return r->classifier ? GAN_N_LOSSES : GAN_N_LOSSES - 2;
}

/* ---- the CSV files --------------------------------------------------------------------------- */

static void add_header(const gan_run *r, text *t)
{
    text_add(t, "epoch,step");
    for (int i = 0; i < gan_n_losses(r); i++) {
        text_add(t, ",%s", gan_loss_names[i]);
    }
    text_add(t, ",lr,seconds\n");
}

/* Keep the header and the lines up to this step. */
static int trim(const gan_run *r, const char *name, int64_t last)
{
    char path[PATH_SIZE];
    text t = {0};
    int code = 0;
    char *old = file_exists(gan_file(path, r, name)) ? text_load(path, EXIT_MODEL, &code) : NULL;
    if (code) {
        return code;
    }
    add_header(r, &t);
    char *line = old ? strchr(old, '\n') : NULL;
    for (char *end = line ? strchr(++line, '\n') : NULL; end; end = strchr(line, '\n')) {
        const char *step = strchr(line, ',');
        if (!step || strtoll(step + 1, NULL, 10) > last) {
            break;
        }
        text_bytes(&t, line, (size_t)(end + 1 - line));
        line = end + 1;
    }
    free(old);
    return text_save(&t, path);
}

int gan_trim_logs(const gan_run *r)
{
    int64_t steps = ev_cyclegan_steps(r->gan);
    int code = trim(r, "losses.csv", steps);
    return code ? code : trim(r, "steps.csv", steps);
}

static int append(const gan_run *r, const char *name, const ev_cyclegan_step_info *s,
                  const double *values)
{
    char path[PATH_SIZE];
    FILE *f = fopen(gan_file(path, r, name), "ab");
    if (!f) {
        return fail(EXIT_IO, "%s: %s", path, strerror(errno));
    }
    bool good = fprintf(f, "%d,%lld", (int)s->epoch + 1, (long long)s->total_steps) > 0;
    for (int i = 0; i < gan_n_losses(r); i++) {
        good = fprintf(f, ",%.9g", values[i]) > 0 && good;
    }
    good = fprintf(f, ",%.9g,%.3f\n", s->learning_rate, s->seconds) > 0 && good;
    good = fclose(f) == 0 && good;
    return good ? 0 : fail(EXIT_IO, "%s: cannot write: %s", path, strerror(errno));
}

int gan_log_step(gan_run *r, const ev_cyclegan_step_info *s)
{
    double values[GAN_N_LOSSES];
    gan_loss_values(s->losses, values);
    for (int i = 0; i < GAN_N_LOSSES; i++) {
        r->logged[i] += values[i];
    }
    r->n_logged++;
    if (r->opt.log_steps < 1 || s->total_steps % r->opt.log_steps != 0) {
        return 0;
    }
    for (int i = 0; i < GAN_N_LOSSES; i++) {
        values[i] = r->logged[i] / (double)r->n_logged;
        r->logged[i] = 0;
    }
    r->n_logged = 0;
    return append(r, "steps.csv", s, values);
}

int gan_log_epoch(gan_run *r, const ev_cyclegan_step_info *s)
{
    double values[GAN_N_LOSSES];
    gan_loss_values(s->losses, values);
    return append(r, "losses.csv", s, values);
}

/* Epoch and step of the last line of losses.csv, 0 when there is none. */
static int last_logged(const gan_run *r, int32_t *epoch, int64_t *step)
{
    char path[PATH_SIZE];
    int code = 0;
    char *csv = text_load(gan_file(path, r, "losses.csv"), EXIT_MODEL, &code);
    *epoch = 0;
    *step = 0;
    for (const char *line = csv; line && *line; line = strchr(line, '\n') + 1) {
        char *comma = NULL;
        *epoch = (int32_t)strtol(line, &comma, 10);
        *step = *epoch > 0 && *comma ? strtoll(comma + 1, NULL, 10) : 0;
    }
    free(csv);
    return code;
}

/* Means of an epoch, as far as steps.csv tells them. */
static int add_means(const gan_run *r, int32_t epoch)
{
    char path[PATH_SIZE], *fields[GAN_N_LOSSES + 4], *next;
    ev_cyclegan_step_info s = {.epoch = epoch - 1, .total_steps = ev_cyclegan_steps(r->gan)};
    double sums[GAN_N_LOSSES] = {0};
    int n = 0, code = 0, count = gan_n_losses(r);
    char *csv = text_load(gan_file(path, r, "steps.csv"), EXIT_MODEL, &code);
    for (char *line = csv; line && *line; line = next) {
        bool whole = csv_line(line, fields, GAN_N_LOSSES + 4, &next) == count + 4;
        if (!whole || strtol(fields[0], NULL, 10) != epoch) {
            continue;
        }
        for (int i = 0; i < count; i++) {
            sums[i] += strtod(fields[i + 2], NULL);
        }
        s.learning_rate = strtod(fields[count + 2], NULL);
        s.seconds = strtod(fields[count + 3], NULL);
        n++;
    }
    free(csv);
    for (int i = 0; i < count; i++) {
        sums[i] /= n > 0 ? n : 1;
    }
    return n > 0 && !code ? append(r, "losses.csv", &s, sums) : code;
}

int gan_catch_up(const gan_run *r)
{
    int32_t epoch = ev_cyclegan_epoch(r->gan), logged;
    int64_t step;
    int code = last_logged(r, &logged, &step);
    if (!code && epoch > logged) {
        code = add_means(r, epoch);
    }
    if (!code && epoch > 0) {
        code = last_logged(r, &logged, &step);
    }
    bool between = epoch > 0 && logged == epoch && step == ev_cyclegan_steps(r->gan);
    return !code && between ? gan_save_epoch(r, epoch) : code;
}

/* ---- generators ------------------------------------------------------------------------------ */

static int save_generator(const gan_run *r, int direction, int32_t epoch)
{
    char path[PATH_SIZE], name[64];
    ev_model *model = NULL;
    ev_status status = ev_cyclegan_generator(r->gan, direction ? EV_B_TO_A : EV_A_TO_B, &model);
    if (status == EV_OK) {
        snprintf(name, sizeof name, "G_%c.onnx", 'A' + direction);
        status = ev_model_save(model, gan_file(path, r, name));
    }
    if (status == EV_OK && epoch > 0) {
        snprintf(name, sizeof name, "epochs/G_%c-%03d.onnx", 'A' + direction, (int)epoch);
        status = ev_model_save(model, gan_file(path, r, name));
    }
    ev_model_destroy(model);
    return status == EV_OK ? 0 : fail_status(EXIT_IO, status, NULL);
}

int gan_save_generators(const gan_run *r, int32_t epoch)
{
    int code = save_generator(r, GAN_A, epoch);
    return code ? code : save_generator(r, GAN_B, epoch);
}

/* ---- samples --------------------------------------------------------------------------------- */

static int save_sample(const gan_run *r, int32_t epoch)
{
    int32_t items[2][64], n[2];
    char path[PATH_SIZE], name[64];
    ev_image *sheet = NULL;
    for (int i = GAN_A; i <= GAN_B; i++) {
        int32_t size = ev_dataset_size(r->sets[i]), want = (r->opt.samples + 1 - i) / 2;
        n[i] = want < size ? want : size;
        n[i] = n[i] < 64 ? n[i] : 64;
        gan_spread(size, n[i], items[i]);
    }
    if (n[GAN_A] + n[GAN_B] < 1) {
        return 0;
    }
    ev_status status = ev_cyclegan_grid(r->gan, n[0] ? r->sets[0] : NULL, items[0], n[0],
                                        n[1] ? r->sets[1] : NULL, items[1], n[1], &sheet);
    if (status == EV_OK) {
        snprintf(name, sizeof name, "grids/epoch-%03d.png", (int)epoch);
        status = ev_image_save(sheet, gan_file(path, r, name), 0);
    }
    ev_image_destroy(sheet);
    return status == EV_OK ? 0 : fail_status(EXIT_DATA, status, NULL);
}

int gan_save_epoch(const gan_run *r, int32_t epoch)
{
    bool keep = r->opt.keep > 0 && (epoch % r->opt.keep == 0 || epoch == r->opt.epochs);
    int code = gan_save_generators(r, keep ? epoch : 0);
    if (!code) {
        code = save_sample(r, epoch);
    }
    return code ? code : gan_write_page(r->folder);
}
