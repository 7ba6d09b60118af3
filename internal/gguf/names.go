package gguf

import (
	"fmt"
	"regexp"

	"github.com/lor2c/lor2c/internal/model"
)

// whole has the names of tensors that are not in a layer.
var whole = map[string]string{
	"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
	"lm_head.weight": "output.weight",
}

// modules has the names of the modules of a layer.
var modules = map[string]string{
	"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
	"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
	"self_attn.o_proj": "attn_output", "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm",
	"mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up", "mlp.down_proj": "ffn_down",
}

var inLayer = regexp.MustCompile(`^model\.layers\.(\d+)\.(.+)\.(weight|bias)$`)

// rename returns the name of a decoder's parameter in a GGUF file, and the number of heads of which interleaved changes
// the order of the rows, or 0. Of the architectures only llama turns neighbouring rows.
func rename(c *model.DecoderConfig, name string) (renamed string, heads int) {
	if n, ok := whole[name]; ok {
		return n, 0
	}
	parts := inLayer.FindStringSubmatch(name)
	if parts == nil || modules[parts[2]] == "" {
		panic(fmt.Sprintf("gguf: the parameter %s has no name", name)) // the list has those of every decoder
	}
	if architectures[c.Type] == "llama" {
		heads = map[string]int{"self_attn.q_proj": c.Heads, "self_attn.k_proj": c.KVHeads}[parts[2]]
	}
	return fmt.Sprintf("blk.%s.%s.%s", parts[1], modules[parts[2]], parts[3]), heads
}

// interleaved returns a matrix or a vector of the given number of rows in the order in which llama.cpp rotates
// neighbouring rows of a head: rows i and i + D/2 of a head of width D, which Hugging Face rotates together, become
// rows 2i and 2i + 1. With no heads the values are returned as they are.
func interleaved(values []float32, rows, heads int) []float32 {
	if heads == 0 {
		return values
	}
	columns, width := len(values)/rows, rows/heads
	out := make([]float32, 0, len(values))
	for h := range heads {
		for i := range width {
			from := h*width + i%2*(width/2) + i/2
			out = append(out, values[from*columns:(from+1)*columns]...)
		}
	}
	return out
}
