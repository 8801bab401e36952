/* Training steps by a plan, one after another in one call: what a library is asked for when it is
   asked for an epoch.

   A step is what Learner.step (minienc/training/step.py) has line by line: rows of the data are
   taken into the batch, forward and backward are the plan's calls, a loss that is not finite ends
   it, and the optimiser moves the weights. The optimiser's calls were noted, too, in a plan of their
   own, with a learning rate of 1; what changes from step to step is put into them here: the learning
   rate, what is made of it and of the step's number, and what clipping scales the gradient with. */
#ifndef MINIENC_STEPS_H
#define MINIENC_STEPS_H

#include "plan.h"

/* The types of numbers in data and in batches. */
enum kind { KIND_UINT8, KIND_INT32, KIND_INT64, KIND_FLOAT32, KIND_FLOAT64, N_KINDS };

/* An array of the data, and the array that its rows are taken to, row by row of `width` numbers. */
struct taken {
    const void *from;
    void *to;
    enum kind from_kind, to_kind;
    ptrdiff_t rows, width; /* rows: of `from` */
};

/* What must be 0 before each step: gradients that the plan adds to. */
struct zeroed {
    void *data;
    size_t bytes;
};

struct steps {
    const struct plan *plan; /* forward and backward */
    struct plan *update;     /* the optimiser's calls: all of them sweeps */
    const double *multipliers; /* of the learning rate, for each of them */
    double clipnorm;           /* the most that the gradient's norm may be; 0: any */
    int loss;                  /* which of the plan's numbers it is */
    int is_single;             /* its numbers are float32 */
    const struct zeroed *zeroed;
    int n_zeroed;
    const struct taken *taken;
    int n_taken;
    ptrdiff_t batch; /* rows of one */
};

enum { STEPS_LOSS = -3, STEPS_INDEX = -4 };

/* At most n steps, of which the first is number `first`, from 1; returns how many were made.
   Their rows of the data are indices[i][0 ... batch - 1], their learning rates rates[i], and
   numbers[i * n_numbers ...] will be the plan's numbers. It goes no further once so many seconds
   have passed, nor behind an error, which will be in *error: what plan_run returned, STEPS_LOSS for
   a loss that is not finite, STEPS_INDEX for an index of no row. A step with an error has moved no
   weight. Not from two threads at once. */
int steps_run(const struct steps *s, int n, const int64_t *const *indices, int64_t first,
              const double *rates, double seconds, double *numbers, int *error);

/* Whether rows of this type can be taken to an array of that one. */
int steps_can_take(enum kind from, enum kind to);

/* Whether all that a plan holds are steps of an optimiser. */
int steps_can_update(const struct plan *update);

#endif
