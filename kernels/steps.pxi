# Training steps of kernels/steps.h: several of them in one call.

cdef extern from "steps.h":
    enum kind:
        KIND_UINT8, KIND_INT32, KIND_INT64, KIND_FLOAT32, KIND_FLOAT64
    struct taken:
        const void *from_ "from"
        void *to
        kind from_kind, to_kind
        Py_ssize_t rows, width
    struct zeroed:
        void *data
        size_t bytes
    struct steps:
        const plan *plan
        const plan *update
        const double *multipliers
        double clipnorm
        int loss, is_single, n_zeroed, n_taken
        const zeroed *zeroed
        const taken *taken
        Py_ssize_t batch
    int steps_run(
        const steps *s, int n, const int64_t **indices, int64_t first, const double *rates,
        double seconds, double *numbers, int *failed
    ) noexcept nogil
    bint steps_can_take(kind a, kind b) noexcept
    bint steps_can_update(const plan *update) noexcept

    enum:
        STEPS_LOSS, PLAN_NUMBERS

cdef enum:
    MOST_STEPS = 64  # of one call
    MOST_ARRAYS = 16
    MOST_CALLS = 64

steps_of_a_call = MOST_STEPS
loss_is_not_finite = STEPS_LOSS


cdef int kind_of(cnp.ndarray a) noexcept:
    """Its type as C calls it; -1 for one that is not taken."""
    cdef int number = cnp.PyArray_TYPE(a), size = cnp.PyArray_ITEMSIZE(a)
    if not cnp.PyArray_ISNOTSWAPPED(a):
        return -1
    if number == cnp.NPY_FLOAT32:
        return KIND_FLOAT32
    if number == cnp.NPY_FLOAT64:
        return KIND_FLOAT64
    if number == cnp.NPY_UINT8:
        return KIND_UINT8
    if cnp.PyArray_ISSIGNED(a) and cnp.PyArray_ISINTEGER(a):  # long is one of the two
        return KIND_INT32 if size == 4 else KIND_INT64 if size == 8 else -1
    return -1


cdef bint can_take(source, into, taken *t) except -1:
    """Whether C can take rows of `source` to `into`, which is as t says then."""
    cdef cnp.ndarray a, b
    cdef int from_kind, to_kind, i
    if not (cnp.PyArray_CheckExact(source) and cnp.PyArray_CheckExact(into)):
        return False
    a, b = source, into
    from_kind, to_kind = kind_of(a), kind_of(b)
    if from_kind < 0 or to_kind < 0 or not steps_can_take(<kind>from_kind, <kind>to_kind):
        return False
    if not (cnp.PyArray_ISCARRAY_RO(a) and cnp.PyArray_ISCARRAY(b)) or overlap(a, b):
        return False
    if cnp.PyArray_NDIM(a) != cnp.PyArray_NDIM(b) or cnp.PyArray_NDIM(a) == 0:
        return False
    t.width = 1
    for i in range(1, cnp.PyArray_NDIM(a)):
        if cnp.PyArray_DIM(a, i) != cnp.PyArray_DIM(b, i):
            return False
        t.width *= cnp.PyArray_DIM(a, i)
    t.from_, t.to = cnp.PyArray_DATA(a), cnp.PyArray_DATA(b)
    t.from_kind, t.to_kind, t.rows = <kind>from_kind, <kind>to_kind, cnp.PyArray_DIM(a, 0)
    return True


