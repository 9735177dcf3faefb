"""Names of inner outputs, as in `parity_taps.py`, of networks whose grids shrink, and of reversible ViT."""

from __future__ import annotations

Table = tuple[tuple[str, str], ...]

POOLED = ""  # our heads pool by a function, not a module
AROUND_ADDED = ""  # our attention adds what goes around it


def uniformer(before: str) -> Table:
    """UniFormer, whose modules' names begin in some way."""
    return (
        (rf"{before}patch_embed(\d)", r"patches\1"),
        (rf"{before}blocks(\d)\.(\d+)\.pos_embed", r"stage\1.\2.place"),
        (rf"{before}blocks(\d)\.(\d+)\.norm1", r"stage\1.\2.bn1 | stage\1.\2.layernorm1"),
        (rf"{before}blocks(\d)\.(\d+)\.attn", r"stage\1.\2.around | stage\1.\2.attention"),
        (rf"{before}blocks(\d)\.(\d+)\.mlp", r"stage\1.\2.conv4 | stage\1.\2.mlp"),
        (rf"{before}blocks(\d)\.(\d+)", r"stage\1.\2"),
    )


HIERA = (
    (r"patch_embed", r"embed.conv"),
    (r"blocks\.(\d+)\.norm1", r"stage#\1.layernorm1"),
    (r"blocks\.(\d+)\.attn", r"stage#\1.attention"),
    (r"blocks\.(\d+)\.proj", r"stage#\1.shortcut.linear"),
    (r"blocks\.(\d+)\.mlp", r"stage#\1.mlp"),
    (r"blocks\.(\d+)", r"stage#\1"),
)

FOCALNET = (
    (r"patch_embed", r"patches1"),
    *((rf"layers\.{i}(\.downsample)?", rf"patches{i + 2}") for i in range(3)),
    (r"layers\.3", r"stage4"),
    *((rf"layers\.{i}\.blocks\.(\d+)\.norm1", rf"stage{i + 1}.\1.layernorm1") for i in range(4)),
    *((rf"layers\.{i}\.blocks\.(\d+)(\..*)?", rf"stage{i + 1}.\1\2") for i in range(4)),
    (r"norm", r"head.layernorm"),
    (r"head:input", r"head.linear:input"),
    (r"head", r"head.linear"),
)

HIERARCHIES: dict[str, Table] = {
    "pyslowfast rev_mvit": (
        (r"patch_embed", r"embed.conv"),
        (r"rev_backbone\.layers\.(\d+)\.pre_q_fuse", r"stage#\1.layernorm1:input"),
        (r"rev_backbone\.layers\.[135]\.F", AROUND_ADDED),
        (r"rev_backbone\.layers\.(\d+)\.F", r"stage#\1.attention"),
        (r"rev_backbone\.layers\.(\d+)\.G", r"stage#\1.mlp | stage#\1.mlp2"),
        (r"rev_backbone\.layers\.(\d+)", r"stage#\1.drop_path"),
        (r"rev_backbone", r"stage4"),
        (r"norm", r"head.layernorm"),
        (r"head\.projection(:input)?", r"head.linear\1"),
    ),
    "pyslowfast rev_vit": (
        (r"patch_embed", r"embed.conv"),
        (r"rev_backbone\.layers\.(\d+)\.F", r"blocks.\1.attention"),
        (r"rev_backbone\.layers\.(\d+)\.G", r"blocks.\1.mlp"),
        (r"rev_backbone", r"blocks"),
        (r"norm", r"head.layernorm"),
        (r"head\.projection(:input)?", r"head.linear\1"),
    ),
    "focalnet focalnet": FOCALNET,
    "videofocalnet videofocalnet": FOCALNET,
    "uniformer uniformer": (
        *uniformer(""),
        (r"norm", r"head.bn"),
        (r"head:input", r"head.linear:input"),
        (r"head", r"head.linear"),
    ),
    "mmaction2 uniformer": (
        *uniformer(r"backbone\."),
        (r"backbone\.norm|cls_head:input", r"head.bn"),
        (r"cls_head\.avg_pool", POOLED),
        (r"cls_head\.fc_cls", r"head.linear"),
    ),
    "hiera hiera": (
        (r"unroll", r"embed"),
        *HIERA,
        (r"norm(:input)?", r"head.layernorm\1"),
        (r"head:input", r"head.linear:input"),
        (r"head", r"head.linear"),
    ),
    "timm hiera": (
        *HIERA,
        (r"head\.norm(:input)?", r"head.layernorm\1"),
        (r"head\.fc(:input)?", r"head.linear\1"),
    ),
    "omnivore swin": (
        *((rf"trunk\.layers\.{i}", rf"merging{i + 2}") for i in range(3)),
        (r"trunk\.layers\.3", r"stage4"),
        *((rf"trunk\.layers\.{i}\.blocks\.(\d+)", rf"stage{i + 1}.\1") for i in range(4)),
        (r"trunk\.patch_embed", r"embed"),
        (r"trunk\.norm", r"head.layernorm"),
        (r"heads\.video\.1:input", r"head.linear:input"),
        (r"heads\.video\.1", r"head.linear"),
    ),
}
