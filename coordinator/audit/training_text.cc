#include "coordinator/audit/training_text.h"

#include <algorithm>
#include <vector>

#include "pipeline/utf8.h"
#include "storage/artifact_reader.h"

namespace halcyon::coordinator {
namespace {

using pipeline::Split;

// Shown of an item's text.
constexpr uint64_t kWordsTokensMax = 24;
constexpr size_t kWordsBytesMax = 60;

absl::StatusOr<storage::ArtifactReader> OpenInput(
    Env& env, const storage::ArtifactScan& scan, const std::string& stage,
    const std::map<std::string, std::string>& inputs) {
  const auto digest = inputs.find(stage);
  if (digest == inputs.end()) return DataLoss("the record names no artifact of stage " + stage);
  const storage::Artifact* artifact = scan.Find(stage, digest->second);
  if (artifact != nullptr) {
    return storage::ArtifactReader::Open(env, artifact->record.path, digest->second);
  }
  for (const storage::UnreadArtifact& unread : scan.unread) {
    if (unread.content_digest == digest->second) return unread.status;
  }
  return NotFound("the " + stage + " of content digest " + digest->second +
                  ", that the stage was trained on, are not in the state folder any more");
}

}  // namespace

TrainingText::TrainingText(const StageRecord& record,
                           std::shared_ptr<const pipeline::Tokenizer> tokenizer,
                           pipeline::PackedTokens tokens, pipeline::MixtureOrder order)
    : data_(record.spec.data),
      batch_(static_cast<uint64_t>(TrainSpecOf(record.kind, record.spec).batch)),
      item_chunks_(record.kind == jobs::StageKind::kAutoencoder
                       ? 1
                       : static_cast<uint64_t>(record.spec.model.window_chunks)),
      tokenizer_(std::move(tokenizer)),
      tokens_(std::move(tokens)),
      order_(std::move(order)) {}

absl::StatusOr<std::unique_ptr<TrainingText>> TrainingText::Open(Env& env,
                                                                 const storage::ArtifactScan& scan,
                                                                 const StageRecord& record) {
  ASSIGN_OR_RETURN(auto artifact, OpenInput(env, scan, "tokens", record.inputs));
  ASSIGN_OR_RETURN(
      auto tokenizer_artifact,
      OpenInput(env, scan, "tokenizer", storage::InputDigestsOf(artifact.artifact()->record)));
  ASSIGN_OR_RETURN(const std::string path, tokenizer_artifact.Verified("tokenizer.json"));
  ASSIGN_OR_RETURN(auto tokenizer, pipeline::Tokenizer::Load(path));
  ASSIGN_OR_RETURN(pipeline::PackedTokens tokens,
                   pipeline::OpenPackedTokens(artifact, *tokenizer, record.spec.autoencoder,
                                              pipeline::TextShareOf(record.kind, record.spec)));
  ASSIGN_OR_RETURN(std::vector<pipeline::MixturePart> items,
                   pipeline::TrainingItems(record.kind, record.spec, tokens));
  pipeline::MixtureOrder order(record.spec.seed, std::move(items));
  return std::unique_ptr<TrainingText>(
      new TrainingText(record, std::move(tokenizer), std::move(tokens), std::move(order)));
}

absl::StatusOr<std::string> TrainingText::IdsOf(uint64_t item) const {
  std::vector<uint32_t> ids(item_chunks_ * tokens_.packing->rule().chunk_size);
  RETURN_IF_ERROR(tokens_.packing->Tokens(Split::kTrain, item * item_chunks_, ids));
  const std::vector<uint64_t> wide(ids.begin(), ids.end());
  return std::string(reinterpret_cast<const char*>(wide.data()), wide.size() * sizeof(uint64_t));
}

absl::Status TrainingText::OpenLatents(Env& env, const storage::ArtifactScan& scan,
                                       const StageRecord& record) {
  if (!record.inputs.contains("latents")) return NotFound("the stage read no latents");
  ASSIGN_OR_RETURN(auto artifact, OpenInput(env, scan, "latents", record.inputs));
  ASSIGN_OR_RETURN(auto cache, artifact.OpenCache());
  latents_ = std::make_unique<storage::LatentReader>(
      std::move(cache), static_cast<uint32_t>(record.spec.autoencoder.latent_size));
  windows_ = std::make_unique<pipeline::WindowLoader>(tokens_.packing.get(), latents_.get(),
                                                      static_cast<uint32_t>(item_chunks_));
  return absl::OkStatus();
}

absl::StatusOr<ItemLatents> TrainingText::LatentsOf(uint64_t item) const {
  std::vector<uint32_t> ids;
  std::vector<float> posteriors;
  RETURN_IF_ERROR(windows_->Load(Split::kTrain, item, &ids, &posteriors));
  const size_t half = latents_->latent_size() * sizeof(float);
  ItemLatents latents;
  const char* next = reinterpret_cast<const char*>(posteriors.data());
  for (uint64_t chunk = 0; chunk < item_chunks_; ++chunk, next += 2 * half) {
    latents.means.append(next, half);
    latents.log_stds.append(next + half, half);
  }
  return latents;
}

absl::StatusOr<std::string> TrainingText::BeginningOf(uint64_t item) const {
  const uint64_t chunk_size = tokens_.packing->rule().chunk_size;
  const uint64_t chunks = std::min(item_chunks_, (kWordsTokensMax + chunk_size - 1) / chunk_size);
  std::vector<uint32_t> ids(chunks * chunk_size);
  RETURN_IF_ERROR(tokens_.packing->Tokens(Split::kTrain, item * item_chunks_, ids));
  ASSIGN_OR_RETURN(std::string text, tokenizer_->Decode(ids));
  std::ranges::replace_if(
      text, [](unsigned char c) { return c < ' '; }, ' ');
  // A window may begin, and this may end, within a character.
  return pipeline::ReplaceInvalidUtf8(text.substr(0, kWordsBytesMax));
}

absl::StatusOr<ItemPlace> TrainingText::PlaceOf(uint64_t item) const {
  const pipeline::Packing& packing = *tokens_.packing;
  const uint64_t first = item * item_chunks_, last = first + item_chunks_ - 1;
  if (last >= packing.Chunks(Split::kTrain)) return Internal("there is no item of that number");
  ItemPlace place;
  for (const pipeline::MixturePart& part : order_.parts()) {
    if (item >= part.begin && item - part.begin < part.items) place.source = part.name;
  }
  place.first_shard = packing.Locate(Split::kTrain, first).shard;
  place.last_shard = packing.Locate(Split::kTrain, last).shard;
  std::vector<uint64_t> documents(item_chunks_);
  RETURN_IF_ERROR(packing.DocumentsOf(Split::kTrain, first, documents));
  place.first_document = documents.front();
  place.last_document = documents.back();
  if (tokens_.files.AreOf(data_, packing.shards())) {
    const std::vector<std::string> files = data_.Files();
    place.first_file = files.at(tokens_.files.FilesOf(place.first_shard)->first);
    place.last_file = files.at(tokens_.files.FilesOf(place.last_shard)->last);
  }
  ASSIGN_OR_RETURN(place.words, BeginningOf(item));
  return place;
}

}  // namespace halcyon::coordinator
