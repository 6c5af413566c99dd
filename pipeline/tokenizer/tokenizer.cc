#include "pipeline/tokenizer.h"

#include <utility>

#include "base/check.h"
#include "base/env.h"
#include "base/file_kind.h"
#include "pipeline/tokenizer/encodable_tokenizer.h"
#include "pipeline/tokenizer/json/tokenizer_json.h"
#include "pipeline/tokenizer/sentencepiece/sentencepiece_tokenizer.h"
#include "pipeline/tokenizer/stored_json.h"
#include "pipeline/tokenizer/tiktoken_file.h"
#include "pipeline/tokenizer/tokenizer_file_kind.h"

namespace halcyon::pipeline {
namespace {

using TokenizerOr = absl::StatusOr<std::shared_ptr<const Tokenizer>>;

// By the file's own words; its name says little: a .model is one of two kinds.
TokenizerOr ReadByKind(std::string_view bytes, const std::string& pattern) {
  switch (RecogniseTokenizerFile(bytes)) {
    case TokenizerFileKind::kJson:
      return ReadTokenizerJson(bytes, pattern);
    case TokenizerFileKind::kTiktoken:
      return ReadTiktoken(bytes, pattern);
    case TokenizerFileKind::kStored:
    case TokenizerFileKind::kSentencePiece:
      if (!pattern.empty()) {
        return InvalidArgument("the file says itself how text is split: leave out the pattern \"" +
                               pattern + "\"");
      }
      return IsStored(bytes) ? ReadStored(bytes) : ReadSentencePiece(bytes);
    case TokenizerFileKind::kNone:
      return InvalidArgument(WhyNoTokenizer(bytes));
  }
  HALCYON_CHECK(false && "a kind of tokenizer file without a reader");
}

}  // namespace

absl::StatusOr<std::shared_ptr<const Tokenizer>> Tokenizer::Load(const std::string& path,
                                                                 const std::string& pattern) {
  ASSIGN_OR_RETURN(const std::string bytes, Env::Posix()->ReadFile(path));
  return FromBytes(bytes, path, pattern);
}

absl::StatusOr<std::shared_ptr<const Tokenizer>> Tokenizer::FromBytes(std::string_view bytes,
                                                                      const std::string& where,
                                                                      const std::string& pattern) {
  auto tokenizer = ReadByKind(bytes, pattern);
  if (tokenizer.ok()) return tokenizer;
  return Annotate(ExplainByFileKind(tokenizer.status(), bytes, "a tokenizer"), where);
}

std::unique_ptr<Encoder> Encoder::Create(std::shared_ptr<const Tokenizer> tokenizer) {
  const auto* encodable = dynamic_cast<const EncodableTokenizer*>(tokenizer.get());
  HALCYON_CHECK(encodable != nullptr);
  return encodable->NewEncoder();
}

absl::Status EncodableTokenizer::CheckId(uint32_t id, size_t position) const {
  if (id < vocab_size()) return absl::OkStatus();
  return InvalidArgument("id " + std::to_string(id) + " at position " + std::to_string(position) +
                         " is not in the vocabulary of " + std::to_string(vocab_size()) +
                         " tokens");
}

}  // namespace halcyon::pipeline
