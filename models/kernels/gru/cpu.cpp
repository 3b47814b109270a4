// GRU with resets on a CPU; cpu/gates.h has the loops. Its three gates leave the fourth vector of a
// panel empty.
#include <ATen/ops/mm.h>

#include "../cpu/gates.h"

namespace fast_weights {
namespace {

constexpr int NUM_GATES = 3;  // r, z, n
constexpr int NUM_SAVED = 4;  // r, z, n after their nonlinearity, and what r scales
static_assert(NUM_GATES <= PANEL_VECTORS);

struct Results {
  Tensor h, state_h;
  Tensor activations;  // [T, B, 4 N]
  Tensor previous;     // [T, B, N] h before each step, zero at a start; two steps if not saved
};

class Forward {
 public:
  Forward(const Hidden& hidden, const Results& out, const Tensor& b_hh, bool save)
      : hidden_(hidden),
        activations_(out.activations),
        bias_(b_hh.const_data_ptr<float>()),
        save_(save),
        N_(out.h.size(2)) {}

  // Steps LANES units of a row from `unit`: gates [3 N] and the recurrent sums.
  FW_INLINE void step(int64_t t, int64_t b, int64_t unit, const float* gates,
                      const Vec* sums) const {
    const int64_t size = N_ - unit;
    const auto input = [&](int n) { return load_some(gates + n * N_ + unit, size); };
    const auto product = [&](int n) { return sums[n] + load_some(bias_ + n * N_ + unit, size); };
    const Vec r = sigmoid(input(0) + product(0)), z = sigmoid(input(1) + product(1));
    const Vec scaled = product(2), n = tanh(input(2) + r * scaled);
    hidden_.pass_on(t, b, unit,
                    (1.0f - z) * n + z * load_some(hidden_.previous(t, b) + unit, size));
    if (!save_) return;
    float* const activations = activations_(t, b) + unit;
    const Vec all[NUM_SAVED] = {r, z, n, scaled};
    for (int i = 0; i < NUM_SAVED; ++i) store_some(activations + i * N_, all[i], size);
  }

 private:
  const Hidden hidden_;
  const StepRows activations_;
  const float* bias_;
  bool save_;
  int64_t N_;
};

void run_blas(const Forward& forward, const Tensor& gates, const Tensor& w_hh,
              const Tensor& previous) {
  const int64_t T = gates.size(0), N = w_hh.size(1);
  const StepRows inputs(gates);
  for (int64_t t = 0; t < T; ++t) {
    const Tensor products = at::mm(previous[t % previous.size(0)], w_hh.t());
    for_rows(gates.size(1), 32 * N, [&](int64_t begin, int64_t end) {
      for (int64_t b = begin; b < end; ++b) {
        const float* const row = products.const_data_ptr<float>() + b * NUM_GATES * N;
        for (int64_t unit = 0; unit < N; unit += LANES) {
          Vec sums[NUM_GATES];
          for (int n = 0; n < NUM_GATES; ++n) sums[n] = load_some(row + n * N + unit, N - unit);
          forward.step(t, b, unit, inputs(t, b), sums);
        }
      }
    });
  }
}

std::tuple<Tensor, Tensor, Tensor, Tensor> forward(const Tensor& gates, const Tensor& w_hh,
                                                   const Tensor& b_hh, const Tensor& state_h,
                                                   const Tensor& start, bool /*truncate*/,
                                                   bool save) {
  const int64_t T = gates.size(0), B = gates.size(1), N = w_hh.size(1), kept = save ? T : 0;
  const Tensor inputs = as_float_rows(gates), w = w_hh.to(at::kFloat).contiguous();
  const Tensor bias = b_hh.to(at::kFloat).contiguous();
  const auto like = state_h.options();
  const Results out{at::empty({T, B, N}, like), state_h.clone(at::MemoryFormat::Contiguous),
                    at::empty({kept, B, NUM_SAVED * N}, like),
                    at::empty({save ? T : 2, B, N}, like)};
  const Starts starts(start);
  const Hidden hidden(starts, out.h, out.previous);
  const Forward rows(hidden, out, bias, save);
  hidden.begin(out.state_h);
  if (T >= MIN_STEPS_TO_PACK) {
    run_packed(rows, hidden, inputs, w);
  } else {
    run_blas(rows, inputs, w, out.previous);
  }
  hidden.finish(out.state_h);
  return {out.h.to(gates.scalar_type()), out.state_h, out.activations,
          save ? out.previous : at::empty({0, B, N}, like)};
}

class Backward {
 public:
  Backward(const Tensor& dh, const Tensor& activations, const Tensor& previous,
           const Tensor& dgates, const Tensor& dproducts, const Tensor& carry_h)
      : dh_(dh),
        activations_(activations),
        previous_(previous),
        dgates_(dgates),
        dproducts_(dproducts),
        carry_h_(carry_h.mutable_data_ptr<float>()),
        N_(dh.size(2)) {}

