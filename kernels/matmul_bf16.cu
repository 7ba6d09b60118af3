// Matrix products in bfloat16 on tensor cores. See compute.Matmul.
//
// A block computes one tile of dst, 32 terms at a time. cp.async copies both factors to swizzled shared memory a few
// stages ahead, ldmatrix loads them to registers, transposed if necessary, and mma.sync multiplies them.
#include "matmul.cuh"
#include "mma.cuh"

constexpr int kDepth = 32; // terms of a stage

// Shape has the size of a tile and of the parts of it that the warps of a block compute.
template <int rows_, int cols_, int warp_rows_, int warp_cols_, int stages_> struct Shape {
    static constexpr int rows = rows_, cols = cols_;                // of the tile
    static constexpr int warp_rows = warp_rows_, warp_cols = warp_cols_; // of a warp's part
    static constexpr int stages = stages_;
    static constexpr int across = cols / warp_cols, warps = rows / warp_rows * across;
    static constexpr int pitch = warp_cols + 8; // of a row of sums; 8-byte stores of a warp have no bank conflict
};

// Stages is the shared memory of a block: tiles of both factors, and after the multiplication 16 rows of sums per warp.
template <class S> union Stages {
    struct {
        bf16 a[S::stages][S::rows * kDepth];
        bf16 b[S::stages][S::cols * kDepth];
    } in;
    float out[S::warps][16 * S::pitch];
};

// Factor is an operand as lines of terms. A line is a row of op(a) or a column of op(b). If along is set the terms of a
// line are adjacent in memory, otherwise the lines of a term.
template <bool along> struct Factor {
    const bf16* p;
    int lines, terms;
    bool wide; // 16-byte copies

    DEVICE Factor(const void* from, int line_count, int term_count)
        : p(static_cast<const bf16*>(from)), lines(line_count), terms(term_count) {
        wide = (along ? terms : lines) % 8 == 0 && aligned16(p);
    }
    // move continues with a factor of the same shape.
    DEVICE void move(const void* from) { p = static_cast<const bf16*>(from); }
};

// slot returns the index of 8 elements of a tile [lines][32] or [32][lines]. The place within a row is XORed with the
// row, so that the 8 rows that ldmatrix reads at a time, and those that a warp writes, are in different banks.
template <bool along, int lines> DEVICE int slot(int row, int group) {
    if (along) return row * kDepth + (group ^ (row / 2 % 4)) * 8;
    return row * lines + (group ^ (row % 8)) * 8;
}

// load_tile starts to copy the terms [k, k + 32) of the lines [line, line + lines) to shared memory. Outside of the
// factor it writes zeros.
template <class S, bool along, int lines>
DEVICE void load_tile(bf16* tile, const Factor<along>& f, int line, int k) {
    constexpr int groups = along ? kDepth / 8 : lines / 8, rows = S::warps * 32 / groups;
    static_assert(lines * kDepth / 8 % (S::warps * 32) == 0, "every thread copies the same number of bytes");
    static_assert(rows % 8 == 0, "a thread's group has the same place in all of its rows");
    const int row = threadIdx.x / groups, group = threadIdx.x % groups;
    bf16* to = tile + slot<along, lines>(row, group);
    int l = along ? line + row : line + group * 8, t = along ? k + group * 8 : k + row;
    const bf16* from = f.p + (along ? int64_t(l) * f.terms + t : int64_t(t) * f.lines + l);
    const int64_t stride = int64_t(rows) * (along ? f.terms : f.lines);
    constexpr int count = (along ? lines : kDepth) / rows, next = rows * (along ? kDepth : lines);
    if (f.wide) {
        UNROLL
        for (int i = 0; i < count; i++) {
            const bool some = (along ? l + i * rows : l) < f.lines && (along ? t : t + i * rows) < f.terms;
            cp_async_16(to + i * next, some ? from + i * stride : f.p, some);
        }
        return;
    }
    ROLL
    for (int i = 0; i < count; i++) {
        const int some = l < f.lines && t < f.terms ? (along ? f.terms - t : f.lines - l) : 0;
        Vec<bf16> v;
        UNROLL
        for (int j = 0; j < 8; j++) v.v[j] = j < some ? in_global(from)[j] : bf16{0};
        store_vec(to, v);
        to += next;
        from += stride;
        (along ? l : t) += rows;
    }
}

