// Runs a test's code in a process of its own, which may be killed at a fault point.
#ifndef HALCYON_TESTS_STORAGE_IN_CHILD_H_
#define HALCYON_TESTS_STORAGE_IN_CHILD_H_

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

namespace halcyon::storage {

// A process of its own, in which nothing has happened before.
struct Child {
  bool killed = false;
  std::string said;  // "" for good
};
inline Child InChild(const std::function<std::string()>& run, const char* variable = nullptr,
                     const std::string& value = "") {
  int ends[2];
  if (pipe(ends) != 0) return {.said = "no pipe"};
  const pid_t pid = fork();
  if (pid == 0) {
    if (variable != nullptr) setenv(variable, value.c_str(), 1);
    const std::string said = run();
    const ssize_t written = write(ends[1], said.data(), said.size());
    _exit(written == static_cast<ssize_t>(said.size()) ? 0 : 1);
  }
  close(ends[1]);
  Child child;
  char buffer[4096];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof(buffer))) > 0;) {
    child.said.append(buffer, static_cast<size_t>(got));
  }
  close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  child.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  if (!child.killed && (!WIFEXITED(status) || WEXITSTATUS(status) != 0)) child.said += " (died)";
  return child;
}

}  // namespace halcyon::storage

#endif  // HALCYON_TESTS_STORAGE_IN_CHILD_H_
