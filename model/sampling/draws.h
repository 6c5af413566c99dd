// What is known of a sampler's draws. A draw is a chunk of K tokens; decoding one costs far more
// than drawing its latent, and telling two apart mostly takes their first tokens only, so tokens
// are learnt one after another and the algorithms say which ones they need.
#ifndef HALCYON_MODEL_SAMPLING_DRAWS_H_
#define HALCYON_MODEL_SAMPLING_DRAWS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace halcyon::model {

// A value; not thread-safe.
class Draws {
 public:
  explicit Draws(int64_t chunk_size) : chunk_size_(chunk_size) {}

  int64_t chunk_size() const { return chunk_size_; }
  int64_t count() const { return static_cast<int64_t>(source_.size()); }

  // One more draw, of which nothing is known.
  void Add();
  // One more draw with the same latent as draw `other`: equal to it, known or not.
  void AddCopyOf(int64_t other);
  // The first draw with the same latent: where its tokens are learnt.
  int64_t Source(int64_t draw) const { return source_[draw]; }

  // The tokens after those that are known. REQUIRES: no more than K in all.
  void Learn(int64_t draw, std::span<const int64_t> tokens);
  std::span<const int64_t> Known(int64_t draw) const { return known_[source_[draw]]; }
  bool IsWhole(int64_t draw) const {
    return static_cast<int64_t>(Known(draw).size()) == chunk_size_;
  }

  // Whether the draws are all the same chunk; nullopt while the known tokens do not decide it.
  std::optional<bool> AllEqual(std::span<const int64_t> draws) const;

 private:
  int64_t chunk_size_;
  std::vector<int64_t> source_;
  std::vector<std::vector<int64_t>> known_;
};

// What an algorithm must know before it can go on.
struct Needs {
  struct Tokens {
    int64_t draw = 0;
    int64_t count = 0;  // its first so many
  };
  int64_t draws = 0;           // so many must exist
  std::vector<Tokens> tokens;  // of draws that exist or are among those

  // Asks for those tokens that are not known yet.
  void Want(const Draws& draws, int64_t draw, int64_t count);
  bool empty() const { return draws == 0 && tokens.empty(); }
};

}  // namespace halcyon::model

#endif  // HALCYON_MODEL_SAMPLING_DRAWS_H_
