#include "jobs/spec_reader.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cctype>
#include <utility>

namespace halcyon::jobs {
namespace {

bool IsControl(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

// The library quotes the character that it stopped at unescaped, even a line end.
std::string OnOneLine(std::string_view text) {
  std::string line;
  for (const char c : text) {
    line +=
        IsControl(c) ? fmt::format("\\x{:02x}", static_cast<unsigned char>(c)) : std::string(1, c);
  }
  return line;
}

// A name from the file as it may stand in a message: quoted unless it is a bare key.
std::string Shown(std::string_view name) {
  const bool bare = !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '_' || c == '-';
  });
  return bare ? std::string(name) : Quoted(name);
}

std::string Join(const std::string& section, const std::string& name) {
  return section.empty() ? name : section + "." + name;
}

// "the string \"8\"", "a table".
std::string Describe(const toml::node& node) {
  if (const auto* text = node.as_string()) return "the string " + Quoted(text->get());
  if (const auto* integer = node.as_integer()) return fmt::format("the integer {}", integer->get());
  if (const auto* number = node.as_floating_point()) {
    return "the number " + NumberText(number->get());
  }
  if (const auto* boolean = node.as_boolean()) return boolean->get() ? "true" : "false";
  if (node.is_table()) return "a table";
  if (node.is_array()) return "an array";
  return "a date or a time";
}

constexpr int kDotsMax = 5000;

// The first line with more dots than a dotted key may have, counted from 1; 0: none. The library
// frees nested tables by recursion, so a key of very many parts would overflow the stack.
int FindLineOfTooManyDots(std::string_view toml) {
  int line = 1, dots = 0;
  for (const char c : toml) {
    if (c == '\n') {
      ++line;
      dots = 0;
    }
    if (c == '.' && ++dots > kDotsMax) return line;
  }
  return 0;
}

class Reader {
 public:
  Reader(const std::vector<SpecKey>& keys, SpecErrors& errors)
      : keys_(keys), sections_(SectionsOf(keys)), errors_(errors) {}

  void ReadTable(const toml::table& table, const std::string& section) {
    for (const auto& [toml_key, node] : table) {
      const std::string name(toml_key.str());
      const std::string path = Join(section, name);
      const int line = static_cast<int>(toml_key.source().begin.line);
      if (std::find(sections_.begin(), sections_.end(), path) != sections_.end()) {
        ReadSection(node, path, line);
      } else if (const SpecKey* key = Find(section, name)) {
        lines_.Set(path, line);
        ReadValue(*key, node, line);
      } else {
        RefuseUnknown(node, section, name, line);
      }
    }
  }

  SpecLines TakeLines() { return std::move(lines_); }

 private:
  const SpecKey* Find(const std::string& section, const std::string& name) const {
    for (const SpecKey& key : keys_) {
      if (key.section == section && key.name == name) return &key;
    }
    return nullptr;
  }

  void ReadSection(const toml::node& node, const std::string& path, int line) {
    if (const toml::table* table = node.as_table()) {
      lines_.Set(path, line);
      ReadTable(*table, path);
      return;
    }
    errors_.Add(line, path,
                fmt::format("expected a table, found {}; write [{}] on a line of its own with its "
                            "keys below",
                            Describe(node), path));
  }

  void RefuseUnknown(const toml::node& node, const std::string& section, const std::string& name,
                     int line) {
    const std::string shown = Join(section, Shown(name));
    if (node.is_table() || node.is_array_of_tables()) {
      errors_.Add(line, shown, "unknown table; " + AdviceForSection(keys_, Join(section, name)));
    } else {
      errors_.Add(line, shown, "unknown key; " + AdviceForKey(keys_, section, name));
    }
  }

  void ReadValue(const SpecKey& key, const toml::node& node, int line) {
    std::visit([&](const auto& kind) { Read(key, kind, node, line); }, key.value);
  }

