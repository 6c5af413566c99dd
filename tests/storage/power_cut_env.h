// A file system in memory that can lose its power and run full. What was not synced when the power
// went is lost or kept, each piece for itself, as the test decides. In memory, so that a test can
// try every operation with many outcomes (tests/testing/faulty_env.h is the one on a real disk).
// Not thread-safe.
#ifndef HALCYON_TESTS_STORAGE_POWER_CUT_ENV_H_
#define HALCYON_TESTS_STORAGE_POWER_CUT_ENV_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/env.h"

namespace halcyon::testing {

// What Restart is told of unsynced changes: of 0 all are lost, of 1 all kept, of others each at
// random.
std::function<bool()> SurvivalOf(uint64_t outcome);

class PowerCutEnv : public Env {
 public:
  static constexpr uint64_t kNever = std::numeric_limits<uint64_t>::max();

  // Holds the folder /home, which is on the disk.
  PowerCutEnv();

  // The power goes after the next `operations` operations that change something: the one that it
  // hits fails (an Append has then written half), and so do all until Restart.
  void CutPowerAfter(uint64_t operations) { operations_left_ = operations; }
  // Operations that changed something so far.
  uint64_t operations() const { return operations_; }

  // Power is back: `survives` says of each unsynced change whether it had reached the disk.
  void Restart(const std::function<bool()>& survives);

  // Appends fail with kResourceExhausted once this many more bytes have been written.
  void LimitBytes(uint64_t bytes) { bytes_left_ = bytes; }

  // The bytes of a file, for a test to damage. REQUIRES: the file exists.
  std::string& Contents(const std::string& path);

  absl::StatusOr<std::unique_ptr<WritableFile>> NewWritableFile(const std::string& path) override;
  absl::StatusOr<std::string> ReadFile(const std::string& path) override;
  absl::StatusOr<std::string> ReadRange(const std::string& path, uint64_t offset,
                                        uint64_t size) override;
  absl::StatusOr<uint64_t> FileSize(const std::string& path) override;
  bool Exists(const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> ListDir(const std::string& path) override;
  absl::Status CreateDirs(const std::string& path) override;
  absl::Status Rename(const std::string& from, const std::string& to) override;
  absl::Status RemoveFile(const std::string& path) override;
  absl::Status RemoveTree(const std::string& path) override;
  absl::Status SyncDir(const std::string& path) override;

 private:
  class File;
  struct Node {
    bool folder = false;
    std::string bytes;
    std::string synced;
  };
  // By path; "/a" sorts before "/a/b".
  using Tree = std::map<std::string, std::shared_ptr<Node>>;

  static std::shared_ptr<Node> Find(const Tree& tree, const std::string& path);
  absl::StatusOr<std::shared_ptr<Node>> FindFile(const std::string& path);
  absl::Status StartOperation(const std::string& path);

  Tree now_;
  Tree synced_;
  uint64_t operations_ = 0;
  uint64_t operations_left_ = kNever;
  uint64_t bytes_left_ = kNever;
};

}  // namespace halcyon::testing

#endif  // HALCYON_TESTS_STORAGE_POWER_CUT_ENV_H_
