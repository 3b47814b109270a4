// Delta rule on a CPU: every (batch, head) pair runs its whole sequence on one thread.
// The recurrence and its derivation: README.md in this folder and ../cpu/delta.h.
//
// A step t makes M writes s = M t, ..., M t + M - 1 and then reads once; a start, the decay and a
// cut of the gradient come before the first of them. Checkpoints count writes.
#include <optional>

#include "../cpu/delta.h"

namespace fast_weights {
namespace {

struct Inputs {
  int64_t T, M, B, H, K, V;
  Rows q, k, beta;
  std::optional<Rows> decay;
  Starts start;

  Inputs(const Tensor& q_TBHK, const Tensor& k_SBHK, const Tensor& beta_SBH,
         const std::optional<Tensor>& alpha_TBH, const Tensor& start_TB, int64_t value_size)
      : T(q_TBHK.size(0)),
        M(k_SBHK.size(0) / T),
        B(q_TBHK.size(1)),
        H(q_TBHK.size(2)),
        K(q_TBHK.size(3)),
        V(value_size),
        q(q_TBHK),
        k(k_SBHK),
        beta(beta_SBH),
        start(start_TB) {
    if (alpha_TBH) decay.emplace(*alpha_TBH);
  }

  int64_t num_writes() const { return T * M; }
  bool is_first(int64_t s) const { return s % M == 0; }
  bool is_last(int64_t s) const { return (s + 1) % M == 0; }
  bool starts(int64_t s, int64_t b) const { return is_first(s) && start(s / M, b); }
  float alpha(int64_t s, int64_t b, int64_t h) const {
    return decay && is_first(s) ? decay->scalar(s / M, b, h) : 1.0f;
  }
};

struct Results {
  Tensor y, state, missing, checkpoints;  // missing [S, B, H, padded V] is v - W^T k
};

template <int FK, int FV>
class Forward {
 public:
  Forward(const Inputs& in, const Rows& v, const Tensor& state, const Results& out,
          Width<FK> key, Width<FV> value)
      : in_(in),
        v_(v),
        state_(state),
        out_(out),
        y_(out.y),
        key_(key),
        value_(value),
        scratch_(ForwardState::floats(in.K, in.V) + 2 * key.floats() + 4 * value.floats()),
        w_(in.K, in.V, scratch_),
        q_buffer_(scratch_.take(key.floats())),
        k_buffer_(scratch_.take(key.floats())),
        v_buffer_(scratch_.take(value.floats())),
        y_buffer_(scratch_.take(value.floats())),
        u_buffer_(scratch_.take(value.floats())),
        delta_(scratch_.take(value.floats())) {}

  void operator()(int64_t b, int64_t h) {
    const bool save = out_.missing.size(0) == in_.num_writes();
    float* const w = w_.load(matrix_of(state_, b, h), matrix_of(out_.state, b, h));
    for (int64_t s = 0; s < in_.num_writes(); ++s) {
      if (save && s % CHECKPOINT_STEPS == 0) {
        w_.checkpoint(checkpoint_of(out_.checkpoints, s / CHECKPOINT_STEPS, b, h));
      }
      if (s + PREFETCH_STEPS < in_.num_writes()) prefetch(s + PREFETCH_STEPS, b, h, save);
      if (in_.starts(s, b)) w_.clear();
      step(w, s, b, h, save ? saved_row(out_.missing, s, b, h) : u_buffer_);
    }
    w_.finish();
  }

 private:
  FW_INLINE void prefetch(int64_t s, int64_t b, int64_t h, bool save) const {
    for (const Rows* x : {&in_.k, &v_}) x->prefetch(s, b, h);
    in_.q.prefetch(s / in_.M, b, h);
    y_.prefetch(s / in_.M, b, h);
    if (save) prefetch_saved_row<true>(out_.missing, s, b, h);
  }

