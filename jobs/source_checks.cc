// [[data.source]]: which sources there are, and their shares.
#include <fmt/format.h>

#include <set>
#include <string>

#include "jobs/heldout_parts.h"
#include "jobs/mixture.h"
#include "jobs/spec_checks.h"
#include "jobs/spec_keys.h"

namespace halcyon::jobs {
namespace {

class SourceChecker {
 public:
  SourceChecker(const DataSpec& data, const SpecLines& lines, SpecErrors& errors)
      : data_(data), lines_(lines), errors_(errors) {}

  void Check() {
    if (!lines_.Has("data.source")) return;
    if (lines_.Has("data.sources")) {
      Refuse({"data.sources", "data.source"},
             "both name the text; write each file in [[data.source]], or all in sources");
    }
    if (data_.source.empty()) {
      Refuse({"data.source"}, "is empty; write a [[data.source]] with name and paths");
    }
    for (size_t i = 0; i < data_.source.size(); ++i) CheckOne(i);
    if (!has_error_) CheckShares();
  }

 private:
  void CheckOne(size_t i) {
    const SourceSpec& source = data_.source[i];
    SourceSpec unused;
    for (const SpecKey& key : SourceKeysOf("", unused)) {
      if (lines_.Has(PathOf(i, key.name))) continue;
      Refuse({PathOf(i, key.name)}, fmt::format("missing; write {} = {}", key.name, key.example));
    }
    if (lines_.Has(PathOf(i, "name")) && !IsPlainName(source.name)) {
      Refuse({PathOf(i, "name")},
             fmt::format("{} does not serve as a name; {}", Quoted(source.name), kPlainNameAdvice));
    } else if (source.name == kHeldoutSources && !data_.heldout_sources.empty()) {
      Refuse({PathOf(i, "name")},
             "is the name of data.heldout_sources in figures; give the source another one");
    } else if (!names_.insert(source.name).second) {
      Refuse({PathOf(i, "name")},
             fmt::format("{} names another source, too; give each a name of its own, or put the "
                         "paths together",
                         Quoted(source.name)));
    }
    if (lines_.Has(PathOf(i, "paths")) && source.paths.empty()) {
      Refuse({PathOf(i, "paths")}, "is empty; name at least one file");
    }
  }

  void CheckShares() {
    const std::vector<double> shares = SharesOf(data_);
    for (size_t i = 0; i < shares.size(); ++i) {
      if (shares[i] >= kShareMin) continue;
      Refuse({PathOf(i, "weight")},
             fmt::format("is {:.3g} % of all weights, less than one window in {}; raise it or "
                         "remove the source",
                         100 * shares[i], kMixtureBlock));
    }
  }

  static std::string PathOf(size_t i, const std::string& key) {
    return fmt::format("data.source[{}].{}", i, key);
  }

  void Refuse(const std::vector<std::string>& paths, const std::string& message) {
    has_error_ = true;
    jobs::Refuse(paths, message, lines_, errors_);
  }

  const DataSpec& data_;
  const SpecLines& lines_;
  SpecErrors& errors_;
  std::set<std::string> names_;
  bool has_error_ = false;
};

}  // namespace

void CheckSources(const DataSpec& data, const SpecLines& lines, SpecErrors& errors) {
  SourceChecker(data, lines, errors).Check();
}

}  // namespace halcyon::jobs
