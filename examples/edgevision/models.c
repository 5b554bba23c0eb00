/* SPDX-License-Identifier: MIT */
/* Model files: load, and what they say about their pictures. */
#include <math.h>
#include <string.h>

#include "tool.h"

int open_model(ev_context *ctx, const char *path, ev_model **out)
{
    char inside[PATH_SIZE];
    if (is_folder(path)) { /* a run folder */
        path = path_join(inside, path, "model.onnx");
    }
    ev_status status = ev_model_load(ctx, path, NULL, out);
    return status == EV_OK ? 0 : fail_status(EXIT_MODEL, status, NULL);
}

int model_pixels(const ev_model *model, ev_pixel_options *pixels, int32_t *width, int32_t *height,
                 int32_t *channels)
{
    int64_t dims[EV_MAX_RANK];
    EV_OPTIONS_INIT(pixels);
    if (ev_model_n_inputs(model) != 1 || ev_model_input_dims(model, 0, dims) != 4 ||
        (dims[1] != 1 && dims[1] != 3)) {
        return fail(EXIT_MODEL, "the model has no single input [N,3,H,W] or [N,1,H,W], so it "
                                "takes no pictures; edgevision inspect shows its inputs");
    }
    ev_status status = ev_model_pixel_options(model, pixels);
    if (status != EV_OK) {
        return fail_status(EXIT_MODEL, status, NULL);
    }
    *width = (int32_t)dims[3];
    *height = (int32_t)dims[2];
    *channels = (int32_t)dims[1];
    return 0;
}

const char *class_name(const ev_model *model, int32_t label, char buffer[16])
{
    const char *name = ev_model_class_name(model, label);
    if (name) {
        return name;
    }
    snprintf(buffer, 16, "%d", (int)label);
    return buffer;
}

double time_one(ev_context *ctx, ev_model *model)
{
    double ms = 0;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_tensor *input = NULL;
    int64_t dims[EV_MAX_RANK];
    int32_t rank = ev_model_input_dims(model, 0, dims);
    dims[0] = 1;
    if (ev_plan_create(ctx, model, NULL, &plan) == EV_OK &&
        ev_session_create(plan, &session) == EV_OK &&
        ev_tensor_create(ctx, EV_TYPE_FLOAT32, rank, dims, &input) == EV_OK) {
        const ev_tensor *inputs[] = {input};
        double best = 1e30;
        for (int i = 0; i < 20; i++) {
            double start = seconds_now();
            if (ev_session_run(session, inputs, 1, NULL, 0) != EV_OK) {
                break;
            }
            double t = seconds_now() - start;
            best = t < best ? t : best;
        }
        ms = best < 1e30 ? 1e3 * best : 0;
    }
    ev_tensor_destroy(input);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    return ms;
}

void softmax(const float *logits, int32_t n, double *out)
{
    double top = logits[0], sum = 0;
    for (int32_t i = 1; i < n; i++) {
        top = logits[i] > top ? (double)logits[i] : top;
    }
    for (int32_t i = 0; i < n; i++) {
        out[i] = exp((double)logits[i] - top);
        sum += out[i];
    }
    for (int32_t i = 0; i < n; i++) {
        out[i] /= sum;
    }
}