cdef class Steps:
    """Steps whose forward and backward are the calls of one plan, and whose update those of
    another one that only notes: of an optimiser at a learning rate of 1.

    Parameters
    ----------
    plan, update : Plan
    multipliers : list of float
        Of the learning rate, for each call of ``update``.
    loss : int
        Which of the plan's numbers it is.
    single : bool
        Whether its numbers are float32.
    zeroed : list of arrays
        What must be 0 before each step.
    """

    cdef steps s
    cdef Plan plan
    cdef Plan update
    cdef list held
    cdef double multipliers[MOST_CALLS]
    cdef zeroed zeroes[MOST_ARRAYS]
    cdef taken rows[MOST_ARRAYS]

    def __cinit__(self, Plan plan, Plan update, list multipliers, int loss, bint single,
                  list zeroed):
        cdef int i
        if update.p.n != len(multipliers) or update.p.n > MOST_CALLS or len(zeroed) > MOST_ARRAYS:
            raise ValueError("Steps: too many arrays, or not a multiplier for each call")
        if not steps_can_update(&update.p):
            raise ValueError("Steps: not all of the update's calls move weights")
        if not 0 <= loss < plan.p.n_numbers:
            raise IndexError(f"Steps: the plan has {plan.p.n_numbers} numbers, not one of {loss}")
        self.plan, self.update, self.held = plan, update, zeroed
        for i in range(len(multipliers)):
            self.multipliers[i] = multipliers[i]
        for i in range(len(zeroed)):
            if not cnp.PyArray_ISCARRAY(<cnp.ndarray?>zeroed[i]):
                raise ValueError("Steps: what becomes 0 does not lie in one piece")
            self.zeroes[i].data = cnp.PyArray_DATA(<cnp.ndarray>zeroed[i])
            self.zeroes[i].bytes = cnp.PyArray_NBYTES(<cnp.ndarray>zeroed[i])
        self.s.plan, self.s.update = &plan.p, &update.p
        self.s.multipliers, self.s.zeroed, self.s.taken = self.multipliers, self.zeroes, self.rows
        self.s.loss, self.s.is_single, self.s.n_zeroed = loss, single, len(zeroed)

    def once(self, int64_t step, double rate, double clipnorm):
        """Make one on the batch as it lies: step number ``step``, from 1. Returns the plan's
        numbers and an error, as of ``run``."""
        cdef double numbers[PLAN_NUMBERS]
        cdef int error, i
        self.s.clipnorm, self.s.n_taken = clipnorm, 0
        with nogil:
            steps_run(&self.s, 1, NULL, step, &rate, 0, numbers, &error)
        return [numbers[i] for i in range(self.plan.p.n_numbers)], error

    def run(self, list sources, list batch, list parts, int64_t step, list rates, double clipnorm,
            double seconds):
        """Make one for each of the parts, which are indices of rows, until so many seconds have
        passed: the rows of the sources are taken to the arrays of the batch first.

        Returns
        -------
        list of lists of float, one for each of the plan's numbers, a number a step; None where the
        arrays are not served: then nothing was done. It ends before a step that has an error: with
        a loss that is not finite, say. That one has moved no weight.
        """
        cdef const int64_t *indices[MOST_STEPS]
        cdef double given[MOST_STEPS]
        cdef double numbers[MOST_STEPS * PLAN_NUMBERS]
        cdef cnp.ndarray part
        cdef int error, i, k, done, n = len(parts), n_numbers = self.plan.p.n_numbers
        if n > MOST_STEPS or len(rates) != n or len(sources) > MOST_ARRAYS or n == 0:
            return None
        if len(batch) != len(sources) or not batch:
            return None
        self.s.batch = len(batch[0])
        for i in range(len(sources)):
            if not can_take(sources[i], batch[i], &self.rows[i]) or len(batch[i]) != self.s.batch:
                return None
        for i in range(n):
            if not is_contiguous(parts[i], cnp.NPY_INT64):
                return None
            part = parts[i]
            if cnp.PyArray_NDIM(part) != 1 or cnp.PyArray_DIM(part, 0) != self.s.batch:
                return None
            indices[i], given[i] = <const int64_t *>cnp.PyArray_DATA(part), rates[i]
        self.s.clipnorm, self.s.n_taken = clipnorm, len(sources)
        with nogil:
            done = steps_run(&self.s, n, indices, step, given, seconds, numbers, &error)
        return [[numbers[i * n_numbers + k] for i in range(done)] for k in range(n_numbers)]
