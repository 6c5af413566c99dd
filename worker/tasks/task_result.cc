#include "base/digest.h"
#include "worker/tasks/tasks.h"

namespace halcyon::worker {

using nlohmann::json;

absl::StatusOr<json> WriteFileArtifact(const TaskContext& context, const std::string& name,
                                       const std::string& bytes, const json& facts) {
  const std::string out = JoinPath(context.lease->assignment.work_dir, "out");
  RETURN_IF_ERROR(context.env->RemoveTree(out));
  RETURN_IF_ERROR(context.env->CreateDirs(out));
  RETURN_IF_ERROR(WriteFileAtomically(*context.env, JoinPath(out, name), bytes));
  return json{{"path", out},
              {"content_digest", Sha256::Of(bytes)},
              {"bytes", bytes.size()},
              {"facts", facts}};
}

std::string ShardPath(const cluster::Lease& lease, uint32_t shard) {
  return JoinPath(lease.assignment.work_dir, "shard-" + std::to_string(shard) + "-fence-" +
                                                 std::to_string(lease.fence) + ".sst");
}

json SstResult(const storage::SstFile& sst, const json& facts) {
  return {{"sst", {{"path", sst.path}, {"file_checksum", sst.file_checksum}, {"bytes", sst.bytes}}},
          {"facts", facts}};
}

}  // namespace halcyon::worker
