#include "threads.h"

static int n_threads = 1;

void threads_set(int n) { n_threads = n; }
int threads_get(void) { return n_threads; }

void parallel_run(void (*task)(void *context, int i), void *context, int n)
{
    for (int i = 0; i < n; i++)
        task(context, i);
}
