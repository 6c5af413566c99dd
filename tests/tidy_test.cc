// The rules of this project that a compiler does not check: who may include whom, what only one
// file may call, how long a file may be. Every rule is a row of a table; a broken one is reported
// with its file, its line and the way out.
#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/testing/source_tree.h"

namespace halcyon {
namespace {

using testing::SourceFile;
using Folders = std::set<std::string>;

// What a folder may include, itself aside. bench/ and tests/end_to_end/ may include everything, and
// tests/FOLDER what FOLDER may; the link lists in the CMakeLists.txt say the same.
const std::map<std::string, Folders> kMayInclude = {
    {"base", {}},
    {"jobs", {"base"}},
    {"storage", {"base", "jobs"}},
    {"model", {"base", "jobs"}},
    {"cluster", {"base", "jobs"}},
    {"pipeline", {"base", "jobs", "storage"}},
    {"coordinator", {"base", "jobs", "storage", "cluster", "pipeline"}},
    {"worker", {"base", "jobs", "storage", "model", "cluster", "pipeline"}},
};

// Subfolders of worker/ that must be independent: a header of the second may not be included from
// the first.
const std::vector<std::pair<const char*, const char*>> kApart = {
    {"worker/scoring/", "worker/training/"},
    {"worker/generation/", "worker/training/"},
    {"worker/inputs/", "worker/(training|scoring|generation|tasks|commands|reference)/"},
};

struct LibraryRule {
  const char* header;  // a regular expression that the included path starts with
  Folders folders;     // where it may be included, tests/FOLDER as well
  bool in_headers;
};

const std::vector<LibraryRule> kLibraries = {
    {"rocksdb/", {"storage", "bench"}, false},
    {"zmq", {"cluster"}, false},
    {"mpi\\.h", {"cluster"}, false},
    {"toml\\+\\+/", {"jobs"}, false},
    {"pcre2", {"pipeline"}, false},
    {"simdjson", {"pipeline"}, false},
    {"httplib", {"coordinator"}, false},
    {"(ATen|torch|c10)/", {"model", "worker", "bench"}, true},
    {"cuda_", {"worker"}, false},
    {"nccl\\.h", {"worker"}, false},
    {"yaml-cpp/", {""}, false},  // of a test in tests/ itself
    {"cluster/mpi_collectives\\.h", {"cluster", "worker", "bench"}, true},
};

struct CallRule {
  const char* call;     // a regular expression over code without comments and literals
  const char* within;   // paths that it is looked for in, as a regular expression
  const char* allowed;  // paths that may use it all the same
  const char* instead;
};

const std::vector<CallRule> kCalls = {
    {R"(_clock::now|\b(gettimeofday|clock_gettime)\b)", "", R"(base/clock\.cc)", "base/clock.h"},
    {R"(\b(sleep_for|sleep_until|usleep|nanosleep)\b|\bsleep\s*\()", "", R"(base/clock\.cc)",
     "base/clock.h, or wait for the event"},
    // Tests whose own code another user, or a process of another limit, has to run.
    {R"(\bv?fork\s*\()", "",
     R"(tests/(cluster/transport_flood|coordinator/share_command|storage/sharing)_test\.cc|tests/storage/in_child\.h)",
     "cluster/process.h"},
    {R"(\b(s?rand|drand48)\s*\(|\b(random_device|mt19937(_64)?|default_random_engine)\b)", "",
     "(?!)", "base/philox.h"},
    {R"((at|torch)::(rand|randn|randint|randperm|normal|bernoulli|dropout)\s*\()",
     "(model|worker)/", "(?!)", "base/philox.h"},
    {R"(\.(normal_|uniform_|bernoulli_|random_)\s*\()", "(model|worker)/", "(?!)", "base/philox.h"},
    {R"(\bCHECK\s*\()", "", "(?!)", "HALCYON_CHECK of base/check.h"},
};

struct TextRule {
  const char* text;  // a regular expression over every line of every text file
  const char* instead;
};

const std::vector<TextRule> kTexts = {
    // Spelt in two parts, so that this file keeps its own rule.
    {R"(\b(TO)"
     R"(DO|FIX)"
     R"(ME|XX)"
     R"(X)\b)",
     "finish it, or leave it out"},
    {R"(\.\./sha)"
     R"(red|(^|[^\w.])/wo)"
     R"(rk/)",
     "name nothing outside the source tree"},
};

constexpr int kFileLinesMax = 500;
constexpr int kTestFileLinesMax = 600;
constexpr int kFileLinesReview = 300;
constexpr int kFunctionLinesReview = 70;

const std::vector<SourceFile>& Tree() {
  static const auto* tree = new std::vector(testing::LoadSourceTree(HALCYON_SOURCE_DIR));
  return *tree;
}

bool Matches(const std::string& text, const std::string& pattern) {
  return std::regex_search(text, std::regex(pattern));
}

bool PathStarts(const std::string& path, const std::string& pattern) {
  return Matches(path, "^(" + pattern + ")");
}

// "tests/storage/x_test.cc" counts as "storage".
std::string SubjectFolder(const SourceFile& file) {
  if (file.Folder() != "tests") return file.Folder();
  return SourceFile{.path = file.path.substr(6)}.Folder();
}

struct Include {
  int line;
  std::string path;
};

std::vector<Include> IncludesOf(const SourceFile& file) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*[<"]([^>"]+)[>"])");
  std::vector<Include> includes;
  int line = 0;
  for (const std::string& text : testing::SplitLines(file.text)) {
    ++line;
    std::smatch match;
    if (std::regex_search(text, match, kInclude)) includes.push_back({line, match[1]});
  }
  return includes;
}

