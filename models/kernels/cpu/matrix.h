// Products with a small row-major matrix that lives in the L1 cache.
//
// All row lengths are padded to whole vectors and all row counts to ALIGNMENT; padding is
// zero. Columns are taken in blocks whose sums stay in registers.
#pragma once

#include "layout.h"

namespace fast_weights {

// Vectors of columns summed at once: the largest divisor of the row that fits the registers.
template <int FIXED>
constexpr int column_block() {
  constexpr int limit = LANES == 16 ? 8 : 4;
  int block = 1;
  for (int i = 1; i <= limit; ++i) {
    if (FIXED / LANES % i == 0) block = i;
  }
  return FIXED == 0 ? 1 : block;
}

// Independent partial sums per column vector, to hide the latency of an addition.
constexpr int row_unroll(int columns) {
  return columns >= 8 ? 1 : columns >= 4 ? 2 : columns >= 2 ? 4 : 8;
}

// C vectors kept in registers.
template <int C>
struct Block {
  Vec v[C];

  static FW_INLINE Block at(const float* p) {
    Block x;
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) x.v[c] = load(p + c * LANES);
    return x;
  }
  FW_INLINE void to(float* p) const {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) store(p + c * LANES, v[c]);
  }
  friend FW_INLINE Block operator*(float x, Block y) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) y.v[c] *= x;
    return y;
  }
  FW_INLINE void add(float x, const Block& y) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) v[c] += x * y.v[c];
  }
  FW_INLINE void add(const Block& y) {
#pragma GCC unroll 8
    for (int c = 0; c < C; ++c) v[c] += y.v[c];
  }
  FW_INLINE Vec dot(const Block& y) const {
    Vec sum = v[0] * y.v[0];
#pragma GCC unroll 8
    for (int c = 1; c < C; ++c) sum += v[c] * y.v[c];
    return sum;
  }
};

template <int U, int C>
FW_INLINE Block<C> total(const Block<C>* partial) {
  if constexpr (U == 1) {
    return partial[0];
  } else {
    Block<C> sum = total<U / 2>(partial);
    sum.add(total<U / 2>(partial + U / 2));
    return sum;
  }
}

// y = M^T x: the sum of x[i] times row i.
template <int FIXED>
FW_INLINE void combine_rows(const float* __restrict m, const float* __restrict x, int rows,
                            Width<FIXED> width, float* __restrict y) {
  constexpr int C = column_block<FIXED>();
  constexpr int U = row_unroll(C);
  const int row = width.floats();
  for (int first = 0; first < row; first += C * LANES) {
    Block<C> sums[U] = {};
    for (int i = 0; i < rows; i += U) {
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) sums[u].add(x[i + u], Block<C>::at(m + (i + u) * row + first));
    }
    total<U>(sums).to(y + first);
  }
}

// y = M^T x and y2 = M^T x2 in one pass.
template <int FIXED>
FW_INLINE void combine_rows_twice(const float* __restrict m, const float* __restrict x,
                                  const float* __restrict x2, int rows, Width<FIXED> width,
                                  float* __restrict y, float* __restrict y2) {
  constexpr int C = column_block<FIXED>();
  constexpr int U = row_unroll(2 * C);
  const int row = width.floats();
  for (int first = 0; first < row; first += C * LANES) {
    Block<C> sums[U] = {};
    Block<C> sums2[U] = {};
    for (int i = 0; i < rows; i += U) {
#pragma GCC unroll 4
      for (int u = 0; u < U; ++u) {
        const auto m_i = Block<C>::at(m + (i + u) * row + first);
        sums[u].add(x[i + u], m_i);
        sums2[u].add(x2[i + u], m_i);
      }
    }
    total<U>(sums).to(y + first);
    total<U>(sums2).to(y2 + first);
  }
}

// M = scale M + x z^T, then y = M^T q.
template <int FIXED>
FW_INLINE void write_and_combine(float* __restrict m, float scale, const float* __restrict x,
                                 const float* __restrict z, const float* __restrict q, int rows,
                                 Width<FIXED> width, float* __restrict y) {
  constexpr int C = column_block<FIXED>();
  constexpr int U = row_unroll(C);
  const int row = width.floats();
  for (int first = 0; first < row; first += C * LANES) {
    const auto z_block = Block<C>::at(z + first);
    Block<C> sums[U] = {};
    for (int i = 0; i < rows; i += U) {
#pragma GCC unroll 8
      for (int u = 0; u < U; ++u) {
        auto m_i = scale * Block<C>::at(m + (i + u) * row + first);
        m_i.add(x[i + u], z_block);
        m_i.to(m + (i + u) * row + first);
        sums[u].add(q[i + u], m_i);
      }
    }
    total<U>(sums).to(y + first);
  }
}

