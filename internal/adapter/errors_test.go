package adapter_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/adapter"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute/nulldev"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
)

// TestOpenCopiedLink: best is a link in a run directory, and cp -r copies it as one.
func TestOpenCopiedLink(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mine")
	if err := os.Symlink("checkpoint-3", dir); err != nil {
		t.Skip(err)
	}
	_, err := adapter.Open(dir)
	want := "adapter: open " + dir + `: it is a link to "checkpoint-3", which is not there; want a copy of that directory, ` +
		"as cp -rL makes it"
	if err == nil || err.Error() != want || !place.IsMistake(err) {
		t.Errorf("error %v; want %s", err, want)
	}
}

// TestOpenFaults opens the directories of testdata.
func TestOpenFaults(t *testing.T) {
	peft := func(dir, fault string) [2]string {
		return [2]string{dir, "adapter: open testdata/" + dir + "/adapter_config.json" + fault}
	}
	unsupported := func(dir, fault string) [2]string {
		return peft(dir, ": "+fault+"; lor2c reads plain LoRA adapters of PEFT")
	}
	for _, c := range [][2]string{
		{"no-config", "adapter: open testdata/no-config: there is neither lor2c.json nor adapter_config.json, only " +
			"notes.txt; want a directory that lor2c train or PEFT wrote"},
		peft("broken-peft",
			`:4:1: "}" stands where a key in double quotes must be; want the JSON that PEFT writes`),
		{"broken-lor2c", "adapter: open testdata/broken-lor2c/lor2c.json:3:27: the text ends before its JSON value is " +
			"complete; want the file that lor2c train wrote"},
		{"other-format", "adapter: open testdata/other-format/lor2c.json: format is 2; this lor2c reads 1"},
		{"bad-method", "adapter: open testdata/bad-method/lor2c.json: method.rank: is 0; want 1 to 256\nadapter: open " +
			"testdata/bad-method/lor2c.json: method.alpha: is -1; want more than 0"},
		peft("loha", `: peft_type is "LOHA"; lor2c reads ADALORA, IA3, LORA, PREFIX_TUNING, VERA of PEFT`),
		peft("rank-pattern", ": rank_pattern has no positive number for \"layer.0.attention.self.query\"; want an object "+
			"that has a number for each expression"),
		peft("alpha-pattern", ": alpha_pattern has the expression \"(?=layer)query\", which lor2c cannot read; want an "+
			"object that has a number for each expression"),
		unsupported("bias", `bias is "lora_only"`),
		{"no-tensors", "adapter: open testdata/no-tensors: there is no adapter_model.safetensors, only " +
			"adapter_config.json; want the whole directory that lor2c train or PEFT wrote"},
	} {
		t.Run("dir="+c[0], func(t *testing.T) {
			s, err := adapter.Open(filepath.Join("testdata", c[0]))
			if err == nil {
				s.Close()
			}
			if got := fmt.Sprint(err); got != c[1] {
				t.Errorf("error\n%s\nwant\n%s", got, c[1])
			}
			want := strings.HasSuffix(c[1], " of PEFT") || strings.HasSuffix(c[1], "for each expression")
			if errors.Is(err, adapter.ErrMismatch) != want {
				t.Errorf("error %v is ErrMismatch: %v; want %v", err, !want, want)
			}
		})
	}
}

// rewrite changes the tensors of an adapter directory.
func rewrite(t *testing.T, dir string, change func(checkpoint.Tensor) []checkpoint.Tensor) {
	t.Helper()
	path := filepath.Join(dir, "adapter_model.safetensors")
	f, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []checkpoint.Tensor
	for _, name := range f.Names() {
		_, shape, _ := f.Info(name)
		x := checkpoint.Tensor{Name: name, Shape: shape, Data: make([]float32, product(shape))}
		if err := f.ReadInto(x.Data.([]float32), name); err != nil {
			t.Fatal(err)
		}
		tensors = append(tensors, change(x)...)
	}
	var out bytes.Buffer
	if err := checkpoint.Write(&out, nil, tensors); err != nil {
		t.Fatal(err)
	}
	// The file is mapped, so it is replaced and not written to.
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	write(t, path, out.String())
}

