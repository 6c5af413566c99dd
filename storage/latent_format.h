// The numbers of latents as bytes: what float32 is rounded to where latents are stored.
#ifndef HALCYON_STORAGE_LATENT_FORMAT_H_
#define HALCYON_STORAGE_LATENT_FORMAT_H_

#include <optional>
#include <span>
#include <string_view>

#include "base/status.h"
#include "jobs/job_spec.h"
#include "storage/cache_format.h"

namespace halcyon::storage {

using jobs::LatentFormat;

// "float16", "bfloat16", "float32".
std::string_view NameOf(LatentFormat format);
// What a page of latents says that its values are.
Element ElementOf(LatentFormat format);
// Nothing: no latents are stored as that.
std::optional<LatentFormat> LatentFormatOf(Element element);
// The largest finite number of the format.
float LargestOf(LatentFormat format);
// kInvalidArgument: a value of a posterior is not finite, or too large for the format.
absl::Status CheckFits(LatentFormat format, std::span<const float> posterior);

// Rounded to nearest, ties to even. `bytes` has BytesOf(ElementOf(format)) for each value and need
// not be aligned.
void EncodeNumbers(LatentFormat format, std::span<const float> values, char* bytes);
void DecodeNumbers(LatentFormat format, const char* bytes, std::span<float> values);
// To what a cache gives back.
void RoundNumbers(LatentFormat format, std::span<float> values);

}  // namespace halcyon::storage

#endif  // HALCYON_STORAGE_LATENT_FORMAT_H_
