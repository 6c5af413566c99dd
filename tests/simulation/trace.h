// The last lines of what happened in a simulation, or all of it on standard output.
#ifndef HALCYON_TESTS_SIMULATION_TRACE_H_
#define HALCYON_TESTS_SIMULATION_TRACE_H_

#include <cstdint>
#include <cstdio>
#include <deque>
#include <string>
#include <utility>

namespace halcyon::simulation {

class Trace {
 public:
  explicit Trace(bool prints) : prints_(prints) {}

  void Add(int64_t now_ms, const std::string& line) {
    lines_.emplace_back(now_ms, line);
    if (prints_) std::printf("%s", Format(lines_.back()).c_str());
    if (lines_.size() > kLinesMax) lines_.pop_front();
  }
  std::string Last() const {
    std::string text;
    for (const auto& line : lines_) text += Format(line);
    return text;
  }

 private:
  static constexpr size_t kLinesMax = 80;
  static std::string Format(const std::pair<int64_t, std::string>& line) {
    const std::string ms = std::to_string(line.first);
    return std::string(ms.size() < 8 ? 8 - ms.size() : 0, ' ') + ms + " ms  " + line.second + "\n";
  }

  bool prints_;
  std::deque<std::pair<int64_t, std::string>> lines_;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_TRACE_H_
