#include "coordinator/text_encoding.h"

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "pipeline/utf8.h"

namespace halcyon::coordinator {
namespace {

// Lines that a thread takes at a time.
constexpr size_t kBatchLines = 256;

struct Line {
  std::string_view text;
  size_t number = 0;  // from 1
};

std::vector<Line> DocumentLines(std::string_view bytes) {
  std::vector<Line> lines;
  for (size_t number = 1; !bytes.empty(); ++number) {
    const size_t end = std::min(bytes.find('\n'), bytes.size());
    const std::string_view line = bytes.substr(0, end);
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
    if (line.find_first_not_of(" \t\r") != std::string_view::npos) lines.push_back({line, number});
  }
  return lines;
}

absl::StatusOr<std::string> DocumentOf(const std::string& valid, const std::string& field) {
  const nlohmann::json json = nlohmann::json::parse(valid, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return InvalidArgument("not a JSON object");
  const auto member = json.find(field);
  if (member == json.end() || !member->is_string()) {
    return InvalidArgument("no text in the member \"" + field + "\"; name another with --field");
  }
  return member->get<std::string>();
}

// A batch of lines, encoded.
struct Batch {
  EncodedText encoded;
  absl::Status status;
};

Batch EncodeBatch(pipeline::Encoder& encoder, const Line* lines, size_t count,
                  const std::string& field, const std::string& file_name) {
  Batch batch;
  for (size_t i = 0; i < count; ++i) {
    uint64_t replaced = 0;
    const auto document = DocumentOf(pipeline::ReplaceInvalidUtf8(lines[i].text, &replaced), field);
    if (!document.ok()) {
      batch.status = Annotate(document.status(), file_name + ":" + std::to_string(lines[i].number));
      return batch;
    }
    const size_t before = batch.encoded.ids.size();
    encoder.Encode(*document, &batch.encoded.ids);
    batch.encoded.counts.push_back(static_cast<uint32_t>(batch.encoded.ids.size() - before));
    batch.encoded.invalid_utf8 += replaced;
  }
  return batch;
}

absl::StatusOr<EncodedText> EncodeLines(const std::shared_ptr<const pipeline::Tokenizer>& tokenizer,
                                        const std::vector<Line>& lines, const std::string& field,
                                        const std::string& file_name, int64_t threads) {
  std::vector<Batch> batches((lines.size() + kBatchLines - 1) / kBatchLines);
  std::atomic<size_t> next = 0;
  {
    std::vector<std::jthread> pool;
    const auto work = [&] {
      const auto encoder = pipeline::Encoder::Create(tokenizer);
      for (size_t b = next++; b < batches.size(); b = next++) {
        const size_t first = b * kBatchLines;
        batches[b] = EncodeBatch(*encoder, &lines[first],
                                 std::min(kBatchLines, lines.size() - first), field, file_name);
      }
    };
    for (int64_t i = 0; i < threads; ++i) pool.emplace_back(work);
  }
  EncodedText all;
  for (const Batch& batch : batches) {
    RETURN_IF_ERROR(batch.status);
    const EncodedText& part = batch.encoded;
    all.ids.insert(all.ids.end(), part.ids.begin(), part.ids.end());
    all.counts.insert(all.counts.end(), part.counts.begin(), part.counts.end());
    all.invalid_utf8 += part.invalid_utf8;
  }
  return all;
}

}  // namespace

absl::StatusOr<EncodedText> EncodeText(std::shared_ptr<const pipeline::Tokenizer> tokenizer,
                                       std::string_view bytes, jobs::DataFormat format,
                                       const std::string& field, const std::string& file_name,
                                       int64_t threads) {
  if (format == jobs::DataFormat::kJsonl) {
    return EncodeLines(tokenizer, DocumentLines(bytes), field, file_name, threads);
  }
  EncodedText encoded;
  std::string repaired;
  if (!pipeline::IsValidUtf8(bytes)) {
    repaired = pipeline::ReplaceInvalidUtf8(bytes, &encoded.invalid_utf8);
    bytes = repaired;
  }
  pipeline::Encoder::Create(tokenizer)->Encode(bytes, &encoded.ids);
  encoded.counts.push_back(static_cast<uint32_t>(encoded.ids.size()));
  return encoded;
}

}  // namespace halcyon::coordinator
