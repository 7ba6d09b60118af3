package runlog

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protowire"
)

// crc32c computes the CRC bit by bit from its reflected polynomial,
// independently of the table-driven implementation.
func crc32c(b []byte) uint32 {
	c := ^uint32(0)
	for _, x := range b {
		c ^= uint32(x)
		for range 8 {
			c = c>>1 ^ 0x82f63b78*(c&1)
		}
	}
	return ^c
}

// TestCRC compares with RFC 3720, B.4, and the mask with TensorFlow's.
func TestCRC(t *testing.T) {
	if got := crc32c([]byte("123456789")); got != 0xe3069283 {
		t.Errorf("crc32c is %#x", got)
	}
	c := uint32(0x8a9136aa) // CRC of 32 zero bytes
	if got, want := maskedCRC(make([]byte,
		32)), uint32((uint64(c>>15)+uint64(c)<<17%(1<<32)+0xa282ead8)%(1<<32)); got != want {
		t.Errorf("mask is %#x, want %#x", got, want)
	}
}

type seen struct {
	Version string
	Step    int64
	Start   bool
	Tag     string
	Value   float32
	Text    string            // of the text plugin
	HParams map[string]string // of the hparams plugin, numbers as they print
}

// decode reads an events file by the description of the format and checks each
// CRC.
func decode(t *testing.T, b []byte) (all []seen) {
	t.Helper()
	unmask := func(at int) uint32 {
		c := binary.LittleEndian.Uint32(b[at:]) - 0xa282ead8
		return c>>17 | c<<15
	}
	for len(b) > 0 {
		n := int(binary.LittleEndian.Uint64(b))
		if unmask(8) != crc32c(b[:8]) || unmask(12+n) != crc32c(b[12:12+n]) {
			t.Fatal("CRC")
		}
		var e seen
		var values []seen
		each(t, b[12:12+n], func(field protowire.Number, v uint64, bytes []byte) {
			switch field {
			case 1:
				if s := math.Float64frombits(v); s < 1.7e9 || s > 1.8e9 {
					t.Errorf("wall time %v", s)
				}
			case 2:
				e.Step = int64(v)
			case 3:
				e.Version = string(bytes)
			case 5:
				each(t, bytes, func(_ protowire.Number, _ uint64, value []byte) {
					var s seen
					each(t, value, func(field protowire.Number, v uint64, bytes []byte) {
						switch field {
						case 1:
							s.Tag = string(bytes)
						case 2:
							s.Value = math.Float32frombits(uint32(v))
						case 8:
							each(t, bytes, func(field protowire.Number, _ uint64, bytes []byte) {
								if field == 8 {
									s.Text = string(bytes)
								}
							})
						case 9:
							s.HParams = decodeHParams(t, bytes)
						}
					})
					values = append(values, s)
				})
			case 7:
				each(t, bytes, func(field protowire.Number, v uint64, _ []byte) { e.Start = field == 1 && v == 1 })
			}
		})
		if values == nil {
			values = []seen{e}
		}
		for _, v := range values {
			v.Step = e.Step
			all = append(all, v)
		}
		b = b[16+n:]
	}
	return all
}

// decodeHParams returns the settings in the metadata of a summary, or nil if
// the metadata belongs to another plugin.
func decodeHParams(t *testing.T, metadata []byte) (settings map[string]string) {
	inside := func(b []byte, number protowire.Number, f func([]byte)) {
		each(t, b, func(field protowire.Number, _ uint64, bytes []byte) {
			if field == number {
				f(bytes)
			}
		})
	}
	inside(metadata, 1, func(plugin []byte) {
		inside(plugin, 2, func(content []byte) {
			inside(content, 3, func(start []byte) {
				settings = map[string]string{}
				inside(start, 1, func(entry []byte) {
					inside(entry, 1, func(name []byte) {
						inside(entry, 2, func(value []byte) {
							each(t, value, func(field protowire.Number, v uint64, bytes []byte) {
								settings[string(name)] = string(bytes)
								if field == 2 {
									settings[string(name)] = fmt.Sprint(math.Float64frombits(v))
								}
							})
						})
					})
				})
			})
		})
	})
	return settings
}

