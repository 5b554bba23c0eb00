/* SPDX-License-Identifier: MIT */
/* ev-underpass-render: pictures of an underpass in place of a camera's. */
#include "options.h"
#include "output.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What the drawing threads share. */
typedef struct work {
    const render_options *opt;
    const campaign       *plan;
    const scene_view     *view;
    pthread_mutex_t       lock;
    size_t                next;     /* frame to draw next */
    int                   status;   /* EXIT_*; the first failure stops everybody */
    bool                  terminal; /* stderr is one */
} work;

static void progress(work *w, size_t done)
{
    size_t n = w->plan->n_frames, step = w->terminal ? 20 : n / 10 + 1;

    if (w->opt->quiet || (done % step != 0 && done != n))
        return;
    fprintf(stderr, w->terminal ? "\r%zu of %zu frames" : "%zu of %zu frames\n", done, n);
    if (w->terminal && done == n)
        fputc('\n', stderr);
}

static int fail_io(const char *path)
{
    fprintf(stderr, "ev-underpass-render: %s: %s\n", path,
            errno ? strerror(errno) : "could not be written");
    return EXIT_IO;
}

static int draw_one(const work *w, size_t index, uint8_t *rgb)
{
    const render_options *o = w->opt;
    const campaign_frame *f = &w->plan->frames[index];
    scene_frame           scene;
    char                  name[128], path[4096];

    if (o->clip && w->plan->clips[f->clip].id != o->clip)
        return EXIT_GOOD;
    clip_frame(&w->plan->clips[f->clip], f->second, &scene);
    if (!scene_view_render(w->view, &scene, rgb))
        return EXIT_MEMORY;
    output_path(w->plan, f, o->layout, o->format, name, sizeof name);
    snprintf(path, sizeof path, "%s/%s", o->out, name);
    errno = 0;
    if (!output_picture(path, o->format, o->quality, o->width, o->height, rgb))
        return fail_io(path);
    return EXIT_GOOD;
}

static void *draw_frames(void *user)
{
    work    *w = user;
    uint8_t *rgb = malloc(3 * (size_t)w->opt->width * (size_t)w->opt->height);
    int      status = rgb ? EXIT_GOOD : EXIT_MEMORY;

    for (;;) {
        pthread_mutex_lock(&w->lock);
        if (status != EXIT_GOOD && w->status == EXIT_GOOD)
            w->status = status;
        bool   over = w->status != EXIT_GOOD || w->next >= w->plan->n_frames;
        size_t index = over ? 0 : w->next++;
        if (!over)
            progress(w, index + 1);
        pthread_mutex_unlock(&w->lock);
        if (over)
            break;
        status = draw_one(w, index, rgb);
    }
    free(rgb);
    return NULL;
}

/* Every folder that a frame will go to. */
static bool make_folders(const render_options *o, const campaign *c)
{
    char last[4096] = "", path[4096], name[128];

    if (!output_folder(o->out))
        return false;
    for (size_t i = 0; i < c->n_frames; i++) {
        output_path(c, &c->frames[i], o->layout, o->format, name, sizeof name);
        *strrchr(name, '/') = '\0';
        if (snprintf(path, sizeof path, "%s/%s", o->out, name) >= (int)sizeof path - 64) {
            errno = ENAMETOOLONG;
            return false;
        }
        if (strcmp(path, last) && !output_folder(path))
            return false;
        strcpy(last, path);
    }
    return true;
}

static int write_folder(const render_options *o, const campaign *c, const scene_view *view)
{
    work w = {.opt = o, .plan = c, .view = view, .lock = PTHREAD_MUTEX_INITIALIZER,
              .terminal = isatty(2) == 1};
    pthread_t threads[64];
    int       n = 0;
    char      path[4096];

    errno = 0;
    if (!make_folders(o, c))
        return fail_io(o->out);
    /* One thread fewer than asked for is no failure: this one draws too. */
    while (n < o->threads - 1 && pthread_create(&threads[n], NULL, draw_frames, &w) == 0)
        n++;
    draw_frames(&w);
    for (int i = 0; i < n; i++)
        pthread_join(threads[i], NULL);
    if (w.status == EXIT_MEMORY)
        fputs("ev-underpass-render: out of memory\n", stderr);
    if (w.status != EXIT_GOOD)
        return w.status;
    /* The manifest comes last: where it is, all that it names is there too. */
    snprintf(path, sizeof path, "%s/truth.csv", o->out);
    errno = 0;
    return output_truth(path, c, o->layout, o->format, o->width, o->height) ? EXIT_GOOD
                                                                            : fail_io(path);
}

