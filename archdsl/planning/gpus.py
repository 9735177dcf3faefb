"""GPUs for training plans, with figures of their data sheets.

Speeds are peaks without sparsity, in FLOP/s, one multiply-add counting 2; bandwidths are in bytes per second.
"""

from __future__ import annotations

from dataclasses import dataclass

TERA, GIGA = 10**12, 10**9
GBIT = GIGA // 8  # per second


@dataclass(frozen=True)
class Gpu:
    """A GPU model, in the machine in which it is usually sold."""

    name: str
    half: int  # FLOP/s of 16-bit matrix products with float32 accumulation
    tf32: int  # FLOP/s in TensorFloat-32; in float32 if the GPU has none
    single: int  # FLOP/s in float32
    memory: int  # bytes
    bandwidth: int  # of its memory
    link: int  # to the other GPUs of its node, in one direction: half of the figure in data sheets
    network: int  # its share of the bandwidth between nodes, in one direction
    source: str  # of these figures  # of these figures
    bfloat16: bool = True


GPUS = {
    "v100": Gpu(
        "V100 SXM2 32GB", int(125 * TERA), int(15.7 * TERA), int(15.7 * TERA), 32 * 2**30, 900 * GIGA,
        150 * GIGA, 50 * GBIT,
        "NVIDIA V100 data sheet (2020): 125 TFLOP/s fp16, 15.7 fp32, 900 GB/s, NVLink 300 GB/s;"
        " DGX-1: 4 × 100 Gb/s for 8",
        bfloat16=False,
    ),
    "a100": Gpu(
        "A100 SXM 80GB", 312 * TERA, 156 * TERA, int(19.5 * TERA), 80 * 2**30, 2039 * GIGA, 300 * GIGA, 200 * GBIT,
        "NVIDIA A100 data sheet (2022): 312 TFLOP/s bf16, 156 tf32, 19.5 fp32, 2039 GB/s, NVLink 600 GB/s;"
        " DGX A100: 8 × 200 Gb/s",
    ),
    "h100": Gpu(
        "H100 SXM 80GB", 989 * TERA, 494 * TERA, 67 * TERA, 80 * 2**30, 3350 * GIGA, 450 * GIGA, 400 * GBIT,
        "NVIDIA H100 data sheet (2023), without sparsity: 989 TFLOP/s bf16, 494 tf32, 67 fp32, 3.35 TB/s,"
        " NVLink 900 GB/s; DGX H100: 8 × 400 Gb/s",
    ),
    "l4": Gpu(
        "L4 24GB", 121 * TERA, 60 * TERA, int(30.3 * TERA), 24 * 2**30, 300 * GIGA, 32 * GIGA, 25 * GBIT,
        "NVIDIA L4 data sheet (2023), without sparsity: 121 TFLOP/s bf16, 60 tf32, 30.3 fp32, 300 GB/s,"
        " PCIe 4.0 ×16 64 GB/s; a network of 25 Gb/s is assumed",
    ),
    "a10": Gpu(
        "A10 24GB", 125 * TERA, int(62.5 * TERA), int(31.2 * TERA), 24 * 2**30, 600 * GIGA, 32 * GIGA, 25 * GBIT,
        "NVIDIA A10 data sheet (2021): 125 TFLOP/s bf16, 62.5 tf32, 31.2 fp32, 600 GB/s, PCIe 4.0 ×16 64 GB/s;"
        " a network of 25 Gb/s is assumed",
    ),
    "rtx4090": Gpu(
        "GeForce RTX 4090 24GB", int(165.2 * TERA), int(82.6 * TERA), int(82.6 * TERA), 24 * 2**30, 1008 * GIGA,
        32 * GIGA, 10 * GBIT,
        "NVIDIA Ada GPU Architecture (2022), without sparsity, summed in fp32: 165.2 TFLOP/s bf16, 82.6 tf32,"
        " 82.6 fp32, 1008 GB/s, PCIe 4.0 ×16 64 GB/s; a network of 10 Gb/s is assumed",
    ),
}  # fmt: skip
