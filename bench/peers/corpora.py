#!/usr/bin/env python3
"""From a folder of JSON Lines files to tokens on disk: a job of Halcyon, datatrove and litdata side by side.

    corpora.py TOKENIZER_MODEL FOLDER [--workers N] [--without NAME ...] [--halcyon build/bin/halcyon] [--work DIR]

TOKENIZER_MODEL is Llama 3's file of ranks. Halcyon's job goes on to latents, of a small autoencoder that has been
trained for one step: their contents mean nothing, their making costs what it costs. The job is ended after them. The
peers use tokenizers, with the tokenizer.json that encoders.py makes of the ranks, on files that the workers share out.

Prints of each part: MB/s of text, processor time of all processes, the most memory that one process had, bytes on disk.
All that a peer does is in its time, so also loading the vocabulary and starting processes; Halcyon's stages begin with
agents that are there already, and load the vocabulary within the time of the tokens. The peers need
`pip install datatrove litdata tokenizers orjson`.
"""

import argparse
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from encoders import ranks_of, tokenizer_json

JOB = """
name = "corpora"
[data]
format = "jsonl"
heldout = 0.0005
sources = ["{folder}/*.jsonl"]
[tokenizer]
path = "{work}/tokenizer.json"
[autoencoder]
chunk_size = 4
latent_size = 32
hidden_size = 64
intermediate_size = 160
encoder_layers = 2
decoder_layers = 2
[autoencoder.train]
steps = 1
warmup_steps = 1
batch = 8
[model]
hidden_size = 32
intermediate_size = 64
layers = 1
attention_heads = 1
window_chunks = 64
[train]
steps = 1
warmup_steps = 1
batch = 1
[eval]
every = 0
final_windows = 1
[launch]
agents = {workers}
ranks = 1
threads = 1
"""


def with_end(model):
    """The same with the special token that ends a text, which a job needs."""
    flags = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True}
    model["added_tokens"].append({"id": len(model["model"]["vocab"]), "content": "<|end_of_text|>", **flags})
    return model


def datatrove(model, folder, out, workers):
    from datatrove.executor import LocalPipelineExecutor
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.tokens import DocumentTokenizer
    files = len(glob.glob(folder + "/*.jsonl"))
    LocalPipelineExecutor(
        pipeline=[JsonlReader(folder, glob_pattern="*.jsonl"),
                  DocumentTokenizer(output_folder=out, tokenizer_name_or_path=model, eos_token=None,
                                    shuffle_documents=False)],
        tasks=files, workers=workers, logging_dir=out + "/logs").run()


def ids_of_file(tokenizer, path):
    import numpy
    import torch
    with open(path) as lines:
        for line in lines:
            ids = tokenizer.encode(json.loads(line)["text"], add_special_tokens=False).ids
            yield torch.from_numpy(numpy.array(ids, dtype=numpy.int32))


class IdsOfFile:
    """Loads the vocabulary once a process."""

    def __init__(self, model):
        self.model, self.tokenizer = model, None

    def __call__(self, path):
        import tokenizers
        self.tokenizer = self.tokenizer or tokenizers.Tokenizer.from_file(self.model)
        yield from ids_of_file(self.tokenizer, path)

    def __getstate__(self):
        return {"model": self.model, "tokenizer": None}


def litdata(model, folder, out, workers):
    import litdata as library
    library.optimize(fn=IdsOfFile(model), inputs=sorted(glob.glob(folder + "/*.jsonl")), output_dir=out,
                     num_workers=workers, chunk_bytes="64MB", item_loader=library.TokensLoader())


PEERS = {"datatrove": datatrove, "litdata": litdata}


def descendants(pid):
    found, waiting = [], [pid]
    while waiting:
        for path in glob.glob("/proc/%d/task/*/children" % waiting.pop()):
            try:
                with open(path) as file:
                    children = [int(child) for child in file.read().split()]
            except OSError:
                continue
            found += children
            waiting += children
    return found