func product(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// TestRestoreFaults damages the tensors of an adapter that lor2c wrote. If a
// file is refused, the parameters must not change.
func TestRestoreFaults(t *testing.T) {
	const (
		a    = "base_model.model.roberta.encoder.layer.2.attention.self.query.lora_A.weight"
		head = "base_model.model.classifier.out_proj.bias"
	)
	drop := func(name string) func(checkpoint.Tensor) []checkpoint.Tensor {
		return func(x checkpoint.Tensor) []checkpoint.Tensor {
			if x.Name == name {
				return nil
			}
			return []checkpoint.Tensor{x}
		}
	}
	for _, c := range []struct {
		name   string
		change func(checkpoint.Tensor) []checkpoint.Tensor
		want   string
	}{
		{"missing-head", drop(head),
			"the tensor of the classification head " + head + " is missing; want all 10 tensors of the method and the head"},
		{"missing-adapter", drop(a), "the tensor " + a + " is missing; want all 10 tensors of the method and the head"},
		{"wrong-shape", func(x checkpoint.Tensor) []checkpoint.Tensor {
			if x.Name == a {
				x.Shape = []int{x.Shape[1], x.Shape[0]}
			}
			return []checkpoint.Tensor{x}
		}, a + " is [32 4]; the model and the method need [4 32]"},
		{"extra", func(x checkpoint.Tensor) []checkpoint.Tensor {
			if x.Name != a {
				return []checkpoint.Tensor{x}
			}
			y := x
			y.Name = strings.Replace(a, "layer.2", "layer.3", 1)
			return []checkpoint.Tensor{x, y}
		}, "unexpected tensor " + place.Quote(strings.Replace(a, "layer.2", "layer.3", 1)) +
			": method lora has no such parameter on this model"},
	} {
		t.Run("fault="+c.name, func(t *testing.T) {
			dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, "roberta")
			method := adapter.Configure("lora", adapter.Values{"rank": 4, "alpha": 16, "target_modules": []string{"query"}})
			n := goldenNetwork(t, dev, base, method, 1)
			dir := saved(t, n, describe(t, n, base, method))
			rewrite(t, dir, c.change)
			s, err := adapter.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			fresh := goldenNetwork(t, dev, base, method, 2)
			before := download(dev, fresh.Method.Params()[0].Value)
			err = s.Restore(dev, fresh.Method, fresh.Model.Head())
			if got, want := fmt.Sprint(err), "adapter: load "+filepath.Join(dir, "adapter_model.safetensors")+": "+c.want+
				": adapter and model do not match"; got != want {
				t.Errorf("error\n%s\nwant\n%s", got, want)
			}
			if !errors.Is(err, adapter.ErrMismatch) {
				t.Error("the error does not wrap ErrMismatch")
			}
			if !sameBits(before, download(dev, fresh.Method.Params()[0].Value)) {
				t.Error("a parameter was overwritten")
			}
		})
	}
}

// TestSavedAttach: an error about the settings or the structure of an adapter names the file that has them.
func TestSavedAttach(t *testing.T) {
	dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, "roberta")
	for _, c := range []struct {
		name, method string
		change       *strings.Replacer
		want         string
	}{
		{"target", "lora", strings.NewReplacer(`"query"`, `"q_proj"`),
			`attach lora: target module "q_proj" is not a linear layer of this model`},
		{"structure", "lor2c",
			strings.NewReplacer(`"num_hidden_layers": 3`, `"num_hidden_layers": 4`, `"last": 2`, `"last": 3`),
			"attach lor2c: module 2-3 is out of order, overlaps another or leaves the model"},
	} {
		t.Run("fault="+c.name, func(t *testing.T) {
			method := adapter.Configure(c.method, adapter.Values{"rank": 4, "alpha": 16, "target_modules": []string{"query"}})
			n := goldenNetwork(t, dev, base, method, 1)
			d := describe(t, n, base, method)
			d.Structure = n.Method.Structure()
			dir := saved(t, n, d)
			file := filepath.Join(dir, "lor2c.json")
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(c.change.Replace(string(text))), 0o644); err != nil {
				t.Fatal(err)
			}
			s, err := adapter.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			_, err = s.Attach(dev, n.Model, 1)
			if want := "adapter: open " + file + ": adapter: " + c.want; !strings.HasPrefix(fmt.Sprint(err), want) {
				t.Errorf("error\n%v\nwant\n%s", err, want)
			}
			if !place.IsMistake(err) {
				t.Error("the error is not a mistake of the user, and the directory has no checksums")
			}
		})
	}
}

// TestOtherBase: a base model whose weights are not those of the adapter is
// refused.
func TestOtherBase(t *testing.T) {
	dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, "roberta")
	method := adapter.NewConfig("head")
	n := goldenNetwork(t, dev, base, method, 1)
	dir := saved(t, n, describe(t, n, base, method))
	s, err := adapter.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	other := baseOf(t, n.Model, filepath.Join(goldenDir, "bert"))
	err = s.CheckBase(other)
	want := fmt.Sprintf("adapter: load %s: it was trained on ../../testdata/golden/roberta (weights %.12s), and "+
		"../../testdata/golden/bert has other weights (%.12s); name its own base model: adapter and model do not match", dir,
		s.Base.SHA256,
		other.SHA256)
	if got := fmt.Sprint(err); got != want {
		t.Errorf("error\n%s\nwant\n%s", got, want)
	}
	if !errors.Is(err, adapter.ErrMismatch) {
		t.Error("the error does not wrap ErrMismatch")
	}
	// Older versions of lor2c identified the file and not the tensors. This is the
	// SHA-256 of the file in testdata/golden/MANIFEST.json.
	own := baseOf(t, n.Model, base)
	s.Base.SHA256 = "77d554df1f775f62f7664d847b3330bf74360ce9e94859e122f80370fa02927d"
	if err := s.CheckBase(own); err != nil {
		t.Errorf("an adapter that an older lor2c wrote: %v", err)
	}
	if err := s.CheckBase(other); !errors.Is(err, adapter.ErrMismatch) {
		t.Errorf("an adapter of an older lor2c on another base: %v; want ErrMismatch", err)
	}
}

