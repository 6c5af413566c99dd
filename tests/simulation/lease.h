// A lease that a simulated process seeks, and may hold: what storage::LeaseSeeker and
// storage::Lease do, by the same rules (storage/lease_rules.h), in steps between which other
// processes act.
#ifndef HALCYON_TESTS_SIMULATION_LEASE_H_
#define HALCYON_TESTS_SIMULATION_LEASE_H_

#include <cstdint>
#include <string>

#include "base/status.h"
#include "storage/lease_rules.h"

namespace halcyon::simulation {

class World;

class Lease {
 public:
  Lease(World* world, std::string dir, storage::LeaseHolder self)
      : world_(world), dir_(std::move(dir)), self_(std::move(self)) {}

  void AssumeDead(const storage::LeaseHolder& process) { watch_.AssumeDead(process); }
  // The two steps of LeaseSeeker::TryTake(above). True: the second is to follow.
  bool Look(uint64_t above);
  // True: it is held.
  bool Make();
  // Whose it is, by the last look.
  const storage::LeaseHolder& holder() const { return watch_.seen().holder; }

  bool is_held() const { return number_ != 0; }
  uint64_t number() const { return number_; }
  const std::string& dir() const { return dir_; }
  // REQUIRES for these: it is held.
  absl::Status Check() const;
  absl::Status Renew();
  // Nobody has it afterwards, if nobody else has taken it.
  void GiveUp();

 private:
  void See();

  World* world_;
  std::string dir_;
  storage::LeaseHolder self_;
  storage::LeaseWatch watch_;
  uint64_t above_ = 0, number_ = 0;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_LEASE_H_
