// The tests of this program run ATen on one thread: their tensors are small, and threads that spin
// at barriers cost minutes where several programs share few cores.
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

namespace halcyon::model {
namespace {

class OneThread : public testing::Environment {
 public:
  void SetUp() override { at::set_num_threads(1); }
};

[[maybe_unused]] const testing::Environment* const kOneThread =
    testing::AddGlobalTestEnvironment(new OneThread);

}  // namespace
}  // namespace halcyon::model
