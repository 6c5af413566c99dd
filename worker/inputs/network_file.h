// A finished network as an artifact: its weights, in one or several files
// (storage/weights/weights_index.h), with every parameter under its name, and job.toml, the
// resolved spec it was made by.
#ifndef HALCYON_WORKER_INPUTS_NETWORK_FILE_H_
#define HALCYON_WORKER_INPUTS_NETWORK_FILE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/env.h"
#include "base/status.h"
#include "jobs/job_spec.h"
#include "model/unit.h"
#include "storage/weights/weights_folder.h"
#include "storage/weights/weights_writer.h"

namespace halcyon::worker {

inline constexpr char kSpecFile[] = "job.toml";

// Writes the folder `dir`, replacing what was there, synced.
absl::Status WriteNetworkFolder(Env& env, const std::string& dir,
                                const storage::WeightsLayout& layout,
                                const std::map<std::string, std::string>& metadata,
                                const std::string& spec_toml, const storage::TensorSource& source);

// Whether the folder has weights, of whatever network.
bool HasWeights(Env& env, const std::string& dir);

// "[2, 3]".
std::string ShapeText(const std::vector<int64_t>& shape);

// "energy", "flow", "diffusion", "softmax".
std::string_view HeadName(jobs::HeadKind head);
// The metadata's "kind" of a language model: "calm-energy", ..., "softmax".
std::string NetworkKind(jobs::HeadKind head);

// A float32 tensor's bytes. kDataLoss when it is missing or has another type or shape.
absl::StatusOr<std::string> ReadParameter(const storage::WeightsFolder& weights,
                                          const std::string& name,
                                          const std::vector<int64_t>& shape);

// What a network's folder says about it, after its files were compared with its artifact.json
// (storage/artifact_reader.h), where it has one; `digest`: the content digest that it must have.
struct NetworkDescription {
  std::map<std::string, std::string> metadata;
  jobs::JobSpec spec;
};
absl::StatusOr<NetworkDescription> DescribeNetwork(Env& env, const std::string& dir,
                                                   const std::string& digest = "");

// A number of the metadata; kDataLoss when it is missing or no number.
absl::StatusOr<int64_t> MetadataNumber(const NetworkDescription& description,
                                       const std::string& name);

// Materialises the units on `device` and fills them, tensor by tensor: the parameters are the only
// copy in memory, but for one of them on the way to a GPU. REQUIRES: DescribeNetwork has checked
// the folder. kDataLoss names a tensor that is missing, extra or of another shape.
absl::Status ReadNetwork(Env& env, const std::string& dir, const std::vector<model::Unit*>& units,
                         c10::Device device = c10::kCPU);

}  // namespace halcyon::worker

#endif  // HALCYON_WORKER_INPUTS_NETWORK_FILE_H_
