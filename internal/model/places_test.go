package model_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/tape"
)

// places is a device that records where a pass has its integers.
type places struct {
	compute.Device
	uploads int
	embed   [3]compute.Tensor // ids, pos, types
	attn    compute.AttnOpts  // of the last layer
}

func (p *places) UploadInts(dst compute.Tensor, src []int32) {
	p.uploads++
	p.Device.UploadInts(dst, src)
}

func (p *places) Embed(dst, ids, pos, types, word, position, kind compute.Tensor) {
	p.embed = [3]compute.Tensor{ids, pos, types}
	p.Device.Embed(dst, ids, pos, types, word, position, kind)
}

func (p *places) Attention(dst, lse, q, k, v compute.Tensor, o compute.AttnOpts) {
	p.attn = o
	p.Device.Attention(dst, lse, q, k, v, o)
}

// pass runs m over b on p. It returns the offsets of ids, pos, types,
// cu_seqlens and the first rows.
func (p *places) pass(m *model.Encoder, b model.Batch) []int {
	p.Reset()
	m.Forward(m.NewPass(&tape.Tape{Dev: p}, b, model.Base{}))
	return []int{p.embed[0].Off, p.embed[1].Off, p.embed[2].Off, p.attn.CuK.Off, p.attn.CuQ.Off}
}

// TestPlaces: a pass makes one upload, and its parts have the same offsets as
// in a batch with equally many sequences and nearly as many tokens.
func TestPlaces(t *testing.T) {
	dev := &places{Device: cpu.Open[float32](1)}
	m, err := model.Load(dev, filepath.Join(goldenDir, "roberta"), stored(3), 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	ints := func(x compute.Tensor) []int32 { // reads integers through the device's own rows
		rows := make([]float32, m.Vocab)
		for i := range rows {
			rows[i] = float32(i)
		}
		table, got := dev.Alloc(compute.Shape{m.Vocab, 1}, compute.Working), dev.Alloc(compute.Shape{x.Shape.Len(), 1},
			compute.Working)
		dev.Upload(table, rows)
		dev.Gather(got, table, x)
		values, out := make([]float32, x.Shape.Len()), []int32{}
		dev.Download(values, got)
		for _, v := range values {
			out = append(out, int32(v))
		}
		return out
	}
	b := sample(40, 30, 0, 31)
	want := dev.pass(m, b)
	if dev.uploads != 1 {
		t.Errorf("%d uploads; want 1", dev.uploads)
	}
	var pos []int32
	for _, n := range []int32{40, 30, 31} {
		for i := range n {
			pos = append(pos, i+2) // RoBERTa's positions start after the padding id
		}
	}
	for what, x := range map[string][2][]int32{
		"ids": {ints(dev.embed[0]), b.IDs}, "pos": {ints(dev.embed[1]), pos}, "types": {ints(dev.embed[2]), b.Types},
		"cu_seqlens":                   {ints(dev.attn.CuK), b.Cu},
		"cu_seqlens of the first rows": {ints(dev.attn.CuQ), []int32{0, 1, 2, 3, 4}},
	} {
		if !slices.Equal(x[0], x[1]) {
			t.Errorf("%s are %v; want %v", what, x[0], x[1])
		}
	}
	for _, other := range []model.Batch{sample(40, 30, 20, 9), sample(40, 40, 20, 28)} {
		if got := dev.pass(m, other); !slices.Equal(got, want) {
			t.Errorf("%d tokens are at %v; %d were at %v", len(other.IDs), got, len(b.IDs), want)
		}
	}
	if got := dev.pass(m, sample(40, 40, 40, 40)); got[3] != want[3] || got[4] != want[4] {
		t.Errorf("with more tokens cu_seqlens are at %v; they were at %v", got[3:], want[3:])
	}
}
