// The networks once more, as plain float64 loops over parameters found by name: the independent
// computation that the tests compare with.
#ifndef HALCYON_TESTS_MODEL_NETWORK_ORACLE_H_
#define HALCYON_TESTS_MODEL_NETWORK_ORACLE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "jobs/job_spec.h"
#include "model/unit.h"

namespace halcyon::model {

using Vector = std::vector<double>;

class NetworkOracle {
 public:
  // Copies the parameters' values.
  explicit NetworkOracle(const std::vector<Unit*>& units);

  Vector& at(const std::string& name) { return values_.at(name); }
  std::vector<std::string> names() const;

  Vector Linear(const Vector& x, const std::string& name) const;  // bias where there is one
  Vector RmsNorm(const Vector& x, const std::string& name) const;
  Vector LayerNorm(const Vector& x, const std::string& name) const;
  Vector GatedMlp(const Vector& x, const std::string& name) const;
  Vector Row(const std::string& table, int64_t row, int64_t width) const;
  int64_t Rows(const std::string& table, int64_t width) const;

 private:
  std::map<std::string, Vector> values_;
};

// Fills every parameter with normal values (scales of norms around 1), so that none is idle.
void Randomise(const std::vector<Unit*>& units, uint64_t seed);

double Silu(double x);

struct OraclePosterior {
  Vector mean, log_std;
};

// One chunk. A negative token stands for a dropped one.
OraclePosterior EncodeChunk(const NetworkOracle& net, const jobs::AutoencoderSpec& spec,
                            const std::vector<int64_t>& tokens);
// Logits [K][vocab] of one latent.
std::vector<Vector> DecodeLatent(const NetworkOracle& net, const jobs::AutoencoderSpec& spec,
                                 const Vector& latent);

// tokens [chunks][K] of one sequence -> hidden states before the final norm, [chunks][hidden].
std::vector<Vector> RunBackbone(const NetworkOracle& net, const jobs::ModelSpec& spec,
                                const std::vector<std::vector<int64_t>>& tokens);
// One hidden state and one noise vector -> a latent. Nothing is shared between calls.
Vector RunHead(const NetworkOracle& net, const jobs::ModelSpec& spec, const Vector& hidden,
               const Vector& noise);

}  // namespace halcyon::model

#endif  // HALCYON_TESTS_MODEL_NETWORK_ORACLE_H_
