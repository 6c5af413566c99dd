#include "coordinator/checks/token_file_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "jobs/source_names.h"
#include "pipeline/sources/shard_plan.h"
#include "pipeline/token_files/token_documents.h"
#include "pipeline/token_files/token_layout.h"
#include "pipeline/utf8.h"

namespace halcyon::coordinator {
namespace {

// Of a document that is encoded again, its first ids.
constexpr size_t kIdsTried = 1 << 14;

class TokenFileReader {
 public:
  TokenFileReader(Env& env, const jobs::DataSpec& data,
                  const std::shared_ptr<const pipeline::Tokenizer>& tokenizer)
      : env_(env),
        data_(data),
        tokenizer_(*tokenizer),
        known_(pipeline::KnownIds(*tokenizer)),
        encoder_(pipeline::Encoder::Create(tokenizer)) {}

  absl::StatusOr<TokenFileFigures> Read(const std::string& path) {
    TokenFileFigures figures{.path = path};
    ASSIGN_OR_RETURN(const pipeline::TokenLayout layout,
                     pipeline::ReadTokenLayout(env_, path, data_.token_type));
    figures.kind = layout.kind;
    ASSIGN_OR_RETURN(const pipeline::CutSource plan, pipeline::Cut(data_, path));
    for (const pipeline::SourceRange& range : plan.ranges) {
      ASSIGN_OR_RETURN(const pipeline::TokenCounts counts,
                       pipeline::ReadTokenDocuments(env_, data_, range, known_,
                                                    [&](std::span<const uint32_t> ids, double) {
                                                      return Try(ids, &figures);
                                                    }));
      figures.documents += counts.documents;
      figures.tokens += counts.tokens;
      const std::string warning = pipeline::WarningOf(data_, range, counts);
      if (!warning.empty()) figures.warnings.push_back(warning);
    }
    if (2 * figures.same < figures.tried) {
      figures.warnings.push_back(fmt::format(
          "{}: {} of the first {} documents are encoded to other ids; were they made with this "
          "tokenizer?",
          path, figures.tried - figures.same, figures.tried));
    }
    return figures;
  }

 private:
  absl::Status Try(std::span<const uint32_t> ids, TokenFileFigures* figures) {
    if (figures->tried == kDocumentsTried) return absl::OkStatus();
    ASSIGN_OR_RETURN(const std::string text, tokenizer_.Decode(ids, /*keep_special=*/true));
    uint64_t replaced = 0;
    if (figures->tried == 0) {
      figures->beginning =
          pipeline::ReplaceInvalidUtf8(text.substr(0, kBeginningShownBytes), &replaced);
    }
    // The end of a longer one may be cut within what is one id.
    if (ids.size() > kIdsTried) return absl::OkStatus();
    ++figures->tried;
    std::vector<uint32_t> again;
    encoder_->Encode(pipeline::ReplaceInvalidUtf8(text, &replaced), &again);
    figures->same += std::ranges::equal(again, ids) ? 1 : 0;
    return absl::OkStatus();
  }

  Env& env_;
  const jobs::DataSpec& data_;
  const pipeline::Tokenizer& tokenizer_;
  const std::vector<bool> known_;
  std::unique_ptr<pipeline::Encoder> encoder_;
};

}  // namespace

absl::StatusOr<std::vector<TokenFileFigures>> ReadTokenFiles(
    Env& env, const jobs::DataSpec& data,
    const std::shared_ptr<const pipeline::Tokenizer>& tokenizer) {
  TokenFileReader reader(env, data, tokenizer);
  std::vector<TokenFileFigures> all;
  for (const std::string& path : data.Files()) {
    if (!jobs::IdsOfIndex(path).empty()) continue;
    ASSIGN_OR_RETURN(TokenFileFigures figures, reader.Read(path));
    all.push_back(std::move(figures));
  }
  return all;
}

}  // namespace halcyon::coordinator
