// What Halcyon keeps on disk.
//
//   home.h          the state folder: its format, and the paths in it
//   lease.h         what one process at a time may own: a job, a stage that is being made
//   artifact.h      finished artifacts: what they are, what from, and their checksums;
//                   artifact_reader.h opens one, artifact_scan.h looks over all
//   job_journal.h   what must outlive a job's coordinator
//   source_digests.h  the remembered digests of source files
//   page_cache.h    data sets made of pages: written by workers shard by shard, taken in by one
//                   owner, published as immutable generations, read by any number of ranks
//   token_cache.h   documents of token ids in such a data set
//   latent_cache.h  the autoencoder's posteriors in such a data set
//   checkpoint.h    training state: shards a rank, one commit for everything
//   weights/        safetensors.h, the file format of a checkpoint's shards and of finished
//   weights;
//                   weights_folder.h reads weights in one or several files, weights_writer.h
//                   writes them
//
// Life of a stage's data: a worker writes an SST under HOME/work; the coordinator ingests it, which
// is the commit; when all shards are in it publishes the generation under HOME/artifacts. What is
// done is read from the cache itself, and what is made from HOME/artifacts.
//
// Threads: readers are thread-safe, writers and owners belong to one thread each. Only the holder
// of a job's lease writes its journal, and only the holder of a stage's claim opens its building
// database.
//
// Failures: kDataLoss means that bytes differ from those written (rebuild, or fall back to an older
// checkpoint) and never that they could not be read, kResourceExhausted that the disk is full
// (nothing half-written counts as done), kAborted that another process has the work by now,
// kFailedPrecondition that the file is of another data set or a newer format. Published generations
// and committed checkpoints never change.
//
// RocksDB's headers appear in .cc files only; tensors appear nowhere, just bytes and shapes.
#ifndef HALCYON_STORAGE_STORAGE_H_
#define HALCYON_STORAGE_STORAGE_H_

#include "storage/artifact.h"
#include "storage/artifact_reader.h"
#include "storage/artifact_scan.h"
#include "storage/checkpoint.h"
#include "storage/home.h"
#include "storage/job_journal.h"
#include "storage/latent_cache.h"
#include "storage/lease.h"
#include "storage/page_cache.h"
#include "storage/source_digests.h"
#include "storage/token_cache.h"
#include "storage/weights/safetensors.h"

#endif  // HALCYON_STORAGE_STORAGE_H_
