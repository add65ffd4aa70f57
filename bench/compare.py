#!/usr/bin/env python3
"""The picture engine and its peers, doing the same work in the same run: prints the table of figures.

    python3 bench/compare.py CORPUS [--cloakroom target/release/cloakroom] [--stages target/release/stages]
                             [--rounds 3] [--repeat 5] [--classes phone,medium,…]

Every peer is one process that stays, gets a file at a time, and reports the CPU time (user and system) of its quickest of
`repeat` turns, from the bytes in memory to the four encoded sizes. In every round the peers take turns on each file, in
another order each time, so that a neighbour's load meets them all. What is compared is the sum over a class of the
medians over the rounds.

Quality is measured on the outputs as they would be served: SSIM of luma and PSNR of RGB against a Lanczos reduction of
the full decode, both by Pillow.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

HERE = Path(__file__).parent
SIZES = [512, 256, 128, 64]
# Class, format, and the figures of the issue: to sharp's best recipe, to sharp as usually written, to Pillow.
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
        task = {"path": str(path), "recipe": self.recipe, "format": form, "repeat": repeat, "out": out and str(out)}
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Cloakroom:
    """Ours: a process per file, which also reports its quickest of `repeat` turns."""

    name = "cloakroom"

    def __init__(self, binary):
        self.binary = Path(binary).resolve()

    def work(self, path, form, repeat, out=None):
        with tempfile.TemporaryDirectory() as folder:
            command = [self.binary, "render", path, "--json", "--format", form, "--repeat", str(repeat)]
            command += ["--out", folder] if out else []
            report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
            for variant in report["variants"] if out else []:
                size = max(variant["width"], variant["height"])
                made = next(Path(folder).glob(f"*-{variant['width']}x{variant['height']}.*"))
                Path(f"{out}-{size}.{form}").write_bytes(made.read_bytes())
        sizes = [variant["bytes"] for variant in report["variants"]]
        return {"cpu": report["cpu_ms"], "bytes": sizes, "rss": report["peak_memory"] / 1024, "estimate": report["memory"]}


def ssim(a, b):
    """Mean structural similarity of two planes, windows of 8 x 8."""
    def mean(x):
        sums = np.pad(x.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        return (sums[8:, 8:] - sums[:-8, 8:] - sums[8:, :-8] + sums[:-8, :-8]) / 64
    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    return float((((2 * ma * mb + 6.5025) * (2 * cov + 58.5225)) / ((ma**2 + mb**2 + 6.5025) * (va + vb + 58.5225))).mean())


def flat(image):
    if image.mode in ("RGBA", "LA", "P", "PA"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("RGB")


def quality(path, outs, form):
    """SSIM and PSNR of the four sizes, averaged."""
    full = ImageOps.exif_transpose(Image.open(path))
    found = []
    for size in SIZES:
        made = Path(f"{outs}-{size}.{form}")
        if not made.exists():
            continue
        made = Image.open(made)
        mode = "RGBa" if full.mode in ("RGBA", "P") else "RGB"
        wanted = full.convert("RGBA").convert(mode) if mode == "RGBa" else full.convert("RGB")
        wanted = wanted.resize(made.size, Image.Resampling.LANCZOS)
        wanted = flat(wanted.convert("RGBA") if mode == "RGBa" else wanted)
        a, b = np.asarray(wanted, dtype=np.float64), np.asarray(flat(made), dtype=np.float64)
        luma = np.array([0.299, 0.587, 0.114])
        found.append((ssim(a @ luma, b @ luma), 10 * np.log10(255**2 / max(1e-9, ((a - b) ** 2).mean()))))
    return tuple(float(np.mean(column)) for column in zip(*found))


def ratio(value, target=None):
    if value is None:
        return "—"
    met = "" if target is None else (f" (≤ {target:.2f}: {'met' if value <= target else 'MISSED'})")
    return f"{value:.2f}{met}"


def throughput(args, corpus):
    """Pictures per second on two cores: two processes of each, side by side, over the phone photographs."""
    files = sorted((corpus / "phone").iterdir())
    command = [str(Path(args.cloakroom).resolve()), "render", *map(str, files * 3), "--json", "--format", "jpeg"]
    found, memory = {}, {}
    start = time.monotonic()
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    last = [json.loads(child.communicate()[0].splitlines()[-1]) for child in children]
    found["cloakroom"] = 2 * 3 * len(files) / (time.monotonic() - start)
    memory["cloakroom"] = sum(report["peak_memory"] for report in last) / 2**20
    for recipe in ("best", "usual"):
        pair = [Peer(f"sharp {recipe}", ["node", "sharp.mjs"], recipe) for _ in range(2)]
        [peer.work(files[0], "jpeg", 1) for peer in pair]
        start = time.monotonic()
        for _ in range(3):
            for path in files:
                task = {"path": str(path), "recipe": recipe, "format": "jpeg", "repeat": 1}
                for peer in pair:
                    peer.process.stdin.write(json.dumps(task) + "\n")
                    peer.process.stdin.flush()
        rss = [0, 0]
        for _ in range(3 * len(files)):
            for i, peer in enumerate(pair):
                rss[i] = json.loads(peer.process.stdout.readline())["rss"]
        found[f"sharp {recipe}"] = 2 * 3 * len(files) / (time.monotonic() - start)
        memory[f"sharp {recipe}"] = sum(rss) / 1024
        [peer.process.kill() for peer in pair]
    return found, memory


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("corpus", type=Path)
    options.add_argument("--cloakroom", default="target/release/cloakroom")
    options.add_argument("--stages", default=None, help="the bench binary `stages`, for the decoder alone")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--repeat", type=int, default=5)
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
    dice = random.Random(1)
    print("| work | CPU ms | to sharp best | to sharp usual | to Pillow | to pyvips | bytes to sharp | SSIM ours / sharp | PSNR ours / sharp | peak MiB ours / sharp | estimate MiB |")
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as scratch:
        for kind in args.classes.split(","):
            form, best, usual, pillow = CLASSES[kind]
            cpu, size, rss, graded, estimate = {}, {}, {}, {}, 0
            for path in sorted((corpus / kind).iterdir()):
                times = {peer.name: [] for peer in peers}
                for turn in range(args.rounds):
                    for peer in dice.sample(peers, len(peers)):
                        out = Path(scratch) / f"{kind}-{path.stem}-{peer.name.replace(' ', '-')}" if turn == 0 else None
                        report = peer.work(path, form, args.repeat, out)
                        times[peer.name].append(report["cpu"])
                        rss[peer.name] = max(rss.get(peer.name, 0), report["rss"] / 1024)
                        estimate = max(estimate, report.get("estimate", 0) / 2**20)
                        if out:
                            size[peer.name] = size.get(peer.name, 0) + sum(report["bytes"])
                            graded.setdefault(peer.name, []).append(quality(path, out, form))
                for name, found in times.items():
                    cpu[name] = cpu.get(name, 0) + statistics.median(found)
            ours = cpu["cloakroom"]
            count = len(list((corpus / kind).iterdir()))
            grade = {name: np.mean(values, axis=0) for name, values in graded.items()}
            pair = lambda i, digits: f"{grade['cloakroom'][i]:.{digits}f} / {grade['sharp best'][i]:.{digits}f}"
            print(
                f"| {kind} → {form} | {ours / count:.1f} | {ratio(ours / cpu['sharp best'], best)} "
                f"| {ratio(ours / cpu['sharp usual'], usual)} | {ratio(ours / cpu['Pillow'], pillow)} "
                f"| {ratio(ours / cpu['pyvips'])} | {size['cloakroom'] / size['sharp best']:.3f} "
                f"| {pair(0, 4)} | {pair(1, 2)} "
                f"| {rss['cloakroom']:.0f} / {rss['sharp best']:.0f} | {estimate:.0f} |",
                flush=True,
            )
    if args.stages:
        print()
        decoders(args, corpus)
    print()
    rate, memory = throughput(args, corpus)
    ours = rate["cloakroom"]
    print("| two processes on this machine's cores, 12 megapixels | pictures/s | ours is | peak MiB, both | ours is |")
    print("|---|---|---|---|---|")
    for name in rate:
        print(f"| {name} | {rate[name]:.1f} | {ours / rate[name]:.2f} × | {memory[name]:.0f} | {memory['cloakroom'] / memory[name]:.2f} × |")


def decoders(args, corpus):
    """The scaled decoder alone against libjpeg-turbo's, planes out on both sides."""
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
                text = subprocess.run([args.stages, str(n), path], check=True, stdout=subprocess.PIPE).stdout
                mine.append(float(text))
                best = float("inf")
                for _ in range(args.repeat):
                    start = time.process_time()
                    turbo.decode_to_yuv_planes(data, scaling_factor=(1, 8 // n))
                    best = min(best, (time.process_time() - start) * 1000)
                others.append(best)
            ours += statistics.median(mine)
            theirs += statistics.median(others)
        print(f"| {n}/8 | {ours / len(files):.1f} | {theirs / len(files):.1f} | {ratio(ours / theirs, target)} |", flush=True)


if __name__ == "__main__":
    main()
