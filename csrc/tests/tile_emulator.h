/* tile_emulator.h: runs AMX's instructions where the CPU has none.
 *
 * The compiled kernels stay as they are: an instruction that the CPU does not know raises SIGILL, whose handler decodes it,
 * does what Intel's manual says (SDM volume 2, TILELOADD and the others) and goes on behind it. What the manual forbids,
 * such as a tile that is not configured, ends the process as it would on a CPU. */
#ifndef FNN_TILE_EMULATOR_H
#define FNN_TILE_EMULATOR_H

/* Installs the handler. 0 where it can't help: another architecture or system, or a CPU without AVX512-BF16, whose
 * instructions stand beside those of the tiles. */
int emulate_tiles(void);
/* Products of tiles so far, of all threads. */
long tiles_multiplied(void);

#endif
