/* SPDX-License-Identifier: MIT */
/* Model files: load, and where that works plan, run and save again.
 *
 * With clang -fsanitize=fuzzer this is a libFuzzer target; with -DFUZZ_MAIN a program of its own:
 *
 *   fuzz_onnx [--seconds N] [--runs N] [--seed N] FILE-OR-FOLDER...
 *
 * runs every file as it is, then mutations of them until the time or the number is up. */
#include <edgevision/edgevision.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMORY_LIMIT ((uint64_t)256 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes);

/* Small enough that a run takes no time, even where a window sees all of a picture each time. */
static bool is_small(ev_context *ctx, ev_model *m)
{
    ev_memory memory;
    EV_OPTIONS_INIT(&memory);
    return ev_model_n_inputs(m) <= 8 && ev_model_macs(m) < 1000000 &&
           ev_plan_memory(ctx, m, NULL, &memory) == EV_OK && memory.session_bytes < 64u << 10;
}

static void run_model(ev_context *ctx, ev_model *m)
{
    ev_tensor *inputs[8] = {NULL};
    ev_plan *plan = NULL;
    ev_session *session = NULL;
    int32_t n = ev_model_n_inputs(m);
    ev_status status = ev_plan_create(ctx, m, NULL, &plan);
    if (status == EV_OK)
        status = ev_session_create(plan, &session);
    for (int32_t i = 0; status == EV_OK && i < n; i++) {
        int64_t dims[EV_MAX_RANK];
        int32_t rank = ev_model_input_dims(m, i, dims);
        for (int32_t d = 0; d < rank; d++)
            dims[d] = dims[d] < 0 ? 1 : dims[d];
        status = ev_tensor_create(ctx, EV_TYPE_FLOAT32, rank, dims, &inputs[i]);
    }
    if (status == EV_OK)
        (void)ev_session_run(session, (const ev_tensor *const *)inputs, n, NULL, 0);
    for (int32_t i = 0; i < 8; i++)
        ev_tensor_destroy(inputs[i]);
    ev_session_destroy(session);
    ev_plan_destroy(plan);
}

static void save_model(const ev_model *m)
{
    void *bytes = NULL;
    uint64_t n = 0;
    (void)ev_model_save_memory(m, &bytes, &n);
    ev_bytes_destroy(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n_bytes)
{
    ev_context_options opt;
    ev_context *ctx = NULL;
    ev_model *m = NULL;
    EV_OPTIONS_INIT(&opt);
    opt.memory_limit_bytes = MEMORY_LIMIT;
    if (ev_context_create(&opt, &ctx) != EV_OK)
        return 0;
    if (ev_model_load_memory(ctx, data, n_bytes, NULL, &m) == EV_OK) {
        char *text = NULL;
        if (is_small(ctx, m))
            run_model(ctx, m);
        save_model(m);
        (void)ev_model_describe(m, EV_DESCRIBE_JSON, &text);
        ev_string_destroy(text);
        ev_model_destroy(m);
    }
    ev_context_destroy(ctx);
    return 0;
}

#ifdef FUZZ_MAIN

#include <dirent.h>
#include <sys/stat.h>
#include <time.h>

typedef struct input {
    uint8_t *data;
    size_t n;
} input;

static input *corpus;
static size_t n_corpus, cap_corpus;
static uint64_t state = 1;

static uint32_t chance(uint32_t below)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 0x2545F4914F6CDD1Du) >> 33) % below;
}

static void add_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (f == NULL)
        return;
    fseek(f, 0, SEEK_END);
    long n = ftell(f);
    rewind(f);
    if (n_corpus == cap_corpus) {
        cap_corpus = cap_corpus > 0 ? 2 * cap_corpus : 64;
        corpus = realloc(corpus, cap_corpus * sizeof(input));
    }
    input in = {malloc((size_t)n + 1), (size_t)n};
    if (n >= 0 && fread(in.data, 1, in.n, f) == in.n)
        corpus[n_corpus++] = in;
    fclose(f);
}

