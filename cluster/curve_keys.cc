#include "cluster/curve_keys.h"

#include <zmq.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "base/env.h"
#include "cluster/private_file.h"

namespace halcyon::cluster {
namespace {

constexpr size_t kKeyCharacters = 40;
constexpr size_t kCurveFileBytesMax = 4096;
constexpr std::string_view kZ85 =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

absl::StatusOr<CurveKeyPair> MakePair() {
  char public_key[kKeyCharacters + 1], secret_key[kKeyCharacters + 1];
  if (zmq_curve_keypair(public_key, secret_key) != 0) {
    return FailedPrecondition(std::string("cannot make CURVE keys: ") + zmq_strerror(zmq_errno()));
  }
  return CurveKeyPair{public_key, secret_key};
}

nlohmann::json JsonOfPair(const CurveKeyPair& pair) {
  return {{"public", pair.public_key}, {"secret", pair.secret_key}};
}

// The pair belongs together, so that a damaged file is reported here and not by a peer's silence.
bool ReadPair(const nlohmann::json& json, const char* name, CurveKeyPair* pair) {
  const auto found = json.find(name);
  if (found == json.end() || !found->is_object()) return false;
  const auto read = [&](const char* member, std::string* key) {
    const auto value = found->find(member);
    if (value == found->end() || !value->is_string()) return false;
    *key = value->get<std::string>();
    return IsCurveKey(*key);
  };
  if (!read("public", &pair->public_key) || !read("secret", &pair->secret_key)) return false;
  char derived[kKeyCharacters + 1];
  return zmq_curve_public(derived, pair->secret_key.c_str()) == 0 && pair->public_key == derived;
}

}  // namespace

bool IsCurveKey(std::string_view text) {
  return text.size() == kKeyCharacters && text.find_first_not_of(kZ85) == std::string_view::npos;
}

absl::StatusOr<CurveKeys> MakeCurveKeys() {
  CurveKeys keys;
  ASSIGN_OR_RETURN(keys.server, MakePair());
  ASSIGN_OR_RETURN(keys.worker, MakePair());
  return keys;
}

std::string CurveFile(const std::string& job_folder) {
  const char* path = std::getenv(kCurveFileVariable);
  return path != nullptr && *path != '\0' ? path : JoinPath(job_folder, "curve.json");
}

absl::Status WriteCurveKeys(const std::string& path, const CurveKeys& keys) {
  const nlohmann::json json = {{"server", JsonOfPair(keys.server)},
                               {"worker", JsonOfPair(keys.worker)}};
  return WritePrivateFile(path, json.dump(1) + "\n");
}

absl::StatusOr<CurveKeys> ReadCurveKeys(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadPrivateFile(path, kCurveFileBytesMax));
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  CurveKeys keys;
  if (!json.is_object() || !ReadPair(json, "server", &keys.server) ||
      !ReadPair(json, "worker", &keys.worker)) {
    return InvalidArgument(path +
                           " holds no CURVE keys; remove it while the job does not run, and "
                           "new ones are made");
  }
  return keys;
}

absl::StatusOr<CurveKeys> ReadOrMakeCurveKeys(const std::string& path) {
  absl::StatusOr<CurveKeys> keys = ReadCurveKeys(path);
  if (!absl::IsNotFound(keys.status())) return keys;
  ASSIGN_OR_RETURN(keys, MakeCurveKeys());
  RETURN_IF_ERROR(WriteCurveKeys(path, *keys));
  return keys;
}

}  // namespace halcyon::cluster
