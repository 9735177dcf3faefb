"""The words for how something stands to what has its name elsewhere."""

from __future__ import annotations

NEW, GONE, CHANGED, SAME = "new", "gone", "changed", "same"
