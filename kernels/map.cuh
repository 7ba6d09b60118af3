// A pointwise map over a tile of elements.
#pragma once
#include "common.cuh"

constexpr int kTile = 2048; // elements that a block of 256 threads maps

// map computes dst[i] = f(in[i]...) for the block's tile of n elements. If aligned is set, a thread reads and writes 16
// bytes at a time. dst may be one of the inputs.
template <typename T, typename F, typename... In> DEVICE void map(T* dst, int n, bool aligned, F f, const In*... in) {
    constexpr int width = Vec<T>::n;
    UNROLL
    for (int k = 0; k < kTile / 256 / width; k++) {
        const int i = blockIdx.x * kTile + (k * 256 + threadIdx.x) * width;
        if (aligned && i + width <= n) {
            const auto all = [&](const Vec<In>&... x) {
                float y[width];
                UNROLL
                for (int j = 0; j < width; j++) y[j] = f(element(x, j)...);
                Vec<T> v;
                set_elements(v, y);
                store_vec(dst + i, v);
            };
            all(load_vec(in + i)...);
        } else {
            UNROLL
            for (int j = 0; j < width; j++) {
                if (i + j < n) dst[i + j] = from_float<T>(f(to_float(in[i + j])...));
            }
        }
    }
}
