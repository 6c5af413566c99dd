#include "worker/cuda/nccl_groups.h"

#include <nccl.h>

#include <cstring>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

#include "base/check.h"
#include "cluster/bootstrap.h"

namespace halcyon::worker {
namespace {

using cluster::Group;

constexpr char kIdName[] = "nccl.id";

// The lowest rank of this rank's group: a name for the group on which its members agree.
absl::StatusOr<int> LowestRank(cluster::Collectives* host, Group group) {
  // Exact: numbers of ranks are far below 2^24.
  const std::vector<float> own = {static_cast<float>(host->rank())};
  std::vector<float> ranks(host->size_of(group));
  RETURN_IF_ERROR(
      host->AllGather(group, std::span(own), std::span(ranks), "ranks of the group").Wait());
  return static_cast<int>(ranks[0]);
}

}  // namespace

absl::Status NcclStatus(int result, ncclComm* communicator, const std::string& what) {
  const auto code = static_cast<ncclResult_t>(result);
  if (code == ncclSuccess) return absl::OkStatus();
  std::string text = what + ": NCCL: " + ncclGetErrorString(code);
  const char* detail = ncclGetLastError(communicator);
  if (detail != nullptr && *detail != '\0') text += std::string(" (") + detail + ")";
  // A rank that ended shows as one of these two at the others.
  return code == ncclRemoteError || code == ncclSystemError ? Unavailable(text) : Internal(text);
}

absl::StatusOr<std::unique_ptr<NcclGroups>> NcclGroups::Make(cluster::Collectives* host) {
  std::unique_ptr<NcclGroups> made(new NcclGroups);
  RETURN_IF_ERROR(made->MakeAll(host));
  for (const Group group : {Group::kNode, Group::kAcrossNodes}) {
    RETURN_IF_ERROR(made->Split(host, group));
  }
  return made;
}

absl::Status NcclGroups::MakeAll(cluster::Collectives* host) {
  cluster::CollectivesBootstrap bootstrap(host);
  ncclUniqueId id = {};
  absl::Status id_status;
  if (host->rank() == 0) {
    id_status = NcclStatus(ncclGetUniqueId(&id), nullptr, "a name for the gang");
    if (id_status.ok()) {
      RETURN_IF_ERROR(bootstrap.Put(kIdName, {id.internal, sizeof(id.internal)}));
    }
  }
  RETURN_IF_ERROR(bootstrap.Barrier());
  RETURN_IF_ERROR(id_status);
  ASSIGN_OR_RETURN(const std::string bytes, bootstrap.Get(kIdName));
  HALCYON_CHECK(bytes.size() == sizeof(id.internal));
  std::memcpy(id.internal, bytes.data(), bytes.size());
  ncclComm_t made = nullptr;
  RETURN_IF_ERROR(NcclStatus(ncclCommInitRank(&made, host->size(), id, host->rank()), nullptr,
                             "communicator of all ranks"));
  communicators_[0] = made;
  return absl::OkStatus();
}

absl::Status NcclGroups::Split(cluster::Collectives* host, Group group) {
  const int size = host->size_of(group);
  if (size == 0 || size == host->size()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const int lowest, LowestRank(host, group));
  ncclComm_t made = nullptr;
  RETURN_IF_ERROR(NcclStatus(ncclCommSplit(communicators_[0], lowest, host->rank(), &made, nullptr),
                             communicators_[0], "communicator of a group of ranks"));
  communicators_[static_cast<size_t>(group)] = made;
  return absl::OkStatus();
}

NcclGroups::~NcclGroups() {
  const MutexLock lock(&mutex_);
  if (aborted_) return;
  // Those that were split off first: they may share the parent's resources.
  for (size_t i = std::size(communicators_); i-- > 0;) {
    if (communicators_[i] != nullptr) ncclCommDestroy(communicators_[i]);
  }
}

absl::StatusOr<ncclComm*> NcclGroups::Of(Group group) const {
  const MutexLock lock(&mutex_);
  if (aborted_) return Aborted("NCCL's communicators were aborted");
  ncclComm* own = communicators_[static_cast<size_t>(group)];
  return own == nullptr ? communicators_[0] : own;
}

absl::Status NcclGroups::Fault() const {
  const MutexLock lock(&mutex_);
  if (aborted_) return absl::OkStatus();
  for (ncclComm* communicator : communicators_) {
    if (communicator == nullptr) continue;
    ncclResult_t fault = ncclSuccess;
    const ncclResult_t asked = ncclCommGetAsyncError(communicator, &fault);
    const int found = asked == ncclSuccess ? fault : asked;
    RETURN_IF_ERROR(NcclStatus(found, communicator, "found by NCCL meanwhile"));
  }
  return absl::OkStatus();
}

void NcclGroups::Abort() {
  {
    const MutexLock lock(&mutex_);
    if (std::exchange(aborted_, true)) return;
  }
  // Without the lock: an abort may last, and others ask for communicators, which they do not get.
  for (size_t i = std::size(communicators_); i-- > 0;) {
    if (communicators_[i] != nullptr) ncclCommAbort(communicators_[i]);
  }
}

}  // namespace halcyon::worker