static int write_raw(const render_options *o, const campaign *c, const scene_view *view)
{
    size_t   bytes = 3 * (size_t)o->width * (size_t)o->height;
    uint8_t *rgb = malloc(bytes);
    int      status = rgb ? EXIT_GOOD : EXIT_MEMORY;

    for (size_t i = 0; i < c->n_clips && status == EXIT_GOOD; i++) {
        const clip *k = &c->clips[i];
        int         n = (int)((k->end_s - k->begin_s) * o->fps);
        if (o->clip && k->id != o->clip)
            continue;
        for (int j = 0; j < n && status == EXIT_GOOD; j++) {
            scene_frame f;
            clip_frame(k, (double)j / o->fps, &f);
            errno = 0;
            if (!scene_view_render(view, &f, rgb))
                status = EXIT_MEMORY;
            else if (fwrite(rgb, 1, bytes, stdout) != bytes)
                status = fail_io("standard output");
        }
        if (!o->quiet)
            fprintf(stderr, "clip %d of %zu: %d frames\n", (int)k->id, c->n_clips, n);
    }
    if (status == EXIT_GOOD && fflush(stdout) != 0)
        status = fail_io("standard output");
    free(rgb);
    return status;
}

static int write_list(const campaign *c)
{
    puts("clip,domain,planned,start,seconds");
    for (size_t i = 0; i < c->n_clips; i++) {
        const clip *k = &c->clips[i];
        int         clock = ((int)(k->hour * 3600.0f) + (int)k->begin_s + 86400) % 86400;
        printf("%d,%s,%s,%02d:%02d:%02d,%d\n", (int)k->id, scene_domain_name(k->domain),
               scene_label_name(k->label), clock / 3600, clock / 60 % 60, clock % 60,
               (int)(k->end_s - k->begin_s));
    }
    return fflush(stdout) == 0 ? EXIT_GOOD : fail_io("standard output");
}

static void say_counts(const campaign *c)
{
    int dropped[5] = {0};

    for (size_t i = 0; i < c->n_frames; i++)
        dropped[c->frames[i].truth.drop]++;
    fprintf(stderr, "%zu frames of %zu clips; after step C", c->n_frames, c->n_clips);
    for (int i = 0; i < SCENE_OTHER; i++)
        fprintf(stderr, "%s %d %s", i ? "," : "", (int)c->kept[i], scene_label_name(i));
    for (int i = SCENE_DROP_SEVERAL; i <= SCENE_DROP_OTHER; i++)
        fprintf(stderr, "%s %d %s", i == SCENE_DROP_SEVERAL ? "; dropped" : ",", dropped[i],
                scene_drop_name(i));
    fputc('\n', stderr);
}

int main(int argc, char **argv)
{
    render_options o;
    campaign       plan;

    if (!options_read(argc, argv, &o)) /* locale: never set, so printf and strtod stay in "C" */
        return EXIT_USAGE;
    if (o.help) {
        options_help();
        return EXIT_GOOD;
    }
    if (!campaign_plan(&o.campaign, &plan)) {
        fputs("ev-underpass-render: out of memory\n", stderr);
        return EXIT_MEMORY;
    }
    if (!o.quiet)
        say_counts(&plan);
    scene_view *view = scene_view_create(o.width, o.height);
    int status = !view    ? EXIT_MEMORY
                 : o.list ? write_list(&plan)
                 : o.raw  ? write_raw(&o, &plan, view)
                          : write_folder(&o, &plan, view);
    scene_view_destroy(view);
    campaign_free(&plan);
    return status;
}
