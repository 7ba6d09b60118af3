package bitsandbytes

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lor2c/lor2c/internal/checkpoint"
	"github.com/lor2c/lor2c/internal/nf4"
)

// sources has PyTorch's names of the types that a matrix can have before it is quantised.
var sources = map[checkpoint.DType]string{
	checkpoint.F32: "float32", checkpoint.BF16: "bfloat16", checkpoint.F16: "float16",
}

// Tensors returns the tensors with which bitsandbytes stores a matrix that had the type source before.
func Tensors(name string, q nf4.Matrix, source checkpoint.DType) []checkpoint.Tensor {
	tensors := []checkpoint.Tensor{{Name: name, Shape: []int{len(q.Codes), 1}, Data: q.Codes}}
	add := func(end string, shape []int, data any) {
		tensors = append(tensors, checkpoint.Tensor{Name: name + end, Shape: shape, Data: data})
	}
	floats := func(end string, v []float32) { add(end, []int{len(v)}, v) }
	floats(quantMap, nf4.Levels[:])
	// The text is what Python's json.dumps writes, so that equal weights are equal files.
	dims := make([]string, len(q.Shape))
	for i, d := range q.Shape {
		dims[i] = strconv.Itoa(d)
	}
	text := fmt.Sprintf(`{"quant_type": "nf4", "blocksize": %d, "dtype": "%s", "shape": [%s]`, nf4.Block, sources[source],
		strings.Join(dims, ", "))
	if d := q.Double; d == nil {
		floats(absmax, q.Scales)
	} else {
		add(absmax, []int{len(d.Codes)}, d.Codes)
		floats(nestedAbsmax, d.Scales)
		floats(nestedQuantMap, d.Map)
		text += fmt.Sprintf(`, "nested_blocksize": %d, "nested_dtype": "float32", "nested_offset": %s`, nf4.ScaleBlock,
			python(float64(d.Offset)))
	}
	state := []byte(text + "}")
	add(nf4State, []int{len(state)}, state)
	return tensors
}

// python returns a float as Python writes it.
func python(v float64) string {
	text := strconv.FormatFloat(v, 'g', -1, 64)
	if !strings.ContainsAny(text, ".e") {
		text += ".0"
	}
	return text
}

// Config returns the quantization_config of a config.json for weights of which all linear layers are in four bits with
// double quantisation, except those that skip lists by their paths. source is the type of the other weights, in which
// transformers computes.
func Config(source checkpoint.DType, skip []string) map[string]any {
	return map[string]any{
		"quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false,
		"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": true, "bnb_4bit_quant_storage": "uint8",
		"bnb_4bit_compute_dtype": sources[source], "llm_int8_skip_modules": slices.Clone(skip),
	}
}
