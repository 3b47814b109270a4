// Self-referential weight matrix on a CPU: every (batch, head) pair runs its whole sequence on one
// thread. The recurrence and its derivation: README.md in this folder.
//
// A row of W has E = 3 D + 4 floats, [y | q | k | b], and is padded as a whole: parts that are used
// as vectors are copied out.
#include "../cpu/delta.h"

namespace fast_weights {
namespace {

constexpr int PARTS = 4;  // of W: y, q, k and b; as many strengths

constexpr int64_t num_columns(int64_t D) { return 3 * D + PARTS; }

// Calls f(Width of a row of D, Width of a row of E).
template <class F>
void with_srwm_widths(int64_t D, F f) {
  const auto fixed = [&](auto d) {
    constexpr int SIZE = decltype(d){}.floats();
    f(d, Width<padded(num_columns(SIZE))>{});
  };
  switch (D) {
    case 16: return fixed(Width<16>{});
    case 32: return fixed(Width<32>{});
    case 64: return fixed(Width<64>{});
    default: return f(Width<0>{padded(D)}, Width<0>{padded(num_columns(D))});
  }
}

// Calls f(part, first column, columns) for each part of a row of W.
template <class F>
FW_INLINE void for_each_part(int64_t D, F f) {
  for (int part = 0; part < PARTS; ++part) f(part, part * D, part < 3 ? D : PARTS);
}

// y = strength of a column's part times x; zero in the padding.
FW_INLINE void scale_parts(const float* x, const float* beta, int64_t D, int row, float* y) {
  for_each_part(D, [&](int part, int64_t first, int64_t columns) {
    for (int64_t j = first; j < first + columns; ++j) y[j] = x[j] * beta[part];
  });
  std::fill(y + num_columns(D), y + row, 0.0f);
}

template <int FIXED>
FW_INLINE void add(const float* x, Width<FIXED> width, float* y) {
  for (int i = 0; i < width.floats(); i += LANES) store(y + i, load(y + i) + load(x + i));
}

// What step t leaves for the backward pass, one saved row: q, k (D each), d = W^T (q - k) (E) and
// the strengths.
struct SavedStep {
  float *q, *k, *d, *beta;

  SavedStep(float* row, int key, int columns)
      : q(row), k(row + key), d(row + 2 * key), beta(row + 2 * key + columns) {}
  static int64_t floats(int64_t D) {
    return 2 * padded(D) + padded(num_columns(D)) + ALIGNMENT;
  }
};

struct Inputs {
  int64_t T, B, H, D;
  Rows x;
  Tensor w;  // [H, D, E]
  Starts start;

  Inputs(const Tensor& x_TBHD, const Tensor& w_HDE, const Tensor& start_TB)
      : T(x_TBHD.size(0)),
        B(x_TBHD.size(1)),
        H(x_TBHD.size(2)),
        D(x_TBHD.size(3)),
        x(x_TBHD),
        w(w_HDE.contiguous()),
        start(start_TB) {}

  int64_t E() const { return num_columns(D); }
  const float* weights(int64_t h) const { return w.const_data_ptr<float>() + h * D * E(); }
};

struct Results {
  Tensor y, state, saved, checkpoints;
};

template <int FD, int FE>
class Forward {
 public:
  Forward(const Inputs& in, const Tensor& state, const Results& out, Width<FD> key, Width<FE> row)
      : in_(in),
        state_(state),
        out_(out),
        y_(out.y),
        key_(key),
        row_(row),
        scratch_(2 * ForwardState::floats(in.D, in.E()) + SavedStep::floats(in.D) +
                 2 * key.floats() + 3 * (row.floats() + key.floats())),
        s_(in.D, in.E(), scratch_),
        w_(scratch_.take(ForwardState::floats(in.D, in.E()))),
        saved_buffer_(scratch_.take(SavedStep::floats(in.D))),
        x_buffer_(scratch_.take(key.floats())),
        difference_(scratch_.take(key.floats())),
        outputs_(scratch_.take(row.floats() + key.floats())),
        more_(scratch_.take(row.floats())),
        written_(scratch_.take(row.floats())) {}

