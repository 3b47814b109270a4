// LSTM with resets on a CPU: every thread runs the whole sequence for its rows of the batch.
//
// The recurrent matrix is packed once per call: forward into panels that hold the four gates of
// LANES units, so that a tile of sums is all that those units need to step; backward into panels
// of columns. A call too short to repay that steps a BLAS product instead.
#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

#include "../cpu/layout.h"
#include "../cpu/panel.h"

namespace fast_weights {
namespace {

constexpr int64_t MIN_STEPS_TO_PACK = 4;
constexpr int NUM_GATES = 4;  // i, f, g, o
static_assert(NUM_GATES == PANEL_VECTORS);

int64_t divide_up(int64_t x, int64_t y) { return (x + y - 1) / y; }

// Element (t, b, 0) of a [T, B, size] tensor with a contiguous last dimension.
float* at(const Tensor& x, int64_t t, int64_t b) {
  return x.mutable_data_ptr<float>() + t * x.stride(0) + b * x.stride(1);
}

// Runs f(begin, end) over the rows of the batch on torch's threads.
template <class F>
void for_rows(int64_t B, int64_t work, F f) {
  constexpr int64_t WORK_PER_THREAD = 1 << 17;
  at::parallel_for(0, B, std::max<int64_t>(1, WORK_PER_THREAD / std::max<int64_t>(work, 1)), f);
}

// [units / LANES] panels of [N, gate, lane] from w_hh [4 N, N]; absent units are zero.
Tensor pack_gates(const Tensor& w_hh) {
  const int64_t N = w_hh.size(1), num_panels = divide_up(N, LANES);
  const Tensor packed = at::empty({num_panels, N, PANEL}, w_hh.options());
  const float* const from = w_hh.const_data_ptr<float>();
  float* const to = packed.mutable_data_ptr<float>();
  constexpr int64_t LINE = 16;  // floats of a cache line: read once, written down 16 rows
  at::parallel_for(0, num_panels, 1, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      for (int64_t line = 0; line < N; line += LINE) {
        for (int column = 0; column < PANEL; ++column) {
          const int64_t unit = panel * LANES + column % LANES;
          const float* const row = from + (column / LANES * N + unit) * N;
          for (int64_t n = line; n < std::min(N, line + LINE); ++n) {
            to[(panel * N + n) * PANEL + column] = unit < N ? row[n] : 0.0f;
          }
        }
      }
    }
  });
  return packed;
}

// [N / PANEL] panels of [4 N, column] from w_hh [4 N, N]; absent columns are zero.
Tensor pack_columns(const Tensor& w_hh) {
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

struct Results {
  Tensor h, state_h, state_c;
  Tensor activations;  // [T, B, 4 N] the gates after sigmoid and tanh
  Tensor cells;        // [T, B, N] c after each step
  Tensor previous;     // [T, B, N] h before each step, zero at a start; two steps if not saved
};

class Forward {
 public:
  Forward(const Starts& start, const Results& out, bool save)
      : start_(start), out_(out), save_(save), T_(out.h.size(0)), N_(out.h.size(2)) {}

  float* previous(int64_t t, int64_t b) const { return at(out_.previous, save_ ? t : t % 2, b); }

  void begin(const Tensor& state_h, int64_t b) const {
    if (T_ == 0) return;
    const float* const from = state_h.const_data_ptr<float>() + b * N_;
    for (int64_t n = 0; n < N_; ++n) previous(0, b)[n] = start_(0, b) ? 0.0f : from[n];
  }

  void finish(int64_t b) const {
    if (T_ == 0) return;
    std::memcpy(out_.state_h.mutable_data_ptr<float>() + b * N_, at(out_.h, T_ - 1, b),
                N_ * sizeof(float));
  }

  // Steps LANES units of a row from `unit`: gates [4 N] plus the recurrent sums.
  FW_INLINE void step(int64_t t, int64_t b, int64_t unit, const float* gates,
                      const Vec* sums) const {
    const int64_t size = N_ - unit;
    const auto gate = [&](int n) { return load_some(gates + n * N_ + unit, size) + sums[n]; };
    const Vec i = sigmoid(gate(0)), f = sigmoid(gate(1)), g = tanh(gate(2)), o = sigmoid(gate(3));
    float* const state = out_.state_c.mutable_data_ptr<float>() + b * N_ + unit;
    const Vec c = f * (start_(t, b) ? Vec{} : load_some(state, size)) + i * g;
    const Vec h = o * tanh(c);
    store_some(state, c, size);
    store_some(at(out_.h, t, b) + unit, h, size);
    if (t + 1 < T_) {
      store_some(previous(t + 1, b) + unit, start_(t + 1, b) ? Vec{} : h, size);
    }
    if (!save_) return;
    store_some(at(out_.cells, t, b) + unit, c, size);
    float* const activations = at(out_.activations, t, b) + unit;
    const Vec all[NUM_GATES] = {i, f, g, o};
    for (int n = 0; n < NUM_GATES; ++n) store_some(activations + n * N_, all[n], size);
  }

 private:
  const Starts& start_;
  const Results& out_;
  bool save_;
  int64_t T_, N_;
};

void run_packed(const Forward& forward, const Tensor& gates, const Tensor& w_hh) {
  const int64_t T = gates.size(0), N = w_hh.size(1);
  const Tensor packed = pack_gates(w_hh);
  const float* const panels = packed.const_data_ptr<float>();
  for_rows(gates.size(1), NUM_GATES * T * N * N, [&](int64_t begin, int64_t end) {
    for (int64_t t = 0; t < T; ++t) {
      for (int64_t unit = 0; unit < N; unit += LANES) {
        for_each_tile(begin, end, [&](auto tile, int64_t first) {
          tile.multiply(forward.previous(t, first), N, panels + unit / LANES * N * PANEL, N);
          int64_t b = first;
          for (const auto& sums : tile.sums) {
            forward.step(t, b, unit, at(gates, t, b), sums);
            ++b;
          }
        });
      }
    }
  });
}

void run_blas(const Forward& forward, const Tensor& gates, const Tensor& w_hh,
              const Tensor& previous) {
  const int64_t T = gates.size(0), N = w_hh.size(1);
  const Vec none[NUM_GATES] = {};
  for (int64_t t = 0; t < T; ++t) {
    const Tensor sums = at::addmm(gates[t], previous[t % previous.size(0)], w_hh.t());
    for_rows(gates.size(1), 32 * N, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const float* const row = sums.const_data_ptr<float>() + b * NUM_GATES * N;
        for (int64_t unit = 0; unit < N; unit += LANES) forward.step(t, b, unit, row, none);
      }
    });
  }
}

