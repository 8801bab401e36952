/* A workspace: memory that the arrays of one training step leave to those of the next.

   A step makes the same arrays as the step before it. Taken from the system and given back each
   time, a large one costs a page fault for every 4096 bytes, which can take longer than what is
   computed in it. NumPy asks a handler for the memory of its arrays (its enhancement proposal 49,
   "Data allocation strategies"); this one keeps what was freed, by size, and hands it out again.

   Where the steps differ (sentences of other lengths), the sizes do, too, and what was kept of one
   would wait in vain. So where a new piece would make it more than twice what was ever in use at
   once, all that is kept is given back first.

   Nothing is overwritten that somebody holds: memory comes back when its array is gone, and an
   array (a cache that a user keeps, say) may outlive the workspace. Each array refers to the
   handler that it came from, so the workspace is there as long as any of them. */
#ifndef MINIENC_WORKSPACE_H
#define MINIENC_WORKSPACE_H

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define SIZES 1024 /* sizes are kept apart in steps of an eighth of a power of two */

/* What stands before each piece of memory, in a cache line of its own. Nothing is written into the
   memory itself: a plan (plan.h) goes on writing where arrays of its step have been. */
struct block {
    struct block *next; /* of those that are kept */
    size_t size;        /* of the memory behind it */
};
#define BEFORE ((size_t)64)

static void *memory_of(struct block *block) { return block == NULL ? NULL : (char *)block + BEFORE; }
static struct block *block_of(void *p) { return (struct block *)((char *)p - BEFORE); }

struct workspace {
    struct block *kept[SIZES];
    atomic_flag busy;
    int closed;  /* nothing is kept any more */
    int hoards;  /* nothing that is kept is given back before the end: a plan may write into it */
    size_t used; /* bytes in use, and the most that ever were */
    size_t most;
    atomic_size_t bytes; /* of all that came from here, in use or kept */
};

/* Round a size up to the next of its steps, and number it: 64, 128, ... 512, 576, 640, ... */
static size_t size_step(size_t bytes, int *number)
{
    int shift = 6; /* cache lines, below 512 bytes */
    while ((bytes >> shift) >= 16)
        shift++;
    const size_t eighths = (bytes + ((size_t)1 << shift) - 1) >> shift; /* 1 ... 16 */
    *number = (shift - 6) * 16 + (int)eighths;
    return eighths << shift;
}

/* In whole cache lines, from the start of one. */
static struct block *new_block(struct workspace *w, size_t size)
{
#if defined(_WIN32)
    struct block *block = malloc(BEFORE + size);
#else
    struct block *block = aligned_alloc(64, BEFORE + size);
#endif
    if (block != NULL) {
        block->size = size;
        atomic_fetch_add(&w->bytes, size);
    }
    return block;
}

static void free_block(struct workspace *w, struct block *block)
{
    atomic_fetch_sub(&w->bytes, block->size);
    free(block);
}

static void enter(struct workspace *w)
{
    while (atomic_flag_test_and_set_explicit(&w->busy, memory_order_acquire)) {
    }
}

static void leave(struct workspace *w)
{
    atomic_flag_clear_explicit(&w->busy, memory_order_release);
}

/* Give back what is not in use; within enter and leave. */
static void give_back(struct workspace *w)
{
    for (int i = 0; i < SIZES; i++) {
        while (w->kept[i] != NULL) {
            struct block *next = w->kept[i]->next;
            free_block(w, w->kept[i]);
            w->kept[i] = next;
        }
    }
}

static void *workspace_malloc(void *context, size_t bytes)
{
    struct workspace *w = context;
    int number;
    const size_t size = size_step(bytes > 0 ? bytes : 1, &number);
    enter(w);
    w->used += size;
    if (w->used > w->most)
        w->most = w->used;
    struct block *found = w->kept[number];
    if (found != NULL)
        w->kept[number] = found->next;
    else if (w->bytes + size > 2 * w->most && !w->hoards)
        give_back(w);
    leave(w);
    return memory_of(found != NULL ? found : new_block(w, size));
}

static void *workspace_calloc(void *context, size_t n, size_t bytes)
{
    if (bytes != 0 && n > (size_t)-1 / bytes)
        return NULL;
    void *p = workspace_malloc(context, n * bytes);
    return p == NULL ? NULL : memset(p, 0, n * bytes);
}

static void workspace_free(void *context, void *p, size_t bytes)
{
    struct workspace *w = context;
    int number;
    if (p == NULL)
        return;
    const size_t size = size_step(bytes > 0 ? bytes : 1, &number);
    enter(w);
    w->used -= size;
    const int closed = w->closed;
    if (!closed) {
        struct block *block = block_of(p);
        block->next = w->kept[number];
        w->kept[number] = block;
    }
    leave(w);
    if (closed)
        free_block(w, block_of(p));
}

/* NumPy does not say how large the memory was: the block does. */
static void *workspace_realloc(void *context, void *p, size_t bytes)
{
    struct workspace *w = context;
    int number;
    const size_t size = size_step(bytes > 0 ? bytes : 1, &number);
    if (p == NULL)
        return workspace_malloc(context, bytes);
    const size_t before = block_of(p)->size;
    struct block *block = realloc(block_of(p), BEFORE + size);
    if (block == NULL)
        return NULL;
    block->size = size;
    atomic_fetch_add(&w->bytes, size - before);
    enter(w);
    w->used += size - before;
    leave(w);
    return memory_of(block);
}

/* Give everything back that is not in use. */
static void workspace_release(struct workspace *w)
{
    enter(w);
    give_back(w);
    leave(w);
}

/* The same, and keep nothing from now on. */
static void workspace_close(struct workspace *w)
{
    enter(w);
    w->closed = 1;
    leave(w);
    workspace_release(w);
}

#endif
