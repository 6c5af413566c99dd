"""One training step of the two networks of bench/train_step_bench.cc in eager PyTorch.

    train_step.py llama|calm [--threads N] [--rounds N] [--steps N]

Started by torchrun, the ranks shard the network with FSDP2 over gloo. README.md beside this file
tells how to make the environment. Prints one line a round, seconds a step, and at the
end the peak of the first rank's memory.
"""

import argparse
import os
import resource
import time

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

BATCH, STEPS, VOCABULARY, CHUNK, LATENT = 4, 256, 8192, 4, 128
SAMPLES, DRAWS, NOISE = 8, 100, 64


class RmsNorm(nn.Module):
    """As the published model code has it: composed of elementary operations."""

    def __init__(self, width):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x):
        return self.weight * (x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6))


def rotary(x, cosine, sine):
    first, second = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-second, first), dim=-1) * sine


class Block(nn.Module):
    def __init__(self, width, intermediate, heads):
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = RmsNorm(width), RmsNorm(width)
        self.query, self.key, self.value, self.output = (
            nn.Linear(width, width, bias=False) for _ in range(4)
        )
        self.gate, self.up = (nn.Linear(width, intermediate, bias=False) for _ in range(2))
        self.down = nn.Linear(intermediate, width, bias=False)

    def forward(self, x, cosine, sine):
        batch, steps, width = x.shape
        normed = self.attention_norm(x)
        query, key, value = (
            layer(normed).view(batch, steps, self.heads, -1).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        mixed = F.scaled_dot_product_attention(
            rotary(query, cosine, sine), rotary(key, cosine, sine), value, is_causal=True
        )
        x = x + self.output(mixed.transpose(1, 2).reshape(batch, steps, width))
        normed = self.mlp_norm(x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


class Backbone(nn.Module):
    def __init__(self, width, intermediate, heads, layers):
        super().__init__()
        self.head_width = width // heads
        self.blocks = nn.ModuleList(Block(width, intermediate, heads) for _ in range(layers))
        self.norm = RmsNorm(width)

    def forward(self, x):
        half = self.head_width // 2
        frequency = 10000.0 ** (-torch.arange(half, dtype=torch.float32) / half)
        angle = torch.arange(x.shape[1], dtype=torch.float32)[:, None] * frequency
        angle = torch.cat((angle, angle), dim=-1)
        cosine, sine = angle.cos(), angle.sin()
        for block in self.blocks:
            x = block(x, cosine, sine)
        return self.norm(x)


class Llama(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, 512)
        self.backbone = Backbone(512, 1376, 8, 8)
        self.head = nn.Linear(512, VOCABULARY, bias=False)

    def forward(self, rows):
        tokens = torch.randint(VOCABULARY, (rows, STEPS))
        logits = self.head(self.backbone(self.embedding(tokens[:, :-1])))
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())


class GeneratorBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, 2 * width),
        )
        self.output = nn.Linear(width, width)

    def forward(self, x, condition):
        gate, value = self.mlp(torch.cat((self.norm(x), condition), dim=-1)).chunk(2, dim=-1)
        return x + self.output(F.silu(gate) * value)


class Generator(nn.Module):
    """The energy head as published: the condition is repeated for each of the samples."""

    def __init__(self, width, blocks):
        super().__init__()
        self.noise, self.condition = nn.Linear(NOISE, width), nn.Linear(width, width)
        self.noise_norm = nn.LayerNorm(width, eps=1e-6)
        self.condition_norm = nn.LayerNorm(width, eps=1e-6)
        self.blocks = nn.ModuleList(GeneratorBlock(width) for _ in range(blocks))
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.last = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, LATENT))

    def forward(self, hidden):
        noise = torch.rand(*hidden.shape[:-1], NOISE) - 0.5
        x = self.noise_norm(self.noise(noise))
        condition = self.condition_norm(self.condition(hidden))
        for block in self.blocks:
            x = block(x, condition)
        return self.last(self.norm(x))


