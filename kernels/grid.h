/* A product on several threads: C is cut into a grid of blocks, each the task of one thread (gemm.h).

   Of the loops around the micro-kernel it is the 5th and the 3rd, over columns and over rows, that are
   shared; the 4th, over k, is not, so each sum is made by one thread and in one order. */

/* A product cut into rows x columns blocks of C, each the task of one thread. Every block packs what
   it needs, so blocks close to a square repeat the least work, and there are as many as threads. */
struct NAME(grid) {
    const struct NAME(job) *job;
    int rows, columns;
};

static struct NAME(grid) NAME(cut)(const struct NAME(job) *job, int threads)
{
    struct NAME(grid) best = {job, 1, 1};
    const ptrdiff_t panels = (job->N + PANEL - 1) / PANEL;
    double least = 0;
    for (int rows = 1; rows <= threads; rows++) {
        const int columns = threads / rows;
        const double m = (double)((job->M + rows - 1) / rows);
        const double n = (double)((panels + columns - 1) / columns);
        /* In units of a row's multiply-adds with a panel: these, and reading a panel of B (twice as
           much where it is dy and y) and a row of A, which come from beyond the thread's own cache. */
        const double cost = m * n + (job->slopes != NULL ? 28 : 18) * n + 0.6 * m;
        if (rows == 1 || cost < least) {
            least = cost;
            best.rows = rows;
            best.columns = columns;
        }
    }
    return best;
}

/* How many threads n products take together, and how many of them each product is cut for. */
static int NAME(threads_for)(const struct NAME(job) *job, int n, int *each)
{
    double work = 0; /* multiply-adds */
    for (int j = 0; j < n; j++)
        work += (double)job[j].M * (double)job[j].N * (double)job[j].K;
    /* Below the first bound, waking another thread would take longer. Of two smaller products each
       has half of the threads, so that less is packed twice. */
    const int threads = work < 4e5 * n ? 1 : threads_get();
    *each = n > 1 && work < 6e7 ? threads / n : threads;
    return threads;
}

/* ------------------------------------------------------------------------------ the grid's tasks */

static int NAME(do_block)(const struct NAME(grid) *grid, int i)
{
    const struct NAME(job) *job = grid->job;
    const ptrdiff_t row = i / grid->columns, column = i % grid->columns;
    const ptrdiff_t panels = (job->N + PANEL - 1) / PANEL;
    const ptrdiff_t j0 = column * panels / grid->columns * PANEL;
    const ptrdiff_t j1 = NAME(least)((column + 1) * panels / grid->columns * PANEL, job->N);
    return NAME(block)(job, row * job->M / grid->rows, (row + 1) * job->M / grid->rows, j0, j1);
}

struct NAME(jobs) { /* of products that do not depend on each other */
    struct NAME(grid) grid[2];
    int n;
    int failed;
};

/* Block i / n of product i % n: a thread's share of the tasks has a part of each product. */
static void NAME(jobs_task)(void *context, int i)
{
    struct NAME(jobs) *jobs = context;
    const struct NAME(grid) *grid = &jobs->grid[i % jobs->n];
    if (i / jobs->n >= grid->rows * grid->columns)
        return;
    if (NAME(do_block)(grid, i / jobs->n) != 0)
        __atomic_store_n(&jobs->failed, 1, __ATOMIC_RELAXED);
}

static int NAME(run_jobs)(const struct NAME(job) *job, int n)
{
    struct NAME(jobs) jobs = {.n = n, .failed = 0};
    int each, most = 0;
    const int threads = NAME(threads_for)(job, n, &each);
    for (int j = 0; j < n; j++) {
        jobs.grid[j] = NAME(cut)(&job[j], each);
        const int blocks = jobs.grid[j].rows * jobs.grid[j].columns;
        most = blocks > most ? blocks : most;
    }
    if (threads == 1)
        for (int i = 0; i < n * most; i++)
            NAME(jobs_task)(&jobs, i);
    else
        parallel_run(NAME(jobs_task), &jobs, n * most);
    return jobs.failed ? -1 : 0;
}
