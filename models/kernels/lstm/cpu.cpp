// LSTM with resets on a CPU; cpu/gates.h has the loops.
#include <ATen/ops/addmm.h>
#include <ATen/ops/mm.h>

#include "../cpu/gates.h"

namespace fast_weights {
namespace {

constexpr int NUM_GATES = 4;  // i, f, g, o
static_assert(NUM_GATES == PANEL_VECTORS);

struct Results {
  Tensor h, state_h, state_c;
  Tensor activations;  // [T, B, 4 N] the gates after sigmoid and tanh
  Tensor cells;        // [T, B, N] c after each step
  Tensor previous;     // [T, B, N] h before each step, zero at a start; two steps if not saved
};

class Forward {
 public:
  Forward(const Starts& start, const Hidden& hidden, const Results& out, bool save)
      : start_(start),
        hidden_(hidden),
        state_c_(out.state_c.mutable_data_ptr<float>()),
        activations_(out.activations),
        cells_(out.cells),
        save_(save),
        N_(out.h.size(2)) {}

  // Steps LANES units of a row from `unit`: gates [4 N] plus the recurrent sums.
  FW_INLINE void step(int64_t t, int64_t b, int64_t unit, const float* gates,
                      const Vec* sums) const {
    const int64_t size = N_ - unit;
    const auto gate = [&](int n) { return load_some(gates + n * N_ + unit, size) + sums[n]; };
    const Vec i = sigmoid(gate(0)), f = sigmoid(gate(1)), g = tanh(gate(2)), o = sigmoid(gate(3));
    float* const state = state_c_ + b * N_ + unit;
    const Vec c = f * (start_(t, b) ? Vec{} : load_some(state, size)) + i * g;
    const Vec h = o * tanh(c);
    store_some(state, c, size);
    hidden_.pass_on(t, b, unit, h);
    if (!save_) return;
    store_some(cells_(t, b) + unit, c, size);
    float* const activations = activations_(t, b) + unit;
    const Vec all[NUM_GATES] = {i, f, g, o};
    for (int n = 0; n < NUM_GATES; ++n) store_some(activations + n * N_, all[n], size);
  }

 private:
  const Starts start_;
  const Hidden hidden_;
  float* state_c_;
  const StepRows activations_, cells_;
  bool save_;
  int64_t N_;
};

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

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> forward(
    const Tensor& gates, const Tensor& w_hh, const Tensor& state_h, const Tensor& state_c,
    const Tensor& start, bool /*truncate*/, bool save) {
  const int64_t T = gates.size(0), B = gates.size(1), N = w_hh.size(1), kept = save ? T : 0;
  const Tensor inputs = as_float_rows(gates), w = w_hh.to(at::kFloat).contiguous();
  const auto like = state_h.options();
  const Results out{at::empty({T, B, N}, like),
                    state_h.clone(at::MemoryFormat::Contiguous),
                    state_c.clone(at::MemoryFormat::Contiguous),
                    at::empty({kept, B, NUM_GATES * N}, like),
                    at::empty({kept, B, N}, like),
                    at::empty({save ? T : 2, B, N}, like)};
  const Starts starts(start);
  const Hidden hidden(starts, out.h, out.previous);
  const Forward rows(starts, hidden, out, save);
  hidden.begin(out.state_h);
  if (T >= MIN_STEPS_TO_PACK) {
    run_packed(rows, hidden, inputs, w);
  } else {
    run_blas(rows, inputs, w, out.previous);
  }
  hidden.finish(out.state_h);
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
        activations_(saved.activations),
        cells_(saved.cells),
        state_c_(saved.state_c.const_data_ptr<float>()),
        start_(start),
        dgates_(dgates),
        carry_h_(carry_h.mutable_data_ptr<float>()),
        carry_c_(carry_c.mutable_data_ptr<float>()),
        N_(dh.size(2)) {}

  // The gradient before the gates of row b, and that of the cell before this step.
  void step(int64_t t, int64_t b, bool cut) const {
    float* const carry_h = carry_h_ + b * N_;
    float* const carry_c = carry_c_ + b * N_;
    const float* const dh_row = dh_(t, b);
    const float* const cells = cells_(t, b);
    const float* const cells_before = t > 0 ? cells_(t - 1, b) : state_c_ + b * N_;
    const float* const activations = activations_(t, b);
    float* const dgates = dgates_(t, b);
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

  FW_INLINE void carry(int64_t b, int64_t unit, Vec dh) const {
    store_some(carry_h_ + b * N_ + unit, dh, N_ - unit);
  }

 private:
  const StepRows dh_, activations_, cells_;
  const float* state_c_;
  const Starts start_;
  const StepRows dgates_;
  float *carry_h_, *carry_c_;
  int64_t N_;
};

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
  run_backward(rows, starts, dgates, w, truncate);
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
