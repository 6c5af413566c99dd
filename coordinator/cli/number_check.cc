#include "coordinator/cli/number_check.h"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

namespace halcyon::coordinator {
namespace {

template <typename Number>
bool ReadsAs(const std::string& text, Number* value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size();
}

}  // namespace

NumberCheck WholeNumber(int64_t min, int64_t max) {
  return [=](const std::string& text) -> std::string {
    int64_t value = 0;
    const bool leading_zero = text.size() > 1 && text[0] == '0';
    if (!leading_zero && ReadsAs(text, &value) && value >= min && value <= max) return "";
    return fmt::format("\"{}\" is not a whole number from {} to {}", text, min, max);
  };
}

NumberCheck RealNumber(double min, double max, bool above) {
  return [=](const std::string& text) -> std::string {
    double value = 0;
    const bool reads = ReadsAs(text, &value) && std::isfinite(value);
    if (reads && value <= max && (above ? value > min : value >= min)) return "";
    return fmt::format("\"{}\" is not a number {} {} {} {}", text, above ? "above" : "from", min,
                       above ? "and at most" : "to", max);
  };
}

}  // namespace halcyon::coordinator
