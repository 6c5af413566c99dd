// HALCYON_CHECK: an invariant of the program itself. It stays on in release builds and ends the
// process; faults of disks, networks, peers and input are absl::Status instead.
#ifndef HALCYON_BASE_CHECK_H_
#define HALCYON_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define HALCYON_CHECK(condition)                                                                \
  do {                                                                                          \
    if (!(condition)) [[unlikely]] {                                                            \
      std::fprintf(stderr, "fatal: %s:%d: check failed: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                             \
    }                                                                                           \
  } while (false)

#endif  // HALCYON_BASE_CHECK_H_