/* Model files of up to 64 KB below a folder. */
static void add_path(const char *path, int depth)
{
    struct stat st;
    DIR *dir;
    if (stat(path, &st) != 0 || depth > 4)
        return;
    if (!S_ISDIR(st.st_mode)) {
        const char *dot = strrchr(path, '.');
        if (depth == 0 || (dot != NULL && strcmp(dot, ".onnx") == 0 && st.st_size <= 65536))
            add_file(path);
        return;
    }
    dir = opendir(path);
    for (struct dirent *e = dir == NULL ? NULL : readdir(dir); e != NULL; e = readdir(dir)) {
        char below[1024];
        if (e->d_name[0] == '.')
            continue;
        snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
        add_path(below, depth + 1);
    }
    if (dir != NULL)
        closedir(dir);
}

/* A few changes: bits, bytes, numbers that are often wrong, pieces taken out or of another file. */
static input changed(void)
{
    static const uint8_t odd[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe, 0x08, 0x0a, 0x12};
    const input *from = &corpus[chance((uint32_t)n_corpus)];
    const input *other = &corpus[chance((uint32_t)n_corpus)];
    size_t room = from->n + 256;
    input to = {malloc(room), from->n};
    memcpy(to.data, from->data, from->n);
    for (uint32_t k = 1 + chance(6); k > 0 && to.n > 0; k--) {
        size_t at = chance((uint32_t)to.n), n = 1 + chance(16);
        switch (chance(7)) {
        case 0: to.data[at] ^= (uint8_t)(1u << chance(8)); break;
        case 1: to.data[at] = (uint8_t)chance(256); break;
        case 2: to.data[at] = odd[chance(sizeof(odd))]; break;
        case 3: to.data[at] = (uint8_t)(to.data[at] + (chance(2) ? 1 : -1)); break;
        case 4: /* take out */
            n = n < to.n - at ? n : to.n - at;
            memmove(to.data + at, to.data + at + n, to.n - at - n);
            to.n -= n;
            break;
        case 5: /* put in a piece of another */
            if (to.n + n <= room && other->n > n) {
                memmove(to.data + at + n, to.data + at, to.n - at);
                memcpy(to.data + at, other->data + chance((uint32_t)(other->n - n)), n);
                to.n += n;
            }
            break;
        default:
            if (chance(8) == 0)
                to.n = at;
            break;
        }
    }
    return to;
}

static void run_exact(const uint8_t *data, size_t n)
{
    uint8_t *exact = malloc(n > 0 ? n : 1); /* so that reading one byte too far is noticed */
    memcpy(exact, data, n);
    (void)LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

int main(int argc, char **argv)
{
    long runs = 0, most = -1, seconds = 0;
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && strcmp(argv[i], "--seconds") == 0)
            seconds = atol(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--runs") == 0)
            most = atol(argv[++i]);
        else if (i + 1 < argc && strcmp(argv[i], "--seed") == 0)
            state = (uint64_t)atol(argv[++i]) * 2 + 1;
        else
            add_path(argv[i], 0);
    }
    for (size_t i = 0; i < n_corpus; i++)
        run_exact(corpus[i].data, corpus[i].n);
    time_t end = time(NULL) + seconds;
    while (n_corpus > 0 && (most < 0 ? time(NULL) < end : runs < most)) {
        input in = changed();
        const char *keep = getenv("FUZZ_KEEP"); /* the input at hand, for after a crash */
        FILE *f = keep == NULL ? NULL : fopen(keep, "wb");
        if (f != NULL) {
            fwrite(in.data, 1, in.n, f);
            fclose(f);
        }
        run_exact(in.data, in.n);
        free(in.data);
        runs++;
    }
    printf("fuzz_onnx: %zu files, %ld mutations\n", n_corpus, runs);
    for (size_t i = 0; i < n_corpus; i++)
        free(corpus[i].data);
    free(corpus);
    return 0;
}

#endif
