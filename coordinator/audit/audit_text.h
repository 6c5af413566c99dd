// An audit (audit.h) as text and as JSON. Pure.
#ifndef HALCYON_COORDINATOR_AUDIT_AUDIT_TEXT_H_
#define HALCYON_COORDINATOR_AUDIT_AUDIT_TEXT_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "coordinator/audit/audit.h"
#include "coordinator/audit/training_text.h"

namespace halcyon::coordinator {

// What is audited: a stage of a job.
struct AuditSubject {
  std::string stage;  // "model"
  jobs::StageKind kind{};
  bool finished = false;
  uint64_t batch = 0;
  bool with_text = false;  // the text was read, and compared
};

// "holds", "unrecorded", "fails".
std::string AuditVerdictName(AuditVerdict verdict);

// Some lines, the verdict first.
std::string AuditText(const AuditSubject& subject, const AuditReport& report);
nlohmann::json ToJson(const AuditSubject& subject, const AuditReport& report);

// A sample of one step.
struct ListedSample {
  uint64_t sample = 0, item = 0;
  ItemPlace place = {};
};
std::string SamplesText(const AuditSubject& subject, const std::vector<ListedSample>& samples);
nlohmann::json ToJson(const AuditSubject& subject, const std::vector<ListedSample>& samples);

}  // namespace halcyon::coordinator

#endif  // HALCYON_COORDINATOR_AUDIT_AUDIT_TEXT_H_
