"""File formats that a module can be exported in."""

from __future__ import annotations

ONNX, TORCH_EXPORT = "onnx", "torch-export"
SUFFIXES = {ONNX: ".onnx", TORCH_EXPORT: ".pt2"}
