package adapter

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lor2c/lor2c/internal/bitsandbytes"
	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/infile"
	"github.com/lor2c/lor2c/internal/model"
	"github.com/lor2c/lor2c/internal/place"
	"github.com/lor2c/lor2c/internal/strictjson"
	"github.com/lor2c/lor2c/internal/tape"
)

// Save writes the adapter directory of a method and its head into dir, which
// exists, and reads it back: for LoRA exactly what PEFT writes, for LoR2C the
// same shape with peft_type LOR2C, for full fine-tuning a model directory that
// transformers loads. Parameters must have values that tensors of d.DType can have. It waits for the device.
func Save(dir string, dev compute.Device, d Description, m Method, head []*tape.Param) error {
	d.Format = format
	d.Structure = m.Structure()
	tensors := download(dev, d, slices.Concat(m.Params(), m.Buffers(), head))
	if err := dev.Err(); err != nil {
		return err
	}
	var file bytes.Buffer
	if err := checkpoint.Write(&file, map[string]string{"format": "pt"}, tensors); err != nil {
		return err
	}
	name := tensorsFile
	if d.Method.wholeModel() {
		name = modelFile
		if err := writeModelConfig(dir, d, len(head) > 0); err != nil {
			return err
		}
	} else if err := checkpoint.WriteJSON(filepath.Join(dir, peftFile), d.peft(m, head)); err != nil {
		return err
	}
	if err := checkpoint.WriteJSON(filepath.Join(dir, descriptionFile), d); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "README.md"), card(d, tensors, len(head) > 0), 0o666); err != nil {
		return err
	}
	if err := saveTokenizer(dir, d); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, name), file.Bytes(), 0o666); err != nil {
		return err
	}
	return verify(filepath.Join(dir, name), tensors)
}

// SaveBeside writes what belongs beside a file that has the base model and the adapter d in the form of a library:
// config.json with the labels of d if the model has a head, the model card, which ends with load, and the tokenizer.
func SaveBeside(dir string, d Description, head bool, library, load string) error {
	if err := writeModelConfig(dir, d, head); err != nil {
		return err
	}
	if err := SaveCard(dir, d, head, library, load); err != nil {
		return err
	}
	return saveTokenizer(dir, d)
}

// SaveCard writes the model card of a file that has the adapter d in the form of a library, with the base model or
// beside it. The card ends with load.
func SaveCard(dir string, d Description, head bool, library, load string) error {
	made := fmt.Sprintf("Fine-tuned with lor2c: method %s, task %s. The file is for %s.", d.Merged, d.Task.Name, library)
	readme := cardText(d, d.Merged, head, library, made, load)
	return os.WriteFile(filepath.Join(dir, "README.md"), readme, 0o666)
}

func saveTokenizer(dir string, d Description) error {
	for name, content := range d.Tokenizer {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			return err
		}
	}
	return nil
}

// SavedBytes returns the size in bytes of the tensors that Save writes for a method and its head in float32.
func SavedBytes(m Method, head []*tape.Param) int64 {
	return 4 * int64(Count(m.Params())+Count(m.Buffers())+Count(head))
}

// fileName returns a parameter's name in the file. PEFT has a prefix for all
// parameters except those of a whole model.
func fileName(c Config, p *tape.Param) string {
	if c.wholeModel() || strings.HasPrefix(p.Name, peftRoot) {
		return p.Name
	}
	return filePrefix + p.Name
}

func isPooler(p *tape.Param) bool { return strings.Contains(p.Name, ".pooler.") }

// download returns the tensors of the file that Save writes for d.
func download(dev compute.Device, d Description, params []*tape.Param) []checkpoint.Tensor {
	tensors := make([]checkpoint.Tensor, 0, len(params))
	for _, p := range params {
		name := fileName(d.Method, p)
		if q, packed := d.Packed[p.Name]; packed {
			tensors = append(tensors, bitsandbytes.Tensors(name, q, cmp.Or(d.DType, checkpoint.F32))...)
			continue
		}
		tensors = append(tensors, checkpoint.Tensor{Name: name, Shape: p.Value.Shape, Data: p.Values(dev), DType: d.DType})
	}
	if join := methods[d.Method.name].join; join != nil {
		return join(tensors)
	}
	return tensors
}

// verify reads a file again and compares its tensors. An adapter that turns out
// to be empty weeks later is a frequent complaint about other tools.
func verify(path string, tensors []checkpoint.Tensor) error {
	f, err := checkpoint.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if got := len(f.Names()); got != len(tensors) {
		return fmt.Errorf("adapter: save %s: it has %d tensors when read back; want %d", path, got, len(tensors))
	}
	for _, t := range tensors {
		same := false
		switch want := t.Data.(type) {
		case []byte:
			got, err := f.ReadBytes(t.Name)
			if err != nil {
				return err
			}
			same = bytes.Equal(got, want)
		case []float32:
			got := make([]float32, len(want))
			if err := f.ReadInto(got, t.Name); err != nil {
				return err
			}
			same = slices.Equal(bits(got), bits(want))
		}
		if !same {
			return fmt.Errorf("adapter: save %s: %s differs when read back; the disk or memory is at fault", path, t.Name)
		}
	}
	return nil
}

