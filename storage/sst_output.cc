#include "storage/sst_output.h"

#include <rocksdb/options.h>
#include <rocksdb/sst_file_writer.h>

#include <utility>

#include "absl/strings/escaping.h"
#include "base/env.h"
#include "base/fault_point.h"
#include "storage/rocks.h"
#include "storage/value_places.h"

namespace halcyon::storage {

SstOutput::SstOutput(std::string path) : path_(std::move(path)), temporary_(path_ + ".tmp") {
  rocksdb::Options options = CacheOptions();
  KeepValuePlaces(&options);
  // The owner reads the file soon: leave it in the page cache.
  writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options,
                                                     /*column_family=*/nullptr,
                                                     /*invalidate_page_cache=*/false);
}

SstOutput::~SstOutput() {
  // It takes space. A failure to remove it is ignored: the next attempt truncates the file.
  if (!finished_ && Env::Posix()->Exists(temporary_)) {
    Env::Posix()->RemoveFile(temporary_).IgnoreError();
  }
}

absl::StatusOr<std::unique_ptr<SstOutput>> SstOutput::Create(const std::string& path) {
  std::unique_ptr<SstOutput> output(new SstOutput(path));
  RETURN_IF_ERROR(
      FromRocks(output->writer_->Open(output->temporary_), "cannot create " + output->temporary_));
  return output;
}

absl::Status SstOutput::Put(const std::string& key, std::string_view value) {
  const rocksdb::Status status = writer_->Put(key, rocksdb::Slice(value.data(), value.size()));
  if (status.IsInvalidArgument()) {
    return InvalidArgument(path_ + ": pages must be added in order: " + status.ToString());
  }
  return FromRocks(status, "cannot write " + temporary_);
}

absl::StatusOr<SstFile> SstOutput::Finish() {
  rocksdb::ExternalSstFileInfo info;
  RETURN_IF_ERROR(FromRocks(writer_->Finish(&info), "cannot finish " + temporary_));
  FaultPoint("sst written " + BaseName(path_));
  RETURN_IF_ERROR(Env::Posix()->Rename(temporary_, path_));
  finished_ = true;
  FaultPoint("sst renamed " + BaseName(path_));
  RETURN_IF_ERROR(Env::Posix()->SyncDir(DirName(path_)));
  return SstFile{path_, absl::BytesToHexString(info.file_checksum), info.file_size};
}

}  // namespace halcyon::storage
