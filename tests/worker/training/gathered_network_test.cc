#include "worker/training/gathered_network.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "cluster/in_process_gang.h"
#include "storage/weights/safetensors.h"
#include "tests/worker/training/toy_trainee.h"
#include "worker/inputs/network_file.h"

namespace halcyon::worker {
namespace {

class NetworkFileTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    dir_ = testing::TempDir() + "network-" + info->name() + "-" + std::to_string(getpid());
  }
  void TearDown() override { ASSERT_TRUE(Env::Posix()->RemoveTree(dir_).ok()); }

  WrittenNetwork Write(int ranks) {
    WrittenNetwork written;
    cluster::RunInProcessGang(ranks, [&](cluster::Collectives& collectives) {
      ToyTrainee toy{jobs::TrainSpec{}};
      Fsdp fsdp(toy.units(), &collectives);
      fsdp.Initialise(toy.init_rule(), toy.init_std(), 4);
      const auto result = WriteNetwork(fsdp, collectives, *Env::Posix(), dir_,
                                       {{"vocab_size", "12"}, {"kind", "x"}}, spec_toml_);
      EXPECT_TRUE(result.ok()) << result.status();
      if (collectives.rank() == 0) written = *result;
    });
    return written;
  }

  std::string dir_;
  std::string spec_toml_ = "name = \"toy\"\n[data]\nsources = [\"a.txt\"]\n";
};

TEST_F(NetworkFileTest, BytesDoNotDependOnTheRanks) {
  const std::string digest = Write(1).content_digest;
  EXPECT_EQ(Write(3).content_digest, digest);
  ToyTrainee toy{jobs::TrainSpec{}};
  ASSERT_TRUE(ReadNetwork(*Env::Posix(), dir_, toy.units()).ok());
  const at::Tensor bias = toy.units()[0]->parameters()[1].value;
  EXPECT_EQ(bias.abs().sum().item<float>(), 0);
  EXPECT_GT(toy.units()[0]->parameters()[0].value.detach().abs().sum().item<float>(), 0);
}

TEST_F(NetworkFileTest, DescribesItself) {
  Write(1);
  const auto description = DescribeNetwork(*Env::Posix(), dir_);
  ASSERT_TRUE(description.ok()) << description.status();
  EXPECT_EQ(description->spec.name, "toy");
  EXPECT_EQ(*MetadataNumber(*description, "vocab_size"), 12);
  EXPECT_FALSE(MetadataNumber(*description, "kind").ok());
  EXPECT_FALSE(MetadataNumber(*description, "missing").ok());
}

TEST_F(NetworkFileTest, NamesTheTensorThatDoesNotFit) {
  Write(1);
  model::Unit other("other");
  other.Add("first.weight", {7, 6}, model::InitKind::kWeight);
  absl::Status status = ReadNetwork(*Env::Posix(), dir_, {&other});
  EXPECT_NE(MessageOf(status).find("first.weight is F32 [7, 5], expected F32 [7, 6]"),
            std::string::npos)
      << status;
  model::Unit fewer("fewer");
  fewer.Add("first.weight", {7, 5}, model::InitKind::kWeight);
  status = ReadNetwork(*Env::Posix(), dir_, {&fewer});
  EXPECT_NE(MessageOf(status).find("unexpected tensor"), std::string::npos) << status;
  model::Unit more("more");
  more.Add("third.weight", {1}, model::InitKind::kWeight);
  EXPECT_NE(MessageOf(ReadNetwork(*Env::Posix(), dir_, {&more})).find("third.weight"),
            std::string::npos);
}

TEST_F(NetworkFileTest, AnEmptyFolderIsAClearError) {
  const auto description = DescribeNetwork(*Env::Posix(), dir_);
  EXPECT_TRUE(absl::IsInvalidArgument(description.status())) << description.status();
}

}  // namespace
}  // namespace halcyon::worker
