// Recurrent Delta Net on a CPU: every (batch, head) pair runs its whole sequence on one thread.
// The recurrence and its derivation: README.md in this folder and ../cpu/delta.h.
#include <ATen/ops/bmm.h>

#include "../cpu/delta.h"
#include "../cpu/key_norm.h"

namespace fast_weights {
namespace {

// What step t leaves for the backward pass, one saved row: a, q, k, u (D each), beta, and what
// the norms of q and k returned.
struct SavedStep {
  float *a, *q, *k, *u, *beta, *q_scale, *k_scale;

  SavedStep(float* row, int d)
      : a(row),
        q(row + d),
        k(row + 2 * d),
        u(row + 3 * d),
        beta(row + 4 * d),
        q_scale(beta + 1),
        k_scale(beta + 2) {}
  static int64_t floats(int64_t D) { return 4 * padded(D) + ALIGNMENT; }
};

struct Matrices {
  Tensor q, k, v, b;  // R_q, R_k, R_v [H, D, D] and r_b [H, D]; float32, contiguous

  Matrices(const Tensor& r_q, const Tensor& r_k, const Tensor& r_v, const Tensor& r_b)
      : q(r_q.to(at::kFloat).contiguous()),
        k(r_k.to(at::kFloat).contiguous()),
        v(r_v.to(at::kFloat).contiguous()),
        b(r_b.to(at::kFloat).contiguous()) {}
  int64_t D() const { return q.size(2); }
  const float* of(const Tensor& r, int64_t h) const {
    return r.const_data_ptr<float>() + h * D() * D();
  }
  void copy_r_b(int64_t h, float* to) const {
    std::memcpy(to, b.const_data_ptr<float>() + h * D(), D() * sizeof(float));
  }
};

struct Options {
  KeyNorm key_norm;
  float beta_range;

  Options(std::string_view norm, int64_t range)
      : key_norm(key_norm_named(norm)), beta_range(static_cast<float>(range)) {}
};

struct Inputs {
  int64_t T, B, H, D;
  Rows q, k, v, b;
  Starts start;
};

struct Results {
  Tensor y, state_w, state_y, saved, checkpoints;
};

template <int FD>
class Forward {
 public:
  Forward(const Inputs& in, const Matrices& r, const Options& options, const Tensor& state_w,
          const Tensor& state_y, const Results& out, Width<FD> width)
      : in_(in),
        r_(r),
        options_(options),
        state_w_(state_w),
        state_y_(state_y),
        out_(out),
        y_rows_(out.y),
        width_(width),
        scratch_(ForwardState::floats(in.D, in.D) + 3 * ForwardState::floats(in.D, in.D) +
                 SavedStep::floats(in.D) + 10 * width.floats()),
        w_(in.D, in.D, scratch_),
        r_qkv_(scratch_.take(3 * size() * size())),
        r_b_(scratch_.take(size())),
        q_buffer_(scratch_.take(size())),
        k_buffer_(scratch_.take(size())),
        v_buffer_(scratch_.take(size())),
        pre_(scratch_.take(3 * size())),
        delta_(scratch_.take(size())),
        y_(scratch_.take(size())),
        saved_buffer_(scratch_.take(SavedStep::floats(in.D))) {}

  void operator()(int64_t b, int64_t h) {
    if (h != head_) pack(h);
    const bool save = out_.saved.size(0) == in_.T;
    float* const w = w_.load(matrix_of(state_w_, b, h), matrix_of(out_.state_w, b, h));
    load_row(row_of(state_y_, b, h), y_, in_.D);
    for (int64_t t = 0; t < in_.T; ++t) {
      if (save && t % CHECKPOINT_STEPS == 0) {
        w_.checkpoint(checkpoint_of(out_.checkpoints, t / CHECKPOINT_STEPS, b, h));
      }
      if (in_.start(t, b)) {
        w_.clear();
        std::memset(y_, 0, size() * sizeof(float));
      }
      if (t + PREFETCH_STEPS < in_.T) prefetch(t + PREFETCH_STEPS, b, h, save);
      step(w, t, b, h, {save ? saved_row(out_.saved, t, b, h) : saved_buffer_, size()});
    }
    w_.finish();
    std::memcpy(row_of(out_.state_y, b, h), y_, in_.D * sizeof(float));
  }

