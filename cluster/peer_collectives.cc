#include "cluster/peer_collectives.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "cluster/allocation.h"
#include "cluster/peer_mesh.h"

namespace halcyon::cluster {
namespace {

constexpr uint32_t kGather = 1, kScatter = 2, kBarrier = 3;

class PeerGroup final : public ExchangeGroup {
 public:
  // `ranks`: those of the group in the gang, in the order of the group.
  PeerGroup(std::shared_ptr<PeerMesh> mesh, uint32_t number, std::vector<int> ranks, int own_rank,
            size_t call_bytes_max)
      : ExchangeGroup(call_bytes_max),
        mesh_(std::move(mesh)),
        number_(number),
        ranks_(std::move(ranks)),
        place_(static_cast<int>(std::ranges::find(ranks_, own_rank) - ranks_.begin())) {
    // Beginning behind the own one, so that not all send to the first at the same time.
    for (int i = 1; i < size(); ++i) others_.push_back((place_ + i) % size());
    for (const int other : others_) other_ranks_.push_back(ranks_[other]);
  }

  int rank() const override { return place_; }
  int size() const override { return static_cast<int>(ranks_.size()); }

  absl::Status Barrier() override {
    const WaitCheck check = Check();
    RETURN_IF_ERROR(mesh_->Send(other_ranks_, {number_, kBarrier}, {}, check));
    for (const int rank : other_ranks_) {
      RETURN_IF_ERROR(mesh_->Receive(rank, {number_, kBarrier}, {}, check));
    }
    return absl::OkStatus();
  }

 protected:
  absl::Status GatherCall(const char* in, size_t size, char* out, size_t stride) override {
    const WaitCheck check = Check();
    RETURN_IF_ERROR(mesh_->Send(other_ranks_, {number_, kGather}, {in, size}, check));
    std::memmove(out + place_ * stride, in, size);
    for (const int other : others_) {
      RETURN_IF_ERROR(
          mesh_->Receive(ranks_[other], {number_, kGather}, {out + other * stride, size}, check));
    }
    return absl::OkStatus();
  }

  absl::Status ScatterCall(const char* in, size_t stride, size_t size, char* out) override {
    const WaitCheck check = Check();
    absl::Status sent;  // if one has ended, the others still get theirs
    for (const int other : others_) {
      sent.Update(mesh_->Send({&ranks_[other], 1}, {number_, kScatter}, {in + other * stride, size},
                              check));
    }
    RETURN_IF_ERROR(sent);
    std::memcpy(out + place_ * size, in + place_ * stride, size);
    for (const int other : others_) {
      RETURN_IF_ERROR(
          mesh_->Receive(ranks_[other], {number_, kScatter}, {out + other * size, size}, check));
    }
    return absl::OkStatus();
  }

 private:
  WaitCheck Check() const {
    return [this] { return CheckWait(); };
  }

  const std::shared_ptr<PeerMesh> mesh_;
  const uint32_t number_;
  const std::vector<int> ranks_;
  const int place_;
  std::vector<int> others_, other_ranks_;  // their places here, and their ranks in the gang
};

// What a rank tells the others about itself.
struct Place {
  std::string node;
  std::string address;  // as the way to rank 0 begins: a number
  int port = 0;

