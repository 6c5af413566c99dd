#include "worker/training/gathered_network.h"

#include <ATen/ATen.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fault_point.h"
#include "storage/weights/safetensors_writer.h"
#include "storage/weights/weights_writer.h"
#include "worker/inputs/network_file.h"
#include "worker/training/checkpointing.h"

namespace halcyon::worker {
namespace {

using nlohmann::json;
using storage::SafetensorsWriter;
using storage::TensorInfo;

// Tensors that lie side by side in one file and belong to one unit.
struct Run {
  size_t file = 0;
  std::vector<std::pair<int64_t, int64_t>> places;  // first element, elements: of the flat array
};

// Of all ranks alike: which tensors come when, and from which unit.
struct Plan {
  storage::WeightsLayout layout;
  std::vector<Run> runs;
  std::vector<size_t> units;  // of the runs
};

Plan PlanNetwork(const std::vector<storage::UnitLayout>& units, uint64_t shard_bytes_max) {
  struct Place {
    size_t unit;
    int64_t first;
  };
  std::vector<TensorInfo> tensors;
  std::map<std::string, Place> place_of;
  for (size_t unit = 0; unit < units.size(); ++unit) {
    for (const auto& parameter : units[unit].parameters) {
      tensors.push_back({parameter.name, storage::DType::kF32, parameter.shape});
      place_of[parameter.name] = {unit, static_cast<int64_t>(parameter.offset)};
    }
  }
  Plan plan;
  plan.layout = storage::PlanWeights(std::move(tensors), shard_bytes_max);
  for (size_t file = 0; file < plan.layout.files.size(); ++file) {
    for (const TensorInfo& tensor : plan.layout.files[file].tensors) {
      const Place& place = place_of.at(tensor.name);
      if (plan.runs.empty() || plan.runs.back().file != file || plan.units.back() != place.unit) {
        plan.runs.push_back({file, {}});
        plan.units.push_back(place.unit);
      }
      const auto elements = static_cast<int64_t>(storage::BytesOf(tensor) / sizeof(float));
      plan.runs.back().places.push_back({place.first, elements});
    }
  }
  return plan;
}

// The files that this rank writes.
class OwnFiles {
 public:
  OwnFiles(Env& env, const NetworkOutput& output, const storage::WeightsLayout& layout, int rank,
           int ranks)
      : env_(env), output_(output), layout_(layout), rank_(rank), ranks_(ranks) {}

  bool Has(size_t file) const {
    return static_cast<int>(file % static_cast<size_t>(ranks_)) == rank_;
  }

  absl::Status Append(const Run& run, const at::Tensor& flat) {
    auto& writer = writers_[run.file];
    if (writer == nullptr) {
      const storage::WeightsLayout::File& file = layout_.files[run.file];
      ASSIGN_OR_RETURN(writer, SafetensorsWriter::Create(env_, JoinPath(output_.dir, file.name),
                                                         file.tensors, output_.metadata));
    }
    for (const auto& [first, elements] : run.places) {
      const at::Tensor host = flat.narrow(0, first, elements).to(at::kCPU);
      RETURN_IF_ERROR(
          writer->Append({static_cast<const char*>(host.const_data_ptr()), host.nbytes()}));
    }
    return absl::OkStatus();
  }

  // Syncs the files and the folder; name, size and digest of each.
  absl::StatusOr<json> Finish() {
    json files = json::array();
    for (auto& [file, writer] : writers_) {
      ASSIGN_OR_RETURN(const SafetensorsWriter::Finished finished, writer->Finish());
      files.push_back({{"name", layout_.files[file].name},
                       {"bytes", finished.bytes},
                       {"sha256", finished.sha256}});
    }
    if (files.empty()) return files;
    RETURN_IF_ERROR(env_.SyncDir(output_.dir));
    return files;
  }

 private:
  Env& env_;
  const NetworkOutput& output_;
  const storage::WeightsLayout& layout_;
  const int rank_, ranks_;
  std::map<size_t, std::unique_ptr<SafetensorsWriter>> writers_;
};

// Rank 0, when all files are on the disk.
absl::Status WriteRest(Env& env, const NetworkOutput& output, const storage::WeightsLayout& layout,
                       const std::vector<json>& files) {
  for (const json& file : files) {
    const std::string path = JoinPath(output.dir, file["name"].get<std::string>());
    ASSIGN_OR_RETURN(const uint64_t bytes, env.FileSize(path));
    if (bytes == file["bytes"]) continue;
    return Internal(path + ": has " + std::to_string(bytes) + " bytes, its rank wrote " +
                    file["bytes"].dump());
  }
  RETURN_IF_ERROR(storage::WriteWeightsIndex(env, output.dir, layout));
  return WriteFileAtomically(env, JoinPath(output.dir, kSpecFile), output.spec_toml);
}

}  // namespace

absl::StatusOr<WrittenNetwork> WriteNetwork(Fsdp& fsdp, cluster::Collectives& collectives, Env& env,
                                            const NetworkOutput& output) {
  const bool is_first = collectives.rank() == 0;
  const Plan plan = PlanNetwork(fsdp.Layouts(), output.shard_bytes_max);
  RETURN_IF_ERROR(Agree(collectives, is_first ? env.RemoveTree(output.dir) : absl::OkStatus()));
  absl::Status mine = env.CreateDirs(output.dir);
  OwnFiles own(env, output, plan.layout, collectives.rank(), collectives.size());
  // A rank that cannot write goes on gathering, since the others do.
  RETURN_IF_ERROR(fsdp.VisitWhole(plan.units, [&](size_t place, const at::Tensor& flat) {
    const Run& run = plan.runs[place];
    if (!own.Has(run.file) || !mine.ok()) return;
    mine = own.Append(run, flat);
    FaultPoint("rank " + std::to_string(collectives.rank()) + " writes " +
               plan.layout.files[run.file].name);
  }));
  const absl::StatusOr<json> written = mine.ok() ? own.Finish() : absl::StatusOr<json>(mine);
  RETURN_IF_ERROR(Agree(collectives, written.status()));
  ASSIGN_OR_RETURN(const auto all, collectives.AllGatherBytes(written->dump()));
  std::vector<json> files;
  for (const std::string& text : all) {
    for (const json& file : json::parse(text)) files.push_back(file);
  }
  RETURN_IF_ERROR(
      Agree(collectives, is_first ? WriteRest(env, output, plan.layout, files) : absl::OkStatus()));
  WrittenNetwork result;
  std::map<std::string, std::string> sha256_of;
  for (const json& file : files) {
    sha256_of[file["name"]] = file["sha256"];
    result.bytes += file["bytes"].get<uint64_t>();
  }
  result.content_digest = storage::WeightsDigest(sha256_of);
  return result;
}

}  // namespace halcyon::worker
