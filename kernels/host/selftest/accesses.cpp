// Kernels whose accesses have a known cost. The Go test reads what is counted.
#include "mma.cuh"
#include "host/selftest/selftest.h"

extern "C" int lor2c_host_accesses(const char* path);

struct CountArgs {
    float* x; // 4,096 elements, at a multiple of 128 bytes
};
struct alignas(16) CountRows {
    float x[32][32];
};

// Each kernel has one access.
#define COUNT(name, threads, code)                                \
    KERNEL(name, CountArgs, threads) {                            \
        SHARED(CountRows, s);                                     \
        const int lane = threadIdx.x;                             \
        (void)s;                                                  \
        (void)lane;                                               \
        code;                                                     \
    }

COUNT(count_row, 32, a.x[lane] = 1.0f)
COUNT(count_column, 32, a.x[8 * lane] = 1.0f)
COUNT(count_one, 32, if (a.x[5] == 1.0f) return)
COUNT(count_vectors, 32, store_vec(a.x + 4 * lane, Vec<float>{}))
COUNT(count_halves, 32, store_vec(a.x + 8 * lane, Vec<float>{}))
COUNT(count_shifted, 32, a.x[lane + 4] = 1.0f)
COUNT(count_some, 32, if (lane % 2) a.x[lane / 2] = 1.0f)
COUNT(count_loop, 64, for (int i = 0; i < lane % 32; i++) a.x[32 * i + lane % 32] = 1.0f)
COUNT(count_shared_row, 32, s.x[3][lane] = 1.0f)
COUNT(count_shared_column, 32, s.x[lane][3] = 1.0f)
COUNT(count_shared_one, 32, if (s.x[7][7] == 1.0f) return)
COUNT(count_shared_vectors, 32, store_vec(&s.x[0][4 * lane], Vec<float>{}))
COUNT(count_shared_halves, 32, store_vec(&s.x[0][8 * lane], Vec<float>{}))
COUNT(count_shared_lanes, 32, const float zeros[8] = {}; store8_lanes(&s.x[0][8 * lane], zeros))
COUNT(count_shared_padded, 32, (&s.x[0][0])[31 * lane] = 1.0f)
COUNT(count_copy, 32, cp_async_16(&s.x[0][4 * lane], a.x + 4 * lane, true); cp_async_commit(); cp_async_wait<0>())
COUNT(count_tiles, 32, uint32_t r[4]; ldmatrix_x4(r, &s.x[lane][0]))
COUNT(count_barriers, 64, __syncthreads(); __syncwarp(); __syncthreads())

CASE(accesses) {
    void* x = nullptr;
    CHECK(posix_memalign(&x, 128, 4096 * sizeof(float)) == 0);
    memset(x, 0, 4096 * sizeof(float));
    for (const host::Kernel* k = host::Kernel::first(); k != nullptr; k = k->next)
        if (strncmp(k->name, "count_", 6) == 0) run(k->name, CountArgs{static_cast<float*>(x)}, 2);
    CHECK(lor2c_host_accesses("/dev/stdout"));
    free(x);
}