// to = scale from + x z^T; the two may be the same matrix.
template <int FIXED>
FW_INLINE void write(const float* from, float* to, float scale, const float* x, const float* z,
                     int rows, Width<FIXED> width) {
  constexpr int C = column_block<FIXED>();
  const int row = width.floats();
  for (int first = 0; first < row; first += C * LANES) {
    const auto z_block = Block<C>::at(z + first);
    for (int i = 0; i < rows; ++i) {
      auto m_i = scale * Block<C>::at(from + i * row + first);
      m_i.add(x[i], z_block);
      m_i.to(to + i * row + first);
    }
  }
}

// A rank-one term x z^T still to be added to a matrix.
struct Outer {
  const float* x;
  const float* z;
};

// M = scale M + a + b, then r = M^T k and p = M u, all in one pass over M.
template <int FIXED>
FW_INLINE void accumulate_and_multiply(float* __restrict m, float scale, Outer a, Outer b,
                                       const float* __restrict k, const float* __restrict u,
                                       int rows, Width<FIXED> width, float* __restrict r,
                                       float* __restrict p) {
  constexpr int C = column_block<FIXED>();
  const int row = width.floats();
  for (int first = 0; first < row; first += C * LANES) {
    const auto a_z = Block<C>::at(a.z + first), b_z = Block<C>::at(b.z + first);
    const auto u_block = Block<C>::at(u + first);
    Block<C> sums[2] = {};
    for (int i = 0; i < rows; i += LANES) {
      Vec quarters[LANES / 4];
#pragma GCC unroll 4
      for (int j = 0; j < LANES / 4; ++j) {
        Vec dots[4];
#pragma GCC unroll 4
        for (int l = 0; l < 4; ++l) {
          const int n = i + 4 * j + l;
          auto m_n = scale * Block<C>::at(m + n * row + first);
          m_n.add(a.x[n], a_z);
          m_n.add(b.x[n], b_z);
          m_n.to(m + n * row + first);
          sums[l % 2].add(k[n], m_n);
          dots[l] = m_n.dot(u_block);
        }
        quarters[j] = lane_sums<4>(dots);
      }
      const Vec dot = lane_sums<LANES / 4>(quarters);
      store(p + i, first == 0 ? dot : load(p + i) + dot);
    }
    total<2>(sums).to(r + first);
  }
}

// The sum of the products of all entries of two matrices.
template <int FIXED>
FW_INLINE float inner_product(const float* m, const float* m2, int rows, Width<FIXED> width) {
  constexpr int U = 4;
  Vec sums[U] = {};
  const int size = rows * width.floats();
  for (int i = 0; i < size; i += U * LANES) {
#pragma GCC unroll 4
    for (int u = 0; u < U; ++u) sums[u] += load(m + i + u * LANES) * load(m2 + i + u * LANES);
  }
  return sum_of_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
}

template <int FIXED>
FW_INLINE float dot(const float* x, const float* y, Width<FIXED> width) {
  Vec sum{};
  for (int i = 0; i < width.floats(); i += LANES) sum += load(x + i) * load(y + i);
  return sum_of_lanes(sum);
}

// softmax of the first `size` of x; the padding of the result is zero. x may be y.
template <int FIXED>
FW_INLINE void softmax(const float* x, int size, Width<FIXED> width, float* y) {
  const int row = width.floats();
  if (x != y) std::memcpy(y, x, row * sizeof(float));
  for (int i = size; i < row; ++i) y[i] = -std::numeric_limits<float>::infinity();
  Vec peaks = load(y);
  for (int i = LANES; i < row; i += LANES) peaks = select(load(y + i) > peaks, load(y + i), peaks);
  const float peak = max_of_lanes(peaks);
  Vec sums{};
  for (int i = 0; i < row; i += LANES) {
    const Vec e = exp(load(y + i) - peak);
    sums += e;
    store(y + i, e);
  }
  const float scale = 1.0f / sum_of_lanes(sums);
  for (int i = 0; i < row; i += LANES) store(y + i, load(y + i) * scale);
  for (int i = size; i < row; ++i) y[i] = 0.0f;
}

// dx = y (dy - y . dy), the gradient before y = softmax(x). dx may be dy.
template <int FIXED>
FW_INLINE void softmax_backward(const float* y, const float* dy, Width<FIXED> width, float* dx) {
  const float mean = dot(y, dy, width);
  for (int i = 0; i < width.floats(); i += LANES) {
    store(dx + i, load(y + i) * (load(dy + i) - mean));
  }
}

}  // namespace fast_weights
