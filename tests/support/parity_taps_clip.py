"""The tables of `parity_taps.py` for CLIP's image tower and for video networks of such towers."""

from __future__ import annotations

WITHOUT_EFFECT = ""  # ours has none where the rate is 0
TOKEN_ALONE = ""  # ours takes the class token before the last normalisation

CLIP_TOWERS = {
    "openai clip": (
        (r"visual\.conv1", r"embed.conv"),
        (r"visual\.ln_pre", r"embed"),
        (r"visual\.transformer\.resblocks\.(\d+)\.ln_(\d)", r"blocks.\1.layernorm\2"),
        (r"visual\.transformer\.resblocks\.(\d+)\.attn", r"blocks.\1.attention"),
        (r"visual\.transformer\.resblocks\.(\d+)(.*)", r"blocks.\1\2"),
        (r"visual\.ln_post", r"head.layernorm"),
    ),
    "huggingface clip": (
        (r"vision_model\.embeddings", r"embed.position"),
        (r"vision_model\.pre_layrnorm", r"embed"),
        (r"vision_model\.encoder\.layers\.(\d+)\.layer_norm(\d)", r"blocks.\1.layernorm\2"),
        (r"vision_model\.encoder\.layers\.(\d+)\.self_attn", r"blocks.\1.attention"),
        (r"vision_model\.encoder\.layers\.(\d+)(.*)", r"blocks.\1\2"),
        (r"vision_model\.post_layernorm", r"head.layernorm"),
        (r"visual_projection", r"head.linear"),
    ),
    "timm clip": (
        (r"norm_pre", r"embed"),
        (r"blocks\.(\d+)\.norm(\d)", r"blocks.\1.layernorm\2"),
        (r"blocks\.(\d+)\.attn", r"blocks.\1.attention"),
        (r"blocks\.(\d+)(.*)", r"blocks.\1\2"),
        (r"norm", TOKEN_ALONE),
        (r"head", r"head.linear"),
    ),
    "mmaction2 uniformerv2": (
        (r"backbone\.conv1", r"frame.embed.conv"),
        (r"backbone\.ln_pre", r"frame.embed.layernorm"),
        (r"backbone\.transformer:input", r"frame.embed"),
        (r"backbone\.transformer\.resblocks\.(\d+)\.ln_1", r"frame.blocks.\1.layernorm1 | frame.block\1.layernorm1"),
        (r"backbone\.transformer\.resblocks\.(\d+)\.attn", r"frame.blocks.\1.attention | frame.block\1.attention"),
        (
            r"backbone\.transformer\.resblocks\.(\d+)\.lmhra(\d)\.pos_embed\.3",
            r"frame.blocks.\1.local_relation\2.conv3 | frame.block\1.local_relation\2.conv3",
        ),
        (r"backbone\.transformer\.resblocks\.(\d+)\.ln_2", r"frame.blocks.\1.layernorm2 | frame.block\1.layernorm2"),
        (r"backbone\.transformer\.resblocks\.(\d+)\.mlp", r"frame.blocks.\1.mlp | frame.block\1.mlp"),
        (r"backbone\.transformer\.resblocks\.\d+\.drop_path", WITHOUT_EFFECT),
        (r"backbone\.transformer\.resblocks\.(\d+)", r"frame.blocks.\1 | frame.block\1"),
        *((rf"backbone\.transformer\.dpe\.{i}", rf"video.block{8 + i}.attention.kv_conv") for i in range(4)),
        *((rf"backbone\.transformer\.dec\.{i}", rf"video.block{8 + i}") for i in range(4)),
        (r"backbone\.transformer(\.norm)?|cls_head:input|cls_head\.dropout", r"head.layernorm"),
        (r"cls_head\.fc_cls", r"head.linear"),
    ),
    "huggingface xclip": (
        (r"vision_model\.embeddings", r"embed.position"),
        (r"vision_model\.pre_layernorm", r"embed"),
        (r"vision_model\.encoder\.layers\.(\d+)\.message_fc", r"blocks.\1.message"),
        (r"vision_model\.encoder\.layers\.(\d+)\.message_ln", r"blocks.\1.message_norm"),
        (r"vision_model\.encoder\.layers\.(\d+)\.message_attn", r"blocks.\1.message_attention"),
        (r"vision_model\.encoder\.layers\.\d+\.drop_path", WITHOUT_EFFECT),
        (r"vision_model\.encoder\.layers\.(\d+)\.layer_norm(\d)", r"blocks.\1.layernorm\2"),
        (r"vision_model\.encoder\.layers\.(\d+)\.self_attn", r"blocks.\1.attention"),
        (r"vision_model\.encoder\.layers\.(\d+)(.*)", r"blocks.\1\2"),
        (r"vision_model\.post_layernorm", r"frames.layernorm"),
        (r"visual_projection", r"frames"),
        (r"mit\.encoder\.layers\.(\d+)", r"mit.blocks.\1"),
    ),
}