Tensor as_float_rows(const Tensor& x) {
  const Tensor y = x.to(at::kFloat);
  return y.stride(-1) == 1 ? y : y.contiguous();
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> forward(
    const Tensor& gates, const Tensor& w_hh, const Tensor& state_h, const Tensor& state_c,
    const Tensor& start, bool /*truncate*/, bool save) {
  const int64_t T = gates.size(0), B = gates.size(1), N = w_hh.size(1), kept = save ? T : 0;
  const Tensor inputs = as_float_rows(gates), w = w_hh.to(at::kFloat).contiguous();
  const Tensor h_in = state_h.contiguous();
  const auto like = h_in.options();
  const Results out{at::empty({T, B, N}, like),
                    h_in.clone(),
                    state_c.clone(at::MemoryFormat::Contiguous),
                    at::empty({kept, B, NUM_GATES * N}, like),
                    at::empty({kept, B, N}, like),
                    at::empty({save ? T : 2, B, N}, like)};
  const Starts starts(start);
  const Forward rows(starts, out, save);
  for (int64_t b = 0; b < B; ++b) rows.begin(h_in, b);
  if (T >= MIN_STEPS_TO_PACK) {
    run_packed(rows, inputs, w);
  } else {
    run_blas(rows, inputs, w, out.previous);
  }
  for (int64_t b = 0; b < B; ++b) rows.finish(b);
  return {out.h.to(gates.scalar_type()), out.state_h, out.state_c, out.activations, out.cells,
          save ? out.previous : at::empty({0, B, N}, like)};
}

struct Saved {
  Tensor activations, cells, state_c;
};

class Backward {
 public:
  Backward(const Tensor& dh, const Saved& saved, const Starts& start, const Tensor& dgates,
           const Tensor& carry_h, const Tensor& carry_c)
      : dh_(dh),
        saved_(saved),
        start_(start),
        dgates_(dgates),
        carry_h_(carry_h),
        carry_c_(carry_c),
        N_(dh.size(2)) {}

  // The gradient before the gates of row b, and that of the cell before this step.
  void step(int64_t t, int64_t b, bool cut) const {
    float* const carry_h = carry_h_.mutable_data_ptr<float>() + b * N_;
    float* const carry_c = carry_c_.mutable_data_ptr<float>() + b * N_;
    const float* const dh_row = at(dh_, t, b);
    const float* const cells = at(saved_.cells, t, b);
    const float* const cells_before =
        t > 0 ? at(saved_.cells, t - 1, b) : saved_.state_c.const_data_ptr<float>() + b * N_;
    const float* const activations = at(saved_.activations, t, b);
    float* const dgates = at(dgates_, t, b);
    for (int64_t unit = 0; unit < N_; unit += LANES) {
      const int64_t size = N_ - unit;
      const auto gate = [&](int n) { return load_some(activations + n * N_ + unit, size); };
      const Vec i = gate(0), f = gate(1), g = gate(2), o = gate(3);
      const Vec before = start_(t, b) ? Vec{} : load_some(cells_before + unit, size);
      const Vec squashed = tanh(load_some(cells + unit, size));
      const Vec dh = load_some(dh_row + unit, size) + load_some(carry_h + unit, size);
      const Vec dc =
          load_some(carry_c + unit, size) + dh * o * (1.0f - squashed * squashed);
      const Vec all[NUM_GATES] = {dc * g * i * (1.0f - i), dc * before * f * (1.0f - f),
                                  dc * i * (1.0f - g * g), dh * squashed * o * (1.0f - o)};
      for (int n = 0; n < NUM_GATES; ++n) store_some(dgates + n * N_ + unit, all[n], size);
      store_some(carry_c + unit, cut ? Vec{} : dc * f, size);
    }
  }

  // The gradient of h before this step, for a tile of rows: dgates times one panel of w_hh.
  template <int ROWS>
  FW_INLINE void carry(Tile<ROWS> tile, int64_t t, int64_t first, int64_t panel,
                       const float* columns, bool truncate) const {
    tile.multiply(at(dgates_, t, first), NUM_GATES * N_, columns, NUM_GATES * N_);
    int64_t b = first;
    for (const auto& sums : tile.sums) {
      const bool cut = truncate || start_(t, b);
      float* const to = carry_h_.mutable_data_ptr<float>() + b * N_;
      for (int c = 0; c < PANEL_VECTORS; ++c) {
        const int64_t unit = panel * PANEL + c * LANES;
        if (unit < N_) store_some(to + unit, cut ? Vec{} : sums[c], N_ - unit);
      }
      ++b;
    }
  }

 private:
  const Tensor& dh_;
  const Saved& saved_;
  const Starts& start_;
  const Tensor& dgates_;
  const Tensor& carry_h_;
  const Tensor& carry_c_;
  int64_t N_;
};

void run_backward(const Backward& rows, const Starts& start, const Tensor& packed, int64_t T,
                  int64_t B, bool truncate) {
  const float* const panels = packed.const_data_ptr<float>();
  const int64_t num_panels = packed.size(0), panel_floats = packed.size(1) * PANEL;
  for_rows(B, T * num_panels * panel_floats, [&](int64_t begin, int64_t end) {
    for (int64_t t = T - 1; t >= 0; --t) {
      for (int64_t b = begin; b < end; ++b) rows.step(t, b, truncate || start(t, b));
      for (int64_t panel = 0; panel < num_panels; ++panel) {
        for_each_tile(begin, end, [&](auto tile, int64_t first) {
          rows.carry(tile, t, first, panel, panels + panel * panel_floats, truncate);
        });
      }
    }
  });
}

std::tuple<Tensor, Tensor, Tensor, Tensor> backward(
    const Tensor& dh, const Tensor& dstate_h, const Tensor& dstate_c, const Tensor& w_hh,
    const Tensor& state_c, const Tensor& start, const Tensor& activations, const Tensor& cells,
    const Tensor& previous, bool truncate) {
  const int64_t T = dh.size(0), B = dh.size(1), N = dh.size(2);
  const Tensor dh_rows = as_float_rows(dh), w = w_hh.to(at::kFloat).contiguous();
  const Saved saved{activations, cells, state_c.contiguous()};
  const Tensor dgates = at::empty_like(activations);
  const Tensor carry_h = dstate_h.clone(at::MemoryFormat::Contiguous);
  const Tensor carry_c = dstate_c.clone(at::MemoryFormat::Contiguous);
  const Starts starts(start);
  const Backward rows(dh_rows, saved, starts, dgates, carry_h, carry_c);
  run_backward(rows, starts, pack_columns(w), T, B, truncate);
  const Tensor dw = at::mm(dgates.view({T * B, NUM_GATES * N}).t(), previous.view({T * B, N}));
  return {dgates, dw, carry_h, carry_c};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fast_weights, m) {
  m.def(
      "lstm(Tensor gates, Tensor w_hh, Tensor state_h, Tensor state_c, Tensor start, "
      "bool truncate, bool save) -> (Tensor h, Tensor state_h, Tensor state_c, "
      "Tensor activations, Tensor cells, Tensor previous)");
  m.def(
      "lstm_backward(Tensor dh, Tensor dstate_h, Tensor dstate_c, Tensor w_hh, Tensor state_c, "
      "Tensor start, Tensor activations, Tensor cells, Tensor previous, bool truncate) "
      "-> (Tensor dgates, Tensor dw_hh, Tensor dstate_h, Tensor dstate_c)");
}

TORCH_LIBRARY_IMPL(fast_weights, CPU, m) {
  m.impl("lstm", forward);
  m.impl("lstm_backward", backward);
}

}  // namespace fast_weights
