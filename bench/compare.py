#!/usr/bin/env python3
"""Compares the picture engine with its peers at the same work in the same run, and prints the table of figures.

    python3 bench/compare.py CORPUS [--cloakroom target/release/cloakroom] [--stages target/release/examples/stages]
                             [--simd PYTHON] [--rounds 3] [--repeat 5] [--turns 7] [--classes phone,medium,…]

Every peer is one process that handles all files, one at a time. It reports the CPU time (user and system) of its
quickest of `repeat` turns, from the bytes in memory to the four encoded sizes. In every round the peers take turns on
each file, in another order each time, so that other load on the machine affects all of them. The compared time of a
class is the sum, over its files, of the median over the rounds.

Quality is measured on the outputs as they would be served, each size by itself: ssimulacra2 and PSNR of RGB against a
Lanczos reduction of the full decode by Pillow.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from ssimulacra2 import compute_ssimulacra2

HERE = Path(__file__).parent
SIZES = [512, 256, 128, 64]
# Class, format, and the ratios to reach: to sharp's best recipe, to sharp as usually written, to Pillow-SIMD.
CLASSES = {
    "phone": ("jpeg", 0.50, 0.20, 0.60),
    "progressive": ("jpeg", 0.80, None, None),
    "medium": ("jpeg", 0.55, None, 0.85),
    "avatar": ("jpeg", 0.45, None, None),
    "logo": ("png", 0.25, None, None),
    "gif": ("jpeg", 0.20, None, None),
    "webp": ("jpeg", None, None, None),
    "screenshot": ("png", None, None, None),
}


class Peer:
    """A process that answers one line with one line."""

    def __init__(self, name, command, recipe=None):
        self.name, self.recipe = name, recipe
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=HERE / "peers")

    def work(self, path, form, repeat, out=None):
        return self.ask({"path": str(path), "recipe": self.recipe, "format": form, "repeat": repeat, "out": out and str(out)})

    def ask(self, task):
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Cloakroom:
    """Cloakroom: a process for each file, which reports its quickest of `repeat` turns."""

    name = "cloakroom"

    def __init__(self, binary):
        self.binary = Path(binary).resolve()

    def work(self, path, form, repeat, out=None):
        with tempfile.TemporaryDirectory() as folder:
            command = [self.binary, "render", path, "--json", "--format", form, "--repeat", str(repeat)]
            command += ["--out", folder] if out else []
            report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            for size, variant in zip(SIZES, report["variants"] if out else []):
                made = next(Path(folder).glob(f"*-{variant['width']}x{variant['height']}.*"))
                Path(f"{out}-{size}.{form}").write_bytes(made.read_bytes())
        sizes = [variant["bytes"] for variant in report["variants"]]
        return {"cpu": report["cpu_ms"], "bytes": sizes, "rss": report["peak_memory"] / 1024, "estimate": report["memory"]}


def flat(image):
    if image.mode in ("RGBA", "LA", "P", "PA"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def quality(full, outs, form, scratch):
    """ssimulacra2 and PSNR of each size that was written, against a Lanczos reduction of `full`."""
    found = {}
    for size in SIZES:
        made = Path(f"{outs}-{size}.{form}")
        if not made.exists():
            continue
        made = Image.open(made)
        wanted = full.resize(made.size, Image.Resampling.LANCZOS)
        wanted, made = flat(wanted.convert("RGBA") if wanted.mode == "RGBa" else wanted), flat(made)
        wanted.save(scratch / "wanted.png", compress_level=0)
        made.save(scratch / "made.png", compress_level=0)
        error = np.asarray(wanted, dtype=np.float64) - np.asarray(made, dtype=np.float64)
        psnr = 10 * np.log10(255**2 / max(1e-9, (error**2).mean()))
        found[size] = (compute_ssimulacra2(str(scratch / "wanted.png"), str(scratch / "made.png")), psnr)
    return found


def opened(path):
    """The picture upright, with alpha multiplied in if it has one."""
    full = ImageOps.exif_transpose(Image.open(path))
    return full.convert("RGBA").convert("RGBa") if full.mode in ("RGBA", "P") else full.convert("RGB")


def ratio(value, target=None):
    if value is None:
        return "—"
    met = "" if target is None else (f" (≤ {target:.2f}: {'met' if value <= target else 'MISSED'})")
    return f"{value:.2f}{met}"


def throughput(args, corpus):
    """Pictures per second on two cores. The programs take turns, and each works on two pictures at a time."""
    files = [str(path) for path in sorted((corpus / "phone").iterdir())] * 2
    command = [str(Path(args.cloakroom).resolve()), "render", *files, "--json", "--format", "jpeg", "--threads", "2"]
    sharps = {f"sharp {recipe}": Peer("", ["node", "sharp.mjs"], recipe) for recipe in ("best", "usual")}
    for peer in sharps.values():
        peer.ask({"paths": files[:2], "recipe": peer.recipe, "format": "jpeg"})
    seconds, memory = {name: [] for name in ("cloakroom", *sharps)}, {}
    dice = random.Random(2)
    for _ in range(args.turns):
        for name in dice.sample(list(seconds), len(seconds)):
            start = time.monotonic()
            if name in sharps:
                rss = sharps[name].ask({"paths": files, "recipe": sharps[name].recipe, "format": "jpeg"})["rss"] / 1024
            else:
                lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
                rss = max(json.loads(line)["peak_memory"] for line in lines) / 2**20
            seconds[name].append(time.monotonic() - start)
            memory[name] = max(memory.get(name, 0), rss)
    return {name: [len(files) / taken for taken in found] for name, found in seconds.items()}, memory


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("corpus", type=Path)
    options.add_argument("--cloakroom", default="target/release/cloakroom")
    options.add_argument("--stages", default=None, help="the example `stages` of the crate picture, to measure the decoder alone")
    options.add_argument("--simd", default=None, help="a Python that has Pillow-SIMD")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--repeat", type=int, default=5)
    options.add_argument("--turns", type=int, default=7, help="turns of each program when pictures per second are measured")
    options.add_argument("--classes", default=",".join(CLASSES))
    args = options.parse_args()
    corpus = args.corpus.resolve()

    peers = [
        Cloakroom(args.cloakroom),
        Peer("sharp best", ["node", "sharp.mjs"], "best"),
        Peer("sharp usual", ["node", "sharp.mjs"], "usual"),
        Peer("Pillow", [sys.executable, "pillow.py"]),
        Peer("pyvips", [sys.executable, "vips.py"]),
    ]
    if args.simd:
        peers.append(Peer("Pillow-SIMD", [args.simd, "pillow.py"]))
    others = [peer.name for peer in peers[1:]]
    print(f"load before: {os.getloadavg()[0]:.1f}\n")
    print("| work | CPU ms | " + " | ".join(f"to {name}" for name in others)
          + " | bytes to sharp | ssimulacra2 ours / sharp, 512, 256, 128, 64 | PSNR | peak MiB ours / sharp | estimate MiB |")
    print("|---" * (7 + len(others)) + "|")
    for kind in filter(None, args.classes.split(",")):
        print(row(args, peers, kind, sorted((corpus / kind).iterdir())), flush=True)
    if args.stages:
        print()
        decoders(args, corpus)
    if args.turns:
        print()
        rates, memory = throughput(args, corpus)
        print("| two pictures at a time, 12 megapixels | pictures/s, median (least to most) | ours is | peak MiB | ours is |")
        print("|---|---|---|---|---|")
        middle = {name: statistics.median(found) for name, found in rates.items()}
        for name, found in rates.items():
            print(f"| {name} | {middle[name]:.1f} ({min(found):.1f} to {max(found):.1f}) | {middle['cloakroom'] / middle[name]:.2f} × "
                  f"| {memory[name]:.0f} | {memory['cloakroom'] / memory[name]:.2f} × |")
    print(f"\nload after: {os.getloadavg()[0]:.1f}")


def row(args, peers, kind, files):
    """One class of pictures: CPU time, bytes, quality, memory."""
    form, *targets = CLASSES[kind]
    targets = dict(zip(("sharp best", "sharp usual", "Pillow-SIMD"), targets))
    dice = random.Random(kind)
    cpu, size, rss, graded, estimate = {}, {}, {}, {}, 0
    with tempfile.TemporaryDirectory() as scratch:
        scratch = Path(scratch)
        for path in files:
            times = {peer.name: [] for peer in peers}
            full = opened(path)
            for turn in range(args.rounds):
                for peer in dice.sample(peers, len(peers)):
                    graded_peer = turn == 0 and peer.name in ("cloakroom", "sharp best")
                    out = scratch / f"{path.stem}-{peer.name.replace(' ', '-')}" if graded_peer else None
                    report = peer.work(path, form, args.repeat, out)
                    times[peer.name].append(report["cpu"])
                    rss[peer.name] = max(rss.get(peer.name, 0), report["rss"] / 1024)
                    estimate = max(estimate, report.get("estimate", 0) / 2**20)
                    if graded_peer:
                        size[peer.name] = size.get(peer.name, 0) + sum(report["bytes"])
                        graded.setdefault(peer.name, []).append(quality(full, out, form, scratch))
            for name, found in times.items():
                cpu[name] = cpu.get(name, 0) + statistics.median(found)
    ours = cpu["cloakroom"]

    def mean(name, column):
        there = [size for size in SIZES if all(size in grades for grades in graded[name])]
        return [float(np.mean([grades[size][column] for grades in graded[name]])) for size in there]

    pairs = lambda column: ", ".join(f"{a:.1f} / {b:.1f}" for a, b in zip(mean("cloakroom", column), mean("sharp best", column)))
    ratios = " | ".join(ratio(ours / cpu[peer.name], targets.get(peer.name)) for peer in peers[1:])
    return (
        f"| {kind} → {form} | {ours / len(files):.1f} | {ratios} | {size['cloakroom'] / size['sharp best']:.3f} "
        f"| {pairs(0)} | {pairs(1)} | {rss['cloakroom']:.0f} / {rss['sharp best']:.0f} | {estimate:.0f} |"
    )


def decoders(args, corpus):
    """Compares the scaled decoder alone with libjpeg-turbo's. Both return planes."""
    from turbojpeg import TurboJPEG

    turbo = TurboJPEG()
    files = sorted((corpus / "phone").iterdir())
    print("| decode alone, 12 megapixels | ours ms | libjpeg-turbo ms | ratio |")
    print("|---|---|---|---|")
    for n, target in ((1, 0.50), (2, 0.65), (4, 1.00)):
        ours = theirs = 0
        for path in files:
            data = path.read_bytes()
            mine, others = [], []
            for _ in range(args.rounds):
                # Both decoders report the quickest of ten turns, by the CPU clock.
                text = subprocess.run([args.stages, str(n), path], check=True, stdout=subprocess.PIPE).stdout
                mine.append(float(text))
                best = float("inf")
                for _ in range(10):
                    start = time.process_time()
                    turbo.decode_to_yuv_planes(data, scaling_factor=(1, 8 // n))
                    best = min(best, (time.process_time() - start) * 1000)
                others.append(best)
            ours += statistics.median(mine)
            theirs += statistics.median(others)
        print(f"| {n}/8 | {ours / len(files):.1f} | {theirs / len(files):.1f} | {ratio(ours / theirs, target)} |", flush=True)


if __name__ == "__main__":
    main()