  void operator()(int64_t b, int64_t h) {
    if (h != head_) {
      head_ = h;
      copy_matrix(in_.weights(h), in_.E(), w_, row_.floats(), in_.D, in_.E());
    }
    const bool save = out_.saved.size(0) == in_.T;
    float* const s = s_.load(matrix_of(state_, b, h), matrix_of(out_.state, b, h));
    for (int64_t t = 0; t < in_.T; ++t) {
      if (save && t % CHECKPOINT_STEPS == 0) {
        s_.checkpoint(checkpoint_of(out_.checkpoints, t / CHECKPOINT_STEPS, b, h));
      }
      if (t + PREFETCH_STEPS < in_.T) prefetch(t + PREFETCH_STEPS, b, h, save);
      if (in_.start(t, b)) s_.clear();
      float* const saved = save ? saved_row(out_.saved, t, b, h) : saved_buffer_;
      step(s, t, b, h, {saved, key_.floats(), row_.floats()});
    }
    s_.finish();
  }

 private:
  FW_INLINE void prefetch(int64_t t, int64_t b, int64_t h, bool save) const {
    in_.x.prefetch(t, b, h);
    y_.prefetch(t, b, h);
    if (save) prefetch_saved_row<true>(out_.saved, t, b, h);
  }

  // y = (w + s)^T x
  FW_INLINE void multiply(const float* s, const float* x, float* y) {
    combine_rows(w_, x, key_.floats(), row_, y);
    combine_rows(s, x, key_.floats(), row_, more_);
    add(more_, row_, y);
  }

  FW_INLINE void step(float* s, int64_t t, int64_t b, int64_t h, SavedStep out) {
    const int64_t D = in_.D;
    multiply(s, in_.x.row(t, b, h, x_buffer_), outputs_);
    y_.copy(t, b, h, outputs_);
    softmax(outputs_ + D, static_cast<int>(D), key_, out.q);
    softmax(outputs_ + 2 * D, static_cast<int>(D), key_, out.k);
    std::fill_n(out.beta, ALIGNMENT, 0.0f);
    for (int part = 0; part < PARTS; ++part) out.beta[part] = sigmoid(outputs_[3 * D + part]);
    for (int n = 0; n < key_.floats(); n += LANES) {
      store(difference_ + n, load(out.q + n) - load(out.k + n));
    }
    multiply(s, difference_, out.d);
    scale_parts(out.d, out.beta, D, row_.floats(), written_);
    write(s, s, 1.0f, out.k, written_, key_.floats(), row_);
  }

  const Inputs& in_;
  const Tensor& state_;
  const Results& out_;
  OutputRows y_;
  Width<FD> key_;
  Width<FE> row_;
  Scratch scratch_;
  ForwardState s_;
  float *w_, *saved_buffer_, *x_buffer_, *difference_, *outputs_, *more_, *written_;
  int64_t head_ = -1;
};

std::tuple<Tensor, Tensor, Tensor, Tensor> forward(const Tensor& x, const Tensor& w,
                                                   const Tensor& state, const Tensor& start,
                                                   bool /*truncate*/, bool save) {
  const Inputs in(x, w, start);
  const Tensor state_in = state.contiguous();
  const Results out{
      at::empty({in.T, in.B, in.H, in.D}, x.options()), at::empty_like(state_in),
      at::empty({save ? in.T : 0, in.B, in.H, SavedStep::floats(in.D)}, state_in.options()),
      empty_checkpoints(state_in, in.T, save)};
  with_srwm_widths(in.D, [&](auto key, auto row) {
    for_each_head(in.B, in.H, 5 * in.T * in.D * in.E(),
                  [&] { return Forward(in, state_in, out, key, row); });
  });
  return {out.y, out.state, out.saved, out.checkpoints};
}

struct Incoming {
  Rows dy;
  Tensor dstate, saved, checkpoints;
};

struct Gradients {
  Tensor x, outputs, state;  // outputs [T, B, H, 2 E]: of W^T x and of W^T (q - k)
};

template <int FD, int FE>
class Backward {
 public:
  Backward(const Inputs& in, const Incoming& grads, bool truncate, const Gradients& out,
           Width<FD> key, Width<FE> row)
      : in_(in),
        grads_(grads),
        truncate_(truncate),
        out_(out),
        dx_rows_(out.x),
        doutputs_rows_(out.outputs, 0, in.E()),
        dd_rows_(out.outputs, in.E(), in.E()),
        key_(key),
        row_(row),
        scratch_((CHECKPOINT_STEPS + 2) * size() + 9 * key.floats() +
                 5 * (row.floats() + key.floats())),
        gradient_(scratch_.take(size())),
        states_(scratch_.take(CHECKPOINT_STEPS * size())),
        w_(scratch_.take(size())),
        x_buffer_(scratch_.take(key.floats())),
        dy_buffer_(scratch_.take(key.floats())),
        difference_(scratch_.take(key.floats())),
        dk_(scratch_.take(key.floats())),
        z_(scratch_.take(key.floats())),
        dx_(scratch_.take(key.floats())),
        more_(scratch_.take(key.floats())),
        doutputs_(scratch_.take(row.floats() + key.floats())),
        dd_(scratch_.take(row.floats())),
        written_(scratch_.take(row.floats())),
        dwritten_(scratch_.take(row.floats())) {}

