// Pointwise maps. See compute.Elementwise.
#include "common.cuh"

struct FillArgs {
    void* dst;
    const int32_t* n;
    float value;
    uint32_t unused;
};

// fill: dst[i] = value.
//
//   dst [n] f32 or bf16, aligned to its element
//
// Launch   grid ceil(n/1024), block 256, no shared memory.
// Limits   n < 2^31.
// Numerics value is rounded to the element type.
// Work     n writes; memory bound.
template <typename T> DEVICE void fill(const FillArgs& a) {
    const int n = *a.n;
    T* dst = static_cast<T*>(a.dst);
    UNROLL
    for (int k = 0; k < 4; k++) {
        const int i = blockIdx.x * 1024 + k * 256 + threadIdx.x;
        if (i < n) dst[i] = from_float<T>(a.value);
    }
}
KERNEL(fill_f32, FillArgs, 256) { fill<float>(a); }
KERNEL(fill_bf16, FillArgs, 256) { fill<bf16>(a); }
