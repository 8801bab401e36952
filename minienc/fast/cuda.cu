/* The kernels of a training step on a GPU: what stands between the matrix products, in one pass over
 * memory each. Compiled once with REAL = float, once with REAL = double, when first needed.
 *
 * Two forms serve for all. In a kernel over numbers, a thread takes every so-many-eth number, so that
 * any number of threads does any number of numbers. In a kernel over rows, a block takes every
 * so-many-eth row, its threads share the row, and what they sum they sum in an order that never
 * changes: the same input gives the same bits, which no atomic addition would. Sums are kept in
 * double: a GPU waits for memory, and adds meanwhile.
 *
 * Every argument is a pointer, a long long or a double. A number that may change when a recorded step
 * is replayed comes as a value and a pointer; where the pointer is not null, the number is there.
 */

enum { IDENTITY, RELU, LEAKY_RELU, ELU, SIGMOID, TANH, SOFTPLUS, GELU };
enum { SQUARED, BINARY, BINARY_OF_P, CATEGORICAL, CATEGORICAL_OF_P };

#define THREADS 256 /* in every block */
#define KERNEL extern "C" __global__ void
#define FIRST ((long long)blockIdx.x * blockDim.x + threadIdx.x)
#define STRIDE ((long long)gridDim.x * blockDim.x)

/* Named for the larger type of none: exp of a float is the float's own. */
#define R(x) ((REAL)(x))

/* What a NaN is compared with is false, so this keeps one where max(x, 0) would lose it. */
__device__ static REAL above_zero(REAL x) { return x < 0 ? R(0) : x; }

/* ------------------------------------------------------------------------------- activations */

__device__ static REAL tanh_in_gelu(REAL x)
{
    return tanh(R(0.7978845608028654) * (x + R(0.044715) * x * x * x));
}

/* y = f(x). */
__device__ static REAL activation(REAL x, long long code, REAL alpha)
{
    REAL e;
    switch (code) {
    case RELU:
        return above_zero(x);
    case LEAKY_RELU:
        return x > 0 ? x : alpha * x;
    case ELU:
        return x > 0 ? x : alpha * expm1(x);
    case SIGMOID:
        e = exp(-fabs(x)); /* in (0, 1]: never overflows */
        return (x >= 0 ? R(1) : e) / (1 + e);
    case TANH:
        return tanh(x);
    case SOFTPLUS:
        return above_zero(x) + log1p(exp(-fabs(x)));
    case GELU:
        return R(0.5) * x * (1 + tanh_in_gelu(x));
    default:
        return x;
    }
}

/* dx = f'(x) dy, from the output y; gelu's from the input, which stands in y's place. */
__device__ static REAL slope(REAL dy, REAL y, long long code, REAL alpha)
{
    switch (code) {
    case RELU:
        return y > 0 ? dy : dy * 0; /* dy * 0, as in the definition: a NaN stays one */
    case LEAKY_RELU:
        return y > 0 ? dy : alpha * dy;
    case ELU:
        return y > 0 ? dy : dy * (y + alpha);
    case SIGMOID:
        return dy * (y * (1 - y));
    case TANH:
        return dy * (1 - y * y);
    case SOFTPLUS:
        return dy * -expm1(-y);
    case GELU: {
        REAL t = tanh_in_gelu(y);
        REAL du_dx = R(0.7978845608028654) * (1 + 3 * R(0.044715) * y * y);
        return R(0.5) * (1 + t) * dy + R(0.5) * y * dy * (1 - t * t) * du_dx;
    }
    default:
        return dy;
    }
}

/* y = f(x + b), x and y (N, M), b (M,) or null; n = N M. x and y may be one array, and gelu writes
 * x + b back to x. The column of a number is carried along, for a division takes as long as the
 * rest. */
KERNEL bias_activation(long long n, long long M, REAL *x, const REAL *b, REAL *y, long long code,
                       double alpha)
{
    long long step = STRIDE % M, column = FIRST % M;
    for (long long i = FIRST; i < n; i += STRIDE) {
        REAL z = b ? x[i] + b[column] : x[i];
        if (code == GELU && b) x[i] = z;
        y[i] = activation(z, code, R(alpha));
        column += step;
        if (column >= M) column -= M;
    }
}

