/* cpu.h: what this CPU and its operating system can do.
 *
 * A target asks here whether it may run. The answer covers the operating system's part too: an instruction set whose
 * registers the system does not save across a context switch counts as absent. fnn_cpu_count and fnn_cache_size are
 * declared in fastnn.h.
 */
#ifndef FASTNN_CPU_H
#define FASTNN_CPU_H

int fnn_cpu_has_avx2(void);   /* AVX2 and FMA */
int fnn_cpu_has_avx512(void); /* AVX-512 F, BW, DQ, VL, with AVX2 and FMA */
int fnn_cpu_has_neon(void);   /* Advanced SIMD of AArch64 */

/* Whether this process may use AMX tiles of bfloat16, for which the first call asks the kernel. 0 where the CPU has none,
 * where the system is not Linux, or where the kernel refuses, as it does when a signal stack is too small for the tiles. */
int fnn_cpu_tiles(void);
int fnn_cpu_no_tiles(void); /* of targets that do not use them: 0 */

#endif
