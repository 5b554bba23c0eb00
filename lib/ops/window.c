/* SPDX-License-Identifier: MIT */
#include "ops/window.h"
#include "ops/check.h"

/* What a model file may hold, so that whatever is drawn can be saved and loaded. */
#define WINDOW_MAX 65535

ev_status evi_window_check(const evi_attrs *a, const evi_shape *x)
{
    if (x->rank < 3 || x->rank > 4)
        return evi_fail(EV_ERR_SHAPE, "a window needs rank 3 or 4, not %d", (int)x->rank);
    for (int32_t i = 0; i < 2; i++) {
        if (a->kernel[i] < 1)
            return evi_fail(EV_ERR_ARGUMENT, "kernel %dx%d must be at least 1x1", (int)a->kernel[0],
                            (int)a->kernel[1]);
        if (a->stride[i] < 1)
            return evi_fail(EV_ERR_ARGUMENT, "stride %d, %d must be at least 1", (int)a->stride[0],
                            (int)a->stride[1]);
        if (a->dilation[i] < 1)
            return evi_fail(EV_ERR_ARGUMENT, "dilation %d, %d must be at least 1",
                            (int)a->dilation[0], (int)a->dilation[1]);
    }
    for (int32_t i = 0; i < 2; i++)
        if (a->kernel[i] > WINDOW_MAX || a->stride[i] > WINDOW_MAX || a->dilation[i] > WINDOW_MAX ||
            a->pad[i] > WINDOW_MAX || a->pad[i + 2] > WINDOW_MAX || a->output_pad[i] > WINDOW_MAX)
            return evi_fail(EV_ERR_ARGUMENT,
                            "kernel %d, stride %d, dilation %d, padding %d and %d: at most %d",
                            (int)a->kernel[i], (int)a->stride[i], (int)a->dilation[i],
                            (int)a->pad[i], (int)a->pad[i + 2], WINDOW_MAX);
    for (int32_t i = 0; i < 4; i++)
        if (a->pad[i] < 0)
            return evi_fail(EV_ERR_UNSUPPORTED, "padding %d is negative", (int)a->pad[i]);
    if (a->groups < 1)
        return evi_fail(EV_ERR_ARGUMENT, "groups %d must be at least 1", (int)a->groups);
    if (a->auto_pad < EVI_AUTO_PAD_NONE || a->auto_pad > EVI_AUTO_PAD_VALID)
        return evi_fail(EV_ERR_ARGUMENT, "auto_pad %d is unknown", (int)a->auto_pad);
    if (x->rank == 3 && (a->kernel[0] != 1 || a->stride[0] != 1 || a->dilation[0] != 1 ||
                         a->pad[0] != 0 || a->pad[2] != 0))
        return evi_fail(EV_ERR_SHAPE, "a window of two dimensions on an input of one");
    return EV_OK;
}

ev_status evi_window_kernel(evi_attrs *a, const evi_shape *w)
{
    for (int32_t i = 0; i < 2; i++) {
        int64_t size = w->rank == 4 ? w->dim[2 + i] : i == 0 ? 1 : w->dim[2];
        if (a->kernel[i] != 0 && a->kernel[i] != size)
            return evi_fail(EV_ERR_SHAPE, "kernel %dx%d is stated, but the weights have %lld",
                            (int)a->kernel[0], (int)a->kernel[1], (long long)size);
        a->kernel[i] = (int32_t)size;
    }
    return EV_OK;
}

/* SAME of ONNX: ceil(size / stride) outputs, the odd pixel of padding at the end (UPPER) or at the
 * beginning (LOWER). */
static ev_status auto_pad(evi_attrs *a, int32_t axis, int64_t size)
{
    int64_t reach = (int64_t)a->dilation[axis] * (a->kernel[axis] - 1) + 1;
    int64_t out = (size + a->stride[axis] - 1) / a->stride[axis];
    int64_t total = EVI_MAX((out - 1) * a->stride[axis] + reach - size, 0);
    if (a->auto_pad == EVI_AUTO_PAD_VALID)
        total = 0;
    return evi_window_split(a, axis, total);
}

ev_status evi_window_split(evi_attrs *a, int32_t axis, int64_t total)
{
    if (total > INT32_MAX)
        return evi_fail(EV_ERR_SHAPE, "a window of %d taps, %d apart, would need %lld of padding",
                        (int)a->kernel[axis], (int)a->dilation[axis], (long long)total);
    int64_t half = total / 2;
    a->pad[axis] = (int32_t)(a->auto_pad == EVI_AUTO_PAD_SAME_UPPER ? half : total - half);
    a->pad[axis + 2] = (int32_t)(total - a->pad[axis]);
    return EV_OK;
}

static ev_status out_size(const evi_attrs *a, int32_t axis, int64_t size, int64_t *out)
{
    int64_t reach = (int64_t)a->dilation[axis] * (a->kernel[axis] - 1) + 1;
    int64_t begin = a->pad[axis], padded = size + begin + a->pad[axis + 2];
    if (reach > padded)
        return evi_fail(EV_ERR_SHAPE, "the window covers %lld %s, the padded input has %lld",
                        (long long)reach, axis == 0 ? "rows" : "columns", (long long)padded);
    int64_t room = padded - reach, stride = a->stride[axis];
    *out = room / stride + 1;
    if (a->ceil_mode) {
        *out = (room + stride - 1) / stride + 1;
        /* The last window must begin within the input or the padding before it: else it would see
         * nothing (PyTorch's rule, ONNX's since opset 22). */
        if ((*out - 1) * stride >= size + begin)
            --*out;
    }
    return EV_OK;
}

