from archdsl.layers.attributes import Integer
from archdsl.layers.base import CHANNELS_LAST, FLOAT, TOKENS, VECTOR, Layer, SavedForBackward, ShapeError, layer


@layer("experts", category="linear")
class Experts(Layer):
    """Sparse mixture of experts: `k` of `n` MLPs for each position (V-MoE: Riquelme et al. 2021, section 2).

    A linear router scores the experts. The output is the sum of those of the k best, each times its softmax score. All
    experts compute all positions here, and the others count 0: shapes do not depend on values, so that the module
    compiles and exports. A kernel for chosen pairs alone would need k/n of the multiply-adds. Nothing in the layer
    evens out the load of the experts: that takes a loss of the router's output (docs/layers.md).
    """

    layouts = (TOKENS, CHANNELS_LAST, VECTOR)
    heavy = True

    n = Integer(doc="experts")
    hidden = Integer(doc="channels inside of each expert")
    k = Integer(2, doc="experts for each position")

    def infer(self, x):
        if self.k > self.n:
            raise ShapeError(f"{self.k} of {self.n} experts cannot be chosen", "k", hint=f"`k` is at most {self.n}")
        return x

    def weights(self, x):
        linears = {"0": (self.hidden, x.channels), "2": (x.channels, self.hidden)}
        of_each = {"weight": lambda shape: shape, "bias": lambda shape: shape[:1]}
        experts = {
            f"experts.{i}.{linear}.{name}": part(shape)
            for i in range(self.n)
            for linear, shape in linears.items()
            for name, part in of_each.items()
        }
        return {"router.weight": (self.n, x.channels)} | experts

    def macs(self, output, x):
        return x.elements * self.n * (1 + 2 * self.hidden)

    def saved_for_backward(self, use):
        x, size = use.inputs[0], use.precision.product
        positions = x.elements // x.channels
        scores = self.n * positions * (FLOAT + FLOAT) + self.k * positions * 8  # all, and the best with their numbers
        inside = self.n * positions * (2 * self.hidden + x.channels) * size
        casts = use.element_size != size  # autocast copies the input for the router and for each expert
        copies = (1 + self.n) * x.elements * size if casts else 0
        return SavedForBackward(inputs=not casts, own=scores + inside + copies)

    def cast_weights(self, x):
        return self.params(x)
