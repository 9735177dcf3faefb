"""Names of the outputs of inner modules: those of records, and ours.

For each source a name of theirs (a regular expression) and of ours: of a module (`res3.0`), or of what enters it
(`res3.1.non_local:input`); `a + b` are two joined along their channels, `a, b` two values; of `a | b` the first that
the network has counts. `+1` is 2: papers and our specs count the stages behind the stem from 2, others from 1.
`stage#7` is the block that has seven others before it, in all stages. Nothing stands for what has no counterpart.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from parity_taps_clip import CLIP_TOWERS
from parity_taps_hierarchies import HIERARCHIES

if TYPE_CHECKING:
    from collections.abc import Collection

Table = tuple[tuple[str, str], ...]

POOLED = ""  # our heads pool by a function, not a module
AUDIOVISUAL = ("slow", "fast", "audio")
BEFORE_POOLING = ""  # our stems hold convolution and pooling
TOKEN_ALONE = ""  # ours takes the class token before the last normalisation
TOKEN_COPIED = ""  # ours copies the class token for each frame within its attention
MOBILENET_V2 = (
    "conv1 stage1 stage2.0 stage2.1 stage3.0 stage3.1 stage3.2 stage4.0 stage4.1 stage4.2 stage4.3 stage5.0 stage5.1 "
    "stage5.2 stage6.0 stage6.1 stage6.2 stage7 conv2"
).split()
SCORES_OF_FRAMES = ""  # ours averages the frames first, and then computes scores
PARTS_OF_ONE = ""  # ours is one layer for queries, keys and values
WITH_WEIGHTS = ""  # theirs gives the weights of its attention, too
BEFORE_THE_SUM = ""  # ours adds the query within its attention
PADDED = ""  # theirs holds padding, which ours does without


def pyslowfast(path: str, pool: str) -> Table:
    """A network of one path, whose modules are called `path`."""
    return (
        (r"s1(\.pathway0_stem)?", rf"{path}conv1"),
        (r"s(\d)\.pathway0_nonlocal(\d+)", rf"{path}res\1.\2"),
        (r"s(\d)\.pathway0_res(\d+)", rf"{path}res\1.\2.non_local:input | {path}res\1.\2"),
        (r"s(\d)", rf"{path}res\1"),
        (r"pathway0_pool", pool),
        *PYSLOWFAST_HEAD,
    )


PYSLOWFAST_HEAD = (
    (r"head\.pathway\d_avgpool", POOLED),
    (r"head\.(dropout|projection:input)", r"head.dropout"),
    (r"head(\.projection)?", r"head.linear"),
)


def mmaction2(path: str) -> Table:
    """A network of one path, whose modules are called `path`."""
    return (
        (r"backbone\.conv1", BEFORE_POOLING),
        (r"backbone\.maxpool(3d_1)?", rf"{path}conv1"),
        (r"backbone\.(pool2|maxpool3d_2)", rf"{path}res3:input"),
        (r"backbone\.layer(\d)\.(\d+)\.non_local_block", rf"{path}res+\1.\2"),
        (r"backbone\.layer(\d)", rf"{path}res+\1"),
        (r"cls_head\.avg_pool", POOLED),
        (r"cls_head\.fc_cls", r"head.linear"),
    )


MMACTION2_CSN = (
    (r"backbone\.layer(\d)\.(\d+)\.conv1", r"res+\1.\2.mix:input | res+\1.\2.conv2:input"),
    (r"backbone\.layer(\d)\.(\d+)\.conv2\.0", r"res+\1.\2.mix_bn"),
    (r"backbone\.layer(\d)\.(\d+)\.conv2", r"res+\1.\2.conv3:input"),
    (r"backbone\.layer(\d)\.(\d+)\.conv3", r"res+\1.\2.bn3"),
    (r"backbone\.layer(\d)\.0\.downsample", r"res+\1.0.shortcut"),
    (r"backbone\.layer(\d)\.(\d+)", r"res+\1.\2"),
    (r"cls_head:input", r"res5"),
    *mmaction2(""),
)
MMACTION2_TSM_MOBILENET = (
    (r"backbone\.(conv\d)", r"\1"),
    (r"backbone\.layer(\d)\.0", r"stage\1.0 | stage\1"),
    (r"backbone\.layer(\d)\.(\d)", r"stage\1.\2"),
    (r"backbone\.layer(\d)", r"stage\1"),
    (r"cls_head:input", r"conv2"),
    (r"cls_head\.fc_cls", SCORES_OF_FRAMES),
    (r"cls_head\.consensus", r"head.linear"),
)
MOBILENET_BLOCKS = (
    *((rf"(?:base_model\.)?features\.{number}", place) for number, place in enumerate(MOBILENET_V2)),
    (r"new_fc:input", r"head.dropout"),
    (r"new_fc", SCORES_OF_FRAMES),
    (r"classifier\.1:input", r"head.linear:input"),
    (r"classifier\.1", r"head.linear"),
)
MMACTION2_TSM = (
    (r"backbone\.layer(\d)(?:\.net)?\.(\d+)\.conv1", r"res+\1.\2.conv2:input"),
    (r"backbone\.layer(\d)(?:\.net)?\.(\d+)\.conv2", r"res+\1.\2.conv3:input"),
    (r"backbone\.layer(\d)(?:\.net)?\.(\d+)\.conv3", r"res+\1.\2.bn3"),
    (r"backbone\.layer(\d)(?:\.net)?\.0\.downsample", r"res+\1.0.shortcut"),
    (r"backbone\.layer(\d)(?:\.net)?\.(\d+)", r"res+\1.\2"),
    (r"backbone\.layer2\.max_pool3d", r"res3:input"),
    (r"cls_head:input", r"res5"),
    (r"cls_head\.avg_pool", r"head.dropout"),
    (r"cls_head\.fc_cls", SCORES_OF_FRAMES),
    (r"cls_head\.consensus", r"head.linear"),
    *mmaction2(""),
)
TSM = (
    (r"base_model\.conv1", r"conv1.conv"),
    (r"base_model\.maxpool", r"conv1"),
    (r"base_model\.layer(\d)(?:\.net)?\.(\d+)", r"res+\1.\2"),
    (r"base_model\.layer(\d)\.(\d+)\.nl", r"res+\1.\2"),
    (r"base_model\.layer(\d)", r"res+\1"),
    (r"base_model\.(avgpool|fc)|new_fc:input", r"head.dropout"),
    (r"new_fc", SCORES_OF_FRAMES),
)
PYTORCHVIDEO = (
    (r"blocks\.0", r"conv1"),
    (r"blocks\.(\d)\.res_blocks\.(\d+)", r"res+\1.\2"),
    (r"blocks\.([1-4])", r"res+\1"),
    (r"blocks\.5\.(pool|dropout|proj:input)", r"head.dropout"),
    (r"blocks\.5(\.proj|\.output_pool)?", r"head.linear"),
)

MOVINET_PARTS = {
    "": "",
    ".res": ".shortcut",
    ".expand": ".expand",
    ".deep": ".depthwise",
    ".se": ".se",
    ".project": ".bn",
}
MOVINET = (
    (r"(conv\d)", r"\1"),
    *(
        (rf"blocks\.b{block}_l(\d+){re.escape(theirs)}", rf"block{block + 2}.\1{ours}")
        for block in range(5)
        for theirs, ours in MOVINET_PARTS.items()
    ),
    (r"cgap|classifier:input", POOLED),
    (r"classifier\.0", r"head.linear1"),
    (r"classifier\.3", r"head.linear2"),
)

VIDEO_RESNET = (
    (r"stem(\.[25])?", r"conv1"),
    (r"layer(\d)\.(\d+)", r"res+\1.\2"),
    (r"layer(\d)", r"res+\1"),
    (r"avgpool", POOLED),
    (r"fc:input", r"head.linear:input"),
    (r"fc", r"head.linear"),
)
R2PLUS1D = (
    (r"stem\.0", r"conv1.conv2plus1d.conv1"),
    (r"stem\.1", r"conv1.conv2plus1d.bn"),
    (r"stem\.2", r"conv1.conv2plus1d.conv2:input"),
    (r"stem\.3", r"conv1.conv2plus1d.conv2"),
    (r"stem\.4", r"conv1.bn"),
    *VIDEO_RESNET,
)

SWIN = (
    *((rf"backbone\.layers\.{i}\.blocks\.(\d+)", rf"stage{i + 1}.\1") for i in range(4)),
    (r"backbone\.patch_embed\.proj", r"embed.conv"),
    (r"backbone\.patch_embed", r"embed"),
    (r"backbone(\.norm3?)?", r"head.layernorm"),
    (r"cls_head\.avg_pool", r"head.dropout"),
    (r"cls_head(\.fc_cls)?", r"head.linear"),
)

HUGGINGFACE_VIT = (
    (r"vi(?:vi)?t\.embeddings\.patch_embeddings\.projection", r"embed.conv"),
    (r"vi(?:vi)?t\.embeddings", r"embed"),
    (r"vi(?:vi)?t\.layers\.(\d+)", r"blocks.\1"),
    (r"vi(?:vi)?t\.layernorm", r"head.layernorm"),
    (r"classifier:input", r"head.linear:input"),
    (r"classifier", r"head.linear"),
)

# Networks for images.
RESNET = (
    (r"conv1", r"conv1.conv"),
    (r"bn1", r"conv1.bn"),
    (r"maxpool", r"conv1"),
    (r"global_pool", POOLED),
    *VIDEO_RESNET,
)
VIT = (
    (r"patch_embed(\.proj)?", r"embed.conv"),
    (r"pos_drop", r"embed"),
    (r"blocks\.(\d+)", r"blocks.\1"),
    (r"norm", r"head.layernorm"),
    (r"head:input", r"head.linear:input"),
    (r"head", r"head.linear"),
)


def image_swin(before: str = "", norm: str = "norm") -> Table:
    """A Swin transformer that merges patches at the end of a stage, whose names begin with `before`."""
    return (
        *((rf"{before}layers\.{i}\.blocks\.(\d+)", rf"stage{i + 1}.\1") for i in range(4)),
        *((rf"{before}layers\.{i}(\.downsample)?", rf"merging{i + 2}") for i in range(3)),
        (rf"{before}layers\.3", r"stage4"),
        (norm, r"head.layernorm"),
        (r"avgpool", POOLED),
        (r"(head|classifier):input", r"head.linear:input"),
        (r"head|classifier", r"head.linear"),
    )


S3D_MODULES = [
    *((str(n), f"mixed3.{letter}") for n, letter in zip((5, 6), "bc", strict=True)),
    *((str(n), f"mixed4.{letter}") for n, letter in zip(range(8, 13), "bcdef", strict=True)),
    *((str(n), f"mixed5.{letter}") for n, letter in zip((14, 15), "bc", strict=True)),
]


VIDEOMAE = (
    (r"videomae\.embeddings\.patch_embeddings", r"embed.conv"),
    (r"videomae\.embeddings", r"blocks.0:input"),
    (r"videomae\.encoder\.layer\.(\d+)\.layernorm_before", r"blocks.\1.layernorm1"),
    (r"videomae\.encoder\.layer\.(\d+)\.attention\.attention", r"blocks.\1.attention.proj:input"),
    (r"videomae\.encoder\.layer\.(\d+)\.attention", r"blocks.\1.attention"),
    (r"videomae\.encoder\.layer\.(\d+)\.intermediate", r"blocks.\1.mlp.linear2:input"),
    (r"videomae\.encoder\.layer\.(\d+)", r"blocks.\1"),
)
TAPS: dict[str, Table] = {
    **HIERARCHIES,
    "pyslowfast slowfast": (
        (r"s1\.pathway0_stem", r"slow.conv1"),
        (r"s1\.pathway1_stem", r"fast.conv1"),
        (r"s(\d)\.pathway0_nonlocal(\d+)", r"slow.res\1.\2"),
        (r"s(\d)\.pathway0_res(\d+)", r"slow.res\1.\2.non_local:input | slow.res\1.\2"),
        (r"s(\d)\.pathway1_res(\d+)", r"fast.res\1.\2"),
        (r"s1", r"slow.conv1, fast.conv1"),
        (r"s(\d)", r"slow.res\1, fast.res\1"),
        (r"s1_fuse", r"slow.conv1 + fast_to_slow.conv1, fast.conv1"),
        (r"s(\d)_fuse", r"slow.res\1 + fast_to_slow.res\1, fast.res\1"),
        (r"pathway0_pool", r"slow.res2 + fast_to_slow.res2"),
        (r"pathway1_pool", r"fast.res2"),
        *PYSLOWFAST_HEAD,
    ),
    "pyslowfast slow": pyslowfast("slow.", "slow.res2"),
    "pyslowfast c2d": pyslowfast("", "res3:input"),
    "pytorchvideo slowfast": (
        (r"blocks\.0\.multipathway_blocks\.0", r"slow.conv1"),
        (r"blocks\.0\.multipathway_blocks\.1", r"fast.conv1"),
        (r"blocks\.0(\.multipathway_fusion)?", r"slow.conv1 + fast_to_slow.conv1, fast.conv1"),
        (r"blocks\.(\d)\.multipathway_blocks\.0\.res_blocks\.(\d+)", r"slow.res+\1.\2"),
        (r"blocks\.(\d)\.multipathway_blocks\.1\.res_blocks\.(\d+)", r"fast.res+\1.\2"),
        (r"blocks\.(\d)\.multipathway_blocks\.0", r"slow.res+\1"),
        (r"blocks\.(\d)\.multipathway_blocks\.1", r"fast.res+\1"),
        (r"blocks\.4(\.multipathway_fusion)?", r"slow.res5, fast.res5"),
        (r"blocks\.([1-3])(\.multipathway_fusion)?", r"slow.res+\1 + fast_to_slow.res+\1, fast.res+\1"),
        (r"blocks\.5\.pool\.\d", POOLED),
        (r"blocks\.5|blocks\.6\.(dropout|proj:input)", r"head.dropout"),
        (r"blocks\.6(\.proj|\.output_pool)?", r"head.linear"),
    ),
    "pytorchvideo avslowfast": (
        *((rf"blocks\.0\.multipathway_blocks\.{i}", rf"{path}.conv1") for i, path in enumerate(AUDIOVISUAL)),
        *(
            row
            for i, path in enumerate(AUDIOVISUAL)
            for row in (
                (rf"blocks\.(\d)\.multipathway_blocks\.{i}\.res_blocks\.(\d+)", rf"{path}.res+\1.\2"),
                (rf"blocks\.(\d)\.multipathway_blocks\.{i}", rf"{path}.res+\1"),
            )
        ),
        (r"blocks\.(\d)\.multipathway_blocks\.2\.res_blocks\.0\.branch2", r"audio.res+\1.0.bn4 | audio.res+\1.0.bn3"),
        (r"blocks\.0\.multipathway_fusion\.block_fast_to_slow", r"fast_to_slow.conv1"),
        (r"blocks\.0\.multipathway_fusion\.block_audio_to_fastslow", r"audio_to_slow.conv1"),
        (r"blocks\.(\d)\.multipathway_fusion\.block_fast_to_slow", r"fast_to_slow.res+\1"),
        (r"blocks\.(\d)\.multipathway_fusion\.block_audio_to_fastslow", r"audio_to_slow.res+\1"),
        (r"blocks\.0", r"slow.res2:input, fast.conv1, audio.conv1"),
        *((rf"blocks\.{i}", rf"slow.res{i + 2}:input, fast.res{i + 1}, audio.res{i + 1}") for i in range(1, 4)),
        (r"blocks\.4", r"slow.res5, fast.res5, audio.res5"),
        (r"blocks\.5\.pool\.2", POOLED),
        (r"blocks\.5|blocks\.6\.proj:input", r"head.dropout"),
        (r"blocks\.6(\.proj)?", r"head.linear"),
    ),
    "pytorchvideo slow": (
        (r"blocks\.0(\.pool)?", r"slow.conv1"),
        (r"blocks\.(\d)\.res_blocks\.(\d+)", r"slow.res+\1.\2"),
        (r"blocks\.([1-4])", r"slow.res+\1"),
        (r"blocks\.5\.(pool|dropout|proj:input)", r"head.dropout"),
        (r"blocks\.5(\.proj|\.output_pool)?", r"head.linear"),
    ),
    "pytorchvideo c2d": (
        (r"blocks\.0(\.pool)?", r"conv1"),
        (r"blocks\.1", r"res2"),
        (r"blocks\.2", r"res3:input"),
        (r"blocks\.([3-5])", r"res\1"),
        (r"blocks\.6\.(pool|dropout|proj:input)", r"head.dropout"),
        (r"blocks\.6(\.proj|\.output_pool)?", r"head.linear"),
    ),
    "pytorchvideo csn": (
        (r"blocks\.5:input", r"res5"),
        (r"blocks\.(\d)\.res_blocks\.0\.branch1_conv", r"res+\1.0.shortcut.conv"),
        (r"blocks\.(\d)\.res_blocks\.0\.branch1_norm", r"res+\1.0.shortcut"),
        (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch2", r"res+\1.\2.bn3"),
        *PYTORCHVIDEO,
    ),
    "pytorchvideo r2plus1d": PYTORCHVIDEO,
    "mmaction2 tsm": MMACTION2_TSM,
    "mmaction2 mobilenet": MMACTION2_TSM_MOBILENET,
    "tsm mobilenet": MOBILENET_BLOCKS,
    "torchvision mobilenet": MOBILENET_BLOCKS,
    "tsm tsm": TSM,
    "pytorchvideo x3d": (
        (r"blocks\.0\.conv\.conv_t", r"conv1.conv1"),
        (r"blocks\.0\.conv(\.conv_xy)?", r"conv1.conv2"),
        (r"blocks\.0", r"conv1"),
        (r"blocks\.(\d)\.res_blocks\.0\.branch1_conv", r"res+\1.0.shortcut.conv"),
        (r"blocks\.(\d)\.res_blocks\.0\.branch1_norm", r"res+\1.0.shortcut"),
        (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch2\.norm_b(\.1)?", r"res+\1.\2.squeeze_excitation"),
        (r"blocks\.(\d)\.res_blocks\.(\d+)\.branch2", r"res+\1.\2.bn3"),
        (r"blocks\.(\d)\.res_blocks\.(\d+)", r"res+\1.\2"),
        (r"blocks\.([1-4])", r"res+\1"),
        (r"blocks\.5:input", r"res5"),
        (r"blocks\.5\.pool\.pre_act", r""),
        (r"blocks\.5\.pool\.pool", r"head.conv2:input"),
        (r"blocks\.5\.pool", r"head.dropout"),
        (r"blocks\.5(\.proj)?", r"head.linear"),
    ),
    "pytorchvideo_efficient x3d": (
        (r"s1\.pathway0_stem_conv_xy(\.kernel)?", r"conv1.conv1"),
        (r"s1(\.pathway0_stem_conv(\.kernel)?)?", r"conv1"),
        (r"s(\d)\.pathway0_res(\d+)\.layers", r"res\1.\2.bn3"),
        (r"s(\d)\.pathway0_res0\._res_proj", r"res\1.0.shortcut"),
        (r"s(\d)\.pathway0_res(\d+)", r"res\1.\2"),
        (r"s(\d)", r"res\1"),
        (r"head\.conv_5(\.kernel)?", r""),
        (r"head(\.lin_5(\.kernel)?)?", r"head.dropout"),
        (r"projection(\.model)?", r"head.linear"),
    ),
    "timm convnext": (
        (r"stem\.0", r"embed.conv"),
        (r"stem", r"embed"),
        (r"stages\.0\.downsample", r""),
        (r"stages\.(\d)\.downsample", r"down+\1"),
        (r"stages\.(\d)\.blocks\.(\d+)\.conv_dw", r"stage+\1.\2.conv"),
        (r"stages\.(\d)\.blocks\.(\d+)\.mlp", r"stage+\1.\2.linear2"),
        (r"stages\.(\d)\.blocks\.(\d+)", r"stage+\1.\2"),
        (r"stages\.(\d)", r"stage+\1"),
        (r"head\.global_pool", r"head.layernorm:input"),
        (r"head\.norm", r"head.layernorm"),
        (r"head(\.fc)?", r"head.linear"),
    ),
    "torchvision convnext": (
        (r"features\.0\.0", r"embed.conv"),
        (r"features\.0(\.1)?", r"embed"),
        *((rf"features\.{2 * i - 1}\.(\d+)", rf"stage{i}.\1") for i in range(1, 5)),
        *((rf"features\.{2 * i - 1}", rf"stage{i}") for i in range(1, 5)),
        *((rf"features\.{2 * i - 2}\.0", rf"down{i}.layernorm") for i in range(2, 5)),
        *((rf"features\.{2 * i - 2}(\.1)?", rf"down{i}") for i in range(2, 5)),
        (r"classifier\.0", r"head.layernorm"),
        (r"classifier\.2", r"head.linear"),
    ),
    "mmaction2 x3d": (
        (r"backbone\.conv1_s", r"conv1.conv1"),
        (r"backbone\.conv1_t", r"conv1"),
        (r"backbone\.layer(\d)\.0\.se_module", r"res+\1.0.squeeze_excitation"),
        (r"backbone\.layer(\d)\.0\.conv3", r"res+\1.0.bn3"),
        (r"backbone\.layer(\d)\.0\.downsample", r"res+\1.0.shortcut"),
        (r"backbone\.layer(\d)\.(\d+)", r"res+\1.\2"),
        (r"backbone\.layer(\d)", r"res+\1"),
        (r"backbone\.conv5", r""),
        (r"cls_head\.pool", r"head.conv2:input"),
        (r"cls_head\.fc1", r"head.conv2"),
        (r"cls_head\.fc2", r"head.linear"),
    ),
    "pyslowfast x3d": (
        (r"s1(\.pathway0_stem)?", r"conv1"),
        (r"s(\d)\.pathway0_res(\d+)\.branch2\.se", r"res\1.\2.squeeze_excitation"),
        (r"s(\d)\.pathway0_res(\d+)\.branch2", r"res\1.\2.bn3"),
        (r"s(\d)\.pathway0_res0\.branch1", r"res\1.0.shortcut.conv"),
        (r"s(\d)\.pathway0_res0\.branch1_bn", r"res\1.0.shortcut"),
        (r"s(\d)\.pathway0_res(\d+)", r"res\1.\2"),
        (r"s(\d)", r"res\1"),
        (r"head\.conv_5", r"head.conv1"),
        (r"head\.avg_pool", r"head.conv2:input"),
        (r"head\.lin_5", r"head.conv2"),
        (r"head\.projection", r"head.linear"),
    ),
    "mmaction2 slowfast": (
        (r"backbone\.(slow|fast)_path\.conv1", BEFORE_POOLING),
        (r"backbone\.(slow|fast)_path\.maxpool", r"\1.conv1"),
        (r"backbone\.slow_path\.conv1_lateral", r"fast_to_slow.conv1"),
        (r"backbone\.slow_path\.layer(\d)_lateral", r"fast_to_slow.res+\1"),
        (r"backbone\.(slow|fast)_path\.layer(\d)", r"\1.res+\2"),
        (r"backbone", r"slow.res5, fast.res5"),
        (r"cls_head\.fc_cls", r"head.linear"),
    ),
    "mmaction2 slow": mmaction2("slow."),
    "mmaction2 c2d": mmaction2(""),
    "mmaction2 csn": MMACTION2_CSN,
    "mmaction2 csn_ip": MMACTION2_CSN,
    "mmaction2 r2plus1d": ((r"backbone\.conv1\.conv\.conv_s", r"conv1.conv2plus1d.conv1"), *mmaction2("")),
    "mmaction2 tpn": (
        (r"backbone\.layer(\d)\.(\d+)", r"res+\1.\2"),
        (r"cls_head\.avg_pool3d", POOLED),
        (r"neck:input", r"res4, res5"),
        (r"neck\.spatial_modulation\.spatial_modulation\.1", r"res5"),
        (r"neck\.spatial_modulation", r"pyramid.modulation:input, res5"),
        (r"neck\.temporal_modulation_ops\.0", r"pyramid.modulation"),
        (r"neck\.temporal_modulation_ops\.1|neck\.upsample_ops\.0", r"pyramid.coarse"),
        (r"neck\.level_fusion_(\d)\.downsamples\.[01]", POOLED),  # ReLUs that stand behind a norm here
        (r"neck\.level_fusion_(\d)(\.fusion_conv)?", r"pyramid.fusion\1"),
        (r"neck\.downsample_ops\.0", r"pyramid.down"),
        (r"neck\.pyramid_fusion\.(conv|bn)", r"pyramid.\1"),
        (r"neck(\.pyramid_fusion(\.activate)?)?|cls_head:input", r"pyramid"),
        *mmaction2(""),
    ),
    "s3d_howto100m s3d_g": (
        (r"conv1", "conv1.unit"),
        (r"maxpool_2a", "conv1"),
        (r"conv_2b", "conv2.unit"),
        (r"conv_2c", "conv2.separable"),
        (r"gating", "conv2.gate"),
        (r"maxpool_3a", "conv2"),
        (r"mixed_(\d)(\w)\.conv_b([03])(_b)?", r"mixed\1.\2.b\3"),
        (r"mixed_(\d)(\w)\.conv_b([12])_(\w)", r"mixed\1.\2.b\3\4"),
        (r"mixed_(\d)(\w)\.gating_b(\d)", r"mixed\1.\2.gate\3"),
        (r"mixed_(\d)(\w)", r"mixed\1.\2"),
        (r"maxpool_4a", "mixed3"),
        (r"maxpool_5a", "mixed4"),
        (r"fc", "head.linear"),
    ),
    "pseudo_3d": (
        (r"maxpool", "conv1"),
        (r"layer4\.(\d+)", r"res5.\1"),
        (r"layer4", POOLED),  # without the axis of frames
        (r"layer(\d)\.(\d+)", r"res+\1.blocks.\2"),
        (r"layer(\d)", r"res+\1.blocks"),
        (r"fc", "head.linear"),
    ),
    "mmaction2 c3d": (
        (r"backbone\.conv(\d)([ab])", r"conv\1.\2"),
        (r"backbone\.pool(\d)", r"conv\1"),
        (r"backbone\.fc6", "fc.fc6.conv"),
        (r"backbone\.(relu|fc7)", POOLED),  # the module of one ReLU, and a layer of one position here
        (r"backbone\.dropout", "fc.fc6.dropout"),
        (r"cls_head:input", "fc"),
        (r"cls_head\.fc_cls", "head.linear"),
    ),
    "torchvision s3d": (
        (r"features\.0\.0", r"conv1.separable.time:input"),
        (r"features\.0", r"conv1.separable"),
        (r"features\.1", r"conv1"),
        (r"features\.2", r"conv2.unit"),
        (r"features\.3", r"conv2.separable"),
        *(
            (rf"features\.{number}{theirs}", f"{module}{ours}")
            for number, module in S3D_MODULES
            for theirs, ours in (
                (r"\.branch0", ".b0"),
                (r"\.branch0\.1", ".b0.bn"),
                (r"\.branch3(\.1)?", ".b3"),
                (r"\.branch1(\.1)?", ".b1b"),
                (r"\.branch2(\.1)?", ".b2b"),
                ("", ""),
            )
        ),
        (r"features\.7", "mixed3"),
        (r"features\.13", "mixed4"),
        (r"classifier:input|classifier\.0", "head.dropout"),
        (r"avgpool:input", "mixed5"),
        (r"classifier\.1", POOLED),
    ),
    "torchvision r3d": ((r"stem\.0", r"conv1.conv"), (r"stem\.1", r"conv1.bn"), *VIDEO_RESNET),
    "torchvision r2plus1d": R2PLUS1D,
    "vmz r2plus1d": R2PLUS1D,
    "vmz csn": (
        (r"layer(\d)\.(\d+)\.conv1", r"res+\1.\2.conv2:input"),
        (r"layer(\d)\.(\d+)\.conv3", r"res+\1.\2.bn3"),
        *VIDEO_RESNET,
    ),
    "movinet base": MOVINET,
    "movinet stream": MOVINET,
    "pytorch_i3d inception": (
        (r"Conv3d_1a_7x7", r"conv1.unit"),
        (r"MaxPool3d_2a_3x3", r"conv1"),
        (r"Conv3d_2b_1x1", r"conv2.unit1"),
        (r"Conv3d_2c_3x3", r"conv2.unit2"),
        (r"MaxPool3d_3a_3x3", r"conv2"),
        (r"Mixed_(\d)([b-f])", r"mixed\1.\2"),
        (r"MaxPool3d_4a_3x3", r"mixed3"),
        (r"MaxPool3d_5a_2x2", r"mixed4"),
        (r"avg_pool", r"head.dropout"),
        (r"logits", r"head.linear"),
    ),
    "torchvision mvit": (
        (r"conv_proj", r"embed.conv"),
        (r"pos_encoding", r"embed"),
        (r"blocks\.(\d+)", r"stage#\1"),
        (r"norm", r"head.layernorm"),
        (r"head\.(0|1:input)", r"head.dropout"),
        (r"head\.1", r"head.linear"),
    ),
    "pyslowfast mvit": (
        (r"patch_embed(\.proj)?", r"embed.conv"),
        (r"blocks\.(\d+)", r"stage#\1"),
        (r"norm", r"head.layernorm"),
        *PYSLOWFAST_HEAD,
    ),
    "pytorchvideo mvit": (
        (r"patch_embed(\.patch_model)?", r"embed.conv"),
        (r"cls_positional_encoding", r"embed"),
        (r"blocks\.(\d+)", r"stage#\1"),
        (r"norm_embed", r"head.layernorm"),
        (r"head\.(sequence_pool|proj:input)", r"head.dropout"),
        (r"head(\.proj)?", r"head.linear"),
    ),
    "mmaction2 mvit": (
        (r"backbone\.patch_embed", r"embed.conv"),
        (r"backbone\.blocks\.(\d+)", r"stage#\1"),
        (r"backbone\.norm3", r"head.layernorm"),
        (r"cls_head\.fc_cls", r"head.linear"),
    ),
    "torchvision swin": (
        (r"patch_embed|pos_drop", r"embed"),
        *((rf"features\.{2 * i}(\.\d+)?", rf"stage{i + 1}\1") for i in range(4)),
        *((rf"features\.{2 * i + 1}", rf"merging{i + 2}") for i in range(3)),
        (r"norm", r"head.layernorm"),
        (r"avgpool|head:input", r"head.dropout"),
        (r"head", r"head.linear"),
    ),
    "video_swin swin": (
        *((rf"backbone\.layers\.{i}", rf"merging{i + 2}") for i in range(3)),
        (r"backbone\.layers\.3", r"stage4"),
        *SWIN,
    ),
    "mmaction2 swin": (
        *((rf"backbone\.layers\.{i}\.downsample", rf"merging{i + 2}") for i in range(3)),
        *((rf"backbone\.layers\.{i}", rf"stage{i + 1}") for i in range(4)),
        *SWIN,
    ),
    "timesformer timesformer": (
        (r"model\.patch_embed(\.proj)?", r"embed.conv"),
        (r"model\.pos_drop", r"embed.position | "),
        (r"model\.time_drop", TOKEN_ALONE),
        (r"model\.blocks\.(\d+)\.temporal_attn", r"blocks.\1.along.attention"),
        (r"model\.blocks\.(\d+)\.temporal_fc", r"blocks.\1.along.linear"),
        (r"model\.blocks\.(\d+)\.attn", TOKEN_COPIED),
        (r"model\.blocks\.(\d+)", r"blocks.\1"),
        (r"model\.norm", TOKEN_ALONE),
        (r"model\.head", r"head.linear"),
    ),
    "huggingface timesformer": (
        (r"timesformer\.embeddings\.patch_embeddings\.projection", r"embed.conv"),
        (r"timesformer\.embeddings", r"embed"),
        (r"timesformer\.encoder\.layer\.(\d+)", r"blocks.\1"),
        (r"timesformer\.layernorm", TOKEN_ALONE),
        (r"classifier:input", r"head.linear:input"),
        (r"classifier", r"head.linear"),
    ),
    "mmaction2 timesformer": (
        (r"backbone\.patch_embed", r"embed.conv"),
        (r"backbone\.transformer_layers\.layers\.(\d+)\.attentions\.0", r"blocks.\1.along"),
        (r"backbone\.transformer_layers\.layers\.(\d+)\.attentions\.1", r"blocks.\1.encoder.layernorm2:input"),
        (r"backbone\.transformer_layers\.layers\.(\d+)", r"blocks.\1"),
        (r"backbone\.norm", TOKEN_ALONE),
        (r"cls_head\.fc_cls", r"head.linear"),
    ),
    "huggingface vivit": HUGGINGFACE_VIT,
    "huggingface vjepa2": (
        (r"vjepa2\.encoder\.embeddings", r"embed.conv"),
        (r"vjepa2\.encoder\.layer\.\d+\.attention\.(query|key|value)", PARTS_OF_ONE),
        (r"vjepa2\.encoder\.layer\.(\d+)\.norm(\d)", r"blocks.\1.layernorm\2"),
        (r"vjepa2\.encoder\.layer\.(\d+)(.*)", r"blocks.\1\2"),
        (r"vjepa2\.encoder\.layernorm", r"norm"),
        (r"pooler\.self_attention_layers\.(\d+)", r"head.blocks.\1"),
        (r"pooler\.cross_attention_layer\.layer_norm1", r"head.reader.attention.kv_layernorm"),
        (r"pooler\.cross_attention_layer\.cross_attn", BEFORE_THE_SUM),
        (r"pooler\.cross_attention_layer\.layer_norm2", r"head.reader.layernorm"),
        (r"pooler\.cross_attention_layer\.mlp", r"head.reader.mlp"),
        (r"pooler(\.cross_attention_layer)?", r"head.reader"),
        (r"classifier", r"head.linear"),
    ),
    "huggingface videoprism": (
        (r"vision_model\.spatial_embeddings", r"embed"),
        (r"vision_model\.(spatial|temporal)_layers\.(\d+)\.layernorm_before", r"\1.\2.layernorm1"),
        (r"vision_model\.(spatial|temporal)_layers\.\d+\.attention", WITH_WEIGHTS),
        (r"vision_model\.(spatial|temporal)_layers\.(\d+)(.*)", r"\1.\2\3"),
        (r"vision_model\.layernorm1", r"temporal_embed.layernorm"),
        (r"vision_model\.temporal_embeddings", r"temporal_embed"),
        (r"vision_model\.layernorm2|head:input", r"norm"),
        (r"head", WITH_WEIGHTS),
        (r"head_layernorm|classifier:input", r"head.layernorm"),
        (r"classifier", r"head.linear"),
    ),
    "internvideo2 internvideo2": (
        (r"patch_embed", r"embed.conv"),
        (r"blocks\.(\d+)\.norm(\d)", r"blocks.\1.rmsnorm\2"),
        (r"blocks\.(\d+)\.attn(.*)", r"blocks.\1.attention\2"),
        (r"blocks\.(\d+)\.ls(\d)", r"blocks.\1.scale\2"),
        (r"blocks\.(\d+)(.*)", r"blocks.\1\2"),
        (r"clip_projector:input", r"blocks"),
        (r"clip_projector\.norm1_([qkv])", r"head.attention.\1_layernorm"),
        (r"clip_projector(\.cross_attn)?", r"head.attention"),
        (r"fc_norm", r"head.layernorm"),
        (r"head:input", r"head.linear:input"),
        (r"head", r"head.linear"),
    ),
    "vjepa2 vjepa2": (
        (r"encoder\.patch_embed", r"embed.conv"),
        (r"encoder\.blocks\.(\d+)\.norm(\d)", r"blocks.\1.layernorm\2"),
        (r"encoder\.blocks\.(\d+)\.attn", r"blocks.\1.attention"),
        (r"encoder\.blocks\.(\d+)(.*)", r"blocks.\1\2"),
        (r"encoder\.norm", r"norm"),
        (r"classifier:input", r"norm"),
        (r"classifier\.pooler\.blocks\.(\d+)", r"head.blocks.\1"),
        (r"classifier\.pooler\.cross_attention_block\.xattn", BEFORE_THE_SUM),
        (r"classifier\.pooler(\.cross_attention_block)?", r"head.reader"),
        (r"classifier\.linear", r"head.linear"),
    ),
    **CLIP_TOWERS,
    "aim aim": (
        (r"backbone\.conv1", r"embed.conv"),
        (r"backbone\.ln_pre", r"embed.layernorm"),
        (r"backbone\.transformer\.resblocks\.(\d+)\.ln_2", r"blocks.\1.norm2"),
        (r"backbone\.transformer\.resblocks\.(\d+)\.T_Adapter", r"blocks.\1.t_adapter"),
        (r"backbone\.transformer\.resblocks\.(\d+)\.MLP_Adapter", r"blocks.\1.mlp_adapter"),
        (r"backbone\.transformer\.resblocks\.(\d+)(\.mlp)?", r"blocks.\1\2"),
        (r"backbone\.transformer\.resblocks.*", ""),  # ours lie with frames and positions in each other's place
        (r"backbone\.ln_post", r"head.layernorm"),
        (r"cls_head\.(avg_pool|dropout)", r"head.linear:input"),
        (r"cls_head\.fc_cls", r"head.linear"),
        (r"cls_head:input", POOLED),
    ),
    "st_adapter st_adapter": (
        (r"conv1", r"embed.conv"),
        (r"ln_pre", r"embed.layernorm"),
        (r"transformer\.resblocks\.(\d+)\.ln_(\d)", r"blocks.\1.norm\2"),
        (r"transformer\.resblocks\.(\d+)\.adapter_pre_(attn|mlp)", ""),  # theirs holds the sum
        (r"transformer\.resblocks\.(\d+)(\.mlp)?", r"blocks.\1\2"),
        (r"ln_post", r"head.layernorm"),
        (r"fc:input", r"head.linear:input"),
        (r"fc", r"head.linear"),
    ),
    "vtn vtn": (
        (r"backbone\.patch_embed", r"embed.conv"),
        (r"backbone\.blocks\.(\d+)", r"blocks.\1"),
        (r"backbone\.norm", r"frames.layernorm"),
        (r"backbone", r"frames"),
        (r"temporal_encoder\..*", PADDED),
        (r"mlp_head\.0", r"head.layernorm"),
        (r"mlp_head\.1", r"head.linear1"),
        (r"mlp_head", r"head.linear2"),
    ),
    "huggingface videomae": (
        *VIDEOMAE,
        (r"fc_norm", r"head.layernorm"),
        (r"classifier(:input)?", r"head.linear\1"),
        (r"encoder_to_decoder", r"decode.linear"),
        (r"decoder\.decoder_layers\.(\d+)", r"decoder.\1"),
        (r"decoder\.norm", r"head.layernorm"),
        (r"decoder\.head", r"head.linear"),
    ),
    "videomae videomae": (
        (r"patch_embed", r"embed.conv"),
        (r"blocks\.(\d+)\.norm1", r"blocks.\1.layernorm1"),
        (r"blocks\.(\d+)\.attn", r"blocks.\1.attention"),
        (r"blocks\.(\d+)\.mlp", r"blocks.\1.mlp"),
        (r"blocks\.(\d+)", r"blocks.\1"),
        (r"fc_norm", r"head.layernorm"),
        (r"head(:input)?", r"head.linear\1"),
    ),
    "videomae videomae_pretrain": (
        (r"encoder\.patch_embed", r"embed.conv"),
        (r"encoder\.blocks\.(\d+)\.attn", r"blocks.\1.attention"),
        (r"encoder\.blocks\.(\d+)\.mlp", r"blocks.\1.mlp"),
        (r"encoder\.blocks\.(\d+)", r"blocks.\1"),
        (r"encoder\.norm", r"decode.layernorm"),
        (r"encoder_to_decoder", r"decode.linear"),
        (r"decoder\.blocks\.(\d+)", r"decoder.\1"),
        (r"decoder\.norm", r"head.layernorm"),
        (r"decoder\.head", r"head.linear"),
    ),
    "pyslowfast mae": (
        (r"patch_embed\.proj", r"embed.conv"),
        (r"blocks\.(\d+)\.attn", r"blocks.\1.attention"),
        (r"blocks\.(\d+)(.*)", r"blocks.\1\2"),
        (r"norm", r"decode.layernorm"),
        (r"decoder_embed", r"decode.linear"),
        (r"pred_head\.transforms\.0\.2", ""),  # theirs normalises the positions that are seen, too
        (r"pred_head\.transforms\.0\.(\d+)\.attn", r"decoder.\1.attention"),
        (r"pred_head\.transforms\.0\.(\d+)", r"decoder.\1"),
        (r"pred_head\.projections\.0", r"head.linear"),
    ),
    "mmaction2 videomae": (
        (r"backbone\.patch_embed\.projection", r"embed.conv"),
        (r"backbone\.blocks\.(\d+)\.attn", r"blocks.\1.attention"),
        (r"backbone\.blocks\.(\d+)(.*)", r"blocks.\1\2"),
        (r"backbone\.norm", r"head.layernorm"),
        (r"roi_head\.bbox_head\.fc_cls", r"head.linear"),
    ),
    "torchvision resnet": RESNET,
    "timm resnet": RESNET,
    "torchvision vit": (
        (r"conv_proj", r"embed.conv"),
        (r"encoder\.dropout", r"embed"),
        (r"encoder\.layers\.encoder_layer_(\d+)", r"blocks.\1"),
        (r"encoder\.ln", r"head.layernorm"),
        (r"heads\.head:input", r"head.linear:input"),
        (r"heads\.head", r"head.linear"),
    ),
    "timm vit": VIT,
    "deit vit": VIT,
    "huggingface vit": HUGGINGFACE_VIT,
    "torchvision image_swin": (
        (r"features\.0\.0", r"embed.conv"),
        (r"features\.0", r"embed"),
        *((rf"features\.{2 * i + 1}(\.\d+)?", rf"stage{i + 1}\1") for i in range(4)),
        *((rf"features\.{2 * i + 2}", rf"merging{i + 2}") for i in range(3)),
        (r"norm", r"head.layernorm"),
        (r"avgpool", POOLED),
        (r"head:input", r"head.linear:input"),
        (r"head", r"head.linear"),
    ),
    "timm swin": (
        (r"patch_embed\.proj", r"embed.conv"),
        (r"patch_embed", r"embed"),
        *((rf"layers\.{i}\.downsample", rf"merging{i + 1}") for i in range(1, 4)),
        *((rf"layers\.{i}(?:\.blocks(\.\d+))?", rf"stage{i + 1}\1") for i in range(4)),
        (r"norm", r"head.layernorm"),
        (r"head\.global_pool", POOLED),
        (r"head\.fc:input", r"head.linear:input"),
        (r"head", r"head.linear"),
    ),
    "swin swin": (
        (r"patch_embed\.proj", r"embed.conv"),
        (r"patch_embed", r"embed"),
        *image_swin(),
    ),
    "huggingface swin": (
        (r"swin\.embeddings\.patch_embeddings\.projection", r"embed.conv"),
        (r"swin\.embeddings", r"embed"),
        *image_swin(r"swin\.encoder\.", r"swin\.layernorm"),
    ),
}


def ours(family: str, tap: str, modules: Collection[str]) -> list[list[str]]:
    """The values that a tap holds, each as the modules of ours whose outputs it joins. Raises KeyError if unlisted.

    Our modules come in the order in which data flow.
    """
    blocks = [name for name in modules if re.fullmatch(r"stage\d+\.\d+", name)]
    for pattern, name in TAPS[family]:
        match = re.fullmatch(pattern, tap)
        if match is not None:
            text = re.sub(r"\+(\d)", lambda m: str(int(m[1]) + 1), match.expand(name))
            text = re.sub(r"stage#(\d+)", lambda m: blocks[int(m[1])], text)
            first = next((t for t in text.split(" | ") if t.partition(":")[0] in modules), text.split(" | ")[-1])
            return [value.split(" + ") for value in first.split(", ")] if first else []
    raise KeyError(tap)