// Fragments has the operands of a warp for one step of 16 terms.
template <class S> struct Fragments {
    uint32_t a[S::warp_rows / 16][4];
    uint32_t b[S::warp_cols / 16][4]; // operands of two neighbouring products

    // load loads step kk of a stage. Lane l gives the address of row l%8 of 8 x 8 tile l/8 of four. mma.m16n8k16 needs
    // these tiles in the order (rows, terms) 00 10 01 11 for a and 00 01 10 11 for b.
    template <bool along_a, bool along_b> DEVICE void load(const bf16* ta, const bf16* tb, int row, int col, int kk) {
        const int lane = threadIdx.x % 32, of8 = lane % 8, odd = lane / 8 % 2, upper = lane / 16;
        UNROLL
        for (int i = 0; i < S::warp_rows / 16; i++) {
            const int r = row + i * 16;
            if constexpr (along_a) ldmatrix_x4(a[i], ta + slot<true, S::rows>(r + odd * 8 + of8, kk * 2 + upper));
            else ldmatrix_x4_trans(a[i], ta + slot<false, S::rows>(kk * 16 + upper * 8 + of8, r / 8 + odd));
        }
        UNROLL
        for (int j = 0; j < S::warp_cols / 16; j++) {
            const int c = col + j * 16;
            if constexpr (along_b) ldmatrix_x4(b[j], tb + slot<true, S::cols>(c + upper * 8 + of8, kk * 2 + odd));
            else ldmatrix_x4_trans(b[j], tb + slot<false, S::cols>(kk * 16 + odd * 8 + of8, c / 8 + upper));
        }
    }
};

// Sums has a warp's part of the tile in the layout of mma.m16n8k16: lane l has columns 2(l%4) and 2(l%4) + 1 of rows
// l/4 and l/4 + 8.
template <class S> struct Sums {
    float d[S::warp_rows / 16][S::warp_cols / 8][4] = {};

    DEVICE void add(const Fragments<S>& f) {
        UNROLL
        for (int i = 0; i < S::warp_rows / 16; i++) {
            UNROLL
            for (int j = 0; j < S::warp_cols / 8; j++) {
                const uint32_t b[2] = {f.b[j / 2][j % 2 * 2], f.b[j / 2][j % 2 * 2 + 1]};
                mma_bf16(d[i][j], f.a[i], b);
            }
        }
    }

    // drain passes the sums to an epilogue, 8 columns of a row per lane, through the warp's rows of shared memory.
    // After each turn the sums move up by 16 rows, so that the loop needs no index of a register and the epilogue is
    // compiled only once.
    template <class E> DEVICE void drain(float* rows, const E& e, int row, int end, int col) {
        const int lane = threadIdx.x % 32;
        constexpr int groups = S::warp_cols / 8;
        ROLL
        for (int i = 0; i < S::warp_rows; i += 16) {
            UNROLL
            for (int j = 0; j < groups; j++) {
                float* to = rows + lane / 4 * S::pitch + j * 8 + lane % 4 * 2;
                const Pair upper = {d[0][j][0], d[0][j][1]}, lower = {d[0][j][2], d[0][j][3]};
                *reinterpret_cast<Pair*>(to) = upper;
                *reinterpret_cast<Pair*>(to + 8 * S::pitch) = lower;
                UNROLL
                for (int k = 1; k < S::warp_rows / 16; k++) {
                    UNROLL
                    for (int l = 0; l < 4; l++) d[k - 1][j][l] = d[k][j][l];
                }
            }
            __syncwarp();
            ROLL
            for (int k = lane; k < 16 * groups; k += 32) {
                const int r = row + i + k / groups, c = k % groups * 8;
                float x[8];
                load8_lanes(x, rows + k / groups * S::pitch + c);
                if (r < end) e.put(r, col + c, x);
            }
            __syncwarp();
        }
    }

private:
    struct alignas(8) Pair {
        float x, y;
    };
};

