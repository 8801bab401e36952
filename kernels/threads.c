/* A pool of threads that waits for work, and shares n tasks among its threads and the caller.

   There is one job at a time. Its tasks are cut into shares, one for each thread, in the order of
   their numbers: the same numbers fall to the same thread at each step of a training, whose cache
   then holds the numbers that they need. A thread that is done with its own share takes tasks from the
   others'. It takes one by lowering the share's count by one; and as a job is over only when all that
   were taken are done, a thread that took one may read the job's other fields without a lock. The
   threads are started at the first job. When there is nothing to do they spin for a moment, because
   the next job of a training step follows within microseconds and waking a sleeping thread takes
   longer than that; then they sleep.

   A process that forks keeps only the thread that forked. So the child forgets the pool, and starts
   one of its own at its first job. */
#define _GNU_SOURCE /* for placement.h: processors, and which threads may use them */
#include "threads.h"

#if defined(_WIN32)

/* Without POSIX threads, the caller does everything. */
void threads_set(int n) { (void)n; }
int threads_get(void) { return 1; }
void parallel_run(void (*task)(void *context, int i), void *context, int n)
{
    for (int i = 0; i < n; i++)
        task(context, i);
}

#else

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdatomic.h>

#include "placement.h"

#define MOST 256
#define SPINS 10000  /* of a thread that waits for a job: some 100 to 400 us, by the processor */
#define YIELDS 2000  /* of a caller that waits for the others' last tasks, before it gives way */

static atomic_int wanted = 1;   /* threads, the caller among them */
static atomic_flag in_use = ATOMIC_FLAG_INIT; /* a caller is in parallel_run */
static int started;             /* threads of the pool that run; the caller in parallel_run owns it */
static atomic_int begun;        /* of them, those that have come as far as their first line */
static pthread_t pool[MOST];
static struct placement place[MOST]; /* the caller's to write where a thread is asleep, else its own */

static struct {
    void (*task)(void *context, int i);
    void *context;
    int n;
} job;
static struct {
    _Alignas(64) atomic_int left; /* tasks that nobody has taken */
} share[MOST];                    /* each in a cache line of its own */
static atomic_int shares;
static atomic_int remaining; /* tasks left in all shares; never less, a moment more, than their sum */
static atomic_int done;      /* tasks that are finished */
static atomic_int leaving;   /* the pool is to end */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; /* for sleeping only */
static pthread_cond_t wake = PTHREAD_COND_INITIALIZER;
static atomic_int sleeping;
static int is_asleep[MOST]; /* of each thread; whoever holds the mutex may look */

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Share t's tasks end before this one. */
static inline int end_of(int t, int n, int count) { return (int)((int64_t)(t + 1) * n / count); }

static void take_tasks(int me) /* which share is one's own */
{
    const int count = atomic_load(&shares);
    for (int k = 0; k < count; k++) {
        const int t = (me + k) % count;
        int left = atomic_load(&share[t].left);
        while (left > 0) {
            if (!atomic_compare_exchange_weak(&share[t].left, &left, left - 1))
                continue; /* somebody else took it; left is what it is now */
            atomic_fetch_sub(&remaining, 1);
            job.task(job.context, end_of(t, job.n, atomic_load(&shares)) - left);
            atomic_fetch_add(&done, 1);
            left = atomic_load(&share[t].left);
        }
    }
}

static void *work(void *number)
{
    const int me = (int)(intptr_t)number;
    free_thread(&place[me - 1]);
    atomic_fetch_add(&begun, 1);
    for (;;) {
        for (int i = 0; i < SPINS && atomic_load_explicit(&remaining, memory_order_relaxed) == 0 &&
                        !atomic_load_explicit(&leaving, memory_order_relaxed); i++)
            relax();
        if (atomic_load(&remaining) == 0) {
            pthread_mutex_lock(&mutex);
            atomic_fetch_add(&sleeping, 1); /* before the look: a caller that we do not see sees us */
            is_asleep[me - 1] = 1;
            while (atomic_load(&remaining) == 0 && !atomic_load(&leaving)) {
                pthread_cond_wait(&wake, &mutex);
                free_thread(&place[me - 1]); /* even if it comes too late, and sleeps again */
            }
            is_asleep[me - 1] = 0;
            atomic_fetch_sub(&sleeping, 1);
            pthread_mutex_unlock(&mutex);
        }
        if (atomic_load(&leaving))
            return NULL;
        take_tasks(me);
    }
}

