// Output tiles of 64 x 64 for the low-rank residual of any rank. Operands are in shared memory. Products are computed
// on tensor cores (bf16) or in float32.
//
// A sum is over terms. A line is a row or a column of the output. An operand is loaded 8 elements at a time, along its
// terms or along its lines as it is stored in global memory, and is not transposed on the way.
#pragma once
#include "mma.cuh"

constexpr int kTile = 64; // lines of an operand

// Eight has 8 consecutive elements in the type in which they were loaded.
template <typename T> struct Eight {
    Vec<T> v[8 / Vec<T>::n];
};

// load_eight loads the columns [c, c + 8) of a row of a matrix, and zeros outside of the matrix. If aligned is set, 8
// must divide cols and rows must begin at multiples of 16 bytes.
template <typename T> DEVICE Eight<T> load_eight(const T* m, int row, int rows, int c, int cols, bool aligned) {
    constexpr int n = Vec<T>::n;
    Eight<T> x;
    const T* from = m + int64_t(row) * cols + c;
    UNROLL
    for (int k = 0; k < 8 / n; k++) {
        x.v[k] = Vec<T>{};
        if (row >= rows) continue;
        if (aligned) {
            if (c < cols) x.v[k] = load_vec(from + k * n);
            continue;
        }
        UNROLL
        for (int i = 0; i < n; i++) {
            if (c + k * n + i < cols) x.v[k].v[i] = from[k * n + i];
        }
    }
    return x;
}

template <typename T> DEVICE void to_floats(float (&x)[8], const Eight<T>& e) {
    UNROLL
    for (int i = 0; i < 8; i++) x[i] = element(e.v[i / Vec<T>::n], i % Vec<T>::n);
}

// Used has the numbers of rows, columns and terms of a tile that are inside of the matrices.
struct Used {
    int rows, cols, terms;
};

// Engine multiplies operands in type T. pieces is the number of operands of type T into which an operand in f32 is
// split.
template <typename T> struct Engine;

template <> struct Engine<float> {
    static constexpr int depth = 32, pieces = 1;
    // The first index is the term. The size of a row is a multiple of 16 bytes, and neighbouring rows begin in
    // different banks.
    struct Operand {
        float v[depth][kTile + 4];
    };

    static DEVICE void put(Operand (&o)[1], const float (&x)[8], bool along_terms, int term, int line) {
        if (along_terms) {
            UNROLL
            for (int j = 0; j < 8; j++) o[0].v[term + j][line] = x[j];
        } else {
            store8(&o[0].v[term][line], x);
        }
    }

    // A thread has 4 rows from 4 (thread / 16) on and 4 columns from 4 (thread % 16) on.
    float sum[4][4] = {};

    DEVICE void add(const Operand (&p)[1], bool, const Operand& q, bool, Used used) {
        if (int(threadIdx.x) / 16 * 4 >= used.rows || int(threadIdx.x) % 16 * 4 >= used.cols) return;
        UNROLL
        for (int k = 0; k < depth; k++) {
            const Vec<float> a = load_vec(&p[0].v[k][threadIdx.x / 16 * 4]);
            const Vec<float> b = load_vec(&q.v[k][threadIdx.x % 16 * 4]);
            UNROLL
            for (int i = 0; i < 4; i++) {
                UNROLL
                for (int j = 0; j < 4; j++) sum[i][j] = fmaf(a.v[i], b.v[j], sum[i][j]);
            }
        }
    }

    DEVICE void store(float (&out)[kTile][kTile + 4], float scale) const {
        UNROLL
        for (int i = 0; i < 4; i++) {
            store_vec(&out[threadIdx.x / 16 * 4 + i][threadIdx.x % 16 * 4],
                      Vec<float>{{scale * sum[i][0], scale * sum[i][1], scale * sum[i][2], scale * sum[i][3]}});
        }
    }
};

