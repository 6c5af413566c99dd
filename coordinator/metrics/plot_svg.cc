#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "coordinator/metrics/plot.h"

namespace halcyon::coordinator {
namespace {

constexpr int kWidth = 800, kPanelHeight = 300;
constexpr int kLeft = 80, kRight = 20, kTop = 40, kBottom = 40;
constexpr int kTicks = 6;
constexpr size_t kBuckets = 1000;

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '&') {
      escaped += "&amp;";
    } else if (c == '<') {
      escaped += "&lt;";
    } else if (c == '>') {
      escaped += "&gt;";
    } else {
      escaped += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
  }
  return escaped;
}

using Points = std::vector<std::pair<double, double>>;

// Of each run of points the first, the least and the greatest, in their order.
Points Thinned(const Points& points) {
  if (points.size() <= 3 * kBuckets) return points;
  Points thinned;
  const auto less = [](const auto& a, const auto& b) { return a.second < b.second; };
  for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
    const auto begin = points.begin() + static_cast<ptrdiff_t>(bucket * points.size() / kBuckets);
    const auto end =
        points.begin() + static_cast<ptrdiff_t>((bucket + 1) * points.size() / kBuckets);
    std::vector<Points::const_iterator> kept = {begin, std::min_element(begin, end, less),
                                                std::max_element(begin, end, less)};
    std::sort(kept.begin(), kept.end());
    kept.erase(std::unique(kept.begin(), kept.end()), kept.end());
    for (const auto point : kept) thinned.push_back(*point);
  }
  if (thinned.back() != points.back()) thinned.push_back(points.back());
  return thinned;
}

// One curve with its axes, its upper edge at `top`.
class Panel {
 public:
  Panel(const Curve& curve, int top) : curve_(curve), top_(top + kTop) {
    left_ = curve.points.front().first;
    right_ = curve.points.back().first;
    const auto [low, high] =
        std::minmax_element(curve.points.begin(), curve.points.end(),
                            [](const auto& a, const auto& b) { return a.second < b.second; });
    low_ = low->second;
    high_ = high->second;
    Widen(&left_, &right_);
    Widen(&low_, &high_);
  }

  std::string Svg() const {
    std::string text = fmt::format("<text x=\"{}\" y=\"{}\" font-weight=\"bold\">{}</text>\n",
                                   kLeft, top_ - 12, Escaped(curve_.name));
    for (const double tick : RoundTicks(low_, high_, kTicks)) {
      text += fmt::format(
          "<line x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\" stroke=\"#ddd\"/>"
          "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:.4g}</text>\n",
          kLeft, Y(tick), kWidth - kRight, Y(tick), kLeft - 8, Y(tick) + 4, tick);
    }
    for (const double tick : RoundTicks(left_, right_, kTicks)) {
      text += fmt::format(
          "<line x1=\"{:.1f}\" y1=\"{}\" x2=\"{:.1f}\" y2=\"{}\" stroke=\"#ddd\"/>"
          "<text x=\"{:.1f}\" y=\"{}\" text-anchor=\"middle\">{:.7g}</text>\n",
          X(tick), top_, X(tick), top_ + Height(), X(tick), top_ + Height() + 18, tick);
    }
    text += "<polyline fill=\"none\" stroke=\"#1f5fa8\" stroke-width=\"1.5\" points=\"";
    for (const auto& [x, y] : Thinned(curve_.points)) {
      text += fmt::format("{:.1f},{:.1f} ", X(x), Y(y));
    }
    return text + "\"/>\n";
  }

 private:
  static void Widen(double* low, double* high) {
    if (*low < *high) return;
    const double margin = *low == 0 ? 1 : std::abs(*low) / 2;
    *low -= margin;
    *high += margin;
  }
  static constexpr int Height() { return kPanelHeight - kTop - kBottom; }
  double X(double x) const {
    return kLeft + (x - left_) / (right_ - left_) * (kWidth - kLeft - kRight);
  }
  double Y(double y) const { return top_ + (high_ - y) / (high_ - low_) * Height(); }

  const Curve& curve_;
  const int top_;
  double left_, right_, low_, high_;
};

}  // namespace

std::vector<double> RoundTicks(double low, double high, int count) {
  const double rough = (high - low) / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  const double first = std::ceil(low / step - 1e-9);
  for (int i = 0; i <= 2 * count; ++i) {
    const double tick = (first + i) * step;
    if (tick > high + 1e-9 * step) break;
    ticks.push_back(tick);
  }
  return ticks;
}

std::string PlotSvg(const std::string& title, const std::vector<Curve>& curves) {
  const int heading = 36;
  const int height = heading + kPanelHeight * static_cast<int>(curves.size());
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" "
      "viewBox=\"0 0 {0} {1}\" font-family=\"sans-serif\" font-size=\"12\">\n"
      "<rect width=\"{0}\" height=\"{1}\" fill=\"white\"/>\n"
      "<text x=\"{2}\" y=\"26\" font-size=\"16\">{3}</text>\n",
      kWidth, height, kLeft, Escaped(title));
  for (size_t i = 0; i < curves.size(); ++i) {
    text += Panel(curves[i], heading + kPanelHeight * static_cast<int>(i)).Svg();
  }
  return text + "</svg>\n";
}

}  // namespace halcyon::coordinator
