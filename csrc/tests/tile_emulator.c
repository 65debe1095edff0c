/* tile_emulator.c: AMX's instructions by a handler of SIGILL. */
#define _GNU_SOURCE
#include "tile_emulator.h"

#if defined(__linux__) && defined(__x86_64__)

#include <cpuid.h>
#include <immintrin.h>
#include <math.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

enum { TILES = 8, ROWS = 16, ROW_BYTES = 64 };

typedef struct {
    int rows, bytes;
    uint8_t row[ROWS][ROW_BYTES];
} tile;

static _Thread_local struct {
    int configured;
    tile tiles[TILES];
} state;
static _Atomic long multiplied;

/* One instruction: VEX of three bytes, opcode, ModRM and, for memory, SIB and displacement. */
typedef struct {
    int prefix, opcode, mode, reg, rm, vvvv; /* prefix: 0 none, 1 66, 2 F3, 3 F2 */
    int64_t base, index;                     /* of memory: the address, displacement added; the scaled index, a tile's stride */
    int64_t length;
} instruction;

enum { NONE = 0, P66 = 1, PF3 = 2, PF2 = 3 };

static int64_t general(const mcontext_t *m, int number)
{
    static const int place[16] = {REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                  REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15};
    return m->gregs[place[number]];
}

/* 0 where it is not an instruction of AMX's map and form. */
static int decode(const mcontext_t *m, instruction *i)
{
    const uint8_t *code = (const uint8_t *)m->gregs[REG_RIP], *at = code + 5;
    if (code[0] != 0xC4 || (code[1] & 31) != 2 || (code[2] & 0x84) != 0) return 0; /* VEX.128.0F38.W0 */
    const int r = !(code[1] & 0x80), x = !(code[1] & 0x40), b = !(code[1] & 0x20);
    i->prefix = code[2] & 3;
    i->vvvv = ~(code[2] >> 3) & 15;
    i->opcode = code[3];
    i->mode = code[4] >> 6;
    i->reg = (code[4] >> 3 & 7) + 8 * r;
    i->rm = (code[4] & 7) + 8 * b;
    i->base = i->index = 0;
    if (i->mode != 3) {
        int has_base = 1, base = i->rm, relative = 0;
        if ((code[4] & 7) == 4) {
            int sib = *at++, index = (sib >> 3 & 7) + 8 * x;
            base = (sib & 7) + 8 * b;
            if (index != 4) i->index = (int64_t)((uint64_t)general(m, index) << (sib >> 6));
            has_base = !((sib & 7) == 5 && i->mode == 0);
        } else if (i->mode == 0 && (code[4] & 7) == 5) {
            has_base = 0, relative = 1;
        }
        int32_t far = 0;
        if (i->mode == 1) {
            far = (int8_t)*at++;
        } else if (i->mode == 2 || !has_base) {
            memcpy(&far, at, sizeof far);
            at += sizeof far;
        }
        i->base = far + (has_base ? general(m, base) : relative ? (int64_t)at : 0);
    }
    i->length = at - code;
    return 1;
}

/* LDTILECFG: palette 1 and nothing in the reserved bytes, or everything is refused. */
static int configure(const uint8_t *from)
{
    if (from[0] != 1 || from[1] != 0) return 0;
    for (int i = 2; i < 16; i++)
        if (from[i]) return 0;
    for (int i = 32; i < 48; i++)
        if (from[i]) return 0;
    for (int i = 56; i < 64; i++)
        if (from[i]) return 0;
    for (int t = 0; t < TILES; t++) {
        uint16_t bytes;
        memcpy(&bytes, from + 16 + 2 * t, sizeof bytes);
        if (bytes > ROW_BYTES || from[48 + t] > ROWS || !bytes != !from[48 + t]) return 0;
        memset(&state.tiles[t], 0, sizeof state.tiles[t]);
        state.tiles[t].bytes = bytes;
        state.tiles[t].rows = from[48 + t];
    }
    state.configured = 1;
    return 1;
}