  std::string Serialise() const {
    return nlohmann::json({{"node", node}, {"address", address}, {"port", port}}).dump();
  }
};

absl::StatusOr<Place> ParsePlace(const std::string& text, int rank) {
  const auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  try {
    return Place{json.at("node"), json.at("address"), json.at("port")};
  } catch (const nlohmann::json::exception& error) {
    return Internal(fmt::format("what rank {} says of itself: {}", rank, error.what()));
  }
}

std::string RankName(int rank) { return "rank/" + std::to_string(rank); }

std::string WithPort(const std::string& address, int port) {
  const bool is_ipv6 = address.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", is_ipv6 ? "[" : "", address, is_ipv6 ? "]" : "", port);
}

absl::StatusOr<std::vector<Place>> ExchangePlaces(Bootstrap& bootstrap, const Place& own,
                                                  const PeerOptions& options) {
  RETURN_IF_ERROR(bootstrap.Put(RankName(options.rank), own.Serialise()));
  RETURN_IF_ERROR(bootstrap.Barrier());
  std::vector<Place> places(options.size);
  for (int rank = 0; rank < options.size; ++rank) {
    ASSIGN_OR_RETURN(const std::string text, bootstrap.Get(RankName(rank)));
    ASSIGN_OR_RETURN(places[rank], ParsePlace(text, rank));
  }
  return places;
}

// By node, in the order of their lowest ranks.
std::vector<std::vector<int>> RanksOfNodes(const std::vector<Place>& places) {
  std::map<std::string, size_t> number_of;
  std::vector<std::vector<int>> nodes;
  for (size_t rank = 0; rank < places.size(); ++rank) {
    const auto [node, is_new] = number_of.emplace(places[rank].node, nodes.size());
    if (is_new) nodes.emplace_back();
    nodes[node->second].push_back(static_cast<int>(rank));
  }
  return nodes;
}

HostGroups GroupsOf(const std::shared_ptr<PeerMesh>& mesh, const std::vector<Place>& places,
                    const PeerOptions& options) {
  const auto make = [&](uint32_t number, std::vector<int> ranks) {
    return std::make_unique<PeerGroup>(mesh, number, std::move(ranks), options.rank,
                                       options.call_bytes_max);
  };
  std::vector<int> all(options.size);
  std::iota(all.begin(), all.end(), 0);
  HostGroups groups;
  groups.all = make(0, std::move(all));
  const auto nodes = RanksOfNodes(places);
  const auto own = std::ranges::find_if(nodes, [&](const std::vector<int>& ranks) {
    return std::ranges::find(ranks, options.rank) != ranks.end();
  });
  groups.node = make(1, *own);
  if (std::ranges::all_of(nodes, [&](const auto& ranks) { return ranks.size() == own->size(); })) {
    std::vector<int> across;
    for (const std::vector<int>& ranks : nodes) across.push_back(ranks[groups.node->rank()]);
    groups.across_nodes = make(2, std::move(across));
  }
  return groups;
}

// A message of each rank to each other has come through.
absl::Status AwaitAll(PeerMesh& mesh, const std::vector<std::string>& addresses,
                      const PeerOptions& options) {
  const int own_rank = options.rank;
  const int64_t began_ms = Clock::Real()->MonotonicMs();
  constexpr MessageTag kHello{0, kBarrier};
  int awaited = own_rank;
  const WaitCheck check = [&] {
    if (Clock::Real()->MonotonicMs() - began_ms < options.connect_ms_max) return absl::OkStatus();
    return Unavailable(fmt::format(
        "nothing has come from rank {} ({}) within {} s: ranks must reach each other on all ports",
        awaited, addresses[awaited], options.connect_ms_max / 1000));
  };
  for (int i = 1; i < static_cast<int>(addresses.size()); ++i) {
    awaited = (own_rank + i) % static_cast<int>(addresses.size());
    RETURN_IF_ERROR(mesh.Send({&awaited, 1}, kHello, {}, check));
  }
  for (int i = 1; i < static_cast<int>(addresses.size()); ++i) {
    awaited = (own_rank + i) % static_cast<int>(addresses.size());
    RETURN_IF_ERROR(mesh.Receive(awaited, kHello, {}, check));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> AddressOfPeer(const std::string& own, const std::string& peer, int port,
                                          const std::string& master_address) {
  if (!IsLoopback(peer) || IsLoopback(own)) return WithPort(peer, port);
  ASSIGN_OR_RETURN(const std::string address, NumericAddressOf(master_address));
  return WithPort(address, port);
}

absl::StatusOr<std::unique_ptr<Collectives>> MakePeerCollectives(
    std::function<absl::StatusOr<std::unique_ptr<Bootstrap>>()> make_bootstrap,
    const PeerOptions& options) {
  HALCYON_CHECK(options.call_bytes_max >= sizeof(double));
  const auto make_groups = [make_bootstrap = std::move(make_bootstrap),
                            options]() -> absl::StatusOr<HostGroups> {
    ASSIGN_OR_RETURN(std::shared_ptr<PeerMesh> mesh,
                     MakePeerMesh({options.rank, options.size, options.keys,
                                   std::max<size_t>(options.call_bytes_max, 1024)}));
    Place own{options.node, "127.0.0.1", mesh->port()};
    if (options.size > 1) {
      ASSIGN_OR_RETURN(own.address, AddressTowards(options.master_address));
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<Bootstrap> bootstrap, make_bootstrap());
    ASSIGN_OR_RETURN(const std::vector<Place> places, ExchangePlaces(*bootstrap, own, options));
    std::vector<std::string> addresses(options.size);
    for (int rank = 0; rank < options.size; ++rank) {
      if (rank == options.rank) continue;
      ASSIGN_OR_RETURN(addresses[rank], AddressOfPeer(own.address, places[rank].address,
                                                      places[rank].port, options.master_address));
    }
    RETURN_IF_ERROR(mesh->Connect(addresses));
    RETURN_IF_ERROR(AwaitAll(*mesh, addresses, options));
    return GroupsOf(mesh, places, options);
  };
  return CollectiveQueue::Start(make_groups, options.queue);
}

}  // namespace halcyon::cluster
