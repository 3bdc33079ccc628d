"""RDNA3's assembly, as RADV prints it: a kernel's hottest loop, its loads and what it waits for."""

import collections
import re

BRANCH = re.compile(r"s_c?branch\w* (BB\d+)")
FMA = re.compile(r"\bv_(?:dual_)?fma(?:c|mk|ak)?_f32")
PACKED_FMA = re.compile(r"\bv_pk_fma_f32")
LDS_LOAD = re.compile(r"\bds_load_(2addr_)?(?:stride64_)?(\w+)")
GLOBAL_LOAD = re.compile(r"\b(?:buffer|global|flat)_load_(\w+)")
GLOBAL_STORE = re.compile(r"\b(?:buffer|global|flat)_store_(\w+)")
SCALAR_LOAD = re.compile(r"\bs_(?:buffer_)?load_(\w+)")
WAIT = re.compile(r"\bs_waitcnt .*vmcnt\(")


def machine_code(text: str) -> tuple[list[str], dict[str, int]]:
    """Instructions, and at which of them each block begins."""
    code: list[str] = []
    blocks: dict[str, int] = {}
    for line in text.split("===== Assembly\n", 1)[1].split("\n=====", 1)[0].splitlines():
        if label := re.match(r"(BB\d+):", line):
            blocks[label[1]] = len(code)
        elif line.startswith("\t"):
            code.append(line.split(";")[0].strip())
    return code, blocks


def loops(code: list[str], blocks: dict[str, int]) -> list[range]:
    """Each loop: from where a branch goes back to, to the last such branch."""
    ends: dict[int, int] = {}
    for at, instruction in enumerate(code):
        if (branch := BRANCH.match(instruction)) and blocks[branch[1]] <= at:
            ends[blocks[branch[1]]] = at + 1
    return [range(start, end) for start, end in ends.items()]


def fmas(code: list[str]) -> int:
    return sum(len(FMA.findall(line)) + 2 * len(PACKED_FMA.findall(line)) for line in code)


def widths(pattern: re.Pattern, code: list[str]) -> dict[str, int]:
    found = (pattern.search(line) for line in code)
    return dict(sorted(collections.Counter(match[1] for match in found if match).items()))


def lds_loads(code: list[str]) -> tuple[dict[str, int], float]:
    """Loads from workgroup memory by width, and how many loads of 64 bits they amount to."""
    found, units = collections.Counter(), 0.0
    for match in filter(None, map(LDS_LOAD.search, code)):
        twice, kind = 2 if match[1] else 1, match[2]
        found[f"{'2x' if match[1] else ''}{kind}"] += 1
        units += twice * {"b64": 1.0, "b96": 1.5, "b128": 2.0}.get(kind, 0.5)
    return dict(sorted(found.items())), units


def waits(code: list[str], repeats: bool) -> tuple[int, list[int]]:
    """Waits for global loads, and for each group of them without a load or an FMA between them the FMAs since the last load."""
    count, groups = 0, []
    since, in_group = None, False
    # What a loop loads at its end it waits for in its next round: only the second round counts.
    for at, line in enumerate(code * 2 if repeats else code):
        if GLOBAL_LOAD.search(line):
            since, in_group = 0, False
        elif since is None:
            continue
        elif fma := fmas([line]):
            since, in_group = since + fma, False
        elif WAIT.match(line):
            if not repeats or at >= len(code):
                count += 1
                groups += [] if in_group else [since]
            in_group = True
    return count, groups


def inner_loop(text: str) -> dict:
    """The hottest loop: of those that hold no other the one with most FMA; where more are in no loop, the code up to the last
    barrier."""
    code, blocks = machine_code(text)
    all_loops = loops(code, blocks)
    in_loops = {at for loop in all_loops for at in loop}
    inner = [loop for loop in all_loops if not any(other != loop and other.start in loop for other in all_loops)]
    hottest = max(inner, key=lambda loop: fmas(code[loop.start:loop.stop]), default=range(0))
    hot = code[hottest.start:hottest.stop]
    unrolled = fmas([line for at, line in enumerate(code) if at not in in_loops]) >= fmas(hot)
    if unrolled:
        barriers = [at for at, line in enumerate(code) if line.startswith("s_barrier")]
        hot = tile = code[:barriers[-1] if barriers else len(code)]
    else:
        # What a slice of k is: the least loop around it that also loads.
        around = [code[loop.start:loop.stop] for loop in all_loops if hottest.start in loop]
        tile = min((part for part in around if widths(GLOBAL_LOAD, part)), key=len, default=hot)
    lds, units = lds_loads(hot)
    wait_count, groups = waits(tile, repeats=not unrolled)
    return {
        "unrolled": unrolled,
        "instructions": len(hot),
        "fma": fmas(hot),
        "lds_loads": lds,
        "fma_per_64_bit_lds_load": round(fmas(hot) / units, 2) if units else None,
        "global_loads": widths(GLOBAL_LOAD, tile),
        "scalar_loads": widths(SCALAR_LOAD, tile) if not unrolled else {},
        "waits": wait_count,
        "fma_before_waits": groups,
        "barriers": sum(line.startswith("s_barrier") for line in tile),
        "global_stores": widths(GLOBAL_STORE, code),
    }
