/* SPDX-License-Identifier: MIT */
/* Every call of the file system fails in turn: an error that names the file, the old file as it
 * was, nothing left open or allocated; and the same when reads and writes come in pieces. */
#include "hygiene.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

/* An operation on one file of the world. */
typedef struct operation {
    const char *name, *file;
    ev_status (*run)(api_world *w, const char *path);
    bool writes, trains;
} operation;

static ev_status save_model(api_world *w, const char *path)
{
    return ev_model_save(w->model, path);
}

static ev_status load_model(api_world *w, const char *path)
{
    ev_model *m = NULL;
    ev_status status = ev_model_load(w->ctx, path, NULL, &m);
    ev_model_destroy(m);
    return status;
}

static ev_status save_run(api_world *w, const char *path)
{
    return ev_trainer_save(w->trainer, path);
}

static ev_status resume_run(api_world *w, const char *path)
{
    return ev_trainer_resume(w->trainer, path);
}

static ev_status save_gan(api_world *w, const char *path)
{
    return ev_cyclegan_save(api_gan(w), path);
}

static ev_status resume_gan(api_world *w, const char *path)
{
    return ev_cyclegan_resume(api_gan(w), path);
}

static ev_status save_image(api_world *w, const char *path)
{
    return ev_image_save(w->image, path, 0);
}

static ev_status load_image(api_world *w, const char *path)
{
    ev_image *image = NULL;
    ev_status status = ev_image_load(w->ctx, path, NULL, &image);
    ev_image_destroy(image);
    return status;
}

static ev_status write_manifest(api_world *w, const char *path)
{
    return ev_dataset_write_manifest(w->listed, path);
}

static ev_status read_manifest(api_world *w, const char *path)
{
    ev_dataset *d = NULL;
    ev_status status = ev_dataset_read_manifest(w->ctx, path, NULL, &d);
    ev_dataset_destroy(d);
    return status;
}

static const operation operations[] = {
    {"model save", "model.onnx", save_model, true, false},
    {"model load", "model.onnx", load_model, false, false},
    {"checkpoint save", "run.safetensors", save_run, true, true},
    {"checkpoint resume", "run.safetensors", resume_run, false, true},
    {"CycleGAN save", "gan.safetensors", save_gan, true, true},
    {"CycleGAN resume", "gan.safetensors", resume_gan, false, true},
    {"image save", "picture.png", save_image, true, false},
    {"image save, JPEG", "picture.jpg", save_image, true, false},
    {"image load", "picture.png", load_image, false, false},
    {"manifest write", "list.csv", write_manifest, true, false},
    {"manifest read", "list.csv", read_manifest, false, false},
};
#define OPERATIONS (int32_t)(sizeof(operations) / sizeof(operations[0]))

/* A folder of its own with a good file of each kind. */
typedef struct place {
    char folder[T_PATH], path[T_PATH];
    t_hooks hooks;
    api_world world;
} place;

static void place_start(place *p, const operation *o, bool with_hooks)
{
    ev_context_options opt;
    memset(p, 0, sizeof(*p));
    t_folder(p->folder);
    (void)t_path(p->path, p->folder, o->file);
    t_options(&p->hooks, with_hooks, &opt);
    t_ok(api_world_start(&opt, hygiene_files, &p->world));
    for (int32_t i = 0; i < OPERATIONS; i++) {
        char path[T_PATH];
        if (operations[i].writes && (!operations[i].trains || !api_no_training()))
            t_ok(operations[i].run(&p->world, t_path(path, p->folder, operations[i].file)));
    }
}

static void place_end(place *p)
{
    api_world_end(&p->world);
    ck_assert_int_eq(atomic_load(&p->hooks.n_live), 0);
    t_folder_remove(p->folder);
}

static int32_t n_files(const char *folder)
{
    int32_t n = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e = d == NULL ? NULL : readdir(d); e != NULL; e = readdir(d))
        n += e->d_name[0] != '.';
    if (d != NULL)
        (void)closedir(d);
    return n;
}

static bool skipped(const operation *o)
{
    return o->trains && api_no_training();
}

