// An agent, as worker/agent.cc: Hello, Ready, then a task at a time.
#ifndef HALCYON_TESTS_SIMULATION_AGENT_H_
#define HALCYON_TESTS_SIMULATION_AGENT_H_

#include <deque>

#include "tests/simulation/worker.h"

namespace halcyon::simulation {

class Agent : public Worker {
 public:
  using Worker::Worker;
  void Start() override;

 private:
  void OnMessage(const cluster::Body& body) override;
  bool MayBeAdoptedBy(const Service& service) const override;
  cluster::Activity Doing() const override;
  void ServeNext();
  void Finish(const cluster::Lease& lease);

  std::deque<cluster::Lease> leases_;
  std::string task_;  // "": none
  bool is_serving_ = false, is_stopping_ = false;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_AGENT_H_
