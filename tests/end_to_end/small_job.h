// A job small enough to run to its end in seconds, with the real programs.
#ifndef HALCYON_TESTS_END_TO_END_SMALL_JOB_H_
#define HALCYON_TESTS_END_TO_END_SMALL_JOB_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cluster/process.h"

namespace halcyon {

struct RunResult {
  cluster::ExitStatus status;
  std::string output;  // stdout and stderr

  // The output without the line that says which artifacts are used.
  std::string OutputWithoutInputs() const;
};

// A folder with a corpus, a job file and a state folder. Removed at the end.
class SmallJob {
 public:
  explicit SmallJob(const std::string& name);
  ~SmallJob();

  // The job file's values by "section.key"; Write() puts them into job.toml.
  std::map<std::string, std::string>& values() { return values_; }
  void Write();

  // Runs `halcyon --home HOME ARGS...` to its end.
  RunResult Halcyon(const std::vector<std::string>& args,
                    const std::map<std::string, std::string>& env = {});
  // The same with a redirection of the shell: ">/dev/full", ">&-".
  RunResult HalcyonRedirected(const std::string& redirection, const std::vector<std::string>& args);
  // `halcyon run job.toml`.
  RunResult Run(const std::map<std::string, std::string>& env = {});
  // Starts the run and returns at once.
  std::unique_ptr<cluster::ChildProcess> Start(const std::map<std::string, std::string>& env = {});
  std::unique_ptr<cluster::ChildProcess> StartHalcyon(
      const std::vector<std::string>& args, const std::map<std::string, std::string>& env = {});

  // The only folder of artifacts of a stage; fails the test when there is not exactly one.
  std::string ArtifactOf(const std::string& stage);
  // SHA-256 of the stage's weights.
  std::string WeightsOf(const std::string& stage);
  nlohmann::json Status();

  const std::string& root() const { return root_; }
  // Deep, and with characters that a shell, TOML or a socket's address would trip over.
  std::string home() const { return root_ + kHome; }
  std::string job_file() const { return root_ + "/job.toml"; }

 private:
  static constexpr char kHome[] =
      "/a state folder, \xC3\xA9t\xC3\xA9 \"quoted\"/that lies deeper than the address of a local "
      "socket may be long/home";

  static RunResult Finish(const cluster::ProcessOptions& options);
  void WriteCorpus();
  cluster::ProcessOptions Command(const std::vector<std::string>& args,
                                  const std::map<std::string, std::string>& env);

  std::string root_;
  int outputs_ = 0;
  std::map<std::string, std::string> values_;
};

}  // namespace halcyon

#endif  // HALCYON_TESTS_END_TO_END_SMALL_JOB_H_
