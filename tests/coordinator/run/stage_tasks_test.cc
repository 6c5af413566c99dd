#include "coordinator/run/stage_tasks.h"

#include <gtest/gtest.h>

namespace halcyon::coordinator {
namespace {

const nlohmann::json kNested = {{"shard", {{"path", "/a \"b\".txt"}, {"end", 1ull << 63}}}};

TEST(StageTasksTest, GivesBackWhatWasAdded) {
  StageTasks tasks;
  EXPECT_EQ(tasks.size(), 0u);
  tasks.Add("tokens/0", kNested);
  tasks.Add("", nlohmann::json());
  tasks.Add("tokens/2", {{"shard", 2}});
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(tasks.name(0), "tokens/0");
  EXPECT_EQ(tasks.parameters(0), kNested);
  EXPECT_EQ(tasks.name(1), "");
  EXPECT_EQ(tasks.parameters(1), nlohmann::json());
  EXPECT_EQ(tasks.name(2), "tokens/2");
  EXPECT_EQ(tasks.parameters(2).at("shard"), 2);
}

TEST(StageTasksTest, WhatIsAddedToACopyIsNotInTheOther) {
  StageTasks tasks;
  tasks.Add("a", {});
  StageTasks copy = tasks;
  copy.Add("b", {});
  tasks.Add("c", {});
  ASSERT_EQ(tasks.size(), 2u);
  ASSERT_EQ(copy.size(), 2u);
  EXPECT_EQ(tasks.name(1), "c");
  EXPECT_EQ(copy.name(1), "b");
}

}  // namespace
}  // namespace halcyon::coordinator