static void wake_all(void)
{
    if (atomic_load(&sleeping) > 0) {
        const struct processors processors = processors_of_caller();
        pthread_mutex_lock(&mutex);
        for (int i = 0; i < started; i++)
            if (is_asleep[i])
                hold_sleeping_thread(&place[i], &processors, i + 1, pool[i]);
        pthread_cond_broadcast(&wake);
        pthread_mutex_unlock(&mutex);
    }
}

/* In the child of a fork none of the threads exists, and the locks are as they happened to be. */
static void forget(void)
{
    started = 0;
    atomic_store(&begun, 0);
    atomic_store(&remaining, 0);
    for (int t = 0; t < MOST; t++) {
        atomic_store(&share[t].left, 0);
        is_asleep[t] = 0;
    }
    atomic_store(&leaving, 0);
    atomic_store(&sleeping, 0);
    atomic_flag_clear(&in_use);
    pthread_mutex_init(&mutex, NULL);
    pthread_cond_init(&wake, NULL);
}

static void at_fork(void) { pthread_atfork(NULL, NULL, forget); }

/* Start thread i of the pool; 0 if it could be done. */
static int start(int i, const struct processors *processors)
{
    void *const number = (void *)(intptr_t)(i + 1);
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes) != 0)
        return -1;
    hold_new_thread(&place[i], processors, i + 1, &attributes);
    int error = pthread_create(&pool[i], &attributes, work, number);
    if (error != 0 && place[i].is_held) { /* perhaps it is the processor that was refused */
        place[i].is_held = 0;
        error = pthread_create(&pool[i], NULL, work, number);
    }
    pthread_attr_destroy(&attributes);
    return error;
}

/* Have n threads beside the caller, or as many as the system gives. */
static void resize(int n)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    if (n == started)
        return;
    pthread_once(&once, at_fork);
    if (started > n) {
        atomic_store(&leaving, 1);
        wake_all();
        for (int i = 0; i < started; i++)
            pthread_join(pool[i], NULL);
        atomic_store(&leaving, 0);
        atomic_store(&begun, 0);
        started = 0;
    }
    sigset_t all, before; /* signals are the interpreter's: its own threads take them */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const struct processors processors = processors_of_caller();
    while (started < n && start(started, &processors) == 0)
        started++;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    /* A thread that is still being started may hold a lock of the system's, and a process that forks
       then leaves it locked to its child for ever. So nobody goes on before all have begun. */
    while (atomic_load(&begun) < started)
        sched_yield();
}

void threads_set(int n) { atomic_store(&wanted, n < 1 ? 1 : n > MOST ? MOST : n); }

int threads_get(void) { return atomic_load(&wanted); }

void parallel_run(void (*task)(void *context, int i), void *context, int n)
{
    const int threads = atomic_load(&wanted);
    if (n < 2 || threads < 2 || atomic_flag_test_and_set(&in_use)) {
        for (int i = 0; i < n; i++)
            task(context, i);
        return;
    }
    resize(threads - 1);
    job.task = task;
    job.context = context;
    job.n = n;
    atomic_store(&done, 0);
    atomic_store(&shares, threads);
    atomic_store(&remaining, n); /* before the shares, so that it is never too low */
    for (int t = 0; t < threads; t++) /* from here on, the tasks are taken */
        atomic_store(&share[t].left, end_of(t, n, threads) - end_of(t - 1, n, threads));
    wake_all();
    take_tasks(0);
    for (int i = 0; atomic_load(&done) < n; i++) { /* the others' last tasks */
        relax();
        if (i % YIELDS == YIELDS - 1)
            sched_yield();
    }
    atomic_flag_clear(&in_use);
}

#endif
