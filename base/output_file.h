// A file that a user named, as in `--output FILE`.
#ifndef HALCYON_BASE_OUTPUT_FILE_H_
#define HALCYON_BASE_OUTPUT_FILE_H_

#include <memory>
#include <string>
#include <string_view>

#include "base/env.h"
#include "base/file_descriptor.h"
#include "base/status.h"

namespace halcyon {

// What is written depends on what has the name:
//   - a regular file, or nothing yet: the bytes go beside it, and Close replaces the file at once,
//     with the permissions that it had;
//   - a symbolic link: the file that it leads to, which need not exist, is written in the same way;
//   - a device or a FIFO: the bytes go into it as they come;
//   - a descriptor of this process (/dev/stdout, /dev/fd/3): written at its current position.
// Destroyed before Close, a regular file is as it was. Not thread-safe.
class OutputFile : public WritableFile {
 public:
  // kInvalidArgument: a folder. A FIFO is waited for until a reader opens it.
  static absl::StatusOr<std::unique_ptr<OutputFile>> Open(const std::string& path);
  ~OutputFile() override;

  absl::Status Append(std::string_view bytes) override;
  // Does nothing for devices, FIFOs and descriptors.
  absl::Status Sync() override;
  // After OK the complete file has its name and is on the disk.
  absl::Status Close() override;

 private:
  OutputFile(std::string path, std::string target, std::string temporary, FileDescriptor file)
      : path_(std::move(path)),
        target_(std::move(target)),
        temporary_(std::move(temporary)),
        file_(std::move(file)) {}

  std::string path_;       // as the user gave it, for messages
  std::string target_;     // what is replaced
  std::string temporary_;  // "" when the bytes go straight to the target
  FileDescriptor file_;
};

absl::Status WriteOutputFile(const std::string& path, std::string_view bytes);

// The path after following symbolic links; the file need not exist.
absl::StatusOr<std::string> FollowLinks(const std::string& path);

}  // namespace halcyon

#endif  // HALCYON_BASE_OUTPUT_FILE_H_
