//go:build cuda && cgo && linux && amd64

package gpu

import (
	"fmt"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
)

// download waits for a tensor and returns its values.
func download(d compute.Device, x compute.Tensor) []float32 {
	v := make([]float32, x.Shape.Len())
	d.Download(v, x)
	return v
}

// ramp returns 0, 1, 2 ...
func ramp(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i % 251)
	}
	return x
}

// captured returns the number of graphs that a device has captured.
func captured(d *Device) (n int) {
	for _, g := range d.queue.graphs {
		if g.captured {
			n++
		}
	}
	return n
}

// TestReplay runs steps with different masks and slightly different numbers of rows. All must use one graph, and the
// results must be those of a device without graphs.
func TestReplay(t *testing.T) {
	const c = 24
	d, want := openCard(t, Options{}), cpu.Open[float32](1)
	defer d.Close()
	step := func(dev compute.Device, n, step int) []float32 {
		dev.Reset()
		x, y, sums := dev.Temp(compute.Shape{n, c}, compute.Working), dev.Temp(compute.Shape{n, c},
			compute.Working), dev.Temp(compute.Shape{c}, compute.Exact)
		dev.Upload(x, ramp(n*c))
		dev.Fill(sums, 1)
		dev.Dropout(y, x, compute.Dropout{P: 0.5, Key: 9, Step: uint32(step), Site: 3, Row: uint32(100 * step)})
		dev.SumRows(sums, y)
		return append(download(dev, sums), download(dev, y)...)
	}
	for i, n := range []int{100, 97, 99, 98, 100} {
		if got, want := step(d, n, i), step(want, n, i); !slices.Equal(got, want) {
			t.Fatalf("step %d with %d rows: the first values are %v; want %v", i, n, got[:4], want[:4])
		}
	}
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if n := captured(d); n != 1 {
		t.Errorf("%d graphs were captured; want 1 for all steps of a shape class", n)
	}
}

