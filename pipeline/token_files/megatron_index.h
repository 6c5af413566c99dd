// The index (NAME.idx) of ids in NAME.bin, as Megatron-LM's IndexedDataset and its descendants
// write it (megatron/core/datasets/indexed_dataset.py). Little-endian:
//
//   bytes  member
//   0-8    "MMIDIDX", 0, 0
//   9-16   version: 1
//   17     type of an id: 1 uint8, 2 int8, 3 int16, 4 int32, 5 int64, 8 uint16 (6, 7: floats)
//   18-25  sequences: n
//   26-33  entries of the list of documents: m, one more than there are documents
//   34-    n x int32: ids of each sequence
//          n x int64: where each sequence begins in NAME.bin, in bytes; there are no gaps
//          m x int64: the first sequence of each document, and n at the end
//          n x int8, of multimodal data only: not looked at
#ifndef HALCYON_PIPELINE_TOKEN_FILES_MEGATRON_INDEX_H_
#define HALCYON_PIPELINE_TOKEN_FILES_MEGATRON_INDEX_H_

#include <cstdint>
#include <functional>
#include <string>

#include "base/env.h"
#include "base/status.h"
#include "pipeline/token_files/id_type.h"

namespace halcyon::pipeline {

// Reads blocks of the file as they are needed, so that its size does not matter. Not thread-safe.
class MegatronIndex {
 public:
  // Bytes of the file; kDataLoss past its end.
  using ReadBytes = std::function<absl::StatusOr<std::string>(uint64_t offset, uint64_t size)>;

  // kInvalidArgument: not such a file, of another version, of a type that is no integer, or of
  // another size than its header says. `name` is for messages.
  static absl::StatusOr<MegatronIndex> Parse(std::string name, uint64_t file_bytes, ReadBytes read);
  static absl::StatusOr<MegatronIndex> Open(Env& env, const std::string& path);

  IdType type() const { return type_; }
  uint64_t documents() const { return document_entries_ - 1; }

  // Where document `document` begins in NAME.bin, in bytes; for documents() where the last one
  // ends. REQUIRES: document <= documents(). kInvalidArgument: the entry is out of range.
  absl::StatusOr<uint64_t> Start(uint64_t document);
  // The bytes of NAME.bin. kInvalidArgument likewise.
  absl::StatusOr<uint64_t> Bytes();
  // The first document that begins at `offset` or later; documents() when none does.
  absl::StatusOr<uint64_t> FirstFrom(uint64_t offset);
  // Reads the whole index. kInvalidArgument, with the place: sequences are not one after another,
  // or the documents are not ascending or do not hold all sequences. After OK, Start ascends.
  absl::Status Check();

 private:
  // Integers one after another in the file.
  template <typename Integer>
  class Column {
   public:
    Column(uint64_t begin, uint64_t count) : begin_(begin), count_(count) {}
    absl::StatusOr<Integer> At(const ReadBytes& read, uint64_t i);

   private:
    uint64_t begin_, count_;
    uint64_t block_ = 0;  // number of the block in bytes_
    std::string bytes_;
  };

  MegatronIndex(std::string name, ReadBytes read, IdType type, uint64_t sequences,
                uint64_t document_entries);
  absl::Status Bad(const std::string& what) const;
  absl::StatusOr<uint64_t> EndOf(uint64_t sequence);
  absl::StatusOr<uint64_t> SequenceAt(uint64_t document);

  std::string name_;
  ReadBytes read_;
  IdType type_;
  uint64_t sequences_, document_entries_;
  Column<int32_t> lengths_;
  Column<int64_t> pointers_;
  Column<int64_t> documents_;
};

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKEN_FILES_MEGATRON_INDEX_H_