/* dx = f'(x) dy, number by number. */
KERNEL activation_slope(long long n, const REAL *dy, const REAL *y, REAL *dx, long long code,
                        double alpha)
{
    for (long long i = FIRST; i < n; i += STRIDE)
        dx[i] = slope(dy[i], y[i], code, R(alpha));
}

/* dz = f'(z) dy (none where dz is null) and the sums of dz over a run of rows, part (runs, M): a
 * block has 32 columns, and 8 rows at a time. */
KERNEL slope_and_sums(long long N, long long M, const REAL *dy, const REAL *y, REAL *dz,
                      long long rows_in_run, double *part, long long code, double alpha)
{
    __shared__ double sums[THREADS];
    long long column = (long long)blockIdx.x * 32 + threadIdx.x % 32;
    long long first = blockIdx.y * rows_in_run, end = first + rows_in_run;
    if (end > N) end = N;
    double sum = 0;
    if (column < M)
        for (long long row = first + threadIdx.x / 32; row < end; row += THREADS / 32) {
            long long i = row * M + column;
            REAL d = code == IDENTITY ? dy[i] : slope(dy[i], y[i], code, R(alpha));
            if (dz) dz[i] = d;
            sum += d;
        }
    sums[threadIdx.x] = sum;
    __syncthreads();
    if (threadIdx.x < 32 && column < M) {
        for (int k = 1; k < THREADS / 32; k++) sum += sums[threadIdx.x + 32 * k];
        part[blockIdx.y * M + column] = sum;
    }
}

/* db = the sum of the parts, or db += it. */
KERNEL add_parts(long long runs, long long M, const double *part, REAL *db, long long write)
{
    for (long long m = FIRST; m < M; m += STRIDE) {
        double sum = 0;
        for (long long r = 0; r < runs; r++) sum += part[r * M + m];
        db[m] = R(write ? sum : db[m] + sum);
    }
}

/* --------------------------------------------------------------------------------------- rows */

/* The sum, or the largest, of what the threads of a block have; all of them get it. */
__device__ static double of_block(double x, bool largest)
{
    __shared__ double values[THREADS];
    __syncthreads(); /* those of the call before have been read */
    values[threadIdx.x] = x;
    for (int n = blockDim.x / 2; n > 0; n /= 2) {
        __syncthreads();
        if (threadIdx.x < n) {
            double a = values[threadIdx.x], b = values[threadIdx.x + n];
            values[threadIdx.x] = largest ? (a > b || a != a ? a : b) : a + b;
        }
    }
    __syncthreads();
    return values[0];
}

#define EACH_ROW for (long long row = blockIdx.x; row < N; row += gridDim.x)
#define EACH_COLUMN for (long long k = threadIdx.x; k < D; k += blockDim.x)

/* The largest of a row, and the sum of exp(x - largest). */
__device__ static void softmax_of(const REAL *x, long long D, REAL *largest, double *sum)
{
    double most = x[0], total = 0;
    EACH_COLUMN if (x[k] > most || x[k] != x[k]) most = x[k];
    *largest = R(of_block(most, true));
    EACH_COLUMN total += exp(x[k] - *largest);
    *sum = of_block(total, false);
}

KERNEL softmax(long long N, long long D, const REAL *x, REAL *y)
{
    EACH_ROW {
        REAL largest;
        double sum;
        softmax_of(x + row * D, D, &largest, &sum);
        EACH_COLUMN y[row * D + k] = R(exp(x[row * D + k] - largest) / sum);
    }
}

/* dx = y (dy - sum dy y). */
KERNEL softmax_slope(long long N, long long D, const REAL *dy, const REAL *y, REAL *dx)
{
    EACH_ROW {
        double sum = 0;
        EACH_COLUMN sum += (double)dy[row * D + k] * y[row * D + k];
        REAL mean = R(of_block(sum, false));
        EACH_COLUMN dx[row * D + k] = y[row * D + k] * (dy[row * D + k] - mean);
    }
}