// TestCopiesReplay checks that a replayed copy may read and write other addresses in each step.
func TestCopiesReplay(t *testing.T) {
	d := openCard(t, Options{})
	defer d.Close()
	x, ring := d.Alloc(compute.Shape{4}, compute.Exact), d.Alloc(compute.Shape{5, 4}, compute.Exact)
	for i := range 5 {
		d.Upload(x, []float32{float32(i), 7, 8, 9})
		d.Copy(ring.View(i, i+1), x)
		if err := d.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := download(d, ring), []float32{
		0, 7, 8, 9, 1, 7, 8, 9, 2, 7, 8, 9, 3, 7, 8, 9, 4, 7, 8, 9,
	}; !slices.Equal(got, want) {
		t.Errorf("the ring holds %v; want %v", got, want)
	}
	if n := captured(d); n != 1 {
		t.Errorf("%d graphs were captured; want 1", n)
	}
}

// TestSlotsOfAnOp checks that slots remain valid until their op is done, even if every launch is submitted at once.
func TestSlotsOfAnOp(t *testing.T) {
	for _, eager := range []string{"0", "1"} {
		t.Run("sync="+eager, func(t *testing.T) {
			t.Setenv("LOR2C_SYNC", eager)
			d := openCard(t, Options{})
			defer d.Close()
			x := d.Temp(compute.Shape{8}, compute.Working)
			fill := func(n ptr, v float32) {
				launch(d, "fill_f32", grid{x: 1}, 256, 0, fillArgs{dst: d.at(x), n: n, value: v})
			}
			eight := d.count(8)
			fill(eight, 1)
			fill(d.count(3), 2)
			fill(eight, 3)
			if got := download(d, x); slices.IndexFunc(got, func(v float32) bool { return v != 3 }) >= 0 {
				t.Errorf("x = %v; want 3 throughout", got)
			}
		})
	}
}

// TestShapesDoNotShare checks that a list is replayed only for an equal list.
func TestShapesDoNotShare(t *testing.T) {
	d := openCard(t, Options{})
	defer d.Close()
	for range 3 {
		for _, n := range []int{8, 300, 4000} {
			d.Reset()
			x := d.Temp(compute.Shape{n}, compute.Working)
			d.Fill(x, float32(n))
			got := download(d, x)
			if i := slices.IndexFunc(got, func(v float32) bool { return v != float32(n) }); i >= 0 {
				t.Fatalf("element %d of %d is %v", i, n, got[i])
			}
		}
	}
}

// TestUploadKeepsItsPlace checks that earlier ops read the destination of an upload before it changes, and that later
// ops read the new values.
func TestUploadKeepsItsPlace(t *testing.T) {
	d := openCard(t, Options{})
	defer d.Close()
	const n = 5000
	for round := range 6 {
		d.Reset()
		x, y, z := d.Temp(compute.Shape{n}, compute.Working), d.Temp(compute.Shape{n},
			compute.Working), d.Temp(compute.Shape{n}, compute.Working)
		first, second := float32(round), float32(100+round)
		d.Fill(x, first)
		d.Copy(y, x)
		values := make([]float32, n)
		for i := range values {
			values[i] = second
		}
		d.Upload(x, values)
		clear(values) // the caller may change the source at once
		d.Copy(z, x)
		for _, want := range []struct {
			x compute.Tensor
			v float32
		}{{y, first}, {z, second}} {
			got := download(d, want.x)
			if i := slices.IndexFunc(got, func(v float32) bool { return v != want.v }); i >= 0 {
				t.Fatalf("round %d: element %d is %v; want %v", round, i, got[i], want.v)
			}
		}
	}
}

// TestLargeUpload copies more than all of the pinned memory, so that each block is used more than once.
func TestLargeUpload(t *testing.T) {
	for _, p := range precisions {
		t.Run("dtype="+p.name, func(t *testing.T) {
			d := openCard(t, Options{Narrow: p.narrow})
			defer d.Close()
			x := d.Alloc(compute.Shape{stagingBlocks*stagingBytes/int(d.Bytes(compute.Working)) + 12345}, compute.Working)
			want := ramp(x.Shape.Len()) // exact in bfloat16
			d.Upload(x, want)
			if got := download(d, x); !slices.Equal(got, want) {
				t.Error("the downloaded values differ from the uploaded ones")
			}
		})
	}
}

// TestGraphsAreBounded: the number of graphs stays below its limit with many
// shapes, each of which occurs twice and is captured.
func TestGraphsAreBounded(t *testing.T) {
	d := openCard(t, Options{})
	defer d.Close()
	for i := range maxGraphs + 20 {
		for range 2 {
			d.Reset()
			d.Fill(d.Temp(compute.Shape{10}, compute.Working), float32(i))
		}
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	if n := len(d.queue.graphs); n != maxGraphs {
		t.Errorf("%d lists are kept; want %d", n, maxGraphs)
	}
}

// TestGraphMemory: captured graphs take at most maxGraphBytes together, the oldest are destroyed, and the free memory
// that the device reports leaves room for them.
func TestGraphMemory(t *testing.T) {
	const perKernel = 1 << 20
	fake(t).SetGraphMemory(t, perKernel)
	defer func(old int64) { maxGraphBytes = old }(maxGraphBytes)
	maxGraphBytes = 5*perKernel + 100
	d := openCard(t, Options{})
	defer d.Close()
	free := d.Stats().Free
	step := func(i int) {
		for range 2 {
			d.Reset()
			d.Fill(d.Temp(compute.Shape{10}, compute.Working), float32(i))
		}
	}
	for i := range 20 {
		step(i)
	}
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	captured := 0
	for _, g := range d.queue.graphs {
		if g.captured {
			captured++
		}
	}
	if captured != 5 || d.queue.bytes != 5*perKernel {
		t.Errorf("%d graphs of %d bytes in all; want 5 of %d", captured, d.queue.bytes, 5*perKernel)
	}
	// The arena of the steps is the only other allocation since.
	if got := d.Stats(); free-got.Free > 1<<20 {
		t.Errorf("%d bytes fewer are free than before the graphs; their memory was not reserved", free-got.Free)
	}
}

// TestNoMemoryForGraphs: if the card has no memory for a graph, steps run without graphs.
func TestNoMemoryForGraphs(t *testing.T) {
	driver := fake(t)
	driver.SetGraphMemory(t, 1<<40)
	d := openCard(t, Options{})
	defer d.Close()
	x := d.Alloc(compute.Shape{10}, compute.Working)
	launches := driver.Calls("cuGraphLaunch")
	for i := range 5 {
		d.Reset()
		d.Fill(x, float32(i))
	}
	got := make([]float32, 10)
	d.Download(got, x)
	if err := d.Sync(); err != nil {
		t.Fatal(err)
	}
	if got[9] != 4 || driver.Calls("cuGraphLaunch") != launches {
		t.Errorf("x is %v after %d launches of graphs; want 4 and none", got[9], driver.Calls("cuGraphLaunch")-launches)
	}
}

func TestToBfloat16(t *testing.T) {
	for _, c := range []struct {
		x    float32
		want uint16
	}{{1, 0x3f80}, {-2, 0xc000}, {1.00390625, 0x3f80}, {1.01171875, 0x3f82}, {3.4e38, 0x7f80}, {1e-45, 0}} {
		t.Run(fmt.Sprintf("x=%v", c.x), func(t *testing.T) {
			if got := toBfloat16(c.x); got != c.want {
				t.Errorf("toBfloat16 = %#x; want %#x", got, c.want)
			}
		})
	}
}
