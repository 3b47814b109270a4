// Keys and queries from rows of any numbers: positive with sum 1, or of length 1.
// models/kernels/keys.py says what each norm means.
#pragma once

#include <cmath>
#include <string_view>

#include "matrix.h"

namespace fast_weights {

enum class KeyNorm { SUM, SOFTMAX, L2 };

constexpr float SUM_EPSILON = 1e-5f;
constexpr float L2_EPSILON = 1e-12f;

inline KeyNorm key_norm_named(std::string_view name) {
  if (name == "sum") return KeyNorm::SUM;
  if (name == "softmax") return KeyNorm::SOFTMAX;
  TORCH_CHECK(name == "l2", "no norm of keys is called ", name);
  return KeyNorm::L2;
}

// y = elu(x) + 1 over its sum; returns one over that.
template <int FIXED>
float sum_norm(const float* x, int size, Width<FIXED> width, float* y) {
  const int row = width.floats();
  for (int i = 0; i < row; i += LANES) {
    const Vec x_i = load(x + i);
    store(y + i, select(x_i > 0.0f, x_i + 1.0f, exp(x_i)));
  }
  std::fill(y + size, y + row, 0.0f);
  Vec sums{};
  for (int i = 0; i < row; i += LANES) sums += load(y + i);
  const float scale = 1.0f / (sum_of_lanes(sums) + SUM_EPSILON);
  for (int i = 0; i < row; i += LANES) store(y + i, load(y + i) * scale);
  return scale;
}

// elu + 1 has slope 1 above 1, and its own value below.
template <int FIXED>
void sum_norm_backward(const float* y, float scale, const float* dy, Width<FIXED> width,
                       float* dx) {
  const float mean = dot(y, dy, width);
  for (int i = 0; i < width.floats(); i += LANES) {
    const Vec y_i = load(y + i);
    store(dx + i, select(y_i < scale, y_i, splat(scale)) * (load(dy + i) - mean));
  }
}

// y = x / |x|; returns 1 / |x|.
template <int FIXED>
float l2_norm(const float* x, int size, Width<FIXED> width, float* y) {
  const int row = width.floats();
  const float length = std::sqrt(dot(x, x, width));
  const float scale = 1.0f / (length < L2_EPSILON ? L2_EPSILON : length);  // NaN stays NaN
  for (int i = 0; i < row; i += LANES) store(y + i, load(x + i) * scale);
  std::fill(y + size, y + row, 0.0f);
  return scale;
}

// A vector that was too short to be divided by its length was divided by a constant.
template <int FIXED>
void l2_norm_backward(const float* y, float scale, const float* dy, Width<FIXED> width,
                      float* dx) {
  const float along = scale < 1.0f / L2_EPSILON ? dot(y, dy, width) : 0.0f;
  for (int i = 0; i < width.floats(); i += LANES) {
    store(dx + i, (load(dy + i) - load(y + i) * along) * scale);
  }
}

// y = the key of the first `size` of x; the padding of x and of the result is zero. Returns what
// the backward pass needs of x, which is nothing for softmax.
template <int FIXED>
FW_INLINE float normalise(KeyNorm norm, const float* x, int size, Width<FIXED> width, float* y) {
  if (norm == KeyNorm::SOFTMAX) {
    softmax(x, size, width, y);
    return 0.0f;
  }
  return norm == KeyNorm::SUM ? sum_norm(x, size, width, y) : l2_norm(x, size, width, y);
}

// dx, the gradient before y = normalise(x), which returned `scale`. dx may be dy.
template <int FIXED>
FW_INLINE void normalise_backward(KeyNorm norm, const float* y, float scale, const float* dy,
                                  Width<FIXED> width, float* dx) {
  if (norm == KeyNorm::SOFTMAX) return softmax_backward(y, dy, width, dx);
  if (norm == KeyNorm::SUM) return sum_norm_backward(y, scale, dy, width, dx);
  return l2_norm_backward(y, scale, dy, width, dx);
}

}  // namespace fast_weights