  void operator()(int64_t b, int64_t h) {
    if (h != head_) {
      head_ = h;
      transpose_matrix(in_.weights(h), in_.E(), w_, key_.floats(), in_.D, in_.E());
    }
    cut();
    copy_matrix(matrix_of(grads_.dstate, b, h), in_.E(), gradient_, row_.floats(), in_.D, in_.E());
    for_each_segment_backwards(
        in_.T,
        [&](int64_t segment) {
          transpose_matrix(checkpoint_of(grads_.checkpoints, segment, b, h), row_.floats(),
                           states_, key_.floats(), key_.floats(), row_.floats());
        },
        [&](int64_t t, int i, bool is_last) {
          if (!is_last) prefetch_saved_row(grads_.saved, t + 1, b, h);
          replay(i, in_.start(t, b), is_last, saved(t, b, h));
        },
        [&](int64_t t, int i) {
          if (t >= PREFETCH_STEPS) prefetch(t - PREFETCH_STEPS, b, h);
          step(t, i, b, h, saved(t, b, h));
          if (truncate_ || in_.start(t, b)) cut();
        });
    write(gradient_, gradient_, 1.0f, x_, doutputs_, key_.floats(), row_);
    write(gradient_, gradient_, 1.0f, difference_, dd_, key_.floats(), row_);
    copy_matrix(gradient_, row_.floats(), matrix_of(out_.state, b, h), in_.E(), in_.D, in_.E());
  }

 private:
  int64_t size() const { return int64_t{key_.floats()} * row_.floats(); }
  SavedStep saved(int64_t t, int64_t b, int64_t h) const {
    return {saved_row(grads_.saved, t, b, h), key_.floats(), row_.floats()};
  }

  FW_INLINE void prefetch(int64_t t, int64_t b, int64_t h) const {
    in_.x.prefetch(t, b, h);
    grads_.dy.prefetch(t, b, h);
    for (const OutputRows* x : {&dx_rows_, &doutputs_rows_, &dd_rows_}) x->prefetch(t, b, h);
  }

  // No gradient reaches the state before this step.
  void cut() {
    std::memset(gradient_, 0, size() * sizeof(float));
    for (float* x : {doutputs_, dd_}) std::memset(x, 0, row_.floats() * sizeof(float));
    std::memset(difference_, 0, key_.floats() * sizeof(float));
    std::memset(x_buffer_, 0, key_.floats() * sizeof(float));
    x_ = x_buffer_;
  }

  // Makes the state before step i + 1 of the segment from the one before step i; transposed.
  void replay(int i, bool start, bool is_last, SavedStep at) {
    float* const state = states_ + i * size();
    if (start) std::memset(state, 0, size() * sizeof(float));
    if (is_last) return;
    scale_parts(at.d, at.beta, in_.D, row_.floats(), written_);
    write(state, state + size(), 1.0f, written_, at.k, row_.floats(), key_);
  }

  // y = (w + state) x
  FW_INLINE void multiply(const float* state, const float* x, float* y) {
    combine_rows(w_, x, row_.floats(), key_, y);
    combine_rows(state, x, row_.floats(), key_, more_);
    add(more_, key_, y);
  }

