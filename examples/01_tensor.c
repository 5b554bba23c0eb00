/* SPDX-License-Identifier: MIT */
/*
 * 01: tensors, and how this library speaks.
 *
 *     cc 01_tensor.c $(pkg-config --cflags --libs edgevision) && ./a.out
 *
 * Every function that can fail gives back a status: EV_OK is 0, errors are negative, and
 * ev_last_error() then says in one line what was wrong.  What a function makes comes out through
 * its last parameter and is ended by the _destroy function of its kind.
 */
#include <edgevision/edgevision.h>
#include <stdio.h>

/* Programs check each call; examples do it in one place. */
static int check(ev_status status)
{
    if (status != EV_OK) {
        fprintf(stderr, "%s: %s\n", ev_status_name(status), ev_last_error());
    }
    return status != EV_OK;
}

static void print_shape(const char *what, const ev_tensor *t)
{
    printf("%s: %s [", what, ev_type_name(ev_tensor_type(t)));
    for (int32_t i = 0; i < ev_tensor_rank(t); i++) {
        printf("%s%lld", i ? "," : "", (long long)ev_tensor_dim(t, i));
    }
    printf("], %lld elements, %llu bytes\n", (long long)ev_tensor_count(t),
           (unsigned long long)ev_tensor_bytes(t));
}

int main(void)
{
    ev_context *ctx = NULL;
    ev_tensor *batch = NULL, *second = NULL, *wrapped = NULL, *refused = NULL;

    /* A context says how many threads and how much memory may be used.  NULL: one thread. */
    if (check(ev_context_create(NULL, &ctx))) {
        return 1;
    }

    /* Two RGB pictures of 4x3: images, channels, rows, columns; the last index runs fastest. */
    const int64_t dims[] = {2, 3, 3, 4};
    if (check(ev_tensor_create(ctx, EV_TYPE_FLOAT32, 4, dims, &batch))) {
        return 1;
    }
    print_shape("batch", batch);

    /* The elements are plain memory, zero at first. */
    float *values = ev_tensor_data(batch);
    for (int64_t i = 0; i < ev_tensor_count(batch); i++) {
        values[i] = (float)i;
    }

    /* A view shares the memory: here the second picture alone. */
    if (check(ev_tensor_view(batch, 1, 1, -1, NULL, &second))) {
        return 1;
    }
    print_shape("second", second);
    printf("its first element: %g\n", (double)*(float *)ev_tensor_data(second));

    /* Memory that you have already can be looked at as a tensor; nothing is copied. */
    int32_t labels[] = {0, 3};
    const int64_t two[] = {2};
    if (check(ev_tensor_wrap(ctx, EV_TYPE_INT32, 1, two, labels, sizeof labels, &wrapped))) {
        return 1;
    }
    print_shape("labels", wrapped);

    /* Errors are values: nothing is printed, nothing ends, the out pointer is NULL. */
    const int64_t negative[] = {-1};
    ev_status status = ev_tensor_create(ctx, EV_TYPE_FLOAT32, 1, negative, &refused);
    printf("a negative size: %s, out pointer %s\n", ev_status_name(status),
           refused ? "set" : "NULL");

    printf("bytes in use: %s\n", ev_context_memory_bytes(ctx) > 0 ? "some" : "none");
    ev_tensor_destroy(wrapped);
    ev_tensor_destroy(second); /* in any order; NULL would be fine too */
    ev_tensor_destroy(batch);
    ev_context_destroy(ctx);
    return 0;
}
