# Plans of kernels/plan.h: a step's calls, noted once and made again as one.

cdef extern from "plan.h":
    struct plan:
        int n, n_numbers, only_notes
        double *numbers
        const char *declined
    int plan_run(const plan *p) noexcept nogil
    void plan_note(plan *p) noexcept
    plan *plan_noting() noexcept
    void plan_decline(const char *why) noexcept
    void plan_clear(plan *p) noexcept


noting = ContextVar("noting", default=None)  # the plan in which a thread notes


def drawn(str method, a):
    """Say that this array holds what ``rng.method`` drew, if this thread notes a plan."""
    plan = noting.get()
    if plan is not None:
        (<Plan>plan).draws.append((method, a))


cdef class Plan:
    """The kernels' calls of this thread from ``start`` to ``stop``, to be made again by ``run``.

    What they read and write must lie where it lay: whoever notes holds the arrays, or has them made
    in ``workspace``, whose memory is nobody else's as long as the plan is there. With
    ``only_notes``, the calls are noted and not made.
    """

    cdef plan p
    cdef readonly object workspace
    cdef readonly list draws  # (the generator's method, the array) of what was drawn, in its order

    def __cinit__(self, bint only_notes=False):
        self.workspace = Workspace(hoards=True)
        self.draws = []
        self.p.only_notes = only_notes

    def start(self):
        """Note the calls of this thread from now on."""
        if plan_noting() != NULL:
            raise RuntimeError("Plan: this thread is noting another one")
        plan_note(&self.p)
        noting.set(self)

    def stop(self):
        """Note no longer."""
        if plan_noting() == &self.p:
            plan_note(NULL)
            noting.set(None)

    def run(self):
        """Make the calls again. 0, or what the first one returned that could not be made: -1 where
        there was no memory, -2 for a label that is none; those after it are not made."""
        cdef int error
        with nogil:
            error = plan_run(&self.p)
        return error

    def number(self, int i):
        """The i-th loss of the last run."""
        if not 0 <= i < self.p.n_numbers:
            raise IndexError(f"Plan: there are {self.p.n_numbers} numbers, not one of index {i}")
        return self.p.numbers[i]

    def meet(self, a, b):
        """a + b, which is noted where the kernel can add them, and else declined."""
        y = added(a, b)
        if y is None:
            decline(b"gradients meet that NumPy must add")
            return a + b
        return y

    def put(self, total, gradient, bint write):
        """Write a gradient to where it belongs, or add it: noted or declined, as by ``meet``."""
        if put(total, gradient, write):
            return
        decline(b"a gradient lies where NumPy must add it")
        if write:
            total[...] = gradient
        else:
            total += gradient

    @property
    def n_numbers(self):
        """How many losses there are."""
        return self.p.n_numbers

    @property
    def declined(self):
        """Why the calls are not all of what was computed; None where they are."""
        return None if self.p.declined == NULL else self.p.declined.decode()

    def __len__(self):
        return self.p.n

    def __dealloc__(self):
        plan_clear(&self.p)


def decline(bytes why):
    """Say that something was computed that is not in the plan, if this thread notes one."""
    if plan_noting() != NULL:
        reasons.add(why)  # C holds the pointer alone
        plan_decline(why)


cdef set reasons = set()
