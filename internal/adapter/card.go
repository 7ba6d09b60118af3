package adapter

import (
	"cmp"
	"fmt"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/place"
)

// card returns the README.md of an adapter directory. labels means that the model has a classification head; a decoder
// has none.
func card(d Description, tensors []checkpoint.Tensor, labels bool) []byte {
	n := 0
	for _, t := range tensors {
		n += compute.Shape(t.Shape).Len()
	}
	m := methods[d.Method.name]
	tag, use, head := "text-classification", "`lor2c predict --adapter DIR FILE` labels texts with it.", ", head included"
	if !labels {
		tag, use, head = "text-generation", "`lor2c generate --adapter DIR -p TEXT` continues a text with it.", ""
	}
	made := fmt.Sprintf("Fine-tuned with lor2c: method %s, task %s, %s in %s%s.",
		d.Method.name, d.Task.Name, place.Count(n, "trained scalar", "trained scalars"),
		place.Count(len(tensors), "tensor", "tensors"), head)
	if d.Merged != "" {
		made = fmt.Sprintf("Fine-tuned with lor2c: method %s, task %s, then merged into the weights of the base model.",
			d.Merged, d.Task.Name)
	}
	text := fmt.Appendf(nil, "---\nbase_model: %s\nlibrary_name: %s\ntags: [%s, %s]\n---\n\n%s\n\n%s %s\n",
		d.Base.Path, m.library, cmp.Or(d.Merged, d.Method.name), tag, made, m.load, use)
	if m.python {
		text = append(text, pythonLines(d.Base.Path, labels)...)
	}
	return text
}

// pythonLines returns the lines of Python that load an adapter with the package lor2c_peft, for a model card.
func pythonLines(base string, labels bool) string {
	class, options := "AutoModelForCausalLM", ""
	if labels {
		class, options = "AutoModelForSequenceClassification", `, **lor2c_peft.labels("DIR")`
	}
	return fmt.Sprintf("\n```python\nimport lor2c_peft\nfrom peft import PeftModel\nfrom transformers import %s\n\n"+
		"base = %s.from_pretrained(%q, dtype=\"float32\"%s)\nmodel = PeftModel.from_pretrained(base, \"DIR\")\n```\n",
		class, class, base, options)
}
