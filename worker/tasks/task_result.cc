#include "base/digest.h"
#include "cluster/outputs.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {

using nlohmann::json;

absl::StatusOr<json> WriteFileArtifact(const TaskContext& context, const std::string& name,
                                       const std::string& bytes, const json& facts) {
  const std::string out = cluster::TaskOutputDir(context.lease->assignment, context.lease->fence);
  RETURN_IF_ERROR(context.env->RemoveTree(out));
  RETURN_IF_ERROR(context.env->CreateDirs(out));
  RETURN_IF_ERROR(WriteFileAtomically(*context.env, JoinPath(out, name), bytes));
  return json{{"content_digest", Sha256::Of(bytes)}, {"bytes", bytes.size()}, {"facts", facts}};
}

void AddWarning(const std::string& warning, json* result) {
  if (!warning.empty()) (*result)["warnings"].push_back(warning);
}

std::string ShardPath(const cluster::Lease& lease, uint32_t shard) {
  return cluster::ShardOutputPath(lease.assignment, lease.fence, shard);
}

json SstResult(const storage::SstFile& sst, const json& facts) {
  return {{"sst", {{"file_checksum", sst.file_checksum}, {"bytes", sst.bytes}}}, {"facts", facts}};
}

}  // namespace halcyon::worker