// TestCutOff opens an adapter whose tensor file ends early.
func TestCutOff(t *testing.T) {
	dev, base := cpu.Open[float32](1), filepath.Join(goldenDir, "roberta")
	method := adapter.NewConfig("head")
	n := goldenNetwork(t, dev, base, method, 1)
	dir := saved(t, n, describe(t, n, base, method))
	path := filepath.Join(dir, "adapter_model.safetensors")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()-4); err != nil {
		t.Fatal(err)
	}
	_, err = adapter.Open(dir)
	// The head has 32 33 + 3 33 floats, and the last one is cut off.
	want := "checkpoint: open " + path +
		`: tensor "base_model.model.classifier.out_proj.weight" ends at data byte 4620, but the data has 4616; the file is cut off or damaged`
	if got := fmt.Sprint(err); got != want {
		t.Errorf("error\n%s\nwant\n%s", got, want)
	}
}

// TestAttachEncoders: with its defaults every method attaches to MPNet and DistilBERT with the parameters that it has
// on RoBERTa, except prefix tuning on MPNet, because its keys have no distance from the queries.
func TestAttachEncoders(t *testing.T) {
	for _, name := range adapter.Names() {
		t.Run("method="+name, func(t *testing.T) {
			count := func(kind string) (int, error) {
				dev := nulldev.Open(4)
				m, err := model.New(dev, tiny(kind), 2, 1, adapter.NewConfig(name).Trains(), weights)
				if err != nil {
					t.Fatal(err)
				}
				c := adapter.Configure(name, adapter.Values{"rank": 3, "init_rank": 3, "target_rank": 2})
				c.Resolve()
				method, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Seed: 1})
				if err != nil {
					return 0, err
				}
				return adapter.Count(method.Params()), nil
			}
			want, err := count("roberta")
			if err != nil {
				t.Fatal(err)
			}
			got, err := count("distilbert")
			if err != nil {
				t.Fatal(err)
			}
			less := 0
			if c := tiny("distilbert"); name == "full" {
				less = c.Types * c.Width // it has no token types
			}
			if got != want-less {
				t.Errorf("%d parameters on DistilBERT; want %d", got, want-less)
			}
			got, err = count("mpnet")
			switch {
			case name == "prefix":
				if err == nil || !strings.Contains(err.Error(), "adapter: attach prefix: a mpnet encoder adds a bias") {
					t.Errorf("error %v; want one that names the encoder", err)
				}
				return
			case err != nil:
				t.Fatal(err)
			case name == "full":
				c := tiny("mpnet")
				want += 32*c.Heads - c.Types*c.Width // it has the bias and no token types
			}
			if got != want {
				t.Errorf("%d parameters; want %d", got, want)
			}
		})
	}
}

// TestAttachFaults: targets that are not linear layers of a block are refused.
// In PEFT a bare "dense" would include the classification head.
func TestAttachFaults(t *testing.T) {
	dev := nulldev.Open(4)
	m, err := model.New(dev, tiny("roberta"), 2, 1, nil, weights)
	if err != nil {
		t.Fatal(err)
	}
	for target, instead := range map[string]string{
		"dense": "", "uery": "", "LayerNorm": "", "all-linear": "", "gate_proj": "",
		// What other networks call a linear layer is named as it is called here.
		"q_proj": "query, or ", "q": "query, or ", "k_lin": "key, or ", "attention.attn.v": "value, or ",
		"layer.0.attention.self.query": "query, or ",
		"o_proj":                       "attention.output.dense, or ", "down_proj": "output.dense, or ",
	} {
		t.Run("target="+target, func(t *testing.T) {
			c := adapter.Default()
			c = adapter.Configure("lora", adapter.Values{"target_modules": []string{"query", target}})
			c.Resolve()
			_, err := adapter.Attach(dev, m, adapter.Settings{Config: c, Seed: 1})
			want := fmt.Sprintf("adapter: attach lora: target module %q is not a linear layer of this model; want %ssome of "+
				"query, key, value, attention.output.dense, intermediate.dense, output.dense", target, instead)
			if got := fmt.Sprint(err); got != want {
				t.Errorf("error\n%s\nwant\n%s", got, want)
			}
		})
	}
}
