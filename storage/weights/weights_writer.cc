#include "storage/weights/weights_writer.h"

namespace halcyon::storage {

absl::Status WriteWeights(Env& env, const std::string& dir, const WeightsLayout& layout,
                          const std::map<std::string, std::string>& metadata,
                          const TensorSource& source) {
  for (const WeightsLayout::File& file : layout.files) {
    ASSIGN_OR_RETURN(const auto writer, SafetensorsWriter::Create(env, JoinPath(dir, file.name),
                                                                  file.tensors, metadata));
    for (const TensorInfo& tensor : file.tensors) {
      ASSIGN_OR_RETURN(const std::string_view bytes, source(tensor));
      RETURN_IF_ERROR(writer->Append(bytes));
    }
    RETURN_IF_ERROR(writer->Finish().status());
  }
  return WriteWeightsIndex(env, dir, layout);
}

absl::Status WriteWeightsIndex(Env& env, const std::string& dir, const WeightsLayout& layout) {
  if (layout.files.size() == 1) return absl::OkStatus();
  return WriteFileAtomically(env, JoinPath(dir, kWeightsIndexFile), WeightsIndexText(layout));
}

}  // namespace halcyon::storage
