// What must hold of the plugin on a machine without a GPU.
#include <gtest/gtest.h>

#include <string>

#include "tests/worker/cuda/plugin.h"

namespace halcyon::worker {
namespace {

class CudaPluginTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(kernels_, nullptr); }
  std::string TextOf(int status) const { return kernels_->ErrorText(status); }

  const CudaKernels* kernels_ = OpenPlugin();
};

TEST_F(CudaPluginTest, FillsTheTableOfThisVersion) {
  EXPECT_EQ(kernels_->abi_version, kCudaKernelsAbiVersion);
  EXPECT_NE(kernels_->ErrorText, nullptr);
  EXPECT_NE(kernels_->DeviceCount, nullptr);
  EXPECT_NE(kernels_->Allocate, nullptr);
  EXPECT_NE(kernels_->Free, nullptr);
  EXPECT_NE(kernels_->CopyToDevice, nullptr);
  EXPECT_NE(kernels_->CopyToHost, nullptr);
  EXPECT_NE(kernels_->Synchronise, nullptr);
  EXPECT_NE(kernels_->EnergyLoss, nullptr);
  EXPECT_NE(kernels_->Argmax, nullptr);
}

TEST_F(CudaPluginTest, SaysWhetherThereIsADevice) {
  int count = -1;
  const int status = kernels_->DeviceCount(&count);
  EXPECT_EQ(TextOf(0), "no error");
  EXPECT_TRUE(status != 0 || count > 0) << "neither a device nor an error";
  EXPECT_FALSE(TextOf(status).empty());
}

TEST_F(CudaPluginTest, RefusesWhatTheInterfaceForbidsBeforeItReachesADevice) {
  for (const CudaEnergyLoss& wrong :
       {CudaEnergyLoss{.count = 1, .positions = 1, .latent = 1, .alpha = 1},
        CudaEnergyLoss{.count = 2, .positions = -1, .latent = 1, .alpha = 1},
        CudaEnergyLoss{.count = 2, .positions = 1, .latent = 0, .alpha = 1},
        CudaEnergyLoss{.count = 2, .positions = 1, .latent = 1, .alpha = 0},
        CudaEnergyLoss{.count = 2, .positions = 1, .latent = 1, .alpha = 2.01}}) {
    EXPECT_EQ(TextOf(kernels_->EnergyLoss(wrong, nullptr)), "invalid argument");
  }
  EXPECT_EQ(TextOf(kernels_->Argmax({.row_count = 1, .vocab = 0, .width = 1}, nullptr)),
            "invalid argument");
  EXPECT_EQ(
      TextOf(kernels_->Argmax({.row_count = 1, .vocab = int64_t{1} << 32, .width = 1}, nullptr)),
      "invalid argument");
}

TEST_F(CudaPluginTest, NothingToDoNeedsNoDevice) {
  EXPECT_EQ(kernels_->EnergyLoss({.count = 2, .positions = 0, .latent = 1, .alpha = 1}, nullptr),
            0);
  EXPECT_EQ(kernels_->Argmax({.row_count = 0, .vocab = 1, .width = 1}, nullptr), 0);
}

}  // namespace
}  // namespace halcyon::worker
