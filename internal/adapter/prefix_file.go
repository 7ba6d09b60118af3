package adapter

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"github.com/lor2c/lor2c/internal/checkpoint"
)

// promptTensor is the tensor of a prefix in the file, [P, 2 L HKV*D]: in each row the key of each layer before its
// value, as PEFT stores them.
const promptTensor = "prompt_embeddings"

var promptPart = regexp.MustCompile(`^base_model\.` + promptTensor + `\.(\d{1,6})\.(key|value)$`)

// promptName returns the name of a parameter, the keys or the values of a layer.
func promptName(layer int, kind string) string {
	return fmt.Sprintf("%s.%d.%s", peftRoot+promptTensor, layer, kind)
}

// promptIndex returns the place of a parameter in a row of the tensor of the file.
func promptIndex(name string) (i int, ok bool) {
	found := promptPart.FindStringSubmatch(name)
	if found == nil {
		return 0, false
	}
	l, err := strconv.Atoi(found[1])
	if i = 2 * l; found[2] == "value" {
		i++
	}
	return i, err == nil
}

// joinPrefix replaces the keys and values of the layers, which come in their order, by the tensor of the file.
func joinPrefix(tensors []checkpoint.Tensor) (all []checkpoint.Tensor) {
	var parts []checkpoint.Tensor
	for _, t := range tensors {
		if _, ok := promptIndex(t.Name); ok {
			parts = append(parts, t)
		} else {
			all = append(all, t)
		}
	}
	if parts == nil {
		return all
	}
	rows, width := parts[0].Shape[0], parts[0].Shape[1]
	var joined []float32
	for row := range rows {
		for _, t := range parts {
			joined = append(joined, t.Data.([]float32)[row*width:(row+1)*width]...)
		}
	}
	return append(all, checkpoint.Tensor{
		Name: promptTensor, Shape: []int{rows, len(parts) * width}, Data: joined, DType: parts[0].DType,
	})
}

// splitPrefix returns file as one that has the keys and values of each layer instead of the tensor with all of them.
func splitPrefix(file tensorFile, layers int) tensorFile {
	_, shape, ok := file.Info(promptTensor)
	if !ok || len(shape) != 2 || layers < 1 || shape[1]%(2*layers) != 0 {
		return file // which lacks the parameters then
	}
	return &prefixFile{tensorFile: file, layers: layers, shape: []int{shape[0], shape[1] / (2 * layers)}}
}

type prefixFile struct {
	tensorFile
	layers int
	shape  []int     // of the keys of a layer
	all    []float32 // the tensor of the file, once a parameter has been read
}

// Names lists the parameters of each layer and the other tensors.
func (f *prefixFile) Names() []string {
	names := slices.DeleteFunc(slices.Clone(f.tensorFile.Names()), func(name string) bool { return name == promptTensor })
	for l := range f.layers {
		for _, kind := range []string{"key", "value"} {
			names = append(names, promptName(l, kind))
		}
	}
	return names
}

// Info describes a parameter or another tensor.
func (f *prefixFile) Info(name string) (dtype checkpoint.DType, shape []int, ok bool) {
	i, part := promptIndex(name)
	if !part {
		return f.tensorFile.Info(name)
	}
	dtype, _, _ = f.tensorFile.Info(promptTensor)
	return dtype, f.shape, i < 2*f.layers
}

// ReadFinite reads a parameter or another tensor.
func (f *prefixFile) ReadFinite(dst []float32, name string) error {
	i, part := promptIndex(name)
	if !part {
		return f.tensorFile.ReadFinite(dst, name)
	}
	rows, width := f.shape[0], f.shape[1]
	if f.all == nil {
		all := make([]float32, rows*2*f.layers*width)
		if err := f.tensorFile.ReadFinite(all, promptTensor); err != nil {
			return err
		}
		f.all = all
	}
	for row := range rows {
		copy(dst[row*width:(row+1)*width], f.all[(row*2*f.layers+i)*width:])
	}
	return nil
}