/* The k-th call of this kind fails; false: there is no such call. */
static bool one_fault(place *p, const operation *o, int32_t kind, long k, int32_t error)
{
    size_t n_old = 0, n_new = 0;
    char *old = t_read(p->path, &n_old);
    int32_t files = n_files(p->folder);
    memset(p->hooks.n_calls, 0, sizeof(p->hooks.n_calls));
    p->hooks.fail_kind = kind;
    p->hooks.fail_call = k;
    p->hooks.fail_errno = error;
    ev_status status = o->run(&p->world, p->path);
    bool hit = p->hooks.n_calls[kind] >= k;
    p->hooks.fail_call = 0;
    char *now = t_read(p->path, &n_new);
    bool read_closed = kind == T_FILE_CLOSE && !o->writes; /* all has been read by then */
    if (hit && kind != T_FILE_REMOVE && !read_closed) {
        ck_assert_msg(status == EV_ERR_IO, "%s, call %ld of kind %d: %s: %s", o->name, k, kind,
                      ev_status_name(status), ev_last_error());
        ck_assert_msg(strstr(ev_last_error(), o->file) != NULL, "%s: the line does not name %s: %s",
                      o->name, o->file, ev_last_error());
        ck_assert_msg(strstr(ev_last_error(), strerror(error)) != NULL, "%s: no reason: %s",
                      o->name, ev_last_error());
        ck_assert_msg(n_files(p->folder) == files, "%s: a file is left", o->name);
    } else if (!hit) {
        ck_assert_msg(status == EV_OK, "%s: %s", o->name, ev_last_error());
    }
    ck_assert_msg(n_new == n_old && memcmp(old, now, n_old) == 0, "%s: the old file is another",
                  o->name);
    free(old);
    free(now);
    return hit;
}

START_TEST(each_call_fails)
{
    const operation *o = &operations[_i];
    place p;
    long faults = 0;
    if (skipped(o))
        return;
    place_start(&p, o, true);
    for (int32_t kind = T_FILE_OPEN; kind < T_FILE_KINDS; kind++)
        for (int32_t e = 0; e < 2; e++)
            for (long k = 1; one_fault(&p, o, kind, k, e == 0 ? EIO : ENOSPC); k++)
                faults++;
    ck_assert_int_ge(faults, 6);
    place_end(&p);
}
END_TEST

START_TEST(in_pieces)
{
    const operation *o = &operations[_i];
    place p;
    size_t n_old = 0, n_new = 0;
    if (skipped(o))
        return;
    place_start(&p, o, true);
    char *old = t_read(p.path, &n_old);
    p.hooks.piece = 7;
    p.hooks.interrupt = 2;
    t_ok(o->run(&p.world, p.path));
    char *now = t_read(p.path, &n_new);
    ck_assert_uint_eq(n_old, n_new);
    ck_assert_mem_eq(old, now, n_old);
    free(old);
    free(now);
    place_end(&p);
}
END_TEST

/* ---- the real file system -------------------------------------------------------------------- */

START_TEST(no_room_and_no_right)
{
    const operation *o = &operations[_i];
    place p;
    if (skipped(o))
        return;
    place_start(&p, o, false);
    char path[T_PATH];
    t_status(o->run(&p.world, t_path(path, p.folder, "no/such/folder/x.png")), EV_ERR_IO);
    ck_assert_ptr_nonnull(strstr(ev_last_error(), "no/such/folder"));
    if (o->writes) { /* a device in the place of the file that is written first */
        (void)snprintf(path, sizeof(path), "%.500s.tmp", p.path);
        if (symlink("/dev/full", path) == 0 && access("/dev/full", W_OK) == 0) {
            ev_status status = o->run(&p.world, p.path);
            ck_assert_msg(status == EV_OK || status == EV_ERR_IO, "%s", ev_last_error());
        }
        ck_assert_msg(access("/dev/full", F_OK) == 0, "the device is gone");
    }
    if (geteuid() != 0 && o->writes) { /* root may write everywhere */
        ck_assert_int_eq(chmod(p.folder, 0555), 0);
        t_status(o->run(&p.world, p.path), EV_ERR_IO);
        ck_assert_int_eq(chmod(p.folder, 0755), 0);
    }
    place_end(&p);
}
END_TEST

START_TEST(what_is_read_is_a_folder)
{
    const operation *o = &operations[_i];
    place p;
    if (skipped(o))
        return;
    place_start(&p, o, false);
    char path[T_PATH];
    (void)t_path(path, p.folder, "folder.png");
    ck_assert_int_eq(mkdir(path, 0755), 0);
    ev_status status = o->run(&p.world, path);
    ck_assert_msg(status != EV_OK, "%s takes a folder", o->name);
    ck_assert_msg(strstr(ev_last_error(), "folder.png") != NULL, "%s", ev_last_error());
    ck_assert_msg(n_files(p.folder) <= 7, "%s: a file is left", o->name);
    place_end(&p);
}
END_TEST

TCase *files_case(void)
{
    TCase *c = tcase_create("files");
    tcase_set_timeout(c, 300);
    tcase_add_loop_test(c, each_call_fails, 0, OPERATIONS);
    tcase_add_loop_test(c, in_pieces, 0, OPERATIONS);
    tcase_add_loop_test(c, no_room_and_no_right, 0, OPERATIONS);
    tcase_add_loop_test(c, what_is_read_is_a_folder, 0, OPERATIONS);
    return c;
}