template <> struct Engine<bf16> {
    // Three pieces of 8 bits have all 24 bits of an f32, so that a product with a bf16 is as exact as in f32. With two
    // pieces the relative error would be 2^-17, which is too much if terms cancel.
    static constexpr int depth = 64, pieces = 3;
    // If the operand is stored along its terms the first index is the line, otherwise the term. A row has 144 bytes, so
    // the 8 rows that ldmatrix reads at a time are in different banks.
    struct Operand {
        bf16 v[64][kTile + 8];
    };

    template <int count>
    static DEVICE void put(Operand (&o)[count], const float (&x)[8], bool along_terms, int term, int line) {
        float rest[8];
        UNROLL
        for (int i = 0; i < 8; i++) rest[i] = x[i];
        UNROLL
        for (int k = 0; k < count; k++) {
            float piece[8];
            UNROLL
            for (int i = 0; i < 8; i++) piece[i] = rest[i];
            round8<bf16>(piece);
            store8(along_terms ? &o[k].v[line][term] : &o[k].v[term][line], piece);
            UNROLL
            for (int i = 0; i < 8; i++) rest[i] -= piece[i];
        }
    }

    // A warp has 16 rows and 32 columns: 4 of its tiles of mma.m16n8k16.
    float sum[4][4] = {};

    static DEVICE int first_row() { return threadIdx.x / 64 * 16; }
    static DEVICE int first_col() { return threadIdx.x / 32 % 2 * 32; }

    template <int count>
    DEVICE void add(const Operand (&p)[count], bool p_along_terms, const Operand& q, bool q_along_terms, Used used) {
        if (first_row() >= used.rows || first_col() >= used.cols) return;
        // tile is the lane's of the four 8 x 8 tiles of an ldmatrix. odd and high are the offsets of the tile in lines
        // and terms, in the order of the registers.
        const int row = threadIdx.x % 8, tile = threadIdx.x / 8 % 4, odd = tile % 2 * 8, high = tile / 2 * 8;
        UNROLL
        for (int k = 0; k < depth; k += 16) {
            if (k >= used.terms) break;
            uint32_t b[2][4];
            UNROLL
            for (int n = 0; n < 2; n++) {
                const int line = first_col() + n * 16 + high, term = k + odd;
                if (q_along_terms) {
                    ldmatrix_x4(b[n], &q.v[line + row][term]);
                } else {
                    ldmatrix_x4_trans(b[n], &q.v[term + row][line]);
                }
            }
            UNROLL
            for (int piece = 0; piece < count; piece++) {
                uint32_t a[4];
                const int line = first_row() + odd, term = k + high;
                if (p_along_terms) {
                    ldmatrix_x4(a, &p[piece].v[line + row][term]);
                } else {
                    ldmatrix_x4_trans(a, &p[piece].v[term + row][line]);
                }
                UNROLL
                for (int n = 0; n < 4; n++) mma_bf16(sum[n], a, {b[n / 2][n % 2 * 2], b[n / 2][n % 2 * 2 + 1]});
            }
        }
    }

    DEVICE void store(float (&out)[kTile][kTile + 4], float scale) const {
        const int row = first_row() + threadIdx.x % 32 / 4, col = first_col() + threadIdx.x % 4 * 2;
        UNROLL
        for (int n = 0; n < 4; n++) {
            UNROLL
            for (int i = 0; i < 4; i++) out[row + i / 2 * 8][col + n * 8 + i % 2] = scale * sum[n][i];
        }
    }
};

// Tiles has the operands, and the output when the sums are complete.
template <typename T, int pieces> union Tiles {
    struct {
        typename Engine<T>::Operand p[pieces], q[1];
    } in;
    float out[kTile][kTile + 4];
};

// at_terms and at_lines return the place of a thread's 8 elements of an operand. At depth 64 half selects the first or
// the second 8 elements of the thread.
struct Place {
    int term, line;
};
template <typename T> DEVICE Place at_terms(int half) {
    constexpr int groups = Engine<T>::depth / 8, lines = 256 / groups;
    return {int(threadIdx.x) % groups * 8, int(threadIdx.x) / groups + half * lines};
}
DEVICE Place at_lines(int half) { return {int(threadIdx.x) / 8 + half * 32, int(threadIdx.x) % 8 * 8}; }
