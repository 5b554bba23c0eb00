/* SPDX-License-Identifier: MIT */
/* Sample pictures of the report, with what the model said: right ones and the worst mistakes. */
#include <stdlib.h>
#include <string.h>

#include "report.h"

enum { SHOWN = 12, SIDE = 224 };

static int32_t collect(void *user, const void *bytes, uint64_t n_bytes)
{
    text_bytes(user, bytes, (size_t)n_bytes);
    return 0;
}

/* A small JPEG of the picture, in base64.  A picture that is gone leaves a grey field. */
static void add_image(report *r, const char *path)
{
    ev_image *image = NULL, *small = NULL;
    text jpeg = {0};
    if (ev_image_load(r->ctx, path, NULL, &image) == EV_OK) {
        int32_t w = ev_image_width(image), h = ev_image_height(image);
        int32_t longest = w > h ? w : h, side = longest < SIDE ? longest : SIDE;
        int32_t sw = w * side / longest, sh = h * side / longest;
        if (ev_image_resize(image, sw > 0 ? sw : 1, sh > 0 ? sh : 1, EV_RESIZE_AREA, &small) ==
                EV_OK &&
            ev_image_encode(small, EV_FILE_JPEG, 85, collect, &jpeg) == EV_OK) {
            text_add(&r->page, "<img alt='' src='data:image/jpeg;base64,");
            text_base64(&r->page, jpeg.data, jpeg.n);
            text_add(&r->page, "'>");
        }
    }
    if (jpeg.n == 0) {
        text_add(&r->page, "<img alt='picture not found'>");
    }
    text_free(&jpeg);
    ev_image_destroy(small);
    ev_image_destroy(image);
}

static void add_figure(report *r, const verdict *v)
{
    bool right = !strcmp(v->label, v->predicted);
    text *t = &r->page;
    text_add(t, "<figure%s>", right ? "" : " class=wrong");
    add_image(r, v->path);
    text_add(t, "<figcaption>%s ", right ? "&#10003;" : "&#10007;");
    text_html(t, v->predicted);
    text_add(t, " %.0f %%<small>", 100 * v->confidence);
    if (right) {
        text_add(t, "and it is");
    } else {
        text_add(t, "but it is ");
        text_html(t, v->label);
    }
    text_add(t, "</small></figcaption></figure>\n");
}

static int by_loss(const void *a, const void *b)
{
    const verdict *x = a, *y = b;
    return (x->loss < y->loss) - (x->loss > y->loss);
}

/* Right ones of each class in turn, from the least sure to the surest. */
static void add_right(report *r)
{
    int n = r->n_classes > 0 ? r->n_classes : 1, shown = 0;
    for (int c = 0; c < n && shown < SHOWN; c++) {
        int found = 0, want = (SHOWN - shown) / (n - c), next = 0;
        for (int i = 0; i < r->n_verdicts; i++) {
            const verdict *v = &r->verdicts[i];
            found += !strcmp(v->label, r->names[c]) && !strcmp(v->label, v->predicted);
        }
        for (int i = 0, k = 0; i < r->n_verdicts && next < want && next < found; i++) {
            const verdict *v = &r->verdicts[i];
            if (strcmp(v->label, r->names[c]) != 0 || strcmp(v->label, v->predicted) != 0) {
                continue;
            }
            if (k++ * want >= next * found) {
                add_figure(r, v);
                next++;
                shown++;
            }
        }
    }
}

int report_pictures(report *r)
{
    text *t = &r->page;
    int wrong = 0;
    qsort(r->verdicts, (size_t)r->n_verdicts, sizeof *r->verdicts, by_loss);
    text_add(t, "<section class=card><h2>Pictures of the %s set</h2>\n<h3>The worst mistakes</h3>"
                "<div class=pictures>\n", report_value(r, "judged_on"));
    for (int i = 0; i < r->n_verdicts && wrong < SHOWN; i++) {
        if (strcmp(r->verdicts[i].label, r->verdicts[i].predicted) != 0) {
            add_figure(r, &r->verdicts[i]);
            wrong++;
        }
    }
    text_add(t, "%s</div>\n<h3>Right ones, of each class from the least sure to the surest</h3>"
                "<div class=pictures>\n", wrong ? "" : "None.");
    add_right(r);
    text_add(t, "</div></section>\n");
    return 0;
}
