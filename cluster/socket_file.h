// The path of a local socket, which may be longer than the system allows for an address.
#ifndef HALCYON_CLUSTER_SOCKET_FILE_H_
#define HALCYON_CLUSTER_SOCKET_FILE_H_

#include <fcntl.h>

#include <string>
#include <utility>

#include "base/env.h"
#include "base/file_descriptor.h"
#include "base/status.h"

namespace halcyon::cluster {

// A socket file, reached through its open folder: the address of a local socket has at most 107
// bytes, the path of a state folder may have more. ZeroMQ uses the address whenever it connects
// again, so this outlives the socket.
class SocketFile {
 public:
  static absl::StatusOr<SocketFile> Open(const std::string& path) {
    ASSIGN_OR_RETURN(FileDescriptor folder,
                     FileDescriptor::Open(DirName(path), O_PATH | O_DIRECTORY), "socket " + path);
    return SocketFile(std::move(folder), path);
  }
  const std::string& path() const { return path_; }
  // The endpoint for ZeroMQ; of this process alone.
  std::string Address() const {
    return "ipc:///proc/self/fd/" + std::to_string(folder_.get()) + "/" + BaseName(path_);
  }

 private:
  SocketFile(FileDescriptor folder, std::string path)
      : folder_(std::move(folder)), path_(std::move(path)) {}
  FileDescriptor folder_;
  std::string path_;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_SOCKET_FILE_H_
