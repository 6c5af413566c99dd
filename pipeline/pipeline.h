// From text files to training samples: bytes, ids and spans, no tensors.
//
//   sources/shard_plan.h       the sources cut into shards of whole documents
//   sources/document_reader.h  the documents of a range; bad UTF-8 repaired or refused
//   sources/json_lines.h       the text of a line of JSON
//   sources/heldout_split.h    which documents are never trained on
//   token_files/               ids that other programs made
//   tokenizer.h                tokenizers: files, encoding, decoding, training (parts: tokenizer/)
//   samples/packing.h          the documents of the token cache as one stream of chunks of K tokens
//   samples/sample_order.h     the order of the windows: a permutation with random access
//   samples/window_loader.h    a window's tokens and posteriors
//   npy.h                      ids as NumPy files
//
// A shard's tokens and a chunk's place depend on the source's bytes and on the job's settings
// alone, never on how many processes work, so that shards can be made anywhere and made again.
//
// Threads: plans, tokenizers, packings and loaders are immutable and thread-safe; an Encoder and a
// BpeTrainer belong to one thread each.
//
// Failures: kInvalidArgument is bad input and names file and place; kFailedPrecondition means that
// a source changed while the job ran or that caches do not belong together.
//
// PCRE2's, simdjson's and nlohmann-json's headers appear in .cc files only (json_fwd.hpp aside).
#ifndef HALCYON_PIPELINE_PIPELINE_H_
#define HALCYON_PIPELINE_PIPELINE_H_

#include "pipeline/npy.h"
#include "pipeline/samples/packing.h"
#include "pipeline/samples/sample_order.h"
#include "pipeline/samples/window_loader.h"
#include "pipeline/sources/document_reader.h"
#include "pipeline/sources/heldout_split.h"
#include "pipeline/sources/shard_plan.h"
#include "pipeline/tokenizer.h"

#endif  // HALCYON_PIPELINE_PIPELINE_H_
