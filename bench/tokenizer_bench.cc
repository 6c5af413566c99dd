// How fast a tokenizer encodes the lines of a JSON Lines file, on one thread:
//   tokenizer_bench TOKENIZER FILE.jsonl [PATTERN [IDS.npy COUNTS.npy]]
// The field is "text". With the last two, the ids are written, to be compared with another
// program's.
#include <cstdio>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "pipeline/json_lines.h"
#include "pipeline/npy.h"
#include "pipeline/tokenizer.h"

namespace halcyon::pipeline {
namespace {

constexpr int kRounds = 3;

absl::StatusOr<std::vector<std::string>> ReadTexts(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string file, Env::Posix()->ReadFile(path));
  JsonLineReader reader("text", jobs::InvalidUtf8::kReplace);
  std::vector<std::string> texts;
  for (size_t at = 0; at < file.size();) {
    const size_t end = std::min(file.find('\n', at), file.size());
    ASSIGN_OR_RETURN(const auto line, reader.Read(std::string_view(file).substr(at, end - at)));
    texts.emplace_back(line.text);
    at = end + 1;
  }
  return texts;
}

absl::Status Run(const std::vector<std::string>& arguments) {
  const std::string pattern = arguments.size() > 2 ? arguments[2] : "";
  const Clock& clock = *Clock::Real();
  const int64_t load_ms = clock.MonotonicMs();
  ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::Load(arguments[0], pattern));
  std::printf("loaded in %ld ms\n", static_cast<long>(clock.MonotonicMs() - load_ms));
  ASSIGN_OR_RETURN(const std::vector<std::string> texts, ReadTexts(arguments[1]));
  std::vector<uint32_t> ids, counts;
  for (int round = 0; round < kRounds; ++round) {
    const auto encoder = Encoder::Create(tokenizer);
    ids.clear();
    counts.clear();
    size_t bytes = 0;
    const int64_t start_ms = clock.MonotonicMs();
    for (const std::string& text : texts) {
      const size_t before = ids.size();
      encoder->Encode(text, &ids);
      counts.push_back(static_cast<uint32_t>(ids.size() - before));
      bytes += text.size();
    }
    const int64_t ms = std::max<int64_t>(1, clock.MonotonicMs() - start_ms);
    std::printf("%zu bytes, %zu ids, %ld ms, %.2f MB/s\n", bytes, ids.size(), static_cast<long>(ms),
                static_cast<double>(bytes) / 1000 / static_cast<double>(ms));
  }
  if (arguments.size() < 5) return absl::OkStatus();
  RETURN_IF_ERROR(WriteNpy(arguments[3], ids));
  return WriteNpy(arguments[4], counts);
}

}  // namespace
}  // namespace halcyon::pipeline

int main(int argc, char** argv) {
  if (argc < 3) return std::puts("tokenizer_bench TOKENIZER FILE.jsonl [PATTERN [IDS COUNTS]]"), 2;
  const absl::Status status = halcyon::pipeline::Run({argv + 1, argv + argc});
  if (!status.ok()) std::fprintf(stderr, "error: %s\n", halcyon::MessageOf(status).c_str());
  return status.ok() ? 0 : 1;
}