// matmul: dst = act(alpha op(a) op(b) + bias), or added to dst, or times act'(pre); or up to three such products, or
// dst = alpha times the sum of up to three products (see MatmulArgs).
//
//   op(a) [M,K], op(b) [K,N], bias [N], pre [M,N] bf16; dst [M,N] bf16 or f32
//
// Launched by internal/gpu/matmul.go.
// Launch   grid (ceil(M/t) ceil(N/t), parts, products, or 1 for a sum of products), block 128. The tile t is 128
//          (4 warps of 64 x 64 and 3 stages, 48 KB of shared memory), or 64 in the kernels named small (4 warps of
//          32 x 32 and 4 stages, 32 KB).
// Limits   M, N, K >= 0. 16-byte accesses if the widths of both factors are multiples of 8 and both begin at multiples
//          of 16 bytes, otherwise single elements.
// Numerics f32 sums of exact products in the order of k, 16 at a time; a card determines the order and the rounding
//          within the 16. Parts of K are added in order, and the result is rounded once. In a sum of products the terms
//          of each follow those of the one before.
// Work     2 M N K flops, (M + N) K reads for each tile row or column in L2. Predicted for an H200:
//          bench/results/predicted-matmul.json.
// Source   the tile of one block: Kerr et al. 2017, "CUTLASS: fast linear algebra in CUDA C++"; fragments and ldmatrix:
//          PTX ISA 7.0, 9.7.13.
template <class S, bool along_a, bool along_b> DEVICE void matmul(const MatmulArgs& a) {
    using Memory = Stages<S>;
    SHARED(Memory, shared);
    const int m = a.dims[0], n = a.dims[1], k = a.dims[2];
    int row, col;
    if (!tile_at(blockIdx.x, (m + S::rows - 1) / S::rows, (n + S::cols - 1) / S::cols, row, col)) return;
    row *= S::rows;
    col *= S::cols;
    const Joined own = product_of_block(a);
    Factor<along_a> fa(own.a, m, k);
    Factor<along_b> fb(own.b, n, k);
    // Slices of 32 terms: of a product, of all products of a sum, and of this block.
    const int slices = (k + kDepth - 1) / kDepth, all = a.chained ? slices * (1 + a.more) : slices;
    const int before = blockIdx.y * (a.chunk / kDepth);
    const int steps = max(0, min(all - before, a.chunk / kDepth));
    int slice = before, product = 0; // the next slice to load, and its product
    const auto load = [&](int step) {
        if (step < steps) {
            while (slice >= slices) {
                const Joined next = joined_to(a, product++);
                fa.move(next.a);
                fb.move(next.b);
                slice -= slices;
            }
            const int at = step % S::stages;
            load_tile<S, along_a, S::rows>(shared.in.a[at], fa, row, slice * kDepth);
            load_tile<S, along_b, S::cols>(shared.in.b[at], fb, col, slice * kDepth);
            slice++;
        }
        cp_async_commit(); // closes an empty group too, because cp_async_wait counts groups
    };
    UNROLL
    for (int i = 0; i < S::stages - 1; i++) load(i);

    const int warp = threadIdx.x / 32;
    const int warp_row = warp / S::across * S::warp_rows, warp_col = warp % S::across * S::warp_cols;
    Fragments<S> f[2];
    const auto fetch = [&](int step, int kk) {
        const int at = step % S::stages;
        f[kk].template load<along_a, along_b>(shared.in.a[at], shared.in.b[at], warp_row, warp_col, kk);
    };
    Sums<S> sums;
    cp_async_wait<S::stages - 2>();
    __syncthreads();
    if (steps > 0) fetch(0, 0);
    for (int step = 0; step < steps; step++) {
        fetch(step, 1);
        load(step + S::stages - 1); // all warps left this stage before the last barrier
        sums.add(f[0]);
        cp_async_wait<S::stages - 2>();
        __syncthreads();
        if (step + 1 < steps) fetch(step + 1, 0);
        sums.add(f[1]);
    }
    // Rows of sums overwrite the stages. All reads of them come before the last barrier of the loop, and the groups of
    // copies after the last step are empty.
    const Epilogue<bf16> e(output_of(a, m, n), n);
    sums.drain(shared.out[warp], e, row + warp_row, m, col + warp_col);
}

using Large = Shape<128, 128, 64, 64, 3>;
using Small = Shape<64, 64, 32, 32, 4>;

// The two letters are for the factors a and b: t if it is transposed, n if not.
KERNEL_RESIDENT(matmul_nn_bf16, MatmulArgs, 128, 2) { matmul<Large, true, false>(a); }
KERNEL_RESIDENT(matmul_nt_bf16, MatmulArgs, 128, 2) { matmul<Large, true, true>(a); }
KERNEL_RESIDENT(matmul_tn_bf16, MatmulArgs, 128, 2) { matmul<Large, false, false>(a); }
KERNEL_RESIDENT(matmul_small_nn_bf16, MatmulArgs, 128, 4) { matmul<Small, true, false>(a); }
KERNEL_RESIDENT(matmul_small_nt_bf16, MatmulArgs, 128, 4) { matmul<Small, true, true>(a); }
KERNEL_RESIDENT(matmul_small_tn_bf16, MatmulArgs, 128, 4) { matmul<Small, false, false>(a); }
KERNEL_RESIDENT(matmul_small_tt_bf16, MatmulArgs, 128, 4) { matmul<Small, false, true>(a); }