 private:
  int size() const { return width_.floats(); }

  // Rows i of R_q, R_k, R_v side by side, so that one pass over them serves all three.
  void pack(int64_t h) {
    head_ = h;
    int first = 0;
    for (const Tensor& r : {r_.q, r_.k, r_.v}) {
      copy_matrix(r_.of(r, h), in_.D, r_qkv_ + first, 3 * size(), in_.D, in_.D);
      first += size();
    }
    r_.copy_r_b(h, r_b_);
  }

  FW_INLINE void prefetch(int64_t t, int64_t b, int64_t h, bool save) const {
    for (const Rows* x : {&in_.q, &in_.k, &in_.v}) x->prefetch(t, b, h);
    y_rows_.prefetch(t, b, h);
    if (save) prefetch_saved_row<true>(out_.saved, t, b, h);
  }

  FW_INLINE void step(float* w, int64_t t, int64_t b, int64_t h, SavedStep out) {
    const int d = size();
    for (int i = 0; i < d; i += LANES) store(out.a + i, tanh(load(y_ + i)));
    combine_rows(r_qkv_, out.a, d, Width<3 * FD>{3 * d}, pre_);
    add_row(in_.q.row(t, b, h, q_buffer_), pre_);
    add_row(in_.k.row(t, b, h, k_buffer_), pre_ + d);
    add_row(in_.v.row(t, b, h, v_buffer_), pre_ + 2 * d);
    const int size = static_cast<int>(in_.D);
    const float q_scale = normalise(options_.key_norm, pre_, size, width_, out.q);
    const float k_scale = normalise(options_.key_norm, pre_ + d, size, width_, out.k);
    const float beta =
        options_.beta_range * sigmoid(in_.b.scalar(t, b, h) + dot(r_b_, out.a, width_));
    std::fill_n(out.beta, ALIGNMENT, beta);
    *out.q_scale = q_scale;
    *out.k_scale = k_scale;
    delta_step(w, out.q, out.k, pre_ + 2 * d, beta, 1.0f, width_, width_, out.u, delta_, y_);
    y_rows_.copy(t, b, h, y_);
  }

  FW_INLINE void add_row(const float* x, float* y) const {
    for (int i = 0; i < size(); i += LANES) store(y + i, load(y + i) + load(x + i));
  }

  const Inputs& in_;
  const Matrices& r_;
  const Options& options_;
  const Tensor& state_w_;
  const Tensor& state_y_;
  const Results& out_;
  OutputRows y_rows_;
  Width<FD> width_;
  Scratch scratch_;
  ForwardState w_;
  float *r_qkv_, *r_b_, *q_buffer_, *k_buffer_, *v_buffer_, *pre_, *delta_, *y_, *saved_buffer_;
  int64_t head_ = -1;
};

std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor> forward(
    const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& b, const Tensor& r_q,
    const Tensor& r_k, const Tensor& r_v, const Tensor& r_b, const Tensor& state_w,
    const Tensor& state_y, const Tensor& start, std::string_view key_norm, int64_t beta_range,
    bool /*truncate*/, bool save) {
  const int64_t T = q.size(0), B = q.size(1), H = q.size(2), D = q.size(3);
  const Inputs in{T, B, H, D, q, k, v, b, Starts(start)};
  const Matrices r(r_q, r_k, r_v, r_b);
  const Options options(key_norm, beta_range);
  const Tensor w_in = state_w.contiguous(), y_in = state_y.contiguous();
  const Results out{at::empty({T, B, H, D}, v.options()), at::empty_like(w_in),
                    at::empty_like(y_in),
                    at::empty({save ? T : 0, B, H, SavedStep::floats(D)}, w_in.options()),
                    empty_checkpoints(w_in, T, save)};
  with_width(padded(D), [&](auto width) {
    for_each_head(B, H, 6 * T * D * D,
                  [&] { return Forward(in, r, options, w_in, y_in, out, width); });
  });
  return {out.y, out.state_w, out.state_y, out.saved, out.checkpoints};
}

struct Incoming {
  Rows dy;
  Tensor dstate_w, dstate_y, saved, checkpoints;
};

struct Gradients {
  Tensor inputs;  // [T, B, H, 3 D + 1]: of q, k, v, b before norm and sigmoid
  Tensor state_w, state_y;
};

template <int FD>
class Backward {
 public:
  Backward(const Incoming& in, const Matrices& r, const Options& options, const Starts& start,
           bool truncate, const Gradients& out, Width<FD> width)
      : in_(in),
        r_(r),
        options_(options),
        start_(start),
        truncate_(truncate),
        out_(out),
        D_(r.D()),
        dq_(out.inputs, 0, D_),
        dk_(out.inputs, D_, D_),
        dv_(out.inputs, 2 * D_, D_),
        db_(out.inputs, 3 * D_, 1),
        width_(width),
        scratch_(DeltaBackward<FD, FD>::scratch_floats(D_, D_) +
                 3 * ForwardState::floats(D_, D_) + 8 * width.floats()),
        w_(width, width, scratch_),
        r_qkv_(scratch_.take(3 * size() * size())),
        r_b_(scratch_.take(size())),
        dy_buffer_(scratch_.take(size())),
        g_(scratch_.take(size())),
        dqkv_(scratch_.take(3 * size())),
        carry_(scratch_.take(size())) {}

