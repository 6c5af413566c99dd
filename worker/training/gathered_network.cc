#include "worker/training/gathered_network.h"

#include <ATen/ATen.h>

#include <deque>

#include "base/digest.h"
#include "worker/inputs/network_file.h"

namespace halcyon::worker {

absl::StatusOr<WrittenNetwork> WriteNetwork(Fsdp& fsdp, cluster::Collectives& collectives, Env& env,
                                            const std::string& dir,
                                            const std::map<std::string, std::string>& metadata,
                                            const std::string& spec_toml) {
  const bool writes = collectives.rank() == 0;
  std::deque<std::string> bytes;  // addresses must stay
  std::vector<storage::TensorView> tensors;
  RETURN_IF_ERROR(fsdp.VisitWhole([&](model::Unit& unit) {
    if (!writes) return absl::OkStatus();
    for (const model::Parameter& parameter : unit.parameters()) {
      const at::Tensor host = parameter.value.detach().to(at::kCPU, at::kFloat).contiguous();
      bytes.emplace_back(static_cast<const char*>(host.const_data_ptr()), host.nbytes());
      tensors.push_back({parameter.name, storage::DType::kF32, parameter.shape, bytes.back()});
    }
    return absl::OkStatus();
  }));
  if (!writes) return WrittenNetwork{};
  RETURN_IF_ERROR(WriteNetworkFolder(env, dir, tensors, metadata, spec_toml));
  WrittenNetwork written;
  const std::string weights = JoinPath(dir, kWeightsFile);
  ASSIGN_OR_RETURN(written.content_digest, Sha256OfFile(weights));
  ASSIGN_OR_RETURN(written.bytes, env.FileSize(weights));
  return written;
}

}  // namespace halcyon::worker