static float widened(const uint8_t *word)
{
    uint16_t bits;
    memcpy(&bits, word, sizeof bits);
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* TDPBF16PS: even and odd steps of k apart, each a chain of fused multiply-adds, then both and the sum so far. */
__attribute__((target("avx2,fma"))) static int multiply(tile *c, const tile *a, const tile *b)
{
    const int columns = c->bytes / 4, pairs = a->bytes / 4;
    if (c == a || c == b || a == b) return 0;
    if (!c->rows || !a->rows || !b->rows || (c->bytes | a->bytes | b->bytes) % 4) return 0;
    if (c->rows != a->rows || c->bytes != b->bytes || pairs != b->rows) return 0;
    for (int i = 0; i < c->rows; i++) {
        float even[ROW_BYTES / 4] = {0}, odd[ROW_BYTES / 4] = {0}, sums[ROW_BYTES / 4];
        for (int p = 0; p < pairs; p++) {
            const float first = widened(a->row[i] + 4 * p), second = widened(a->row[i] + 4 * p + 2);
            for (int j = 0; j < columns; j++) {
                even[j] = fmaf(first, widened(b->row[p] + 4 * j), even[j]);
                odd[j] = fmaf(second, widened(b->row[p] + 4 * j + 2), odd[j]);
            }
        }
        memcpy(sums, c->row[i], (size_t)c->bytes);
        for (int j = 0; j < columns; j++) sums[j] += even[j] + odd[j];
        memset(c->row[i], 0, ROW_BYTES);
        memcpy(c->row[i], sums, (size_t)c->bytes);
    }
    for (int i = c->rows; i < ROWS; i++) memset(c->row[i], 0, ROW_BYTES);
    atomic_fetch_add(&multiplied, 1);
    return 1;
}

static int execute(const instruction *i)
{
    tile *t = &state.tiles[i->reg & 7];
    const int memory = i->mode != 3;
    if (i->opcode == 0x49 && i->prefix == NONE && i->reg == 0 && i->vvvv == 0) {
        if (memory) return configure((const uint8_t *)(i->base + i->index));
        if (i->rm != 0) return 0;
        memset(&state, 0, sizeof state); /* TILERELEASE */
        return 1;
    }
    if (!state.configured || i->reg >= TILES) return 0;
    if (i->opcode == 0x49 && i->prefix == PF2 && !memory && i->rm == 0 && i->vvvv == 0 && t->rows) {
        memset(t->row, 0, sizeof t->row); /* TILEZERO */
        return 1;
    }
    if (i->opcode == 0x4B && memory && i->rm % 8 == 4 && i->vvvv == 0 && t->rows) {
        uint8_t *at = (uint8_t *)i->base;
        if (i->prefix == PF2 || i->prefix == P66) { /* TILELOADD, TILELOADDT1 */
            memset(t->row, 0, sizeof t->row);
            for (int row = 0; row < t->rows; row++) memcpy(t->row[row], at + row * i->index, (size_t)t->bytes);
            return 1;
        }
        if (i->prefix == PF3) { /* TILESTORED */
            for (int row = 0; row < t->rows; row++) memcpy(at + row * i->index, t->row[row], (size_t)t->bytes);
            return 1;
        }
    }
    if (i->opcode == 0x5C && i->prefix == PF3 && !memory && i->rm < TILES && i->vvvv < TILES)
        return multiply(t, &state.tiles[i->rm], &state.tiles[i->vvvv]); /* TDPBF16PS */
    return 0;
}

static void handle(int signal_number, siginfo_t *info, void *context)
{
    mcontext_t *m = &((ucontext_t *)context)->uc_mcontext;
    instruction i;
    (void)info;
    _mm_setcsr(_mm_getcsr() | 0x8040); /* subnormal numbers in and out are zero; the old state comes back on return */
    if (decode(m, &i) && execute(&i)) {
        m->gregs[REG_RIP] += i.length;
        return;
    }
    signal(signal_number, SIG_DFL); /* it ends at the same instruction */
}

int emulate_tiles(void)
{
    unsigned eax, ebx, ecx, edx;
    if (!__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) || !(eax >> 5 & 1)) return 0;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    return sigaction(SIGILL, &action, NULL) == 0;
}

long tiles_multiplied(void) { return atomic_load(&multiplied); }

#else

int emulate_tiles(void) { return 0; }
long tiles_multiplied(void) { return 0; }

#endif
