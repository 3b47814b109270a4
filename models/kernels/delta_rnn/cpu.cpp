// Delta RNN on a CPU: every (batch, head) pair runs its whole sequence on one thread.
// The recurrence and its derivation: README.md in this folder and ../cpu/delta.h.
#include "../cpu/delta.h"

namespace fast_weights {
namespace {

// What step t leaves for the backward pass, one saved row: u of W, u of R, softmax(h_prev).
struct SavedStep {
  float *w_missing, *r_missing, *read;

  SavedStep(float* row, int d) : w_missing(row), r_missing(row + d), read(row + 2 * d) {}
  static int64_t floats(int64_t D) { return 3 * padded(D); }
};

struct Inputs {
  int64_t T, B, H, D;
  Rows q, k, v, beta, rk, rv, rbeta;
  Starts start;
};

struct States {
  Tensor w, r, h;

  States contiguous() const { return {w.contiguous(), r.contiguous(), h.contiguous()}; }
  States empty() const { return {at::empty_like(w), at::empty_like(r), at::empty_like(h)}; }
};

struct Results {
  Tensor h;
  States states;
  Tensor saved, w_checkpoints, r_checkpoints;
};

template <int FD>
class Forward {
 public:
  Forward(const Inputs& in, const States& states, const Results& out, Width<FD> width)
      : in_(in),
        states_(states),
        out_(out),
        h_rows_(out.h),
        width_(width),
        scratch_(2 * ForwardState::floats(in.D, in.D) + SavedStep::floats(in.D) +
                 8 * width.floats()),
        w_(in.D, in.D, scratch_),
        r_(in.D, in.D, scratch_),
        saved_buffer_(scratch_.take(SavedStep::floats(in.D))),
        q_buffer_(scratch_.take(size())),
        k_buffer_(scratch_.take(size())),
        v_buffer_(scratch_.take(size())),
        delta_(scratch_.take(size())),
        z_(scratch_.take(size())),
        h_(scratch_.take(size())) {}

  void operator()(int64_t b, int64_t h) {
    const bool save = out_.saved.size(0) == in_.T;
    float* const w = w_.load(matrix_of(states_.w, b, h), matrix_of(out_.states.w, b, h));
    float* const r = r_.load(matrix_of(states_.r, b, h), matrix_of(out_.states.r, b, h));
    load_row(row_of(states_.h, b, h), h_, in_.D);
    for (int64_t t = 0; t < in_.T; ++t) {
      if (save && t % CHECKPOINT_STEPS == 0) {
        w_.checkpoint(checkpoint_of(out_.w_checkpoints, t / CHECKPOINT_STEPS, b, h));
        r_.checkpoint(checkpoint_of(out_.r_checkpoints, t / CHECKPOINT_STEPS, b, h));
      }
      if (in_.start(t, b)) {
        w_.clear();
        r_.clear();
        std::memset(h_, 0, size() * sizeof(float));
      }
      if (t + PREFETCH_STEPS < in_.T) prefetch(t + PREFETCH_STEPS, b, h, save);
      step(w, r, t, b, h, {save ? saved_row(out_.saved, t, b, h) : saved_buffer_, size()});
    }
    w_.finish();
    r_.finish();
    std::memcpy(row_of(out_.states.h, b, h), h_, in_.D * sizeof(float));
  }

 private:
  int size() const { return width_.floats(); }

  FW_INLINE void prefetch(int64_t t, int64_t b, int64_t h, bool save) const {
    for (const Rows* x : {&in_.q, &in_.k, &in_.v, &in_.rk, &in_.rv}) x->prefetch(t, b, h);
    h_rows_.prefetch(t, b, h);
    if (save) prefetch_saved_row<true>(out_.saved, t, b, h);
  }

  FW_INLINE void step(float* w, float* r, int64_t t, int64_t b, int64_t h, SavedStep out) {
    softmax(h_, static_cast<int>(in_.D), width_, out.read);
    delta_step(w, in_.q.row(t, b, h, q_buffer_), in_.k.row(t, b, h, k_buffer_),
               in_.v.row(t, b, h, v_buffer_), in_.beta.scalar(t, b, h), 1.0f, width_, width_,
               out.w_missing, delta_, z_);
    delta_step(r, out.read, in_.rk.row(t, b, h, k_buffer_), in_.rv.row(t, b, h, v_buffer_),
               in_.rbeta.scalar(t, b, h), 1.0f, width_, width_, out.r_missing, delta_, h_);
    for (int n = 0; n < size(); n += LANES) store(h_ + n, load(h_ + n) + load(z_ + n));
    h_rows_.copy(t, b, h, h_);
  }

