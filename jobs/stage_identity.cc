#include "jobs/stage_identity.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/check.h"
#include "base/digest.h"
#include "jobs/given_pattern.h"
#include "jobs/heldout_parts.h"
#include "jobs/mixture.h"
#include "jobs/spec_keys.h"

namespace halcyon::jobs {
namespace {

// What a stage's result depends on besides its inputs.
struct Dependence {
  StageKind kind;
  // Raised by one whenever the code of the stage gives another result for the same fields.
  std::string_view version;
  // Keys of the job file that change the result: a path, or a section with a dot at its end.
  std::vector<std::string_view> settings;
};

const Dependence& DependenceOf(StageKind kind) {
  static const auto* stages = new std::vector<Dependence>{
      {.kind = StageKind::kTokenizer,
       .version = "3",
       // shard_bytes too: a sample of at most train_bytes_max is taken by whole ranges of
       // shard_bytes.
       .settings = {"data.", "tokenizer."}},
      {.kind = StageKind::kTokens, .version = "4", .settings = {"data."}},
      {.kind = StageKind::kAutoencoder, .version = "1", .settings = {"seed", "autoencoder."}},
      {.kind = StageKind::kLatents,
       .version = "2",
       // Implied by the autoencoder's digest; named so that a printed difference can be read.
       .settings = {"autoencoder.chunk_size"}},
      {.kind = StageKind::kModel,
       .version = "1",
       .settings = {"seed", "autoencoder.chunk_size", "autoencoder.data_fraction", "model.",
                    "train."}},
      {.kind = StageKind::kEval, .version = "2", .settings = {"seed", "eval."}},
  };
  const auto found = std::ranges::find(*stages, kind, &Dependence::kind);
  HALCYON_CHECK(found != stages->end());
  return *found;
}

constexpr char kEncodingPrecision[] = "data.encoding_precision";  // the key, and the field
constexpr char kBFloat16[] = "bfloat16";                          // its value

// Keys of the sections above that are nevertheless not fields.
bool IsNeverAField(std::string_view path) {
  constexpr std::string_view kPaths[] = {
      "data.sources",  // their bytes are fields, not their paths
      "data.source",   // likewise; the shares are fields of the model
      "data.heldout_sources",
      "data.latents",        // says which inputs the model has, which are fields
      "data.latent_format",  // the field "dtype" of the stage that encodes
      kEncodingPrecision,    // a field of that stage alone
      "tokenizer.path",      // the file's bytes are a field
      "autoencoder.preset",  // the keys it sets count
      "model.preset",
      "autoencoder.train.micro_batch",  // divides the work, as ranks do; the result is the same
      "train.micro_batch",
      "eval.every",  // about evaluation while training
      "eval.windows",
  };
  return std::find(std::begin(kPaths), std::end(kPaths), path) != std::end(kPaths);
}

// Keys that came when stages had been made without them. At the value that those stages were made
// with they are no fields either, so that finished artifacts keep their fingerprints.
bool IsAsBeforeItCame(std::string_view path, std::string_view value) {
  constexpr std::pair<std::string_view, std::string_view> kLater[] = {
      {"autoencoder.train.precision", "float32"},
      {"train.precision", "float32"},
      {"model.document_mask", "false"},
      {"data.token_type", "auto"},
      {"data.end_of_document", "-1"},
      {"tokenizer.words_bytes_max", "4294967296"},
  };
  return std::find(std::begin(kLater), std::end(kLater), std::pair(path, value)) !=
         std::end(kLater);
}

bool Enters(const Dependence& stage, const std::string& path) {
  if (IsNeverAField(path)) return false;
  return std::any_of(stage.settings.begin(), stage.settings.end(), [&](std::string_view setting) {
    return setting.back() == '.' ? path.compare(0, setting.size(), setting) == 0 : path == setting;
  });
}

// Which files give which share of the samples that are trained on.
void AddShares(const DataSpec& data, std::vector<FingerprintField>* fields) {
  const std::vector<double> shares = SharesOf(data);
  if (!shares.empty())
    fields->push_back({"data.source.order", "2"});  // pipeline/samples/mixture_order.h
  for (size_t i = 0; i < shares.size(); ++i) {
    const std::string source = "data.source[" + std::to_string(i) + "].";
    fields->push_back({source + "share", NumberText(shares[i])});
    fields->push_back({source + "files", std::to_string(data.source[i].paths.size())});
  }
}

// Shards are of one part of the text (pipeline/sources/shard_plan.h).
void AddParts(const DataSpec& data, std::vector<FingerprintField>* fields) {
  for (size_t i = 0; i + 1 < data.source.size(); ++i) {
    fields->push_back({"data.source[" + std::to_string(i) + "].files",
                       std::to_string(data.source[i].paths.size())});
  }
}

// What is scored apart.
void AddHeldoutParts(const DataSpec& data, std::vector<FingerprintField>* fields) {
  const std::vector<HeldoutPart> parts = HeldoutPartsOf(data);
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string part = "heldout_part[" + std::to_string(i) + "].";
    fields->push_back({part + "files", std::to_string(parts[i].files)});
  }
}

// How the stage that encodes makes latents and what it rounds them to. At the default of a choice
// there is no field where artifacts had been made before the choice came.
void AddEncoding(StageKind kind, const JobSpec& spec, std::vector<FingerprintField>* fields) {
  constexpr const char* kNames[] = {"f16", "bf16", "f32"};
  const LatentFormat format = spec.data.latent_format;
  const bool is_latents = kind == StageKind::kLatents;
  if (!is_latents && (kind != StageKind::kModel || !RecomputesLatents(spec))) return;
  if (is_latents || format != LatentFormat::kFloat16) {
    fields->push_back({"dtype", kNames[static_cast<size_t>(format)]});
  }
  if (spec.data.encoding_precision == Precision::kBFloat16) {
    fields->push_back({kEncodingPrecision, kBFloat16});
  }
}

// With its length before it, so that different lists of fields give different texts.
void AppendCounted(std::string* text, std::string_view part) {
  *text += std::to_string(part.size());
  *text += ':';
  *text += part;
}

const FingerprintField* FindField(const std::vector<FingerprintField>& fields,
                                  const std::string& name) {
  for (const FingerprintField& field : fields) {
    if (field.name == name) return &field;
  }
  return nullptr;
}

}  // namespace