  void Read(const SpecKey& key, const IntegerKey& kind, const toml::node& node, int line) {
    const auto* integer = node.as_integer();
    if (integer == nullptr) return RefuseType(key, "an integer", node, line);
    const int64_t value = integer->get();
    if (value < kind.min || value > kind.max) {
      return RefuseRange(key, std::to_string(value),
                         fmt::format("from {} to {}", kind.min, kind.max), line);
    }
    *kind.value = value;
  }

  void Read(const SpecKey& key, const NumberKey& kind, const toml::node& node, int line) {
    if (!node.is_number()) return RefuseType(key, "a number", node, line);
    const double value = *node.value<double>();
    if (!kind.interval.Contains(value)) {
      return RefuseRange(key, NumberText(value), kind.interval.Text(), line);
    }
    *kind.value = value;
  }

  void Read(const SpecKey& key, const BooleanKey& kind, const toml::node& node, int line) {
    const auto* boolean = node.as_boolean();
    if (boolean == nullptr) return RefuseType(key, "true or false", node, line);
    *kind.value = boolean->get();
  }

  void Read(const SpecKey& key, const TextKey& kind, const toml::node& node, int line) {
    const auto* text = node.as_string();
    if (text == nullptr) return RefuseType(key, "a string", node, line);
    if (!CheckText(key.Path(), text->get(), line)) return;
    *kind.value = text->get();
  }

  void Read(const SpecKey& key, const ListKey& kind, const toml::node& node, int line) {
    const toml::array* array = node.as_array();
    if (array == nullptr) return RefuseType(key, "an array of strings", node, line);
    std::vector<std::string> values;
    for (const toml::node& element : *array) {
      const int element_line = static_cast<int>(element.source().begin.line);
      const auto* text = element.as_string();
      if (text == nullptr) return RefuseType(key, "an array of strings", element, element_line);
      if (!CheckText(key.Path(), text->get(), element_line)) return;
      lines_.Set(fmt::format("{}[{}]", key.Path(), values.size()), element_line);
      values.push_back(text->get());
    }
    *kind.value = std::move(values);
  }

  void Read(const SpecKey& key, const TableKey& kind, const toml::node& node, int line) {
    const toml::table* table = node.as_table();
    if (table == nullptr) return RefuseType(key, "a table of strings", node, line);
    std::map<std::string, std::string> values;
    for (const auto& [toml_key, element] : *table) {
      const int element_line = static_cast<int>(toml_key.source().begin.line);
      const auto* text = element.as_string();
      if (text == nullptr) return RefuseType(key, "a table of strings", element, element_line);
      const std::string name(toml_key.str());
      if (!CheckText(key.Path(), name, element_line)) return;
      if (!CheckText(key.Path(), text->get(), element_line)) return;
      values.emplace(name, text->get());
    }
    *kind.value = std::move(values);
  }

  void Read(const SpecKey& key, const SourcesKey& kind, const toml::node& node, int line) {
    const toml::array* array = node.as_array();
    if (array == nullptr) return RefuseType(key, "an array of tables", node, line);
    std::vector<SourceSpec> values;
    for (const toml::node& element : *array) {
      const int element_line = static_cast<int>(element.source().begin.line);
      const toml::table* table = element.as_table();
      if (table == nullptr) return RefuseType(key, "an array of tables", element, element_line);
      const std::string path = fmt::format("{}[{}]", key.Path(), values.size());
      SourceSpec source;
      const std::vector<SpecKey> keys = SourceKeysOf(path, source);
      Reader reader(keys, errors_);
      reader.lines_.Set(path, element_line);
      reader.ReadTable(*table, path);
      lines_.Merge(reader.lines_);
      values.push_back(std::move(source));
    }
    *kind.value = std::move(values);
  }