/* ------------------------------------------------------------------------------------- losses */

/* Probabilities are held in [1e-7, 1 - 1e-7]. */
__device__ static REAL held(REAL p)
{
    const REAL low = R(1e-7), high = R(1 - 1e-7);
    return p < low ? low : p > high ? high : p;
}

/* Row by row l (N,), of y and the targets t (N, D), or of labels (N,) where t is null; SQUARED also
 * gives e = y - t. */
KERNEL loss_of_rows(long long N, long long D, const REAL *y_all, const REAL *t_all,
                    const long long *labels, REAL *e, REAL *l, long long kind)
{
    EACH_ROW {
        const REAL *y = y_all + row * D, *t = t_all ? t_all + row * D : 0;
        REAL largest = 0;
        double sum = 0, of_exp = 1;
        if (kind == CATEGORICAL) softmax_of(y, D, &largest, &of_exp);
        REAL log_sum = R(log(of_exp));
        EACH_COLUMN {
            REAL target = t ? t[k] : R(k == labels[row]), p, d;
            switch (kind) {
            case SQUARED:
                d = y[k] - target;
                e[row * D + k] = d;
                sum += d * d;
                break;
            case BINARY:
                sum += above_zero(y[k]) - target * y[k] + log1p(exp(-fabs(y[k])));
                break;
            case BINARY_OF_P:
                p = held(y[k]);
                sum -= target * log(p) + (1 - target) * log1p(-p);
                break;
            case CATEGORICAL:
                if (t || k == labels[row]) sum -= target * (y[k] - largest - log_sum);
                break;
            default:
                if (t || k == labels[row]) sum -= target * log(held(y[k]));
            }
        }
        sum = of_block(sum, false);
        if (threadIdx.x == 0) l[row] = R(kind <= BINARY_OF_P ? sum / D : sum);
    }
}

/* factor = the number ``value``, and the loss = sum of l factor; by one block. */
KERNEL reduce_rows(long long N, const REAL *l, REAL *factor, REAL *loss, double value)
{
    double sum = 0;
    for (long long row = threadIdx.x; row < N; row += blockDim.x) {
        factor[row] = R(value);
        sum += l[row] * R(value);
    }
    sum = of_block(sum, false);
    if (threadIdx.x == 0) *loss = R(sum);
}

/* dy of y and t (or labels); of SQUARED y is e. dl = dloss factor, dloss a value, or at dloss_at. */
KERNEL loss_slope(long long N, long long D, const REAL *y_all, const REAL *t_all,
                  const long long *labels, const REAL *factor, double dloss, const REAL *dloss_at,
                  REAL *dy_all, long long kind)
{
    EACH_ROW {
        const REAL *y = y_all + row * D, *t = t_all ? t_all + row * D : 0;
        REAL *dy = dy_all + row * D, dl = (dloss_at ? *dloss_at : R(dloss)) * factor[row];
        REAL largest = 0, sum_t = 1;
        double of_exp = 1;
        if (kind == CATEGORICAL) {
            softmax_of(y, D, &largest, &of_exp);
            double sum = 0;
            if (t) {
                EACH_COLUMN sum += t[k];
                sum_t = R(of_block(sum, false));
            }
        }
        EACH_COLUMN {
            REAL target = t ? t[k] : R(labels && k == labels[row]), p, e; /* e knows its target */
            switch (kind) {
            case SQUARED:
                dy[k] = dl * y[k] * (R(2) / D);
                break;
            case BINARY:
                e = exp(-fabs(y[k]));
                p = (y[k] >= 0 ? R(1) : e) / (1 + e);
                dy[k] = dl / D * (p - target);
                break;
            case BINARY_OF_P:
                p = held(y[k]);
                dy[k] = dl / D * (p - target) / (p * (1 - p)) * R(p == y[k]);
                break;
            case CATEGORICAL:
                dy[k] = dl * (R(exp(y[k] - largest) / of_exp) * sum_t - target);
                break;
            default:
                p = held(y[k]);
                dy[k] = -dl * target / p * R(p == y[k]);
            }
        }
    }
}

