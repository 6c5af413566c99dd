// Loaded into mpirun ahead of libc (LD_PRELOAD), because Open MPI 4 has no setting for either:
//   - it listens on every network interface, whatever interfaces it is told to use: a socket that
//     asks for all addresses gets the loopback one, so that a gang on one machine opens no port to
//     the network;
//   - it overruns a buffer, and aborts, when the host name has more than 59 characters.
// The ranks run without it.
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

namespace {

constexpr size_t kHostNameMax = 48;

int BindAsAsked(int socket, const void* address, socklen_t size) {
  return static_cast<int>(syscall(SYS_bind, socket, address, size));
}

}  // namespace

extern "C" int bind(int socket, const sockaddr* address, socklen_t size) noexcept {
  if (address != nullptr && size >= sizeof(sockaddr_in) && address->sa_family == AF_INET) {
    sockaddr_in inet;
    std::memcpy(&inet, address, sizeof(inet));
    if (inet.sin_addr.s_addr == htonl(INADDR_ANY)) {
      inet.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      return BindAsAsked(socket, &inet, sizeof(inet));
    }
  }
  if (address != nullptr && size >= sizeof(sockaddr_in6) && address->sa_family == AF_INET6) {
    sockaddr_in6 inet6;
    std::memcpy(&inet6, address, sizeof(inet6));
    if (IN6_IS_ADDR_UNSPECIFIED(&inet6.sin6_addr)) {
      inet6.sin6_addr = in6addr_loopback;
      return BindAsAsked(socket, &inet6, sizeof(inet6));
    }
  }
  return BindAsAsked(socket, address, size);
}

extern "C" int gethostname(char* name, size_t size) noexcept {
  utsname names;
  if (uname(&names) != 0) return -1;
  const size_t length = std::min(std::strlen(names.nodename), kHostNameMax);
  if (size <= length) {
    errno = ENAMETOOLONG;
    return -1;
  }
  std::memcpy(name, names.nodename, length);
  name[length] = '\0';
  return 0;
}
