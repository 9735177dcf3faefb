"""Words of other libraries and languages, with their equivalents in a spec.

`LAYERS` has names of layers in PyTorch, TensorFlow, timm and papers, `FUNCTIONS` functions of Python and NumPy,
`VALUES` words for values. Their keys are normalised by `plain`. A meaning is one of:

- the name of a layer that computes the same: it is suggested;
- a category of layers (`Layer.category`) without an equivalent: the layers of that category are listed;
- a sentence: how to write it in the language.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.core.diagnostics import closest, did_you_mean
from archdsl.frontend.translate import plain

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from archdsl.layers.base import Layer

ADDING = "a layer is one Python file and one template, in a folder of ARCHDSL_LAYERS: docs/layers.md, “Add a layer”"

_SHAPE = "leave it out; shapes need no layers: between layers, permutations and reshapes are the compiler's business"
_REPEAT = "a chain is written `a -> b -> c`; `(a -> b) * 3` repeats it"
_NOTHING = "leave it out: a chain goes on without it; `if CONDITION { … }` without `else` is nothing or its braces"
_DEPTHWISE = "a depthwise convolution is `conv(in.channels, 3, groups = in.channels)`, a pointwise one `conv(width, 1)`"
_GATE = "`multiply { in, avgpool -> linear(width) -> relu -> linear(in.channels) -> sigmoid }`"
_JOIN = "values are joined by `add`, `blend`, `concat`, `max`, `mean` and `multiply`; other joins have no layer yet"
_LACKING = {_JOIN}
_TOKENS = "`class_token`, before the attention; `select(token)` takes it out again"
_BLOCK = "`residual { … -> … } shortcut if CONDITION { … }`, or a block of `import resnet`"
_ENCODER = "`import transformer` brings `encoder(heads)`; the one layer in it that attends is `attention`"
_SHORTCUT = "`residual { … }` adds its input to the result; `residual { … } shortcut { … }` takes it through layers"
_LOSS = "a spec ends in the logits; the loss is training's: `recipe label_smoothing = 0.1`"
_OUTPUT = "leave it out; a spec ends in the logits: training and `archdsl predict` apply the softmax"
_PATHS = "a path begins with `path NAME = CHAIN`; its lines in a stage begin with `NAME:`"
_VALUE = "a layer's input has no name: a chain goes on from what stands left of `->`, in a stage from the path"


def _by_word(*rows: tuple[str, str]) -> Mapping[str, str]:
    """Return the meaning of each word; a row has words of one meaning."""
    return {word: meaning for words, meaning in rows for word in words.split()}


LAYERS = _by_word(
    # activations
    (
        "activation act elu selu celu prelu rrelu leakyrelu mish softplus",
        "activation",
    ),
    ("quickgelu", "`gelu(quick = on)`"),
    ("logistic", "sigmoid"),
    ("swish", "silu"),
    ("hswish", "hardswish"),
    ("hsigmoid", "hardsigmoid"),
    ("glu", "`multiply { linear(width), linear(width) -> sigmoid }`"),
    ("geglu", "`multiply { linear(width), linear(width) -> gelu }`"),
    ("swiglu", "`multiply { linear(width), linear(width) -> silu }`"),
    # norms
    ("batchnorm batchnormalization batchnormalisation bnorm norm syncbatchnorm", "bn"),
    ("ln layernormalization layernormalisation", "layernorm"),
    ("rootmeansquarenorm llamarmsnorm", "rmsnorm"),
    ("normalize normalise l2normalize unitnorm unitnormalization", "l2norm"),
    ("gn", "groupnorm"),
    ("instancenorm", "`groupnorm(64)` of 64 channels has a group for each"),
    ("localresponsenorm lrn weightnorm spectralnorm", "norm"),
    ("layerscale rezero", "scale"),
    # convolutions
    ("convolution cnn pointwise pointwiseconv", "conv"),
    ("depthwise depthwiseconv dwconv separableconv depthwiseseparableconv", _DEPTHWISE),
    ("deconv convtranspose transposedconv", "conv_transpose"),
    ("conv2plus1 deformconv", "convolution"),
    ("conv2plus r2plus", "`import r2plus1d` brings `conv2plus1d(width)`"),
    # linear layers
    ("fc dense fullyconnected classifier denselayer", "linear"),
    ("bilinear", "linear"),
    (
        "embedding",
        "`position` adds learned vectors to positions; patches are embedded by `conv` with its stride as kernel",
    ),
    ("rnn", "no layer has a state; `conv` with a kernel over t, and `attention(over = time)`, look along time"),
    # pools
    ("gap globalavgpool globalaveragepooling averagepool averagepooling avgpooling", "avgpool"),
    ("adaptiveavgpool adaptivepool globalpool globalpooling", "avgpool"),
    ("maxpooling globalmaxpool globalmaxpooling adaptivemaxpool", "maxpool"),
    ("pool pooling lppool spp unpool maxunpool", "pool"),
    ("roi roipool roialign multiscaleroialign", "roi_align"),
    # shapes
    ("flatten reshape view permute transpose squeeze unsqueeze rearrange unflatten contiguous einsum expand", _SHAPE),
    ("interpolate resize unpooling upsampling pixelshuffle", "upsample"),
    ("pad zeropad constantpad reflectionpad", "the `padding` of `conv` and of poolings pads: `padding = [0, 1, 1]`"),
    ("spacetodepth", "space_to_channel"),
    ("focus", "space_to_channel"),
    ("patchmerging", "`import swin` brings `patch_merging`; its packing alone is `space_to_channel`"),
    ("subsample temporalsubsample framesampling", "every"),
    ("temporalshift tsm", "shift"),
    ("framedifference temporaldifference diff", "difference"),
    ("cumsum cummean runningmean cumulativeaverage", "cumulative_mean"),
    ("temporaladaptiveconv dynamicconv involution", "temporal_filter"),
    (
        "slice narrow chunk split",
        "`channels(start, n)` takes n channels: `concat { channels(0, 8), channels(8, 8) -> relu }`",
    ),
    # attention and its surroundings
    ("selfattention multiheadattention multiheadselfattention mha mhsa msa attn", "attention"),
    ("crossattention", "attention"),
    (
        "windowattention shiftedwindowattention swinattention localattention",
        "`attention(heads, window = [8, 7, 7], shift = [4, 3, 3])`",
    ),
    ("nonlocal nonlocalblock", "`import resnet` brings `non_local`"),
    ("transformer transformerencoder transformerencoderlayer transformerblock vitblock", _ENCODER),
    ("mlp ffn feedforward mlpblock", "`import transformer` brings `mlp(ratio = 4)`: linear, gelu, linear"),
    (
        "patchembed patchembedding tubeletembedding tubelet stemconv",
        "patches are embedded by `conv(width, [1, 16, 16], stride = [1, 16, 16], padding = valid, bias = on)`",
    ),
    ("clstoken cls classembedding", _TOKENS),
    ("posembed posembedding positionembedding positionalencoding positionalembedding pe", "position"),
    ("segmentembedding tokentypeembedding", "token_type"),
    ("rope rotaryembedding rotarypositionembedding rotarypositionalembedding rotarypositionencoding", "rotary"),
    ("latent learnedqueries querytokens querytoken learnedquery", "latents"),
    ("se semodule seblock squeezeexcitation squeezeandexcitation squeezeexcite senet eca cbam", _GATE),
    # regularisation
    ("stochasticdepth droppath", "drop_path"),
    ("alphadropout featurealphadropout dropblock", "regularisation"),
    # joins
    ("cat concatenate stack torchcat hstack", "concat"),
    ("sum plus addition eltwiseadd", "add"),
    ("average avg", "mean"),
    ("mul product times hadamard eltwisemul", "multiply"),
    ("matmul bmm", _JOIN),
    ("maximum", "max"),
    ("parallel branches branch", "`concat { a, b }`, `add { a, b }` or `mean { a, b }` joins branches"),
    # structure
    ("sequential modulelist seq block layers chain compose", _REPEAT),
    ("repeat loop", _REPEAT),
    ("identity noop pass skipif lambda", _NOTHING),
    ("basicblock resblock residualblock resnetblock", _BLOCK),
    ("skip skipconnection residualconnection downsample shortcutconv", _SHORTCUT),
    ("logsoftmax argmax", _OUTPUT),
    ("loss crossentropy crossentropyloss bceloss mseloss criterion", _LOSS),
    ("slow fast rgb flow", _PATHS),
    ("x input inputs out output y self", _VALUE),
    ("print assert", "`archdsl cost`, `draw` and `compile --print shapes` show what a network is"),
    ("lstm gru recurrent convlstm", "no layer has a state; `attention(over = time)` looks along time"),
)

_EXACT = "values are exact numbers, and there is no such function"
FUNCTIONS = _by_word(
    ("range", "`a..b` is a range, and `b` belongs to it: `0..n - 1`"),
    ("arange", "`a..b` is a range, and `b` belongs to it: `0..n - 1`"),
    ("enumerate", "`zip(0.., list)` numbers the elements of a list"),
    ("int", "`floor(x)`, `ceil(x)` or `round(x)` makes a whole number; `a // b` divides and rounds down"),
    ("float", "numbers are exact, and need no conversion"),
    ("abs", "`max(x, -x)`"),
    ("pow", "a power is written `a ** 2`"),
    ("sqrt log log2 exp sin cos linspace logspace", f"{_EXACT}: write the number, or a list of them"),
    ("list tuple array tensor np torchtensor", "a list is written `[1, 2, 3]`; a range is a list"),
    ("sorted reversed map filter", "`[EXPRESSION for x in list if CONDITION]` makes a list of another"),
    ("any", "`x in list` looks for an element; conditions are joined by `and` and `or`"),
    ("str format repr", "text is only shown, never computed; a label has numbers as in `stage res{i}`"),
    ("prod", "multiply the elements: `a[0]*a[1]`"),
    ("mean", "`sum(list) / len(list)`"),
    ("bool isinstance type print dict set", "values are numbers, `on` and `off`, words and lists"),
)

# Arguments of layers elsewhere that have no counterpart, with the reason.
_ENTERING = "the channels that enter are known and never given"
_COMPILED = "a module is converted in Python, by `model.to(…)`"
_LEARNED = "scale and shift are always learned, and statistics kept"
_FEW = "poolings have `kernel`, `stride`, `padding` and `ceil`, and averages `count_padding`"
LEFT_OUT = _by_word(
    ("in_channels in_features num_features normalized_shape embed_dim in_planes inplanes axis", _ENTERING),
    ("inplace", "whether memory is overwritten is the compiler's business"),
    ("padding_mode", "grids are padded with zeros"),
    ("dilation dilation_rate", "`conv` and `attention` have a dilation"),
    (
        "output_padding",
        "kernel, stride and padding say the size; `conv_transpose(8, 4, stride = 2, padding = 1)` doubles a grid",
    ),
    ("output_size keepdims", "`avgpool` without arguments leaves one position"),
    ("device dtype", _COMPILED),
    ("batch_first data_format batch_size", "the batch is never written, and channels stand first"),
    ("affine elementwise_affine track_running_stats center trainable", _LEARNED),
    ("return_indices divisor_override", _FEW),
    ("padding", "`conv`, `avgpool` and `maxpool` have a padding"),
    ("bias", "`conv` and `linear` have a bias; norms always learn scale and shift"),
    ("approximate", "`gelu` is the exact one, `tanh = on` and `quick = on` the approximations"),
    ("add_bias_kv add_zero_attn", "attention has no vectors besides its input's and those of `tokens`"),
    ("norm norm_layer norm_cfg batch_norm use_bn", "a norm is a layer behind it: `-> bn`"),
    ("conv_cfg", "`conv` is the one convolution"),
    ("act_layer act_cfg nonlinearity", "an activation is a layer behind it: `-> relu`"),
    ("input_shape", "the input has a statement: `input clip: video[3, 16, 112, 112]`"),
    ("kernel_regularizer bias_regularizer weight_decay", "weight decay is training's: `recipe weight_decay = 1e-4`"),
    ("activity_regularizer kernel_constraint bias_constraint", "training has weight decay alone"),
    ("seed noise_shape", "dropout draws each element anew; `archdsl train --seed` fixes the random numbers"),
)
# Arguments of attentions elsewhere that are lines here, in braces.
LINES = _by_word(
    (
        "key_dim head_dim dim_head kdim vdim value_dim",
        "channels are those of a line in braces: `qkv: linear(64)`",
    ),
    (
        "use_bias qkv_bias add_bias bias_qkv with_bias",
        "a line in braces says it: `qkv: linear(in.channels, bias = off)`",
    ),
    ("qk_norm qk_layernorm", "a line in braces says it: `qk: each_head { layernorm as norm }`"),
    ("rel_pos rel_pos_bias relative_position_bias use_rel_pos", "a line in braces says it: `bias: table`"),
    ("proj_drop proj_dropout", "`-> dropout(0.1)` behind it"),
    (
        "q k v qk qv kv qkv query key value context memory",
        "queries, keys and values are lines in braces, all three, such as `kv: other -> linear(in.channels)`",
    ),
)
# Arguments of layers elsewhere, with those here: the first that the layer or block has.
RENAMED: Mapping[str, tuple[str, ...]] = {
    word: tuple(ours.split())
    for words, ours in (
        ("out_channels out_features out_planes planes filters features units channels hidden", "out width"),
        ("num_classes n_classes nclasses classes num_class", "out classes"),
        ("kernel_size pool_size filter_size ksize size k", "kernel"),
        ("strides step s", "stride"),
        ("pad pads", "padding"),
        ("dilation_rate", "dilation"),
        ("ceil_mode", "ceil"),
        ("output_size", "size"),
        ("scale_factor scale", "factor"),
        ("count_include_pad", "count_padding"),
        ("num_heads n_heads nhead num_attention_heads", "heads"),
        ("key_dim head_dim", "dim"),
        ("window_size", "window"),
        ("rate prob drop drop_prob drop_rate dropout_rate dropout dropout_ratio", "p rate dropout"),
        ("attn_drop attn_dropout attention_dropout", "dropout"),
        ("use_bias qkv_bias with_bias", "bias"),
        ("group num_groups", "groups"),
        ("epsilon", "eps"),
        ("kernel_initializer weight_init initializer", "init"),
        ("bias_initializer", "bias_init"),
    )
    for word in words.split()
}

# Words of layers elsewhere, with those here.
WORDS: Mapping[str, str] = {
    "trilinear": "linear", "bilinear": "linear", "replicate": "repeat", "edge": "repeat", "zeros": "zero",
}  # fmt: skip

# Libraries of Python, which no spec imports.
LIBRARIES = {"torch", "torchvision", "numpy", "math", "typing", "os", "sys", "timm", "einops", "pytorchvideo"}
NOTHING = {"None", "null", "nil", "none", "Null"}
VALUES: Mapping[str, str] = {
    "True": "write `on` or `true`",
    "False": "write `off` or `false`",
    "in_channels": "write `in.channels`",
    "in_features": "write `in.channels`",
    "inplanes": "write `in.channels`",
    "yes": "write `on`",
    "no": "write `off`",
    "inf": "numbers are finite",
    "nan": "numbers are finite",
}


def layer_meaning(name: str, layers: Mapping[str, type[Layer]], known: Collection[str]) -> tuple[str, bool]:
    """Return a hint for an unknown layer, and True if it is a layer that the user could add.

    Args:
        name: the name in the spec.
        layers: the layers that are available in specs, by name.
        known: names of layers, and of the blocks and values in scope.
    """
    bare = plain(name)
    alike = [k for k in sorted(known) if plain(k) == bare]
    if alike:
        return f"did you mean `{alike[0]}`?", False
    meaning = LAYERS.get(bare) or _by_part(bare)
    close = closest(name, known)
    if meaning is None or (close and bare not in LAYERS):
        return (did_you_mean(name, known), False) if close else (_overview(layers), True)
    if meaning in layers:
        return f"did you mean `{meaning}`?", False
    if " " in meaning:
        return meaning, meaning in _LACKING
    category = [k for k, c in sorted(layers.items()) if c.category == meaning]
    return (f"{_PLURAL.get(meaning, meaning)} here: {_listed(category)}" if category else _overview(layers)), True


MOST_LISTED = 12  # layers in a hint

# Prefixes and suffixes of names, with the category that they indicate; the first match has precedence.
_PARTS = {
    "norm": "norm", "attention": "attention", "attn": "attention", "drop": "regularisation", "relu": "activation",
    "lu": "activation", "sigmoid": "activation", "pool": "pool", "conv": "convolution", "linear": "linear",
    "pos": "position", "token": "position",
}  # fmt: skip
_PLURAL = {
    "activation": "activations", "norm": "norms", "convolution": "convolutions", "pool": "pools",
    "linear": "linear layers",
    "attention": "attention", "regularisation": "layers of regularisation", "merge": "joins",
    "sampling": "layers that choose or pack positions", "position": "layers of positions and class tokens",
}  # fmt: skip


def _by_part(bare: str) -> str | None:
    return next(
        (c for part, c in _PARTS.items() if bare.endswith(part) or (bare.startswith(part) and part != "lu")), None
    )


def _overview(layers: Mapping[str, type[Layer]]) -> str:
    """Return a list of a few layers as text, or where all of them are listed."""
    if len(layers) > MOST_LISTED:
        return "`archdsl layers` lists all layers, `archdsl list --blocks` the blocks that an `import` brings"
    return f"layers are {_listed(sorted(layers))}"


def _listed(names: Collection[str]) -> str:
    return ", ".join(f"`{n}`" for n in names)
