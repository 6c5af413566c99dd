// Coordinator and workers in one process, without a network; for tests and simulations. Messages
// still pass through Encode and Decode, and a hook decides which are delivered.
#ifndef HALCYON_CLUSTER_IN_MEMORY_TRANSPORT_H_
#define HALCYON_CLUSTER_IN_MEMORY_TRANSPORT_H_

#include <functional>
#include <memory>

#include "cluster/transport.h"

namespace halcyon::cluster {

enum class Delivery {
  kDeliver,
  kDrop,
  kHold,  // kept aside until ReleaseHeld
};

// Thread-safe. Its transports may outlive it; each is used by one thread.
class InMemoryNetwork {
 public:
  InMemoryNetwork();
  ~InMemoryNetwork();
  InMemoryNetwork(const InMemoryNetwork&) = delete;
  InMemoryNetwork& operator=(const InMemoryNetwork&) = delete;

  // At most one at a time; what is sent while there is none waits for it.
  std::unique_ptr<ServerTransport> Bind();
  std::unique_ptr<ClientTransport> Connect(const WorkerId& self);

  // Asked for each message at its sending, in both directions, on the sender's thread. It must not
  // call the network.
  void SetHook(std::function<Delivery(const Message&)> hook);
  // Delivers what was held, in the order of sending.
  void ReleaseHeld();

 private:
  class Hub;
  class Server;
  class Client;
  std::shared_ptr<Hub> hub_;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_CLUSTER_IN_MEMORY_TRANSPORT_H_