  // The gradients of gates and products of row b, and what reaches the h before through z alone.
  void step(int64_t t, int64_t b, bool cut) const {
    float* const carry_h = carry_h_ + b * N_;
    const float* const activations = activations_(t, b);
    for (int64_t unit = 0; unit < N_; unit += LANES) {
      const int64_t size = N_ - unit;
      const auto saved = [&](int i) { return load_some(activations + i * N_ + unit, size); };
      const Vec r = saved(0), z = saved(1), n = saved(2), scaled = saved(3);
      const Vec before = load_some(previous_(t, b) + unit, size);
      const Vec dh = load_some(dh_(t, b) + unit, size) + load_some(carry_h + unit, size);
      const Vec dn = dh * (1.0f - z) * (1.0f - n * n);
      const Vec dr = dn * scaled * r * (1.0f - r), dz = dh * (before - n) * z * (1.0f - z);
      const Vec of_gates[NUM_GATES] = {dr, dz, dn}, of_products[NUM_GATES] = {dr, dz, dn * r};
      for (int i = 0; i < NUM_GATES; ++i) {
        store_some(dgates_(t, b) + i * N_ + unit, of_gates[i], size);
        store_some(dproducts_(t, b) + i * N_ + unit, of_products[i], size);
      }
      store_some(carry_h + unit, cut ? Vec{} : dh * z, size);
    }
  }

  FW_INLINE void carry(int64_t b, int64_t unit, Vec dh) const {
    float* const to = carry_h_ + b * N_ + unit;
    store_some(to, load_some(to, N_ - unit) + dh, N_ - unit);
  }

 private:
  const StepRows dh_, activations_, previous_, dgates_, dproducts_;
  float* carry_h_;
  int64_t N_;
};

std::tuple<Tensor, Tensor, Tensor, Tensor> backward(const Tensor& dh, const Tensor& dstate_h,
                                                    const Tensor& w_hh, const Tensor& start,
                                                    const Tensor& activations,
                                                    const Tensor& previous, bool truncate) {
  const int64_t T = dh.size(0), B = dh.size(1), N = dh.size(2);
  const Tensor dh_rows = as_float_rows(dh), w = w_hh.to(at::kFloat).contiguous();
  const Tensor dgates = at::empty({T, B, NUM_GATES * N}, previous.options());
  const Tensor dproducts = at::empty_like(dgates);
  const Tensor carry_h = dstate_h.clone(at::MemoryFormat::Contiguous);
  const Starts starts(start);
  const Backward rows(dh_rows, activations, previous, dgates, dproducts, carry_h);
  run_backward(rows, starts, dproducts, w, truncate);
  const Tensor all = dproducts.view({T * B, NUM_GATES * N});
  return {dgates, at::mm(all.t(), previous.view({T * B, N})), all.sum(0), carry_h};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fast_weights, m) {
  m.def(
      "gru(Tensor gates, Tensor w_hh, Tensor b_hh, Tensor state_h, Tensor start, bool truncate, "
      "bool save) -> (Tensor h, Tensor state_h, Tensor activations, Tensor previous)");
  m.def(
      "gru_backward(Tensor dh, Tensor dstate_h, Tensor w_hh, Tensor start, Tensor activations, "
      "Tensor previous, bool truncate) "
      "-> (Tensor dgates, Tensor dw_hh, Tensor db_hh, Tensor dstate_h)");
}

TORCH_LIBRARY_IMPL(fast_weights, CPU, m) {
  m.impl("gru", forward);
  m.impl("gru_backward", backward);
}

}  // namespace fast_weights
