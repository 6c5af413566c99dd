// Digests: SHA-256 identifies contents, XXH3 detects accidental damage.
#ifndef HALCYON_BASE_DIGEST_H_
#define HALCYON_BASE_DIGEST_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

namespace halcyon {

// Incremental SHA-256 (OpenSSL). Not thread-safe.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  void Update(std::string_view bytes);
  // 64 lowercase hexadecimal digits. REQUIRES: called once, after the last Update.
  std::string HexDigest();

  static std::string Of(std::string_view bytes);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// SHA-256 of a file's bytes, in hexadecimal. Fails as ErrnoStatus does.
absl::StatusOr<std::string> Sha256OfFile(const std::string& path);

// XXH3, 64 bits, seed 0.
uint64_t Xxh3(std::string_view bytes);

// XXH3 of bytes that are given in several pieces. Not thread-safe.
class Xxh3Hasher {
 public:
  Xxh3Hasher();
  ~Xxh3Hasher();
  Xxh3Hasher(Xxh3Hasher&&) noexcept;
  Xxh3Hasher& operator=(Xxh3Hasher&&) noexcept;

  void Update(std::string_view bytes);
  // Of all bytes so far; more may follow.
  uint64_t Digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// 16 lowercase hexadecimal digits.
std::string Hex64(uint64_t value);

}  // namespace halcyon

#endif  // HALCYON_BASE_DIGEST_H_