// bits returns the bits of floats, which compare equal for NaN and different
// for -0 and 0.
func bits(v []float32) []uint32 {
	out := make([]uint32, len(v))
	for i, x := range v {
		out[i] = math.Float32bits(x)
	}
	return out
}

// writeModelConfig writes the config.json of the base model, with the labels of
// d if the model has a head, and with what transformers must know of the weights.
func writeModelConfig(dir string, d Description, head bool) error {
	base := cmp.Or(d.Base.Dir, d.Base.Path)
	raw, err := infile.ReadIn(base, "config.json", infile.Config)
	if err != nil {
		return fmt.Errorf("adapter: save %s: read config.json of the base model %s: %w", dir, base, err)
	}
	var c map[string]any
	if err := strictjson.Unmarshal(raw, &c); err != nil {
		return fmt.Errorf("adapter: save %s: read the base model's %s:%w", dir, filepath.Join(base, "config.json"), err)
	}
	// Task, dtype and quantisation of the base model do not apply to this model.
	if head {
		describeHead(c, d)
	}
	delete(c, "dtype")
	c["torch_dtype"] = cmp.Or(map[checkpoint.DType]string{checkpoint.BF16: "bfloat16", checkpoint.F16: "float16"}[d.DType],
		"float32")
	delete(c, "quantization_config")
	if d.Packed != nil {
		// transformers expects the linear layers that are not named here in four bits.
		c["quantization_config"] = bitsandbytes.Config(cmp.Or(d.DType, checkpoint.F32),
			[]string{"classifier", "pre_classifier", "pooler", d.Base.Type + ".pooler", "lm_head"})
	}
	return checkpoint.WriteJSON(filepath.Join(dir, "config.json"), c)
}

// describeHead sets the keys of config.json that say what the head predicts.
func describeHead(c map[string]any, d Description) {
	labels := d.Task.Labels
	c["problem_type"] = "single_label_classification"
	if labels == nil {
		labels = []string{"LABEL_0"}
		c["problem_type"] = "regression"
	}
	if d.Task.Kind == MultiLabel {
		c["problem_type"] = "multi_label_classification"
	}
	if d.Task.Kind == Tokens {
		delete(c, "problem_type")
	}
	ids, names := map[string]int{}, map[string]string{}
	for i, l := range labels {
		ids[l], names[fmt.Sprint(i)] = i, l
	}
	c["id2label"], c["label2id"] = names, ids
	c["architectures"] = []string{model.HeadClass(d.Base.Type, d.Task.Kind == Tokens)}
}

// card returns the README.md of an adapter directory. labels means that the model has a classification head; a decoder
// has none.
func card(d Description, tensors []checkpoint.Tensor, labels bool) []byte {
	n := 0
	for _, t := range tensors {
		n += compute.Shape(t.Shape).Len()
	}
	m := methods[d.Method.name]
	use, head := "`lor2c predict --adapter DIR FILE` labels texts with it.", ", head included"
	if d.Task.Kind == Tokens {
		use = "`lor2c predict --adapter DIR FILE` tags the words of texts with it."
	}
	if !labels {
		use, head = "`lor2c generate --adapter DIR -p TEXT` continues a text with it.", ""
	}
	made := fmt.Sprintf("Fine-tuned with lor2c: method %s, task %s, %s in %s%s.",
		d.Method.name, d.Task.Name, place.Count(n, "trained scalar", "trained scalars"),
		place.Count(len(tensors), "tensor", "tensors"), head)
	if d.Merged != "" {
		made = fmt.Sprintf("Fine-tuned with lor2c: method %s, task %s, then merged into the weights of the base model.",
			d.Merged, d.Task.Name)
	}
	load := m.load
	if d.Task.Kind == Tokens {
		load = strings.Replace(load, "ForSequence", "ForToken", 1)
	}
	text := cardText(d, cmp.Or(d.Merged, d.Method.name), labels, m.library, made, load+" "+use)
	if m.python {
		text = append(text, pythonLines(d, labels)...)
	}
	return text
}

// cardText returns a model card: a header for the Hugging Face hub, how the model was made, and how it is loaded.
func cardText(d Description, method string, labels bool, library, made, load string) []byte {
	tag := "text-classification"
	switch {
	case !labels:
		tag = "text-generation"
	case d.Task.Kind == Tokens:
		tag = "token-classification"
	}
	return fmt.Appendf(nil, "---\nbase_model: %s\nlibrary_name: %s\ntags: [%s, %s]\n---\n\n%s\n\n%s\n", d.Base.Path,
		library, method, tag, made, load)
}

// pythonLines returns the lines of Python that load an adapter with the package lor2c_peft, for a model card.
func pythonLines(d Description, labels bool) string {
	class, options := "AutoModelForCausalLM", ""
	if labels {
		class, options = "AutoModelForSequenceClassification", `, **lor2c_peft.labels("DIR")`
	}
	if d.Task.Kind == Tokens {
		class = "AutoModelForTokenClassification"
	}
	return fmt.Sprintf("\n```python\nimport lor2c_peft\nfrom peft import PeftModel\nfrom transformers import %s\n\n"+
		"base = %s.from_pretrained(%q, dtype=\"float32\"%s)\nmodel = PeftModel.from_pretrained(base, \"DIR\")\n```\n",
		class, class, d.Base.Path, options)
}
