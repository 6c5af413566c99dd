// Collectives that pass everything on: for test doubles that change a part of it.
#ifndef HALCYON_TESTS_CLUSTER_FORWARDING_COLLECTIVES_H_
#define HALCYON_TESTS_CLUSTER_FORWARDING_COLLECTIVES_H_

#include <string>
#include <vector>

#include "cluster/collectives.h"

namespace halcyon::cluster {

class ForwardingCollectives : public Collectives {
 public:
  // `gang` outlives this.
  explicit ForwardingCollectives(Collectives* gang) : gang_(gang) {}

  int rank_in(Group group) const override { return gang_->rank_in(group); }
  int size_of(Group group) const override { return gang_->size_of(group); }
  Pending AllGather(Group group, ConstBuffer in, Buffer out, std::string_view what) override {
    return gang_->AllGather(group, in, out, what);
  }
  Pending ReduceScatterSum(Group group, ConstBuffer in, Buffer out,
                           std::string_view what) override {
    return gang_->ReduceScatterSum(group, in, out, what);
  }
  absl::Status AllReduceSum(std::span<double> values) override {
    return gang_->AllReduceSum(values);
  }
  absl::StatusOr<std::vector<std::string>> AllGatherBytes(std::string_view bytes) override {
    return gang_->AllGatherBytes(bytes);
  }
  absl::Status Barrier() override { return gang_->Barrier(); }
  uint64_t order_digest() const override { return gang_->order_digest(); }
  CollectiveFigures TakeFigures() override { return gang_->TakeFigures(); }
  std::string Current() const override { return gang_->Current(); }
  CollectiveStanding Standing() const override { return gang_->Standing(); }

 protected:
  Collectives& gang() { return *gang_; }

 private:
  Collectives* const gang_;
};

}  // namespace halcyon::cluster

#endif  // HALCYON_TESTS_CLUSTER_FORWARDING_COLLECTIVES_H_
