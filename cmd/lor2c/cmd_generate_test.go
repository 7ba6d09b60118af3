package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const demoDecoder = "demo/decoder"

// TestGenerate: a prompt is continued as transformers does; several prompts are continued each on its own; text ends
// before a stop string; --json has the tokens and the settings.
func TestGenerate(t *testing.T) {
	const story = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. " +
		"One day, she saw a big"
	generate := func(args ...string) result {
		return run(t, append([]string{"generate", "--device", "cpu", "--model", demoDecoder}, args...)...)
	}
	r := generate("-p", "Once upon a time", "--max-new-tokens", "34")
	if r.code != 0 || r.stdout != story+"\n" || r.stderr != "" {
		t.Errorf("%+v; want %q", r, story)
	}
	r = generate("-p", "Once upon a time", "-p", "Once upon", "--max-new-tokens", "60", "--stop", "park", "--stop", "She")
	if want := story[:53] + " \n" + story[:53] + " \n"; r.code != 0 || r.stdout != want {
		t.Errorf("%+v; want %q", r, want)
	}
	file := filepath.Join(t.TempDir(), "prompt.txt")
	if err := os.WriteFile(file, []byte("Once upon a time"), 0o644); err != nil {
		t.Fatal(err)
	}
	drawn := map[string]bool{}
	for _, args := range [][]string{
		{"--file", file, "--seed", "1"}, {"-p", "Once upon a time", "--seed", "1", "--batch", "1"},
		{"--file", file, "--seed", "2"},
	} {
		r := generate(append(args, "--do-sample", "--temperature", "1.5", "--max-new-tokens", "20", "--json")...)
		var got struct {
			Text        string
			IDs         []int32 `json:"token_ids"`
			Prompt      int     `json:"prompt_tokens"`
			Reason      string  `json:"stop_reason"`
			Temperature float64
		}
		if err := json.Unmarshal([]byte(r.stdout), &got); err != nil || r.code != 0 {
			t.Fatalf("%+v, %v", r, err)
		}
		if len(got.IDs) != 20 || got.Prompt != 5 || got.Reason != "length" || got.Temperature != 1.5 {
			t.Errorf("the record is %s", r.stdout)
		}
		drawn[got.Text] = true
	}
	if len(drawn) != 2 {
		t.Errorf("seeds 1, 1 and 2 give the texts %v; want two", drawn)
	}
}

// TestGenerateFaults: mistakes are one line with what would be right, and exit code 2.
func TestGenerateFaults(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "name a model with --model DIR or an adapter with --adapter DIR"},
		{[]string{"--model", demoDecoder, "--max-new-tokens", "0"},
			"--max-new-tokens is 0 and --batch is 16; want at least 1 of each"},
		{[]string{"--model", demoDecoder, "--stop", ""}, "--stop is empty; want a text"},
		{[]string{"--model", demoDecoder, "-p", "a", "--file", "b"}, "-p and --file are both set; name the text once"},
		{[]string{"--model", demoDecoder, "-p", "a", "--temperature", "0"}, "temperature is 0; want more than 0"},
		{[]string{"--model", demoDecoder, "-p", "a", "--max-new-tokens", "511"},
			"prompt 1 has 2 tokens, and with --max-new-tokens 511 the text has up to 513; the model has 512 positions"},
		{[]string{"--model", "demo/model", "-p", "a"}, `model_type is "roberta"; want one of llama, mistral, qwen2, qwen3`},
		{[]string{"--model", "nowhere", "-p", "a"}, "open nowhere: there is no such directory"},
	} {
		r := run(t, append([]string{"generate", "--device", "cpu"}, c.args...)...)
		if r.code != exitUsage || !strings.Contains(strings.Join(strings.Fields(r.stderr), " "), c.want) || r.stdout != "" {
			t.Errorf("%v: %+v; want %q", c.args, r, c.want)
		}
	}
}
