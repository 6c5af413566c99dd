#include "cluster/restatement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace halcyon::cluster {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const Hello kAgent{"agent", "", 0, 12, 34, "boot"};
const Hello kRank{"rank", "", 1, 12, 34, "boot"};
StageAssignment Tokens() {
  StageAssignment assignment;
  assignment.stage = "tokens";
  assignment.fingerprint = "f00";
  return assignment;
}
const Lease kLease{"tokens/3", 17, Tokens(), {}};
const TaskDone kDone{"tokens/3", 17, {{"rows", 4}}};

Hello HelloWith(const Lease& lease) {
  Hello hello = kAgent;
  hello.stage = lease.assignment.stage;
  hello.fingerprint = lease.assignment.fingerprint;
  hello.task = lease.task;
  hello.fence = lease.fence;
  return hello;
}

TEST(Restatement, OfAWorkerThatHasSaidNothingIsNothing) {
  EXPECT_THAT(Restatement().Compose({}), IsEmpty());
}

TEST(Restatement, OfAnIdleAgentIsThatItIsReady) {
  Restatement restatement;
  restatement.OnSent(kAgent);
  EXPECT_THAT(restatement.Compose({kAgent}), ElementsAre(Body(kAgent)));
  restatement.OnSent(Ready{});
  restatement.OnReceived(Welcome{});
  EXPECT_THAT(restatement.Compose({}), ElementsAre(Body(kAgent), Body(Ready{})));
  EXPECT_THAT(restatement.Compose({kAgent, Ready{}}), ElementsAre(Body(kAgent), Body(Ready{})))
      << "once, whether or not the last coordinator has it";
}

TEST(Restatement, OfAnAgentAtWorkNamesItsLease) {
  Restatement restatement;
  restatement.OnSent(kAgent);
  restatement.OnSent(Ready{});
  restatement.OnReceived(kLease);
  restatement.OnSent(TaskProgress{"tokens/3", 17, 0.5});
  EXPECT_THAT(restatement.Compose({TaskProgress{"tokens/3", 17, 0.5}}),
              ElementsAre(Body(HelloWith(kLease))))
      << "progress is not repeated";
}

TEST(Restatement, RepeatsTheLastResultWhetherOrNotACoordinatorHasReceivedIt) {
  Restatement restatement;
  restatement.OnSent(kAgent);
  restatement.OnReceived(kLease);
  restatement.OnSent(kDone);
  restatement.OnSent(Ready{17});
  EXPECT_THAT(restatement.Compose({kDone, Ready{17}}),
              ElementsAre(Body(HelloWith(kLease)), Body(kDone), Body(Ready{17})));
  EXPECT_THAT(restatement.Compose({}),
              ElementsAre(Body(HelloWith(kLease)), Body(kDone), Body(Ready{17})))
      << "the coordinator that received it may not have committed it";
}

TEST(Restatement, RepeatsAFailureOnlyWhenNoCoordinatorHasReceivedIt) {
  Restatement restatement;
  restatement.OnSent(kAgent);
  restatement.OnReceived(kLease);
  const TaskFailed failed{"tokens/3", 17, 13, "no"};
  restatement.OnSent(failed);
  restatement.OnSent(Ready{17});
  EXPECT_THAT(restatement.Compose({failed, Ready{17}}),
              ElementsAre(Body(HelloWith(kLease)), Body(failed), Body(Ready{17})));
  EXPECT_THAT(restatement.Compose({}), ElementsAre(Body(kAgent), Body(Ready{17})));
}

TEST(Restatement, OfTheNextLeaseLeavesTheLastOneBehind) {
  Restatement restatement;
  restatement.OnSent(kAgent);
  restatement.OnReceived(kLease);
  restatement.OnSent(TaskFailed{"tokens/3", 17, 13, "no"});
  restatement.OnSent(Ready{17});
  Lease next = kLease;
  next.task = "tokens/4";
  next.fence = 20;
  restatement.OnReceived(next);
  EXPECT_THAT(restatement.Compose({}), ElementsAre(Body(HelloWith(next))));
}

TEST(Restatement, OfARankNamesItsStageAndLaunch) {
  Restatement restatement;
  restatement.OnSent(kRank);
  StageAssignment assignment;
  assignment.stage = "model";
  assignment.fingerprint = "b00";
  assignment.claim = 3;
  assignment.launch = 2;
  restatement.OnReceived(Welcome{assignment});
  Hello expected = kRank;
  expected.stage = "model";
  expected.fingerprint = "b00";
  expected.claim = 3;
  expected.launch = 2;
  const RankEnded ended{"model", 1, 0, "", {}};
  EXPECT_THAT(restatement.Compose({TrainProgress{"model", 5, 9, {}}, ended}),
              ElementsAre(Body(expected), Body(ended)));
}

}  // namespace
}  // namespace halcyon::cluster
