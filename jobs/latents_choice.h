// What data.latents = "auto" comes to for a job. Pure.
#ifndef HALCYON_JOBS_LATENTS_CHOICE_H_
#define HALCYON_JOBS_LATENTS_CHOICE_H_

#include <cstdint>
#include <optional>
#include <string>

#include "jobs/job_spec.h"

namespace halcyon::jobs {

// English has four to five bytes a token with a large vocabulary, a small one gives shorter tokens.
inline constexpr double kTextBytesOfToken = 4;
// Latents that would take more than this share of what is free are not stored.
inline constexpr double kLatentsDiskShareMax = 0.5;
// Where no rates are known: nor are those of a text of which training reads less than this share.
inline constexpr double kLatentsUsedShareMin = 0.5;

// What the machine was measured to do in a second.
struct LatentsRates {
  std::string device;                      // that networks compute on
  bool is_gpu = false;                     // agents then share the GPUs of the ranks
  double agent_chunks = 0;                 // encoded by one agent
  double rank_chunks = 0;                  // by one rank, with its threads
  double rank_flops = 0;                   // of a rank's large products of matrices
  double write_bytes = 0, read_bytes = 0;  // of the disk that has the state folder
};

struct LatentsFacts {
  uint64_t text_bytes = 0;  // of all sources, not compressed
  uint64_t free_bytes = 0;  // where the state folder lies
  int64_t vocab_size = 0;
  int64_t agents = 1;                                // that encode at the same time
  std::optional<LatentsRates> rates = std::nullopt;  // not measured
};

// Seconds, about.
struct LatentsTimes {
  double store = 0;      // encoding all chunks once and writing them, and what training waits for
                         // when the disk gives them slower than the ranks compute
  double recompute = 0;  // encoding what training reads
  double training = 0;   // without either, at least
};

struct LatentsChoice {
  LatentsRule rule = LatentsRule::kStore;  // never kAuto
  uint64_t stored_bytes = 0;               // that latents would take, about
  bool has_room = true;
  double used_share = 0;      // chunks that training reads, of those of the text
  double encoding_share = 0;  // of the arithmetic of training that recomputing adds
  std::optional<LatentsTimes> times = std::nullopt;  // where rates are known
};

uint64_t LatentChunks(const JobSpec& spec, uint64_t text_bytes);  // of the text, about

// Stores what has room when that is no slower, by the rates, than recomputing: other jobs may use
// it, too.
LatentsChoice ChooseLatents(const JobSpec& spec, const LatentsFacts& facts);

}  // namespace halcyon::jobs

#endif  // HALCYON_JOBS_LATENTS_CHOICE_H_
