// Linear attention on a CPU: every (batch, head) pair runs its whole sequence on one thread.
// The recurrence and its derivation: README.md in this folder. Nothing is inverted or solved, so
// backward needs no stored states: dq comes from a second forward sweep, dk and dv from one
// backwards that carries the gradient of the state alone.
#include "../cpu/matrix.h"
#include "../cpu/state.h"

namespace fast_weights {
namespace {

struct Inputs {
  int64_t T, B, H, K, V;
  Rows q, k, v;
  Starts start;
};

struct Results {
  Tensor y, state;
};

template <int FK, int FV>
class Forward {
 public:
  Forward(const Inputs& in, const Tensor& state, const Results& out, Width<FK> key,
          Width<FV> value)
      : in_(in),
        state_(state),
        out_(out),
        y_(out.y),
        key_(key),
        value_(value),
        scratch_(ForwardState::floats(in.K, in.V) + 2 * key.floats() + 2 * value.floats()),
        w_(in.K, in.V, scratch_),
        q_buffer_(scratch_.take(key.floats())),
        k_buffer_(scratch_.take(key.floats())),
        v_buffer_(scratch_.take(value.floats())),
        y_buffer_(scratch_.take(value.floats())) {}

  void operator()(int64_t b, int64_t h) {
    float* const w = w_.load(matrix_of(state_, b, h), matrix_of(out_.state, b, h));
    for (int64_t t = 0; t < in_.T; ++t) {
      if (in_.start(t, b)) w_.clear();
      if (t + PREFETCH_STEPS < in_.T) {
        for (const Rows* x : {&in_.q, &in_.k, &in_.v}) x->prefetch(t + PREFETCH_STEPS, b, h);
        y_.prefetch(t + PREFETCH_STEPS, b, h);
      }
      float* const y = y_.begin(t, b, h, y_buffer_);
      write_and_combine(w, 1.0f, in_.k.row(t, b, h, k_buffer_), in_.v.row(t, b, h, v_buffer_),
                        in_.q.row(t, b, h, q_buffer_), key_.floats(), value_, y);
      y_.finish(t, b, h, y);
    }
    w_.finish();
  }

 private:
  const Inputs& in_;
  const Tensor& state_;
  const Results& out_;
  OutputRows y_;
  Width<FK> key_;
  Width<FV> value_;
  Scratch scratch_;
  ForwardState w_;
  float *q_buffer_, *k_buffer_, *v_buffer_, *y_buffer_;
};

Inputs inputs_of(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& start) {
  return {v.size(0), v.size(1), v.size(2), k.size(3), v.size(3), q, k, v, Starts(start)};
}

std::tuple<Tensor, Tensor> forward(const Tensor& q, const Tensor& k, const Tensor& v,
                                   const Tensor& state, const Tensor& start, bool /*truncate*/) {
  const Inputs in = inputs_of(q, k, v, start);
  const Tensor state_in = state.contiguous();
  const Results out{at::empty({in.T, in.B, in.H, in.V}, v.options()), at::empty_like(state_in)};
  with_widths(padded(in.K), padded(in.V), [&](auto key, auto value) {
    for_each_head(in.B, in.H, 2 * in.T * in.K * in.V,
                  [&] { return Forward(in, state_in, out, key, value); });
  });
  return {out.y, out.state};
}

struct Gradients {
  Tensor q, k, v, state;
};

template <int FK, int FV>
class Backward {
 public:
  Backward(const Inputs& in, const Rows& dy, const Tensor& dstate, const Tensor& state,
           bool truncate, const Gradients& out, Width<FK> key, Width<FV> value)
      : in_(in),
        dy_rows_(dy),
        dstate_(dstate),
        state_(state),
        truncate_(truncate),
        out_(out),
        dq_rows_(out.q),
        dk_rows_(out.k),
        dv_rows_(out.v),
        key_(key),
        value_(value),
        scratch_(ForwardState::floats(in.K, in.V) + 4 * key.floats() + 4 * value.floats()),
        matrix_(scratch_.take(ForwardState::floats(in.K, in.V))),
        q_(scratch_.take(key.floats())),
        k_(scratch_.take(key.floats())),
        v_(scratch_.take(value.floats())),
        dy_(scratch_.take(value.floats())),
        key_buffer_(scratch_.take(key.floats())),
        value_buffer_(scratch_.take(value.floats())),
        no_key_(scratch_.take(key.floats())),
        no_value_(scratch_.take(value.floats())) {}

