// Activations and their slopes. See compute.Act.
#pragma once
#include "common.cuh"

// Act has the values of compute.Act.
enum Act { kIdentity, kGELU, kGELUTanh, kReLU, kTanh, kSiLU };

constexpr float kRootHalf = 0.70710678118654752f;
constexpr float kNormalPeak = 0.39894228040143268f; // 1/sqrt(2 pi)
constexpr float kGELUTanhA = 0.79788456080286536f;  // sqrt(2/pi)
constexpr float kGELUTanhB = 0.044715f;

// __fdividef returns 0 if the divisor is above 2^126. The exact quotient is subnormal there.
DEVICE float sigmoid(float x) { return __fdividef(1.0f, 1.0f + expf(-x)); }

// silu_slope returns the derivative of x sigmoid(x).
DEVICE float silu_slope(float x) {
    const float e = expf(-x), s = __fdividef(1.0f, 1.0f + e);
    // If s is next to 1, 1 - s has only its error, which x multiplies.
    const float rest = x > 0.0f ? e * s : 1.0f - s;
    return s * fmaf(x, rest, 1.0f);
}

// activate returns act(x): Hendrycks and Gimpel 2016, arXiv:1606.08415, for GELU by erf and by tanh.
DEVICE float activate(int act, float x) {
    switch (act) {
    case kGELU: return 0.5f * x * (1.0f + erff(kRootHalf * x));
    case kGELUTanh: return 0.5f * x * (1.0f + tanhf(kGELUTanhA * x * fmaf(kGELUTanhB * x, x, 1.0f)));
    case kReLU: return x <= 0.0f ? 0.0f : x; // a NaN remains a NaN
    case kTanh: return tanhf(x);
    case kSiLU: return x * sigmoid(x);
    default: return x;
    }
}

// activation_slope returns act'(x).
DEVICE float activation_slope(int act, float x) {
    switch (act) {
    case kGELU: return fmaf(x * kNormalPeak, expf(-0.5f * x * x), 0.5f * (1.0f + erff(kRootHalf * x)));
    case kGELUTanh: {
        if (fabsf(x) > 100.0f) return x > 0.0f ? 1.0f : 0.0f; // the formula below would compute 0 times infinity
        const float t = tanhf(kGELUTanhA * x * fmaf(kGELUTanhB * x, x, 1.0f));
        const float inner = kGELUTanhA * fmaf(3.0f * kGELUTanhB * x, x, 1.0f);
        return 0.5f * fmaf(x * inner, fmaf(-t, t, 1.0f), 1.0f + t);
    }
    case kReLU: return x <= 0.0f ? 0.0f : 1.0f;
    case kTanh: {
        const float t = tanhf(x);
        return fmaf(-t, t, 1.0f);
    }
    case kSiLU: return silu_slope(x);
    default: return 1.0f;
    }
}
