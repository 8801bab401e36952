/* See plan.h. */
#include "plan.h"

#include <stdlib.h>
#include <string.h>

static const size_t SIZES[] = {
#define F(name, arguments) sizeof(struct arguments),
    KERNEL_FUNCTIONS(F)
#undef F
};

static _Thread_local struct plan *noting;

static int run(const struct kernels *table, int operation, const void *arguments)
{
    switch (operation) {
#define F(name, arguments_of)                              \
    case OP_##name:                                        \
        return table->name((const struct arguments_of *)arguments);
        KERNEL_FUNCTIONS(F)
#undef F
    }
    return -1;
}

static void note(struct plan *plan, const struct kernels *table, int operation, const void *arguments)
{
    if (plan->n == plan->room) {
        const int room = plan->room > 0 ? 2 * plan->room : 16;
        struct noted *calls = realloc(plan->calls, (size_t)room * sizeof(struct noted));
        if (calls == NULL) {
            plan_decline("there is no memory for the plan");
            return;
        }
        plan->calls = calls;
        plan->room = room;
    }
    struct noted *call = &plan->calls[plan->n++];
    call->table = table;
    call->operation = operation;
    memcpy(&call->arguments, arguments, SIZES[operation]);
    if (operation == OP_dot) { /* the number goes to the plan, not to whoever asked the first time */
        if (plan->n_numbers == PLAN_NUMBERS)
            plan_decline("the step has too many losses");
        else
            call->arguments.dot.out = &plan->numbers[plan->n_numbers++];
    }
}

int kernels_call(const struct kernels *table, int operation, const void *arguments)
{
    if (noting != NULL && noting->declined == NULL)
        note(noting, table, operation, arguments);
    if (noting != NULL && noting->only_notes)
        return 0;
    return run(table, operation, arguments);
}

int noted_run(const struct noted *call)
{
    return run(call->table, call->operation, &call->arguments);
}

int plan_run(const struct plan *plan)
{
    for (int i = 0; i < plan->n; i++) {
        const int error = noted_run(&plan->calls[i]);
        if (error)
            return error;
    }
    return 0;
}

void plan_note(struct plan *plan) { noting = plan; }

struct plan *plan_noting(void) { return noting; }

void plan_decline(const char *why)
{
    if (noting != NULL && noting->declined == NULL)
        noting->declined = why;
}

void plan_clear(struct plan *plan)
{
    free(plan->calls);
    plan->calls = NULL;
    plan->n = plan->room = plan->n_numbers = 0;
}
