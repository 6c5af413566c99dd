// What PCRE2 takes a Unicode property for. Internal to pipeline/.
#ifndef HALCYON_PIPELINE_TOKENIZER_PCRE2_PROPERTY_H_
#define HALCYON_PIPELINE_TOKENIZER_PCRE2_PROPERTY_H_

#include <string_view>

#include "pipeline/tokenizer/unicode/code_point_set.h"

namespace halcyon::pipeline {

// The code points that the linked PCRE2 matches by \p{`name`}. REQUIRES: it knows the property.
CodePointSet Pcre2Property(std::string_view name);

}  // namespace halcyon::pipeline

#endif  // HALCYON_PIPELINE_TOKENIZER_PCRE2_PROPERTY_H_
