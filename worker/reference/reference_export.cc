#include "worker/reference/reference_export.h"

#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "model/reference/reference_keys.h"
#include "storage/artifact_reader.h"
#include "storage/strict_json.h"
#include "storage/weights/weights_folder.h"
#include "storage/weights/weights_writer.h"
#include "worker/inputs/network_file.h"
#include "worker/reference/reference_import.h"
#include "worker/reference/whole_folder.h"

namespace halcyon::worker {
namespace {

using model::ReferenceTensor;
using nlohmann::json;

constexpr char kTokenizer[] = "tokenizer.json";

// Tensors of artifacts, under the names that they get in a checkpoint.
class Tensors {
 public:
  // The parameters of the artifact in `dir`. REQUIRES: DescribeNetwork has checked it.
  absl::Status Add(Env& env, const std::string& dir, const std::vector<ReferenceTensor>& tensors) {
    ASSIGN_OR_RETURN(auto weights, storage::WeightsFolder::Open(env, dir));
    folders_.push_back(std::move(weights));
    for (const ReferenceTensor& tensor : tensors) {
      for (const std::string& name : tensor.names) {
        infos_.push_back({name, storage::DType::kF32, tensor.shape});
        origins_[name] = {folders_.back().get(), tensor.parameter};
      }
    }
    return absl::OkStatus();
  }

  absl::Status Write(Env& env, const std::string& dir, const json& config,
                     uint64_t shard_bytes_max) const {
    RETURN_IF_ERROR(env.CreateDirs(dir));
    std::string bytes;
    const storage::TensorSource source =
        [&](const storage::TensorInfo& tensor) -> absl::StatusOr<std::string_view> {
      const auto& [weights, parameter] = origins_.at(tensor.name);
      ASSIGN_OR_RETURN(bytes, ReadParameter(*weights, parameter, tensor.shape));
      return bytes;
    };
    // The published code's loader asks for "format".
    RETURN_IF_ERROR(storage::WriteWeights(env, dir, storage::PlanWeights(infos_, shard_bytes_max),
                                          {{"format", "pt"}}, source));
    return WriteFileAtomically(env, JoinPath(dir, "config.json"), config.dump(2) + "\n");
  }

  size_t size() const { return infos_.size(); }

 private:
  std::vector<std::unique_ptr<storage::WeightsFolder>> folders_;
  std::vector<storage::TensorInfo> infos_;
  std::map<std::string, std::pair<const storage::WeightsFolder*, std::string>> origins_;
};

absl::Status Refuse(const std::string& dir, const std::string& what) {
  return InvalidArgument(dir + ": " + what + ", which the reference does not have");
}

// Token ids that an artifact knows go into the config.
void AddTokenIds(const NetworkDescription& description, json* config) {
  for (const auto& [here, there] :
       {std::pair{"end_of_text", "eos_token_id"}, {"padding", "pad_token_id"}}) {
    const auto id = MetadataNumber(description, here);
    if (id.ok()) (*config)[there] = *id;
  }
}

class Export {
 public:
  Export(Env& env, const ExportSources& sources, std::string to, uint64_t shard_bytes_max)
      : env_(env),
        from_(sources.from),
        autoencoder_dir_(sources.autoencoder),
        tokenizer_(sources.tokenizer),
        to_(std::move(to)),
        shard_bytes_max_(shard_bytes_max) {}

