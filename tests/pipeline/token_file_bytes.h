// Files of ids as other programs write them.
#ifndef HALCYON_TESTS_PIPELINE_TOKEN_FILE_BYTES_H_
#define HALCYON_TESTS_PIPELINE_TOKEN_FILE_BYTES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace halcyon::pipeline {

// Little-endian integers of so many bytes, as array.array, NumPy's tofile and struct.pack do.
inline std::string Integers(const std::vector<int64_t>& values, uint32_t bytes) {
  std::string out;
  for (const int64_t value : values) {
    for (uint32_t i = 0; i < bytes; ++i) {
      out += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i) & 0xFF);
    }
  }
  return out;
}

// numpy.save of one dimension; `type` as "<u2".
inline std::string NpyOf(const std::string& type, const std::vector<int64_t>& ids) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" +
                       std::to_string(ids.size()) + ",), }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  return "\x93NUMPY" + Integers({0x0001}, 2) + Integers({static_cast<int64_t>(header.size())}, 2) +
         header + Integers(ids, static_cast<uint32_t>(type.back() - '0'));
}

// write_datafile of llm.c.
inline std::string LlmcOf(int32_t magic, int32_t version, const std::vector<int64_t>& ids,
                          uint32_t bytes) {
  std::vector<int64_t> header(256);
  header[0] = magic;
  header[1] = version;
  header[2] = static_cast<int64_t>(ids.size());
  return Integers(header, 4) + Integers(ids, bytes);
}

// The index that Megatron-LM's IndexedDatasetBuilder writes. `documents`: of each document, the
// lengths of its sequences.
inline std::string MegatronIndexOf(uint8_t code, uint32_t id_bytes,
                                   const std::vector<std::vector<int64_t>>& documents) {
  std::vector<int64_t> lengths, pointers, first = {0};
  int64_t at = 0;
  for (const auto& document : documents) {
    for (const int64_t length : document) {
      lengths.push_back(length);
      pointers.push_back(at);
      at += length * id_bytes;
    }
    first.push_back(static_cast<int64_t>(lengths.size()));
  }
  return std::string("MMIDIDX\0\0", 9) + Integers({1}, 8) + Integers({code}, 1) +
         Integers({static_cast<int64_t>(lengths.size()), static_cast<int64_t>(first.size())}, 8) +
         Integers(lengths, 4) + Integers(pointers, 8) + Integers(first, 8);
}

}  // namespace halcyon::pipeline

#endif  // HALCYON_TESTS_PIPELINE_TOKEN_FILE_BYTES_H_
