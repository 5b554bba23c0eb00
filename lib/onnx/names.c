/* SPDX-License-Identifier: MIT */
/* A table of names with open addressing. */
#include "onnx/onnx.h"

#include <string.h>

/* The key comes from the clock: who writes a file cannot know it, and nothing that is visible
 * depends on it. */
static uint64_t fresh_seed(const void *where)
{
    double now = evi_seconds();
    uint64_t bits = 0;
    memcpy(&bits, &now, sizeof(bits));
    return (bits ^ (uint64_t)(uintptr_t)where) * 0x9e3779b97f4a7c15u;
}

static uint64_t hash(uint64_t seed, evi_span name)
{
    uint64_t h = seed ^ name.n;
    for (uint64_t i = 0; i < name.n; i++) {
        h = (h ^ (uint8_t)name.at[i]) * 0xd6e8feb86659fd93u;
        h ^= h >> 32;
    }
    return h;
}

static evi_onnx_name *slot_of(const evi_onnx_names *names, evi_span name)
{
    uint64_t mask = names->capacity - 1, i = hash(names->seed, name) & mask;
    while (names->slots[i].used && !evi_span_equal(names->slots[i].name, name))
        i = (i + 1) & mask;
    return &names->slots[i];
}

static ev_status set_capacity(evi_onnx_names *names, uint64_t capacity)
{
    evi_onnx_names old = *names;
    EVI_TRY(evi_calloc(names->ctx, capacity, sizeof(evi_onnx_name), &names->slots));
    names->capacity = capacity;
    for (uint64_t i = 0; i < old.capacity; i++)
        if (old.slots[i].used)
            *slot_of(names, old.slots[i].name) = old.slots[i];
    evi_free(old.slots);
    return EV_OK;
}

ev_status evi_onnx_names_start(evi_onnx_names *names, ev_context *ctx, uint64_t expected)
{
    uint64_t capacity = 16;
    while (capacity < 2 * expected)
        capacity *= 2;
    *names = (evi_onnx_names){.ctx = ctx, .seed = fresh_seed(names)};
    return set_capacity(names, capacity);
}

ev_status evi_onnx_names_add(evi_onnx_names *names, evi_span name, int32_t value, bool *known_out)
{
    if (2 * (names->n + 1) > names->capacity) {
        evi_onnx_name *before = names->slots;
        ev_status status = set_capacity(names, 2 * names->capacity);
        if (status != EV_OK) {
            names->slots = before;
            return status;
        }
    }
    evi_onnx_name *slot = slot_of(names, name);
    *known_out = slot->used != 0;
    if (slot->used)
        return EV_OK;
    *slot = (evi_onnx_name){.name = name, .value = value, .used = 1};
    names->n++;
    return EV_OK;
}

int32_t *evi_onnx_names_find(const evi_onnx_names *names, evi_span name)
{
    evi_onnx_name *slot = slot_of(names, name);
    return slot->used ? &slot->value : NULL;
}

void evi_onnx_names_end(evi_onnx_names *names)
{
    evi_free(names->slots);
    names->slots = NULL;
}
