// simulation [--seeds N] [--first S] [--seed S] [--trace] [--bug NAME]: simulates jobs, a seed
// each, and stops at the first that breaks an invariant. The same seed does the same again.
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/simulation/world.h"

namespace {

using halcyon::simulation::kPlantedBugs;
using halcyon::simulation::PlantedBug;
using halcyon::simulation::Result;
using halcyon::simulation::World;

struct Options {
  uint64_t first = 1, seeds = 2000;
  bool trace = false;
  PlantedBug bug = PlantedBug::kNone;
};

[[noreturn]] void Usage() {
  std::fprintf(stderr,
               "usage: simulation [--seeds N] [--first S] [--seed S] [--trace] [--bug NAME]\n"
               "bugs that can be planted:\n");
  for (const auto& bug : kPlantedBugs) std::fprintf(stderr, "  %s\n", bug.name);
  std::exit(2);
}

uint64_t Number(const char* text) {
  char* end = nullptr;
  errno = 0;
  const uint64_t number = std::strtoull(text, &end, 10);
  // strtoull takes "-5" for 2^64 - 5.
  if (std::isdigit(static_cast<unsigned char>(*text)) == 0 || *end != '\0' || errno != 0) Usage();
  return number;
}

PlantedBug BugOf(const std::string& name) {
  for (const auto& bug : kPlantedBugs) {
    if (name == bug.name) return bug.bug;
  }
  Usage();
}

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--trace") {
      options.trace = true;
      continue;
    }
    if (++i == argc) Usage();
    if (name == "--seeds") {
      options.seeds = Number(argv[i]);
    } else if (name == "--first") {
      options.first = Number(argv[i]);
    } else if (name == "--seed") {
      options.first = Number(argv[i]);
      options.seeds = 1;
    } else if (name == "--bug") {
      options.bug = BugOf(argv[i]);
    } else {
      Usage();
    }
  }
  return options;
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = Parse(argc, argv);
  uint64_t events = 0, coordinators = 0;
  for (uint64_t seed = options.first; seed < options.first + options.seeds; ++seed) {
    const Result result = World(seed, options.bug, options.trace).Run();
    events += result.events;
    coordinators += result.coordinators;
    if (result.violation.empty()) continue;
    std::printf("%sseed %llu (%s): %s\n", options.trace ? "" : result.trace.c_str(),
                static_cast<unsigned long long>(seed), result.scenario.c_str(),
                result.violation.c_str());
    return 1;
  }
  std::printf("%llu seeds, %llu events, %llu coordinators: all invariants hold\n",
              static_cast<unsigned long long>(options.seeds),
              static_cast<unsigned long long>(events),
              static_cast<unsigned long long>(coordinators));
  return 0;
}
