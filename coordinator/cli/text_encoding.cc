#include "coordinator/cli/text_encoding.h"

#include <algorithm>
#include <atomic>
#include <thread>

#include "pipeline/sources/document_cutter.h"
#include "pipeline/sources/json_lines.h"
#include "pipeline/utf8.h"

namespace halcyon::coordinator {
namespace {

// Lines that a thread takes at a time.
constexpr size_t kBatchLines = 256;

// Lines that are not blank, cut as a job cuts them.
std::vector<std::string_view> DocumentLines(std::string_view bytes) {
  std::vector<std::string_view> lines;
  while (!bytes.empty()) {
    const std::string_view line = pipeline::TakeDocument(jobs::DocumentRule::kLines, &bytes);
    if (!pipeline::IsBlank(line)) lines.push_back(line);
  }
  return lines;
}

// A batch of lines, encoded.
struct Batch {
  EncodedText encoded;
  absl::Status status;
  size_t bad_line = 0;  // of the lines, when status is not OK
};

Batch EncodeBatch(pipeline::Encoder& encoder, pipeline::JsonLineReader& reader,
                  const std::vector<std::string_view>& lines, size_t first, size_t last) {
  Batch batch;
  for (size_t i = first; i < last; ++i) {
    const auto json = reader.Read(lines[i]);
    if (!json.ok()) {
      batch.status = json.status();
      batch.bad_line = i;
      return batch;
    }
    if (pipeline::IsBlank(json->text)) continue;
    const size_t before = batch.encoded.ids.size();
    encoder.Encode(json->text, &batch.encoded.ids);
    batch.encoded.counts.push_back(static_cast<uint32_t>(batch.encoded.ids.size() - before));
    batch.encoded.invalid_utf8 += json->replaced;
  }
  return batch;
}

absl::StatusOr<EncodedText> EncodeLines(const std::shared_ptr<const pipeline::Tokenizer>& tokenizer,
                                        std::string_view bytes, const std::string& field,
                                        const std::string& file_name, int64_t threads) {
  const std::vector<std::string_view> lines = DocumentLines(pipeline::WithoutByteOrderMark(bytes));
  std::vector<Batch> batches((lines.size() + kBatchLines - 1) / kBatchLines);
  std::atomic<size_t> next = 0;
  {
    std::vector<std::jthread> pool;
    const auto work = [&] {
      const auto encoder = pipeline::Encoder::Create(tokenizer);
      pipeline::JsonLineReader reader(field, jobs::InvalidUtf8::kReplace);
      for (size_t b = next++; b < batches.size(); b = next++) {
        const size_t first = b * kBatchLines;
        batches[b] = EncodeBatch(*encoder, reader, lines, first,
                                 std::min(first + kBatchLines, lines.size()));
      }
    };
    for (int64_t i = 0; i < threads; ++i) pool.emplace_back(work);
  }
  EncodedText all;
  for (const Batch& batch : batches) {
    if (!batch.status.ok()) {
      const char* line = lines[batch.bad_line].data();
      const auto number = 1 + std::count(bytes.data(), line, '\n');
      return Annotate(batch.status, file_name + ":" + std::to_string(number));
    }
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
    return EncodeLines(tokenizer, bytes, field, file_name, threads);
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
