// The writing half of the safetensors format; safetensors.cc has the reading half.
#include "storage/weights/safetensors_writer.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/check.h"
#include "storage/strict_json.h"
#include "storage/weights/safetensors_format.h"

namespace halcyon::storage {
namespace {

using nlohmann::json;

template <typename Tensor>
bool IsBefore(const Tensor& a, const Tensor& b) {
  return std::pair(SizeOf(b.dtype), std::string_view(a.name)) <
         std::pair(SizeOf(a.dtype), std::string_view(b.name));
}

// The length, the JSON and its padding.
absl::StatusOr<std::string> EncodeHeader(const std::vector<TensorInfo>& tensors,
                                         const std::map<std::string, std::string>& metadata) {
  json header = json::object();
  if (!metadata.empty()) header[kMetadata] = metadata;
  uint64_t begin = 0;
  for (const TensorInfo& tensor : tensors) {
    HALCYON_CHECK(tensor.name != kMetadata && !header.contains(tensor.name));
    const uint64_t end = begin + BytesOf(tensor);
    header[tensor.name] = {
        {"dtype", NameOf(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
    begin = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::exception& error) {
    return InvalidArgument(std::string("a tensor's name or metadata is not UTF-8: ") +
                           error.what());
  }
  text.resize((text.size() + kHeaderAlignment - 1) / kHeaderAlignment * kHeaderAlignment, ' ');
  if (text.size() > kHeaderBytesMax) {
    return InvalidArgument("the safetensors header needs " + std::to_string(text.size()) +
                           " bytes, the limit is " + std::to_string(kHeaderBytesMax));
  }
  const uint64_t length = text.size();
  std::string start(kLengthBytes, '\0');
  std::memcpy(start.data(), &length, kLengthBytes);
  return start + text;
}

absl::StatusOr<WrittenFile> WriteAndSync(Env& env, const std::string& path,
                                         const std::vector<TensorView>& tensors,
                                         const std::map<std::string, std::string>& metadata) {
  ASSIGN_OR_RETURN(const auto file, env.NewWritableFile(path));
  ASSIGN_OR_RETURN(const WrittenFile written, AppendSafetensors(*file, path, tensors, metadata));
  RETURN_IF_ERROR(file->Sync());
  RETURN_IF_ERROR(file->Close());
  return written;
}

}  // namespace

uint64_t BytesOf(const TensorInfo& tensor) {
  const auto elements = ElementCount(tensor.shape);
  HALCYON_CHECK(elements.ok());
  return *elements * SizeOf(tensor.dtype);
}

void SortAsInFile(std::vector<TensorInfo>& tensors) {
  std::ranges::sort(tensors, IsBefore<TensorInfo>);
}

absl::StatusOr<WrittenFile> AppendSafetensors(WritableFile& file, const std::string& path,
                                              const std::vector<TensorView>& tensors,
                                              const std::map<std::string, std::string>& metadata) {
  std::vector<const TensorView*> order;
  for (const TensorView& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order,
                    [](const TensorView* a, const TensorView* b) { return IsBefore(*a, *b); });
  std::vector<TensorInfo> infos;
  for (const TensorView* tensor : order) {
    infos.push_back({tensor->name, tensor->dtype, tensor->shape});
    HALCYON_CHECK(tensor->bytes.size() == BytesOf(infos.back()));
  }
  ASSIGN_OR_RETURN(const std::string header, EncodeHeader(infos, metadata), path);
  std::vector<std::string_view> pieces = {header};
  for (const TensorView* tensor : order) pieces.push_back(tensor->bytes);
  WrittenFile written;
  Xxh3Hasher hasher;
  for (const std::string_view piece : pieces) {
    hasher.Update(piece);
    RETURN_IF_ERROR(file.Append(piece));
    written.bytes += piece.size();
  }
  written.xxh3 = hasher.Digest();
  return written;
}

absl::StatusOr<WrittenFile> WriteSafetensors(Env& env, const std::string& path,
                                             const std::vector<TensorView>& tensors,
                                             const std::map<std::string, std::string>& metadata) {
  absl::StatusOr<WrittenFile> written = WriteAndSync(env, path, tensors, metadata);
  // A partial file is useless, and on a full disk its space is needed. A failure to remove it is
  // ignored: the first error is the one to report.
  if (!written.ok()) env.RemoveFile(path).IgnoreError();
  return written;
}

SafetensorsWriter::SafetensorsWriter(Env& env, std::string path,
                                     const std::vector<TensorInfo>& tensors)
    : env_(env), path_(std::move(path)) {
  for (const TensorInfo& tensor : tensors) sizes_.push_back(BytesOf(tensor));
}

absl::StatusOr<std::unique_ptr<SafetensorsWriter>> SafetensorsWriter::Create(
    Env& env, const std::string& path, const std::vector<TensorInfo>& tensors,
    const std::map<std::string, std::string>& metadata) {
  HALCYON_CHECK(std::ranges::is_sorted(tensors, IsBefore<TensorInfo>));
  ASSIGN_OR_RETURN(const std::string header, EncodeHeader(tensors, metadata), path);
  auto writer = std::unique_ptr<SafetensorsWriter>(new SafetensorsWriter(env, path, tensors));
  ASSIGN_OR_RETURN(writer->file_, env.NewWritableFile(path));
  RETURN_IF_ERROR(writer->Write(header));
  return writer;
}

SafetensorsWriter::~SafetensorsWriter() {
  if (is_finished_ || file_ == nullptr) return;
  file_.reset();
  // The first error is the one that was reported.
  env_.RemoveFile(path_).IgnoreError();
}

absl::Status SafetensorsWriter::Write(std::string_view bytes) {
  RETURN_IF_ERROR(file_->Append(bytes));
  digest_.Update(bytes);
  finished_.bytes += bytes.size();
  return absl::OkStatus();
}

absl::Status SafetensorsWriter::Append(std::string_view bytes) {
  HALCYON_CHECK(next_ < sizes_.size() && bytes.size() == sizes_[next_]);
  RETURN_IF_ERROR(Write(bytes));
  ++next_;
  return absl::OkStatus();
}

absl::StatusOr<SafetensorsWriter::Finished> SafetensorsWriter::Finish() {
  HALCYON_CHECK(next_ == sizes_.size() && !is_finished_);
  RETURN_IF_ERROR(file_->Sync());
  RETURN_IF_ERROR(file_->Close());
  is_finished_ = true;
  finished_.sha256 = digest_.HexDigest();
  return finished_;
}

}  // namespace halcyon::storage
