#include "pipeline/sources/unpacker.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <limits>
#include <string>

#include "base/check.h"

namespace halcyon::pipeline {
namespace {

class GzipUnpacker final : public Unpacker {
 public:
  GzipUnpacker() {
    constexpr int kWindowBits = 15, kGzipFormat = 16;
    HALCYON_CHECK(inflateInit2(&stream_, kWindowBits + kGzipFormat) == Z_OK);
  }
  ~GzipUnpacker() override { inflateEnd(&stream_); }

  absl::StatusOr<size_t> Unpack(std::string_view* packed, char* output, size_t size) override {
    size_t written = 0;
    while (written < size && !packed->empty()) {
      if (is_complete_ && has_begun_) {
        // Zeros fill up what was stored in blocks, on a tape for instance.
        packed->remove_prefix(std::min(packed->find_first_not_of('\0'), packed->size()));
        if (packed->empty()) break;
        inflateReset(&stream_);
      }
      has_begun_ = true;
      is_complete_ = false;
      const size_t given = Give(*packed), room = Room(size - written);
      stream_.next_out = reinterpret_cast<Bytef*>(output + written);
      const int result = inflate(&stream_, Z_NO_FLUSH);
      packed->remove_prefix(given - stream_.avail_in);
      written += room - stream_.avail_out;
      if (result == Z_STREAM_END) {
        is_complete_ = true;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        return DataLoss(std::string("damaged gzip data (") +
                        (stream_.msg == nullptr ? zError(result) : stream_.msg) + ")");
      }
    }
    return written;
  }
  bool is_complete() const override { return is_complete_; }

 private:
  size_t Give(std::string_view packed) {
    stream_.avail_in = Room(packed.size());
    // zlib does not write to it.
    stream_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(packed.data()));
    return stream_.avail_in;
  }
  uInt Room(size_t bytes) {
    stream_.avail_out =
        static_cast<uInt>(std::min<size_t>(bytes, std::numeric_limits<uInt>::max()));
    return stream_.avail_out;
  }

  z_stream stream_ = {};
  bool has_begun_ = false, is_complete_ = false;
};

class ZstdUnpacker final : public Unpacker {
 public:
  ZstdUnpacker() : context_(ZSTD_createDCtx()) {
    HALCYON_CHECK(context_ != nullptr);
    // Also what was packed with --long=31.
    const ZSTD_bounds window = ZSTD_dParam_getBounds(ZSTD_d_windowLogMax);
    ZSTD_DCtx_setParameter(context_, ZSTD_d_windowLogMax, window.upperBound);
  }
  ~ZstdUnpacker() override { ZSTD_freeDCtx(context_); }

  absl::StatusOr<size_t> Unpack(std::string_view* packed, char* output, size_t size) override {
    ZSTD_outBuffer out = {output, size, 0};
    while (out.pos < out.size) {
      ZSTD_inBuffer in = {packed->data(), packed->size(), 0};
      const size_t before = out.pos;
      const size_t result = ZSTD_decompressStream(context_, &out, &in);
      packed->remove_prefix(in.pos);
      if (ZSTD_isError(result) != 0) {
        return DataLoss(std::string("damaged Zstandard data (") + ZSTD_getErrorName(result) + ")");
      }
      // What a frame's block holds may come without more input.
      if (in.pos > 0 || out.pos > before) is_complete_ = result == 0;
      if (packed->empty() && out.pos < out.size) break;
    }
    return out.pos;
  }
  bool is_complete() const override { return is_complete_; }

 private:
  ZSTD_DCtx* const context_;
  bool is_complete_ = false;
};

}  // namespace

std::unique_ptr<Unpacker> Unpacker::Make(Compression compression) {
  HALCYON_CHECK(compression != Compression::kNone);
  if (compression == Compression::kGzip) return std::make_unique<GzipUnpacker>();
  return std::make_unique<ZstdUnpacker>();
}

}  // namespace halcyon::pipeline