  void operator()(int64_t b, int64_t h) {
    if (h != head_) pack(h);
    w_.begin(matrix_of(in_.dstate_w, b, h), D_, D_);
    load_row(row_of(in_.dstate_y, b, h), carry_, D_);
    for_each_segment_backwards(
        in_.saved.size(0),
        [&](int64_t segment) {
          w_.load_checkpoint(checkpoint_of(in_.checkpoints, segment, b, h));
        },
        [&](int64_t t, int i, bool is_last) {
          if (!is_last) prefetch_saved_row(in_.saved, t + 1, b, h);
          const SavedStep at = saved(t, b, h);
          w_.replay(i, start_(t, b), is_last, at.k, at.u, *at.beta);
        },
        [&](int64_t t, int i) {
          if (t >= PREFETCH_STEPS) prefetch(t - PREFETCH_STEPS, b, h);
          step(t, i, b, h, saved(t, b, h));
        });
    w_.finish(matrix_of(out_.state_w, b, h), D_, D_);
    std::memcpy(row_of(out_.state_y, b, h), carry_, D_ * sizeof(float));
  }

 private:
  int size() const { return width_.floats(); }
  SavedStep saved(int64_t t, int64_t b, int64_t h) const {
    return {saved_row(in_.saved, t, b, h), size()};
  }

  FW_INLINE void prefetch(int64_t t, int64_t b, int64_t h) const {
    in_.dy.prefetch(t, b, h);
    for (const OutputRows* x : {&dq_, &dk_, &dv_}) x->prefetch(t, b, h);
  }

  // R_q, R_k, R_v transposed, one below the other.
  void pack(int64_t h) {
    head_ = h;
    float* to = r_qkv_;
    for (const Tensor& r : {r_.q, r_.k, r_.v}) {
      transpose_matrix(r_.of(r, h), D_, to, size(), D_, D_);
      to += size() * size();
    }
    r_.copy_r_b(h, r_b_);
  }

