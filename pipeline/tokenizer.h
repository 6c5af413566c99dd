// Tokenizers: reading their files, encoding and decoding; training byte-level BPE.
//
// A file is a Hugging Face tokenizer.json, a rank file of tiktoken or a model of SentencePiece, and
// is recognised by its content; docs/tokenizers.md says what of them is supported. What is trained
// here is written as a tokenizer.json, so that other software reads it. Encoding never matches
// special tokens in text: in a corpus they are ordinary characters.
#ifndef HALCYON_PIPELINE_TOKENIZER_H_
#define HALCYON_PIPELINE_TOKENIZER_H_

#include <cstdint>
#include <functional>
#include <map>
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
  // `pattern`: how text is split, where the file leaves that open (tiktoken) or is byte-level BPE
  // split by one expression: a name of PatternByName or, for tiktoken, an expression; "": as the
  // file says. kInvalidArgument says what of the file is not supported and where.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Load(const std::string& path,
                                                               const std::string& pattern = "");
  // The same of a file's bytes; `where` is for messages.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> FromBytes(
      std::string_view bytes, const std::string& where, const std::string& pattern = "");
  virtual ~Tokenizer() = default;

  virtual uint32_t vocab_size() const = 0;  // ids are 0 ... vocab_size-1
  // Whether a token has the id: a file may leave out some. Such an id is never encoded, and decoded
  // it is nothing.
  virtual bool Has(uint32_t id) const { return id < vocab_size(); }
  virtual uint32_t end_of_text() const = 0;
  virtual uint32_t padding() const = 0;
  // What a token adds to a text, behind another one; specials give their names.
  virtual std::string_view Bytes(uint32_t id) const = 0;
  // Bytes of the ids; specials are left out unless `keep_special`. kInvalidArgument: unknown id.
  virtual absl::StatusOr<std::string> Decode(std::span<const uint32_t> ids,
                                             bool keep_special = false) const = 0;
  // A JSON file that Load reads as the same tokenizer: the file that was read, where that was JSON.
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

// 4 GiB: some 15 million words.
inline constexpr uint64_t kWordsBytesMax = uint64_t{4} << 30;

struct BpeTrainingOptions {
  uint32_t vocab_size = 8192;  // 256 bytes + merges + 2 special tokens
  std::string pattern = "gpt2";
  // Memory for the different words of the documents, about; what it does when they take more is
  // said at DroppedWords.
  uint64_t words_bytes_max = kWordsBytesMax;
  size_t threads = 0;  // 0: one a processor; changes nothing but the time
};

// Words that were left out because all would have taken more memory than allowed: of those known at
// that time the rarest, so many that the rest took half of it. One that came again was counted from
// 0. None: the merges are exact.
struct DroppedWords {
  uint64_t words = 0, occurrences = 0;
  uint64_t short_max = 0;  // by how much the count of a word may be too small
};
// A sentence for a person, and the counts by name; empty where none was left out.
std::string WarningOf(const DroppedWords& dropped);
std::map<std::string, uint64_t> FactsOf(const DroppedWords& dropped);

// Learns merges from the added documents, the same as Hugging Face's BpeTrainer with min_frequency
// 2 and all 256 bytes: each the most frequent pair; of equals the smaller ids, where bytes are in
// the order of the characters that spell them in a tokenizer.json.
class BpeTrainer {
 public:
  static absl::StatusOr<std::unique_ptr<BpeTrainer>> Create(const BpeTrainingOptions& options);
  virtual ~BpeTrainer() = default;
  virtual void Add(std::string_view document) = 0;
  // Fewer merges than asked for are fine when the text has no more pairs that occur twice;
  // vocab_size is then smaller. kInvalidArgument when nothing was added.
  virtual absl::StatusOr<std::shared_ptr<const Tokenizer>> Train() = 0;
  // Valid after Train.
  virtual DroppedWords dropped() const = 0;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_H_