  void Read(const SpecKey& key, const ChoiceKey& kind, const toml::node& node, int line) {
    const auto* text = node.as_string();
    if (text == nullptr) return RefuseType(key, "a string", node, line);
    const auto found = std::find(kind.choices.begin(), kind.choices.end(), text->get());
    if (found == kind.choices.end()) {
      return errors_.Add(line, key.Path(),
                         fmt::format("{} is not a valid value; choose one of \"{}\"",
                                     Quoted(text->get()), fmt::join(kind.choices, "\", \"")));
    }
    kind.set(static_cast<size_t>(found - kind.choices.begin()));
  }

  // A file name with a NUL would be cut there by the system, one with a newline break messages.
  bool CheckText(const std::string& path, std::string_view text, int line) {
    if (!HoldsControlCharacter(text)) return true;
    errors_.Add(line, path, fmt::format("{} holds a control character; remove it", Quoted(text)));
    return false;
  }

  void RefuseType(const SpecKey& key, std::string_view expected, const toml::node& node, int line) {
    errors_.Add(
        line, key.Path(),
        fmt::format("expected {}, found {}; write for example {} = {}", expected, Describe(node),
                    key.name, key.required() ? key.example : TomlTextOf(key)));
  }

  void RefuseRange(const SpecKey& key, const std::string& value, const std::string& range,
                   int line) {
    errors_.Add(
        line, key.Path(),
        fmt::format("{} is out of range ({}); choose a value {}", value, key.reason, range));
  }

  const std::vector<SpecKey>& keys_;
  const std::vector<std::string> sections_;
  SpecErrors& errors_;
  SpecLines lines_;
};

// A string may stand without its quotes, which a shell would take away.
std::string TomlOf(const SpecOverride& override, const std::vector<SpecKey>& keys) {
  const auto key = std::find_if(keys.begin(), keys.end(), [&](const SpecKey& candidate) {
    return candidate.Path() == override.path;
  });
  const bool is_text = key != keys.end() && (std::holds_alternative<TextKey>(key->value) ||
                                             std::holds_alternative<ChoiceKey>(key->value));
  const bool has_quotes = override.value.starts_with('"') || override.value.starts_with('\'');
  const std::string value = is_text && !has_quotes ? Quoted(override.value) : override.value;
  const size_t dot = override.path.rfind('.');
  if (dot == std::string::npos) return override.path + " = " + value;
  return fmt::format("[{}]\n{} = {}", override.path.substr(0, dot), override.path.substr(dot + 1),
                     value);
}

}  // namespace

bool HoldsControlCharacter(std::string_view text) {
  return std::any_of(text.begin(), text.end(), IsControl);
}

int SpecLines::Of(const std::string& path) const {
  std::string place = path;
  while (true) {
    if (const auto found = lines_.find(place); found != lines_.end()) return found->second;
    const size_t dot = place.rfind('.');
    if (dot == std::string::npos) return 1;
    place.resize(dot);
  }
}

SpecLines ReadSpecToml(std::string_view toml, const std::vector<SpecKey>& keys,
                       SpecErrors& errors) {
  Reader reader(keys, errors);
  if (const int line = FindLineOfTooManyDots(toml); line != 0) {
    errors.Add(line, kSyntaxPath,
               fmt::format("more than {} dots in a line; break the line up", kDotsMax));
    return reader.TakeLines();
  }
  try {
    reader.ReadTable(toml::parse(toml), "");
  } catch (const toml::parse_error& error) {
    errors.Add(static_cast<int>(error.source().begin.line), kSyntaxPath,
               fmt::format("{}; correct the line", OnOneLine(error.description())));
  }
  return reader.TakeLines();
}

void ReadOverrides(const std::vector<SpecOverride>& overrides, const std::vector<SpecKey>& keys,
                   SpecLines* lines, SpecErrors& errors) {
  for (const SpecOverride& override : overrides) {
    errors.SetOverride(override.path);
    ReadSpecToml(TomlOf(override, keys), keys, errors);
    errors.SetOverride("");
    lines->SetOverride(override.path);
  }
}

}  // namespace halcyon::jobs
