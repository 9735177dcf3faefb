"""Maps of names for a source called `theirs`, of a small network and of one whose blocks they number through."""

from __future__ import annotations

NET = """\
arch net
param classes = 6, eps = 1e-3, rare = 1
input clip: video[3, 4, 8, 8]
stage conv1 { conv(8, 3) -> bn(eps = eps) -> relu }
stage res2 { conv(8, 1 if rare < 3 else 3) -> bn(eps = eps) -> relu }
head: avgpool -> linear(classes)
"""
MAP = """\
weights theirs for net
"The zoo of another project."
param eps = 1e-5
words n = conv1: 0, res2: 1
words moment = weight: scale, running_mean: mean, running_var: var, num_batches_tracked: seen
{n}.conv.{t} = blocks.{n}.conv3d.{t} : o i t h w -> t h w i o
{n}.bn.{moment} = blocks.{n}.norm.{moment}
{conv1|res2}.bn.bias = norms.bias : c -> 1 c
head.linear.weight = {first|second}.weight
    : o i -> i 1 o
head.linear.bias = fc.bias
drop aux.{any*}
"""
SOURCE = "theirs"
FLAT = """\
weights theirs for stages
number block = stage{s}.{i}, stage{s}.blocks.{i}, neck
stem.conv.{t} = stem.{t}
{block}.conv.{t} = blocks.{block}.conv.{t}
{block}.bn.{t} = blocks.{block}.norm.{t}
head.linear.{t} = fc.{t}
also blocks.{i}.attn.conv.{t} = blocks.{i}.conv.{t}
or layers.{i}.norm1.{t} = blocks.{i}.norm.{t}
or layers.{i}.conv.{t} = blocks.{i}.conv.{t}
or layers.{i}.inner.conv.{t} = blocks.{i}.attn.conv.{t}
or classifier.{t} = fc.{t}
drop blocks.{block}.index
"""
