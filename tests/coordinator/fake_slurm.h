// Slurm's commands as small scripts in a folder, which note how they were called.
#ifndef HALCYON_TESTS_COORDINATOR_FAKE_SLURM_H_
#define HALCYON_TESTS_COORDINATOR_FAKE_SLURM_H_

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "base/env.h"

namespace halcyon::coordinator {

class FakeSlurm {
 public:
  explicit FakeSlurm(const std::string& folder) : folder_(folder) {
    EXPECT_TRUE(env_.CreateDirs(folder).ok());
    // The ids are 1, 2, ...
    Command("sbatch", "echo x >>ids; echo $(wc -l <ids)");
    Command("squeue", "cat queue");
    Command("scontrol", "exit 0");
    Command("scancel", "exit 0");
    SetQueue(R"({"jobs": []})");
  }

  const std::string& folder() const { return folder_; }
  // What `squeue --json` prints.
  void SetQueue(const std::string& json) { Write("queue", json); }
  // From here on the command fails with these words.
  void Refuse(const std::string& command, const std::string& words) {
    Command(command, "echo '" + words + "' >&2; exit 1");
  }
  // The commands that were called, but for squeue, a line each, with their words.
  std::string Calls() { return env_.ReadFile(JoinPath(folder_, "calls")).value_or(""); }

 private:
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(WriteFileAtomically(env_, JoinPath(folder_, name), text).ok());
  }
  void Command(const std::string& name, const std::string& body) {
    const std::string note = name == "squeue" ? "" : "echo " + name + " \"$@\" >>calls\n";
    Write(name, "#!/bin/sh\ncd \"$(dirname \"$0\")\"\n" + note + body + "\n");
    ASSERT_EQ(chmod(JoinPath(folder_, name).c_str(), 0755), 0);
  }

  Env& env_ = *Env::Posix();
  const std::string folder_;
};

}  // namespace halcyon::coordinator

#endif  // HALCYON_TESTS_COORDINATOR_FAKE_SLURM_H_
