// examples/kubeflow.yaml as far as a YAML parser and the reader of job files go. No Kubernetes has
// seen it.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <map>
#include <string>
#include <vector>

#include "jobs/job_spec.h"

namespace halcyon {
namespace {

std::string ValueOf(const YAML::Node& container, const std::string& variable) {
  for (const YAML::Node& one : container["env"]) {
    if (one["name"].as<std::string>() == variable) return one["value"].as<std::string>();
  }
  return "";
}

std::vector<std::string> CommandOf(const YAML::Node& container) {
  return container["command"].as<std::vector<std::string>>();
}

class KubeflowTest : public ::testing::Test {
 protected:
  KubeflowTest() {
    for (const YAML::Node& document :
         YAML::LoadAllFromFile(std::string(HALCYON_SOURCE_DIR) + "/examples/kubeflow.yaml")) {
      by_kind_[document["kind"].as<std::string>()].reset(document);
    }
  }
  YAML::Node Pod(const std::string& replica) {
    return by_kind_.at("PyTorchJob")["spec"]["pytorchReplicaSpecs"][replica]["template"]["spec"];
  }
  int Replicas(const std::string& replica) {
    return by_kind_.at("PyTorchJob")["spec"]["pytorchReplicaSpecs"][replica]["replicas"].as<int>();
  }

  std::map<std::string, YAML::Node> by_kind_;
};

TEST_F(KubeflowTest, TheJobHasARankForEachPod) {
  const auto toml = by_kind_.at("ConfigMap")["data"]["job.toml"].as<std::string>();
  const auto spec = jobs::ParseJobSpec(toml, "job.toml", "/job", /*check_files=*/false);
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->launch.placement.launcher, jobs::LauncherKind::kExternal);
  EXPECT_EQ(spec->launch.ranks, Replicas("Master") + Replicas("Worker"));
  EXPECT_EQ(Replicas("Master"), 1);
}

TEST_F(KubeflowTest, EachPodHasAMemberAndTheMastersACoordinator) {
  for (const char* replica : {"Master", "Worker"}) {
    const YAML::Node containers = Pod(replica)["containers"];
    ASSERT_EQ(containers.size(), std::string(replica) == "Master" ? 2u : 1u);
    const YAML::Node member = containers[0];
    EXPECT_EQ(member["name"].as<std::string>(), "pytorch");
    EXPECT_EQ(CommandOf(member)[1], "member");
    EXPECT_EQ(ValueOf(member, "LOCAL_RANK"), "0");
    const int grace_s = Pod(replica)["terminationGracePeriodSeconds"].as<int>();
    EXPECT_LT(std::stoi(CommandOf(member).back()), grace_s);
  }
  EXPECT_EQ(CommandOf(Pod("Master")["containers"][1])[1], "run");
}

TEST_F(KubeflowTest, AllContainersSeeOneStateFolderAndOneJobFileAsOneUser) {
  const auto claim = by_kind_.at("PersistentVolumeClaim");
  EXPECT_EQ(claim["spec"]["accessModes"][0].as<std::string>(), "ReadWriteMany");
  for (const char* replica : {"Master", "Worker"}) {
    EXPECT_EQ(Pod(replica)["securityContext"]["runAsUser"].as<int>(), 1000);
    EXPECT_EQ(Pod(replica)["volumes"][0]["persistentVolumeClaim"]["claimName"].as<std::string>(),
              claim["metadata"]["name"].as<std::string>());
    EXPECT_EQ(Pod(replica)["volumes"][1]["configMap"]["name"].as<std::string>(),
              by_kind_.at("ConfigMap")["metadata"]["name"].as<std::string>());
    for (const YAML::Node& container : Pod(replica)["containers"]) {
      EXPECT_TRUE(ValueOf(container, "HALCYON_HOME")
                      .starts_with(container["volumeMounts"][0]["mountPath"].as<std::string>()));
      const std::string folder = container["volumeMounts"][1]["mountPath"].as<std::string>();
      bool names_the_job = false;
      for (const std::string& word : CommandOf(container)) {
        names_the_job = names_the_job || word == folder + "/job.toml";
      }
      EXPECT_TRUE(names_the_job);
    }
  }
}

}  // namespace
}  // namespace halcyon