ev_status evi_window_infer(evi_attrs *a, const evi_shape *x, evi_window *w)
{
    EVI_TRY(evi_window_check(a, x));
    int64_t h = x->rank == 4 ? x->dim[2] : 1, width = x->dim[x->rank - 1];
    if (a->auto_pad != EVI_AUTO_PAD_NONE) {
        EVI_TRY(auto_pad(a, 0, h));
        EVI_TRY(auto_pad(a, 1, width));
    }
    evi_shape unknown = {0};
    evi_window_get(a, x, &unknown, w);
    EVI_TRY(out_size(a, 0, h, &w->out_h));
    return out_size(a, 1, width, &w->out_w);
}

void evi_window_get(const evi_attrs *a, const evi_shape *x, const evi_shape *y, evi_window *w)
{
    *w = (evi_window){.n = x->dim[0],
                      .c = x->dim[1],
                      .h = x->rank == 4 ? x->dim[2] : 1,
                      .w = x->dim[x->rank - 1],
                      .out_h = y->rank == 4 ? y->dim[2] : 1,
                      .out_w = y->rank > 0 ? y->dim[y->rank - 1] : 0,
                      .kh = a->kernel[0],
                      .kw = a->kernel[1],
                      .sh = a->stride[0],
                      .sw = a->stride[1],
                      .dh = a->dilation[0],
                      .dw = a->dilation[1],
                      .top = a->pad[0],
                      .left = a->pad[1],
                      .bottom = a->pad[2],
                      .right = a->pad[3]};
}

ev_status evi_window_shape(const evi_window *w, const evi_shape *x, int64_t channels, evi_shape *y)
{
    evi_shape r = {.rank = x->rank};
    r.dim[0] = x->dim[0];
    r.dim[1] = channels;
    if (x->rank == 4)
        r.dim[2] = w->out_h;
    r.dim[x->rank - 1] = w->out_w;
    *y = r;
    return evi_shape_check(y, "the output");
}

/* Without groups, channel i of the input is slice i of the weights' in_axis, and the same on the
 * other side.
 *
 * With groups, the axis that holds one group's channels has size/groups entries, entry j serving
 * channel j of every group: those live and die together, and the number of groups stays.  Where a
 * group has one input and one output channel or a few (depthwise), whole groups can go instead:
 * input channel i, its filters and its outputs form one set.  In all cases the groups left are
 * the channels left on that side divided by what is left of the short axis. */
static void couple_side(evi_coupling *c, int32_t operand, int64_t channels, int64_t groups,
                        int32_t axis, bool is_short, int32_t vector)
{
    int32_t set = evi_couple_set(c);
    int64_t per_group = channels / groups;
    for (int64_t g = 0; g < groups; g++) {
        evi_couple(c, set, operand, 1, g * per_group, per_group, 1);
        if (!is_short || g == 0)
            evi_couple(c, set, 1, axis, g * per_group, per_group, 1);
        if (vector >= 0)
            evi_couple(c, set, vector, 0, g * per_group, per_group, 1);
    }
}

void evi_window_couple(evi_coupling *c, int64_t c_in, int64_t c_out, int64_t groups,
                       int32_t in_axis, int32_t out_axis, bool bias)
{
    /* Axis 1 of the weights is the short one: one group's input channels in a convolution, one
     * group's output channels in a transposed one.  The long axis holds all of the other side's. */
    int64_t short_size = (in_axis == 1 ? c_in : c_out) / groups;
    if (groups > 1 && short_size == 1) {
        int64_t block_in = c_in / groups, block_out = c_out / groups;
        int32_t set = evi_couple_set(c);
        evi_couple(c, set, 0, 1, 0, groups, block_in);
        evi_couple(c, set, 1, 0, 0, groups, in_axis == 0 ? block_in : block_out);
        if (bias)
            evi_couple(c, set, 2, 0, 0, groups, block_out);
        evi_couple(c, set, ~0, 1, 0, groups, block_out);
        return;
    }
    couple_side(c, 0, c_in, groups, in_axis, in_axis == 1, -1);
    couple_side(c, ~0, c_out, groups, out_axis, out_axis == 1, bias ? 2 : -1);
}

typedef struct plane_job {
    evi_step *s;
    const evi_window *w;
    evi_plane_fn fn;
} plane_job;

static void plane_range(void *arg, int64_t first, int64_t count)
{
    const plane_job *job = arg;
    for (int64_t i = first; i < first + count; i++)
        job->fn(job->s, job->w, i);
}

void evi_for_planes(evi_step *s, const evi_window *w, evi_plane_fn fn)
{
    plane_job job = {s, w, fn};
    int64_t work = w->h * w->w + w->out_h * w->out_w;
    evi_for_ranges(s->crew, w->n * w->c, 32768 / EVI_MAX(work, 1) + 1, plane_range, &job);
}
