#include "pipeline/npy.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstring>
#include <string_view>

#include "base/check.h"
#include "base/env.h"
#include "base/file_kind.h"

namespace halcyon::pipeline {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::string_view kMagicAndVersion{"\x93NUMPY\x01\x00", 8};  // 1.0
constexpr size_t kPreambleBytes = 10;  // magic, version, u16 header length
constexpr size_t kAlignment = 64;      // of the data in the file

std::string Preamble(std::string_view description, std::span<const uint64_t> shape) {
  std::string sizes;
  for (const uint64_t size : shape)
    sizes += (sizes.empty() ? "" : " ") + std::to_string(size) + ",";
  if (shape.size() > 1) sizes.pop_back();
  std::string header = "{'descr': " + std::string(description) +
                       ", 'fortran_order': False, 'shape': (" + sizes + "), }";
  while ((kPreambleBytes + header.size() + 1) % kAlignment != 0) header += ' ';
  header += '\n';
  std::string out(kMagicAndVersion);
  out += static_cast<char>(header.size() & 0xFF);
  out += static_cast<char>(header.size() >> 8);
  out += header;
  return out;
}

// A header is a Python dictionary of three known keys; values are kept as they are spelled.
struct HeaderText {
  std::string_view descr, fortran_order, shape;
};

class HeaderParser {
 public:
  explicit HeaderParser(std::string_view text) : rest_(text) {}

  bool Parse(HeaderText* header) {
    if (!Take('{')) return false;
    while (!Take('}')) {
      if (!Entry(header) || (!Take(',') && Peek() != '}')) return false;
    }
    const bool order_known = header->fortran_order == "False" || header->fortran_order == "True";
    return Peek() == '\0' && order_known && !header->descr.empty() && !header->shape.empty();
  }

 private:
  char Peek() {
    const size_t skip = rest_.find_first_not_of(" \n");
    rest_.remove_prefix(std::min(skip, rest_.size()));
    return rest_.empty() ? '\0' : rest_[0];
  }
  bool Take(char c) {
    if (rest_.empty() || Peek() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Up to and with the first `closing` after the first character.
  std::string_view TakeUntil(char closing) {
    const size_t end = rest_.find(closing, 1);
    const std::string_view taken = rest_.substr(0, end == rest_.npos ? 0 : end + 1);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view Value() {
    const char first = Peek();
    if (first == '\'') return TakeUntil('\'');
    if (first == '(') return TakeUntil(')');
    const std::string_view word = rest_.substr(0, rest_.find_first_of(",} "));
    rest_.remove_prefix(word.size());
    return word;
  }
  bool Entry(HeaderText* header) {
    const std::string_view key = Value();
    if (!Take(':')) return false;
    std::string_view* slot = key == "'descr'"           ? &header->descr
                             : key == "'fortran_order'" ? &header->fortran_order
                             : key == "'shape'"         ? &header->shape
                                                        : nullptr;
    if (slot == nullptr || !slot->empty()) return false;
    *slot = Value();
    return !slot->empty();
  }

  std::string_view rest_;
};

// "(12,)" -> 12.
bool ParseShape(std::string_view shape, uint64_t* count) {
  if (!shape.starts_with('(') || !shape.ends_with(",)")) return false;
  const std::string_view digits = shape.substr(1, shape.size() - 3);
  const auto [end, error] = std::from_chars(digits.begin(), digits.end(), *count);
  return error == std::errc() && end == digits.end();
}

}  // namespace

absl::StatusOr<std::unique_ptr<NpyWriter>> NpyWriter::Create(const std::string& path,
                                                             const std::string& type,
                                                             std::span<const uint64_t> shape) {
  HALCYON_CHECK(!shape.empty() && type.size() == 3);
  uint64_t bytes = static_cast<uint64_t>(type.back() - '0');
  for (const uint64_t size : shape) bytes *= size;
  ASSIGN_OR_RETURN(auto file, OutputFile::Open(path));
  RETURN_IF_ERROR(file->Append(Preamble("'" + type + "'", shape)));
  return std::unique_ptr<NpyWriter>(new NpyWriter(std::move(file), bytes));
}

absl::Status NpyWriter::Append(std::string_view bytes) {
  if (bytes.size() > missing_bytes_) return Internal("more values than the array's shape has");
  missing_bytes_ -= bytes.size();
  return file_->Append(bytes);
}

absl::Status NpyWriter::Close() {
  if (missing_bytes_ > 0) return Internal("fewer values than the array's shape has");
  return file_->Close();
}

absl::Status WriteNpy(const std::string& path, std::span<const uint32_t> values) {
  const uint64_t count = values.size();
  std::string file = Preamble("'<u4'", std::span(&count, 1));
  const size_t data = file.size();
  file.resize(data + values.size_bytes());
  if (!values.empty()) std::memcpy(file.data() + data, values.data(), values.size_bytes());
  return WriteOutputFile(path, file);
}

bool IsNpy(std::string_view start) { return start.starts_with(kMagic); }

absl::StatusOr<NpyHeader> ParseNpyHeader(std::string_view start) {
  if (!start.starts_with(kMagicAndVersion) || start.size() < kPreambleBytes) {
    return ExplainByFileKind(InvalidArgument("not a NumPy file of version 1.0"), start,
                             "a NumPy array of version 1.0");
  }
  const size_t bytes = static_cast<uint8_t>(start[8]) | static_cast<uint8_t>(start[9]) << 8;
  HeaderText text;
  if (start.size() - kPreambleBytes < bytes ||
      !HeaderParser(start.substr(kPreambleBytes, bytes)).Parse(&text)) {
    return InvalidArgument("the header of the NumPy file is damaged");
  }
  NpyHeader header{std::string(text.descr), std::string(text.shape), std::nullopt,
                   kPreambleBytes + bytes};
  if (uint64_t count = 0; ParseShape(text.shape, &count)) header.count = count;
  return header;
}

}  // namespace halcyon::pipeline
