package generate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lor2c/lor2c/internal/place"
)

// FuzzGeneration looks for a generation_config.json that panics, that is refused without its path, or whose sampling is
// out of range.
func FuzzGeneration(f *testing.F) {
	for _, text := range []string{
		`{"bos_token_id": 1, "eos_token_id": [2, 3], "do_sample": true, "temperature": 0.6, "top_p": 0.9, "top_k": 50}`,
		`{"eos_token_id": 2, "repetition_penalty": 1.1, "transformers_version": "4.40"}`, `{"eos_token_id": "x"}`,
		`{"temperature": 0}`, `{"top_k": -1}`, `{"eos_token_id": null, "top_p": null}`, `[]`, `{`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		texts := &Texts{dir: t.TempDir(), Sampling: Greedy()}
		path := filepath.Join(texts.dir, "generation_config.json")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := texts.readGeneration("generation_config.json", true); err != nil {
			if !place.IsMistake(err) || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("error %q; want a mistake with the path", err)
			}
			return
		}
		if faults := texts.Sampling.Validate(); faults != nil {
			t.Errorf("the sampling %+v was accepted: %v", texts.Sampling, faults)
		}
		for _, id := range texts.EOS {
			if id < 0 {
				t.Errorf("token %d ends a text", id)
			}
		}
	})
}