  absl::Status Plan() {
    const std::string reference = JoinPath(from_, kReferenceFile);
    if (env_.Exists(reference)) {
      ASSIGN_OR_RETURN(const std::string text, env_.ReadFile(reference));
      ASSIGN_OR_RETURN(const json content, storage::ParseStrictJson(text), reference);
      return PlanImported(content);
    }
    ASSIGN_OR_RETURN(const NetworkDescription description, DescribeNetwork(env_, from_));
    if (description.metadata.contains("kind") &&
        description.metadata.at("kind") == model::NameOf(model::ReferenceKind::kAutoencoder)) {
      if (!autoencoder_dir_.empty())
        return InvalidArgument(from_ + ": is an autoencoder; leave out --ae");
      return TakeAutoencoder(from_, nullptr);
    }
    RETURN_IF_ERROR(TakeModel(from_, description, nullptr));
    const bool has_autoencoder = description.spec.model.head != jobs::HeadKind::kSoftmax;
    if (has_autoencoder == autoencoder_dir_.empty()) {
      return InvalidArgument(from_ + (has_autoencoder
                                          ? ": give the artifact of its autoencoder with --ae"
                                          : ": has no autoencoder; leave out --ae"));
    }
    return has_autoencoder ? TakeAutoencoder(autoencoder_dir_, nullptr) : absl::OkStatus();
  }

  absl::Status Write(const std::string& dir) {
    Tensors whole, alone;
    if (model_) {
      RETURN_IF_ERROR(whole.Add(env_, model_dir_, model::ReferenceTensors(*model_)));
    }
    if (autoencoder_) {
      RETURN_IF_ERROR(
          alone.Add(env_, autoencoder_weights_dir_, model::ReferenceTensors(*autoencoder_, "")));
      const std::string own = model_ ? JoinPath(dir, "autoencoder") : dir;
      RETURN_IF_ERROR(alone.Write(env_, own, autoencoder_config_, shard_bytes_max_));
    }
    if (model_ && autoencoder_) {
      RETURN_IF_ERROR(whole.Add(env_, autoencoder_weights_dir_,
                                model::ReferenceTensors(*autoencoder_, model::kAutoencoderPrefix)));
    }
    if (model_) RETURN_IF_ERROR(whole.Write(env_, dir, config_, shard_bytes_max_));
    tensors_ = model_ ? whole.size() : alone.size();
    return WriteTokenizer(dir);
  }

  json Facts() const {
    return {{"architecture", (model_ ? config_ : autoencoder_config_)["architectures"]},
            {"tensors", tensors_},
            {"left_out", left_out_}};
  }

 private:
  absl::Status WriteTokenizer(const std::string& dir) {
    std::string path = tokenizer_.empty() ? from_ : tokenizer_;
    if (BaseName(path) != kTokenizer) path = JoinPath(path, kTokenizer);
    if (tokenizer_.empty() && !env_.Exists(path)) {
      left_out_.push_back(std::string(kTokenizer) +
                          ", which is not known; give it with --tokenizer");
      return absl::OkStatus();
    }
    if (!env_.Exists(path)) {
      return InvalidArgument(tokenizer_ + ": give a " + kTokenizer +
                             " or a folder that holds one; of another kind of file `halcyon "
                             "checkpoint import --tokenizer FILE` makes one");
    }
    RETURN_IF_ERROR(storage::VerifyBesideRecord(env_, path));
    ASSIGN_OR_RETURN(const std::string bytes, env_.ReadFile(path));
    return WriteFileAtomically(env_, JoinPath(dir, kTokenizer), bytes);
  }

  // The configs come back as they were; the specs are those that the import made of them.
  absl::Status PlanImported(const json& content) {
    if (!autoencoder_dir_.empty()) {
      return InvalidArgument(from_ + ": has its autoencoder in it; leave out --ae");
    }
    ASSIGN_OR_RETURN(const json* config, storage::Member(content, "config"), kReferenceFile);
    const auto autoencoder = content.find("autoencoder_config");
    const bool has_autoencoder = autoencoder != content.end();
    const std::string model_dir = JoinPath(from_, "model");
    if (env_.Exists(model_dir)) {
      ASSIGN_OR_RETURN(const NetworkDescription description, DescribeNetwork(env_, model_dir));
      RETURN_IF_ERROR(TakeModel(model_dir, description, config));
    }
    if (!has_autoencoder) return absl::OkStatus();
    return TakeAutoencoder(JoinPath(from_, "autoencoder"), &*autoencoder);
  }

