/* SPDX-License-Identifier: MIT */
/* A process that is killed while it saves: what is found afterwards is the old file or the new one,
 * whole, and at most one temporary file, which the next save takes away. */
#include "hygiene.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KILLS 60

static void pause_for(long nanoseconds)
{
    struct timespec t = {0, nanoseconds};
    (void)nanosleep(&t, NULL);
}

/* The child saves models with other weights again and again, without end. */
static void save_for_ever(api_world *w, const char *model, const char *run, const char *gan)
{
    ev_tensor *weight = NULL;
    if (ev_model_weight(w->model, ev_model_weight_name(w->model, 0), &weight) != EV_OK)
        _exit(3);
    float *numbers = ev_tensor_data(weight);
    for (int32_t i = 0;; i++) {
        numbers[0] = (float)i;
        if (ev_model_touch(w->model) != EV_OK || ev_model_save(w->model, model) != EV_OK)
            _exit(4);
        if (w->trainer != NULL && ev_trainer_save(w->trainer, run) != EV_OK)
            _exit(5);
        if (w->gan != NULL && ev_cyclegan_save(w->gan, gan) != EV_OK)
            _exit(6);
    }
}

static void check_whole(api_world *w, const char *model, const char *run, const char *gan)
{
    ev_model *m = NULL;
    t_ok(ev_model_load(w->ctx, model, NULL, &m)); /* a checksum over all of it */
    ev_model_destroy(m);
    if (w->trainer != NULL)
        t_ok(ev_trainer_resume(w->trainer, run));
    if (w->gan != NULL)
        t_ok(ev_cyclegan_resume(w->gan, gan));
}

START_TEST(killed_at_any_time)
{
    char folder[T_PATH], model[T_PATH], run[T_PATH], gan[T_PATH], temporary[T_PATH];
    uint64_t state = 99;
    api_world w;
    t_folder(folder);
    (void)t_path(model, folder, "m.onnx");
    (void)t_path(run, folder, "r.safetensors");
    (void)t_path(gan, folder, "g.safetensors");
    hygiene_world(1, &w);
    t_ok(ev_model_save(w.model, model));
    if (w.trainer != NULL)
        t_ok(ev_trainer_save(w.trainer, run));
    if (!api_no_training())
        t_ok(ev_cyclegan_save(api_gan(&w), gan));
    for (int32_t i = 0; i < KILLS; i++) {
        pid_t child = fork();
        if (child == 0)
            save_for_ever(&w, model, run, gan);
        pause_for(100000 + (long)(t_random(&state) % 8000000));
        (void)kill(child, SIGKILL);
        int status = 0;
        (void)waitpid(child, &status, 0);
        ck_assert_msg(WIFSIGNALED(status), "the child ended by itself: %d", status);
        check_whole(&w, model, run, gan);
    }
    t_ok(ev_model_save(w.model, model));
    if (w.trainer != NULL)
        t_ok(ev_trainer_save(w.trainer, run));
    if (!api_no_training())
        t_ok(ev_cyclegan_save(api_gan(&w), gan));
    ck_assert(!t_exists(t_path(temporary, folder, "m.onnx.tmp")));
    ck_assert(!t_exists(t_path(temporary, folder, "r.safetensors.tmp")));
    ck_assert(!t_exists(t_path(temporary, folder, "g.safetensors.tmp")));
    api_world_end(&w);
    t_folder_remove(folder);
}
END_TEST

/* A save that writes in place would be found out. */
START_TEST(half_a_file_is_noticed)
{
    char folder[T_PATH], model[T_PATH];
    api_world w;
    size_t n = 0;
    ev_model *m = NULL;
    t_folder(folder);
    hygiene_world(1, &w);
    t_ok(ev_model_save(w.model, t_path(model, folder, "m.onnx")));
    char *bytes = t_read(model, &n);
    for (size_t k = 0; k < n; k += n / 37 + 1) {
        t_write(model, bytes, k);
        t_status(ev_model_load(w.ctx, model, NULL, &m), EV_ERR_FORMAT);
    }
    free(bytes);
    api_world_end(&w);
    t_folder_remove(folder);
}
END_TEST

TCase *killed_case(void)
{
    TCase *c = tcase_create("killed");
    tcase_set_timeout(c, 300);
    tcase_add_test(c, killed_at_any_time);
    tcase_add_test(c, half_a_file_is_noticed);
    return c;
}
