#include "pipeline/sources/source_text.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/file_kind.h"
#include "pipeline/sources/shard_plan.h"
#include "pipeline/sources/unpacker.h"

namespace halcyon::pipeline {
namespace {

constexpr uint64_t kUnpackedBytes = 1 << 20;

// The bytes of a file from its beginning to the end that it had when it was opened.
class FileBytes {
 public:
  FileBytes(Env& env, std::string path, uint64_t size, Sha256* digest)
      : env_(env), path_(std::move(path)), size_(size), digest_(digest) {}

  absl::StatusOr<std::string> Next(uint64_t bytes) {
    bytes = std::min(bytes, size_ - at_);
    auto read = env_.ReadRange(path_, at_, bytes);
    if (absl::IsDataLoss(read.status())) return SourceChanged(path_, "it is shorter");
    RETURN_IF_ERROR(read.status());
    at_ += bytes;
    if (digest_ != nullptr) digest_->Update(*read);
    return read;
  }
  void Skip(uint64_t bytes) { at_ += std::min(bytes, size_ - at_); }
  bool at_end() const { return at_ == size_; }

 private:
  Env& env_;
  const std::string path_;
  const uint64_t size_;
  uint64_t at_ = 0;
  Sha256* const digest_;
};

class PlainText final : public SourceText {
 public:
  explicit PlainText(FileBytes file) : file_(std::move(file)) {}

  bool is_packed() const override { return false; }
  absl::Status Read(uint64_t bytes, std::string* text) override {
    ASSIGN_OR_RETURN(std::string read, file_.Next(bytes));
    if (text->empty()) {
      *text = std::move(read);
    } else {
      *text += read;
    }
    return absl::OkStatus();
  }
  absl::Status Skip(uint64_t bytes) override {
    file_.Skip(bytes);
    return absl::OkStatus();
  }
  bool at_end() const override { return file_.at_end(); }

 private:
  FileBytes file_;
};

class PackedText final : public SourceText {
 public:
  PackedText(std::string path, FileBytes file, Compression compression)
      : path_(std::move(path)), file_(std::move(file)), unpacker_(Unpacker::Make(compression)) {}

  bool is_packed() const override { return true; }
  absl::Status Read(uint64_t bytes, std::string* text) override {
    const uint64_t end = text->size() + bytes;
    while (text->size() < end && !at_end()) {
      RETURN_IF_ERROR(FillBuffer());
      const uint64_t taken = std::min<uint64_t>(end - text->size(), unread_.size());
      text->append(unread_, 0, taken);
      unread_.remove_prefix(taken);
    }
    // Whether this is the end is known after trying to read on.
    return FillBuffer();
  }
  absl::Status Skip(uint64_t bytes) override {
    while (bytes > 0 && !at_end()) {
      RETURN_IF_ERROR(FillBuffer());
      const uint64_t taken = std::min<uint64_t>(bytes, unread_.size());
      unread_.remove_prefix(taken);
      bytes -= taken;
    }
    return FillBuffer();
  }
  bool at_end() const override { return has_ended_ && unread_.empty(); }

 private:
  // Makes `unread_` not empty, or finds the end.
  absl::Status FillBuffer() {
    while (unread_.empty() && !has_ended_) {
      if (rest_.empty() && !file_.at_end()) {
        ASSIGN_OR_RETURN(packed_, file_.Next(kUnpackedBytes));
        rest_ = packed_;
      }
      const bool was_last = file_.at_end();
      buffer_.resize(kUnpackedBytes);
      ASSIGN_OR_RETURN(const size_t bytes,
                       unpacker_->Unpack(&rest_, buffer_.data(), buffer_.size()), path_);
      unread_ = std::string_view(buffer_).substr(0, bytes);
      has_ended_ = was_last && rest_.empty() && bytes < buffer_.size();
      if (has_ended_ && !unpacker_->is_complete()) return DataLoss(path_ + ": ends too early");
    }
    return absl::OkStatus();
  }

  const std::string path_;
  FileBytes file_;
  const std::unique_ptr<Unpacker> unpacker_;
  std::string packed_, buffer_;
  std::string_view rest_, unread_;  // of packed_, of buffer_
  bool has_ended_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SourceText>> SourceText::Open(Env& env, const std::string& path,
                                                             Sha256* digest) {
  ASSIGN_OR_RETURN(const uint64_t size, env.FileSize(path));
  ASSIGN_OR_RETURN(const std::string start,
                   env.ReadRange(path, 0, std::min<uint64_t>(size, kFileKindBytes)));
  const auto kind = RecogniseFileKind(start);
  FileBytes file(env, path, size, digest);
  if (kind && kind->compression != Compression::kNone) {
    return std::make_unique<PackedText>(path, std::move(file), kind->compression);
  }
  return std::make_unique<PlainText>(std::move(file));
}

absl::StatusOr<std::string> BeginningOf(Env& env, const std::string& path, uint64_t bytes) {
  ASSIGN_OR_RETURN(const auto source, SourceText::Open(env, path));
  std::string text;
  RETURN_IF_ERROR(source->Read(bytes, &text));
  return text;
}

absl::StatusOr<std::string> WholeText(Env& env, const std::string& path) {
  constexpr uint64_t kMore = 64 << 20;
  ASSIGN_OR_RETURN(const auto source, SourceText::Open(env, path));
  std::string text;
  while (!source->at_end()) RETURN_IF_ERROR(source->Read(kMore, &text));
  return text;
}

}  // namespace halcyon::pipeline
