// The matrix that a forward pass updates in place.
#pragma once

#include "layout.h"

namespace fast_weights {

// One head's state while the forward pass runs: in the output tensor itself if unpadded.
class ForwardState {
 public:
  ForwardState(int64_t K, int64_t V, Scratch& scratch)
      : K_(K), V_(V), buffer_(is_padded(K, V) ? scratch.take(floats(K, V)) : nullptr) {}

  static int64_t floats(int64_t K, int64_t V) { return int64_t{padded(K)} * padded(V); }

  // The padded matrix to work in; `from` is copied to it, and `to` gets it at the end. The padding
  // is cleared: a NaN of the matrix before may have reached it.
  float* load(const float* from, float* to) {
    to_ = to;
    matrix_ = buffer_ != nullptr ? buffer_ : to;
    if (buffer_ != nullptr) clear();
    copy_matrix(from, V_, matrix_, padded(V_), K_, V_);
    return matrix_;
  }
  void clear() { std::memset(matrix_, 0, floats(K_, V_) * sizeof(float)); }
  void checkpoint(float* to) const {
    std::memcpy(to, matrix_, floats(K_, V_) * sizeof(float));
  }
  void finish() const {
    if (buffer_ != nullptr) copy_matrix(buffer_, padded(V_), to_, V_, K_, V_);
  }

 private:
  int64_t K_, V_;
  float* buffer_;
  float* matrix_ = nullptr;
  float* to_ = nullptr;
};

}  // namespace fast_weights
