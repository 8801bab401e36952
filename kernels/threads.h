/* A pool of threads: n tasks, done by as many threads as are free. See threads.c. */
#ifndef MINIENC_THREADS_H
#define MINIENC_THREADS_H

/* Call task(context, 0), ..., task(context, n - 1), in any order, on several threads at once, and
   return when all are done. The tasks must not depend on each other, nor must any result depend on
   which thread ran what. If the pool is busy (another Python thread is in it), the caller runs all
   of them alone. May be called without Python's lock. */
void parallel_run(void (*task)(void *context, int i), void *context, int n);

void threads_set(int n); /* from 1; the caller counts as one */
int threads_get(void);

#endif