def energy_loss(samples, mean, log_std):
    """[N, positions, latent] samples against M draws of the posterior, all pairs at once."""
    count = samples.shape[0]
    between = torch.norm(samples.unsqueeze(0) - samples.unsqueeze(1), dim=-1)
    spread = between.sum(dim=(0, 1)) / (count * (count - 1))
    draws = mean + torch.randn(DRAWS, *mean.shape) * torch.exp(log_std)
    target = torch.norm(samples.unsqueeze(0) - draws.unsqueeze(1), dim=-1).mean(dim=(0, 1))
    return (2 * target - spread).mean()


class Autoencoder(nn.Module):
    """The frozen encoder: the published step encodes its tokens anew each time."""

    def __init__(self, width=256, intermediate=640):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        self.norms = nn.ModuleList(RmsNorm(width) for _ in range(3))
        self.gates, self.ups = (
            nn.ModuleList(nn.Linear(width, intermediate, bias=False) for _ in range(2))
            for _ in range(2)
        )
        self.downs = nn.ModuleList(nn.Linear(intermediate, width, bias=False) for _ in range(2))
        self.squeeze = nn.Linear(CHUNK * width, width)
        self.posterior = nn.Linear(width, 2 * LATENT)

    def layer(self, i, x):
        normed = self.norms[i](x)
        return x + self.downs[i](F.silu(self.gates[i](normed)) * self.ups[i](normed))

    @torch.no_grad()
    def forward(self, tokens):
        x = self.layer(0, self.embedding(tokens)).flatten(-2)
        x = self.layer(1, self.squeeze(x))
        return self.posterior(self.norms[2](x)).chunk(2, dim=-1)


class Calm(nn.Module):
    def __init__(self, autoencoder):
        super().__init__()
        self.encode = autoencoder.forward  # not a submodule: it is frozen and not sharded
        self.embedding = nn.Embedding(VOCABULARY, 256)
        self.project = nn.Sequential(
            nn.Linear(CHUNK * 256, 512), nn.SiLU(), nn.Linear(512, 256),
            nn.LayerNorm(256, eps=1e-6),
        )
        self.backbone = Backbone(256, 704, 8, 4)
        self.generator = Generator(256, 1)

    def forward(self, rows):
        tokens = torch.randint(VOCABULARY, (rows, STEPS, CHUNK))
        mean, log_std = (part[:, 1:].flatten(0, 1) for part in self.encode(tokens))
        x = self.project(self.embedding(tokens[:, :-1]).flatten(-2))
        hidden = self.backbone(x).flatten(0, 1)
        samples = self.generator(hidden.unsqueeze(0).repeat(SAMPLES, 1, 1))
        return energy_loss(samples, mean, log_std)


def shard(model):
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh("cpu", (dist.get_world_size(),))
    for block in model.backbone.blocks:
        fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)


def peak_kib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=["llama", "calm"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    ranks = int(os.environ.get("WORLD_SIZE", "1"))
    if ranks > 1:
        dist.init_process_group("gloo")
    base_kib = peak_kib()
    model = Llama() if arguments.work == "llama" else Calm(Autoencoder())
    parameters = sum(p.numel() for p in model.parameters())
    if ranks > 1:
        shard(model)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=3e-4, betas=(0.9, 0.95), weight_decay=0.1,
        fused=ranks == 1, foreach=ranks > 1,
    )

    def step():
        loss = model(BATCH // ranks)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        return loss.item()

    speaks = ranks == 1 or dist.get_rank() == 0
    if speaks:
        print(f"{arguments.work}: {parameters} parameters, {ranks} ranks x {arguments.threads} "
              f"threads, torch {torch.__version__}")
    step()
    for _ in range(arguments.rounds):
        start, cpu = time.monotonic(), time.process_time()
        for _ in range(arguments.steps):
            loss = step()
        seconds = (time.monotonic() - start) / arguments.steps
        cpu = (time.process_time() - cpu) / arguments.steps
        if speaks:
            print(f"step {seconds:.3f} s, {cpu:.3f} s of CPU, loss {loss:.4f}", flush=True)
    if speaks:
        print(f"peak memory above that before the network: {(peak_kib() - base_kib) >> 10} MiB")
    if ranks > 1:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
