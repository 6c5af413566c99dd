// The project's own files, for tests that check how it is written.
#ifndef HALCYON_TESTS_TESTING_SOURCE_TREE_H_
#define HALCYON_TESTS_TESTING_SOURCE_TREE_H_

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace halcyon::testing {

inline constexpr uint64_t kTextBytesMax = 1 << 20;

struct SourceFile {
  std::string path;       // from the root of the tree: "storage/home.h"
  uint64_t bytes = 0;     // on the disk
  std::string text = "";  // empty for binary files and those above kTextBytesMax
  // The same length and lines as `text`, with comments and the insides of literals blanked out;
  // only for C++ and CUDA.
  std::string code = "";

  bool HasSuffix(std::string_view suffix) const;
  bool IsCpp() const { return HasSuffix(".cc") || HasSuffix(".h") || HasSuffix(".cu"); }
  // The first part of the path: "storage"; "" for a file in the root.
  std::string Folder() const;
};

// Every file that git tracks or would add, sorted by path; without git, every file outside
// hidden and build folders.
std::vector<SourceFile> LoadSourceTree(const std::string& root);

// `code` as SourceFile::code describes it.
std::string BlankCommentsAndLiterals(std::string_view text);

std::vector<std::string> SplitLines(std::string_view text);

struct FunctionLength {
  int line = 0;  // of the opening brace, from 1
  int lines = 0;
};
// Of the function bodies in blanked code. Counts braces and relies on clang-format's layout.
std::vector<FunctionLength> FunctionLengths(std::string_view code);

// What unnamed namespaces of blanked code declare: functions, constants and types, of each
// declaration the first name; tests, operators, aliases and members defined outside their class
// aside.
std::set<std::string> UnnamedNamespaceNames(std::string_view code);

}  // namespace halcyon::testing

#endif  // HALCYON_TESTS_TESTING_SOURCE_TREE_H_
