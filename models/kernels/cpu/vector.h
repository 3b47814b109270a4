// SIMD vectors of float and the elementary functions the recurrences need.
//
// `Vec` is a compiler vector (GCC, Clang) as wide as the registers of the machine the
// code is compiled for, so every kernel is written once for AVX-512, AVX2, NEON and SSE.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

namespace fast_weights {

#if defined(__AVX512F__)
constexpr int LANES = 16;
#elif defined(__AVX__)
constexpr int LANES = 8;
#else
constexpr int LANES = 4;
#endif

typedef float Vec __attribute__((vector_size(LANES * 4)));
typedef int32_t IntVec __attribute__((vector_size(LANES * 4)));
typedef float UnalignedVec __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define FW_INLINE inline __attribute__((always_inline))

FW_INLINE Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
FW_INLINE void store(float* p, Vec x) { *reinterpret_cast<UnalignedVec*>(p) = x; }
FW_INLINE Vec splat(float x) { return x - Vec{}; }
FW_INLINE Vec select(IntVec mask, Vec a, Vec b) { return mask ? a : b; }

template <int... I>
FW_INLINE Vec shuffle(Vec a, Vec b, std::integer_sequence<int, I...>) {
#if defined(__clang__)
  return __builtin_shufflevector(a, b, I...);
#else
  return __builtin_shuffle(a, b, IntVec{I...});
#endif
}

template <int STRIDE, int OFFSET, int... I>
constexpr auto strided(std::integer_sequence<int, I...>) {
  return std::integer_sequence<int, (I * STRIDE + OFFSET)...>{};
}

template <int HALF, int... I>
constexpr auto swapped(std::integer_sequence<int, I...>) {
  return std::integer_sequence<int, (I ^ HALF)...>{};
}

using Lanes = std::make_integer_sequence<int, LANES>;

// Sums of neighbouring lanes of a, then of b.
FW_INLINE Vec add_pairs(Vec a, Vec b) {
  return shuffle(a, b, strided<2, 0>(Lanes{})) + shuffle(a, b, strided<2, 1>(Lanes{}));
}

// The lane sums of N vectors, in order, in the first N lanes (N a power of two).
template <int N>
FW_INLINE Vec lane_sums(const Vec* x) {
  if constexpr (N == 1) {
    return *x;
  } else {
    return add_pairs(lane_sums<N / 2>(x), lane_sums<N / 2>(x + N / 2));
  }
}

template <int HALF = LANES / 2>
FW_INLINE float sum_of_lanes(Vec x) {
  if constexpr (HALF == 0) {
    return x[0];
  } else {
    return sum_of_lanes<HALF / 2>(x + shuffle(x, x, swapped<HALF>(Lanes{})));
  }
}

template <int HALF = LANES / 2>
FW_INLINE float max_of_lanes(Vec x) {
  if constexpr (HALF == 0) {
    return x[0];
  } else {
    const Vec y = shuffle(x, x, swapped<HALF>(Lanes{}));
    return max_of_lanes<HALF / 2>(select(x > y, x, y));
  }
}

// e^x - 1 = scale * fraction + (scale - 1), for |x| clamped to 87; NaN stays NaN.
// x = n ln 2 + r, fraction = e^r - 1 by its Taylor series: the next term is below 6e-9 r.
struct Exponential {
  Vec scale;
  Vec fraction;
};

FW_INLINE Exponential split_exponential(Vec x) {
  x = select(x < -87.0f, splat(-87.0f), select(x > 87.0f, splat(87.0f), x));
  constexpr float ROUND = 12582912.0f;  // 1.5 * 2^23: adding it leaves no fraction bits
  const Vec n = (x * 1.44269504f + ROUND) - ROUND;
  constexpr float LN2_HIGH = 0.693359375f;  // few bits, so that n * LN2_HIGH is exact
  constexpr float LN2_LOW = -2.12194440e-4f;
  const Vec r = (x - n * LN2_HIGH) - n * LN2_LOW;
  Vec p = r * (1.0f / 5040) + 1.0f / 720;
  p = p * r + 1.0f / 120;
  p = p * r + 1.0f / 24;
  p = p * r + 1.0f / 6;
  p = p * r + 0.5f;
  p = p * r * r + r;
  const IntVec exponent = (__builtin_convertvector(n, IntVec) + 127) << 23;
  Vec scale;
  std::memcpy(&scale, &exponent, sizeof scale);
  return {scale, p};
}

FW_INLINE Vec exp(Vec x) {
  const Exponential e = split_exponential(x);
  return e.scale * e.fraction + e.scale;
}

FW_INLINE Vec sigmoid(Vec x) { return 1.0f / (1.0f + exp(-x)); }

FW_INLINE Vec tanh(Vec x) {
  const Exponential e = split_exponential(x + x);
  const Vec minus_one = e.scale * e.fraction + (e.scale - 1.0f);
  return select(x > 30.0f, splat(1.0f), minus_one / (minus_one + 2.0f));
}

FW_INLINE float sigmoid(float x) { return sigmoid(splat(x))[0]; }

}  // namespace fast_weights
