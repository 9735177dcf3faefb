"""The records of published implementations in `parity/`, and the spec and the source that each belongs to."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, NamedTuple


class Case(NamedTuple):
    """A record, the spec and the source that it belongs to, and the table of its inner modules."""

    record: str
    spec: str  # below `specs/`
    taps: str
    params: tuple[tuple[str, Any], ...] = ()
    tolerance: float = 2e-5  # of the largest logit
    share: Fraction = Fraction(3, 4)  # of the recorded values that we have, too

    @property
    def source(self) -> str:
        return self.taps.split()[0]


def given(**values: Any) -> tuple[tuple[str, Any], ...]:
    """Parameters that a record's network has otherwise."""
    return tuple(values.items())


def of_pairs(function: str) -> tuple[tuple[str, Any], ...]:
    """Non-local blocks with one of the functions of Wang et al. 2018."""
    return given(pairwise=function)


UNSCALED = 1e-3  # the softmax of a non-local block without a scale makes float32's own error that large
PADDED = Fraction(3, 5)  # Longformer fills its sequences up to whole windows, so inner values have other shapes

CLIP = {"dim": 192, "depth": 3, "heads": 3, "classes": 128}

CASES = [
    Case("mma_tpn_slowonly_small", "tpn_slow_r50", "mmaction2 tpn"),
    Case("mma_c3d", "c3d", "mmaction2 c3d"),
    Case("qz_p3d_63", "p3d_199", "pseudo_3d", given(depths=(3, 4, 6, 3))),
    Case("howto_s3d_g_small", "s3d_g", "s3d_howto100m s3d_g", given(classes=512)),
    Case("tv_s3d_odd", "s3d", "torchvision s3d"),
    Case("psf_slowfast_8x8_r50", "slowfast_r50", "pyslowfast slowfast"),
    Case("psf_slowfast_8x8_r50_small", "slowfast_r50", "pyslowfast slowfast"),
    Case("psf_slowfast_nln_8x8_r50_small", "slowfast_r50_nl", "pyslowfast slowfast"),
    Case("psf_slow_r50_8x8", "slow_r50", "pyslowfast slow"),
    Case("psf_slowfast_r50_ava_small", "slowfast_r50_ava", "pyslowfast slowfast"),
    Case("psf_slow_r50_ava_small", "slow_r50_ava", "pyslowfast slow"),
    Case("psf_c2d_r50", "c2d_r50", "pyslowfast c2d"),
    Case("psf_i3d_nln_r50", "i3d_r50_nl5", "pyslowfast c2d"),
    Case("psf_i3d_nln_r50_small", "i3d_r50_nl5", "pyslowfast c2d"),
    Case("psf_i3d_nln_r101_small", "i3d_r101_nl5", "pyslowfast c2d"),
    Case("ptv_slowfast_r50", "slowfast_r50", "pytorchvideo slowfast"),
    Case("ptv_avslowfast_r50_small", "avslowfast_r50", "pytorchvideo avslowfast", given(bins=60)),
    Case("ptv_slow_r50", "slow_r50", "pytorchvideo slow"),
    Case("ptv_i3d_r50_small", "i3d_r50", "pytorchvideo c2d"),
    Case("ptv_r2plus1d_r50", "r2plus1d_r50", "pytorchvideo r2plus1d"),
    Case("mma_slowfast_r50_8x8", "slowfast_r50", "mmaction2 slowfast"),
    Case("mma_slowfast_r101_r50_4x16_small", "slowfast_4x16_r101_r50", "mmaction2 slowfast"),
    Case("mma_slowonly_r50_nl_embedded_8x8_small", "slow_r50_nl", "mmaction2 slow"),
    Case("mma_c2d_r50", "c2d_r50", "mmaction2 c2d"),
    Case("mma_i3d_r50_small", "i3d_r50", "mmaction2 c2d"),
    Case("mma_i3d_r50_heavy_small", "i3d_r50_heavy", "mmaction2 c2d"),
    Case("mma_i3d_r50_nl1_dot_product_small", "i3d_r50_nl1", "mmaction2 c2d", of_pairs("dot_product")),
    Case("mma_i3d_r50_nl1_concatenation_small", "i3d_r50_nl1", "mmaction2 c2d", of_pairs("concatenation")),
    Case("mma_i3d_r50_nl1_embedded_gaussian_small", "i3d_r50_nl1", "mmaction2 c2d"),
    Case("mma_i3d_r50_nl_gaussian", "i3d_r50_nl5", "mmaction2 c2d", of_pairs("gaussian"), UNSCALED),
    Case("mma_r2plus1d_r34", "r2plus1d_34", "mmaction2 r2plus1d"),
    Case("tv_r3d_18", "r3d_18", "torchvision r3d"),
    Case("tv_mc3_18_small", "mc3_18", "torchvision r3d"),
    Case("tv_r2plus1d_18", "r2plus1d_18", "torchvision r2plus1d"),
    Case("vmz_r2plus1d_18", "r2plus1d_18", "vmz r2plus1d"),
    Case("vmz_r2plus1d_34_small", "r2plus1d_34", "vmz r2plus1d"),
    Case("ptv_csn_r50_small", "csn_ir_r50", "pytorchvideo csn"),
    Case("ptv_csn_r50_window_small", "csn_ir_r50", "pytorchvideo csn", given(pool_window=(1, 2, 2))),
    Case("ptv_csn_r101_small", "csn_ir_r101", "pytorchvideo csn"),
    Case("mma_ircsn_r50_small", "csn_ir_r50", "mmaction2 csn"),
    Case("mma_ircsn_r152_small", "csn_ir_r152", "mmaction2 csn"),
    Case("mma_ipcsn_r50_small", "csn_ip_r50", "mmaction2 csn_ip"),
    Case("vmz_ir_csn_152_small", "csn_ir_r152", "vmz csn"),
    Case("mma_tsm_r50", "tsm_r50", "mmaction2 tsm"),
    Case("mma_tsm_r50_small", "tsm_r50", "mmaction2 tsm"),
    Case("mma_tsm_r101_small", "tsm_r101", "mmaction2 tsm", given(classes=174)),
    Case("mma_tsm_r50_tpool_small", "tsm_r50_tpool", "mmaction2 tsm"),
    Case("mma_tsm_r50_nl_dot_product_small", "tsm_r50_nl", "mmaction2 tsm"),
    Case(
        "mma_tsm_r50_nl_embedded_gaussian_small", "tsm_r50_nl", "mmaction2 tsm", of_pairs("embedded_gaussian"), UNSCALED
    ),
    Case("mma_tsm_r50_nl_embgauss_damped_small", "tsm_r50_nl", "mmaction2 tsm", of_pairs("embedded_gaussian")),
    Case("mma_tsm_r50_nl_gaussian_small", "tsm_r50_nl", "mmaction2 tsm", of_pairs("gaussian"), UNSCALED),
    Case("mma_tsm_mobilenetv2_small", "tsm_mobilenetv2", "mmaction2 mobilenet"),
    Case("tsm_mit_mobilenetv2_small", "tsm_mobilenetv2", "tsm mobilenet"),
    Case("tv_mobilenet_v2_small", "images/mobilenet_v2", "torchvision mobilenet"),
    Case("mma_tanet_r50_small", "tanet_r50", "mmaction2 tsm"),
    Case("tsm_mit_r50_small", "tsm_r50", "tsm tsm"),
    Case("tsm_mit_r50_tpool_small", "tsm_r50_tpool", "tsm tsm"),
    Case("tsm_mit_r50_nl_small", "tsm_r50_nl", "tsm tsm"),
    Case("ptv_x3d_xs", "x3d_xs", "pytorchvideo x3d"),
    Case("ptv_x3d_m", "x3d_m", "pytorchvideo x3d"),
    Case("ptv_x3d_s_small", "x3d_s", "pytorchvideo x3d"),
    Case("mma_x3d_s_small", "x3d_s", "mmaction2 x3d"),
    Case("psf_x3d_s_small", "x3d_s", "pyslowfast x3d"),
    Case("ptv_eff_x3d_s_small", "x3d_s", "pytorchvideo_efficient x3d"),
    Case("mov_a0_base_small", "movinet_a0", "movinet base"),
    Case("mov_a3_base_odd", "movinet_a3", "movinet base"),
    Case("mov_a0_stream", "movinet_a0_stream", "movinet stream"),
    Case("i3d_inception_small", "i3d_inception_rgb", "pytorch_i3d inception"),
    Case("i3d_inception_flow_23f_223x217", "i3d_inception_flow", "pytorch_i3d inception"),
    Case("psf_mvit_b_16x4", "mvit_b_16x4", "pyslowfast mvit"),
    Case("psf_mvit_b_16x4_jointpos_small", "mvit_b_16x4", "pyslowfast mvit", given(positions="joint")),
    Case("psf_mvit_b_16x4_max_nokernel_small", "mvit_b_16x4", "pyslowfast mvit", given(pool="max")),
    Case("psf_mvit_b_16x4_avg_96", "mvit_b_16x4", "pyslowfast mvit", given(pool="avg", pool_kernel=3)),
    Case("psf_mvit_b_32x3_small", "mvit_b24_32x3", "pyslowfast mvit"),
    Case("psf_mvitv2_s_16x4_small", "mvitv2_s_16x4", "pyslowfast mvit"),
    Case("psf_mvitv2_s_72", "mvitv2_s_16x4", "pyslowfast mvit", given(table_crop=72)),
    Case("psf_mvitv2_s_dimmulmlp_small", "mvitv2_s_16x4", "pyslowfast mvit", given(wide_attention=False)),
    Case("psf_mvitv2_s_noresidual_small", "mvitv2_s_16x4", "pyslowfast mvit", given(residual_pooling=False)),
    Case("ptv_mvit_base_16x4", "mvit_b_16x4", "pytorchvideo mvit"),
    Case("ptv_mvit_base_16x4_release015_small", "mvit_b_16x4", "pytorchvideo mvit"),  # another ε where it pools
    Case("ptv_mvit_base_32x3_small", "mvit_b_32x3", "pytorchvideo mvit"),
    Case("tv_mvit_v1_b_small", "mvit_b_16x4", "torchvision mvit"),
    Case("tv_mvit_v2_s", "mvitv2_s_16x4", "torchvision mvit"),
    Case("tv_mvit_v2_s_64x96", "mvitv2_s_16x4", "torchvision mvit", given(table_crop=96)),
    Case("tv_mvit_v2_s_72", "mvitv2_s_16x4", "torchvision mvit", given(table_crop=72)),
    Case("mma_mvit_s", "mvitv2_s_16x4", "mmaction2 mvit"),
    Case("mma_mvit_s_norelpos_small", "mvitv2_s_16x4", "mmaction2 mvit", given(relative=False, positions="joint")),
    Case("mma_mvit_b_small", "mvitv2_b_32x3", "mmaction2 mvit"),
    Case("swin_t", "swin3d_t", "video_swin swin"),
    Case("swin_t_small", "swin3d_t", "video_swin swin"),
    Case("swin_t_odd", "swin3d_t", "video_swin swin"),
    Case("swin_b_w1677_small", "swin3d_b_ssv2", "video_swin swin", given(classes=400)),
    Case("omni_swin_t_small", "swin3d_t", "omnivore swin"),
    Case("tv_swin3d_t", "swin3d_t", "torchvision swin"),
    Case("tv_swin3d_t_tshift", "swin3d_t", "torchvision swin"),
    Case("tv_swin3d_s_odd", "swin3d_s", "torchvision swin"),
    Case("mma_swin_tiny_tshift", "swin3d_t", "mmaction2 swin"),
    Case("tsf_divided_small", "timesformer_ts", "timesformer timesformer"),
    Case("tsf_space", "timesformer_s", "timesformer timesformer"),
    Case("hf_timesformer_divided_small", "timesformer_ts", "huggingface timesformer"),
    Case("hf_timesformer_joint_small", "timesformer_st", "huggingface timesformer"),
    Case("mma_timesformer_divided", "timesformer_ts", "mmaction2 timesformer"),
    Case("mma_timesformer_joint_small", "timesformer_st", "mmaction2 timesformer"),
    Case("mma_timesformer_space_small", "timesformer_s", "mmaction2 timesformer"),
    Case("hf_vivit_b_ckptkeys", "vivit_b_joint", "huggingface vivit"),
    Case("hf_vivit_b_small", "vivit_b_joint", "huggingface vivit"),
    Case(
        "hf_videoprism_small",
        "videoprism_b",
        "huggingface videoprism",
        given(dim=192, heads=3, spatial_depth=4, temporal_depth=2),
    ),
    Case("iv2_s_small", "internvideo2_s", "internvideo2 internvideo2"),
    Case("hf_vjepa2_small", "vjepa2_l", "huggingface vjepa2", given(dim=192, depth=3, heads=3, pooler=2)),
    Case("hf_vjepa2_small_eps", "vjepa2_l", "huggingface vjepa2", given(dim=192, depth=3, heads=3, pooler=2)),
    Case("vj2_small", "vjepa2_l", "vjepa2 vjepa2", given(dim=192, depth=3, heads=3, pooler=3)),
    Case("openai_clip_vit_small", "images/clip_vit_b16", "openai clip", given(**CLIP)),
    Case("hf_clip_vit_small", "images/clip_vit_b16", "huggingface clip", given(**CLIP)),
    Case("timm_clip_vit_small", "images/clip_vit_b16", "timm clip", given(**CLIP)),
    Case(
        "mma_uniformerv2_b_lmhra_small", "uniformerv2_b_lmhra", "mmaction2 uniformerv2", given(temporal_downsample=True)
    ),
    Case("mma_uniformerv2_b_small", "uniformerv2_b", "mmaction2 uniformerv2"),
    Case(
        "hf_xclip_vision_small",
        "xclip_b32",
        "huggingface xclip",
        given(patch=16, dim=192, depth=3, heads=3, mit_dim=128, mit_depth=1, mit_heads=2, classes=128),
    ),
    Case("aim_b_small", "aim_b", "aim aim"),
    Case("aim_sthv2_small", "aim_b", "aim aim", given(dim=96, depth=2, heads=3, t_adapters=2, classes=20)),
    Case("sta_b_small", "st_adapter_b", "st_adapter st_adapter"),
    Case(
        "sta_12x_small",
        "st_adapter_b",
        "st_adapter st_adapter",
        given(dim=96, depth=2, heads=3, width=24, both=False, classes=20),
    ),
    Case("vtn_vitb_small", "vtn_vit_b", "vtn vtn", share=PADDED),
    Case("mma_uniformer_s", "uniformer_s", "mmaction2 uniformer"),
    Case("mma_uniformer_s_small", "uniformer_s", "mmaction2 uniformer"),
    Case("mma_uniformer_s_small_eps", "uniformer_s", "mmaction2 uniformer"),
    Case("ufo_uniformer_s_small", "uniformer_s", "uniformer uniformer"),
    Case(
        "ufo_uniformer_image_small",
        "images/uniformer_s_image",
        "uniformer uniformer",
        given(depths=(1, 1, 2, 1), widths=(16, 32, 128, 192)),
    ),
    Case("vfn_t_small", "videofocalnet_t", "videofocalnet videofocalnet"),
    Case("msf_t_image_small", "images/focalnet_t", "focalnet focalnet", given(width=24, depths=(1, 2, 2, 1))),
    Case("hiera_b_small", "hiera_b", "hiera hiera"),
    Case("hiera_tiny2_small", "hiera_b", "hiera hiera", given(dim=48, heads=1, depths=(1, 2, 3, 2))),
    Case("hiera_tiny2_image", "images/hiera_b_image", "hiera hiera", given(dim=48, depths=(1, 2, 3, 2))),
    Case("timm_hiera_tiny2_image", "images/hiera_b_image", "timm hiera", given(dim=48, depths=(1, 2, 3, 2))),
    Case("hf_videomae_b_small", "videomae_b", "huggingface videomae"),
    Case("hf_videomae_small", "videomae_b", "huggingface videomae", given(dim=192, depth=4, heads=3)),
    Case(
        "hf_videomae_pretrain_small",
        "videomae_b_pretrain",
        "huggingface videomae",
        given(dim=192, depth=4, heads=3, patch=8, decoder_dim=96, decoder_depth=2, decoder_heads=3),
    ),
    Case("vmae_s_small", "videomae_s", "videomae videomae"),
    Case(
        "vmae_pretrain_small",
        "videomae_b_pretrain",
        "videomae videomae_pretrain",
        given(dim=48, depth=3, heads=3, patch=8, decoder_dim=32, decoder_depth=2, decoder_heads=2),
    ),
    Case(
        "psf_mae_small",
        "../docs/zoos/mae_vit",
        "pyslowfast mae",
        given(dim=96, depth=2, heads=3, patch=8, decoder_dim=64, decoder_depth=2, decoder_heads=1, ratio=0.75),
    ),
    Case(
        "mma_videomae_ava_small",
        "../docs/zoos/ava_videomae",
        "mmaction2 videomae",
        given(dim=96, depth=2, heads=3, trained=32, classes=10),
    ),
    Case("psf_rev_mvit_b_small", "rev_mvit_b", "pyslowfast rev_mvit", given(dim=24, depths=(1, 2, 2, 2), classes=20)),
    Case(
        "psf_rev_mvit_b_image_small",
        "images/rev_mvit_b_image",
        "pyslowfast rev_mvit",
        given(dim=24, depths=(1, 2, 2, 2), classes=20),
    ),
    Case("psf_rev_vit_small", "images/rev_vit_b", "pyslowfast rev_vit", given(dim=48, heads=3, depth=3)),
    Case("tv_resnet50", "images/resnet50", "torchvision resnet"),
    Case("tv_resnet101_small", "images/resnet101", "torchvision resnet"),
    Case("timm_resnet50_small", "images/resnet50", "timm resnet"),
    Case("tv_vit_b_16", "images/vit_b16", "torchvision vit"),
    Case("timm_vit_b16", "images/vit_b16", "timm vit"),
    Case("timm_deit_b_small", "images/deit_b", "timm vit"),
    Case("deit_b_small", "images/deit_b", "deit vit"),
    Case("hf_vit_b_ckptkeys", "images/vit_b16", "huggingface vit"),
    Case("hf_vit_b_small", "images/vit_b16", "huggingface vit"),
    Case("tv_convnext_t_small", "images/convnext_t", "torchvision convnext"),
    Case("timm_convnext_t_small", "images/convnext_t", "timm convnext"),
    Case("tv_swin_t", "images/swin_t", "torchvision image_swin"),
    Case("tv_swin_t_odd", "images/swin_t", "torchvision image_swin"),
    Case("timm_swin_t", "images/swin_t", "timm swin"),
    Case("timm_swin_b", "images/swin_b", "timm swin"),
    Case("swin_t_images", "images/swin_t", "swin swin"),
    Case("hf_swin_t_ckptkeys", "images/swin_t", "huggingface swin"),
    Case("hf_swin_t", "images/swin_t", "huggingface swin"),
]

# The first record of each kind of a small clip.
FEW = {c.taps: c.record for c in reversed(CASES) if "small" in c.record}
