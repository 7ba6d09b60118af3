package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/term"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
	"github.com/lor2c/lor2c/internal/generate"
	"github.com/lor2c/lor2c/internal/instruct"
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
		{nil, "name a run with --run DIR, a model with --model DIR or an adapter with --adapter DIR"},
		{[]string{"--model", demoDecoder, "--max-new-tokens", "0"},
			"--max-new-tokens is 0, --batch is 16 and --context is 4096; want at least 1 of each"},
		{[]string{"--run", "r", "--adapter", "a"}, "--run and --adapter are both set; name the adapter once"},
		{[]string{"--run", "nowhere", "-p", "a"}, "nowhere"},
		{[]string{"--model", demoDecoder, "--template", "chatml"}, `--template is "chatml"; want one of none, alpaca, chat`},
		{[]string{"--model", demoDecoder, "--chat", "-p", "a"}, "--chat is set together with -p, --file or --json"},
		{[]string{"--model", demoDecoder, "--chat"}, "the model has no chat template"},
		{[]string{"--model", demoDecoder, "-p", "a", "--system", "x"}, "the template none has no system message"},
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

// TestGenerateRows: the rows of a .jsonl file are continued together and printed in their order, and a faulty row is an
// error with its line.
func TestGenerateRows(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) string {
		file := filepath.Join(dir, "prompts.jsonl")
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	generate := func(text string, args ...string) result {
		return run(t, append([]string{"generate", "--device", "cpu", "--model", demoDecoder, "--max-new-tokens", "20",
			"--file", write(text)}, args...)...)
	}
	rows := "{\"prompt\": \"Once upon a time\"}\n\n{\"prompt\": \"Lily and\"}\n{\"prompt\": \"One day\"}\n"
	together, alone := generate(rows, "--json"), generate(rows, "--json", "--batch", "1")
	if together.code != 0 || together.stdout != alone.stdout || strings.Count(together.stdout, "\n") != 3 ||
		!strings.HasPrefix(together.stdout, `{"prompt":"Once upon a time","text":", there was`) {
		t.Errorf("together %+v\nalone %+v", together, alone)
	}
	for text, want := range map[string]string{
		"{\"prompt\": \"a\"}\n{\"text\": \"b\"}\n": `prompts.jsonl:2: the row has the keys text; want either prompt or messages`,
		"{\"prompt\": 3}":                          `prompts.jsonl:1: prompt is "3"; want a text`,
		"{\"messages\": []}":                       "prompts.jsonl:1: messages is not a list of messages",
		"{\"prompt\"":                              "prompts.jsonl:1:9: the text ends before its JSON value",
		"\n":                                       "the file has no rows",
		"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}": "the row has messages, which need --template chat",
	} {
		r := generate(text)
		if stderr := strings.Join(strings.Fields(r.stderr), " "); r.code != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%q: %+v; want %q", text, r, want)
		}
	}
}

