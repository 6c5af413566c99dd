// How many files this process may have open at a time.
#ifndef HALCYON_BASE_OPEN_FILES_H_
#define HALCYON_BASE_OPEN_FILES_H_

#include <cstdint>
#include <string>

namespace halcyon {

// Raises the soft limit to the hard one, or to 65,536 where that is less. This needs no privilege:
// a login shell's soft limit (1024) exists for programs that use select(). Children inherit it.
// Where raising fails the limit stays, and the error of the first file that cannot be opened says
// so.
void RaiseOpenFilesLimit();

// The soft limit now.
uint64_t OpenFilesLimit();

// For the error of a file that could not be opened for want of descriptors: "at most 1024 files may
// be open in this process; raise the limit (ulimit -n)".
std::string OpenFilesAdvice();

}  // namespace halcyon

#endif  // HALCYON_BASE_OPEN_FILES_H_
