#include "worker/reference/reference_import.h"

#include <fmt/format.h>

#include <cstring>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "jobs/job_spec.h"
#include "model/reference/reference_keys.h"
#include "storage/strict_json.h"
#include "storage/weights/weights_folder.h"
#include "worker/inputs/network_file.h"
#include "worker/reference/import_record.h"
#include "worker/reference/whole_folder.h"

namespace halcyon::worker {
namespace {

using model::ReferenceKind;
using model::ReferenceTensor;
using nlohmann::json;
using storage::WeightsFolder;

constexpr size_t kProblemsMax = 10;
constexpr char kConfig[] = "config.json";

absl::StatusOr<json> ReadConfig(Env& env, const std::string& dir) {
  const std::string path = JoinPath(dir, kConfig);
  ASSIGN_OR_RETURN(const std::string text, env.ReadFile(path));
  ASSIGN_OR_RETURN(json config, storage::ParseStrictJson(text), path);
  if (config.is_object()) return config;
  return InvalidArgument(path + ": is no object");
}

model::TensorShapes ShapesOf(const WeightsFolder& folder) {
  model::TensorShapes shapes;
  for (const auto& [name, tensor] : folder.tensors()) shapes.emplace(name, tensor.shape);
  return shapes;
}

// The tensors to read, and the folder that has them.
struct Part {
  const WeightsFolder* folder = nullptr;
  std::vector<ReferenceTensor> tensors;
};

// Every tensor that is missing, of another shape or not expected, up to kProblemsMax.
absl::Status CheckTensors(const WeightsFolder& folder, const std::vector<const Part*>& parts) {
  std::vector<std::string> problems, missing;
  std::set<std::string> known;
  for (const Part* part : parts) {
    for (const ReferenceTensor& tensor : part->tensors) {
      bool found = false;
      for (const std::string& name : tensor.names) {
        known.insert(name);
        const auto there = folder.tensors().find(name);
        if (there == folder.tensors().end()) continue;
        found = true;
        if (there->second.shape == tensor.shape) continue;
        problems.push_back(fmt::format("{} is {}, expected {}", name,
                                       ShapeText(there->second.shape), ShapeText(tensor.shape)));
      }
      if (!found) {
        missing.push_back(tensor.names[0]);
        problems.push_back(
            fmt::format("{} {} is missing", tensor.names[0], ShapeText(tensor.shape)));
      }
    }
  }
  for (const auto& [name, tensor] : folder.tensors()) {
    if (known.contains(name) || model::IsDerivedReferenceTensor(name)) continue;
    problems.push_back(fmt::format("{} {} is not expected", name, ShapeText(tensor.shape)));
  }
  if (problems.empty()) return absl::OkStatus();
  std::string message = folder.dir() + ": the tensors do not fit config.json: ";
  const std::string why = storage::ExplainMissing(missing, folder.tensors());
  if (!why.empty()) message += why + ": ";
  for (size_t i = 0; i < problems.size() && i < kProblemsMax; ++i) {
    message += (i > 0 ? "; " : "") + problems[i];
  }
  if (problems.size() > kProblemsMax) {
    message += fmt::format("; and {} more", problems.size() - kProblemsMax);
  }
  return InvalidArgument(message);
}

bool SameBits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() &&
         (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// The values under whichever of its names; all that are there must be equal.
absl::StatusOr<std::vector<float>> ReadTensor(const WeightsFolder& folder,
                                              const ReferenceTensor& tensor) {
  std::vector<float> values;
  std::string first;
  for (const std::string& name : tensor.names) {
    if (!folder.tensors().contains(name)) continue;
    ASSIGN_OR_RETURN(std::vector<float> read, folder.ReadFloats(name));
    if (first.empty()) {
      first = name;
      values = std::move(read);
    } else if (!SameBits(read, values)) {
      return InvalidArgument(fmt::format("{}: {} and {} are names of one tensor, and differ",
                                         folder.dir(), first, name));
    }
  }
  return values;
}

class Import {
 public:
  Import(Env& env, std::string from, std::string autoencoder, uint64_t shard_bytes_max,
         TokenizerSource tokenizer)
      : env_(env),
        from_(std::move(from)),
        autoencoder_dir_(std::move(autoencoder)),
        shard_bytes_max_(shard_bytes_max),
        tokenizer_(std::move(tokenizer)) {}

  absl::Status Plan() {
    ASSIGN_OR_RETURN(config_, ReadConfig(env_, from_));
    ASSIGN_OR_RETURN(folder_, WeightsFolder::Open(env_, from_));
    const model::TensorShapes shapes = ShapesOf(*folder_);
    ASSIGN_OR_RETURN(kind_, model::KindOfReference(config_, shapes), from_);
    if (kind_ == ReferenceKind::kAutoencoder || kind_ == ReferenceKind::kBaseline) {
      if (!autoencoder_dir_.empty()) {
        return InvalidArgument(from_ + ": has no autoencoder beside it; leave out --ae");
      }
    }
    if (kind_ == ReferenceKind::kAutoencoder) {
      autoencoder_config_ = config_;
      RETURN_IF_ERROR(TakeAutoencoder(folder_.get(), ""), from_);
      RETURN_IF_ERROR(CheckTensors(*folder_, {&autoencoder_part_}));
      return CheckSpec();
    }
    ASSIGN_OR_RETURN(
        model_, model::ModelFromConfig(kind_, config_, shapes.contains("lm_head.weight")), from_);
    job_.model = model_.spec;
    if (kind_ != ReferenceKind::kBaseline) RETURN_IF_ERROR(PlanAutoencoder(shapes));
    RETURN_IF_ERROR(CheckSpec());
    model_part_ = {folder_.get(), model::ReferenceTensors(model_)};
    std::vector<const Part*> parts = {&model_part_};
    if (autoencoder_part_.folder == folder_.get()) parts.push_back(&autoencoder_part_);
    RETURN_IF_ERROR(CheckTensors(*folder_, parts));
    if (autoencoder_folder_ == nullptr) return absl::OkStatus();
    return CheckOtherAutoencoder();
  }

  absl::Status Write(const std::string& dir) {
    ASSIGN_OR_RETURN(imported_tokenizer_, ImportTokenizer(env_, from_, tokenizer_, dir));
    ImportedFrom made_from = imported_tokenizer_.made_from;
    if (autoencoder_part_.folder != nullptr) {
      const std::string to = JoinPath(dir, "autoencoder");
      RETURN_IF_ERROR(WritePart(autoencoder_part_, to,
                                Metadata(ReferenceKind::kAutoencoder, autoencoder_config_)));
      ASSIGN_OR_RETURN(const std::string digest,
                       WriteImportRecord(env_, to, jobs::StageKind::kAutoencoder, made_from));
      made_from["autoencoder"] = digest;
    }
    if (model_part_.folder != nullptr) {
      const std::string to = JoinPath(dir, "model");
      RETURN_IF_ERROR(WritePart(model_part_, to, Metadata(kind_, config_)));
      RETURN_IF_ERROR(WriteImportRecord(env_, to, jobs::StageKind::kModel, made_from).status());
    }
    json reference = {{"format", "halcyon-reference-1"}, {"config", config_}};
    if (!autoencoder_config_.is_null()) reference["autoencoder_config"] = autoencoder_config_;
    return WriteFileAtomically(env_, JoinPath(dir, kReferenceFile), reference.dump(2) + "\n");
  }

  json Facts() const {
    const ImportedTokenizer& tokenizer = imported_tokenizer_;
    json facts = {{"kind", model::NameOf(kind_)},
                  {"tensors", tensors_},
                  {"parameters", parameters_},
                  {"vocab_size", kind_ == ReferenceKind::kAutoencoder ? autoencoder_.vocab_size
                                                                      : model_.vocab_size},
                  {"tokenizer", tokenizer.file.empty() ? json() : json(tokenizer.file)},
                  {"left_out", json::array()}};
    if (!tokenizer.left_out.empty()) {
      facts["left_out"].push_back("the tokenizer: " + tokenizer.left_out + " with --tokenizer");
    }
    return facts;
  }

 private:
  absl::Status TakeAutoencoder(const WeightsFolder* folder, const std::string& prefix) {
    ASSIGN_OR_RETURN(autoencoder_, model::AutoencoderFromConfig(autoencoder_config_));
    job_.autoencoder = autoencoder_.spec;
    RETURN_IF_ERROR(CheckSpec());
    autoencoder_part_ = {folder, model::ReferenceTensors(autoencoder_, prefix)};
    return absl::OkStatus();
  }

  // The first folder that has a config.json of the autoencoder: the one given, the one that an
  // export wrote, the one that training used.
  std::string FindAutoencoder() const {
    std::vector<std::string> candidates = {autoencoder_dir_};
    if (autoencoder_dir_.empty()) {
      candidates = {JoinPath(from_, "autoencoder")};
      if (const auto path = config_.find("ae_path"); path != config_.end() && path->is_string()) {
        candidates.push_back(path->get<std::string>());
      }
    }
    for (const std::string& dir : candidates) {
      if (!dir.empty() && env_.Exists(JoinPath(dir, kConfig))) return dir;
    }
    return autoencoder_dir_;
  }

  absl::Status PlanAutoencoder(const model::TensorShapes& shapes) {
    const std::string prefix = model::kAutoencoderPrefix;
    const auto first = shapes.lower_bound(prefix);
    const bool is_embedded = first != shapes.end() && first->first.starts_with(prefix);
    const std::string dir = FindAutoencoder();
    if (dir.empty() && !is_embedded) {
      return InvalidArgument(from_ + ": has no tensors " + prefix +
                             "*, and no autoencoder lies where ae_path says; give its folder "
                             "with --ae");
    }
    if (!dir.empty()) {
      ASSIGN_OR_RETURN(autoencoder_config_, ReadConfig(env_, dir));
    } else {
      ASSIGN_OR_RETURN(autoencoder_config_, model::InferAutoencoderConfig(shapes, prefix), from_);
    }
    if (!is_embedded || !autoencoder_dir_.empty()) {
      ASSIGN_OR_RETURN(autoencoder_folder_, WeightsFolder::Open(env_, dir));
    }
    RETURN_IF_ERROR(TakeAutoencoder(is_embedded ? folder_.get() : autoencoder_folder_.get(),
                                    is_embedded ? prefix : ""),
                    dir.empty() ? from_ : dir);
    for (const auto& [name, here, there] :
         {std::tuple{"patch_size", model_.chunk_size, autoencoder_.spec.chunk_size},
          {"latent_size", model_.latent_size, autoencoder_.spec.latent_size},
          {"vocab_size", model_.vocab_size, autoencoder_.vocab_size}}) {
      if (here == there) continue;
      return InvalidArgument(
          fmt::format("{}: config.json has {} = {}, its autoencoder {}", from_, name, here, there));
    }
    return absl::OkStatus();
  }

  // The autoencoder in a folder of its own: it is read from there, or must equal the one embedded.
  absl::Status CheckOtherAutoencoder() {
    const Part own{autoencoder_folder_.get(), model::ReferenceTensors(autoencoder_, "")};
    RETURN_IF_ERROR(CheckTensors(*autoencoder_folder_, {&own}));
    if (autoencoder_part_.folder == autoencoder_folder_.get()) return absl::OkStatus();
    for (size_t i = 0; i < own.tensors.size(); ++i) {
      ASSIGN_OR_RETURN(const auto given, ReadTensor(*own.folder, own.tensors[i]));
      ASSIGN_OR_RETURN(const auto embedded, ReadTensor(*folder_, autoencoder_part_.tensors[i]));
      if (SameBits(given, embedded)) continue;
      return InvalidArgument(
          fmt::format("{}: tensor {} differs from the autoencoder that {} has "
                      "in it; leave out --ae to take that one",
                      own.folder->dir(), own.tensors[i].names[0], from_));
    }
    return absl::OkStatus();
  }

  // The job that stands beside the weights; one parser knows all ranges.
  absl::Status CheckSpec() {
    job_.name = "imported";
    job_.data.sources = {"unknown"};
    toml_ = jobs::ToToml(job_);
    return jobs::ParseJobSpec(toml_, JoinPath(from_, "config.json, as a job"), ".",
                              /*check_files=*/false)
        .status();
  }

  std::map<std::string, std::string> Metadata(ReferenceKind kind, const json& config) const {
    std::map<std::string, std::string> metadata = {{"format", "halcyon-1"},
                                                   {"kind", std::string(model::NameOf(kind))}};
    const bool is_model = kind != ReferenceKind::kAutoencoder;
    metadata["vocab_size"] = std::to_string(is_model ? model_.vocab_size : autoencoder_.vocab_size);
    metadata["chunk_size"] =
        std::to_string(is_model ? model_.chunk_size : autoencoder_.spec.chunk_size);
    if (kind != ReferenceKind::kBaseline) {
      metadata["latent_size"] = std::to_string(autoencoder_.spec.latent_size);
    }
    for (const auto& [here, there] :
         {std::pair{"end_of_text", "eos_token_id"}, {"padding", "pad_token_id"}}) {
      const auto id = config.find(there);
      if (id != config.end() && id->is_number_unsigned()) metadata[here] = id->dump();
    }
    return metadata;
  }

  absl::Status WritePart(const Part& part, const std::string& dir,
                         const std::map<std::string, std::string>& metadata) {
    std::vector<storage::TensorInfo> infos;
    std::map<std::string, const ReferenceTensor*> origins;
    for (const ReferenceTensor& tensor : part.tensors) {
      infos.push_back({tensor.parameter, storage::DType::kF32, tensor.shape});
      origins[tensor.parameter] = &tensor;
    }
    const storage::WeightsLayout layout = storage::PlanWeights(infos, shard_bytes_max_);
    tensors_ += infos.size();
    parameters_ += layout.tensor_bytes / sizeof(float);
    std::vector<float> values;
    const storage::TensorSource source =
        [&](const storage::TensorInfo& tensor) -> absl::StatusOr<std::string_view> {
      ASSIGN_OR_RETURN(values, ReadTensor(*part.folder, *origins.at(tensor.name)));
      return std::string_view(reinterpret_cast<const char*>(values.data()),
                              values.size() * sizeof(float));
    };
    return WriteNetworkFolder(env_, dir, layout, metadata, toml_, source);
  }

  Env& env_;
  const std::string from_, autoencoder_dir_;
  const uint64_t shard_bytes_max_;
  const TokenizerSource tokenizer_;
  ImportedTokenizer imported_tokenizer_;
  json config_, autoencoder_config_;
  ReferenceKind kind_{};
  std::unique_ptr<WeightsFolder> folder_, autoencoder_folder_;
  model::ReferenceAutoencoder autoencoder_;
  model::ReferenceModel model_;
  Part autoencoder_part_, model_part_;
  jobs::JobSpec job_;
  std::string toml_;
  uint64_t tensors_ = 0, parameters_ = 0;
};

}  // namespace

absl::StatusOr<json> ImportReference(Env& env, const std::string& from,
                                     const std::string& autoencoder, const std::string& to,
                                     uint64_t shard_bytes_max, const TokenizerSource& tokenizer) {
  Import import(env, from, autoencoder, shard_bytes_max, tokenizer);
  RETURN_IF_ERROR(import.Plan());
  RETURN_IF_ERROR(
      WriteWholeFolder(env, to, [&](const std::string& dir) { return import.Write(dir); }));
  json facts = import.Facts();
  facts["from"] = from;
  facts["to"] = to;
  return facts;
}

}  // namespace halcyon::worker
