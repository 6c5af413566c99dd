#include "storage/latent_format.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "base/check.h"
#include "storage/half.h"

namespace halcyon::storage {
namespace {

struct Format {
  LatentFormat format;
  std::string_view name;
  Element element;
  float largest;
  void (*encode)(std::span<const float> values, char* bytes);
  void (*decode)(const char* bytes, std::span<float> values);
};

void EncodeFloats(std::span<const float> values, char* bytes) {
  if (!values.empty()) std::memcpy(bytes, values.data(), values.size_bytes());
}

void DecodeFloats(const char* bytes, std::span<float> values) {
  if (!values.empty()) std::memcpy(values.data(), bytes, values.size_bytes());
}

constexpr Format kFormats[] = {
    {LatentFormat::kFloat16, "float16", Element::kF16, 0x1.ffcp15f, EncodeHalves, DecodeHalves},
    {LatentFormat::kBFloat16, "bfloat16", Element::kBF16, 0x1.fep127f, EncodeBFloat16s,
     DecodeBFloat16s},
    {LatentFormat::kFloat32, "float32", Element::kF32, std::numeric_limits<float>::max(),
     EncodeFloats, DecodeFloats}};

const Format& FormatOf(LatentFormat format) {
  for (const Format& one : kFormats) {
    if (one.format == format) return one;
  }
  HALCYON_CHECK(false && "every LatentFormat is in the table");
}

}  // namespace

std::string_view NameOf(LatentFormat format) { return FormatOf(format).name; }

Element ElementOf(LatentFormat format) { return FormatOf(format).element; }

std::optional<LatentFormat> LatentFormatOf(Element element) {
  for (const Format& one : kFormats) {
    if (one.element == element) return one.format;
  }
  return std::nullopt;
}

float LargestOf(LatentFormat format) { return FormatOf(format).largest; }

absl::Status CheckFits(LatentFormat format, std::span<const float> posterior) {
  for (const float value : posterior) {
    // NaN fails the comparison as well.
    if (std::fabs(value) <= LargestOf(format)) continue;
    return InvalidArgument("the posterior holds " + std::to_string(value) + ", which no " +
                           std::string(NameOf(format)) +
                           " can; the autoencoder has diverged or its latents need another scale");
  }
  return absl::OkStatus();
}

void EncodeNumbers(LatentFormat format, std::span<const float> values, char* bytes) {
  FormatOf(format).encode(values, bytes);
}

void DecodeNumbers(LatentFormat format, const char* bytes, std::span<float> values) {
  FormatOf(format).decode(bytes, values);
}

void RoundNumbers(LatentFormat format, std::span<float> values) {
  std::string bytes(values.size() * BytesOf(ElementOf(format)), '\0');
  EncodeNumbers(format, values, bytes.data());
  DecodeNumbers(format, bytes.data(), values);
}

}  // namespace halcyon::storage
