/* Where the pool's threads run, on Linux: not on the caller's processor.

   Linux likes to start a thread, and to wake it, on the processor of whoever does so. While both are
   busy it may leave the two there for milliseconds, with another processor idle; and threads that
   wait for each other on one processor are slower than one thread alone. So the caller holds a thread
   that it starts or wakes to another processor. Once it runs there, the thread frees itself: it may go
   wherever the process may. */
#ifndef MINIENC_PLACEMENT_H
#define MINIENC_PLACEMENT_H

#include <pthread.h>
#include <stdatomic.h>

#if defined(__linux__) && defined(__GLIBC__)
#include <sched.h>

struct placement {
    atomic_int is_held; /* to one processor, until it frees itself */
    cpu_set_t allowed;  /* what it frees itself to */
};

/* The `number`-th processor that the caller may use after its own, round and round; 0: there is none. */
static int placement_choose(struct placement *p, int number, cpu_set_t *one)
{
    const int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof p->allowed, &p->allowed) != 0 ||
        CPU_COUNT(&p->allowed) < 2)
        return 0;
    int cpu = here;
    while (number > 0) {
        cpu = (cpu + 1) % CPU_SETSIZE;
        number -= cpu != here && CPU_ISSET(cpu, &p->allowed);
    }
    CPU_ZERO(one);
    CPU_SET(cpu, one);
    return 1;
}

/* The caller, before it starts thread `number`: attributes that make it begin elsewhere. */
static void placement_start(struct placement *p, int number, pthread_attr_t *attributes)
{
    cpu_set_t one;
    atomic_store(&p->is_held, placement_choose(p, number, &one) &&
                                  pthread_attr_setaffinity_np(attributes, sizeof one, &one) == 0);
}

/* The caller, before it wakes thread `number`. */
static void placement_wake(struct placement *p, int number, pthread_t thread)
{
    cpu_set_t one;
    if (!atomic_load(&p->is_held) && placement_choose(p, number, &one))
        atomic_store(&p->is_held, pthread_setaffinity_np(thread, sizeof one, &one) == 0);
}

/* The thread itself, when it begins or has woken up. */
static void placement_awake(struct placement *p)
{
    if (atomic_exchange(&p->is_held, 0))
        sched_setaffinity(0, sizeof p->allowed, &p->allowed);
}

#else /* elsewhere the system knows best */

struct placement {
    int unused;
};
static void placement_start(struct placement *p, int number, pthread_attr_t *attributes)
{
    (void)p, (void)number, (void)attributes;
}
static void placement_wake(struct placement *p, int number, pthread_t thread)
{
    (void)p, (void)number, (void)thread;
}
static void placement_awake(struct placement *p) { (void)p; }

#endif
#endif
