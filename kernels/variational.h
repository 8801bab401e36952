/* What a variational autoencoder adds. (functions/variational.py) Codes are short: one thread. */

static int NAME(reparameterize)(const struct normals *p)
{
    const ptrdiff_t D = p->n;
    const REAL *mean = p->mean, *log_variance = p->log_variance, *noise = p->noise;
    REAL *z = p->z, *half = p->half;
    EACH_VECTOR(
        const VEC spread = NAME(vexp)(PART(log_variance, 0) / 2) * PART(noise, 0);
        PUT(half, spread / 2);
        PUT(z, PART(mean, 0) + spread))
    return 0;
}

static int NAME(normal_kl)(const struct normals *p)
{
    const ptrdiff_t D = p->n;
    const REAL *mean = p->mean, *log_variance = p->log_variance;
    REAL *variance = p->variance, *kl = p->kl;
    EACH_VECTOR(
        const VEC m = PART(mean, 0), v = PART(log_variance, 0), e = NAME(vexp)(v);
        PUT(variance, e);
        PUT(kl, (m * m + e - 1 - v) / 2))
    return 0;
}

static int NAME(normal_kl_slope)(const struct normals *p)
{
    const ptrdiff_t D = p->n;
    const REAL *mean = p->mean, *variance = p->variance, dkl = (REAL)p->dkl;
    REAL *dmean = p->dmean, *dlog_variance = p->dlog_variance;
    EACH_VECTOR(
        PUT(dmean, dkl * PART(mean, 0));
        PUT(dlog_variance, dkl * (PART(variance, 0) - 1) / 2))
    return 0;
}
