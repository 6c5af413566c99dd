#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "coordinator/metrics/plot.h"

namespace halcyon::coordinator {
namespace {

constexpr int kLabelWidth = 10;
constexpr int kColumnsMin = 10;

// Dots on a raster, of which each character shows `across` by `down`.
class Raster {
 public:
  Raster(int columns, int rows, bool ascii)
      : across_(ascii ? 1 : 2),
        down_(ascii ? 1 : 4),
        columns_(columns),
        dots_(static_cast<size_t>(columns * across_ * rows * down_)) {}

  int width() const { return columns_ * across_; }
  int height() const { return static_cast<int>(dots_.size()) / width(); }

  // Both ends and all between; y counts from the bottom.
  void Line(int x0, int y0, int x1, int y1) {
    const int steps = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
    for (int i = 0; i <= steps; ++i) {
      const double along = static_cast<double>(i) / steps;
      Dot(static_cast<int>(std::lround(x0 + along * (x1 - x0))),
          static_cast<int>(std::lround(y0 + along * (y1 - y0))));
    }
  }

  std::string Row(int row) const {
    std::string text;
    for (int column = 0; column < columns_; ++column) text += Cell(column, row);
    return text;
  }

 private:
  void Dot(int x, int y) { dots_[static_cast<size_t>((height() - 1 - y) * width() + x)] = true; }
  bool At(int x, int y) const { return dots_[static_cast<size_t>(y * width() + x)]; }

  std::string Cell(int column, int row) const {
    if (across_ == 1) return At(column, row) ? "*" : " ";
    // The order of the dots in U+2800 ... U+28FF: down the left, down the right, then the fourth
    // of each.
    constexpr std::array<std::pair<int, int>, 8> kOrder = {
        {{0, 0}, {0, 1}, {0, 2}, {1, 0}, {1, 1}, {1, 2}, {0, 3}, {1, 3}}};
    unsigned bits = 0;
    for (size_t i = 0; i < kOrder.size(); ++i) {
      const auto [x, y] = kOrder[i];
      if (At(column * 2 + x, row * 4 + y)) bits |= 1u << i;
    }
    if (bits == 0) return " ";
    return {'\xE2', static_cast<char>(0xA0 + (bits >> 6)), static_cast<char>(0x80 + (bits & 0x3F))};
  }

  const int across_, down_, columns_;
  std::vector<bool> dots_;
};

struct Range {
  double low, high;
  // 0 ... cells - 1.
  int Place(double value, int cells) const {
    return static_cast<int>(std::lround((value - low) / (high - low) * (cells - 1)));
  }
};

// A range of no extent gets some, so that a level curve runs through the middle.
Range RangeOf(double low, double high) {
  if (low < high) return {low, high};
  const double margin = low == 0 ? 1 : std::abs(low) / 2;
  return {low - margin, high + margin};
}

std::string Label(const Range& range, int row, int rows) {
  if (row != 0 && row != rows - 1 && row != rows / 2) return "";
  const double value = range.high - (range.high - range.low) * row / std::max(1, rows - 1);
  return fmt::format("{:.4g}", value);
}

}  // namespace

std::string PlotText(const Curve& curve, const PlotSize& size, bool ascii) {
  const auto [lowest, highest] =
      std::minmax_element(curve.points.begin(), curve.points.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; });
  const Range ys = RangeOf(lowest->second, highest->second);
  const double first = curve.points.front().first, last = curve.points.back().first;
  const Range xs = RangeOf(first, last);
  const int columns = std::max(kColumnsMin, size.columns - kLabelWidth - 2);
  Raster raster(columns, size.rows, ascii);
  int x = 0, y = 0;
  for (size_t i = 0; i < curve.points.size(); ++i) {
    const int next_x = xs.Place(curve.points[i].first, raster.width());
    const int next_y = ys.Place(curve.points[i].second, raster.height());
    raster.Line(i == 0 ? next_x : x, i == 0 ? next_y : y, next_x, next_y);
    x = next_x;
    y = next_y;
  }
  std::string text = fmt::format("{}: {:.6g} at step {:.0f}, {:.6g} at step {:.0f}, least {:.6g}\n",
                                 curve.name, curve.points.front().second, first,
                                 curve.points.back().second, last, lowest->second);
  for (int row = 0; row < size.rows; ++row) {
    text += fmt::format("{:>{}} {}{}\n", Label(ys, row, size.rows), kLabelWidth,
                        ascii ? "|" : "\u2502", raster.Row(row));
  }
  const std::string left = fmt::format("{:.0f}", first), right = fmt::format("{:.0f}", last);
  return text + fmt::format("{:>{}} {}{:>{}}\n", "", kLabelWidth + 1, left, right,
                            std::max(0, columns - static_cast<int>(left.size())));
}

}  // namespace halcyon::coordinator
