/* Everything, compiled once for each instruction set, and the choice between them.

   isa.h holds the code for both types; it is included here once for each instruction set, between
   pragmas that allow the compiler that set. So one file becomes all variants, without any flag on
   the command line that could reach the whole module and keep it from an older machine. */
#include "kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "subnormal.h"
#include "threads.h"

#if (defined(__x86_64__) || defined(__i386__)) && (defined(__GNUC__) || defined(__clang__))
#define X86 1
#else
#define X86 0
#endif

#define PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define BEGIN_TARGET(set) \
    PRAGMA(clang attribute push(__attribute__((target(set))), apply_to = function))
#define END_TARGET PRAGMA(clang attribute pop)
#else
#define BEGIN_TARGET(set) PRAGMA(GCC push_options) PRAGMA(GCC target(set))
#define END_TARGET PRAGMA(GCC pop_options)
#endif

/* What every machine of this kind has: SSE2 on x86-64, NEON on arm64. */
#define ISA baseline
#define BYTES 16
#include "isa.h"
#undef ISA
#undef BYTES

#if X86
BEGIN_TARGET("avx2,fma")
#define ISA avx2
#define BYTES 32
#include "isa.h"
#undef ISA
#undef BYTES
END_TARGET

BEGIN_TARGET("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")
#define ISA avx512
#define BYTES 64
#include "isa.h"
#undef ISA
#undef BYTES
END_TARGET
#endif

/* ------------------------------------------------------------------------------- the tables */

#define TABLES(set)                                                                          \
    static const struct kernels table_f32_##set = {.isa = #set, .lanes = lanes_f32_##set,    \
        .staircase = staircase_f32_##set, KERNEL_FUNCTIONS(F32_##set)};                      \
    static const struct kernels table_f64_##set = {.isa = #set, .lanes = lanes_f64_##set,    \
        .staircase = staircase_f64_##set, KERNEL_FUNCTIONS(F64_##set)};

#define F32_baseline(name, arguments) .name = name##_f32_baseline,
#define F64_baseline(name, arguments) .name = name##_f64_baseline,
TABLES(baseline)
#if X86
#define F32_avx2(name, arguments) .name = name##_f32_avx2,
#define F64_avx2(name, arguments) .name = name##_f64_avx2,
TABLES(avx2)
#define F32_avx512(name, arguments) .name = name##_f32_avx512,
#define F64_avx512(name, arguments) .name = name##_f64_avx512,
TABLES(avx512)
#endif

static const struct {
    const struct kernels *f32, *f64;
} TABLE[] = {
    {&table_f32_baseline, &table_f64_baseline},
#if X86
    {&table_f32_avx2, &table_f64_avx2},
    {&table_f32_avx512, &table_f64_avx512},
#endif
};
#define N_TABLES ((int)(sizeof TABLE / sizeof *TABLE))

static int machine_has(int i)
{
#if X86
    __builtin_cpu_init(); /* these look at what the operating system saves, too */
    if (i == 1)
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (i == 2)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("fma");
#endif
    return i == 0;
}

const struct kernels *kernels_f32, *kernels_f64;

int kernels_use(const char *isa)
{
    for (int i = N_TABLES - 1; i >= 0; i--) {
        if (isa != NULL && strcmp(isa, TABLE[i].f32->isa) != 0)
            continue;
        if (!machine_has(i)) {
            if (isa != NULL)
                return -2;
            continue;
        }
        kernels_f32 = TABLE[i].f32;
        kernels_f64 = TABLE[i].f64;
        return 0;
    }
    return -1;
}

const char *kernels_available(int i)
{
    for (int j = 0; j < N_TABLES; j++)
        if (machine_has(j) && i-- == 0)
            return TABLE[j].f32->isa;
    return NULL;
}
