// A worker process and its connection to the coordinator, as cluster/coordinator_link.h has it:
// heartbeats, and an end at once when the coordinator has sent nothing for too long.
//
// What the network does. ZeroMQ delivers the messages of one connection once and in order; between
// different workers any order is possible. That is simulated always: delays, directions that are
// cut and deliver late, messages that are lost with their sender. On a hostile network (scenario.h)
// connections break and are made again: messages of any kind are lost, come twice and overtake. The
// streams (cluster/reliable_stream.h) make up for it, here as in programs.
#ifndef HALCYON_TESTS_SIMULATION_WORKER_H_
#define HALCYON_TESTS_SIMULATION_WORKER_H_

#include <cstdint>
#include <string>

#include "base/ids.h"
#include "cluster/messages.h"
#include "cluster/reliable_stream.h"
#include "cluster/restatement.h"
#include "tests/simulation/process.h"

namespace halcyon::simulation {

class Job;
class Service;
class World;

class Worker : public Process {
 public:
  // `incarnation`: of the coordinator that starts it.
  Worker(Job* job, WorkerId id, uint64_t incarnation, size_t host);

  Job& job() const { return *job_; }
  const WorkerId& id() const { return id_; }
  uint64_t incarnation() const { return incarnation_; }
  std::string Name() const;  // for the trace

  // Sends Hello and goes on from there.
  virtual void Start() = 0;
  // The coordinator sends this.
  void Deliver(const cluster::Message& message);
  // The process is gone.
  void End(const std::string& why);
  // The power of its machine is gone: nobody is told.
  void Vanish();
  bool has_vanished() const { return has_vanished_; }
  bool has_come_up() const { return heard_ms_ > 0; }
  bool is_rank() const { return id_.name.find("-rank-") != std::string::npos; }
  void CutUntil(int64_t time_ms, bool up, bool down);
  // Its work stands still from here on, while its heartbeats go on.
  void Hang() { is_hung_ = true; }
  bool is_hung() const { return is_hung_; }
  void Heal() { up_.held_until_ms = down_.held_until_ms = 0; }

 protected:
  virtual void OnMessage(const cluster::Body& body) = 0;
  virtual void OnEnd() {}
  // Whether the job's present coordinator may take this worker over from an earlier one.
  virtual bool MayBeAdoptedBy(const Service& service) const = 0;
  // What it does, without its age.
  virtual cluster::Activity Doing() const = 0;
  void Advance();
  void Send(cluster::Body body);
  void BeginHeartbeats();
  World& world() const { return *world_; }

 private:
  struct Direction {
    int64_t held_until_ms = 0, last_arrival_ms = 0;
  };
  // When a message that is sent now comes in; how often it does.
  int64_t ArrivalMs(Direction* direction) const;
  int Copies() const;
  void SendDue();
  void Carry(const cluster::Message& message);
  void Turn();
  bool Reconnect();

  Job* job_;
  World* world_;
  WorkerId id_;
  uint64_t incarnation_;
  Direction up_, down_;
  cluster::ReliableStream stream_;
  cluster::Restatement restatement_;
  int64_t heard_ms_ = 0, turned_ms_ = 0, advanced_ms_ = 0;
  uint64_t advances_ = 0;
  bool is_hung_ = false, has_vanished_ = false;
};

}  // namespace halcyon::simulation

#endif  // HALCYON_TESTS_SIMULATION_WORKER_H_
