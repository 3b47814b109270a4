// Delta rule on a CPU: every (batch, head) pair runs its whole sequence on one thread.
// The recurrence and its derivation: README.md in this folder and ../cpu/delta.h.
#include "../cpu/delta.h"

namespace fast_weights {
namespace {

struct Inputs {
  int64_t T, B, H, K, V;
  Rows q, k, beta;
  Starts start;

  Inputs(const Tensor& q_TBHK, const Tensor& k_TBHK, const Tensor& beta_TBH,
         const Tensor& start_TB, int64_t value_size)
      : T(q_TBHK.size(0)),
        B(q_TBHK.size(1)),
        H(q_TBHK.size(2)),
        K(q_TBHK.size(3)),
        V(value_size),
        q(q_TBHK, 4),
        k(k_TBHK, 4),
        beta(beta_TBH, 3),
        start(start_TB) {}
};

struct Results {
  Tensor y, state, missing, checkpoints;  // missing [T, B, H, padded V] is v - W^T k
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
    const bool save = out_.missing.size(0) == in_.T;
    float* const w = w_.load(matrix_of(state_, b, h), matrix_of(out_.state, b, h));
    for (int64_t t = 0; t < in_.T; ++t) {
      if (save && t % CHECKPOINT_STEPS == 0) {
        w_.checkpoint(checkpoint_of(out_.checkpoints, t / CHECKPOINT_STEPS, b, h));
      }
      if (t + PREFETCH_STEPS < in_.T) prefetch(t + PREFETCH_STEPS, b, h, save);
      if (in_.start(t, b)) w_.clear();
      float* const y = y_.begin(t, b, h, y_buffer_);
      float* const u = save ? saved_row(out_.missing, t, b, h) : u_buffer_;
      delta_step(w, in_.q.row(t, b, h, q_buffer_), in_.k.row(t, b, h, k_buffer_),
                 v_.row(t, b, h, v_buffer_), in_.beta.scalar(t, b, h), key_, value_, u, delta_, y);
      y_.finish(t, b, h, y);
    }
    w_.finish();
  }

