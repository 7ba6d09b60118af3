package compute_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

func TestShape(t *testing.T) {
	for _, c := range []struct {
		shape           compute.Shape
		len, rows, cols int
	}{
		{compute.Shape{5}, 5, 1, 5}, {compute.Shape{2, 3}, 6, 2, 3}, {compute.Shape{2, 3, 4}, 24, 6, 4},
		{compute.Shape{0, 7}, 0, 0, 7},
	} {
		t.Run(fmt.Sprintf("shape=%v", c.shape), func(t *testing.T) {
			if got := []int{c.shape.Len(), c.shape.Rows(), c.shape.Cols()}; !slices.Equal(got, []int{c.len, c.rows, c.cols}) {
				t.Errorf("len, rows, cols = %v; want %d %d %d", got, c.len, c.rows, c.cols)
			}
		})
	}
	if got := (compute.Shape{}).Len(); got != 1 {
		t.Errorf("a scalar has %d elements; want 1", got)
	}
}

func TestViewsShareStorage(t *testing.T) {
	x := compute.Tensor{Shape: compute.Shape{6, 2, 5}, Buf: "buffer", Off: 100}
	v := x.View(2, 5)
	if !slices.Equal(v.Shape, compute.Shape{3, 2, 5}) || v.Off != 120 || v.Buf != x.Buf {
		t.Errorf("View(2, 5) = %+v; want shape [3 2 5] at 120", v)
	}
	s := v.Slice(7, compute.Shape{4})
	if !slices.Equal(s.Shape, compute.Shape{4}) || s.Off != 127 || s.Buf != x.Buf {
		t.Errorf("Slice(7, [4]) = %+v; want shape [4] at 127", s)
	}
	if !slices.Equal(x.Shape, compute.Shape{6, 2, 5}) || x.Off != 100 {
		t.Errorf("the tensor itself became %+v", x)
	}
	if !x.Present() || (compute.Tensor{}).Present() {
		t.Error("Present() does not distinguish a tensor from the zero Tensor")
	}
}

func TestShapeError(t *testing.T) {
	err := &compute.ShapeError{Op: "linear", Want: "x [N K]", Got: []compute.Shape{{2, 3}, nil}}
	if got, want := err.Error(), "compute: linear: shapes are [[2 3] []]; want x [N K]"; got != want {
		t.Errorf("Error() = %q; want %q", got, want)
	}
}
