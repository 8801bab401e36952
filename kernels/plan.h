/* A plan: the calls of a training step, noted while they are made, and made again as one.

   Python takes longer to say what a small network's step is than the processor to compute it: each
   call looks at its arrays, finds room for its results, and makes objects that tell of them. But a
   step of the same shapes is the same calls with the same addresses, if the same room is used again.
   So while a thread notes, each call is also copied into the plan: which function, and its struct of
   arguments. To run the plan is to go through that list.

   Whoever notes sees to it that the addresses stay good: what is read from outside lies where it
   lay, and the results between are made in a workspace that belongs to the plan. And that nothing
   else happened in between: what NumPy computed is not in the plan. Where the boundary knows that it
   did, it declines. */
#ifndef MINIENC_PLAN_H
#define MINIENC_PLAN_H

#include "kernels.h"

enum operation {
#define F(name, arguments) OP_##name,
    KERNEL_FUNCTIONS(F)
#undef F
    N_OPERATIONS
};

#define PLAN_NUMBERS 64

/* A call. The copies of the structs are as large as the largest of them: a step has some tens. */
struct noted {
    const struct kernels *table;
    int operation;
    union {
#define F(name, arguments) struct arguments name;
        KERNEL_FUNCTIONS(F)
#undef F
    } arguments;
};

struct plan {
    struct noted *calls;
    int n, room;
    int only_notes; /* calls are noted and not made: of what moves weights, which must not move yet */
    double numbers[PLAN_NUMBERS]; /* what each `dot` found, in their order: the losses */
    int n_numbers;
    const char *declined; /* why the calls are not all of the step; NULL: they are */
};

/* Call a function of a table; note the call, if this thread notes. */
int kernels_call(const struct kernels *table, int operation, const void *arguments);

int noted_run(const struct noted *call); /* make a call again */

/* Make the calls again, in their order, up to the first that returns an error, which is returned.
   Not from two threads at once. */
int plan_run(const struct plan *plan);

void plan_note(struct plan *plan); /* this thread notes its calls in it; NULL: it no longer notes */
struct plan *plan_noting(void);    /* in which one it does, or NULL */
void plan_decline(const char *why); /* of a plan in which this thread notes, if it does */
void plan_clear(struct plan *plan); /* give its memory back; it is empty then */

#endif