  absl::Status TakeModel(const std::string& dir, const NetworkDescription& description,
                         const json* config) {
    model::ReferenceModel taken;
    taken.spec = description.spec.model;
    if (taken.spec.input != jobs::InputKind::kDiscrete) {
      return Refuse(dir, "model.input is not \"discrete\"");
    }
    ASSIGN_OR_RETURN(taken.vocab_size, MetadataNumber(description, "vocab_size"), dir);
    if (taken.spec.head != jobs::HeadKind::kSoftmax) {
      ASSIGN_OR_RETURN(taken.chunk_size, MetadataNumber(description, "chunk_size"), dir);
      ASSIGN_OR_RETURN(taken.latent_size, MetadataNumber(description, "latent_size"), dir);
    }
    model_ = taken;
    model_dir_ = dir;
    config_ = config != nullptr ? *config : model::ConfigOf(taken);
    if (config != nullptr) return absl::OkStatus();
    AddTokenIds(description, &config_);
    if (taken.spec.head != jobs::HeadKind::kSoftmax) {
      config_["ae_path"] = JoinPath(to_, "autoencoder");
    }
    return absl::OkStatus();
  }

  absl::Status TakeAutoencoder(const std::string& dir, const json* config) {
    ASSIGN_OR_RETURN(const NetworkDescription description, DescribeNetwork(env_, dir));
    model::ReferenceAutoencoder taken;
    taken.spec = description.spec.autoencoder;
    ASSIGN_OR_RETURN(taken.vocab_size, MetadataNumber(description, "vocab_size"), dir);
    if (!taken.spec.variational) return Refuse(dir, "the autoencoder is not variational");
    if (taken.spec.encoder_layers % 2 != 0 || taken.spec.decoder_layers % 2 != 0) {
      return Refuse(dir, "the autoencoder has an odd number of layers in a half");
    }
    if (model_ &&
        (model_->chunk_size != taken.spec.chunk_size ||
         model_->latent_size != taken.spec.latent_size || model_->vocab_size != taken.vocab_size)) {
      return InvalidArgument(model_dir_ + ": was trained with another autoencoder than " + dir);
    }
    if (taken.spec.token_dropout_rule == jobs::TokenDropoutRule::kMask) {
      left_out_.push_back("mask_embedding, used in training only");
      taken.spec.token_dropout_rule = jobs::TokenDropoutRule::kZeroId;
    }
    if (config == nullptr && taken.spec.latent_dropout != taken.spec.token_dropout) {
      left_out_.push_back("latent_dropout: ae_dropout is one rate, that of token_dropout");
    }
    autoencoder_ = taken;
    autoencoder_weights_dir_ = dir;
    autoencoder_config_ = config != nullptr ? *config : model::ConfigOf(taken);
    if (config == nullptr) AddTokenIds(description, &autoencoder_config_);
    return absl::OkStatus();
  }

  Env& env_;
  const std::string from_, autoencoder_dir_, tokenizer_, to_;
  const uint64_t shard_bytes_max_;
  std::optional<model::ReferenceModel> model_;
  std::optional<model::ReferenceAutoencoder> autoencoder_;
  std::string model_dir_, autoencoder_weights_dir_;
  json config_, autoencoder_config_;
  std::vector<std::string> left_out_;
  size_t tensors_ = 0;
};

}  // namespace

absl::StatusOr<json> ExportReference(Env& env, const ExportSources& sources, const std::string& to,
                                     uint64_t shard_bytes_max) {
  Export exported(env, sources, to, shard_bytes_max);
  RETURN_IF_ERROR(exported.Plan());
  RETURN_IF_ERROR(
      WriteWholeFolder(env, to, [&](const std::string& dir) { return exported.Write(dir); }));
  json facts = exported.Facts();
  facts["from"] = sources.from;
  facts["to"] = to;
  return facts;
}

}  // namespace halcyon::worker
