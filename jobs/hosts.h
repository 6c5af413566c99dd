// The hosts that a job's processes run on, and how many ranks run on each. Pure: texts and numbers.
#ifndef HALCYON_JOBS_HOSTS_H_
#define HALCYON_JOBS_HOSTS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::jobs {

struct Host {
  std::string name;
  int64_t slots = 0;  // ranks that it takes before another host is used; 0: not said
  int64_t cpus = 0;   // processors that the job may use there; 0: not known
  bool operator==(const Host&) const = default;
};

// "n1:4" or "n2". kInvalidArgument: not a host's name of letters, digits, '.', '-' and '_', or not
// a number of slots from 1 to 1024 after it.
absl::StatusOr<Host> ParseHost(std::string_view text);
// Also refuses a host that is named twice.
absl::StatusOr<std::vector<Host>> ParseHosts(const std::vector<std::string>& texts);
// Open MPI's form: a line "NAME [slots=N]" for each host; '#' begins a comment. `path` is for
// errors.
absl::StatusOr<std::vector<Host>> ParseHostfile(std::string_view text, const std::string& path);

// Slurm's abbreviations. "n[1-3,07],m2" is n1, n2, n3, n07, m2; "2(x3),1" is 2, 2, 2, 1.
// kInvalidArgument: cannot be read.
absl::StatusOr<std::vector<std::string>> ExpandNodeList(std::string_view text);
absl::StatusOr<std::vector<int64_t>> ExpandCounts(std::string_view text);

struct HostRanks {
  std::string host;
  int64_t ranks = 0;
  bool operator==(const HostRanks&) const = default;
};

// Ranks in order, host after host: each takes as many as it has slots. What is left over is shared
// evenly among the hosts without a number of slots, or among all where each has one; hosts that are
// first take one more. Hosts without a rank are left out.
// REQUIRES: hosts is not empty.
std::vector<HostRanks> PlaceRanks(const std::vector<Host>& hosts, int64_t ranks);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_HOSTS_H_
