#include "cluster/contact.h"

#include <nlohmann/json.hpp>

#include "base/env.h"
#include "cluster/curve_keys.h"
#include "cluster/endpoint.h"
#include "cluster/private_file.h"

namespace halcyon::cluster {
namespace {

constexpr size_t kContactBytesMax = 16384;  // a path may have 4096
constexpr char kIncarnation[] = "incarnation", kEndpoint[] = "endpoint",
               kServerKey[] = "server_key";

}  // namespace

std::string ContactFile(const std::string& job_folder) {
  return JoinPath(job_folder, "contact.json");
}

absl::Status WriteContact(const std::string& path, const Contact& contact) {
  nlohmann::json json = {{kIncarnation, contact.incarnation.value()},
                         {kEndpoint, contact.endpoint}};
  if (!contact.server_key.empty()) json[kServerKey] = contact.server_key;
  // A path that is no UTF-8 cannot be written as it is.
  const std::string text =
      json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  const absl::StatusOr<Contact> read = ParseContact(text);
  RETURN_IF_ERROR(read.status());
  if (!(*read == contact)) {
    return InvalidArgument("the path of the state folder is not UTF-8: " + contact.endpoint);
  }
  return WritePrivateFile(path, text);
}

absl::StatusOr<Contact> ReadContact(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadPrivateFile(path, kContactBytesMax));
  absl::StatusOr<Contact> contact = ParseContact(text);
  if (!contact.ok()) return Annotate(contact.status(), path);
  return contact;
}

absl::StatusOr<Contact> ParseContact(std::string_view text) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return InvalidArgument("is not a JSON object");
  const auto incarnation = json.find(kIncarnation), endpoint = json.find(kEndpoint),
             key = json.find(kServerKey);
  if (incarnation == json.end() || !incarnation->is_number_unsigned()) {
    return InvalidArgument("has no incarnation");
  }
  if (endpoint == json.end() || !endpoint->is_string()) {
    return InvalidArgument("has no endpoint");
  }
  Contact contact{Incarnation(incarnation->get<uint64_t>()), endpoint->get<std::string>(), ""};
  if (key != json.end()) {
    if (!key->is_string() || !IsCurveKey(key->get_ref<const std::string&>())) {
      return InvalidArgument("server_key is not a CURVE key");
    }
    contact.server_key = key->get<std::string>();
  }
  ASSIGN_OR_RETURN(const Endpoint parsed, ParseEndpoint(contact.endpoint));
  if (contact.server_key.empty() && !parsed.is_local()) {
    return InvalidArgument("names " + contact.endpoint +
                           " without a server_key: nothing is sent beyond this machine in clear");
  }
  return contact;
}

}  // namespace halcyon::cluster
