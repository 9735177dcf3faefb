"""Memory format of convolutions: channels-last, for which libraries are fastest and single frames are views."""

from __future__ import annotations

from archdsl.ir.regions import Conversion, Head, walk
from archdsl.ir.rewrite import insert, new_number, reconnect
from archdsl.targets.torch.ops.channels_last import ChannelsLast
from archdsl.targets.torch.select import OpNetwork, OpNode, op_of


def put_channels_last(network: OpNetwork) -> int:
    """Convert each clip to channels-last if more than one convolution follows, and return the number of conversions.

    Of one channel, both formats are the same numbers in memory, which torch takes as channels-first.
    """
    if sum(n.op.prefers_channels_last for n in network.all_nodes()) < 2:
        return 0
    clips = [clip for clip in map(network.node, network.clips.values()) if clip.shape.channels > 1]
    converted = {clip.id: number for clip in clips if (number := _put_behind(network, clip))}
    made = set(converted.values())
    for region in walk(u for u in network.regions if not isinstance(u, Head) and u.exit not in made):
        region.redirect(lambda value: converted.get(value, value))
    return len(converted)


def _put_behind(network: OpNetwork, clip: OpNode) -> int:
    """Convert a clip for all its users but the head, which reads the clip itself.

    Return the node id of the conversion; 0 if there are no such users.
    """
    users = [n for n in map(network.node, network.graph.successors(clip.id)) if not isinstance(n.region.top, Head)]
    if not users:
        return 0
    number = new_number(network)
    region = Conversion(entry=clip.id, exit=number)
    layer = ChannelsLast()
    op = op_of(layer, (clip.shape,), clip.shape)
    node = OpNode(number, layer, (clip.id,), (clip.shape,), clip.shape, region, clip.span, "channels_last", op=op)
    insert(network, node, 0)
    for user in users:
        reconnect(network, user, (number if i == clip.id else i for i in user.inputs))
    network.regions.insert(0, region)
    return number