  FW_INLINE void step(int64_t t, int i, int64_t b, int64_t h, SavedStep at) {
    const int d = size();
    const float* const dy = in_.dy.row(t, b, h, dy_buffer_);
    for (int n = 0; n < d; n += LANES) store(g_ + n, load(dy + n) + load(carry_ + n));
    const float dbeta = w_.step(i, at.q, at.k, at.u, *at.beta, g_, dqkv_, dqkv_ + d, dqkv_ + 2 * d);
    const float db = dbeta * *at.beta * (1.0f - *at.beta / options_.beta_range);
    normalise_backward(options_.key_norm, at.q, *at.q_scale, dqkv_, width_, dqkv_);
    normalise_backward(options_.key_norm, at.k, *at.k_scale, dqkv_ + d, width_, dqkv_ + d);
    dq_.copy(t, b, h, dqkv_);
    dk_.copy(t, b, h, dqkv_ + d);
    dv_.copy(t, b, h, dqkv_ + 2 * d);
    db_.copy(t, b, h, &db);
    if (truncate_ || start_(t, b)) {
      w_.cut();
      std::memset(carry_, 0, d * sizeof(float));
      return;
    }
    combine_rows(r_qkv_, dqkv_, 3 * d, width_, carry_);
    for (int n = 0; n < d; n += LANES) {
      const Vec a = load(at.a + n);
      store(carry_ + n, (load(carry_ + n) + load(r_b_ + n) * db) * (1.0f - a * a));
    }
  }

  const Incoming& in_;
  const Matrices& r_;
  const Options& options_;
  const Starts& start_;
  bool truncate_;
  const Gradients& out_;
  int64_t D_;
  OutputRows dq_, dk_, dv_, db_;
  Width<FD> width_;
  Scratch scratch_;
  DeltaBackward<FD, FD> w_;
  float *r_qkv_, *r_b_, *dy_buffer_, *g_, *dqkv_, *carry_;
  int64_t head_ = -1;
};

// [H, D, 3 D + 1]: the gradients of R_q, R_k, R_v, r_b side by side, one product over T and B.
Tensor matrix_gradients(const Tensor& saved, const Tensor& inputs, int64_t D) {
  const int64_t steps = saved.size(0) * saved.size(1), H = saved.size(2);
  const Tensor a = saved.narrow(3, 0, D).as_strided(
      {H, D, steps}, {saved.size(3), 1, H * saved.size(3)});
  return at::bmm(a, inputs.view({steps, H, 3 * D + 1}).transpose(0, 1));
}

std::tuple<Tensor, Tensor, Tensor, Tensor> backward(
    const Tensor& dy, const Tensor& dstate_w, const Tensor& dstate_y, const Tensor& r_q,
    const Tensor& r_k, const Tensor& r_v, const Tensor& r_b, const Tensor& start,
    const Tensor& saved, const Tensor& checkpoints, std::string_view key_norm, int64_t beta_range,
    bool truncate) {
  const int64_t T = dy.size(0), B = dy.size(1), H = dy.size(2), D = dy.size(3);
  const Matrices r(r_q, r_k, r_v, r_b);
  const Incoming in{dy, dstate_w.contiguous(), dstate_y.contiguous(), saved, checkpoints};
  const Gradients out{at::empty({T, B, H, 3 * D + 1}, saved.options()),
                      at::empty_like(in.dstate_w), at::empty_like(in.dstate_y)};
  const Options options(key_norm, beta_range);
  const Starts starts(start);
  with_width(padded(D), [&](auto width) {
    for_each_head(B, H, 12 * T * D * D, [&] {
      return Backward(in, r, options, starts, truncate, out, width);
    });
  });
  return {out.inputs, matrix_gradients(saved, out.inputs, D), out.state_w, out.state_y};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fast_weights, m) {
  m.def(
      "rdn(Tensor q, Tensor k, Tensor v, Tensor b, Tensor r_q, Tensor r_k, Tensor r_v, Tensor r_b, "
      "Tensor state_w, Tensor state_y, Tensor start, str key_norm, int beta_range, bool truncate, "
      "bool save) "
      "-> (Tensor y, Tensor state_w, Tensor state_y, Tensor saved, Tensor checkpoints)");
  m.def(
      "rdn_backward(Tensor dy, Tensor dstate_w, Tensor dstate_y, Tensor r_q, Tensor r_k, "
      "Tensor r_v, Tensor r_b, Tensor start, Tensor saved, Tensor checkpoints, str key_norm, "
      "int beta_range, bool truncate) "
      "-> (Tensor dinputs, Tensor dmatrices, Tensor dstate_w, Tensor dstate_y)");
}

TORCH_LIBRARY_IMPL(fast_weights, CPU, m) {
  m.impl("rdn", forward);
  m.impl("rdn_backward", backward);
}

}  // namespace fast_weights
