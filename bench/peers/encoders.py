#!/usr/bin/env python3
"""From a JSON Lines file to a file of ids: Halcyon, tiktoken, tokenizers and gigatoken side by side, on one thread.

    encoders.py TOKENIZER_MODEL [FILE.jsonl] [--rounds N] [--without hf]... [--bench build/bin/tokenizer_bench]

TOKENIZER_MODEL is Llama 3's file of ranks; tokenizers (hf) and gigatoken get a tokenizer.json made from it, as
transformers makes it. gigatoken reads the JSON Lines itself, as Halcyon does; the others get Python's strings.
Without a file the texts are hard ones: runs of one letter, of spaces, of digits, random characters, one long word.
Encoders take turns. Of each the least processor time of its rounds counts (other work on the machine inflates it less
than the time on the clock), reading the file, JSON and writing the ids included, loading the vocabulary not.
Ends with an error where Halcyon's ids are not tiktoken's.
"""

import argparse
import base64
import hashlib
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time

PATTERN = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
           r"|\s+(?!\S)|\s+")


def ranks_of(path):
    with open(path, "rb") as file:
        return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in file if line.strip())}


def tokenizer_json(ranks):
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in plain]
    spelling = {**{b: chr(b) for b in plain}, **{b: chr(256 + i) for i, b in enumerate(others)}}

    def spell(token):
        return "".join(spelling[b] for b in token)

    merges = []
    for token in sorted(ranks, key=ranks.get):
        cuts = [(token[:i], token[i:]) for i in range(1, len(token)) if token[:i] in ranks and token[i:] in ranks]
        merges += sorted(cuts, key=lambda cut: (ranks[cut[0]], ranks[cut[1]]))
    return {"version": "1.0", "added_tokens": [], "normalizer": None, "post_processor": None, "decoder": None,
            "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
            "model": {"type": "BPE", "ignore_merges": True, "vocab": {spell(t): r for t, r in ranks.items()},
                      "merges": [[spell(a), spell(b)] for a, b in merges]}}


def encoder(name, model):
    """A function from a text to an object that numpy takes for the ids."""
    if name == "tiktoken":
        import tiktoken
        return tiktoken.Encoding("x", pat_str=PATTERN, mergeable_ranks=ranks_of(model),
                                 special_tokens={}).encode_ordinary
    import tokenizers
    tokenizer = tokenizers.Tokenizer.from_file(model)
    return lambda text: tokenizer.encode(text, add_special_tokens=False).ids


def run_peer(name, model, path, out):
    if name == "gigatoken":
        return run_gigatoken(model, path, out)
    import numpy
    encode = encoder(name, model)
    wall, processor = time.perf_counter(), time.process_time()
    with open(path) as file, open(out, "wb") as ids:
        for line in file:
            ids.write(numpy.array(encode(json.loads(line)["text"]), dtype=numpy.uint32).tobytes())
    report(wall, processor)


def run_gigatoken(model, path, out):
    import awkward
    import gigatoken
    import numpy
    tokenizer = gigatoken.Tokenizer(model)
    wall, processor = time.perf_counter(), time.process_time()
    ids = tokenizer.encode_files(gigatoken.JsonlFileSource([path], field="text"), parallel=False)
    numpy.asarray(awkward.flatten(ids)).astype(numpy.uint32, copy=False).tofile(out)
    report(wall, processor)


def report(wall, processor):
    print("%f %f" % (time.perf_counter() - wall, time.process_time() - processor))


def run(name, options, path, out):
    """Seconds on the clock and of the processor."""
    if name == "halcyon":
        command = [options.bench, options.model, path, out, "--pattern", "llama3", "--rounds", "1"]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        return [float(x) for x in re.search(r"([\d.]+) s, processor ([\d.]+) s", text).groups()]
    model = options.model if name == "tiktoken" else options.json
    command = [sys.executable, __file__, "--peer", name, model, path, out]
    environment = {**os.environ, "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    return [float(x) for x in subprocess.run(command, check=True, capture_output=True, text=True,
                                             env=environment).stdout.split()]


def compare(title, path, options):
    with open(path) as file:
        size = sum(len(json.loads(line)["text"].encode()) for line in file)
    names = [name for name in ("halcyon", "tiktoken", "hf", "gigatoken") if name not in options.without]
    seconds = {name: [] for name in names}
    digests = {}
    with tempfile.NamedTemporaryFile() as out:
        for _ in range(options.rounds):
            for name in names:
                seconds[name].append(run(name, options, path, out.name))
                with open(out.name, "rb") as file:
                    digests[name] = hashlib.sha256(file.read()).hexdigest()
    for name in names:
        wall, processor = (min(column) for column in zip(*seconds[name]))
        ours = min(processor for _, processor in seconds["halcyon"])
        print("%-16s %-9s %8.2f MB/s, processor %8.2f MB/s, Halcyon is %6.2f times as fast, ids %s" % (
            title, name, size / 1e6 / wall, size / 1e6 / processor, processor / ours,
            "equal" if digests[name] == digests["halcyon"] else "differ"), flush=True)
    return digests["halcyon"] == digests["tiktoken"]


def hard_texts():
    """Documents of 50,000 characters: tiktoken fails at runs of a million spaces."""
    rng = random.Random(1)
    points = [c for c in range(0x20, 0x30000) if not 0xD800 <= c < 0xE000]
    letters = "abcdefghijklmnopqrstuvwxyz"
    size = 50000
    yield "one letter", lambda: "a" * size
    yield "spaces", lambda: " " * size
    yield "digits", lambda: "".join(rng.choice("0123456789") for _ in range(size))
    yield "random bytes", lambda: rng.randbytes(size).decode(errors="replace")
    yield "random points", lambda: "".join(chr(rng.choice(points)) for _ in range(size))
    yield "one long word", lambda: "".join(rng.choice(letters) for _ in range(size))
    yield "other letters", lambda: "".join(chr(rng.randrange(0x430, 0x450)) for _ in range(size))


def main():
    if sys.argv[1:2] == ["--peer"]:
        return run_peer(*sys.argv[2:])
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("file", nargs="?")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--bench", default="build/bin/tokenizer_bench")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.json = os.path.join(folder, "tokenizer.json")
        if not {"hf", "gigatoken"} <= set(options.without):
            with open(options.json, "w") as file:
                json.dump(tokenizer_json(ranks_of(options.model)), file)
        if options.file:
            return 0 if compare("", options.file, options) else 1
        equal = True
        for title, make in hard_texts():
            path = os.path.join(folder, "text.jsonl")
            with open(path, "w") as file:
                for _ in range(20):
                    file.write(json.dumps({"text": make()}, ensure_ascii=False) + "\n")
            equal &= compare(title, path, options)
        return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
