#!/usr/bin/env python3
"""Prints which share of the chunks of a text is distinct, within each shard and in all.

    distinct_chunks.py DIR [--chunk-size 4] [--shard-tokens 1000000]

DIR holds train_tokens.npy and train_lengths.npy, as `halcyon cache export` writes them. A document is closed by an
end-of-text token and padded to whole chunks, as Halcyon packs it (pipeline/samples/packing.h).
"""

import argparse

import numpy as np


def chunks_of(tokens, lengths, size):
    """uint32 [chunks, size] of these documents; end-of-text and padding are numbers that no token has."""
    end, pad = 2**32 - 1, 2**32 - 2
    padded = (lengths // size + 1) * size
    starts, into = np.cumsum(lengths) - lengths, np.cumsum(padded) - padded
    out = np.full(padded.sum(), pad, np.uint32)
    out[np.repeat(into - starts, lengths) + np.arange(lengths.sum())] = tokens
    out[into + lengths] = end
    return out.reshape(-1, size)


def distinct(chunks):
    return len(np.unique(chunks.view("V%d" % (4 * chunks.shape[1]))))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("dir")
    parser.add_argument("--chunk-size", type=int, default=4)
    parser.add_argument("--shard-tokens", type=int, default=1000000)
    args = parser.parse_args()
    tokens = np.load(args.dir + "/train_tokens.npy", mmap_mode="r")
    lengths = np.load(args.dir + "/train_lengths.npy").astype(np.int64)
    ends = np.cumsum(lengths)
    shares, all_chunks, first = [], [], 0
    while first < len(lengths):
        begin = ends[first] - lengths[first]
        last = max(first + 1, int(np.searchsorted(ends, begin + args.shard_tokens, side="right")))
        part = chunks_of(tokens[begin : ends[last - 1]], lengths[first:last], args.chunk_size)
        all_chunks.append(part)
        if ends[last - 1] - begin >= args.shard_tokens * 9 // 10:  # leaves out a short last one
            shares.append(distinct(part) / len(part))
        first = last
    every = np.concatenate(all_chunks)
    print("%d tokens, %d documents, %d chunks" % (len(tokens), len(lengths), len(every)))
    if shares:
        print("distinct within a shard: %.1f %% (%.1f to %.1f, %d shards)"
              % (100 * np.mean(shares), 100 * min(shares), 100 * max(shares), len(shares)))
    print("distinct in all: %.1f %%" % (100 * distinct(every) / len(every)))


main()