// Calls report(line, text) for every line that the pattern is found in.
template <typename Report>
void ForMatchingLines(const std::string& text, const char* pattern, Report report) {
  const std::regex compiled(pattern);
  int line = 0;
  for (const std::string& content : testing::SplitLines(text)) {
    ++line;
    if (std::regex_search(content, compiled)) report(line, content);
  }
}

TEST(Tidy, TheTreeIsThere) {
  std::set<std::string> paths;
  for (const SourceFile& file : Tree()) paths.insert(file.path);
  EXPECT_TRUE(paths.contains("CMakeLists.txt"));
  EXPECT_TRUE(paths.contains("tests/tidy_test.cc"));
}

TEST(Tidy, FoldersIncludeOnlyWhatIsBelowThem) {
  for (const SourceFile& file : Tree()) {
    const std::string subject = SubjectFolder(file);
    const auto rule = kMayInclude.find(subject);
    if (!file.IsCpp() || rule == kMayInclude.end()) continue;
    for (const Include& include : IncludesOf(file)) {
      const std::string target = include.path.substr(0, include.path.find('/'));
      const bool known = kMayInclude.contains(target) || target == "tests" || target == "bench";
      if (!known || target == subject || rule->second.contains(target)) continue;
      if (target == "tests" && file.Folder() == "tests") continue;
      ADD_FAILURE() << file.path << ":" << include.line << ": " << subject << "/ may not include "
                    << target << "/ (kMayInclude in tests/tidy_test.cc)";
    }
  }
}

TEST(Tidy, SubfoldersOfTheWorkerAreIndependent) {
  for (const SourceFile& file : Tree()) {
    if (!file.IsCpp()) continue;
    for (const Include& include : IncludesOf(file)) {
      for (const auto& [room, other] : kApart) {
        EXPECT_FALSE(PathStarts(file.path, room) && PathStarts(include.path, other))
            << file.path << ":" << include.line << ": may not include " << include.path
            << " (kApart in tests/tidy_test.cc)";
      }
    }
  }
}

TEST(Tidy, LibrariesStayInTheirFolders) {
  for (const SourceFile& file : Tree()) {
    if (!file.IsCpp()) continue;
    const std::string subject = SubjectFolder(file);
    for (const Include& include : IncludesOf(file)) {
      for (const LibraryRule& rule : kLibraries) {
        if (!PathStarts(include.path, rule.header)) continue;
        EXPECT_TRUE(rule.folders.contains(subject))
            << file.path << ":" << include.line << ": <" << include.path << "> belongs to other "
            << "folders (kLibraries in tests/tidy_test.cc)";
        EXPECT_TRUE(rule.in_headers || !file.HasSuffix(".h"))
            << file.path << ":" << include.line << ": <" << include.path
            << "> in a header: move it "
            << "to the .cc file that wraps the library";
      }
    }
  }
}

TEST(Tidy, EverySourceFileIsInATarget) {
  std::map<std::string, const SourceFile*> cmake_of;  // by folder
  for (const SourceFile& file : Tree()) {
    if (file.HasSuffix("/CMakeLists.txt")) {
      cmake_of[std::filesystem::path(file.path).parent_path().string()] = &file;
    }
  }
  for (const SourceFile& file : Tree()) {
    if (!file.HasSuffix(".cc") && !file.HasSuffix(".cu")) continue;
    std::filesystem::path folder = std::filesystem::path(file.path).parent_path();
    while (!folder.empty() && !cmake_of.contains(folder.string())) folder = folder.parent_path();
    if (folder.empty()) {
      ADD_FAILURE() << file.path << ": no CMakeLists.txt in its folder or above";
      continue;
    }
    // A loop over targets names its sources without their suffix.
    std::string stem = std::filesystem::path(file.path).lexically_relative(folder).string();
    stem = std::regex_replace(stem.substr(0, stem.size() - 3), std::regex(R"([.+])"), R"(\$&)");
    EXPECT_TRUE(
        Matches(cmake_of[folder.string()]->text, R"((^|[\s(]))" + stem + R"((\.c[cu])?([\s)]|$))"))
        << file.path << ": not named in " << folder.string() << "/CMakeLists.txt";
  }
}

