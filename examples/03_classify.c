/* SPDX-License-Identifier: MIT */
/*
 * 03: load a model, say what is in pictures.
 *
 *     cc 03_classify.c $(pkg-config --cflags --libs edgevision)
 *     ./a.out model.onnx picture.jpg ...
 *
 * The model: any ONNX classifier of pictures.  One that was trained with this library also says how
 * pictures are to be prepared and what its classes are called.
 */
#include <edgevision/edgevision.h>
#include <stdio.h>
#include <string.h>

static int check(ev_status status)
{
    if (status != EV_OK) {
        fprintf(stderr, "%s: %s\n", ev_status_name(status), ev_last_error());
    }
    return status != EV_OK;
}

static void print_best(const ev_model *model, const ev_tensor *logits, const char *path)
{
    const float *value = ev_tensor_data(logits);
    int32_t best = 0;
    for (int32_t i = 1; i < (int32_t)ev_tensor_count(logits); i++) {
        best = value[i] > value[best] ? i : best;
    }
    const char *name = ev_model_class_name(model, best);
    printf("%s: %s (class %d, logit %.3f)\n", path, name ? name : "?", (int)best,
           (double)value[best]);
}

int main(int argc, char **argv)
{
    ev_context *ctx = NULL;
    ev_model *model = NULL;
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    ev_tensor *input = NULL;
    ev_pixel_options pixels;
    int64_t dims[EV_MAX_RANK];
    int bad = 0;

    EV_OPTIONS_INIT(&pixels);
    if (argc < 3) {
        fprintf(stderr, "usage: %s model.onnx picture.jpg ...\n", argv[0]);
        return 2;
    }
    /* A model is loaded once; a plan makes it ready; a session has the memory for runs.  After the
       first run nothing is allocated any more. */
    if (check(ev_context_create(NULL, &ctx)) ||
        check(ev_model_load(ctx, argv[1], NULL, &model)) ||
        check(ev_model_pixel_options(model, &pixels)) ||
        check(ev_plan_create(ctx, model, NULL, &plan)) ||
        check(ev_session_create(plan, &session))) {
        return 1;
    }
    int32_t rank = ev_model_input_dims(model, 0, dims);
    dims[0] = 1;
    if (check(ev_tensor_create(ctx, EV_TYPE_FLOAT32, rank, dims, &input))) {
        return 1;
    }

    for (int i = 2; i < argc; i++) {
        ev_image *image = NULL;
        const ev_tensor *inputs[] = {input};
        if (check(ev_image_load(ctx, argv[i], NULL, &image)) ||
            check(ev_image_to_tensor(image, &pixels, input, 0)) ||
            check(ev_session_run(session, inputs, 1, NULL, 0))) {
            bad = 1; /* one bad picture does not stop the others */
        } else {
            print_best(model, ev_session_output(session, 0), argv[i]);
        }
        ev_image_destroy(image);
    }

    ev_tensor_destroy(input);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
    ev_model_destroy(model);
    ev_context_destroy(ctx);
    return bad;
}
