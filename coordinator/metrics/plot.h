// A curve as text for a terminal, and as SVG. Pure.
#ifndef HALCYON_COORDINATOR_METRICS_PLOT_H_
#define HALCYON_COORDINATOR_METRICS_PLOT_H_

#include <string>
#include <utility>
#include <vector>

namespace halcyon::coordinator {

struct Curve {
  std::string name;                               // "loss"
  std::vector<std::pair<double, double>> points;  // by x; finite
};

// Round numbers (1, 2 or 5 times a power of ten apart) that lie in [low, high]: 2 to `count` or so.
// REQUIRES: low < high, both finite.
std::vector<double> RoundTicks(double low, double high, int count);

struct PlotSize {
  int columns = 80;  // of everything
  int rows = 15;     // of the curve alone
};

// A heading, the curve with the values of its top, middle and bottom, and the x at both ends. In
// Braille characters, two by four dots each, or with `ascii` in "*". REQUIRES: a point.
std::string PlotText(const Curve& curve, const PlotSize& size, bool ascii);

// One panel a curve, below each other. Curves of many points are thinned out so that no peak is
// lost.
std::string PlotSvg(const std::string& title, const std::vector<Curve>& curves);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_METRICS_PLOT_H_
