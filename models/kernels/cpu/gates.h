// What gated recurrences share (LSTM, GRU): every thread runs the whole sequence for its rows of
// the batch, and the recurrent matrix is packed once per call.
//
// Forward it lies in panels that hold the gates of LANES units, so that a tile of sums is all that
// those units need to step; backward in panels of columns.
#pragma once

#include "layout.h"
#include "panel.h"

namespace fast_weights {

constexpr int64_t MIN_STEPS_TO_PACK = 4;  // a shorter call steps a BLAS product instead

inline int64_t divide_up(int64_t x, int64_t y) { return (x + y - 1) / y; }

// The rows of a [T, B, size] tensor with a contiguous last dimension. A tensor is asked for its
// memory once: a step reads and writes half a dozen rows.
class StepRows {
 public:
  explicit StepRows(const Tensor& x)
      : data_(x.mutable_data_ptr<float>()), step_(x.stride(0)), row_(x.stride(1)) {}

  FW_INLINE float* operator()(int64_t t, int64_t b) const { return data_ + t * step_ + b * row_; }

 private:
  float* data_;
  int64_t step_, row_;
};

inline Tensor as_float_rows(const Tensor& x) {
  const Tensor y = x.to(at::kFloat);
  return y.stride(-1) == 1 ? y : y.contiguous();
}

// Runs f(begin, end) over the rows of the batch on torch's threads.
template <class F>
void for_rows(int64_t B, int64_t work, F f) {
  constexpr int64_t WORK_PER_THREAD = 1 << 17;
  at::parallel_for(0, B, std::max<int64_t>(1, WORK_PER_THREAD / std::max<int64_t>(work, 1)), f);
}

// [units / LANES] panels of [N, gate, lane] from w_hh [gates * N, N], of at most PANEL_VECTORS
// gates; absent gates and units are zero.
inline Tensor pack_gates(const Tensor& w_hh) {
  const int64_t N = w_hh.size(1), num_gates = w_hh.size(0) / N, num_panels = divide_up(N, LANES);
  const Tensor packed = at::empty({num_panels, N, PANEL}, w_hh.options());
  const float* const from = w_hh.const_data_ptr<float>();
  float* const to = packed.mutable_data_ptr<float>();
  constexpr int64_t LINE = 16;  // floats of a cache line: read once, written down 16 rows
  at::parallel_for(0, num_panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      for (int64_t line = 0; line < N; line += LINE) {
        for (int column = 0; column < PANEL; ++column) {
          const int64_t unit = panel * LANES + column % LANES, gate = column / LANES;
          const bool is_there = unit < N && gate < num_gates;
          const float* const row = from + (gate * N + unit) * N;
          for (int64_t n = line; n < std::min(N, line + LINE); ++n) {
            to[(panel * N + n) * PANEL + column] = is_there ? row[n] : 0.0f;
          }
        }
      }
    }
  });
  return packed;
}

// [N / PANEL] panels of [rows, column] from w_hh [rows, N]; absent columns are zero.
inline Tensor pack_columns(const Tensor& w_hh) {
  const int64_t rows = w_hh.size(0), N = w_hh.size(1), num_panels = divide_up(N, PANEL);
  const Tensor packed = at::empty({num_panels, rows, PANEL}, w_hh.options());
  const float* const from = w_hh.const_data_ptr<float>();
  at::parallel_for(0, num_panels * rows, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i / rows * PANEL, size = std::min<int64_t>(PANEL, N - first);
      float* const to = packed.mutable_data_ptr<float>() + i * PANEL;
      std::memset(to, 0, PANEL * sizeof(float));
      std::memcpy(to, from + i % rows * N + first, size * sizeof(float));
    }
  });
  return packed;
}

// h on its way through the steps: the output of each, and what enters the next, zero at a start.
class Hidden {
 public:
  // h [T, B, N]; previous [T, B, N], or two steps that take turns where nothing is kept.
  Hidden(const Starts& start, const Tensor& h, const Tensor& previous)
      : start_(start),
        h_(h),
        previous_(previous),
        is_kept_(previous.size(0) == h.size(0)),
        T_(h.size(0)),
        B_(h.size(1)),
        N_(h.size(2)) {}

