// How the kernels reach tensors: rows of any stride and either dtype, scratch memory,
// the division of (batch, head) pairs over threads, and the choice of an instantiation.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>
#include <torch/library.h>

#include <algorithm>
#include <memory>
#include <tuple>

#include "vector.h"

namespace fast_weights {

using at::Tensor;

constexpr int ALIGNMENT = 16;  // rows in scratch and saved memory are padded to this many floats
constexpr int CHECKPOINT_STEPS = 16;  // steps between two stored states; models/kernels/native.py

constexpr int padded(int64_t size) {
  return static_cast<int>((size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
}

inline int64_t num_segments(int64_t T) { return (T + CHECKPOINT_STEPS - 1) / CHECKPOINT_STEPS; }

// A row length in floats, known at compile time unless FIXED is 0.
template <int FIXED>
struct Width {
  int value = FIXED;
  constexpr int floats() const {
    if constexpr (FIXED != 0) return FIXED;
    return value;
  }
};

// Calls f(Width, Width) with the instantiation for padded row lengths k and v.
template <class F>
void with_widths(int k, int v, F f) {
  if (k != v) return f(Width<0>{k}, Width<0>{v});
  switch (k) {
    case 16: return f(Width<16>{}, Width<16>{});
    case 32: return f(Width<32>{}, Width<32>{});
    case 48: return f(Width<48>{}, Width<48>{});
    case 64: return f(Width<64>{}, Width<64>{});
    case 128: return f(Width<128>{}, Width<128>{});
    default: return f(Width<0>{k}, Width<0>{v});
  }
}

template <class F>
void with_width(int d, F f) {
  with_widths(d, d, [&](auto width, auto) { f(width); });
}

// Aligned floats for one thread, allocated once before its time loop.
class Scratch {
 public:
  Scratch(const Scratch&) = delete;
  explicit Scratch(int64_t floats)
      : memory_(new float[floats + ALIGNMENT]()), next_(memory_.get()) {
    while (reinterpret_cast<uintptr_t>(next_) % (ALIGNMENT * sizeof(float)) != 0) ++next_;
    end_ = next_ + floats;
  }
  float* take(int64_t floats) {
    float* const result = next_;
    next_ += padded(floats);
    TORCH_INTERNAL_ASSERT(next_ <= end_, "more is taken of the scratch memory than there is");
    return result;
  }

 private:
  std::unique_ptr<float[]> memory_;
  float *next_, *end_;
};

constexpr int64_t PREFETCH_STEPS = 2;  // how far ahead of its use a row is asked for

// Asks for memory that a step soon to come reads or writes. Rows of consecutive steps are too far
// apart for the CPU to foresee.
template <bool FOR_WRITING = false>
FW_INLINE void prefetch(const void* p, int64_t bytes) {
  constexpr int64_t LINE = 64;
  const char* const first = static_cast<const char*>(p);
  for (int64_t i = 0; i < bytes; i += LINE) __builtin_prefetch(first + i, FOR_WRITING);
}

inline float to_float(at::BFloat16 x) { return static_cast<float>(x); }

// The rows of a [T, B, H, size] tensor (or [T, B, H] for size 1), read as float32.
class Rows {
 public:
  Rows(const Tensor& x)
      : tensor_(x.dim() == 4 && x.stride(3) != 1 ? x.contiguous() : x),
        data_(tensor_.const_data_ptr()),
        size_(x.dim() == 4 ? static_cast<int>(x.size(3)) : 1),
        is_bfloat16_(x.scalar_type() == at::kBFloat16) {
    TORCH_CHECK(is_bfloat16_ || x.scalar_type() == at::kFloat,
                "the cpu kernels take float32 or bfloat16, got ", x.scalar_type());
    for (int i = 0; i < 3; ++i) stride_[i] = tensor_.stride(i);
  }

  float scalar(int64_t t, int64_t b, int64_t h) const {
    const int64_t i = offset(t, b, h);
    return is_bfloat16_ ? to_float(static_cast<const at::BFloat16*>(data_)[i])
                        : static_cast<const float*>(data_)[i];
  }

  void prefetch(int64_t t, int64_t b, int64_t h) const {
    const int64_t element = is_bfloat16_ ? 2 : 4;
    fast_weights::prefetch(static_cast<const char*>(data_) + offset(t, b, h) * element,
                           size_ * element);
  }

  // The row itself where it can be read in place, else a copy in `buffer` padded by zeros.
  const float* row(int64_t t, int64_t b, int64_t h, float* buffer) const {
    const int64_t start = offset(t, b, h);
    if (!is_bfloat16_ && size_ % ALIGNMENT == 0) return static_cast<const float*>(data_) + start;
    for (int i = 0; i < size_; ++i) {
      buffer[i] = is_bfloat16_ ? to_float(static_cast<const at::BFloat16*>(data_)[start + i])
                               : static_cast<const float*>(data_)[start + i];
    }
    for (int i = size_; i < padded(size_); ++i) buffer[i] = 0.0f;
    return buffer;
  }

 private:
  int64_t offset(int64_t t, int64_t b, int64_t h) const {
    return t * stride_[0] + b * stride_[1] + h * stride_[2];
  }

  Tensor tensor_;
  const void* data_;
  int size_;
  bool is_bfloat16_;
  int64_t stride_[3];
};

// Rows of a contiguous [T, B, H, row] output, `size` floats of it from `first`.
class OutputRows {
 public:
  OutputRows(const Tensor& x, int64_t first, int64_t size)
      : data_(x.mutable_data_ptr()),
        row_(x.size(3)),
        first_(first),
        size_(static_cast<int>(size)),
        B_(x.size(1)),
        H_(x.size(2)),
        is_bfloat16_(x.scalar_type() == at::kBFloat16) {}
  explicit OutputRows(const Tensor& x) : OutputRows(x, 0, x.size(3)) {}

  // Where to compute row (t, b, h): in place, or in `buffer` until `finish` stores it.
  float* begin(int64_t t, int64_t b, int64_t h, float* buffer) const {
    if (is_bfloat16_ || size_ % ALIGNMENT != 0) return buffer;
    return static_cast<float*>(data_) + offset(t, b, h);
  }

  void finish(int64_t t, int64_t b, int64_t h, const float* row) const {
    if (is_bfloat16_ || size_ % ALIGNMENT != 0) copy(t, b, h, row);
  }

  void prefetch(int64_t t, int64_t b, int64_t h) const {
    const int64_t element = is_bfloat16_ ? 2 : 4;
    fast_weights::prefetch<true>(static_cast<char*>(data_) + offset(t, b, h) * element,
                                 size_ * element);
  }

  // Stores a row that was computed elsewhere.
  void copy(int64_t t, int64_t b, int64_t h, const float* row) const {
    const int64_t start = offset(t, b, h);
    if (is_bfloat16_) {
      auto* out = static_cast<at::BFloat16*>(data_) + start;
      for (int i = 0; i < size_; ++i) out[i] = static_cast<at::BFloat16>(row[i]);
    } else {
      std::memcpy(static_cast<float*>(data_) + start, row, size_ * sizeof(float));
    }
  }

 private:
  int64_t offset(int64_t t, int64_t b, int64_t h) const {
    return ((t * B_ + b) * H_ + h) * row_ + first_;
  }

  void* data_;
  int64_t row_, first_;
  int size_;
  int64_t B_, H_;
  bool is_bfloat16_;
};

// start [T, B].
class Starts {
 public:
  explicit Starts(const Tensor& x)
      : data_(x.const_data_ptr<bool>()), stride_t_(x.stride(0)), stride_b_(x.stride(1)) {}
  bool operator()(int64_t t, int64_t b) const { return data_[t * stride_t_ + b * stride_b_]; }

 private:
  const bool* data_;
  int64_t stride_t_, stride_b_;
};

// Saved rows [T, B, H, padded]: float32, contiguous.
inline float* saved_row(const Tensor& x, int64_t t, int64_t b, int64_t h) {
  return x.mutable_data_ptr<float>() + ((t * x.size(1) + b) * x.size(2) + h) * x.size(3);
}

template <bool FOR_WRITING = false>
FW_INLINE void prefetch_saved_row(const Tensor& x, int64_t t, int64_t b, int64_t h) {
  prefetch<FOR_WRITING>(saved_row(x, t, b, h), x.size(3) * sizeof(float));
}

// Matrix (b, h) of a contiguous [B, H, K, V] tensor.
inline float* matrix_of(const Tensor& x, int64_t b, int64_t h) {
  return x.mutable_data_ptr<float>() + (b * x.size(1) + h) * x.size(2) * x.size(3);
}

// Row (b, h) of a contiguous [B, H, D] tensor.
inline float* row_of(const Tensor& x, int64_t b, int64_t h) {
  return x.mutable_data_ptr<float>() + (b * x.size(1) + h) * x.size(2);
}

// Checkpoints [segments, B, H, padded K, padded V] of the state before each segment.
inline Tensor empty_checkpoints(const Tensor& state, int64_t T, bool save) {
  return at::empty({save ? num_segments(T) : 0, state.size(0), state.size(1),
                    padded(state.size(2)), padded(state.size(3))},
                   state.options());
}

inline float* checkpoint_of(const Tensor& x, int64_t segment, int64_t b, int64_t h) {
  const int64_t matrix = x.size(3) * x.size(4);
  return x.mutable_data_ptr<float>() + ((segment * x.size(1) + b) * x.size(2) + h) * matrix;
}

inline bool is_padded(int64_t K, int64_t V) { return K % ALIGNMENT != 0 || V % ALIGNMENT != 0; }

// Copies a [K, V] matrix between rows of `from_row` and of `to_row` floats.
inline void copy_matrix(const float* from, int64_t from_row, float* to, int64_t to_row, int64_t K,
                        int64_t V) {
  if (from_row == to_row) {
    std::memcpy(to, from, K * V * sizeof(float));
    return;
  }
  for (int64_t i = 0; i < K; ++i) {
    std::memcpy(to + i * to_row, from + i * from_row, V * sizeof(float));
  }
}

// Copies a row into scratch of `padded(size)` floats. The padding is cleared: a NaN of the batch
// row and head that used the scratch before may have reached it.
inline void load_row(const float* from, float* to, int64_t size) {
  std::memcpy(to, from, size * sizeof(float));
  std::fill(to + size, to + padded(size), 0.0f);
}

// to[j][i] = from[i][j]; rows of `from_row` and of `to_row` floats.
inline void transpose_matrix(const float* from, int64_t from_row, float* to, int64_t to_row,
                             int64_t K, int64_t V) {
  for (int64_t i = 0; i < K; ++i) {
    for (int64_t j = 0; j < V; ++j) to[j * to_row + i] = from[i * from_row + j];
  }
}

// Runs worker(b, h) for every batch row and head, head by head, over torch's threads. Each
// thread makes one worker, which holds its scratch memory. `work` is the multiply-adds of one
// head, roughly: starting threads costs more than a short call.
template <class F>
void for_each_head(int64_t B, int64_t H, int64_t work, F make_worker) {
  constexpr int64_t WORK_PER_THREAD = 1 << 19;
  const int64_t grain = std::max<int64_t>(1, WORK_PER_THREAD / std::max<int64_t>(work, 1));
  at::parallel_for(0, B * H, grain, [&](int64_t begin, int64_t end) {
    auto worker = make_worker();
    for (int64_t i = begin; i < end; ++i) worker(i % B, i / B);
  });
}

}  // namespace fast_weights
