// Numbers on the command line: checked as text, before anything is started.
#ifndef HALCYON_COORDINATOR_CLI_NUMBER_CHECK_H_
#define HALCYON_COORDINATOR_CLI_NUMBER_CHECK_H_

#include <cstdint>
#include <functional>
#include <string>

namespace halcyon::coordinator {

// For CLI::Option::check: what is wrong with the text, "" when nothing is.
using NumberCheck = std::function<std::string(const std::string&)>;

// Decimal digits alone, as in the job file: neither "1e3" nor "0x10", and no leading zero.
NumberCheck WholeNumber(int64_t min, int64_t max);
// A finite number: "0.5", "5e-1". With `above` the least value itself is excluded.
NumberCheck RealNumber(double min, double max, bool above = false);

// Upper bound of counts that the memory limits much sooner.
inline constexpr int64_t kCountMax = 1 << 20;

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_CLI_NUMBER_CHECK_H_