 private:
  FW_INLINE void prefetch(int64_t t, int64_t b, int64_t h, bool save) const {
    for (const Rows* x : {&in_.q, &in_.k, &v_}) x->prefetch(t, b, h);
    y_.prefetch(t, b, h);
    if (save) prefetch_saved_row<true>(out_.missing, t, b, h);
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

std::tuple<Tensor, Tensor, Tensor, Tensor> forward(const Tensor& q, const Tensor& k,
                                                   const Tensor& v, const Tensor& beta,
                                                   const Tensor& state, const Tensor& start,
                                                   bool /*truncate*/, bool save) {
  const Inputs in(q, k, beta, start, v.size(3));
  const Rows v_rows(v, 4);
  const Tensor state_in = state.contiguous();
  const Results out{at::empty({in.T, in.B, in.H, in.V}, v.options()), at::empty_like(state_in),
                    at::empty({save ? in.T : 0, in.B, in.H, padded(in.V)}, state_in.options()),
                    empty_checkpoints(state_in, in.T, save)};
  with_widths(padded(in.K), padded(in.V), [&](auto key, auto value) {
    for_each_head(in.B, in.H, 3 * in.T * in.K * in.V, [&] {
      return Forward(in, v_rows, state_in, out, key, value);
    });
  });
  return {out.y, out.state, out.missing, out.checkpoints};
}

struct Gradients {
  Tensor q, k, v, beta, state;
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
        scratch_(DeltaBackward<FK, FV>::scratch_floats(in.K, in.V) + 4 * key.floats() +
                 2 * value.floats()),
        w_(key, value, scratch_),
        q_buffer_(scratch_.take(key.floats())),
        k_buffer_(scratch_.take(key.floats())),
        dy_buffer_(scratch_.take(value.floats())),
        dq_buffer_(scratch_.take(key.floats())),
        dk_buffer_(scratch_.take(key.floats())),
        dv_buffer_(scratch_.take(value.floats())) {}

  void operator()(int64_t b, int64_t h) {
    w_.begin(matrix_of(dstate_, b, h), in_.K, in_.V);
    for_each_segment_backwards(
        in_.T,
        [&](int64_t segment) {
          w_.load_checkpoint(checkpoint_of(checkpoints_, segment, b, h));
        },
        [&](int64_t t, int i, bool is_last) {
          if (!is_last) {
            in_.k.prefetch(t + 1, b, h);
            prefetch_saved_row(missing_, t + 1, b, h);
          }
          w_.replay(i, in_.start(t, b), is_last, in_.k.row(t, b, h, k_buffer_),
                    saved_row(missing_, t, b, h), in_.beta.scalar(t, b, h));
        },
        [&](int64_t t, int i) {
          if (t >= PREFETCH_STEPS) prefetch(t - PREFETCH_STEPS, b, h);
          step(t, i, b, h);
        });
    w_.finish(matrix_of(out_.state, b, h), in_.K, in_.V);
  }

 private:
  FW_INLINE void prefetch(int64_t t, int64_t b, int64_t h) const {
    in_.q.prefetch(t, b, h);
    dy_.prefetch(t, b, h);
    for (const OutputRows* x : {&dq_, &dk_, &dv_}) x->prefetch(t, b, h);
  }

  void step(int64_t t, int i, int64_t b, int64_t h) {
    float* const dq = dq_.begin(t, b, h, dq_buffer_);
    float* const dk = dk_.begin(t, b, h, dk_buffer_);
    float* const dv = dv_.begin(t, b, h, dv_buffer_);
    *saved_row(out_.beta, t, b, h) =
        w_.step(i, in_.q.row(t, b, h, q_buffer_), in_.k.row(t, b, h, k_buffer_),
                saved_row(missing_, t, b, h), in_.beta.scalar(t, b, h),
                dy_.row(t, b, h, dy_buffer_), dq, dk, dv);
    dq_.finish(t, b, h, dq);
    dk_.finish(t, b, h, dk);
    dv_.finish(t, b, h, dv);
    if (truncate_ || in_.start(t, b)) w_.cut();
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
};

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> backward(
    const Tensor& dy, const Tensor& dstate, const Tensor& q, const Tensor& k, const Tensor& beta,
    const Tensor& start, const Tensor& missing, const Tensor& checkpoints, bool truncate) {
  const Inputs in(q, k, beta, start, dy.size(3));
  const Rows dy_rows(dy, 4);
  const Tensor dstate_in = dstate.contiguous();
  const auto like = dstate_in.options();
  const Tensor dbeta = at::empty({in.T, in.B, in.H, 1}, like);
  const Gradients out{at::empty({in.T, in.B, in.H, in.K}, like),
                      at::empty({in.T, in.B, in.H, in.K}, like),
                      at::empty({in.T, in.B, in.H, in.V}, like), dbeta, at::empty_like(dstate_in)};
  with_widths(padded(in.K), padded(in.V), [&](auto key, auto value) {
    for_each_head(in.B, in.H, 8 * in.T * in.K * in.V, [&] {
      return Backward(in, dy_rows, dstate_in, missing, checkpoints, truncate, out, key, value);
    });
  });
  return {out.q, out.k, out.v, dbeta.squeeze(3), out.state};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fast_weights, m) {
  m.def(
      "delta_rule(Tensor q, Tensor k, Tensor v, Tensor beta, Tensor state, Tensor start, "
      "bool truncate, bool save) -> (Tensor y, Tensor state, Tensor missing, Tensor checkpoints)");
  m.def(
      "delta_rule_backward(Tensor dy, Tensor dstate, Tensor q, Tensor k, Tensor beta, "
      "Tensor start, Tensor missing, Tensor checkpoints, bool truncate) "
      "-> (Tensor dq, Tensor dk, Tensor dv, Tensor dbeta, Tensor dstate)");
}

TORCH_LIBRARY_IMPL(fast_weights, CPU, m) {
  m.impl("delta_rule", forward);
  m.impl("delta_rule_backward", backward);
}

}  // namespace fast_weights
