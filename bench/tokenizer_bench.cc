// How fast a tokenizer encodes the texts of a JSON Lines file, from the file to a file of ids:
//   tokenizer_bench TOKENIZER FILE.jsonl IDS [--pattern P] [--threads N] [--rounds N]
// The field is "text". IDS receives little-endian uint32, nothing between documents. peers/
// encoders.py does the same with other programs and compares.
#include <sys/resource.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "base/mutex.h"
#include "base/output_file.h"
#include "pipeline/sources/json_lines.h"
#include "pipeline/tokenizer.h"

namespace halcyon::pipeline {
namespace {

constexpr size_t kBatchBytes = 1 << 20;  // of lines that a thread takes at a time

struct Options {
  std::string tokenizer, texts, ids, pattern;
  int threads = 1, rounds = 3;
};

double ProcessorSeconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Takes whole lines of about kBatchBytes from a file at a time. Not thread-safe.
class LineBatches {
 public:
  static absl::StatusOr<LineBatches> Open(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) return NotFound("cannot open " + path);
    return LineBatches(std::move(file));
  }

  // Writes the next lines to `batch`: none at the end of the file.
  void Take(std::string* batch) {
    *batch = rest_;
    for (size_t end = batch->npos; end == batch->npos && file_;) {
      const size_t before = batch->size();
      batch->resize(before + kBatchBytes);
      file_.read(batch->data() + before, kBatchBytes);
      batch->resize(before + static_cast<size_t>(file_.gcount()));
      end = batch->rfind('\n');
      rest_.assign(*batch, file_ && end != batch->npos ? end + 1 : batch->size());
    }
    batch->resize(batch->size() - rest_.size());
  }

 private:
  explicit LineBatches(std::ifstream file) : file_(std::move(file)) {}

  std::ifstream file_;
  std::string rest_;  // read, behind the last batch
};

// Encodes batches in any order and writes their ids in the order of the file.
class Run {
 public:
  Run(std::shared_ptr<const Tokenizer> tokenizer, LineBatches texts, OutputFile* ids)
      : tokenizer_(std::move(tokenizer)), texts_(std::move(texts)), ids_(ids) {}

  absl::Status Encode(int threads) {
    {
      std::vector<std::jthread> pool;
      for (int i = 1; i < threads; ++i) pool.emplace_back([this] { Work(); });
      Work();
    }
    MutexLock lock(&mutex_);
    return status_;
  }
  size_t text_bytes() const { return text_bytes_; }
  size_t id_count() const { return id_count_; }

 private:
  void Work() {
    const auto encoder = Encoder::Create(tokenizer_);
    JsonLineReader reader("text", jobs::InvalidUtf8::kReplace);
    std::string batch;
    for (size_t number = Take(&batch); !batch.empty(); number = Take(&batch)) {
      std::vector<uint32_t> ids = SpareIds();
      const absl::Status status = EncodeBatch(batch, *encoder, reader, &ids);
      MutexLock lock(&mutex_);
      status_.Update(status);
      done_[number] = std::move(ids);
      for (auto first = done_.begin(); first != done_.end() && first->first == written_;
           first = done_.erase(first), ++written_) {
        const std::vector<uint32_t>& ready = first->second;
        status_.Update(ids_->Append(
            {reinterpret_cast<const char*>(ready.data()), ready.size() * sizeof ready[0]}));
        spare_.push_back(std::move(first->second));
      }
    }
  }

  size_t Take(std::string* batch) {
    MutexLock lock(&mutex_);
    texts_.Take(batch);
    return taken_++;
  }

  // Empty, with the memory of those that were written.
  std::vector<uint32_t> SpareIds() {
    MutexLock lock(&mutex_);
    if (spare_.empty()) return {};
    std::vector<uint32_t> ids = std::move(spare_.back());
    spare_.pop_back();
    ids.clear();
    return ids;
  }

  absl::Status EncodeBatch(std::string_view lines, Encoder& encoder, JsonLineReader& reader,
                           std::vector<uint32_t>* ids) {
    ids->reserve(lines.size() / 3);
    size_t bytes = 0;
    while (!lines.empty()) {
      const std::string_view line = lines.substr(0, lines.find('\n'));
      lines.remove_prefix(std::min(line.size() + 1, lines.size()));
      ASSIGN_OR_RETURN(const JsonText text, reader.Read(line));
      encoder.Encode(text.text, ids);
      bytes += text.text.size();
    }
    text_bytes_ += bytes;
    id_count_ += ids->size();
    return absl::OkStatus();
  }

  const std::shared_ptr<const Tokenizer> tokenizer_;
  std::atomic<size_t> text_bytes_ = 0, id_count_ = 0;
  Mutex mutex_;
  LineBatches texts_ ABSL_GUARDED_BY(mutex_);
  OutputFile* const ids_ ABSL_PT_GUARDED_BY(mutex_);
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  size_t taken_ ABSL_GUARDED_BY(mutex_) = 0, written_ ABSL_GUARDED_BY(mutex_) = 0;  // batches
  std::map<size_t, std::vector<uint32_t>> done_ ABSL_GUARDED_BY(mutex_);  // not written yet
  std::vector<std::vector<uint32_t>> spare_ ABSL_GUARDED_BY(mutex_);
};

absl::Status Measure(const Options& options) {
  const Clock& clock = *Clock::Real();
  ASSIGN_OR_RETURN(const auto tokenizer, Tokenizer::Load(options.tokenizer, options.pattern));
  for (int round = 0; round < options.rounds; ++round) {
    const int64_t start_ms = clock.MonotonicMs();
    const double start_processor = ProcessorSeconds();
    ASSIGN_OR_RETURN(LineBatches texts, LineBatches::Open(options.texts));
    ASSIGN_OR_RETURN(const auto ids, OutputFile::Open(options.ids));
    Run run(tokenizer, std::move(texts), ids.get());
    RETURN_IF_ERROR(run.Encode(options.threads));
    std::printf("%zu bytes, %zu ids, %.3f s, processor %.3f s\n", run.text_bytes(), run.id_count(),
                1e-3 * static_cast<double>(clock.MonotonicMs() - start_ms),
                ProcessorSeconds() - start_processor);
    std::fflush(stdout);
    RETURN_IF_ERROR(ids->Close());
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace halcyon::pipeline

int main(int argc, char** argv) {
  halcyon::pipeline::Options options;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (!word.starts_with("--")) {
      files.push_back(word);
      continue;
    }
    if (word == "--pattern") options.pattern = value;
    if (word == "--threads") options.threads = std::atoi(value.c_str());
    if (word == "--rounds") options.rounds = std::atoi(value.c_str());
    ++i;
  }
  if (files.size() != 3) {
    std::puts("tokenizer_bench TOKENIZER FILE.jsonl IDS [--pattern P] [--threads N] [--rounds N]");
    return 2;
  }
  options.tokenizer = files[0];
  options.texts = files[1];
  options.ids = files[2];
  const absl::Status status = halcyon::pipeline::Measure(options);
  if (!status.ok()) std::fprintf(stderr, "error: %s\n", halcyon::MessageOf(status).c_str());
  return status.ok() ? 0 : 1;
}