TEST(Tidy, NamesOfUnnamedNamespacesDifferWithinALibrary) {
  std::map<std::string, const SourceFile*> files;
  for (const SourceFile& file : Tree()) files[file.path] = &file;
  static const std::regex kLibrary(
      R"(halcyon_library\((\S+)\s+SOURCES\s+([^()]*?)\s*(?:LINKS|PUBLIC|PRIVATE|\)))");
  int libraries = 0;
  for (const auto& [path, cmake] : files) {
    if (!cmake->HasSuffix("/CMakeLists.txt")) continue;
    const auto folder = std::filesystem::path(path).parent_path();
    for (std::sregex_iterator library(cmake->text.begin(), cmake->text.end(), kLibrary), end;
         library != end; ++library) {
      ++libraries;
      std::map<std::string, std::string> owner;  // of a name
      std::istringstream sources((*library)[2]);
      for (std::string source; sources >> source;) {
        const auto file = files.find((folder / source).string());
        if (file == files.end()) continue;
        for (const std::string& name : testing::UnnamedNamespaceNames(file->second->code)) {
          const auto [first, is_new] = owner.emplace(name, file->first);
          EXPECT_TRUE(is_new) << file->first << " and " << first->second << ": both name something "
                              << name << " in an unnamed namespace; they are compiled together "
                              << "(HALCYON_UNITY), so rename one";
        }
      }
    }
  }
  EXPECT_GE(libraries, 9);
}

TEST(Tidy, RestrictedCallsAreInTheirFiles) {
  for (const SourceFile& file : Tree()) {
    if (!file.IsCpp()) continue;
    for (const CallRule& rule : kCalls) {
      if (!PathStarts(file.path, rule.within) || PathStarts(file.path, rule.allowed)) continue;
      ForMatchingLines(file.code, rule.call, [&](int line, const std::string& content) {
        ADD_FAILURE() << file.path << ":" << line << ": " << content << "\n  use " << rule.instead;
      });
    }
  }
}

TEST(Tidy, NothingIsLeftUnfinishedOrTiedToOneMachine) {
  for (const SourceFile& file : Tree()) {
    for (const TextRule& rule : kTexts) {
      ForMatchingLines(file.text, rule.text, [&](int line, const std::string& content) {
        ADD_FAILURE() << file.path << ":" << line << ": " << content << "\n  " << rule.instead;
      });
    }
  }
}

TEST(Tidy, FilesAreOfAReadableLength) {
  for (const SourceFile& file : Tree()) {
    if (!file.IsCpp()) continue;
    const int lines = static_cast<int>(testing::SplitLines(file.text).size());
    EXPECT_LE(lines, file.Folder() == "tests" ? kTestFileLinesMax : kFileLinesMax)
        << file.path << ": split it";
    if (lines > kFileLinesReview)
      std::printf("long file: %s: %d lines\n", file.path.c_str(), lines);
    for (const auto& function : testing::FunctionLengths(file.code)) {
      if (function.lines <= kFunctionLinesReview) continue;
      std::printf("long function: %s:%d: %d lines\n", file.path.c_str(), function.line,
                  function.lines);
    }
  }
}

TEST(Tidy, NoBigFileIsTracked) {
  for (const SourceFile& file : Tree()) {
    EXPECT_LE(file.bytes, testing::kTextBytesMax)
        << file.path << ": data does not belong into the source tree";
  }
}

TEST(Tidy, LinksInDocumentsResolve) {
  static const std::regex kLink(R"(\]\(([^)#\s]+)(#[^)]*)?\))");
  for (const SourceFile& file : Tree()) {
    if (!file.HasSuffix(".md")) continue;
    const auto folder =
        std::filesystem::path(HALCYON_SOURCE_DIR) / std::filesystem::path(file.path).parent_path();
    for (std::sregex_iterator link(file.text.begin(), file.text.end(), kLink), end; link != end;
         ++link) {
      const std::string target = (*link)[1];
      if (Matches(target, "^(https?|mailto):")) continue;
      EXPECT_TRUE(std::filesystem::exists(folder / target))
          << file.path << ": the link to " << target << " leads nowhere";
    }
  }
}

}  // namespace
}  // namespace halcyon