class Figures:
    """Of all processes that were seen: the largest peak of memory, and the processor time of all together."""

    def __init__(self):
        self.peak, self.processor = 0, {}

    def look(self, pid):
        try:
            with open("/proc/%d/status" % pid) as file:
                peaks = [int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM")]
            with open("/proc/%d/stat" % pid) as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return
        self.peak = max([self.peak, *peaks])
        self.processor[pid, fields[19]] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(command, finished=lambda figures: False):
    """Seconds on the clock, of processor, and the largest peak of a process. Ends it when `finished` says so."""
    environment = {**os.environ, "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    figures, start, ended = Figures(), time.monotonic(), False
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        while process.poll() is None:
            for pid in [process.pid, *descendants(process.pid)]:
                figures.look(pid)
            if not ended and finished(figures):
                ended = True
                process.terminate()
            time.sleep(0.1)
        seconds = time.monotonic() - start
        if process.returncode != 0 and not ended:
            errors.seek(0)
            sys.exit("%s ended with %d:\n%s" % (command[0], process.returncode, errors.read()[-3000:]))
    return seconds, sum(figures.processor.values()), figures.peak


def disk_bytes(folder):
    return sum(os.lstat(os.path.join(root, name)).st_size for root, _, names in os.walk(folder) for name in names)


def report(name, text_bytes, seconds, processor, peak, on_disk):
    figures = ["%.1f MB/s" % (text_bytes / seconds / 1e6), "%.1f s" % seconds]
    figures += ["%.1f s of processor" % processor] if processor else []
    figures += ["peak %.0f MB" % (peak / 1e6)] if peak else []
    print("%-18s %s, %.0f MB on disk" % (name, ", ".join(figures), on_disk / 1e6), flush=True)


class Stages:
    """Reports the stages of a job whose figures are wanted as they end; true when there are no more."""

    def __init__(self, work, text_bytes):
        self.work, self.text_bytes = work, text_bytes
        self.waited_for, self.processor_before, self.started = ["tokens", "latents"], None, None

    def __call__(self, figures):
        kind, processor = self.waited_for[0], sum(figures.processor.values())
        stage = self.stage(kind)
        if self.started != kind and stage.get("started_ms"):
            self.started, self.processor_before, figures.peak = kind, processor, 0
        if not stage.get("ended_ms"):
            return False
        report("halcyon " + kind, self.text_bytes, (stage["ended_ms"] - stage["started_ms"]) / 1000,
               processor - self.processor_before, figures.peak, disk_bytes("%s/home/artifacts/%s" % (self.work, kind)))
        self.waited_for.pop(0)
        return not self.waited_for

    def stage(self, kind):
        for path in glob.glob(self.work + "/home/jobs/*/status.json"):
            with open(path) as file:
                return next((stage for stage in json.load(file)["stages"] if stage["stage"] == kind), {})
        return {}


def halcyon(program, folder, work, workers, text_bytes):
    job = work + "/job.toml"
    with open(job, "w") as file:
        file.write(JOB.format(work=work, folder=folder, workers=workers))
    run([program, "--home", work + "/home", "run", "--quiet", job], Stages(work, text_bytes))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("folder")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--without", nargs="*", default=[])
    parser.add_argument("--halcyon", default="build/bin/halcyon")
    parser.add_argument("--work", help="a folder with room for the outputs")
    parser.add_argument("--peer", choices=PEERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peer:
        return PEERS[options.peer](options.model, options.folder, options.work, options.workers)
    folder = os.path.abspath(options.folder)
    text_bytes = disk_bytes(folder)
    with tempfile.TemporaryDirectory(dir=options.work) as work:
        tokenizer = work + "/tokenizer.json"
        with open(tokenizer, "w") as file:
            json.dump(with_end(tokenizer_json(ranks_of(options.model))), file)
        if "halcyon" not in options.without:
            halcyon(os.path.abspath(options.halcyon), folder, work, options.workers, text_bytes)
            shutil.rmtree(work + "/home", ignore_errors=True)
        for name in PEERS:
            if name in options.without:
                continue
            out = work + "/" + name
            figures = run([sys.executable, os.path.abspath(__file__), tokenizer, folder, "--peer", name, "--work", out,
                           "--workers", str(options.workers)])
            report(name, text_bytes, *figures, disk_bytes(out))


if __name__ == "__main__":
    main()