  FW_INLINE float* previous(int64_t t, int64_t b) const {
    return previous_(is_kept_ ? t : t % 2, b);
  }

  void begin(const Tensor& state_h) const {
    for (int64_t b = 0; T_ > 0 && b < B_; ++b) {
      const float* const from = state_h.const_data_ptr<float>() + b * N_;
      for (int64_t n = 0; n < N_; ++n) previous(0, b)[n] = start_(0, b) ? 0.0f : from[n];
    }
  }

  void finish(const Tensor& state_h) const {
    if (T_ > 0) {
      std::memcpy(state_h.mutable_data_ptr<float>(), h_(T_ - 1, 0),
                  state_h.numel() * sizeof(float));
    }
  }

  FW_INLINE void pass_on(int64_t t, int64_t b, int64_t unit, Vec h) const {
    const int64_t size = N_ - unit;
    store_some(h_(t, b) + unit, h, size);
    if (t + 1 < T_) {
      store_some(previous(t + 1, b) + unit, start_(t + 1, b) ? Vec{} : h, size);
    }
  }

 private:
  const Starts start_;
  const StepRows h_, previous_;
  bool is_kept_;
  int64_t T_, B_, N_;
};

// Calls forward.step(t, b, unit, gates, sums) for every LANES units of every step and row: gates
// are those of row b from unit 0, sums the products with w_hh of each gate of these units.
template <class Forward>
void run_packed(const Forward& forward, const Hidden& hidden, const Tensor& gates,
                const Tensor& w_hh) {
  const int64_t T = gates.size(0), N = w_hh.size(1);
  const Tensor packed = pack_gates(w_hh);
  const float* const panels = packed.const_data_ptr<float>();
  const StepRows inputs(gates);
  for_rows(gates.size(1), T * w_hh.numel(), [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < T; ++t) {
      for (int64_t unit = 0; unit < N; unit += LANES) {
        for_each_tile(begin, end, [&](auto tile, int64_t first) {
          tile.multiply(hidden.previous(t, first), N, panels + unit / LANES * N * PANEL, N);
          int64_t b = first;
          for (const auto& sums : tile.sums) {
            forward.step(t, b, unit, inputs(t, b), sums);
            ++b;
          }
        });
      }
    }
  });
}

// Walks back. backward.step(t, b, cut) writes a row of `products` [T, B, rows of w_hh], the
// gradient of the products with w_hh; backward.carry(b, unit, dh) takes what of it reaches the h
// before, zero where it is cut off.
template <class Backward>
void run_backward(const Backward& backward, const Starts& start, const Tensor& products,
                  const Tensor& w_hh, bool truncate) {
  const int64_t T = products.size(0), B = products.size(1), height = products.size(2);
  const Tensor packed = pack_columns(w_hh);
  const int64_t N = w_hh.size(1), num_panels = packed.size(0);
  const float* const panels = packed.const_data_ptr<float>();
  const StepRows factors(products);
  const auto cut = [&](int64_t t, int64_t b) { return truncate || start(t, b); };
  for_rows(B, T * packed.numel(), [&](int64_t begin, int64_t end) {
    for (int64_t t = T - 1; t >= 0; --t) {
      for (int64_t b = begin; b < end; ++b) backward.step(t, b, cut(t, b));
      for (int64_t panel = 0; panel < num_panels; ++panel) {
        for_each_tile(begin, end, [&](auto tile, int64_t first) {
          tile.multiply(factors(t, first), height, panels + panel * height * PANEL, height);
          int64_t b = first;
          for (const auto& sums : tile.sums) {
            for (int c = 0; c < PANEL_VECTORS; ++c) {
              const int64_t unit = panel * PANEL + c * LANES;
              if (unit < N) backward.carry(b, unit, cut(t, b) ? Vec{} : sums[c]);
            }
            ++b;
          }
        });
      }
    }
  });
}

}  // namespace fast_weights
