#include "jobs/text_counts.h"

#include <fmt/format.h>

namespace halcyon::jobs {
namespace {

// BrierLM scores four tokens after a chunk.
constexpr uint64_t kScoredTokens = 4;
constexpr uint64_t kHeldoutChunksMax = uint64_t{1} << 30;

// What to do about a text of too few documents.
std::string CutAdvice(const DataSpec& data) {
  if (data.format == DataFormat::kJsonl) return "give more lines";
  if (data.format == DataFormat::kTokens) {
    return data.end_of_document < 0
               ? "say which id ends a document with data.end_of_document, or give more files"
               : "give more documents";
  }
  switch (data.documents) {
    case DocumentRule::kFile:
      return "each file is one document: cut them with data.documents = \"paragraphs\" (or "
             "\"lines\" "
             "or \"entries\"), or give more files";
    case DocumentRule::kParagraphs:
    case DocumentRule::kEntries:
      return "cut the text into more documents with data.documents = \"lines\", or give more text";
    case DocumentRule::kLines:
      return "give more text";
  }
  return "";
}

std::string DocumentsText(uint64_t documents) {
  return documents == 1 ? "its one document" : fmt::format("its {} documents", documents);
}

}  // namespace

absl::Status CheckText(const JobSpec& spec, const TextCounts& counts) {
  const DataSpec& data = spec.data;
  const uint64_t documents = counts.train_documents + counts.heldout_documents;
  if (counts.train_documents == 0) {
    return InvalidArgument(fmt::format(
        "data: the text leaves nothing to train on, {} being held out; {}, or write data.heldout "
        "= 0",
        DocumentsText(documents), CutAdvice(data)));
  }
  if (spec.model.head != HeadKind::kSoftmax && counts.autoencoder_chunks == 0) {
    return InvalidArgument(
        "autoencoder.data_fraction: the shards that the autoencoder learns from hold no training "
        "text; raise it, or data.shard_bytes");
  }
  if (spec.model.skip_autoencoder_data && counts.model_chunks == 0) {
    return InvalidArgument(
        "model.skip_autoencoder_data: the autoencoder takes all shards with training text, which "
        "leaves none; lower autoencoder.data_fraction or data.shard_bytes");
  }
  const auto window = static_cast<uint64_t>(spec.model.window_chunks);
  if (counts.model_chunks < window) {
    return InvalidArgument(fmt::format(
        "model.window_chunks: the training text{} has {} chunks of {} tokens, less than one window "
        "of {}; {} or give more text",
        spec.model.skip_autoencoder_data ? " that the autoencoder leaves" : "", counts.model_chunks,
        spec.autoencoder.chunk_size, window,
        counts.model_chunks >= 2
            ? fmt::format("write model.window_chunks = {} or less,", counts.model_chunks)
            : "lower autoencoder.chunk_size"));
  }
  if (spec.eval.every > 0) {
    if (const std::string why = WhyNoScore(spec, counts); !why.empty()) {
      return InvalidArgument("eval.every: there is nothing to evaluate on while training: " + why +
                             "; or write eval.every = 0");
    }
  }
  if (counts.heldout_chunks > kHeldoutChunksMax) {
    return InvalidArgument(
        fmt::format("data.heldout: {} chunks are held out, at most {} can be "
                    "evaluated; lower data.heldout",
                    counts.heldout_chunks, kHeldoutChunksMax));
  }
  return absl::OkStatus();
}

std::string WhyNoScore(const JobSpec& spec, const TextCounts& counts) {
  const DataSpec& data = spec.data;
  if (counts.heldout_documents == 0) {
    if (!data.heldout_sources.empty()) return "data.heldout_sources hold no document";
    if (data.heldout == 0) return "data.heldout = 0 leaves no text to score on";
    return fmt::format("data.heldout = {} of {} is none; {}", data.heldout,
                       DocumentsText(counts.train_documents),
                       // A larger fraction of one document is still none or all of it.
                       data.format == DataFormat::kText && data.documents == DocumentRule::kFile
                           ? CutAdvice(data)
                           : CutAdvice(data) + ", or raise data.heldout");
  }
  const auto chunk = static_cast<uint64_t>(spec.autoencoder.chunk_size);
  const uint64_t needed = 1 + (kScoredTokens + chunk - 1) / chunk;
  if (counts.heldout_chunks >= needed) return "";
  return fmt::format(
      "the held-out text has {} chunks, and a score takes {}: four tokens after a "
      "chunk; {}, or raise data.heldout",
      counts.heldout_chunks, needed, CutAdvice(data));
}

}  // namespace halcyon::jobs
