// How the workers of a job reach its present coordinator: the file contact.json of the job's
// folder, mode 0600, which each coordinator replaces when it begins.
#ifndef HALCYON_CLUSTER_CONTACT_H_
#define HALCYON_CLUSTER_CONTACT_H_

#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/status.h"

namespace halcyon::cluster {

struct Contact {
  Incarnation incarnation;
  std::string endpoint;    // cluster/endpoint.h
  std::string server_key;  // the coordinator's public one, Z85; "" over ipc
  bool operator==(const Contact&) const = default;
};

std::string ContactFile(const std::string& job_folder);
absl::Status WriteContact(const std::string& path, const Contact& contact);
// As ReadPrivateFile; kInvalidArgument when it holds no contact.
absl::StatusOr<Contact> ReadContact(const std::string& path);
// The bytes of a file; any bytes may come.
absl::StatusOr<Contact> ParseContact(std::string_view text);

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_CONTACT_H_