  FW_INLINE void step(int64_t t, int i, int64_t b, int64_t h, SavedStep at) {
    const int64_t D = in_.D;
    const int d = key_.floats();
    const float* const state = states_ + i * size();
    scale_parts(at.d, at.beta, D, row_.floats(), written_);
    // The last two terms are those of the step after this one.
    accumulate_and_multiply(gradient_, 1.0f, {x_, doutputs_}, {difference_, dd_}, at.k, written_,
                            d, row_, dwritten_, dk_);
    scale_parts(dwritten_, at.beta, D, row_.floats(), dd_);
    multiply(state, dd_, z_);
    for (int n = 0; n < d; n += LANES) {
      store(dk_ + n, load(dk_ + n) - load(z_ + n));
      store(difference_ + n, load(at.q + n) - load(at.k + n));
    }
    softmax_backward(at.q, z_, key_, z_);
    softmax_backward(at.k, dk_, key_, dk_);
    std::memcpy(doutputs_, grads_.dy.row(t, b, h, dy_buffer_), D * sizeof(float));
    std::memcpy(doutputs_ + D, z_, D * sizeof(float));
    std::memcpy(doutputs_ + 2 * D, dk_, D * sizeof(float));
    for_each_part(D, [&](int part, int64_t first, int64_t columns) {
      const float dbeta = sum_of_products(dwritten_ + first, at.d + first, columns);
      doutputs_[3 * D + part] = dbeta * at.beta[part] * (1.0f - at.beta[part]);
    });
    multiply(state, doutputs_, dx_);
    x_ = in_.x.row(t, b, h, x_buffer_);
    dx_rows_.copy(t, b, h, dx_);
    doutputs_rows_.copy(t, b, h, doutputs_);
    dd_rows_.copy(t, b, h, dd_);
  }

  static FW_INLINE float sum_of_products(const float* x, const float* y, int64_t size) {
    Vec sums{};
    int64_t i = 0;
    for (; i + LANES <= size; i += LANES) sums += load(x + i) * load(y + i);
    float sum = sum_of_lanes(sums);
    for (; i < size; ++i) sum += x[i] * y[i];
    return sum;
  }

  const Inputs& in_;
  const Incoming& grads_;
  bool truncate_;
  const Gradients& out_;
  OutputRows dx_rows_, doutputs_rows_, dd_rows_;
  Width<FD> key_;
  Width<FE> row_;
  Scratch scratch_;
  float* gradient_;  // [D, E]; complete once the two outer products of the last step seen are in
  float* states_;
  float* w_;
  float *x_buffer_, *dy_buffer_, *difference_, *dk_, *z_, *dx_, *more_;
  float *doutputs_, *dd_, *written_, *dwritten_;
  const float* x_ = nullptr;
  int64_t head_ = -1;
};

std::tuple<Tensor, Tensor, Tensor> backward(const Tensor& dy, const Tensor& dstate,
                                            const Tensor& x, const Tensor& w, const Tensor& start,
                                            const Tensor& saved, const Tensor& checkpoints,
                                            bool truncate) {
  const Inputs in(x, w, start);
  const Incoming grads{dy, dstate.contiguous(), saved, checkpoints};
  const Gradients out{at::empty({in.T, in.B, in.H, in.D}, saved.options()),
                      at::empty({in.T, in.B, in.H, 2 * in.E()}, saved.options()),
                      at::empty_like(grads.dstate)};
  with_srwm_widths(in.D, [&](auto key, auto row) {
    for_each_head(in.B, in.H, 9 * in.T * in.D * in.E(),
                  [&] { return Backward(in, grads, truncate, out, key, row); });
  });
  return {out.x, out.outputs.view({in.T, in.B, in.H, 2, in.E()}), out.state};
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(fast_weights, m) {
  m.def(
      "srwm(Tensor x, Tensor w, Tensor state, Tensor start, bool truncate, bool save) "
      "-> (Tensor y, Tensor state, Tensor saved, Tensor checkpoints)");
  m.def(
      "srwm_backward(Tensor dy, Tensor dstate, Tensor x, Tensor w, Tensor start, Tensor saved, "
      "Tensor checkpoints, bool truncate) -> (Tensor dx, Tensor doutputs, Tensor dstate)");
}

TORCH_LIBRARY_IMPL(fast_weights, CPU, m) {
  m.impl("srwm", forward);
  m.impl("srwm_backward", backward);
}

}  // namespace fast_weights
