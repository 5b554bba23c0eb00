/* SPDX-License-Identifier: MIT */
#define API_TABLE
#include "api.h"

int32_t api_n_functions(void)
{
    return (int32_t)(sizeof(rows) / sizeof(rows[0]));
}

const api_function *api_at(int32_t index)
{
    return index >= 0 && index < api_n_functions() ? &rows[index] : NULL;
}

const char *api_handle_name(int32_t handle)
{
    return handle > 0 && handle < API_N_HANDLES ? handle_names[handle] : "none";
}

void api_handle_end(int32_t handle, void *object)
{
    if (handle > 0 && handle < API_N_HANDLES)
        handle_ends[handle]((api_slot){.p = object});
}

void api_results_end(const api_function *f, const api_slot *a, const api_slot *result)
{
    for (int32_t i = 0; i < f->n; i++) {
        const api_argument *arg = &f->arguments[i];
        void **out = a[i].p;
        if (out == NULL || (arg->flags & API_MAY_BE_BORROWED) != 0)
            continue;
        if (arg->kind == API_OUT_HANDLE) {
            int32_t n = (arg->flags & API_MAY_BE_ARRAY) != 0 ? a[2].i32 : 1;
            for (int32_t k = 0; k < n; k++) {
                api_handle_end(arg->handle, out[k]);
                out[k] = NULL;
            }
        } else if (arg->kind == API_OUT_POINTER) {
            if (arg->options == NULL && f->name[0] != '\0') {
                /* a text, or bytes: both are blocks of the library */
                ev_bytes_destroy(*out);
                *out = NULL;
            }
        }
    }
    if (f->returns == API_POINTER && f->n == 1 && f->arguments[0].kind == API_HANDLE &&
        result->p == a[0].p)
        api_handle_end(f->arguments[0].handle, result->p); /* one more reference */
}