  FW_INLINE void step(float* w, int64_t s, int64_t b, int64_t h, float* u) {
    const float* const k = in_.k.row(s, b, h, k_buffer_);
    const float* const v = v_.row(s, b, h, v_buffer_);
    const float beta = in_.beta.scalar(s, b, h), alpha = in_.alpha(s, b, h);
    if (!in_.is_last(s)) return delta_write(w, k, v, beta, alpha, key_, value_, u, delta_);
    const int64_t t = s / in_.M;
    float* const y = y_.begin(t, b, h, y_buffer_);
    delta_step(w, in_.q.row(t, b, h, q_buffer_), k, v, beta, alpha, key_, value_, u, delta_, y);
    y_.finish(t, b, h, y);
  }

  const Inputs& in_;
  const Rows& v_;
  const Tensor& state_;
  const Results& out_;
  OutputRows y_;
  Width<FK> key_;
  Width<FV> value_;
  Scratch scratch_;
  ForwardState w_;
  float *q_buffer_, *k_buffer_, *v_buffer_, *y_buffer_, *u_buffer_, *delta_;
};

std::tuple<Tensor, Tensor, Tensor, Tensor> forward(
    const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& beta,
    const std::optional<Tensor>& alpha, const Tensor& state, const Tensor& start,
    bool /*truncate*/, bool save) {
  const Inputs in(q, k, beta, alpha, start, v.size(3));
  const Rows v_rows(v);
  const Tensor state_in = state.contiguous();
  const Results out{
      at::empty({in.T, in.B, in.H, in.V}, v.options()), at::empty_like(state_in),
      at::empty({save ? in.num_writes() : 0, in.B, in.H, padded(in.V)}, state_in.options()),
      empty_checkpoints(state_in, in.num_writes(), save)};
  with_widths(padded(in.K), padded(in.V), [&](auto key, auto value) {
    for_each_head(in.B, in.H, 3 * in.num_writes() * in.K * in.V, [&] {
      return Forward(in, v_rows, state_in, out, key, value);
    });
  });
  return {out.y, out.state, out.missing, out.checkpoints};
}

struct Gradients {
  Tensor q, k, v, beta, alpha, state;  // alpha [T, B, H, 1], or [0, B, H, 1] without decay
};

template <int FK, int FV>
class Backward {
 public:
  Backward(const Inputs& in, const Rows& dy, const Tensor& dstate, const Tensor& missing,
           const Tensor& checkpoints, bool truncate, const Gradients& out, Width<FK> key,
           Width<FV> value)
      : in_(in),
        dy_(dy),
        dstate_(dstate),
        missing_(missing),
        checkpoints_(checkpoints),
        truncate_(truncate),
        out_(out),
        dq_(out.q),
        dk_(out.k),
        dv_(out.v),
        scratch_(DeltaBackward<FK, FV>::scratch_floats(in.K, in.V) + 5 * key.floats() +
                 3 * value.floats()),
        w_(key, value, scratch_),
        q_buffer_(scratch_.take(key.floats())),
        k_buffer_(scratch_.take(key.floats())),
        dy_buffer_(scratch_.take(value.floats())),
        dq_buffer_(scratch_.take(key.floats())),
        dk_buffer_(scratch_.take(key.floats())),
        dv_buffer_(scratch_.take(value.floats())),
        no_q_(scratch_.take(key.floats())),
        no_dy_(scratch_.take(value.floats())) {}

  void operator()(int64_t b, int64_t h) {
    w_.begin(matrix_of(dstate_, b, h), in_.K, in_.V);
    for_each_segment_backwards(
        in_.num_writes(),
        [&](int64_t segment) {
          w_.load_checkpoint(checkpoint_of(checkpoints_, segment, b, h));
        },
        [&](int64_t s, int i, bool is_last) {
          if (!is_last) {
            in_.k.prefetch(s + 1, b, h);
            prefetch_saved_row(missing_, s + 1, b, h);
          }
          w_.replay(i, in_.starts(s, b), is_last, in_.k.row(s, b, h, k_buffer_),
                    saved_row(missing_, s, b, h), in_.beta.scalar(s, b, h), in_.alpha(s, b, h));
        },
        [&](int64_t s, int i) {
          if (s >= PREFETCH_STEPS) prefetch(s - PREFETCH_STEPS, b, h);
          step(s, i, b, h);
        });
    w_.finish(matrix_of(out_.state, b, h), in_.K, in_.V);
  }

