// One head's fast weight matrix under the delta rule with decay, forward and backward.
//
//     u = v - alpha W^T k        W' = alpha W + k (beta u)^T        y = W'^T q
//
// Backward, with g = dL/dy and G = dL/dW' (which already holds q g^T):
//
//     r = G^T k     dv = beta r     dbeta = u . r
//     dq = W' g     dk = beta G u - alpha W dv
//     dL/dW = alpha (G - k dv^T)     dalpha = <G, W> - k . W dv
//
// `dq` uses W' g = alpha W g + k (beta u . g), so that one stored state per step serves both.
// States and their gradient are held transposed, since backward multiplies states from the other
// side. Where nothing decays alpha is 1: multiplying by it changes no bit.
#pragma once

#include "matrix.h"
#include "state.h"

namespace fast_weights {

// Leaves u for the backward pass, and beta u in `delta`.
template <int FK, int FV>
FW_INLINE void delta_error(const float* w, const float* k, const float* v, float beta, float alpha,
                           Width<FK> key, Width<FV> value, float* u, float* delta) {
  combine_rows(w, k, key.floats(), value, u);
  for (int j = 0; j < value.floats(); j += LANES) {
    const Vec missing = load(v + j) - load(u + j) * alpha;
    store(u + j, missing);
    store(delta + j, missing * beta);
  }
}

// Writes v at k, reads at q; leaves u for the backward pass. `delta` is scratch.
template <int FK, int FV>
FW_INLINE void delta_step(float* w, const float* q, const float* k, const float* v, float beta,
                          float alpha, Width<FK> key, Width<FV> value, float* u, float* delta,
                          float* y) {
  delta_error(w, k, v, beta, alpha, key, value, u, delta);
  write_and_combine(w, alpha, k, delta, q, key.floats(), value, y);
}

// The same without the read.
template <int FK, int FV>
FW_INLINE void delta_write(float* w, const float* k, const float* v, float beta, float alpha,
                           Width<FK> key, Width<FV> value, float* u, float* delta) {
  delta_error(w, k, v, beta, alpha, key, value, u, delta);
  write(w, w, alpha, k, delta, key.floats(), value);
}

// The backward pass of one head, segment by segment.
template <int FK, int FV>
class DeltaBackward {
 public:
  DeltaBackward(Width<FK> key, Width<FV> value, Scratch& scratch)
      : key_(key),
        value_(value),
        gradient_(scratch.take(size())),
        states_(scratch.take(CHECKPOINT_STEPS * size())),
        pending_k_(scratch.take(key.floats())),
        pending_dv_(scratch.take(value.floats())),
        delta_(scratch.take(value.floats())),
        key_products_(scratch.take(key.floats())) {}

  static int64_t scratch_floats(int64_t K, int64_t V) {
    return (CHECKPOINT_STEPS + 1) * ForwardState::floats(K, V) + 2 * padded(K) + 2 * padded(V);
  }

  // dL/dW after the last step, [K, V].
  void begin(const float* from, int64_t K, int64_t V) {
    cut();
    transpose_matrix(from, V, gradient_, key_.floats(), K, V);
  }

  // The stored state before step 0 of a segment.
  void load_checkpoint(const float* from) {
    transpose_matrix(from, value_.floats(), states_, key_.floats(), key_.floats(),
                     value_.floats());
  }

  // Makes the state before step i + 1 of the segment from the one before step i.
  FW_INLINE void replay(int i, bool start, bool is_last, const float* k, const float* u,
                        float beta, float alpha = 1.0f) {
    float* const state = states_ + i * size();
    if (start) std::memset(state, 0, size() * sizeof(float));
    if (is_last) return;
    scale(u, beta, delta_);
    write(state, state + size(), alpha, delta_, k, value_.floats(), key_);
  }

  // Step i of the segment; g = dL/dy. Writes dq, dk, dv and, if it is asked for, dalpha, and
  // returns dbeta.
  FW_INLINE float step(int i, const float* q, const float* k, const float* u, float beta,
                       const float* g, float* dq, float* dk, float* dv, float alpha = 1.0f,
                       float* dalpha = nullptr) {
    const float* const state = states_ + i * size();
    accumulate_and_multiply(gradient_, pending_alpha_, {g, q}, {pending_dv_, pending_k_}, u, k,
                            value_.floats(), key_, key_products_, dv);
    const float dbeta = dot(u, dv, value_);
    scale(dv, beta, dv);
    scale(u, beta, delta_);
    const float read = dot(delta_, g, value_);
    combine_rows_twice(state, g, dv, value_.floats(), key_, dq, dk);
    if (dalpha != nullptr) {
      *dalpha = inner_product(gradient_, state, value_.floats(), key_) - dot(k, dk, key_);
    }
    for (int n = 0; n < key_.floats(); n += LANES) {
      store(dq + n, load(dq + n) * alpha + load(k + n) * read);
      store(dk + n, load(key_products_ + n) * beta - load(dk + n) * alpha);
      store(pending_k_ + n, load(k + n) * -alpha);
    }
    std::memcpy(pending_dv_, dv, value_.floats() * sizeof(float));
    pending_alpha_ = alpha;
    return dbeta;
  }

  // No gradient reaches the state before this step.
  void cut() {
    std::memset(gradient_, 0, size() * sizeof(float));
    std::memset(pending_k_, 0, key_.floats() * sizeof(float));
    std::memset(pending_dv_, 0, value_.floats() * sizeof(float));
    pending_alpha_ = 1.0f;
  }

  // dL/dW before the first step, [K, V].
  void finish(float* to, int64_t K, int64_t V) {
    write(gradient_, gradient_, pending_alpha_, pending_dv_, pending_k_, value_.floats(), key_);
    transpose_matrix(gradient_, key_.floats(), to, V, V, K);
  }

 private:
  int64_t size() const { return int64_t{key_.floats()} * value_.floats(); }
  void scale(const float* x, float factor, float* y) const {
    for (int j = 0; j < value_.floats(); j += LANES) store(y + j, load(x + j) * factor);
  }

  Width<FK> key_;
  Width<FV> value_;
  float* gradient_;  // [V, K]; complete once alpha and the outer product that are pending are in
  float* states_;
  float* pending_k_;
  float* pending_dv_;
  float* delta_;
  float* key_products_;
  float pending_alpha_ = 1.0f;
};

// Visits a sequence backwards, one segment between checkpoints at a time: `load(segment)`,
// `replay(t, i, is_last)` forwards for its steps, then `step(t, i)` backwards; i counts within
// the segment.
template <class Load, class Replay, class Step>
FW_INLINE void for_each_segment_backwards(int64_t T, Load load, Replay replay, Step step) {
  for (int64_t segment = num_segments(T) - 1; segment >= 0; --segment) {
    const int64_t first = segment * CHECKPOINT_STEPS;
    const int64_t last = std::min(T, first + CHECKPOINT_STEPS) - 1;
    load(segment);
    for (int64_t t = first; t <= last; ++t) replay(t, static_cast<int>(t - first), t == last);
    for (int64_t t = last; t >= first; --t) step(t, static_cast<int>(t - first));
  }
}

}  // namespace fast_weights