  const Inputs& in_;
  const States& states_;
  const Results& out_;
  OutputRows h_rows_;
  Width<FD> width_;
  Scratch scratch_;
  ForwardState w_, r_;
  float *saved_buffer_, *q_buffer_, *k_buffer_, *v_buffer_, *delta_, *z_, *h_;
};

Inputs inputs_of(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& beta,
                 const Tensor& rk, const Tensor& rv, const Tensor& rbeta, const Tensor& start) {
  return {q.size(0), q.size(1), q.size(2), q.size(3), q, k, v, beta, rk, rv, rbeta, Starts(start)};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> forward(
    const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& beta, const Tensor& rk,
    const Tensor& rv, const Tensor& rbeta, const Tensor& state_w, const Tensor& state_r,
    const Tensor& state_h, const Tensor& start, bool /*truncate*/, bool save) {
  const Inputs in = inputs_of(q, k, v, beta, rk, rv, rbeta, start);
  const States states = States{state_w, state_r, state_h}.contiguous();
  const Results out{at::empty({in.T, in.B, in.H, in.D}, v.options()), states.empty(),
                    at::empty({save ? in.T : 0, in.B, in.H, SavedStep::floats(in.D)},
                              state_w.options()),
                    empty_checkpoints(states.w, in.T, save),
                    empty_checkpoints(states.r, in.T, save)};
  with_width(padded(in.D), [&](auto width) {
    for_each_head(in.B, in.H, 6 * in.T * in.D * in.D,
                  [&] { return Forward(in, states, out, width); });
  });
  return {out.h, out.states.w, out.states.r, out.states.h, out.saved, out.w_checkpoints,
          out.r_checkpoints};
}

struct Incoming {
  Rows dh;
  States dstates;
  Tensor saved, w_checkpoints, r_checkpoints;
};

struct Gradients {
  Tensor q, k, v, beta, rk, rv, rbeta;
  States states;
};

template <int FD>
class Backward {
 public:
  Backward(const Inputs& in, const Incoming& grads, bool truncate, const Gradients& out,
           Width<FD> width)
      : in_(in),
        grads_(grads),
        truncate_(truncate),
        out_(out),
        dq_(out.q),
        dk_(out.k),
        dv_(out.v),
        drk_(out.rk),
        drv_(out.rv),
        width_(width),
        scratch_(2 * DeltaBackward<FD, FD>::scratch_floats(in.D, in.D) + 8 * width.floats()),
        w_(width, width, scratch_),
        r_(width, width, scratch_),
        q_buffer_(scratch_.take(size())),
        k_buffer_(scratch_.take(size())),
        dq_buffer_(scratch_.take(size())),
        dk_buffer_(scratch_.take(size())),
        dv_buffer_(scratch_.take(size())),
        g_(scratch_.take(size())),
        carry_(scratch_.take(size())) {}

  void operator()(int64_t b, int64_t h) {
    w_.begin(matrix_of(grads_.dstates.w, b, h), in_.D, in_.D);
    r_.begin(matrix_of(grads_.dstates.r, b, h), in_.D, in_.D);
    load_row(row_of(grads_.dstates.h, b, h), carry_, in_.D);
    for_each_segment_backwards(
        in_.T,
        [&](int64_t segment) {
          w_.load_checkpoint(checkpoint_of(grads_.w_checkpoints, segment, b, h));
          r_.load_checkpoint(checkpoint_of(grads_.r_checkpoints, segment, b, h));
        },
        [&](int64_t t, int i, bool is_last) {
          if (!is_last) {
            in_.k.prefetch(t + 1, b, h);
            in_.rk.prefetch(t + 1, b, h);
            prefetch_saved_row(grads_.saved, t + 1, b, h);
          }
          const SavedStep at = saved(t, b, h);
          w_.replay(i, in_.start(t, b), is_last, in_.k.row(t, b, h, k_buffer_), at.w_missing,
                    in_.beta.scalar(t, b, h));
          r_.replay(i, in_.start(t, b), is_last, in_.rk.row(t, b, h, k_buffer_), at.r_missing,
                    in_.rbeta.scalar(t, b, h));
        },
        [&](int64_t t, int i) {
          if (t >= PREFETCH_STEPS) prefetch(t - PREFETCH_STEPS, b, h);
          step(t, i, b, h, saved(t, b, h));
        });
    w_.finish(matrix_of(out_.states.w, b, h), in_.D, in_.D);
    r_.finish(matrix_of(out_.states.r, b, h), in_.D, in_.D);
    std::memcpy(row_of(out_.states.h, b, h), carry_, in_.D * sizeof(float));
  }

 private:
  int size() const { return width_.floats(); }
  SavedStep saved(int64_t t, int64_t b, int64_t h) const {
    return {saved_row(grads_.saved, t, b, h), size()};
  }

  FW_INLINE void prefetch(int64_t t, int64_t b, int64_t h) const {
    in_.q.prefetch(t, b, h);
    grads_.dh.prefetch(t, b, h);
    for (const OutputRows* x : {&dq_, &dk_, &dv_, &drk_, &drv_}) x->prefetch(t, b, h);
  }

  FW_INLINE void step(int64_t t, int i, int64_t b, int64_t h, SavedStep at) {
    const float* const dh = grads_.dh.row(t, b, h, q_buffer_);
    for (int n = 0; n < size(); n += LANES) store(g_ + n, load(dh + n) + load(carry_ + n));

    float* const dq = dq_.begin(t, b, h, dq_buffer_);
    float* dk = dk_.begin(t, b, h, dk_buffer_);
    float* dv = dv_.begin(t, b, h, dv_buffer_);
    *saved_row(out_.beta, t, b, h) =
        w_.step(i, in_.q.row(t, b, h, q_buffer_), in_.k.row(t, b, h, k_buffer_), at.w_missing,
                in_.beta.scalar(t, b, h), g_, dq, dk, dv);
    dq_.finish(t, b, h, dq);
    dk_.finish(t, b, h, dk);
    dv_.finish(t, b, h, dv);

    dk = drk_.begin(t, b, h, dk_buffer_);
    dv = drv_.begin(t, b, h, dv_buffer_);
    *saved_row(out_.rbeta, t, b, h) =
        r_.step(i, at.read, in_.rk.row(t, b, h, k_buffer_), at.r_missing,
                in_.rbeta.scalar(t, b, h), g_, carry_, dk, dv);
    drk_.finish(t, b, h, dk);
    drv_.finish(t, b, h, dv);

    if (truncate_ || in_.start(t, b)) {
      w_.cut();
      r_.cut();
      std::memset(carry_, 0, size() * sizeof(float));
    } else {
      softmax_backward(at.read, carry_, width_, carry_);
    }
  }

  const Inputs& in_;
  const Incoming& grads_;
  bool truncate_;
  const Gradients& out_;
  OutputRows dq_, dk_, dv_, drk_, drv_;
  Width<FD> width_;
  Scratch scratch_;
  DeltaBackward<FD, FD> w_, r_;
  float *q_buffer_, *k_buffer_, *dq_buffer_, *dk_buffer_, *dv_buffer_, *g_, *carry_;
};

Gradients empty_gradients(const Inputs& in, const States& states) {
  const auto rows = [&](int64_t size) {
    return at::empty({in.T, in.B, in.H, size}, states.w.options());
  };
  return {rows(in.D), rows(in.D), rows(in.D), rows(1),
          rows(in.D), rows(in.D), rows(1),    states.empty()};
}

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor> backward(
    const Tensor& dh, const Tensor& dstate_w, const Tensor& dstate_r, const Tensor& dstate_h,
    const Tensor& q, const Tensor& k, const Tensor& beta, const Tensor& rk, const Tensor& rbeta,
    const Tensor& start, const Tensor& saved, const Tensor& w_checkpoints,
    const Tensor& r_checkpoints, bool truncate) {
  const Inputs in = inputs_of(q, k, q, beta, rk, rk, rbeta, start);  // values are not needed
  const Incoming grads{dh,
                       States{dstate_w, dstate_r, dstate_h}.contiguous(),
                       saved,
                       w_checkpoints,
                       r_checkpoints};
  const Gradients out = empty_gradients(in, grads.dstates);
  with_width(padded(in.D), [&](auto width) {
    for_each_head(in.B, in.H, 16 * in.T * in.D * in.D,
                  [&] { return Backward(in, grads, truncate, out, width); });
  });
  return {out.q,  out.k,  out.v,                out.beta.squeeze(3), out.rk,
          out.rv, out.rbeta.squeeze(3), out.states.w, out.states.r,        out.states.h};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fast_weights, m) {
  m.def(
      "delta_rnn(Tensor q, Tensor k, Tensor v, Tensor beta, Tensor rk, Tensor rv, Tensor rbeta, "
      "Tensor state_w, Tensor state_r, Tensor state_h, Tensor start, bool truncate, bool save) "
      "-> (Tensor h, Tensor state_w, Tensor state_r, Tensor state_h, Tensor saved, "
      "Tensor w_checkpoints, Tensor r_checkpoints)");
  m.def(
      "delta_rnn_backward(Tensor dh, Tensor dstate_w, Tensor dstate_r, Tensor dstate_h, Tensor q, "
      "Tensor k, Tensor beta, Tensor rk, Tensor rbeta, Tensor start, Tensor saved, "
      "Tensor w_checkpoints, Tensor r_checkpoints, bool truncate) "
      "-> (Tensor dq, Tensor dk, Tensor dv, Tensor dbeta, Tensor drk, Tensor drv, Tensor drbeta, "
      "Tensor dstate_w, Tensor dstate_r, Tensor dstate_h)");
}

TORCH_LIBRARY_IMPL(fast_weights, CPU, m) {
  m.impl("delta_rnn", forward);
  m.impl("delta_rnn_backward", backward);
}

}  // namespace fast_weights
