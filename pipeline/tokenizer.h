// Byte-level BPE: training, files, encoding and decoding.
//
// Files are Hugging Face tokenizer.json with model.type "BPE", a ByteLevel alphabet and a Split
// pre-tokenizer that carries the pattern, so that other software reads what is trained here.
// Encoding never matches special tokens in text: in a corpus they are ordinary characters.
#ifndef HALCYON_PIPELINE_TOKENIZER_H_
#define HALCYON_PIPELINE_TOKENIZER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace halcyon::pipeline {

inline constexpr std::string_view kEndOfText = "<|endoftext|>";
inline constexpr std::string_view kPadding = "<|padding|>";

// Immutable; thread-safe.
class Tokenizer {
 public:
  // `pattern`: "" takes the file's; or gpt2 | llama3 | cl100k | o200k. kInvalidArgument says what
  // of the file is not supported and where.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Load(const std::string& path,
                                                               const std::string& pattern = "");
  // The same of a file's bytes; `where` is for messages.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> FromJson(std::string_view json,
                                                                   const std::string& where,
                                                                   const std::string& pattern = "");
  virtual ~Tokenizer() = default;

  virtual uint32_t vocab_size() const = 0;  // ids are 0 ... vocab_size-1
  virtual uint32_t end_of_text() const = 0;
  virtual uint32_t padding() const = 0;
  // The bytes of a token; specials give their names.
  virtual std::string_view Bytes(uint32_t id) const = 0;
  // Bytes of the ids; specials are left out unless `keep_special`. kInvalidArgument: unknown id.
  virtual absl::StatusOr<std::string> Decode(std::span<const uint32_t> ids,
                                             bool keep_special = false) const = 0;
  // The whole file's bytes, as Load reads them.
  virtual std::string ToJson() const = 0;
};

// Encodes with a private cache of pre-tokens: one a thread. Not thread-safe.
class Encoder {
 public:
  static std::unique_ptr<Encoder> Create(std::shared_ptr<const Tokenizer> tokenizer);
  virtual ~Encoder() = default;
  // Appends the ids of `text` (valid UTF-8) to `ids`; no end-of-text is added.
  virtual void Encode(std::string_view text, std::vector<uint32_t>* ids) = 0;
};

struct BpeTrainingOptions {
  uint32_t vocab_size = 8192;  // 256 bytes + merges + 2 special tokens
  std::string pattern = "gpt2";
};

// Learns merges from the added documents: each the most frequent pair (of equals, the smaller ids).
class BpeTrainer {
 public:
  static absl::StatusOr<std::unique_ptr<BpeTrainer>> Create(const BpeTrainingOptions& options);
  virtual ~BpeTrainer() = default;
  virtual void Add(std::string_view document) = 0;
  // Fewer merges than asked for are fine when the text has no more pairs that occur twice;
  // vocab_size is then smaller. kInvalidArgument when nothing was added.
  virtual absl::StatusOr<std::shared_ptr<const Tokenizer>> Train() = 0;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_H_