std::string StageIdentity::Fingerprint() const {
  std::string text;
  AppendCounted(&text, StageName(kind));
  for (const FingerprintField& field : fields) {
    AppendCounted(&text, field.name);
    AppendCounted(&text, field.value);
  }
  return Sha256::Of(text);
}

StageIdentity IdentityOf(StageKind kind, const JobSpec& spec,
                         const std::vector<std::string>& source_digests,
                         const std::map<StageKind, std::string>& input_digests,
                         const std::string& tokenizer_file_digest) {
  const Dependence& stage = DependenceOf(kind);
  StageIdentity identity{kind, {{"version", std::string(stage.version)}}};
  if (kind == StageKind::kTokenizer && !spec.tokenizer.path.empty()) {
    HALCYON_CHECK(!tokenizer_file_digest.empty());
    identity.fields.push_back({kTokenizerFileDigest, tokenizer_file_digest});
    const std::string pattern = GivenPattern(spec.tokenizer);
    if (!pattern.empty()) identity.fields.push_back({"tokenizer.pattern", pattern});
    return identity;
  }
  JobSpec copy = spec;  // the key table holds pointers into the spec
  for (const SpecKey& key : KeysOf(copy)) {
    if (!Enters(stage, key.Path())) continue;
    std::string value = PlainTextOf(key);
    if (!IsAsBeforeItCame(key.Path(), value)) {
      identity.fields.push_back({key.Path(), std::move(value)});
    }
  }
  if (kind == StageKind::kModel) AddShares(spec.data, &identity.fields);
  if (kind == StageKind::kTokens) AddParts(spec.data, &identity.fields);
  if (kind == StageKind::kEval) AddHeldoutParts(spec.data, &identity.fields);
  AddEncoding(kind, spec, &identity.fields);
  if (ReadsSources(kind)) {
    HALCYON_CHECK(source_digests.size() == spec.data.Files().size());
    for (size_t i = 0; i < source_digests.size(); ++i) {
      identity.fields.push_back({"source[" + std::to_string(i) + "].sha256", source_digests[i]});
    }
    if (const size_t heldout = spec.data.heldout_sources.size(); heldout > 0) {
      identity.fields.push_back({"heldout_sources.files", std::to_string(heldout)});
    }
  }
  for (const StageKind input : InputsOf(kind, spec)) {
    const auto digest = input_digests.find(input);
    HALCYON_CHECK(digest != input_digests.end());
    identity.fields.push_back({"input." + std::string(StageName(input)), digest->second});
  }
  return identity;
}

Precision EncodingPrecisionOf(const std::vector<FingerprintField>& fields) {
  const FingerprintField* field = FindField(fields, kEncodingPrecision);
  return field != nullptr && field->value == kBFloat16 ? Precision::kBFloat16 : Precision::kFloat32;
}

std::vector<FieldDifference> Differences(const std::vector<FingerprintField>& before,
                                         const std::vector<FingerprintField>& after) {
  std::vector<FieldDifference> differences;
  for (const FingerprintField& old : before) {
    const FingerprintField* now = FindField(after, old.name);
    const std::string value = now == nullptr ? "" : now->value;
    if (now == nullptr || value != old.value) differences.push_back({old.name, old.value, value});
  }
  for (const FingerprintField& now : after) {
    if (FindField(before, now.name) == nullptr) differences.push_back({now.name, "", now.value});
  }
  return differences;
}

}  // namespace halcyon::jobs
