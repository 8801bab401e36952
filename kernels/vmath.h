/* Placeholder: identity and relu alone. */
static inline VEC NAME(activate)(int code, VEC z, REAL alpha)
{
    (void)alpha;
    return code == ACT_RELU ? SELECT(z > 0 | z != z, z, (VEC){0}) : z;
}
static inline VEC NAME(slope_times)(int code, VEC dy, VEC y, REAL alpha)
{
    (void)alpha;
    return code == ACT_RELU ? SELECT(y > 0, dy, (VEC){0}) : dy;
}
