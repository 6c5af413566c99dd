#include "tests/testing/source_tree.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <regex>
#include <sstream>

namespace halcyon::testing {
namespace {

namespace fs = std::filesystem;

std::vector<std::string> AskGit(const std::string& root) {
  const std::string command =
      "git -C '" + root + "' ls-files --cached --others --exclude-standard 2>/dev/null";
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string output;
  char buffer[4096];
  size_t got = 0;
  while (pipe && (got = fread(buffer, 1, sizeof(buffer), pipe.get())) > 0) {
    output.append(buffer, got);
  }
  return SplitLines(output);
}

std::vector<std::string> WalkFolders(const std::string& root) {
  std::vector<std::string> paths;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::end(it); ++it) {
    const std::string name = it->path().filename().string();
    if (it->is_directory() && (name[0] == '.' || name.starts_with("build"))) {
      it.disable_recursion_pending();
    } else if (it->is_regular_file()) {
      paths.push_back(fs::relative(it->path(), root).string());
    }
  }
  return paths;
}

// "" for a binary file.
std::string ReadText(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str().find('\0') == std::string::npos ? text.str() : "";
}

bool IsIdentifier(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// The end (one past) of the comment or literal that starts at `at`; `at` when none does.
size_t EndOfBlank(std::string_view text, size_t at) {
  const auto after = [&](std::string_view closing, size_t from) {
    const size_t found = text.find(closing, from);
    return found == std::string_view::npos ? text.size() : found + closing.size();
  };
  const std::string_view rest = text.substr(at);
  if (rest.starts_with("//")) return std::min(text.find('\n', at), text.size());
  if (rest.starts_with("/*")) return after("*/", at + 2);
  if (rest.starts_with("R\"")) {
    const size_t parenthesis = text.find('(', at);
    return after(")" + std::string(text.substr(at + 2, parenthesis - at - 2)) + "\"", parenthesis);
  }
  const char quote = text[at];
  // A quote within a number separates its digits.
  const bool literal = quote == '"' || (quote == '\'' && (at == 0 || !IsIdentifier(text[at - 1])));
  if (!literal) return at;
  size_t end = at + 1;
  while (end < text.size() && text[end] != quote) end += text[end] == '\\' ? 2 : 1;
  return std::min(end + 1, text.size());
}

// Whether the text before a '{', from the last ';', '{' or '}' on, is that of a function.
bool IsFunctionHeader(std::string_view header) {
  std::istringstream words{std::string(header)};
  std::string word;
  while (words >> word) {
    if (word == "namespace" || word == "class" || word == "struct" || word == "enum" ||
        word == "=" || word == "concept") {
      return false;
    }
    if (word.find('(') != std::string::npos) return true;
  }
  return false;
}

// The name that a declaration at the start of a line introduces, or "".
std::string DeclaredName(const std::string& declaration) {
  static const std::regex kOther(R"(^(using|template|static_assert|friend|extern|[A-Z_]+\())");
  static const std::regex kType(R"(^(struct|class|union|enum class|enum)\s+(\w+))");
  static const std::regex kObject(R"((^|[\s*&>])([A-Za-z_]\w*)(\s*\[.*)?\s*$)");
  std::smatch match;
  if (std::regex_search(declaration, match, kOther)) return "";
  if (std::regex_search(declaration, match, kType)) return match[2];
  // What stands before the parameters, the initialiser or the next declarator.
  const std::string head = declaration.substr(0, declaration.find_first_of("(={;"));
  if (!std::regex_search(head, match, kObject) || match[2] == "operator") return "";
  return match[2];
}

}  // namespace

bool SourceFile::HasSuffix(std::string_view suffix) const {
  return std::string_view(path).ends_with(suffix);
}

std::string SourceFile::Folder() const {
  const size_t slash = path.find('/');
  return slash == std::string::npos ? "" : path.substr(0, slash);
}

std::vector<SourceFile> LoadSourceTree(const std::string& root) {
  std::vector<std::string> paths = AskGit(root);
  if (paths.empty()) paths = WalkFolders(root);
  std::sort(paths.begin(), paths.end());
  std::vector<SourceFile> files;
  for (const std::string& path : paths) {
    std::error_code error;
    const uint64_t bytes = fs::file_size(fs::path(root) / path, error);
    if (error) continue;  // removed, but still known to git
    SourceFile file{.path = path, .bytes = bytes};
    if (bytes <= kTextBytesMax) file.text = ReadText(fs::path(root) / path);
    if (file.IsCpp()) file.code = BlankCommentsAndLiterals(file.text);
    files.push_back(std::move(file));
  }
  return files;
}

std::string BlankCommentsAndLiterals(std::string_view text) {
  std::string code(text);
  size_t at = 0;
  while (at < text.size()) {
    const size_t end = EndOfBlank(text, at);
    for (size_t i = at; i < end; ++i) {
      if (code[i] != '\n') code[i] = ' ';
    }
    at = std::max(end, at + 1);
  }
  return code;
}

std::vector<std::string> SplitLines(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

std::vector<FunctionLength> FunctionLengths(std::string_view code) {
  std::vector<FunctionLength> functions;
  std::string header;
  int line = 1;
  int depth = 0;            // of open braces
  int function_depth = -1;  // the depth outside the function that is open; -1: none is
  int start_line = 0;
  bool directive = false;
  for (size_t i = 0; i < code.size(); ++i) {
    const char c = code[i];
    if (c == '\n') {
      ++line;
      directive = directive && code[i - 1] == '\\';
    }
    if (c == '#' && (i == 0 || code[i - 1] == '\n')) directive = true;
    if (directive) continue;
    if (c == '{') {
      // clang-format puts a space before a body's brace, and none before an initialiser's.
      const bool body = i > 0 && std::isspace(static_cast<unsigned char>(code[i - 1]));
      if (function_depth < 0 && body && IsFunctionHeader(header)) {
        function_depth = depth;
        start_line = line;
      }
      ++depth;
      if (body) header.clear();
    } else if (c == '}') {
      --depth;
      if (depth == function_depth) {
        functions.push_back({.line = start_line, .lines = line - start_line + 1});
        function_depth = -1;
        header.clear();
      }
    } else if (c == ';') {
      header.clear();
    } else {
      header += c;
    }
  }
  return functions;
}

std::set<std::string> UnnamedNamespaceNames(std::string_view code) {
  std::set<std::string> names;
  std::string declaration;  // from the start of its line on; empty: between declarations
  int depth = 0;            // of open braces
  int unnamed_depth = -1;   // the depth inside the unnamed namespace that is open; -1: none is
  for (const std::string& line : SplitLines(code)) {
    const bool starts =
        !line.empty() && (std::isalpha(static_cast<unsigned char>(line[0])) || line[0] == ':');
    const bool within = depth == unnamed_depth;
    if (line.starts_with("namespace {")) {
      unnamed_depth = depth + 1;
    } else if (within && (starts || !declaration.empty())) {
      // A template's parameters are not part of what is declared.
      if (!line.starts_with("template <")) declaration += line + " ";
    }
    depth += static_cast<int>(std::count(line.begin(), line.end(), '{'));
    depth -= static_cast<int>(std::count(line.begin(), line.end(), '}'));
    if (declaration.find_first_of("(={;") != std::string::npos) {
      names.insert(DeclaredName(declaration));
      declaration.clear();
    }
    if (depth < unnamed_depth) unnamed_depth = -1;
  }
  names.erase("");
  return names;
}

}  // namespace halcyon::testing
