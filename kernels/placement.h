/* Where the pool's threads run, on Linux: not on the caller's processor.

   Linux likes to start a thread, and to wake it, on the processor of whoever does so. While both are
   busy it may leave the two there for milliseconds, with another processor idle; and threads that
   wait for each other on one processor are slower than one thread alone. So the caller holds a thread
   that it starts or wakes to another processor, and once it runs there, the thread frees itself: then
   it may go wherever the caller may. Where the system refuses any of this, threads run where it puts
   them. */
#ifndef MINIENC_PLACEMENT_H
#define MINIENC_PLACEMENT_H

#include <pthread.h>

#if defined(__linux__) && defined(__GLIBC__)
#include <sched.h>

struct processors {
    int here;          /* the caller's own; -1: not known, or it has no other */
    cpu_set_t allowed; /* all that it may use */
};

struct placement {
    int is_held;       /* to one processor, until the thread frees itself */
    cpu_set_t allowed; /* what it frees itself to */
};

static struct processors processors_of_caller(void)
{
    struct processors p = {.here = sched_getcpu()};
    if (sched_getaffinity(0, sizeof p.allowed, &p.allowed) != 0 || CPU_COUNT(&p.allowed) < 2)
        p.here = -1;
    return p;
}

/* The number-th processor after the caller's, round and round. */
static cpu_set_t other_processor(const struct processors *p, int number)
{
    cpu_set_t one;
    int cpu = p->here;
    while (number > 0) {
        cpu = (cpu + 1) % CPU_SETSIZE;
        number -= cpu != p->here && CPU_ISSET(cpu, &p->allowed);
    }
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return one;
}

/* The caller, about to start thread `number`: attributes that make it begin elsewhere. */
static void hold_new_thread(struct placement *t, const struct processors *p, int number,
                            pthread_attr_t *attributes)
{
    t->is_held = 0;
    if (p->here < 0)
        return;
    const cpu_set_t one = other_processor(p, number);
    t->allowed = p->allowed;
    t->is_held = pthread_attr_setaffinity_np(attributes, sizeof one, &one) == 0;
}

/* The caller, about to wake thread `number`, which is asleep and stays so until then. */
static void hold_sleeping_thread(struct placement *t, const struct processors *p, int number,
                                 pthread_t thread)
{
    if (p->here < 0 || t->is_held)
        return;
    const cpu_set_t one = other_processor(p, number);
    t->allowed = p->allowed;
    t->is_held = pthread_setaffinity_np(thread, sizeof one, &one) == 0;
}

/* The thread itself, when it has begun or woken up. */
static void free_thread(struct placement *t)
{
    if (t->is_held)
        sched_setaffinity(0, sizeof t->allowed, &t->allowed);
    t->is_held = 0;
}

#else /* elsewhere the system knows best */

struct processors {
    int unused;
};
struct placement {
    int is_held;
};
static struct processors processors_of_caller(void) { return (struct processors){0}; }
static void hold_new_thread(struct placement *t, const struct processors *p, int number,
                            pthread_attr_t *attributes)
{
    (void)t, (void)p, (void)number, (void)attributes;
}
static void hold_sleeping_thread(struct placement *t, const struct processors *p, int number,
                                 pthread_t thread)
{
    (void)t, (void)p, (void)number, (void)thread;
}
static void free_thread(struct placement *t) { (void)t; }

#endif
#endif
