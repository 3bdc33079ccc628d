"""The tables of a folder that gpu.sh has filled, as Markdown.

    python3 benches/gpu_report.py FOLDER [--peak GFLOPS,GBS]

The share of the peak is what the largest product (product.jsonl) and the slowest kernels reach of the numbers given, which
are the card's data sheet's; without them there is none.
"""

import argparse
import json
import platform
import statistics
import sys
from pathlib import Path

# Kernels of a work that are shown: the slowest.
SHOWN = 6

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=Path)
parser.add_argument("--peak", help="GFLOP/s in f32, GB/s")
args = parser.parse_args()
peak_gflops, peak_gb = map(float, args.peak.split(",")) if args.peak else (None, None)


def lines(name):
    """The objects of a file; none where its step was left out, or was ended before it printed one."""
    path = args.folder / name
    return [json.loads(line) for line in path.read_text().splitlines() if line.startswith("{")] if path.exists() else []


def share(value, peak):
    return f"{value / peak:.2f}" if value and peak else "-"


def table(title, head, rows):
    print(f"## {title}\n")
    if not rows:
        print("Nothing was measured; steps.txt says why.\n")
        return
    print("| " + " | ".join(head) + " |")
    print("|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |")
    print()


def speed(name, work):
    found = lines(f"{name}bench-{work}.jsonl")
    return found[0] if found else None


def kernels():
    for work in works:
        for pass_ in ("", "tuned-"):
            for kernel in lines(f"{pass_}kernels-{work}.jsonl")[:SHOWN]:
                gflops, size = kernel["gflops"], kernel["product"]
                yield (f"{pass_}{work}", kernel["op"].replace(" | ", " + "), "x".join(map(str, size)) if size else "", f"{1e3 * kernel['ms']:.1f}",
                       f"{100 * kernel['share']:.0f} %", f"{gflops:,.0f}" if gflops else "-", share(gflops, peak_gflops),
                       f"{kernel['gb_per_s']:,.0f}", share(kernel["gb_per_s"], peak_gb))


def peers():
    for work in works:
        found = {line["program"]: line for line in lines(f"peers-{work}.jsonl")}
        ours = found.pop("ours", None)
        for name, line in found.items() if ours else ():
            ratios = [theirs / own for theirs, own in zip(line["seconds_a_step"], ours["seconds_a_step"])]
            steps = [1e3 * statistics.median(of["seconds_a_step"]) for of in (ours, line)]
            yield work, name, f"{steps[0]:.3f}", f"{steps[1]:.3f}", f"{statistics.median(ratios):.2f}"


works = [path.stem.removeprefix("bench-") for path in args.folder.glob("bench-*.jsonl")]
order = ["standard-128", "standard-1024", "wide-1024", "conv-28", "conv-64"]
works.sort(key=lambda work: order.index(work) if work in order else len(order))

check_path = args.folder / "check.json"
check_text = check_path.read_text() if check_path.exists() else ""
check = json.loads(check_text) if check_text else None
described = check or next((found for work in works if (found := speed("", work))), None)
if described is None:
    sys.exit("nothing was measured; steps.txt says why")

print(f"# {described['adapter']}, {described['driver'] or 'the CPU path'}\n")
print(f"vae-gpu {described['version']} on {platform.system()} {platform.release()}, {platform.machine()}. "
      f"Peak: {f'{peak_gflops:,.0f} GFLOP/s in f32, {peak_gb:,.0f} GB/s, as given' if args.peak else 'not given'}.\n")
if check:
    print(f"Check: {check['failed']} of {check['cases']:,} comparisons failed, in {check['seconds']:.0f} s.\n")
    for part in check["checks"]:
        for failure in part["failures"]:
            print(f"- {part['part']} {part['name']}: {failure}")
else:
    print("Check: it was not finished; check.txt has what it came to.\n")

rows = []
for work in works:
    plain, tuned = speed("", work), speed("tuned-", work)
    if plain:
        rate = plain["flops_per_step"] / plain["ms_per_step"] / 1e6
        rows.append((work, f"{plain['images_per_s']:,.0f}", f"{plain['ms_per_step']:.3f}", plain["dispatches_per_step"],
                     f"{rate:,.0f}", share(rate, peak_gflops), f"{100 * plain['share_of_limit']:.0f} %",
                     f"{tuned['images_per_s']:,.0f}" if tuned else "-", f"{plain['first_step_s']:.2f}"))
table("Training steps", ["work", "images/s", "ms a step", "dispatches", "GFLOP/s", "of the peak", "of its products alone",
                         "images/s, tuned", "first step, s"], rows)
table("Ours beside PyTorch, in turns (above 1 in our favour)", ["work", "program", "ours, ms a step", "theirs", "ratio"], [*peers()])
table("One large product", ["algorithm", "size", "ms", "GFLOP/s", "of the peak"],
      [(line["variant"], "x".join(map(str, line["product"])), f"{line['ms']:.2f}", f"{line['gflops']:,.0f}",
        share(line["gflops"], peak_gflops)) for line in lines("product.jsonl")])
table(f"The {SHOWN} slowest dispatches", ["work", "ops", "product", "us", "of the step", "GFLOP/s", "of the peak", "GB/s", "of the peak"],
      [*kernels()])
steps = args.folder / "steps.txt"
print("## Steps\n\n```\n" + steps.read_text() + "```" if steps.exists() else "")