  void operator()(int64_t b, int64_t h) {
    query_gradients(b, h);
    clear();
    copy_matrix(matrix_of(dstate_, b, h), in_.V, matrix_, value_.floats(), in_.K, in_.V);
    for (int64_t t = in_.T - 1; t >= 0; --t) {
      if (t >= PREFETCH_STEPS) {
        dk_rows_.prefetch(t - PREFETCH_STEPS, b, h);
        dv_rows_.prefetch(t - PREFETCH_STEPS, b, h);
      }
      step(t, b, h);
      if (truncate_ || in_.start(t, b)) clear();
    }
    copy_matrix(matrix_, value_.floats(), matrix_of(out_.state, b, h), in_.V, in_.K, in_.V);
  }

 private:
  void clear() { std::memset(matrix_, 0, ForwardState::floats(in_.K, in_.V) * sizeof(float)); }

  // dq = W dy, with W transposed so that its rows are combined.
  void query_gradients(int64_t b, int64_t h) {
    clear();
    transpose_matrix(matrix_of(state_, b, h), in_.V, matrix_, key_.floats(), in_.K, in_.V);
    for (int64_t t = 0; t < in_.T; ++t) {
      if (in_.start(t, b)) clear();
      if (t + PREFETCH_STEPS < in_.T) {
        for (const Rows* x : {&in_.k, &in_.v, &dy_rows_}) x->prefetch(t + PREFETCH_STEPS, b, h);
        dq_rows_.prefetch(t + PREFETCH_STEPS, b, h);
      }
      float* const dq = dq_rows_.begin(t, b, h, key_buffer_);
      write_and_combine(matrix_, 1.0f, in_.v.row(t, b, h, v_), in_.k.row(t, b, h, k_),
                        dy_rows_.row(t, b, h, dy_), value_.floats(), key_, dq);
      dq_rows_.finish(t, b, h, dq);
    }
  }

  // G += q dy^T, dk = G v, dv = G^T k.
  void step(int64_t t, int64_t b, int64_t h) {
    float* const dk = dk_rows_.begin(t, b, h, key_buffer_);
    float* const dv = dv_rows_.begin(t, b, h, value_buffer_);
    accumulate_and_multiply(
        matrix_, 1.0f, {in_.q.row(t, b, h, q_), dy_rows_.row(t, b, h, dy_)}, {no_key_, no_value_},
        in_.k.row(t, b, h, k_), in_.v.row(t, b, h, v_), key_.floats(), value_, dv, dk);
    dk_rows_.finish(t, b, h, dk);
    dv_rows_.finish(t, b, h, dv);
  }

  const Inputs& in_;
  const Rows& dy_rows_;
  const Tensor& dstate_;
  const Tensor& state_;
  bool truncate_;
  const Gradients& out_;
  OutputRows dq_rows_, dk_rows_, dv_rows_;
  Width<FK> key_;
  Width<FV> value_;
  Scratch scratch_;
  float *matrix_, *q_, *k_, *v_, *dy_, *key_buffer_, *value_buffer_, *no_key_, *no_value_;
};

std::tuple<Tensor, Tensor, Tensor, Tensor> backward(const Tensor& dy, const Tensor& dstate,
                                                    const Tensor& q, const Tensor& k,
                                                    const Tensor& v, const Tensor& state,
                                                    const Tensor& start, bool truncate) {
  const Inputs in = inputs_of(q, k, v, start);
  const Rows dy_rows(dy);
  const Tensor dstate_in = dstate.contiguous(), state_in = state.contiguous();
  const auto rows = [&](int64_t size) {
    return at::empty({in.T, in.B, in.H, size}, state_in.options());
  };
  const Gradients out{rows(in.K), rows(in.K), rows(in.V), at::empty_like(state_in)};
  with_widths(padded(in.K), padded(in.V), [&](auto key, auto value) {
    for_each_head(in.B, in.H, 6 * in.T * in.K * in.V, [&] {
      return Backward(in, dy_rows, dstate_in, state_in, truncate, out, key, value);
    });
  });
  return {out.q, out.k, out.v, out.state};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fast_weights, m) {
  m.def(
      "linear_attention(Tensor q, Tensor k, Tensor v, Tensor state, Tensor start, bool truncate) "
      "-> (Tensor y, Tensor state)");
  m.def(
      "linear_attention_backward(Tensor dy, Tensor dstate, Tensor q, Tensor k, Tensor v, "
      "Tensor state, Tensor start, bool truncate) "
      "-> (Tensor dq, Tensor dk, Tensor dv, Tensor dstate)");
}

TORCH_LIBRARY_IMPL(fast_weights, CPU, m) {
  m.impl("linear_attention", forward);
  m.impl("linear_attention_backward", backward);
}

}  // namespace fast_weights
