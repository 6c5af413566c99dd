// Standard output, where commands print their results.
#ifndef HALCYON_BASE_STANDARD_OUTPUT_H_
#define HALCYON_BASE_STANDARD_OUTPUT_H_

#include <string_view>

#include "base/status.h"
#include "base/terminal_text.h"

namespace halcyon {

// Writes each text at once, with control characters escaped when the descriptor is a terminal. The
// first failure is kept and what follows it is dropped, so that commands print without checking and
// the program checks once, at its end, with Finish(). Used by one thread.
class StandardOutput {
 public:
  explicit StandardOutput(int fd) : fd_(fd) {}
  // Of this process; never destroyed.
  static StandardOutput& OfProcess();

  // Whether the descriptor can be written at all: one that was closed when the program started
  // cannot (base/file_descriptor.h).
  bool IsOpen() const;
  void Print(std::string_view text);
  // The first failure. kResourceExhausted: the disk is full; kInvalidArgument: it is not open;
  // kUnavailable: it is a pipe whose reader has closed it, where SIGPIPE is ignored.
  const absl::Status& status() const { return status_; }

  // Ends a command's output, without closing: the first failure since the last call, or one that
  // the file system reports only when a file is closed. A reader that has closed its pipe is not a
  // failure: it has read what it needed.
  absl::Status Finish();

 private:
  int fd_;
  TerminalEscaper escaper_;
  absl::Status status_;
};

}  // namespace halcyon

#endif  // HALCYON_BASE_STANDARD_OUTPUT_H_
