// Products of a few rows with a matrix that stays in the L2 cache, packed into panels.
//
// A panel holds PANEL columns: for each row of the matrix, PANEL contiguous floats. A tile is
// at most TILE_ROWS rows of x times one panel, summed in registers.
#pragma once

#include "vector.h"

namespace fast_weights {

constexpr int PANEL_VECTORS = 4;
constexpr int PANEL = PANEL_VECTORS * LANES;
constexpr int TILE_ROWS = LANES == 16 ? 6 : 2;  // sums, one panel row and one x fill the registers

template <int ROWS>
struct Tile {
  Vec sums[ROWS][PANEL_VECTORS] = {};

  // sums[r] += the sum over n of x[r * x_row + n] times row n of the panel.
  FW_INLINE void multiply(const float* x, int64_t x_row, const float* panel, int64_t size) {
    for (int64_t n = 0; n < size; ++n) {
      Vec columns[PANEL_VECTORS];
#pragma GCC unroll 4
      for (int c = 0; c < PANEL_VECTORS; ++c) columns[c] = load(panel + n * PANEL + c * LANES);
#pragma GCC unroll 6
      for (int r = 0; r < ROWS; ++r) {
        const float factor = x[r * x_row + n];
#pragma GCC unroll 4
        for (int c = 0; c < PANEL_VECTORS; ++c) sums[r][c] += factor * columns[c];
      }
    }
  }
};

// Calls f(Tile<rows>, first row) for tiles that cover rows [begin, end).
template <class F>
void for_each_tile(int64_t begin, int64_t end, F f) {
  for (int64_t first = begin; first < end; first += TILE_ROWS) {
    switch (std::min<int64_t>(TILE_ROWS, end - first)) {
      case 1: f(Tile<1>{}, first); break;
      case 2: f(Tile<2>{}, first); break;
      case 3: f(Tile<3>{}, first); break;
      case 4: f(Tile<4>{}, first); break;
      case 5: f(Tile<5>{}, first); break;
      default: f(Tile<TILE_ROWS>{}, first);
    }
  }
}

// The first `size` lanes from memory, zero in the others.
FW_INLINE Vec load_some(const float* p, int64_t size) {
  if (size >= LANES) return load(p);
  Vec x{};
  std::memcpy(&x, p, size * sizeof(float));
  return x;
}

FW_INLINE void store_some(float* p, Vec x, int64_t size) {
  if (size >= LANES) {
    store(p, x);
  } else {
    std::memcpy(p, &x, size * sizeof(float));
  }
}

}  // namespace fast_weights
