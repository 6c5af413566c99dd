// A state folder with jobs, artifacts and work folders, as runs leave them.
#ifndef HALCYON_TESTS_COORDINATOR_STAGES_IN_HOME_H_
#define HALCYON_TESTS_COORDINATOR_STAGES_IN_HOME_H_

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/env.h"
#include "coordinator/job_status.h"
#include "coordinator/stages/artifact_store.h"
#include "coordinator/work/work_record.h"
#include "storage/job_journal.h"
#include "tests/coordinator/whole_graph.h"
#include "tests/testing/temp_dir.h"

namespace halcyon::coordinator {

class StagesInHomeTest : public ::testing::Test {
 protected:
  StagesInHomeTest() : home_(*storage::OpenHome(dir_.Path("home"))) {}
  // Puts an artifact in place as a run does; returns its fingerprint.
  std::string Install(jobs::StageKind kind, const std::string& job_id, const std::string& contents,
                      int64_t created_ms = 0, const std::string& made_from = "") {
    const std::string made = dir_.Path("made");
    EXPECT_TRUE(env_.CreateDirs(made).ok());
    EXPECT_TRUE(WriteFileAtomically(env_, JoinPath(made, "made.txt"), contents).ok());
    Artifact artifact;
    artifact.record.kind = kind;
    artifact.record.fields = {{"setting", contents}};
    if (!made_from.empty()) {
      artifact.record.fields.push_back({"input.any", "digest of " + made_from});
    }
    artifact.record.fingerprint = jobs::StageIdentity{kind, artifact.record.fields}.Fingerprint();
    artifact.record.content_digest = "digest of " + contents;
    artifact.record.job_id = job_id;
    artifact.record.created_ms = created_ms;
    EXPECT_TRUE(ArtifactStore(env_, home_).Install(artifact, made).ok());
    return artifact.record.fingerprint;
  }
  void AddJob(const std::string& id, const std::map<jobs::StageKind, std::string>& stages) {
    storage::JobRecord record;
    record.job_id = id;
    JobStatus status = NewJobStatus(id, id, WholeGraph());
    for (const auto& [kind, fingerprint] : stages) {
      record.stages.push_back({kind, jobs::StageState::kDone, fingerprint, ""});
      status.Stage(kind).fingerprint = fingerprint;
    }
    std::vector<std::string> notes;
    const auto journal = storage::JobJournal::Begin(env_, home_.Journal(id), 1, &notes);
    ASSERT_TRUE(journal.ok() && (*journal)->PutJob(record).ok());
    ASSERT_TRUE(WriteJobStatus(env_, home_, status).ok());
  }
  // A work folder with `bytes` bytes in it.
  std::string AddWork(jobs::StageKind kind, const std::string& setting, const std::string& job_id,
                      size_t bytes) {
    WorkRecord record;
    record.identity = {kind, {{"setting", setting}}};
    record.job_id = job_id;
    const std::string path =
        home_.Work(std::string(jobs::StageName(kind)), record.identity.Fingerprint());
    EXPECT_TRUE(env_.CreateDirs(path).ok());
    EXPECT_TRUE(WriteWorkRecord(env_, path, record).ok());
    EXPECT_TRUE(WriteFileAtomically(env_, JoinPath(path, "big"), std::string(bytes, 'x')).ok());
    return path;
  }
  std::string PathOf(jobs::StageKind kind, const std::string& fingerprint) {
    return home_.Artifact(std::string(jobs::StageName(kind)), fingerprint);
  }

  testing::TempDir dir_;
  Env& env_ = *Env::Posix();
  storage::HomeLayout home_;
  SimulatedClock clock_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_TESTS_COORDINATOR_STAGES_IN_HOME_H_