/* ----------------------------------------------------------------------------------- the steps */

/* sum g^2 in two turns: first each block its part, then one block the sum of the parts. */
KERNEL squares(long long n, const REAL *g, double *part)
{
    double sum = 0;
    for (long long i = FIRST; i < n; i += STRIDE) sum += (double)g[i] * g[i];
    sum = of_block(sum, false);
    if (threadIdx.x == 0) part[blockIdx.x] = sum;
}

KERNEL sum_of_parts(long long n, const double *part, REAL *total)
{
    double sum = 0;
    for (long long i = threadIdx.x; i < n; i += blockDim.x) sum += part[i];
    sum = of_block(sum, false);
    if (threadIdx.x == 0) *total = R(sum);
}

/* What every step begins with: its learning rate, and what g is multiplied with. A rate that is no
 * number says that the step is not to be made: nothing changes, not even what is remembered. */
#define STEP_ARGUMENTS                                                                             \
    double rate_value, const double *rate_at, double scale_value, const REAL *scale_at
#define BEGIN_STEP                                                                                 \
    const double rate = rate_at ? *rate_at : rate_value;                                           \
    const REAL scale = scale_at ? *scale_at : R(scale_value);                                      \
    if (rate != rate) return;
#define EACH_NUMBER for (long long i = FIRST; i < n; i += STRIDE)

KERNEL sgd(long long n, REAL *w, const REAL *g_all, STEP_ARGUMENTS)
{
    BEGIN_STEP
    EACH_NUMBER w[i] -= R(rate) * (scale * g_all[i]);
}

KERNEL momentum_sgd(long long n, REAL *w, const REAL *g_all, REAL *velocity, STEP_ARGUMENTS,
                    double momentum, long long nesterov)
{
    BEGIN_STEP
    EACH_NUMBER {
        REAL g = scale * g_all[i], v = R(momentum) * velocity[i] - R(rate) * g;
        velocity[i] = v;
        w[i] += nesterov ? R(momentum) * v - R(rate) * g : v;
    }
}

/* velocity is null without momentum. */
KERNEL rmsprop(long long n, REAL *w, const REAL *g_all, REAL *s, REAL *velocity, STEP_ARGUMENTS,
               double rho, double momentum, double epsilon)
{
    BEGIN_STEP
    EACH_NUMBER {
        REAL g = scale * g_all[i];
        s[i] = R(rho) * s[i] + R(1 - rho) * (g * g);
        REAL update = R(rate) * g / sqrt(s[i] + R(epsilon));
        if (velocity) velocity[i] = update = R(momentum) * velocity[i] + update;
        w[i] -= update;
    }
}

KERNEL adagrad(long long n, REAL *w, const REAL *g_all, REAL *s, STEP_ARGUMENTS, double epsilon)
{
    BEGIN_STEP
    EACH_NUMBER {
        REAL g = scale * g_all[i];
        s[i] += g * g;
        w[i] -= R(rate) * g / sqrt(s[i] + R(epsilon));
    }
}

/* Adam, and AdamW where decay is not 0. The factor a is the same for all numbers of a step: one
 * thread of a block works it out, in double, for 1 - b2^t is the small difference of large numbers. */
KERNEL adam(long long n, REAL *w, const REAL *g_all, REAL *m, REAL *v, STEP_ARGUMENTS,
            double step_value, const double *step_at, double beta_1, double beta_2, double epsilon,
            double decay)
{
    __shared__ REAL of_step;
    BEGIN_STEP
    if (threadIdx.x == 0) {
        double step = step_at ? *step_at : step_value;
        of_step = R(rate * sqrt(1 - pow(beta_2, step)) / (1 - pow(beta_1, step)));
    }
    __syncthreads();
    const REAL a = of_step, kept = R(rate * decay);
    EACH_NUMBER {
        REAL g = scale * g_all[i];
        m[i] = R(beta_1) * m[i] + R(1 - beta_1) * g;
        v[i] = R(beta_2) * v[i] + R(1 - beta_2) * (g * g);
        w[i] -= kept * w[i] + a * m[i] / (sqrt(v[i]) + R(epsilon));
    }
}
