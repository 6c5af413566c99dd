// The keys of a job's connections over TCP (CURVE, https://rfc.zeromq.org/spec/26/): one pair for
// the coordinator and one for all workers. Made once a job; they travel in a file that only their
// owner can read, never on a command line.
#ifndef HALCYON_CLUSTER_CURVE_KEYS_H_
#define HALCYON_CLUSTER_CURVE_KEYS_H_

#include <string>
#include <string_view>

#include "base/status.h"

namespace halcyon::cluster {

inline constexpr char kCurveFileVariable[] = "HALCYON_CURVE_FILE";

struct CurveKeyPair {
  std::string public_key, secret_key;  // Z85: 40 characters
  bool operator==(const CurveKeyPair&) const = default;
};
struct CurveKeys {
  CurveKeyPair server, worker;
  bool operator==(const CurveKeys&) const = default;
};

// Whether it can be a key: 40 characters of Z85.
bool IsCurveKey(std::string_view text);

// New random ones. kFailedPrecondition: this libzmq has no CURVE.
absl::StatusOr<CurveKeys> MakeCurveKeys();

// The file of the keys of a job: $HALCYON_CURVE_FILE, else curve.json in the job's folder.
std::string CurveFile(const std::string& job_folder);
absl::Status WriteCurveKeys(const std::string& path, const CurveKeys& keys);
// As ReadPrivateFile; kInvalidArgument when it holds no keys.
absl::StatusOr<CurveKeys> ReadCurveKeys(const std::string& path);
// Reads them, or makes them when the file does not exist.
absl::StatusOr<CurveKeys> ReadOrMakeCurveKeys(const std::string& path);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_CURVE_KEYS_H_
