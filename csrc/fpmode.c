/* fpmode.c: the floating-point mode of a thread.
 *
 * Training produces denormals without end: the first moment of a unit that no longer learns decays by 0.9 a step until it
 * sticks at the smallest denormal, and each vector that holds one costs a microcode assist of some 150 cycles (a 64-32-10
 * network slowed down from 6 to 14 us a step within a minute). So programs run with denormals as zero, and the caller's mode
 * is restored when they end.
 */
#include <stdint.h>

#include "fastnn.h"

#if defined(__SSE__)
#include <xmmintrin.h>

#define FLUSH 0x8040u /* flush to zero, denormals are zero */

unsigned fnn_fp_mode(void) { return _mm_getcsr(); }
void fnn_set_fp_mode(unsigned mode) { _mm_setcsr(mode); }

#elif defined(__aarch64__)

#define FLUSH (1u << 24) /* FZ */

unsigned fnn_fp_mode(void)
{
    uint64_t mode;
    __asm__ volatile("mrs %0, fpcr" : "=r"(mode));
    return (unsigned)mode;
}
void fnn_set_fp_mode(unsigned mode) { __asm__ volatile("msr fpcr, %0" : : "r"((uint64_t)mode)); }

#else

#define FLUSH 0u

unsigned fnn_fp_mode(void) { return 0; }
void fnn_set_fp_mode(unsigned mode) { (void)mode; }

#endif

unsigned fnn_flush_denormals(void)
{
    unsigned before = fnn_fp_mode();
    fnn_set_fp_mode(before | FLUSH);
    return before;
}
