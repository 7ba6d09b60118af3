package onnx

import "math"

// activationConstants adds the constants that activation uses.
func (g *encoder) activationConstants() {
	switch g.Activation {
	case "relu":
		return
	case "gelu":
		g.number("root", math.Sqrt2)
	default:
		g.number("cubic", 0.044715)
		g.number("root", float32(math.Sqrt(2/math.Pi)))
	}
	g.number("half", 0.5)
}

// activation returns what hidden_act makes of x. GELU is x times half of 1 + erf(x / sqrt 2), and its approximation
// half of 1 + tanh(sqrt(2/pi) (x + 0.044715 x³)) (Hendrycks and Gimpel 2016, arXiv:1606.08415, section 2).
func (g *encoder) activation(module, x string) string {
	node := func(op, name string, inputs ...string) string { return g.node(op, module+".act/"+name, inputs) }
	var y string
	switch g.Activation {
	case "relu":
		return node("Relu", "relu", x)
	case "gelu":
		y = node("Erf", "erf", node("Div", "inner", x, "root"))
	default:
		cube := node("Mul", "cube", node("Mul", "square", x, x), x)
		sum := node("Add", "sum", x, node("Mul", "cubic", cube, "cubic"))
		y = node("Tanh", "tanh", node("Mul", "inner", sum, "root"))
	}
	return node("Mul", "half", node("Mul", "product", x, node("Add", "plus", y, "1")), "half")
}