// TestGenerateQuantized: an adapter that was trained on a base in four bits continues texts with the base in four bits,
// and another adapter continues them with the base as it is stored.
func TestGenerateQuantized(t *testing.T) {
	dir := t.TempDir()
	base, err := filepath.Abs(filepath.Join("..", "..", demoDecoder))
	if err != nil {
		t.Fatal(err)
	}
	row := "{\"instruction\": \"Once there\", \"output\": \"was a dog.\"}\n"
	file, data := filepath.Join(dir, "run.yaml"), filepath.Join(dir, "rows.jsonl")
	for path, text := range map[string]string{
		data: row + strings.ReplaceAll(row, "dog", "cat"),
		file: "model: " + base + "\ndata: {task: instruct, train: " + data + ", dev: 1}\n" +
			"method: {name: lora}\ntrain: {epochs: 1, batch_size: 1}\nout: out\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for quantize, want := range map[string]compute.DType{"nf4": compute.NF4, "none": compute.Working} {
		out := filepath.Join(dir, quantize)
		r := run(t, "train", "--device", "cpu", "-c", file, "--set", "train.quantize="+quantize, "--out", out)
		if r.code != 0 {
			t.Fatalf("%+v", r)
		}
		card, err := os.ReadFile(filepath.Join(out, "best", "README.md"))
		if err != nil || !strings.Contains(string(card), "text-generation]") ||
			!strings.Contains(string(card), "`lor2c generate --adapter DIR -p TEXT`") {
			t.Errorf("%v, the card is\n%s", err, card)
		}
		texts, err := generate.Open(generate.Source{Adapter: filepath.Join(out, "best")})
		if err != nil {
			t.Fatal(err)
		}
		defer texts.Close()
		g, err := texts.Load(cpu.Open[float32](1), 16, 1)
		if err != nil {
			t.Fatal(err)
		}
		id, err := texts.Identity()
		if err != nil {
			t.Fatal(err)
		}
		// The adapter names the form of the prompts that it was trained with, so that the answer alone is printed.
		r = run(t, "generate", "--device", "cpu", "--adapter", filepath.Join(out, "best"), "-p", "Once there", "--json",
			"--max-new-tokens", "1")
		var answer struct {
			PromptTokens int `json:"prompt_tokens"`
		}
		alpaca := len(texts.Tokenizer.AppendIDs(nil, instruct.AlpacaPrompt("Once there", ""), false))
		if err := json.Unmarshal([]byte(r.stdout), &answer); err != nil || answer.PromptTokens != alpaca+1 {
			t.Errorf("%+v: the prompt has %d tokens; in the form of Alpaca it has %d", r, answer.PromptTokens, alpaca+1)
		}
		if got := g.Model.Linear(g.Model.Sites()[0]).W.Value.DType; got != want || id["quantize"] != quantize {
			t.Errorf("train.quantize %s: a weight of the base has type %v, and the identity says %s; want %v", quantize, got,
				id["quantize"], want)
		}
	}
}

// TestChatLines: a chat with the lines of a pipe answers questions, runs commands and saves the conversation.
func TestChatLines(t *testing.T) {
	saved := filepath.Join(t.TempDir(), "saved.jsonl")
	c := command(t, "generate", "--device", "cpu", "--model", demoDecoder, "--chat", "--template", "none",
		"--max-new-tokens", "8")
	c.Stdin = strings.NewReader("Once upon a time\n\n\"\"\"Once\nupon\"\"\"\n/undo\n/save " + saved +
		"\n/save\n/nothing\n/reset\n/system\n/save x\n/help\n/exit\nOnce\n")
	r := finish(t, c)
	want := ", there was a little girl\n(the answer has as many tokens as --max-new-tokens and --context allow)\n"
	if r.code != 0 || r.stderr != "" || !strings.HasPrefix(r.stdout, want) ||
		strings.Count(r.stdout, "as many tokens") != 2 {
		t.Errorf("%+v", r)
	}
	for _, line := range []string{
		"The conversation has 2 messages.", saved + " has 1 conversation more.", "/save needs the name of a file",
		"There is no /nothing; /help lists the commands.", "The conversation is empty.", "There is no system message",
		"there is nothing to save yet", "/exit           end the chat",
	} {
		if !strings.Contains(r.stdout, line) {
			t.Errorf("%q is not in %q", line, r.stdout)
		}
	}
	raw, err := os.ReadFile(saved)
	if want := `{"messages":[{"role":"user","content":"Once upon a time"},{"role":"assistant","content":", there was a ` +
		`little girl"}]}` + "\n"; err != nil || string(raw) != want {
		t.Errorf("%s is saved, %v; want %s", raw, err, want)
	}
}

// TestKeyboard: Ctrl-C discards the line that is typed, and the next line is read as usual.
func TestKeyboard(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	k := &keyboard{file: r}
	e := &editor{keys: k, terminal: term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{k, io.Discard}, "")}
	// After the arrow to the left, text is inserted before the last character.
	for _, step := range []struct{ typed, line, fault string }{
		{"discarded\x03", "", errCleared.Error()}, {"ac\x1b[Db\r", "abc", ""}, {"\x1b[A\r", "abc", ""}, {"\x04", "", "EOF"},
	} {
		if _, err := io.WriteString(w, step.typed); err != nil {
			t.Fatal(err)
		}
		line, err := e.line()
		if line != step.line || fmt.Sprint(err) != cmp.Or(step.fault, "<nil>") {
			t.Errorf("%q gives %q, %v; want %q, %s", step.typed, line, err, step.line, step.fault)
		}
	}
}
