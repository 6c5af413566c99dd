#include "base/disk_rate.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "base/file_descriptor.h"
#include "base/philox.h"

namespace halcyon {
namespace {

constexpr size_t kBlockBytes = 1 << 20;

double ASecond(uint64_t bytes, int64_t since_us) {
  const int64_t took_us = std::max<int64_t>(1, Clock::Real()->MonotonicUs() - since_us);
  return static_cast<double>(bytes) * 1e6 / static_cast<double>(took_us);
}

}  // namespace

absl::StatusOr<DiskRate> MeasureDiskRate(const std::string& folder, uint64_t bytes) {
  HALCYON_CHECK(bytes > 0);
  std::string path = folder + "/.disk_rate.XXXXXX";
  const FileDescriptor file(mkostemp(path.data(), O_CLOEXEC));
  if (!file.valid()) return ErrnoStatus(errno, "cannot make a file in " + folder);
  unlink(path.c_str());  // gone with the descriptor, whatever happens
  // Numbers that a file system does not compress.
  std::vector<uint32_t> numbers(kBlockBytes / sizeof(uint32_t));
  PhiloxStream(/*seed=*/1, NoiseStream::kEvaluation, /*step=*/0, /*sample=*/0).FillBits(0, numbers);
  char* const block = reinterpret_cast<char*>(numbers.data());
  DiskRate rate;
  int64_t began_us = Clock::Real()->MonotonicUs();
  for (uint64_t written = 0; written < bytes;) {
    const std::string_view part(block, std::min(bytes - written, kBlockBytes));
    if (const int error = WriteAll(file.get(), part); error != 0) {
      return ErrnoStatus(error, "cannot write to " + folder);
    }
    written += part.size();
  }
  if (fsync(file.get()) != 0) return ErrnoStatus(errno, "cannot write to " + folder);
  rate.write_bytes = ASecond(bytes, began_us);
  posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);  // a wish only
  began_us = Clock::Real()->MonotonicUs();
  for (uint64_t done = 0; done < bytes;) {
    const ssize_t got = pread(file.get(), block, kBlockBytes, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return ErrnoStatus(got < 0 ? errno : EIO, "cannot read from " + folder);
    done += static_cast<uint64_t>(got);
  }
  rate.read_bytes = ASecond(bytes, began_us);
  return rate;
}

}  // namespace halcyon
