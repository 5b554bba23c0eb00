/* SPDX-License-Identifier: MIT */
/* Texts that live together, and sets of different texts. */
#include "data/dataset.h"
#include <string.h>

enum { BLOCK_BYTES = 16384 };

struct evi_text_block {
    evi_text_block *next;
    uint64_t used, size;
    char data[];
};

ev_status evi_text_pool_add(evi_text_pool *pool, const char *text, uint64_t length,
                            const char **out)
{
    evi_text_block *b = pool->blocks;
    if (b == NULL || b->size - b->used <= length) {
        uint64_t size = EVI_MAX((uint64_t)BLOCK_BYTES, length + 1);
        EVI_TRY(evi_malloc(pool->ctx, sizeof(*b) + size, 1, &b));
        *b = (evi_text_block){.next = pool->blocks, .size = size};
        pool->blocks = b;
    }
    char *to = b->data + b->used;
    memcpy(to, text, length);
    to[length] = '\0';
    b->used += length + 1;
    *out = to;
    return EV_OK;
}

void evi_text_pool_end(evi_text_pool *pool)
{
    while (pool->blocks != NULL) {
        evi_text_block *b = pool->blocks;
        pool->blocks = b->next;
        evi_free(b);
    }
}

static uint64_t hash_of(const char *text)
{
    uint64_t h = 14695981039346656037u;
    for (; *text != '\0'; text++)
        h = (h ^ (uint8_t)*text) * 1099511628211u;
    return h ^ h >> 29;
}

/* Slots are twice the capacity, which is a power of two, so there is always a free one. */
static uint64_t slot_of(const evi_name_list *names, const char *text)
{
    uint64_t mask = (uint64_t)names->capacity * 2 - 1, i = hash_of(text) & mask;
    while (names->slot[i] != 0 && strcmp(names->text[names->slot[i] - 1], text) != 0)
        i = (i + 1) & mask;
    return i;
}

int32_t evi_name_list_find(const evi_name_list *names, const char *text)
{
    return names->n == 0 ? -1 : names->slot[slot_of(names, text)] - 1;
}

static ev_status grow(evi_name_list *names, ev_context *ctx)
{
    evi_name_list big = {.n = names->n, .capacity = EVI_MAX(names->capacity * 2, 16)};
    if (names->capacity > 1 << 29)
        return evi_fail(EV_ERR_MEMORY, "too many names");
    EVI_TRY(evi_calloc(ctx, (uint64_t)big.capacity, sizeof(*big.text), &big.text));
    ev_status status = evi_calloc(ctx, (uint64_t)big.capacity * 2, sizeof(*big.slot), &big.slot);
    if (status != EV_OK) {
        evi_free(big.text);
        return status;
    }
    for (int32_t i = 0; i < names->n; i++) {
        big.text[i] = names->text[i];
        big.slot[slot_of(&big, big.text[i])] = i + 1;
    }
    evi_name_list_end(names);
    *names = big;
    return EV_OK;
}

ev_status evi_name_list_add(evi_name_list *names, evi_text_pool *pool, const char *text,
                            int32_t *out)
{
    int32_t found = evi_name_list_find(names, text);
    if (found < 0) {
        if (names->n == names->capacity)
            EVI_TRY(grow(names, pool->ctx));
        const char *copy = NULL;
        EVI_TRY(evi_text_pool_add(pool, text, strlen(text), &copy));
        found = names->n++;
        names->text[found] = copy;
        names->slot[slot_of(names, copy)] = found + 1;
    }
    *out = found;
    return EV_OK;
}

void evi_name_list_end(evi_name_list *names)
{
    evi_free(names->text);
    evi_free(names->slot);
    *names = (evi_name_list){0};
}