 private:
  FW_INLINE void prefetch(int64_t s, int64_t b, int64_t h) const {
    in_.q.prefetch(s / in_.M, b, h);
    dy_.prefetch(s / in_.M, b, h);
    dq_.prefetch(s / in_.M, b, h);
    for (const OutputRows* x : {&dk_, &dv_}) x->prefetch(s, b, h);
  }

  // A write that no read follows has zeros for q and dy.
  void step(int64_t s, int i, int64_t b, int64_t h) {
    const int64_t t = s / in_.M;
    const bool reads = in_.is_last(s), decays = in_.decay && in_.is_first(s);
    const float* const q = reads ? in_.q.row(t, b, h, q_buffer_) : no_q_;
    const float* const dy = reads ? dy_.row(t, b, h, dy_buffer_) : no_dy_;
    float* const dq = reads ? dq_.begin(t, b, h, dq_buffer_) : dq_buffer_;
    float* const dk = dk_.begin(s, b, h, dk_buffer_);
    float* const dv = dv_.begin(s, b, h, dv_buffer_);
    *saved_row(out_.beta, s, b, h) = w_.step(
        i, q, in_.k.row(s, b, h, k_buffer_), saved_row(missing_, s, b, h),
        in_.beta.scalar(s, b, h), dy, dq, dk, dv, in_.alpha(s, b, h),
        decays ? saved_row(out_.alpha, t, b, h) : nullptr);
    if (reads) dq_.finish(t, b, h, dq);
    dk_.finish(s, b, h, dk);
    dv_.finish(s, b, h, dv);
    if ((truncate_ && in_.is_first(s)) || in_.starts(s, b)) w_.cut();
  }

  const Inputs& in_;
  const Rows& dy_;
  const Tensor& dstate_;
  const Tensor& missing_;
  const Tensor& checkpoints_;
  bool truncate_;
  const Gradients& out_;
  OutputRows dq_, dk_, dv_;
  Scratch scratch_;
  DeltaBackward<FK, FV> w_;
  float *q_buffer_, *k_buffer_, *dy_buffer_, *dq_buffer_, *dk_buffer_, *dv_buffer_;
  float *no_q_, *no_dy_;
};

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> backward(
    const Tensor& dy, const Tensor& dstate, const Tensor& q, const Tensor& k, const Tensor& beta,
    const std::optional<Tensor>& alpha, const Tensor& start, const Tensor& missing,
    const Tensor& checkpoints, bool truncate) {
  const Inputs in(q, k, beta, alpha, start, dy.size(3));
  const Rows dy_rows(dy);
  const Tensor dstate_in = dstate.contiguous();
  const auto rows = [&](int64_t steps, int64_t size) {
    return at::empty({steps, in.B, in.H, size}, dstate_in.options());
  };
  const int64_t S = in.num_writes();
  const Gradients out{rows(in.T, in.K), rows(S, in.K),
                      rows(S, in.V),    rows(S, 1),
                      rows(alpha ? in.T : 0, 1), at::empty_like(dstate_in)};
  with_widths(padded(in.K), padded(in.V), [&](auto key, auto value) {
    for_each_head(in.B, in.H, 8 * S * in.K * in.V, [&] {
      return Backward(in, dy_rows, dstate_in, missing, checkpoints, truncate, out, key, value);
    });
  });
  return {out.q, out.k, out.v, out.beta.squeeze(3), out.alpha.squeeze(3), out.state};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fast_weights, m) {
  m.def(
      "delta_rule(Tensor q, Tensor k, Tensor v, Tensor beta, Tensor? alpha, Tensor state, "
      "Tensor start, bool truncate, bool save) "
      "-> (Tensor y, Tensor state, Tensor missing, Tensor checkpoints)");
  m.def(
      "delta_rule_backward(Tensor dy, Tensor dstate, Tensor q, Tensor k, Tensor beta, "
      "Tensor? alpha, Tensor start, Tensor missing, Tensor checkpoints, bool truncate) "
      "-> (Tensor dq, Tensor dk, Tensor dv, Tensor dbeta, Tensor dalpha, Tensor dstate)");
}

TORCH_LIBRARY_IMPL(fast_weights, CPU, m) {
  m.impl("delta_rule", forward);
  m.impl("delta_rule_backward", backward);
}

}  // namespace fast_weights
