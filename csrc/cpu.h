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

#endif
