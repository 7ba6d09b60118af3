package tape

import "github.com/lor2c/lor2c/internal/compute"

// PrependRows returns the rows of x with the P rows of prefix before those of each sequence. x [NK,C], prefix [P,C],
// cu [B+1] Int the cu_seqlens of x; result [NK + B P,C]. Those of the result are cu[s] + s P.
func (t *Tape) PrependRows(x *Var, prefix *Param, cu compute.Tensor) *Var {
	n, c, p := x.Value.Shape.Rows(), x.Value.Shape.Cols(), prefix.Value.Shape[0]
	check(is(prefix.Value, p, c) && cu.Shape.Len() > 0, "prepend rows", "x [NK C], prefix [P C], cu_seqlens [B+1]",
		x.Value, prefix.Value, cu)
	params("prepend rows", prefix)
	typed("prepend rows", compute.Int, cu)
	y := t.out("prepend rows", compute.Shape{n + (cu.Shape.Len()-1)*p, c}, x.needs || prefix.Trains(), x)
	t.Dev.PrependRows(y.Value, prefix.Value, x.Value, cu)
	t.watch("prepend rows", prefix.Name, y)
	if y.needs {
		t.push(y, func(dy compute.Tensor) {
			grad := func(dx compute.Tensor) { t.Dev.PrependRowsGrad(dx, prefix.grad(), dy, cu) }
			if !x.needs {
				grad(compute.Tensor{})
			}
			t.accumulate(x, grad)
		})
	}
	return y
}