func each(t *testing.T, b []byte, f func(protowire.Number, uint64, []byte)) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		var v uint64
		var bytes []byte
		if b = b[n:]; typ == protowire.BytesType {
			bytes, n = protowire.ConsumeBytes(b)
		} else if typ == protowire.VarintType {
			v, n = protowire.ConsumeVarint(b)
		} else if typ == protowire.Fixed64Type {
			v, n = protowire.ConsumeFixed64(b)
		} else {
			var w uint32
			w, n = protowire.ConsumeFixed32(b)
			v = uint64(w)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		f(num, v, bytes)
		b = b[n:]
	}
}

func TestEvents(t *testing.T) {
	dir := t.TempDir()
	o := quiet()
	fixed := time.Unix(1767323045, 0)
	o.Now = func() time.Time { return fixed }
	logTo := func(r *Run) {
		// The first run has no measured step and therefore no speed; the second has
		// one.
		if o.Resume {
			fixed = fixed.Add(2 * time.Second)
			r.Advance(7, 16, 100)
		}
		r.Train(Train{Step: 7, Epoch: 0.5, Loss: 0.1, LearningRate: 1e-5, GradNorm: 2})
		r.Eval(Eval{Step: 7, Split: "dev", Loss: 0.5, Scores: map[string]float64{"accuracy": 0.75}})
		r.Eval(Eval{Step: 7, Split: "test", Loss: 0.25})
		r.Close()
	}
	logTo(open(t, dir, o))
	fixed = time.Unix(1767323000, 0) // the clock of the next machine is slow
	o.Resume, o.Step = true, 6
	logTo(open(t, dir, o))

	paths, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(paths) != 2 {
		t.Fatalf("%d events files", len(paths))
	}
	for i, want := range []string{"1767323045", "1767323046"} {
		if !strings.Contains(paths[i], "tfevents."+want+".") {
			t.Errorf("file %d is %s", i, paths[i])
		}
		b, err := os.ReadFile(paths[i])
		if err != nil {
			t.Fatal(err)
		}
		want := []seen{{Version: "brain.Event:2"}, {Start: true, Step: []int64{0, 7}[i]},
			{Step: 7, Tag: "train/loss", Value: 0.1}, {Step: 7, Tag: "train/learning_rate", Value: 1e-5},
			{Step: 7, Tag: "train/grad_norm", Value: 2}, {Step: 7, Tag: "train/epoch", Value: 0.5},
			{Step: 7, Tag: "perf/examples_per_second", Value: 8}, {Step: 7, Tag: "perf/tokens_per_second", Value: 50},
			{Step: 7, Tag: "eval/loss", Value: 0.5}, {Step: 7, Tag: "eval/accuracy", Value: 0.75},
			{Step: 7, Tag: "eval_test/loss", Value: 0.25}}
		if i == 0 {
			want = slices.Delete(want, 6, 8)
		}
		if d := cmp.Diff(want, decode(t, b)); d != "" {
			t.Errorf("file %d: -want +got\n%s", i, d)
		}
	}
}

// TestStructureEvents: TensorBoard gets the number of parameters from step 0
// on, a text for each merge and injection, and the settings.
func TestStructureEvents(t *testing.T) {
	dir := t.TempDir()
	r := open(t, dir, quiet())
	r.Settings(map[string]string{"optim.lr": "4e-4", "method.name": "lor2c"})
	structures(r)
	r.Close()
	paths, err := filepath.Glob(filepath.Join(dir, "events.out.tfevents.*"))
	if err != nil || len(paths) != 1 {
		t.Fatalf("events files %q, %v", paths, err)
	}
	b, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	var got []seen
	for _, s := range decode(t, b) {
		if s.Tag == "train/parameters" || s.Text != "" || s.HParams != nil {
			got = append(got, s)
		}
	}
	want := []seen{
		{Tag: "_hparams_/session_start_info", HParams: map[string]string{"optim.lr": "0.0004", "method.name": "lor2c"}},
		{Tag: "train/parameters", Value: 48},
		{Step: 4, Tag: "train/parameters", Value: 32},
		{Step: 4, Tag: "structure",
			Text: "step 4/10 merged layers 0-1 with the factors of the module of layer 1: score 0.7500, candidates 2, " +
				"adapter scalars 32, what-if loss 0.2500 from 0.5000"},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("-want +got\n%s", d)
	}
}
